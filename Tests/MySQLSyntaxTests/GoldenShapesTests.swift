import MySQLCore
import MySQLSyntax
import Testing

@Suite struct GoldenShapesTests {
    /// Shapes carried forward from the start of each scenario equal what the server said.
    @Test(arguments: ["mariadb-10.11.txt", "mysql-9.7.txt"])
    func shapesFollowTheServer(file: String) throws {
        let golden = try GoldenShapes(named: file)
        var statements = 0
        for scenario in golden.scenarios {
            var context = SyntaxContext(
                version: golden.version, sqlMode: SQLMode(text: scenario.sqlMode),
                defaultSchema: scenario.defaultSchema)
            // The packaged MariaDB and the throw-away one differ in this; it is the default.
            context.serverCollation = nil
            var state = SchemaState()
            let schema = "create schema g character set \(scenario.charset)"
            try run(schema, &state, context)
            for step in scenario.steps {
                statements += 1
                let changed: [TableName]
                do {
                    changed = try run(step.statement, &state, context)
                } catch {
                    Issue.record("\(step.statement)\n\(error)")
                    // The rest of the scenario goes on from what the server had.
                    for shape in step.changed { state.tables[shape.name] = shape }
                    continue
                }
                for name in step.gone {
                    let table = TableName(schema: "g", name: name)
                    #expect(state.tables[table] == nil, "\(step.statement)")
                }
                for shape in step.changed {
                    #expect(changed.contains(shape.name) || isParent(shape, of: step))
                    let differences = compare(state.tables[shape.name], shape, in: state)
                    #expect(differences == [], "\(step.statement)")
                    if differences != [] { state.tables[shape.name] = shape }
                }
            }
        }
        #expect(statements > 300)
    }

    @discardableResult
    private func run(
        _ sql: String, _ state: inout SchemaState, _ context: SyntaxContext
    ) throws -> [TableName] {
        let statement = try parseStatement(sql, context: context)
        guard let ddl = statement.ddl else { return [] }
        return try state.apply(ddl, context: context)
    }

    /// A child changes with its parent's name or columns without being named.
    private func isParent(_ shape: TableShape, of step: GoldenShapes.Step) -> Bool {
        !shape.foreignKeys.isEmpty
    }

    private func compare(
        _ found: TableShape?, _ expected: TableShape, in state: SchemaState
    ) -> [String] {
        guard var found else { return ["\(expected.name) is missing"] }
        if state.implicitlyVersioned.contains(expected.name) { found.columns.removeLast(2) }
        var out: [String] = []
        if found.engine != expected.engine { out.append("engine \(found.engine ?? "-")") }
        if found.collation != expected.collation {
            out.append("collation \(found.collation ?? "-") not \(expected.collation ?? "-")")
        }
        if found.columns.map(\.name) != expected.columns.map(\.name) {
            out.append(
                "columns \(found.columns.map(\.name)) not \(expected.columns.map(\.name))")
        } else {
            for (a, b) in zip(found.columns, expected.columns) where a != b {
                out.append("column \(text(a)) not \(text(b))")
            }
        }
        compareKeys(found, expected, &out)
        let a = found.foreignKeys.sorted { $0.name < $1.name }
        let b = expected.foreignKeys.sorted { $0.name < $1.name }
        if a != b { out.append("foreign keys \(a.map(text)) not \(b.map(text))") }
        return out
    }

    /// Unique keys in order, others by name: their order is no one's concern.
    private func compareKeys(
        _ found: TableShape, _ expected: TableShape, _ out: inout [String]
    ) {
        if found.keys.filter(\.isUnique) != expected.keys.filter(\.isUnique) {
            let lists = [found, expected].map { $0.keys.filter(\.isUnique).map(text) }
            out.append("unique keys \(lists[0]) not \(lists[1])")
        }
        let a = found.keys.filter { !$0.isUnique }.sorted { $0.name < $1.name }
        let b = expected.keys.filter { !$0.isUnique }.sorted { $0.name < $1.name }
        if a != b { out.append("keys \(a.map(text)) not \(b.map(text))") }
    }

    private func text(_ column: ColumnShape) -> String {
        let type = column.type
        return "\(column.name) \(type.kind) \(type.length ?? -1) \(type.decimals) \(type.elements)"
            + " \(type.isUnsigned) null \(column.isNullable) \(column.collation ?? "-")"
            + " \(column.generation?.rawValue ?? "-") \(column.isInvisible)"
            + " \(column.isAutoIncrement)"
    }

    private func text(_ key: KeyShape) -> String {
        let parts = key.parts.map { "\($0.column ?? "()")/\($0.prefixLength ?? 0)" }
        return "\(key.name)(\(parts.joined(separator: ",")))"
    }

    private func text(_ key: ForeignKeyShape) -> String {
        "\(key.name)\(key.columns) \(key.parent)\(key.parentColumns) \(key.onDelete) \(key.onUpdate)"
    }
}
