internal import MySQLCore

/// Compares tables by key: one chunk's checksum on both servers, then the hashes of its rows.
struct KeyedComparison: Sendable {
    let tally: Tally
    let pending: PendingRows

    /// Compares a range of keys. Rows that differ now become pending; nothing is judged here.
    ///
    /// The target's order of keys may be another than the source's (another collation). Then a
    /// range holds other rows there; but for any bounds, every row of the target is in at least
    /// one range, and a pending row is looked up by its key without any range. So an order that
    /// differs costs time, never a wrong judgement.
    func compare(_ plan: TablePlan, _ range: KeyRange, _ pair: SessionPair) async throws {
        // A range of the target has rows of any number of other tables.
        if plan.isShared { return try await compareByLookup(plan, range, .source, pair) }
        let sums = try await self.sums(plan, range, pair)
        if sums.source == sums.target {
            tally.count(plan, rows: sums.source.rows)
            return
        }
        guard isTooLarge(sums, plan) else {
            return try await compareRows(plan, range, sums, pair)
        }
        // One side's rows beyond the last bound can be any number. Bounds all come from the side
        // that has more: in turns they could go in circles where the orders differ.
        let larger: Side = sums.source.rows >= sums.target.rows ? .source : .target
        var rest: KeyRange? = range
        while let now = rest, hasRoom(plan) {
            var part = now
            let bound = try await pair.on(larger).bound(plan, now, plan.chunkRows)
            if let bound, bound == now.lower { throw AmbiguousKey() }
            if let bound, bound != now.upper { part.upper = bound }
            let sums = try await self.sums(plan, part, pair)
            if sums.source == sums.target {
                tally.count(plan, rows: sums.source.rows)
            } else if isTooLarge(sums, plan) {
                tally.count(plan, rows: sums.source.rows)
                try await compareByLookup(plan, part, .source, pair)
                try await compareByLookup(plan, part, .target, pair)
            } else {
                try await compareRows(plan, part, sums, pair)
            }
            rest = bound == nil || bound == now.upper ? nil : now
            rest?.lower = bound
        }
    }

    private typealias Sums = (source: ChunkSum, target: ChunkSum)

    private func sums(
        _ plan: TablePlan, _ range: KeyRange, _ pair: SessionPair
    ) async throws -> Sums {
        try await pair.both { session in
            try await session.checksum(plan, plan.condition(session.side, range))
        }
    }

    private func isTooLarge(_ sums: Sums, _ plan: TablePlan) -> Bool {
        max(sums.source.rows, sums.target.rows) > UInt64(plan.chunkRows) * 2
    }

    /// Whether more rows of the table can become pending.
    private func hasRoom(_ plan: TablePlan) -> Bool {
        if tally.isStopped(plan.index) { return false }
        guard pending.isFull else { return true }
        tally.stop(plan.index, "the search ended: too many rows differ")
        return false
    }

    /// Compares a range's rows, which are few enough on both sides to hold their hashes.
    private func compareRows(
        _ plan: TablePlan, _ range: KeyRange, _ sums: Sums, _ pair: SessionPair
    ) async throws {
        tally.count(plan, rows: sums.source.rows)
        let rows = try await pair.both { session in
            try await session.digests(plan, plan.condition(session.side, range))
        }
        var source: [RowKey: RowDigest] = [:]
        source.reserveCapacity(rows.source.count)
        for row in rows.source where source.updateValue(row.digest, forKey: row.key) != nil {
            throw AmbiguousKey()
        }
        var differing: [PendingRow] = []
        var known: Set<RowKey> = []
        known.reserveCapacity(rows.target.count)
        for row in rows.target {
            guard known.insert(row.key).inserted else { throw AmbiguousKey() }
            let other = source.removeValue(forKey: row.key)
            if other != row.digest {
                differing.append(
                    PendingRow(table: plan.index, key: row.key, range: range, source: other))
            }
        }
        for (key, digest) in source {
            differing.append(
                PendingRow(table: plan.index, key: key, range: range, source: digest))
        }
        pending.add(differing)
    }

    /// Compares a range that holds far more rows on one side than on the other, since the orders
    /// of keys differ, or since rows of other tables are there: each row of `side` with the other
    /// side's row of that key.
    private func compareByLookup(
        _ plan: TablePlan, _ range: KeyRange, _ side: Side, _ pair: SessionPair
    ) async throws {
        let other = pair.on(side == .source ? .target : .source)
        var rest: KeyRange? = range
        while let now = rest, hasRoom(plan) {
            let bound = try await pair.on(side).bound(plan, now, plan.chunkRows)
            if let bound, bound == now.lower { throw AmbiguousKey() }
            let part = KeyRange(lower: now.lower, upper: bound ?? now.upper)
            let rows = try await pair.on(side).digests(plan, plan.condition(side, part))
            guard Set(rows.map(\.key)).count == rows.count else { throw AmbiguousKey() }
            // Others have been counted with their range.
            if plan.isShared { tally.count(plan, rows: UInt64(rows.count)) }
            for start in stride(from: 0, to: rows.count, by: 100) {
                let batch = rows[start..<min(start + 100, rows.count)]
                let found = try await other.find(plan, batch.map(\.key))
                pending.add(
                    batch.compactMap { row in
                        let match = found[row.key]?.digest
                        guard match != row.digest else { return nil }
                        return PendingRow(
                            table: plan.index, key: row.key, range: part,
                            source: side == .source ? row.digest : match)
                    })
            }
            rest = bound == nil || bound == now.upper ? nil : now
            rest?.lower = bound
        }
    }
}

extension TablePlan {
    /// A range's condition on one side.
    func condition(_ side: Side, _ range: KeyRange) -> String? { on(side).key?.condition(range) }
}
