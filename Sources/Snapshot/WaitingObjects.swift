internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax

/// Triggers and events of the source: they wait for the switch-over.
enum WaitingObjects {
    /// All of the selection, as the source has them now.
    static func read(
        _ source: Connection, where isSelected: (TableName) -> Bool,
        exceptTriggers isLeftOut: (TableName) -> Bool
    ) throws -> [SourceObject] {
        var out: [SourceObject] = []
        for schema in try SchemaReader(source).schemas() {
            out += try triggers(schema, source, of: isSelected, except: isLeftOut)
            out += try events(schema, source, isSelected)
        }
        return out
    }

    /// How a server shows an object that was in a list a moment ago.
    ///
    /// - Returns: `nil` where it was dropped meanwhile, which the stream knows of. An event that is
    ///   to run once does so by itself.
    static func show(
        _ kind: String, _ name: TableName, _ connection: Connection
    ) throws -> [String: String?]? {
        do throws(MySQLError) {
            return try connection.firstRow("SHOW CREATE \(kind) \(name.quoted)") ?? [:]
        } catch {
            guard gone.contains(error.code) else { throw error }
            // A view can be there and what it reads gone, so that the server can't show it.
            guard kind == "VIEW",
                try connection.value(
                    "SELECT 1 FROM information_schema.TABLES "
                        + "WHERE TABLE_SCHEMA=\(utf8Literal(name.schema)) "
                        + "AND TABLE_NAME=\(utf8Literal(name.name))") != nil
            else { return nil }
            throw SnapshotError.unsupported(
                object: "view \(name)",
                detail: "the source can't show it: \(error); drop it there, or exclude it")
        }
    }

    static let noSuchSchema: UInt32 = 1049
    /// No such schema, view, routine, trigger, event.
    private static let gone: Set<UInt32> = [noSuchSchema, 1146, 1305, 1360, 1539]

    static func triggers(
        _ schema: String, _ source: Connection, of isMigrated: (TableName) -> Bool,
        except isLeftOut: (TableName) -> Bool
    ) throws -> [SourceObject] {
        let list = try source.rows(
            """
            SELECT TRIGGER_NAME, EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_ORDER \
            FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=\(utf8Literal(schema)) \
            ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER
            """)
        return try list.compactMap { entry -> SourceObject? in
            let table = TableName(schema: entry[1] ?? "", name: entry[2] ?? "")
            let name = TableName(schema: schema, name: entry[0] ?? "")
            guard isMigrated(table), !isLeftOut(name) else { return nil }
            guard let row = try show("TRIGGER", name, source) else { return nil }
            var object = SourceObject(
                .trigger, name,
                try definition(row["SQL Original Statement"], "trigger", name), row: row,
                order: Int(entry[3] ?? "") ?? 0)
            object.moments = try moments(name, source)
            return object
        }
    }

    /// When a trigger fires: its table, time and statement, in words.
    ///
    /// - Returns: as many as the trigger has statements; none when there is no such trigger.
    static func moments(_ trigger: TableName, _ connection: Connection) throws -> [String] {
        try connection.rows(
            """
            SELECT ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE \
            FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=\(utf8Literal(trigger.schema)) \
            AND TRIGGER_NAME=\(utf8Literal(trigger.name))
            """
        ).map { row in
            let table = TableName(schema: row[2] ?? "", name: row[3] ?? "")
            return "\(row[0] ?? "") \(row[1] ?? "") ON \(table)"
        }.sorted()
    }

    static func events(
        _ schema: String, _ source: Connection, _ isWanted: (TableName) -> Bool
    ) throws -> [SourceObject] {
        let list = try source.rows(
            "SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS "
                + "WHERE EVENT_SCHEMA=\(utf8Literal(schema)) ORDER BY EVENT_NAME")
        return try list.compactMap { entry -> SourceObject? in
            let name = TableName(schema: schema, name: entry[0] ?? "")
            guard isWanted(name) else { return nil }
            guard let row = try show("EVENT", name, source) else { return nil }
            let text = try definition(row["Create Event"], "event", name)
            var context = SyntaxContext(
                version: source.serverVersion,
                sqlMode: SQLMode(text: (row["sql_mode"] ?? nil) ?? ""))
            context.tokenLimit = .max
            guard let disabled = disabled(text, context) else {
                throw SnapshotError.unsupported(
                    object: "event \(name)", detail: "its definition is not understood")
            }
            var object = SourceObject(.event, name, disabled, row: row)
            object.isEnabled = entry[1] == "ENABLED"
            return object
        }
    }

    /// A server's text of an event with its status replaced: `.. ON COMPLETION [NOT] PRESERVE ENABLE
    /// [COMMENT ..] DO ..`.
    ///
    /// - Returns: `nil` when there is no such place.
    static func disabled(_ text: String, _ context: SyntaxContext) -> String? {
        let bytes = Array(text.utf8)
        var lexer = Lexer(bytes, context: context)
        /// How many of the words before the status have been seen.
        var seen = 0
        while true {
            let token = lexer.next()
            if token.kind == .end || token.kind == .unterminated { return nil }
            let word =
                token.kind == .word
                ? String(decoding: bytes[token.range], as: UTF8.self).uppercased() : ""
            switch (seen, word) {
            case (_, "ON"): seen = 1
            case (1, "COMPLETION"): seen = 2
            case (2, "NOT"): break
            case (2, "PRESERVE"): seen = 3
            case (3, "ENABLE"):
                return String(decoding: bytes[..<token.range.lowerBound], as: UTF8.self) + "DISABLE"
                    + String(decoding: bytes[token.range.upperBound...], as: UTF8.self)
            // As it is, also on replicas alone.
            case (3, "DISABLE"): return text
            default: seen = 0
            }
        }
    }

    static func definition(
        _ text: String??, _ kind: String, _ name: TableName
    ) throws -> String {
        guard let text = text ?? nil, !text.isEmpty else {
            throw SnapshotError.unsupported(
                object: "\(kind) \(name)",
                detail: "the source does not show its definition; grant its user SELECT on "
                    + "mysql.proc (MariaDB) or SHOW_ROUTINE (MySQL), or leave it out")
        }
        return text
    }
}
