public import MySQLClient
public import MySQLCore

/// What other sources of a task have written to the target, as far as the meta schema tells.
public struct OtherSources: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey
    private let target: @Sendable (TableName, String) -> TableName?

    /// - Parameter target: where a table of another source goes; `nil` when that is not known.
    public init(
        meta: MetaSchema, key: SubtaskKey,
        target: @Sendable @escaping (_ table: TableName, _ source: String) -> TableName?
    ) {
        self.meta = meta
        self.key = key
        self.target = target
    }

    private var condition: String {
        "WHERE task=\(utf8Literal(key.task)) AND source<>\(utf8Literal(key.source))"
    }

    /// Whether another source has finished a chunk of a table of the target, or follows a table
    /// that goes there.
    ///
    /// - Parameter isCurrent: as it is committed now, whatever the transaction has seen before.
    public func write(
        to table: TableName, _ connection: Connection, isCurrent: Bool = false
    ) throws(MySQLError) -> Bool {
        for name in ["chunk", "shape"] {
            let rows = try connection.rows(
                "SELECT DISTINCT source, schema_name, table_name FROM \(meta.table(name)) "
                    + condition + (isCurrent ? " LOCK IN SHARE MODE" : ""))
            for row in rows {
                let other = TableName(schema: row[1] ?? "", name: row[2] ?? "")
                // A source that the task does not have any more: nobody knows where it wrote.
                let place = target(other, row[0] ?? "")
                if place == nil || place == table { return true }
            }
        }
        return false
    }

    /// Tables of other sources that are followed, and go to a table of the target; `nil` where
    /// that is not known of one.
    public func followed(
        to table: TableName, _ connection: Connection
    ) throws(MySQLError) -> [(source: String, name: TableName)]? {
        var out: [(source: String, name: TableName)] = []
        let rows = try connection.rows(
            "SELECT source, schema_name, table_name FROM \(meta.table("shape")) \(condition)")
        for row in rows {
            let name = TableName(schema: row[1] ?? "", name: row[2] ?? "")
            guard let place = target(name, row[0] ?? "") else { return nil }
            if place == table { out.append((row[0] ?? "", name)) }
        }
        return out
    }

    /// Whether another source is being copied: what it will write to can't be told yet.
    public func copy(_ connection: Connection) throws(MySQLError) -> Bool {
        try connection.value(
            "SELECT COUNT(*) FROM \(meta.table("subtask")) \(condition) "
                + "AND phase IN ('copy','start')") != "0"
    }
}
