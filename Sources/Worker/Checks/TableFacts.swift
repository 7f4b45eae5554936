internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Settings

/// What pre-checks know about the selected tables of one server. A few statements per schema,
/// however many tables there are.
struct TableFacts {
    /// A table's entry in `information_schema`.
    struct Entry {
        var name: TableName
        /// `BASE TABLE`, `SYSTEM VERSIONED`, `SEQUENCE` or `VIEW`.
        var kind: String
        var engine: String?
        var rows: UInt64
        var bytes: UInt64
        var collation: String?

        /// Whether it has rows to migrate.
        var isTable: Bool { kind == "BASE TABLE" || kind == "SYSTEM VERSIONED" }
    }

    /// A column whose type this product doesn't know.
    struct UnknownColumn {
        var table: TableName
        var column: String
        var type: String
    }

    /// Schemas in which a selected table could be, of those that exist.
    let schemas: [String]
    /// Selected tables, sequences and views, sorted by name.
    private(set) var entries: [Entry]
    /// Shapes of the selected tables; those with unknown types are missing.
    private(set) var shapes: [TableName: TableShape]
    /// Columns of unknown types in selected tables.
    let unknownColumns: [UnknownColumn]

    /// The selected tables, without views and sequences.
    var tables: [Entry] { entries.filter(\.isTable) }

    /// Reads the facts.
    ///
    /// - Parameter only: reads shapes of these tables alone, when given.
    init(
        _ connection: Connection, mayHold: (String) -> Bool, selects: (TableName) -> Bool,
        only: Set<TableName>? = nil
    ) throws {
        let reader = SchemaReader(connection)
        schemas = try reader.schemas().filter(mayHold)
        guard !schemas.isEmpty else {
            (entries, shapes, unknownColumns) = ([], [:], [])
            return
        }
        let list = schemas.map { utf8Literal($0) }.joined(separator: ",")
        let entries = try connection.rows(
            """
            SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS, DATA_LENGTH, \
            TABLE_COLLATION FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (\(list))
            """
        ).map { row in
            Entry(
                name: TableName(schema: row[0] ?? "", name: row[1] ?? ""), kind: row[2] ?? "",
                engine: row[3], rows: row[4].flatMap { UInt64($0) } ?? 0,
                bytes: row[5].flatMap { UInt64($0) } ?? 0, collation: row[6]?.lowercased())
        }.filter { selects($0.name) }.sorted { $0.name < $1.name }
        self.entries = entries
        var wanted = Set(entries.filter(\.isTable).map(\.name))
        if let only { wanted.formIntersection(only) }
        let unknown = try Self.unknownColumns(connection, list).filter { wanted.contains($0.table) }
        unknownColumns = unknown
        shapes = try reader.shapes(of: wanted.subtracting(unknown.map(\.table)))
    }

    /// What the target has of tables, by the names that the source calls them.
    ///
    /// - Parameter sources: of each table of the target, the source's; of those that are merged
    ///   into it, one.
    init(target connection: Connection, _ sources: [TableName: TableName]) throws {
        let schemas = Set(sources.keys.map(\.schema))
        try self.init(
            connection, mayHold: { schemas.contains($0) }, selects: { sources[$0] != nil })
        for i in entries.indices { entries[i].name = sources[entries[i].name] ?? entries[i].name }
        var renamed: [TableName: TableShape] = [:]
        for (name, shape) in shapes {
            var shape = shape
            shape.name = sources[name] ?? name
            renamed[shape.name] = shape
        }
        shapes = renamed
    }

    /// Asks only for columns of types outside the known ones, so that the answer is short.
    private static func unknownColumns(
        _ connection: Connection, _ schemas: String
    ) throws(MySQLError) -> [UnknownColumn] {
        let known = ColumnType.Kind.allCases.map { "'\($0.rawValue)'" }.joined(separator: ",")
        let rows = try connection.rows(
            """
            SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE \
            FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN (\(schemas)) \
            AND LOWER(DATA_TYPE) NOT IN (\(known))
            """)
        return rows.filter { ColumnType(columnTypeText: $0[3] ?? "") == nil }.map { row in
            UnknownColumn(
                table: TableName(schema: row[0] ?? "", name: row[1] ?? ""), column: row[2] ?? "",
                type: row[3] ?? "")
        }
    }
}
