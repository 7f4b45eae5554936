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
        try write("SET NAMES utf8mb4;")
        try write(
            "SET time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', "
                + "foreign_key_checks=0;")
    }

    private func write(_ statement: String) throws(SinkFailure) {
        do { try sink(statement) } catch { throw SinkFailure(cause: error) }
    }

    private static let mayBeAnothers = "may be another source's"

    /// Writes a statement, or a comment in its place where a person has to look first.
    private func write(_ statement: String, unless doubt: String?) throws(SinkFailure) {
        guard let doubt else { return try write(statement) }
        // A name with a line feed would end the comment.
        let isOneLine = !statement.utf8.contains(UInt8(ascii: "\n"))
        try write("-- \(doubt): \(isOneLine ? statement : "a name has a line feed")")
    }

    /// Why a person has to look before the target's row goes, or is replaced.
    private func doubt(_ row: DifferingRow, _ plan: TablePlan) -> String? {
        switch plan.separation {
        case .apart: nil
        case .likely: row.sourceKey == nil ? Self.mayBeAnothers : nil
        // No two rows have the key there; but the other table may have it by right.
        case .shared: row.targetKey == nil ? nil : "replaces what may be another table's row"
        }
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
        try await together {
            for row in rows {
                guard let key = row.targetKey, row.sourceKey == nil || !keepsRows else { continue }
                try write(
                    "DELETE FROM \(table)\(plan.targetSide.filter(targetKey.equals(key)));",
                    unless: doubt(row, plan))
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
                    try write("UPDATE \(table) SET \(list)\(found);", unless: doubt(row, plan))
                } else {
                    try write(insert(plan, values), unless: doubt(row, plan))
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
                    for _ in 0..<more { try write(insert(plan, values)) }
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
