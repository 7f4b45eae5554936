public import MySQLClient
internal import MySQLCore

/// A task of another tool's on a source, and whether Skein has gone on with it.
///
/// From the moment on that Skein has, what the other tool has stored does not tell any more what is
/// on the target. That is true for every subtask, whatever its name, and stays so when the one that
/// has gone on starts over or is forgotten: the record hangs on no subtask, and nothing takes it
/// back but dropping the meta schema. It is written in the transaction that begins a subtask, and in
/// those that forget one.
public struct AdoptedTask: Sendable, Hashable {
    private let meta: MetaSchema
    private let task: String
    private let source: String

    /// Names one; nothing is touched. Case does not count: servers may find the other tool's tables
    /// and rows without it.
    ///
    /// - Parameters:
    ///   - task: the other tool's task.
    ///   - source: what both call the source.
    public init(_ task: String, source: String, meta: MetaSchema) {
        self.task = task.lowercased()
        self.source = source.lowercased()
        self.meta = meta
    }

    /// Whether Skein has gone on with it, as far as this meta schema tells.
    ///
    /// The connection must have no transaction open.
    public func isTaken(_ connection: Connection) throws -> Bool {
        guard try meta.exists(connection) else { return false }
        let notes = try connection.value(
            """
            SELECT COUNT(*) FROM \(meta.table("object")) WHERE task='' \
            AND source=\(utf8Literal(source)) AND kind='\(StoredObject.Kind.taken.rawValue)' \
            AND schema_name='' AND table_name=\(utf8Literal(task))
            """)
        let adoptions = try connection.rows(
            "SELECT source, HEX(definition) FROM \(meta.table("object")) "
                + "WHERE kind='\(StoredObject.Kind.adopted.rawValue)'")
        try connection.execute("COMMIT")
        if notes != "0" { return true }
        // Subtasks that were begun by a version that made no other record.
        for row in adoptions where row[0]?.lowercased() == source {
            let bytes = unhex(row[1])
            guard bytes.first == 1 else {
                throw CheckpointError.unusable(detail: "an object has an unknown kind or format")
            }
            let object = StoredObject(
                kind: .adopted, name: Adoption.name, definition: Array(bytes.dropFirst()))
            if try object.decoded(as: Adoption.self).task.lowercased() == task { return true }
        }
        return false
    }

    /// Notes in the open transaction that Skein goes on with it.
    ///
    /// - Returns: false where that was noted before: an uncommitted note of another transaction is
    ///   waited for.
    @discardableResult
    package func note(_ connection: Connection) throws(MySQLError) -> Bool {
        try connection.execute(noteStatement) == 1
    }

    /// The statement that notes it.
    package var noteStatement: String {
        """
        INSERT IGNORE INTO \(meta.table("object")) (task, source, kind, schema_name, table_name, \
        definition) VALUES ('',\(utf8Literal(source)),'\(StoredObject.Kind.taken.rawValue)','',\
        \(utf8Literal(task)),x'01')
        """
    }
}
