internal import MySQLCore

/// Finds out how rows differ, for people.
struct RowDetails: Sendable {
    let plan: TablePlan
    let pair: SessionPair

    /// How many characters of a value are shown.
    private static let shown = 200

    /// Describes a row that differs.
    func describe(_ row: DifferingRow) async throws -> RowDifference {
        let kind: RowDifference.Kind
        switch (row.sourceKey, row.targetKey) {
        case (_, nil): kind = .missingOnTarget
        case (nil, _): kind = .extraOnTarget
        case (let source?, let target?):
            let names = try await differingColumns(source, target)
            kind = .columns(names)
        }
        let side: Side = row.sourceKey == nil ? .target : .source
        return RowDifference(
            table: plan.source.name, kind: kind,
            row: try await keyValues(side, row.sourceKey ?? row.targetKey))
    }

    /// The key's columns with values that a person can read.
    private func keyValues(
        _ side: Side, _ key: RowKey?
    ) async throws -> [(column: String, value: String)] {
        guard let key, let columns = plan.on(side).key, let indices = plan.key else { return [] }
        let expressions = indices.map { plan.columns[$0].on(side) }
        let list = expressions.map { $0.display(Self.shown) }.joined(separator: ",")
        let found = try await pair.on(side).values(
            "SELECT \(list) FROM \(plan.on(side).table)"
                + plan.on(side).filter(columns.equals(key)))
        return expressions.indices.map { i in
            // The row can be gone by now: then the literal names it.
            let value =
                found.first.map { String(decoding: $0[i] ?? [], as: UTF8.self) }
                ?? columns.literals[i].sql(key.parts[i])
            return (plan.columns[indices[i]].source.column.name, value)
        }
    }

    /// The columns whose values differ: each is hashed on its own on both sides, but those that
    /// are compared here, which are read one at a time.
    private func differingColumns(_ source: RowKey, _ target: RowKey) async throws -> [String] {
        func read(_ side: Side, _ key: RowKey) async throws -> [[UInt8]?] {
            guard let columns = plan.on(side).key else { return [] }
            let list = plan.columns.map { pair in
                let expression = pair.on(side)
                return pair.form.client == nil ? "SHA2(\(expression.part),256)" : expression.value
            }.joined(separator: ",")
            let sql = "SELECT \(list) FROM \(plan.on(side).table)"
            let found = plan.on(side).filter(columns.equals(key))
            let row = try await pair.on(side).values(sql + found).first ?? []
            return zip(row, plan.columns).map { value, column in
                guard let value, let form = column.form.client else { return value }
                return Array(Digest.digest(form.bytes(value, side).span.bytes))
            }
        }
        let (a, b) = (try await read(.source, source), try await read(.target, target))
        return zip(zip(a, b), plan.columns).compactMap { values, column in
            values.0 == values.1 ? nil : column.source.column.name
        }
    }

    /// A keyless table's row by the condition that finds it: its first columns.
    func sample(
        _ side: Side, where condition: String
    ) async throws -> [(column: String, value: String)] {
        let columns = plan.columns.prefix(6)
        let list = columns.map { $0.on(side).display(60) }.joined(separator: ",")
        let found = try await pair.on(side).values(
            "SELECT \(list) FROM \(plan.on(side).table)\(plan.on(side).filter(condition)) LIMIT 1")
        return zip(columns, found.first ?? []).map { column, value in
            (
                column.source.column.name,
                value.map { String(decoding: $0, as: UTF8.self) } ?? "NULL"
            )
        }
    }
}
