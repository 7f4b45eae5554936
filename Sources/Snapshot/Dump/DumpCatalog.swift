internal import DumpFiles
internal import MySQLClient
internal import MySQLCore

/// A view, routine, trigger or event as a dump has it.
struct DumpObject: Sendable, Hashable {
    var kind: SourceObject.Kind
    var name: TableName
    var statement: String
    var sqlMode: String?
    var collation: String?
    var timeZone: String?
    /// The table of a trigger.
    var table: TableName?
    /// A view's columns.
    var columns: [String] = []
}

/// What there is to dump but for rows: read before and after the views are opened, so that it is
/// known to be as of their place.
struct DumpCatalog: Sendable, Hashable {
    /// Statements that create the databases, by name.
    var schemas: [String: String] = [:]
    /// Tables, each with a digest of its definition: many alterations are done in a moment, and no
    /// view notices them.
    var tables: [TableName: [UInt8]] = [:]
    /// Tables that foreign keys change.
    var children = ChildChanges()
    /// Sequences of MariaDB.
    var sequences: Set<TableName> = []
    /// Views, routines, triggers and events.
    var objects: [DumpObject] = []

    /// Reads it.
    ///
    /// - Throws: ``SnapshotError`` for what a dump can't hold.
    static func read(
        _ source: Connection, _ selection: ObjectSelection
    ) throws -> (DumpCatalog, bytes: [TableName: (rows: UInt64, bytes: UInt64)]) {
        var out = DumpCatalog()
        var sizes: [TableName: (rows: UInt64, bytes: UInt64)] = [:]
        let engines = Set(
            try source.rows(
                "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS='YES'"
            ).compactMap { $0[0]?.lowercased() })
        for schema in try SchemaReader(source).schemas() where selection.mayHold(schema: schema) {
            guard
                let create = try source.rows("SHOW CREATE DATABASE \(quoteIdentifier(schema))")
                    .first?[1]
            else { continue }
            out.schemas[schema] = create
            for table in try SchemaReader(source).tables(in: schema)
            where selection.selects(table.name) {
                guard let engine = table.engine?.lowercased(), engines.contains(engine) else {
                    throw SnapshotError.unsupported(
                        object: "table \(table.name)",
                        detail: "its engine (\(table.engine ?? "none")) has no transactions, so "
                            + "that no view holds it as of one place; leave it out (--exclude)")
                }
                let definition = try source.rows("SHOW CREATE TABLE \(table.name.quoted)")
                    .first?[1]
                guard let definition else { throw SnapshotError.tableMissing(table.name) }
                try requireText(
                    definition, "table \(table.name)", "SHOW CREATE TABLE \(table.name.quoted)",
                    source)
                out.tables[table.name] = digest(definition)
                out.children.add(table.name, definition)
                sizes[table.name] = (table.rows, table.bytes)
            }
            try out.readSequences(schema, source, selection)
            // Else objects come in the charsets of the sessions that made them.
            try source.execute("SET character_set_results=utf8mb4")
            try out.readObjects(schema, source, selection)
            try source.execute("SET character_set_results=NULL")
        }
        return (out, sizes)
    }

    /// Refuses what no file can be named after: names in other alphabets take several bytes a letter.
    ///
    /// - Parameter suffix: what the names of packed files end with.
    func checkNames(suffix: String) throws {
        // A file that is not whole has its run's name behind a dot, and the suffix.
        let room =
            Self.longestName - 1 - DumpFolder.runLength - DumpFolder.partialSuffix.utf8.count
            - suffix.utf8.count
        func check(_ kind: String, _ object: TableName, _ files: String...) throws {
            guard let longest = files.map(\.utf8.count).max(), longest > room else { return }
            throw SnapshotError.unsupported(
                object: "\(kind) \(object)",
                detail: "the name of its file would have \(longest) bytes without what is added to "
                    + "it, and has room for \(room); rename it, or leave it out (--exclude)")
        }
        for name in tables.keys.sorted() + sequences.sorted() {
            let (schema, table) = (name.schema, name.name)
            try check(
                sequences.contains(name) ? "sequence" : "table", name,
                DumpFileName.table(schema, table), DumpFileName.rows(schema, table, part: 0))
        }
        for object in objects {
            let schema = object.name.schema
            switch object.kind {
            case .view: try check("view", object.name, DumpFileName.view(schema, object.name.name))
            case .trigger:
                let table = object.table ?? object.name
                try check("trigger", object.name, DumpFileName.triggers(table.schema, table.name))
            default: try check(object.kind.rawValue, object.name, DumpFileName.routines(schema))
            }
        }
    }

    /// Most bytes of a file's name (`NAME_MAX`).
    private static let longestName = 255

    /// The digest of a definition, without the counter that moves with every row.
    static func digest(_ definition: String) -> [UInt8] {
        guard let text = CreateTableText(definition) else {
            return Digest.digest(text: definition)
        }
        let options = text.options.split(separator: " ").filter {
            !$0.hasPrefix("AUTO_INCREMENT=")
        }
        return Digest.digest(
            text: text.items.joined(separator: "\u{0}") + "\u{0}" + options.joined(separator: " "))
    }

    /// Refuses a definition with bytes that are no UTF-8, such as binary defaults and what a session
    /// with `SET NAMES binary` has made: as text it would be another one.
    ///
    /// - Parameter query: what has shown it.
    private static func requireText(
        _ text: String, _ object: String, _ query: String, _ source: Connection
    ) throws {
        // What stands for such bytes, unless somebody has written it.
        guard text.unicodeScalars.contains("\u{FFFD}") else { return }
        var isText = true
        try source.forEachRow(query) { row in
            for i in 0..<row.count {
                guard let bytes = row.copy(i) else { continue }
                if String(validating: bytes, as: UTF8.self) == nil { isText = false }
            }
        }
        guard isText else {
            throw SnapshotError.unsupported(
                object: object,
                detail: "its definition has bytes that are not UTF-8, which a dump's files can't "
                    + "hold; leave it out (--exclude)")
        }
    }

    private mutating func readSequences(
        _ schema: String, _ source: Connection, _ selection: ObjectSelection
    ) throws {
        let rows = try source.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES "
                + "WHERE TABLE_SCHEMA=\(utf8Literal(schema)) AND TABLE_TYPE='SEQUENCE'")
        for row in rows {
            let name = TableName(schema: schema, name: row[0] ?? "")
            if selection.selects(name) { sequences.insert(name) }
        }
    }

    private mutating func readObjects(
        _ schema: String, _ source: Connection, _ selection: ObjectSelection
    ) throws {
        try source.execute("USE \(quoteIdentifier(schema))")
        let literal = utf8Literal(schema)
        func add(
            _ kind: SourceObject.Kind, _ name: String?, _ column: String, table: String? = nil
        ) throws {
            let name = TableName(schema: schema, name: name ?? "")
            let table = table.map { TableName(schema: schema, name: $0) }
            let isSelected =
                table.map { selection.selects(trigger: name, on: $0) } ?? selection.selects(name)
            guard isSelected,
                let row = try WaitingObjects.show(kind.rawValue.uppercased(), name, source)
            else { return }
            var object = DumpObject(
                kind: kind, name: name,
                statement: try WaitingObjects.definition(row[column], kind.rawValue, name))
            try Self.requireText(
                object.statement, "\(kind.rawValue) \(name)",
                "SHOW CREATE \(kind.rawValue.uppercased()) \(name.quoted)", source)
            object.sqlMode = row["sql_mode"] ?? nil
            object.collation = row["collation_connection"] ?? nil
            object.timeZone = row["time_zone"] ?? nil
            object.table = table
            if kind == .view {
                object.columns = try source.rows(
                    "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE "
                        + "TABLE_SCHEMA=\(literal) AND TABLE_NAME=\(utf8Literal(name.name)) "
                        + "ORDER BY ORDINAL_POSITION"
                ).compactMap(\.[0])
            }
            objects.append(object)
        }
        for row in try source.rows(
            "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES "
                + "WHERE ROUTINE_SCHEMA=\(literal) ORDER BY ROUTINE_TYPE, ROUTINE_NAME")
        {
            switch row[0] {
            case "PROCEDURE": try add(.procedure, row[1], "Create Procedure")
            case "FUNCTION": try add(.function, row[1], "Create Function")
            default:
                let name = TableName(schema: schema, name: row[1] ?? "")
                guard selection.selects(name) else { continue }
                throw SnapshotError.unsupported(
                    object: "\(row[0]?.lowercased() ?? "routine") \(name)",
                    detail: "packages are not dumped; leave it out (--exclude)")
            }
        }
        for row in try source.rows(
            "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA=\(literal) "
                + "ORDER BY TABLE_NAME")
        { try add(.view, row[0], "Create View") }
        for row in try source.rows(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS "
                + "WHERE TRIGGER_SCHEMA=\(literal) ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, "
                + "EVENT_MANIPULATION, ACTION_ORDER")
        { try add(.trigger, row[0], "SQL Original Statement", table: row[1]) }
        for row in try source.rows(
            "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA=\(literal) "
                + "ORDER BY EVENT_NAME")
        { try add(.event, row[0], "Create Event") }
    }
}
