internal import MySQLClient
internal import MySQLCore

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
            out += try events(schema, source).filter { isSelected($0.name) }
        }
        return out
    }

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
        return try list.compactMap { entry in
            let table = TableName(schema: entry[1] ?? "", name: entry[2] ?? "")
            let name = TableName(schema: schema, name: entry[0] ?? "")
            guard isMigrated(table), !isLeftOut(name) else { return nil }
            let row = try source.firstRow("SHOW CREATE TRIGGER \(name.quoted)") ?? [:]
            return SourceObject(
                .trigger, name,
                try definition(row["SQL Original Statement"], "trigger", name), row: row,
                order: Int(entry[3] ?? "") ?? 0)
        }
    }

    static func events(_ schema: String, _ source: Connection) throws -> [SourceObject] {
        let list = try source.rows(
            "SELECT EVENT_NAME FROM information_schema.EVENTS "
                + "WHERE EVENT_SCHEMA=\(utf8Literal(schema)) ORDER BY EVENT_NAME")
        return try list.map { entry in
            let name = TableName(schema: schema, name: entry[0] ?? "")
            let row = try source.firstRow("SHOW CREATE EVENT \(name.quoted)") ?? [:]
            return SourceObject(
                .event, name, try definition(row["Create Event"], "event", name), row: row)
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
