public import MySQLClient
public import MySQLCore

/// What other sources of a task have written to the target, as far as the meta schema tells.
public struct OtherSources: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey
    private let places: @Sendable (TableName, String) -> Set<TableName>

    /// A table of another source that is followed.
    public struct Followed: Sendable, Hashable {
        /// The source.
        public var source: String
        /// Its name there.
        public var name: TableName
        /// Where it may go, as far as others can tell; empty where that is anywhere.
        public var places: Set<TableName>

        /// Whether it may go to a table of the target.
        func mayGo(to table: TableName) -> Bool { places.isEmpty || places.contains(table) }
    }

    /// - Parameter places: where a table of another source may go; none when that is not known.
    public init(
        meta: MetaSchema, key: SubtaskKey,
        places: @Sendable @escaping (_ table: TableName, _ source: String) -> Set<TableName>
    ) {
        self.meta = meta
        self.key = key
        self.places = places
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
            // Of a source that the task does not have any more, nobody knows where it wrote.
            if rows.contains(where: { followed($0).mayGo(to: table) }) { return true }
        }
        return false
    }

    /// Tables of other sources that are followed, and may go to a table of the target.
    public func followed(
        to table: TableName, _ connection: Connection
    ) throws(MySQLError) -> [Followed] {
        let rows = try connection.rows(
            "SELECT source, schema_name, table_name FROM \(meta.table("shape")) \(condition) "
                + "ORDER BY source, schema_name, table_name")
        return rows.map { followed($0) }.filter { $0.mayGo(to: table) }
    }

    private func followed(_ row: [String?]) -> Followed {
        let (source, name) = (row[0] ?? "", TableName(schema: row[1] ?? "", name: row[2] ?? ""))
        return Followed(source: source, name: name, places: places(name, source))
    }

    /// Whether another source is being copied: what it will write to can't be told yet.
    public func copy(_ connection: Connection) throws(MySQLError) -> Bool {
        try connection.value(
            "SELECT COUNT(*) FROM \(meta.table("subtask")) \(condition) "
                + "AND phase IN ('copy','start')") != "0"
    }
}
