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

    private enum Outcome: Sendable { case equal, different, changing, pending }

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
            // A target that was seen to need longer than `settle` gets longer.
            let needed = max(options.settle, min(slowest * 2, options.settle * 10))
            for row in try await look(rows) {
                switch outcome(row.row, row.isEqual, needed, now) {
                case .equal:
                    slowest = max(slowest, now - (row.row.first ?? now))
                    tally.update(row.row.table) { $0.settledRows += 1 }
                case .pending: left.append(row.row)
                case .changing:
                    tally.update(row.row.table) { table in
                        table.undecidedRows += 1
                        if table.undecidedReason == nil {
                            table.undecidedReason =
                                "rows kept changing for longer than \(options.patience)"
                        }
                    }
                case .different:
                    let differing = DifferingRow(
                        table: row.row.table, sourceKey: row.row.last?.source?.key,
                        targetKey: row.row.last?.target?.key)
                    if found.insert(differing).inserted { order.append(differing) }
                }
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
            return .different
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
        do {
            found = try await pair.both { try await $0.find(plan, keys) }
        } catch {
            if Task.isCancelled { throw error }
            tally.stop(plan.index, "\(error)")
            return []
        }
        let now = ContinuousClock.now
        return batch.map { row in
            var row = row
            let isEqual = row.look(
                source: found.source[row.key], target: found.target[row.key], at: now)
            return (row, isEqual)
        }
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
            out[row.key] = PendingRow.Found(key: row.key, digest: row.digest)
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
