internal import MySQLClient
internal import MySQLCore

/// Looks for rows of the target that belong to no table, where all tables that put rows there are
/// told apart by what is filled in. Tables on their own do not find such rows: each asks for its
/// part alone.
struct StrayRows: Sendable {
    let options: VerificationOptions
    let tally: Tally
    let pool: SessionPool
    /// Where fixes go, if anywhere.
    let fix: FixSQL?

    /// Rows with the same values in the columns that are filled in.
    private struct Group: Sendable {
        /// As they are told apart, as a condition, and as people read them.
        let condition: String
        let row: [(column: String, value: String)]
        let rows: UInt64
    }

    /// A table of the target with the columns that some part of it fills in.
    private struct Place: Sendable {
        let shape: TableShape
        let columns: [ColumnExpression]
    }

    private enum Outcome: Sendable {
        case none
        /// - Parameter lost: a table of which the target seems to have nothing.
        case found([Group], lost: TableName?)
        case undecided(String)
    }

    /// The tables that have such rows, or of which it could not be found out.
    func reports() async throws -> [TableReport] {
        var out: [TableReport] = []
        let all = options.partsByTarget
        for target in Set(options.tables.map(\.target)).sorted() {
            guard let parts = all[target], known(parts) != nil else { continue }
            var report = TableReport(source: target, target: target)
            do {
                let outcome = try await pool.use { try await look(target, parts, $0) }
                switch outcome {
                case .none: continue
                case .undecided(let reason): report.undecidedReason = reason
                case .found(let groups, lost: let lost):
                    report.notes.append("\(target) has rows that belong to none of the tables")
                    var doubt: String?
                    if let lost {
                        doubt = "may be rows of \(lost)"
                        report.notes.append(
                            "none of the rows of \(lost) is found on the target: those that seem to "
                                + "belong to no table may be its")
                    }
                    add(groups, to: &report)
                    try await fix?.delete(
                        from: target, where: groups.map(\.condition), unless: doubt)
                }
            } catch let error as SinkFailure {
                throw error
            } catch {
                if Task.isCancelled { throw error }
                report.undecidedReason = "\(error)"
            }
            out.append(report)
        }
        return out
    }

    private func add(_ groups: [Group], to report: inout TableReport) {
        let rows = groups.reduce(0) { $0 + $1.rows }
        report.differingRows = rows
        report.differences = groups.prefix(options.maxReportedRows).map { group in
            RowDifference(table: report.target, kind: .ofNoTable(rows: group.rows), row: group.row)
        }
        if groups.count >= options.maxDifferingRows {
            report.undecidedReason = "the search ended after \(groups.count) different values"
        }
        tally.progress { $0.differences += rows }
    }

    /// What is filled in by all that put rows into a table; `nil` when some fill nothing in, and
    /// any row may be theirs.
    private func known(_ parts: [TablePart]) -> Set<[FilledColumn]>? {
        let all = Set(parts.map(\.filled))
        return all.isEmpty || all.contains([]) ? nil : all
    }

    /// Looks until there are no such rows, or the same ones for long enough.
    private func look(
        _ target: TableName, _ first: [TablePart], _ pair: SessionPair
    ) async throws -> Outcome {
        var all = first
        guard var parts = known(all) else { return .none }
        guard var place = try await self.place(target, parts, pair) else { return .none }
        var delay = Duration.milliseconds(100)
        var last: [String] = []
        var since = ContinuousClock.now
        var looks = 0
        let end = since + options.patience + options.settle
        while true {
            let groups = try await strays(place, parts, pair)
            guard !groups.isEmpty else { return .none }
            tally.progress { $0.phase = .settling }
            let now = ContinuousClock.now
            // A table comes to the source before its rows come to the target.
            if let newer = try await options.readParts?()[target] {
                // One that fills nothing in may have any row.
                guard let filled = known(newer) else { return .none }
                all = newer
                if filled != parts {
                    guard now < end else {
                        return .undecided("tables kept coming for longer than \(options.patience)")
                    }
                    parts = filled
                    guard let changed = try await self.place(target, parts, pair) else {
                        return .none
                    }
                    place = changed
                    (last, looks) = ([], 0)
                    continue
                }
            }
            let conditions = groups.map(\.condition)
            if conditions != last { (last, since, looks) = (conditions, now, 0) }
            looks += 1
            if looks >= (options.settle == .zero ? 2 : 3), now - since >= options.settle {
                return .found(groups, lost: try await lost(all, place, pair))
            }
            guard now < end else {
                return .undecided(
                    "rows of no table kept changing for longer than \(options.patience)")
            }
            if options.settle > .zero { try await Task.sleep(for: delay) }
            delay = min(delay * 2, max(options.settle / 3, .milliseconds(100)))
        }
    }

    /// The columns that tell rows apart; `nil` where the table, or one of them, is not there, as
    /// the comparison of its parts tells.
    private func place(
        _ target: TableName, _ parts: Set<[FilledColumn]>, _ pair: SessionPair
    ) async throws -> Place? {
        let catalog = try await pair.target.catalog([target], estimates: false)
        guard let shape = catalog.shapes[target] else { return nil }
        var columns: [ColumnExpression] = []
        for name in Set(parts.joined().map { $0.name.lowercased() }).sorted() {
            guard let at = shape.columnIndex(name) else { return nil }
            let column = shape.columns[at]
            columns.append(
                ColumnExpression(
                    column: column,
                    form: ColumnForm(column, catalog.family, column, catalog.family)))
        }
        return Place(shape: shape, columns: columns)
    }

    /// A table with rows on the source of which the target seems to have none: then what is filled in
    /// may be there in a form that finds nothing, and rows that seem to be of no table its own.
    private func lost(
        _ parts: [TablePart], _ place: Place, _ pair: SessionPair
    ) async throws -> TableName? {
        let target = place.shape.name.quoted
        for part in parts {
            // Of a table that filters touch the target may rightly have no rows.
            guard let table = part.table, options.tables.contains(where: { $0.source == table }),
                let condition = part.filled.condition(in: place.shape)
            else { continue }
            // The source first: of a part that is empty the target would be read as a whole where
            // no key begins with what is filled in.
            let rows = try await pair.source.values("SELECT 1 FROM \(table.quoted) LIMIT 1")
            guard !rows.isEmpty else { continue }
            let there = try await pair.target.values(
                "SELECT 1 FROM \(target) WHERE \(condition) LIMIT 1")
            if there.isEmpty { return table }
        }
        return nil
    }

    /// The rows that none of the parts has.
    private func strays(
        _ place: Place, _ parts: Set<[FilledColumn]>, _ pair: SessionPair
    ) async throws -> [Group] {
        let names = place.columns.map { quoteIdentifier($0.column.name) }
        let list = place.columns.flatMap { [$0.exact, $0.display(200)] } + ["COUNT(*)"]
        // NULL is no table's value, and no comparison's result either.
        let others = parts.compactMap { $0.condition(in: place.shape) }.sorted().map { "(\($0))" }
        let rows = try await pair.target.values(
            """
            SELECT \(list.joined(separator: ",")) FROM \(place.shape.name.quoted) \
            WHERE (\(others.joined(separator: " OR "))) IS NOT TRUE \
            GROUP BY \(names.joined(separator: ",")) ORDER BY \(names.joined(separator: ",")) \
            LIMIT \(options.maxDifferingRows)
            """)
        return rows.map { row in
            var conditions: [String] = []
            var shown: [(column: String, value: String)] = []
            for (i, column) in place.columns.enumerated() {
                let literal = column.literal(row[2 * i], into: column.column)
                conditions.append(names[i] + (row[2 * i] == nil ? " IS NULL" : "=\(literal)"))
                let text = row[2 * i + 1].map { String(decoding: $0, as: UTF8.self) } ?? "NULL"
                shown.append((column.column.name, text))
            }
            let count = row[2 * place.columns.count].map { String(decoding: $0, as: UTF8.self) }
            return Group(
                condition: conditions.joined(separator: " AND "), row: shown,
                rows: count.flatMap { UInt64($0) } ?? 0)
        }
    }
}
