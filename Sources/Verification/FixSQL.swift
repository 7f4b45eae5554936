internal import MySQLCore

/// Writes the statements that would make the target equal.
///
/// Rows that differ are deleted and inserted again, all deletes first: so values of unique keys
/// that were swapped between rows get past each other. Foreign keys are not checked meanwhile,
/// since the rows as a whole are the source's.
struct FixSQL: Sendable {
    let sink: @Sendable (String) throws -> Void

    /// The statements at the top. Values below are written for exactly these settings.
    func begin() throws {
        try sink("-- Statements that make the target equal; read them before you run them.")
        try sink("SET NAMES utf8mb4;")
        try sink("SET time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO', foreign_key_checks=0;")
    }

    /// Repairs rows of a table with a key.
    func repair(
        _ rows: [DifferingRow], _ plan: TablePlan, _ pair: SessionPair
    ) async throws {
        guard let targetKey = plan.targetSide.key, let sourceKey = plan.sourceSide.key else {
            return
        }
        try sink("START TRANSACTION;")
        let keepsRows = !hasOnlyComparedColumns(plan)
        for row in rows {
            guard let key = row.targetKey, row.sourceKey == nil || !keepsRows else { continue }
            try sink("DELETE FROM \(plan.target.name.quoted) WHERE \(targetKey.equals(key));")
        }
        for row in rows {
            guard let key = row.sourceKey else { continue }
            // The row may be gone by now; then there is nothing to insert.
            guard let values = try await read(plan, sourceKey.equals(key), pair) else { continue }
            if keepsRows, let old = row.targetKey {
                let list = values.map { "\($0.name)=\($0.literal)" }.joined(separator: ",")
                try sink(
                    "UPDATE \(plan.target.name.quoted) SET \(list) WHERE \(targetKey.equals(old));")
            } else {
                try sink(insert(plan, values))
            }
        }
        try sink("COMMIT;")
    }

    /// Repairs the number of copies of one row of a keyless table.
    func repair(_ row: DifferingCopies, _ plan: TablePlan, _ pair: SessionPair) async throws {
        let more = row.source - row.target
        if more < 0, let condition = row.targetCondition {
            try sink(
                "DELETE FROM \(plan.target.name.quoted) WHERE \(condition) LIMIT \(-more);")
        } else if more > 0, let condition = row.sourceCondition,
            let values = try await read(plan, condition, pair)
        {
            for _ in 0..<more { try sink(insert(plan, values)) }
        }
    }

    /// Whether the target has no base column of its own, whose values a DELETE would lose.
    private func hasOnlyComparedColumns(_ plan: TablePlan) -> Bool {
        let known = Set(plan.columns.map(\.target.column.name))
        return plan.target.columns.allSatisfy { $0.generation != nil || known.contains($0.name) }
    }

    private func insert(_ plan: TablePlan, _ values: [(name: String, literal: String)]) -> String {
        "INSERT INTO \(plan.target.name.quoted) (\(values.map(\.name).joined(separator: ",")))"
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
