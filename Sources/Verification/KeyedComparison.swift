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
        var rest = range
        while !tally.isStopped(plan.index) {
            let whole = rest
            let sums = try await pair.both { session in
                try await session.checksum(plan, plan.condition(session.side, whole))
            }
            if sums.source == sums.target {
                tally.count(plan, rows: sums.source.rows)
                return
            }
            // Without this, one side's rows beyond the last bound could be any number.
            let most = max(sums.source.rows, sums.target.rows)
            if most > UInt64(plan.chunkRows) * 2 {
                let larger: Side = sums.source.rows >= sums.target.rows ? .source : .target
                let bound = try await pair.on(larger).bound(plan, rest, plan.chunkRows)
                if let bound, bound != rest.upper {
                    try await compareRows(plan, KeyRange(lower: rest.lower, upper: bound), pair)
                    rest.lower = bound
                    continue
                }
            }
            try await compareRows(plan, rest, pair)
            return
        }
    }

    private func compareRows(
        _ plan: TablePlan, _ range: KeyRange, _ pair: SessionPair
    ) async throws {
        let sums = try await pair.both { session in
            try await session.checksum(plan, plan.condition(session.side, range))
        }
        tally.count(plan, rows: sums.source.rows)
        if sums.source == sums.target { return }
        let rows = try await pair.both { session in
            try await session.digests(plan, plan.condition(session.side, range))
        }
        var source: [RowKey: RowDigest] = [:]
        source.reserveCapacity(rows.source.count)
        for row in rows.source { source[row.key] = row.digest }
        var differing: [PendingRow] = []
        for row in rows.target {
            let other = source.removeValue(forKey: row.key)
            if other != row.digest {
                differing.append(PendingRow(table: plan.index, key: row.key, source: other))
            }
        }
        for (key, digest) in source {
            differing.append(PendingRow(table: plan.index, key: key, source: digest))
        }
        pending.add(differing)
    }
}

extension TablePlan {
    /// A range's condition on one side.
    func condition(_ side: Side, _ range: KeyRange) -> String? { on(side).key?.condition(range) }
}
