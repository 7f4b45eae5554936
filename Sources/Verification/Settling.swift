internal import MySQLCore
internal import Synchronization

/// A row whose difference lasted.
struct DifferingRow: Sendable, Hashable {
    let table: Int
    /// The key on the source, `nil` when the source does not have the row.
    let sourceKey: RowKey?
    /// The key on the target, `nil` when the target does not have it.
    let targetKey: RowKey?
}

/// Looks at pending rows again and again, with growing pauses, until each is decided: equal at
/// some moment, or different without any change for long enough, or still changing when patience
/// ends.
struct Settling: Sendable {
    let plans: [Int: TablePlan]
    let options: VerificationOptions
    let tally: Tally
    let pool: SessionPool

    private enum Outcome: Sendable { case equal, different, changing, outOfReach, pending }

    /// Decides all of `rows`.
    ///
    /// - Returns: the rows that differ.
    func decide(_ rows: [PendingRow]) async throws -> [DifferingRow] {
        var rows = rows
        var found: Set<DifferingRow> = []
        var order: [DifferingRow] = []
        var delay: Duration = .milliseconds(50)
        var slowest: Duration = .zero
        while !rows.isEmpty {
            tally.progress { $0.pendingRows = rows.count }
            let now = ContinuousClock.now
            var left: [PendingRow] = []
            var lacking: [PendingRow] = []
            // A target that was seen to need longer than `settle` gets longer.
            let needed = max(options.settle, min(slowest * 2, options.settle * 10))
            for row in try await look(rows) {
                switch outcome(row.row, row.isEqual, needed, now) {
                case .equal:
                    slowest = max(slowest, now - (row.row.first ?? now))
                    tally.update(row.row.table) { $0.settledRows += 1 }
                case .pending: left.append(row.row)
                case .changing:
                    leaveUndecided(
                        row.row, "rows kept changing for longer than \(options.patience)")
                case .outOfReach: leaveUndecided(row.row, Self.outOfReach)
                case .different:
                    if row.row.last?.source == nil || row.row.last?.target == nil {
                        lacking.append(row.row)
                        continue
                    }
                    let differing = DifferingRow(row.row)
                    if found.insert(differing).inserted { order.append(differing) }
                }
            }
            let hidden = try await outOfReach(lacking)
            for row in lacking {
                guard !hidden.contains(Hidden(row)) else {
                    leaveUndecided(row, Self.outOfReach)
                    continue
                }
                let differing = DifferingRow(row)
                if found.insert(differing).inserted { order.append(differing) }
            }
            rows = left
            guard !rows.isEmpty else { break }
            try await Task.sleep(for: delay)
            delay = min(delay * 2, max(options.settle / 4, .milliseconds(50)))
        }
        tally.progress { $0.pendingRows = 0 }
        return order
    }

    private func outcome(
        _ row: PendingRow, _ isEqual: Bool, _ needed: Duration, _ now: ContinuousClock.Instant
    ) -> Outcome {
        if isEqual { return .equal }
        if row.looks >= (options.settle == .zero ? 1 : 3), now - (row.since ?? now) >= needed {
            return row.isOutOfReach ? .outOfReach : .different
        }
        return now - (row.first ?? now) > options.patience + needed ? .changing : .pending
    }

    /// Looks at all rows once, a batch per connection pair at a time.
    private func look(
        _ rows: [PendingRow]
    ) async throws -> [(row: PendingRow, isEqual: Bool)] {
        var batches: [[PendingRow]] = []
        for row in rows.sorted(by: { $0.table < $1.table }) {
            if let last = batches.last, last[0].table == row.table, last.count < 100 {
                batches[batches.count - 1].append(row)
            } else {
                batches.append([row])
            }
        }
        var out: [(row: PendingRow, isEqual: Bool)] = []
        out.reserveCapacity(rows.count)
        try await withThrowingTaskGroup(of: [(row: PendingRow, isEqual: Bool)].self) { group in
            var running = 0
            for batch in batches {
                if running == pool.count, let done = try await group.next() {
                    out += done
                    running -= 1
                }
                group.addTask { try await pool.use { try await look(batch, $0) } }
                running += 1
            }
            while let done = try await group.next() { out += done }
        }
        return out
    }

    private func look(
        _ batch: [PendingRow], _ pair: SessionPair
    ) async throws -> [(row: PendingRow, isEqual: Bool)] {
        guard let plan = plans[batch[0].table] else { return [] }
        let keys = batch.map(\.key)
        let found: (source: [RowKey: PendingRow.Found], target: [RowKey: PendingRow.Found])
        var hidden: Set<RowKey> = []
        do {
            found = try await pair.both { try await $0.find(plan, keys) }
            let lost = batch.filter { found.source[$0.key] == nil && found.target[$0.key] == nil }
            hidden = try await keysInRange(plan, lost, pair) { _ in true }
        } catch {
            if Task.isCancelled { throw error }
            tally.stop(plan.index, "\(error)")
            return []
        }
        let now = ContinuousClock.now
        return batch.map { row in
            var row = row
            let isHidden = hidden.contains(row.key)
            let isEqual = row.look(
                source: found.source[row.key], target: found.target[row.key],
                isOutOfReach: isHidden, at: now)
            // Then what the target has may be another table's.
            let isGone = plan.isShared && !isHidden && found.source[row.key] == nil
            return (row, isEqual || isGone)
        }
    }

    // MARK: rows that their keys do not find

    private static let outOfReach = "a row is not found by its own key"

    /// What a row is known by among those of all tables.
    private struct Hidden: Hashable {
        let table: Int
        let key: RowKey

        init(_ row: PendingRow) { (table, key) = (row.table, row.key) }
    }

    private func leaveUndecided(_ row: PendingRow, _ reason: String) {
        tally.update(row.table) { table in
            table.undecidedRows += 1
            if table.undecidedReason == nil { table.undecidedReason = reason }
        }
    }

    /// Those of `rows`, which a side lacks by their keys, that this side has in their ranges.
    private func outOfReach(_ rows: [PendingRow]) async throws -> Set<Hidden> {
        var out: Set<Hidden> = []
        for (table, rows) in Dictionary(grouping: rows, by: \.table) {
            guard let plan = plans[table] else { continue }
            let sides = Dictionary(
                rows.map { ($0.key, ($0.last?.source == nil, $0.last?.target == nil)) },
                uniquingKeysWith: { a, b in (a.0 || b.0, a.1 || b.1) })
            try await tally.guarding(plan) {
                try await pool.use { pair in
                    for side in [Side.source, .target] {
                        let lacking = rows.filter { row in
                            sides[row.key].map { side == .source ? $0.0 : $0.1 } ?? false
                        }
                        let keys = try await keysInRange(plan, lacking, pair) { $0 == side }
                        for row in lacking where keys.contains(row.key) { out.insert(Hidden(row)) }
                    }
                }
            }
        }
        return out
    }

    /// The keys of `rows` that their ranges hold on the sides that are asked.
    ///
    /// A literal may not lead back to the value that it was made from. Whoever finds a row by it
    /// finds it; but where nobody does, only the range in which the row was read tells that it has
    /// gone.
    private func keysInRange(
        _ plan: TablePlan, _ rows: [PendingRow], _ pair: SessionPair, _ asks: (Side) -> Bool
    ) async throws -> Set<RowKey> {
        var out: Set<RowKey> = []
        for (range, rows) in Dictionary(grouping: rows, by: \.range) {
            let wanted = Set(rows.map(\.key))
            for side in [Side.source, .target] where asks(side) {
                out.formUnion(
                    try await pair.on(side).keys(plan, in: range, among: wanted))
            }
        }
        return out
    }
}

extension DifferingRow {
    /// The row as the last look found it.
    fileprivate init(_ row: PendingRow) {
        self.init(
            table: row.table, sourceKey: row.last?.source?.key, targetKey: row.last?.target?.key)
    }
}

extension Session {
    /// Looks rows up by key, spelt exactly as asked.
    func find(
        _ plan: TablePlan, _ keys: [RowKey]
    ) async throws -> [RowKey: PendingRow.Found] {
        guard let columns = plan.on(side).key else { return [:] }
        var out: [RowKey: PendingRow.Found] = [:]
        for row in try await digests(plan, columns.isOne(of: keys[...])) {
            let found = PendingRow.Found(key: row.key, digest: row.digest)
            guard out.updateValue(found, forKey: row.key) == nil else { throw AmbiguousKey() }
        }
        return out
    }

    /// The row that the server finds under a key: its key can be spelt otherwise, when the
    /// collation takes both for the same.
    func findLoosely(_ plan: TablePlan, _ key: RowKey) async throws -> RowKey? {
        guard let columns = plan.on(side).key else { return nil }
        return try await digests(plan, columns.equals(key)).first?.key
    }
}
