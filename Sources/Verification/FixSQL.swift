internal import MySQLCore

/// Writes the statements that would make the target equal.
///
/// Rows that differ are deleted and inserted again, all deletes first: so values of unique keys
/// that were swapped between rows get past each other. Foreign keys are not checked meanwhile,
/// since the rows as a whole are the source's.
struct FixSQL: Sendable {
    private let sink: @Sendable (String) throws -> Void

    /// Writes to `sink`.
    init(sink: @Sendable @escaping (String) throws -> Void) { self.sink = sink }

    /// The statements at the top. Values below are written for exactly these settings.
    func begin() throws {
        try write("-- Statements that make the target equal; read them before you run them.")
        try write("-- Those that are comments need a person's decision, or wait for one.")
        try write("SET NAMES utf8mb4;")
        try write(
            "SET time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', "
                + "foreign_key_checks=0;")
    }

    private func write(_ statement: String) throws(SinkFailure) {
        do { try sink(statement) } catch { throw SinkFailure(cause: error) }
    }

    private static let mayBeAnothers = "may be another source's"
    /// A client would stop there, and do nothing of what comes behind.
    private static let hasRival = "a row that stays has its values of a unique key"

    /// Writes a statement, or a comment in its place where a person has to look first.
    private func write(_ statement: String, unless doubt: String?) throws(SinkFailure) {
        guard let doubt else { return try write(statement) }
        // A name with a line feed would end the comment.
        let isOneLine = !statement.utf8.contains(UInt8(ascii: "\n"))
        try write("-- \(doubt): \(isOneLine ? statement : "a name has a line feed")")
    }

    /// Why a person has to look before the target's row goes, or is replaced, or is written.
    ///
    /// - Parameter blocked: keys of rows that can't be written.
    private func doubt(
        _ row: DifferingRow, _ plan: TablePlan, _ blocked: Set<RowKey>
    ) -> String? {
        switch plan.separation {
        case .apart: break
        case .likely: if row.sourceKey == nil { return Self.mayBeAnothers }
        // No two rows have the key there; but the other table may have it by right.
        case .shared:
            if row.targetKey != nil { return "replaces what may be another table's row" }
        }
        guard let key = row.sourceKey, blocked.contains(key) else { return nil }
        return Self.hasRival
    }

    /// Writes statements that only make sense together: where not all of them can be made, the
    /// others are taken back.
    private func together(_ body: () async throws -> Void) async throws {
        try write("START TRANSACTION;")
        do {
            try await body()
        } catch {
            if !(error is SinkFailure) { try write("ROLLBACK;") }
            throw error
        }
        try write("COMMIT;")
    }

    /// Repairs rows of a table with a key.
    func repair(
        _ rows: [DifferingRow], _ plan: TablePlan, _ pair: SessionPair
    ) async throws {
        guard let targetKey = plan.targetSide.key, let sourceKey = plan.sourceSide.key else {
            return
        }
        let (table, keepsRows) = (plan.target.name.quoted, !hasOnlyComparedColumns(plan))
        let blocked = try await blockedRows(rows, plan, pair, keepsRows: keepsRows)
        try await together {
            for row in rows {
                guard let key = row.targetKey, row.sourceKey == nil || !keepsRows else { continue }
                try write(
                    "DELETE FROM \(table)\(plan.targetSide.filter(targetKey.equals(key)));",
                    unless: doubt(row, plan, blocked))
            }
            for row in rows {
                guard let key = row.sourceKey else { continue }
                // The row may be gone by now; then there is nothing to insert.
                guard let values = try await read(plan, sourceKey.equals(key), pair) else {
                    continue
                }
                if keepsRows, let old = row.targetKey {
                    let list = values.map { "\($0.name)=\($0.literal)" }.joined(separator: ",")
                    let found = plan.targetSide.filter(targetKey.equals(old))
                    try write(
                        "UPDATE \(table) SET \(list)\(found);", unless: doubt(row, plan, blocked))
                } else {
                    try write(insert(plan, values), unless: doubt(row, plan, blocked))
                }
            }
        }
    }

    /// Repairs the numbers of copies of rows of a keyless table.
    func repair(_ rows: [DifferingCopies], _ plan: TablePlan, _ pair: SessionPair) async throws {
        guard !rows.isEmpty else { return }
        try await together {
            for row in rows {
                let more = row.source - row.target
                if more < 0, let condition = row.targetCondition {
                    try write(
                        "DELETE FROM \(plan.target.name.quoted)"
                            + "\(plan.targetSide.filter(condition)) LIMIT \(-more);",
                        unless: plan.separation == .apart ? nil : Self.mayBeAnothers)
                } else if more > 0, let condition = row.sourceCondition,
                    let values = try await read(plan, condition, pair)
                {
                    // What could be in the way is not deleted here, but where all is told apart.
                    let keys = plan.separation == .apart ? [] : contestedKeys(plan)
                    let isBlocked = try await isRivalled(
                        values, by: keys, plan, pair, going: [], own: nil)
                    for _ in 0..<more {
                        try write(insert(plan, values), unless: isBlocked ? Self.hasRival : nil)
                    }
                }
            }
        }
    }

    /// Deletes rows of the target that belong to no table.
    ///
    /// - Parameter doubt: why they may be some table's after all: a person has to look first, then.
    func delete(
        from table: TableName, where conditions: [String], unless doubt: String?
    ) async throws {
        guard !conditions.isEmpty else { return }
        try await together {
            for condition in conditions {
                try write("DELETE FROM \(table.quoted) WHERE \(condition);", unless: doubt)
            }
        }
    }

    /// Rows that can't be written: a row of the target that stays has their values of a unique key.
    /// It may be another table's, or one whose DELETE is a comment. Then nothing is taken away for
    /// them, either.
    private func blockedRows(
        _ rows: [DifferingRow], _ plan: TablePlan, _ pair: SessionPair, keepsRows: Bool
    ) async throws -> Set<RowKey> {
        let keys = contestedKeys(plan)
        guard !keys.isEmpty, let sourceKey = plan.sourceSide.key else { return [] }
        var found: Set<RowKey> = []
        var before = -1
        // What stays for that may be in the way of others.
        while found.count != before {
            before = found.count
            var going: [RowKey] = []
            for row in rows where row.sourceKey == nil || !keepsRows {
                guard let key = row.targetKey, doubt(row, plan, found) == nil else { continue }
                going.append(key)
            }
            for row in rows {
                guard let key = row.sourceKey, doubt(row, plan, found) == nil else { continue }
                guard let values = try await read(plan, sourceKey.equals(key), pair) else {
                    continue
                }
                let isBlocked = try await isRivalled(
                    values, by: keys, plan, pair, going: going, own: row.targetKey)
                if isBlocked { found.insert(key) }
            }
        }
        return found
    }

    /// Unique keys of the target by which a row of another table, or of none, may be in the way.
    private func contestedKeys(_ plan: TablePlan) -> [KeyShape] {
        guard plan.separation != .apart || !plan.filled.isEmpty else { return [] }
        var own: Set<String> = []
        for index in plan.key ?? [] {
            own.insert(plan.columns[index].target.column.name.lowercased())
        }
        return plan.target.keys.filter { key in
            guard key.isUnique else { return false }
            let columns = key.parts.map { $0.column?.lowercased() ?? "" }
            let others = Set(columns.filter { !plan.filled.holds($0) })
            // By the key that rows are compared by, in their part, only the row itself is found.
            return others != own || columns.count - others.count != plan.filled.count
        }
    }

    /// Whether the target has a row with the same values in a unique key that stays.
    ///
    /// - Parameters:
    ///   - going: rows that are deleted before.
    ///   - own: the row that is replaced.
    private func isRivalled(
        _ values: [(name: String, literal: String)], by keys: [KeyShape], _ plan: TablePlan,
        _ pair: SessionPair, going: [RowKey], own: RowKey?
    ) async throws -> Bool {
        let mayGo = (own.map { [$0] } ?? []) + going
        for key in keys {
            guard let same = condition(of: key, values, plan) else { continue }
            let query = "SELECT 1 FROM \(plan.target.name.quoted)"
            let there = try await pair.target.values("\(query) WHERE \(same) LIMIT 1")
            if there.isEmpty { continue }
            var goes = false
            for start in stride(from: 0, to: mayGo.count, by: 200) where !goes {
                let some = mayGo[start..<min(start + 200, mayGo.count)]
                guard let isOne = plan.targetSide.key?.isOne(of: some) else { break }
                let filter = plan.targetSide.filter("\(same) AND (\(isOne))")
                goes = try await !pair.target.values("\(query)\(filter) LIMIT 1").isEmpty
            }
            if !goes { return true }
        }
        return false
    }

    /// What finds the row that has a new row's values in a key; `nil` where none can be in the way,
    /// or it can't be told: parts that are expressions, or values that the target makes itself.
    private func condition(
        of key: KeyShape, _ values: [(name: String, literal: String)], _ plan: TablePlan
    ) -> String? {
        var terms: [String] = []
        for part in key.parts {
            guard let column = part.column, part.prefixLength == nil else { return nil }
            let name = quoteIdentifier(column)
            var found = values.first { $0.name.lowercased() == name.lowercased() }?.literal
            for filled in plan.filled where filled.name.lowercased() == column.lowercased() {
                let shape = plan.target.columnIndex(column).map { plan.target.columns[$0] }
                found = searchLiteral(filled.value, in: shape)
            }
            guard let literal = found, literal != "NULL" else { return nil }
            terms.append("\(name)=\(literal)")
        }
        return terms.joined(separator: " AND ")
    }

    /// Whether the target has no base column of its own, whose values a DELETE would lose.
    private func hasOnlyComparedColumns(_ plan: TablePlan) -> Bool {
        let known = Set(plan.columns.map(\.target.column.name))
        return plan.target.columns.allSatisfy {
            $0.generation != nil || known.contains($0.name) || plan.filled.holds($0.name)
        }
    }

    private func insert(_ plan: TablePlan, _ row: [(name: String, literal: String)]) -> String {
        let filled = plan.filled.map {
            (name: quoteIdentifier($0.name), literal: utf8Literal($0.value))
        }
        let values = row + filled
        let names = values.map(\.name).joined(separator: ",")
        return "INSERT INTO \(plan.target.name.quoted) (\(names))"
            + " VALUES (\(values.map(\.literal).joined(separator: ",")));"
    }

    /// The source's row as names of target columns and literals.
    private func read(
        _ plan: TablePlan, _ condition: String, _ pair: SessionPair
    ) async throws -> [(name: String, literal: String)]? {
        let columns = plan.columns.filter { $0.target.column.generation == nil }
        let list = columns.map(\.source.exact).joined(separator: ",")
        let rows = try await pair.source.values(
            "SELECT \(list) FROM \(plan.source.name.quoted) WHERE \(condition) LIMIT 1")
        guard let row = rows.first else { return nil }
        return zip(columns, row).map { column, value in
            (
                quoteIdentifier(column.target.column.name),
                column.source.literal(value, into: column.target.column)
            )
        }
    }
}

/// What the sink of a fix has thrown: it concerns the caller, not a table.
struct SinkFailure: Error {
    let cause: any Error
}
