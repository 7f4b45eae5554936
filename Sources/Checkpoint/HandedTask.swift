public import MySQLClient
public import MySQLCore

/// A task that has handed its tables over to another one.
///
/// Nothing else is left of its subtask, so that it could begin anew, and would write to the tables
/// once more, or drop them. The record hangs on no subtask, and tells all of the task's sources of
/// it: those that have not begun yet would write beside rows that the other task takes for its own.
public struct HandedTask: Sendable {
    private let meta: MetaSchema
    private let task: String

    /// Names one; nothing is touched.
    public init(_ task: String, meta: MetaSchema) {
        self.task = task
        self.meta = meta
    }

    private var condition: String {
        "task=\(utf8Literal(task)) AND source='' "
            + "AND kind='\(StoredObject.Kind.handed.rawValue)' AND schema_name='' "
            + "AND table_name=''"
    }

    /// Notes it in the open transaction. Before it is looked which sources have begun: whoever
    /// begins behind that look waits for this record.
    func note(_ connection: Connection) throws(MySQLError) {
        try connection.execute(
            """
            INSERT IGNORE INTO \(meta.table("object")) (task, source, kind, schema_name, table_name, \
            definition) VALUES (\(utf8Literal(task)),'',\
            '\(StoredObject.Kind.handed.rawValue)','','',x'01')
            """)
    }

    /// Whether it has; in a meta schema that is half made, nobody has.
    ///
    /// The connection must have no transaction open.
    ///
    /// - Parameter isBinding: as it is decided: a transaction that is about to is waited for, which
    ///   takes the right to write. Otherwise what is there is only read.
    public func hasHandedOver(
        _ connection: Connection, isBinding: Bool = true
    ) throws(MySQLError) -> Bool {
        let made = try connection.value(
            "SELECT COUNT(*) FROM information_schema.TABLES "
                + "WHERE TABLE_SCHEMA=\(utf8Literal(meta.name)) AND TABLE_NAME='object'")
        guard made == "1" else { return false }
        let lock = isBinding ? " FOR UPDATE" : ""
        try connection.execute("START TRANSACTION")
        let found = try connection.rows(
            "SELECT kind FROM \(meta.table("object")) WHERE \(condition)\(lock)")
        try connection.execute("COMMIT")
        return !found.isEmpty
    }

    /// Subtasks of other tasks that have not copied all yet: what they want has no shape until then.
    ///
    /// The connection must have no transaction open.
    public func copyingOthers(_ connection: Connection) throws(MySQLError) -> [SubtaskKey] {
        let rows = try connection.rows(
            "SELECT task, source FROM \(meta.table("subtask")) "
                + "WHERE task<>\(utf8Literal(task)) AND phase IN ('start','copy')")
        try connection.execute("COMMIT")
        return rows.map { SubtaskKey(task: $0[0] ?? "", source: $0[1] ?? "") }
    }

    /// Tables that other tasks follow, copy, or have, by their names on their sources.
    ///
    /// The connection must have no transaction open.
    public func tablesOfOthers(
        _ connection: Connection
    ) throws(MySQLError) -> [(owner: SubtaskKey, table: TableName)] {
        let rows = try connection.rows(
            """
            SELECT task, source, schema_name, table_name FROM \(meta.table("shape")) \
            WHERE task<>\(utf8Literal(task)) \
            UNION SELECT task, source, schema_name, table_name FROM \(meta.table("object")) \
            WHERE task<>\(utf8Literal(task)) AND kind IN ('table','restart','coming','identity') \
            ORDER BY 1, 2, 3, 4
            """)
        try connection.execute("COMMIT")
        return rows.map {
            (
                owner: SubtaskKey(task: $0[0] ?? "", source: $0[1] ?? ""),
                table: TableName(schema: $0[2] ?? "", name: $0[3] ?? "")
            )
        }
    }
}
