public import MySQLCore

/// A column whose declared type this product does not know.
public struct UnknownColumnType: Error, Sendable, CustomStringConvertible {
    /// The table.
    public let table: TableName
    /// The column.
    public let column: String
    /// Its type as the server spells it.
    public let type: String

    /// Names table, column and type.
    public var description: String { "\(table), column \(column): unknown type \(type)" }
}

/// Reads schemas and table shapes from a server's `information_schema`.
///
/// Statements are sent per schema, not per table, so that thousands of tables take a few queries.
/// The connection must be in autocommit mode or have no transaction open: the reads open none
/// that outlives them.
public struct SchemaReader {
    private let connection: Connection

    /// Makes a reader on a connection.
    public init(_ connection: Connection) { self.connection = connection }

    /// The names of all schemas but the server's own, sorted.
    public func schemas() throws(MySQLError) -> [String] {
        try connection.rows("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA").compactMap(\.[0])
            .filter { !SystemSchemas.contains($0) }.sorted()
    }

    /// What new tables get in each schema but the server's own.
    public func defaults() throws(MySQLError) -> [String: SchemaDefaults] {
        var out: [String: SchemaDefaults] = [:]
        for row in try connection.rows(
            "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME "
                + "FROM information_schema.SCHEMATA")
        {
            guard let name = row[0], !SystemSchemas.contains(name) else { continue }
            out[name] = SchemaDefaults(
                charset: row[1]?.lowercased() ?? "utf8mb4", collation: row[2]?.lowercased() ?? "")
        }
        return out
    }

    /// The base tables of one schema with estimates of rows and bytes, sorted by name.
    public func tables(in schema: String) throws(MySQLError) -> [TableEstimate] {
        try connection.rows(
            """
            SELECT TABLE_NAME, ENGINE, TABLE_ROWS, DATA_LENGTH, TABLE_COLLATION \
            FROM information_schema.TABLES \
            WHERE TABLE_SCHEMA=\(utf8Literal(schema)) \
            AND TABLE_TYPE IN ('BASE TABLE','SYSTEM VERSIONED')
            """
        ).map { row in
            TableEstimate(
                name: TableName(schema: schema, name: row[0] ?? ""), engine: row[1],
                rows: row[2].flatMap { UInt64($0) } ?? 0,
                bytes: row[3].flatMap { UInt64($0) } ?? 0, collation: row[4])
        }.sorted { $0.name < $1.name }
    }

    /// The shapes of tables, as they are now. Tables that don't exist are missing in the result.
    ///
    /// - Throws: ``MySQLError``, ``UnknownColumnType``.
    public func shapes(of tables: some Sequence<TableName>) throws -> [TableName: TableShape] {
        var out: [TableName: TableShape] = [:]
        // By their bytes, by which servers tell names apart.
        let bySchema = Dictionary(grouping: tables) { Array($0.schema.utf8) }
        for names in bySchema.values {
            let schema = names[0].schema
            // A long list of names costs more than reading the schema whole.
            let wanted = Set(names)
            var filter = "TABLE_SCHEMA=\(utf8Literal(schema))"
            if wanted.count <= 100 {
                let list = wanted.map { utf8Literal($0.name) }.joined(separator: ",")
                filter += " AND TABLE_NAME IN (\(list))"
            }
            try readTables(schema, filter, wanted, &out)
            try readColumns(schema, filter, &out)
            try readKeys(schema, filter, &out)
            try readForeignKeys(schema, filter, &out)
        }
        return out
    }

    /// The shape of one table, `nil` when it doesn't exist.
    public func shape(of table: TableName) throws -> TableShape? {
        try shapes(of: [table])[table]
    }

    private func readTables(
        _ schema: String, _ filter: String, _ wanted: Set<TableName>,
        _ out: inout [TableName: TableShape]
    ) throws {
        for row in try connection.rows(
            """
            SELECT TABLE_NAME, ENGINE, TABLE_COLLATION, CHARACTER_SET_NAME \
            FROM information_schema.TABLES LEFT JOIN \
            information_schema.COLLATION_CHARACTER_SET_APPLICABILITY c \
            ON \(collationColumn)=TABLE_COLLATION \
            WHERE \(filter) AND TABLE_TYPE IN ('BASE TABLE','SYSTEM VERSIONED')
            """)
        {
            guard let name = row[0] else { continue }
            let table = TableName(schema: schema, name: name)
            guard wanted.contains(table) else { continue }
            out[table] = TableShape(
                name: table, columns: [], engine: row[1], charset: row[3]?.lowercased(),
                collation: row[2]?.lowercased())
        }
    }

    /// MariaDB 10.10 and later list collations such as `uca1400_ai_ci` once for all charsets, and
    /// tables name them in full.
    private var collationColumn: String {
        connection.family == .mariadb && connection.serverVersion.isAtLeast(10, 10)
            ? "c.FULL_COLLATION_NAME" : "c.COLLATION_NAME"
    }

    private func readColumns(
        _ schema: String, _ filter: String, _ out: inout [TableName: TableShape]
    ) throws {
        for row in try connection.rows(
            """
            SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME, \
            COLLATION_NAME, EXTRA FROM information_schema.COLUMNS WHERE \(filter) \
            ORDER BY TABLE_NAME, ORDINAL_POSITION
            """)
        {
            let table = TableName(schema: schema, name: row[0] ?? "")
            guard out[table] != nil, let name = row[1], let text = row[2] else { continue }
            guard let type = ColumnType(columnTypeText: text) else {
                throw UnknownColumnType(table: table, column: name, type: text)
            }
            let extra = (row[6] ?? "").uppercased()
            out[table]?.columns.append(
                ColumnShape(
                    name: name, type: type, isNullable: row[3] == "YES",
                    charset: row[4]?.lowercased(), collation: row[5]?.lowercased(),
                    generation: generation(extra), isInvisible: extra.contains("INVISIBLE"),
                    isAutoIncrement: extra.contains("AUTO_INCREMENT")))
        }
    }

    private func generation(_ extra: String) -> ColumnShape.Generation? {
        // MySQL marks columns with an expression as default by DEFAULT_GENERATED.
        if extra.contains("VIRTUAL GENERATED") || extra == "VIRTUAL" { return .virtual }
        if extra.contains("STORED GENERATED") || extra.contains("PERSISTENT") { return .stored }
        return nil
    }

    private func readKeys(
        _ schema: String, _ filter: String, _ out: inout [TableName: TableShape]
    ) throws {
        // MySQL has an EXPRESSION column for functional parts; in MariaDB the column is absent,
        // and a part always has a name.
        for row in try connection.rows(
            """
            SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART \
            FROM information_schema.STATISTICS WHERE \(filter) \
            ORDER BY TABLE_NAME, INDEX_NAME<>'PRIMARY', NON_UNIQUE, INDEX_NAME, SEQ_IN_INDEX
            """)
        {
            let table = TableName(schema: schema, name: row[0] ?? "")
            guard var shape = out[table], let name = row[1] else { continue }
            let part = KeyPart(column: row[3], prefixLength: row[4].flatMap { Int($0) })
            if shape.keys.last?.name == name {
                shape.keys[shape.keys.count - 1].parts.append(part)
            } else {
                shape.keys.append(KeyShape(name: name, parts: [part], isUnique: row[2] == "0"))
            }
            out[table] = shape
        }
    }

    /// Keys of one schema's tables that the server keeps, and no statement can use or name in a
    /// hint: MariaDB's IGNORED ones. MySQL's invisible ones are not among them, see
    /// ``Connection/useInvisibleKeys()``.
    public func ignoredKeys(in schema: String) throws(MySQLError) -> [TableName: Set<String>] {
        guard connection.family == .mariadb, connection.serverVersion.isAtLeast(10, 6) else {
            return [:]
        }
        var out: [TableName: Set<String>] = [:]
        for row in try connection.rows(
            """
            SELECT DISTINCT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS \
            WHERE TABLE_SCHEMA=\(utf8Literal(schema)) AND IGNORED='YES'
            """)
        {
            out[TableName(schema: schema, name: row[0] ?? ""), default: []].insert(row[1] ?? "")
        }
        return out
    }

    private func readForeignKeys(
        _ schema: String, _ filter: String, _ out: inout [TableName: TableShape]
    ) throws {
        let constraints = try connection.rows(
            """
            SELECT TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE \
            FROM information_schema.REFERENTIAL_CONSTRAINTS \
            WHERE \(filter.replacing("TABLE_SCHEMA=", with: "CONSTRAINT_SCHEMA="))
            """)
        guard !constraints.isEmpty else { return }
        var rules: [String: (ForeignKeyShape.Action, ForeignKeyShape.Action)] = [:]
        for row in constraints {
            rules["\(row[0] ?? "")\u{0}\(row[1] ?? "")"] = (action(row[2]), action(row[3]))
        }
        for row in try connection.rows(
            """
            SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, \
            REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME \
            FROM information_schema.KEY_COLUMN_USAGE \
            WHERE \(filter) AND REFERENCED_TABLE_NAME IS NOT NULL \
            ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION
            """)
        {
            let table = TableName(schema: schema, name: row[0] ?? "")
            guard var shape = out[table], let name = row[1], let column = row[2],
                let parentSchema = row[3], let parentName = row[4], let parentColumn = row[5]
            else { continue }
            if let last = shape.foreignKeys.last, last.name == name {
                shape.foreignKeys[shape.foreignKeys.count - 1].columns.append(column)
                shape.foreignKeys[shape.foreignKeys.count - 1].parentColumns.append(parentColumn)
            } else {
                let rule = rules["\(table.name)\u{0}\(name)"] ?? (.restrict, .restrict)
                shape.foreignKeys.append(
                    ForeignKeyShape(
                        name: name, columns: [column],
                        parent: TableName(schema: parentSchema, name: parentName),
                        parentColumns: [parentColumn], onDelete: rule.0, onUpdate: rule.1))
            }
            out[table] = shape
        }
    }

    private func action(_ text: String?) -> ForeignKeyShape.Action {
        switch text {
        case "CASCADE": .cascade
        case "SET NULL": .setNull
        case "SET DEFAULT": .setDefault
        case "NO ACTION": .noAction
        default: .restrict
        }
    }
}

/// A base table with the server's estimates.
public struct TableEstimate: Sendable, Hashable {
    /// The table.
    public var name: TableName
    /// Its storage engine.
    public var engine: String?
    /// Estimated rows; InnoDB's guess can be off by half.
    public var rows: UInt64
    /// Estimated bytes of data, indexes left out.
    public var bytes: UInt64
    /// Default collation.
    public var collation: String?
}
