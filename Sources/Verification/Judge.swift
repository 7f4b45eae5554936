internal import MySQLCore

/// Decides pending rows, records those that differ, and writes how to repair them.
struct Judge: Sendable {
    let plans: [Int: TablePlan]
    let options: VerificationOptions
    let tally: Tally
    let pool: SessionPool

    /// Where fixes go, if anywhere.
    var fix: FixSQL? { options.fixSQL.map { FixSQL(sink: $0) } }

    /// Decides all of `rows`.
    func judge(_ rows: [PendingRow]) async throws {
        guard !rows.isEmpty else { return }
        tally.progress { $0.phase = .settling }
        let settling = Settling(plans: plans, options: options, tally: tally, pool: pool)
        let differing = Dictionary(grouping: try await settling.decide(rows), by: \.table)
        for (table, rows) in differing.sorted(by: { $0.key < $1.key }) {
            guard let plan = plans[table] else { continue }
            try await pool.use { pair in
                try await tally.guarding(plan) { try await record(rows, plan, pair) }
            }
        }
        tally.progress { $0.phase = .chunks }
    }

    /// Joins a row that is missing with one that is extra, when the key's collation takes their
    /// keys for the same: `a` became `A`. Where rows of other tables are there, nobody knows what is
    /// extra; but no two rows have that key.
    private func joined(
        _ rows: [DifferingRow], _ plan: TablePlan, _ pair: SessionPair
    ) async throws -> [DifferingRow] {
        let hasText = plan.sourceSide.key?.literals.contains {
            if case .text = $0 { true } else { false }
        }
        guard hasText == true else { return rows }
        var extra: Set<RowKey> = []
        for row in rows where row.sourceKey == nil { row.targetKey.map { _ = extra.insert($0) } }
        guard plan.isShared || !extra.isEmpty else { return rows }
        var out: [DifferingRow] = []
        for row in rows where row.sourceKey != nil {
            guard let key = row.sourceKey, row.targetKey == nil,
                let other = try await pair.target.findLoosely(plan, key),
                plan.isShared || extra.remove(other) != nil
            else {
                out.append(row)
                continue
            }
            out.append(DifferingRow(table: row.table, sourceKey: key, targetKey: other))
        }
        return out + rows.filter { $0.sourceKey == nil && extra.contains($0.targetKey!) }
    }

    /// The plan with what is known now of other tables' rows, for rows that only the target has: a
    /// table that has come meanwhile may have put them there. It comes to the source before its rows
    /// come to the target.
    private func renewed(_ plan: TablePlan, _ pair: SessionPair) async throws -> TablePlan {
        guard !plan.isShared, let readParts = options.readParts else { return plan }
        var plan = plan
        do {
            guard let all = try await readParts()[plan.target.name], all.count > 1 else {
                return plan
            }
            let parts = try await TableParts(all, in: plan.target, pair.target)
            let table = ComparedTable(
                source: plan.source.name, target: plan.target.name, filled: plan.filled)
            let separation = parts.separation(of: table)
            guard separation != plan.separation else { return plan }
            plan.separation = separation
            if let note = separation.note(plan.target.name) {
                tally.update(plan.index) { report in
                    if !report.notes.contains(note) { report.notes.append(note) }
                }
            }
        } catch {
            if Task.isCancelled { throw error }
            // Other differences count; of these rows nothing is known.
            tally.stop(plan.index, "\(error)")
            plan.separation = .shared
        }
        return plan
    }

    private func record(
        _ differing: [DifferingRow], _ known: TablePlan, _ pair: SessionPair
    ) async throws {
        let hasExtra = differing.contains { $0.sourceKey == nil }
        let plan = try await hasExtra ? renewed(known, pair) : known
        var rows = differing
        do {
            rows = try await joined(differing, plan, pair)
        } catch {
            if Task.isCancelled { throw error }
            tally.stop(plan.index, "\(error)")
        }
        if plan.isShared { rows.removeAll { $0.sourceKey == nil } }
        let details = RowDetails(plan: plan, pair: pair)
        try await count(rows, plan) { try await details.describe($0) }
        if tally.tables[plan.index].differingRows >= options.maxDifferingRows {
            tally.stop(
                plan.index,
                "the search ended after \(options.maxDifferingRows) differing rows")
        }
        guard let fix, !rows.isEmpty else { return }
        tally.progress { $0.phase = .fixes }
        try await fix.repair(rows, plan, pair)
    }

    /// Records rows of a keyless table whose numbers of copies differ.
    func record(
        _ differing: [DifferingCopies], _ known: TablePlan, _ pair: SessionPair
    ) async throws {
        let hasExtra = differing.contains { $0.target > $0.source }
        let plan = try await hasExtra ? renewed(known, pair) : known
        let rows = plan.isShared ? differing.filter { $0.target < $0.source } : differing
        let details = RowDetails(plan: plan, pair: pair)
        try await count(rows, plan) { row in
            let side: Side = row.sourceCondition == nil ? .target : .source
            let condition = row.sourceCondition ?? row.targetCondition ?? "FALSE"
            return RowDifference(
                table: plan.source.name, kind: .copies(source: row.source, target: row.target),
                row: try await details.sample(side, where: condition))
        }
        try await fix?.repair(rows, plan, pair)
    }

    /// Counts rows that differ, and describes the first ones.
    ///
    /// That they differ is known by now: one that can't be described counts, too.
    ///
    /// - Throws: what went wrong with the first one that could not be described, at the end.
    private func count<Row>(
        _ rows: [Row], _ plan: TablePlan, describe: (Row) async throws -> RowDifference
    ) async throws {
        var room = options.maxReportedRows - tally.tables[plan.index].differences.count
        var failure: (any Error)?
        for row in rows {
            var difference: RowDifference?
            if room > 0, failure == nil {
                room -= 1
                do {
                    difference = try await describe(row)
                } catch {
                    if Task.isCancelled { throw error }
                    failure = error
                }
            }
            tally.add(plan, difference, limit: options.maxReportedRows)
        }
        if let failure { throw failure }
    }
}
