internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

/// A table's shape as an operator chooses it, checked as far as that can be done before rows are
/// read by it: each column must be one that the target has.
struct ChosenShape {
    let table: TableName
    let mapping: TableMapping
    let source: ConnectionOptions
    let target: Connection
    /// The tables whose shapes the checkpoint holds.
    let known: Set<TableName>

    /// No server allows more columns.
    private static let mostColumns = 4_096

    /// The shape.
    ///
    /// - Throws: ``UnsettableShape``, `MySQLError`, `UnknownColumnType`.
    func shape(_ origin: ShapeOrigin) throws -> TableShape {
        let route = try mapping.route(of: table)
        guard let there = try SchemaReader(target).shape(of: route.target) else {
            throw UnsettableShape(
                "the target has no table \(route.target), where rows of \(table) go",
                remedy: "create it there first")
        }
        let shape =
            switch origin {
            case .source: try ofSource()
            case .target: try ofTarget(there, route)
            case .text(let text): try ofText(text)
            }
        guard (1...Self.mostColumns).contains(shape.columns.count) else {
            throw UnsettableShape("a table has 1 to \(Self.mostColumns) columns")
        }
        let filled = Set(route.extracted.map { $0.name.lowercased() })
        for column in shape.columns where column.generation == nil {
            guard there.columnIndex(column.name) != nil,
                !filled.contains(column.name.lowercased())
            else {
                throw UnsettableShape(
                    "the target's table \(route.target) has no column \(column.name)"
                        + (filled.isEmpty ? "" : " of the source"),
                    remedy: "add the column there first, or leave it out of the shape if rows of "
                        + "the source do not have it")
            }
        }
        // MariaDB's rows may end with hashes of long unique keys, which nothing tells from whole
        // numbers: a column that is missing at the end would be taken for one.
        if shape.hashableKeys > 0,
            let more = there.columns.first(where: {
                $0.type.kind == .bigint && !filled.contains($0.name.lowercased())
                    && shape.columnIndex($0.name) == nil
            })
        {
            throw UnsettableShape(
                "column \(more.name) is not in it, and could not be told from the hidden column of a "
                    + "unique key over a TEXT, a BLOB or many bytes, which the shape has",
                remedy: "drop the column of the target, or copy the table anew")
        }
        return shape
    }

    private func ofSource() throws -> TableShape {
        guard let shape = try SchemaReader(Connection(source)).shape(of: table) else {
            throw UnsettableShape(
                "the source has no table \(table) now",
                remedy: "give the shape as a CREATE TABLE statement in a file")
        }
        return shape
    }

    /// The target's table by its name on the source, without columns that routes fill. Parents of
    /// foreign keys get the names that they have on the source.
    private func ofTarget(_ there: TableShape, _ route: Route) throws -> TableShape {
        var shape = there
        shape.name = table
        let filled = Set(route.extracted.map { $0.name.lowercased() })
        shape.columns.removeAll { filled.contains($0.name.lowercased()) }
        for index in shape.keys.indices {
            shape.keys[index].parts.removeAll {
                $0.column.map { filled.contains($0.lowercased()) } ?? false
            }
        }
        shape.keys.removeAll(where: \.parts.isEmpty)
        var parents: [TableName: TableName] = [route.target: table]
        for name in known where name != table {
            let target = try mapping.target(of: name)
            parents[target] = parents[target] ?? name
        }
        shape.foreignKeys = shape.foreignKeys.compactMap { key in
            guard let parent = parents[key.parent] else { return nil }
            var key = key
            key.parent = parent
            return key
        }
        return shape
    }

    /// What a CREATE TABLE statement declares on the source.
    private func ofText(_ text: String) throws -> TableShape {
        let connection = try Connection(source)
        var context = SyntaxContext(
            version: connection.serverVersion, defaultSchema: table.schema)
        context.lowerCaseTableNames =
            Int(
                try connection.value("SELECT @@lower_case_table_names") ?? "") ?? 0
        context.serverCollation = try connection.value("SELECT @@collation_server")
        if let collation = try connection.rows(
            "SHOW VARIABLES LIKE 'default_collation_for_utf8mb4'"
        ).first?[1] {
            context.defaultCollations["utf8mb4"] = collation.lowercased()
        }
        let create = try declaration(text, context)
        guard create.table == table else {
            throw UnsettableShape(
                "the statement creates \(create.table), not \(table)",
                remedy: "name the table in it as --table does, or without a schema")
        }
        var state = SchemaState()
        state.schemas = try SchemaReader(connection).defaults()
        do throws(ShapeError) {
            _ = try state.apply(.createTable(create), context: context)
        } catch {
            throw UnsettableShape("the statement is not understood: \(error)")
        }
        guard let shape = state.tables[table] else {
            throw UnsettableShape("the statement declares no table")
        }
        return shape
    }

    /// The one CREATE TABLE that a text is, which declares its columns itself.
    private func declaration(_ text: String, _ context: SyntaxContext) throws -> CreateTable {
        let refusal = UnsettableShape(
            "the text is not exactly one CREATE TABLE statement that lists its columns",
            remedy: "write one, without TEMPORARY, LIKE and SELECT, as SHOW CREATE TABLE prints it")
        let statement: Statement
        do throws(SyntaxError) {
            statement = try parseStatement(text, context: context)
        } catch {
            // The reason has none of the statement's literals.
            throw UnsettableShape(
                "the text is not understood as one CREATE TABLE statement: \(error.reason) at byte "
                    + "\(error.offset)", remedy: refusal.remedy)
        }
        guard case .createTable(let create)? = statement.ddl, !create.isTemporary,
            create.like == nil, !create.isFromSelect, !create.isExternal, !create.columns.isEmpty
        else { throw refusal }
        return create
    }
}
