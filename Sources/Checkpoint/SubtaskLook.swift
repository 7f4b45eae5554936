public import MySQLClient
public import MySQLCore

/// What is seen of a subtask by others, who own no run of it: to decide what to do, and never a base
/// for writing.
///
/// Calls must have a connection without an open transaction.
public struct SubtaskLook: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey

    /// Looks at one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
    }

    /// Whether a run that stored this state goes on, as far as the target knows: its coordinator's
    /// session has the run's lock.
    public func isRunning(_ state: SubtaskState, _ connection: Connection) throws -> Bool {
        try connection.value("SELECT IS_USED_LOCK(\(state.run.lockName("c")))") != nil
    }

    /// How often runs of it have shown that they live, as text; another one than before tells that
    /// one still does.
    public func beat(_ connection: Connection) throws -> String? {
        let found = try connection.value(
            "SELECT beat FROM \(meta.table("subtask")) WHERE \(key.condition)")
        try connection.execute("COMMIT")
        return found
    }

    /// A table that it has taken over, and that the other task had not created; `nil` where there is
    /// none.
    public func foundTable(_ connection: Connection) throws -> TableName? {
        let found = try connection.rows(
            "SELECT schema_name, table_name FROM \(meta.table("object")) WHERE \(key.condition) "
                + "AND kind='\(StoredObject.Kind.found.rawValue)' "
                + "ORDER BY schema_name, table_name LIMIT 1")
        try connection.execute("COMMIT")
        return found.first.map { TableName(schema: $0[0] ?? "", name: $0[1] ?? "") }
    }

    /// Whether a DDL statement of it is not decided.
    public func hasOpenStatement(_ connection: Connection) throws -> Bool {
        let found = try connection.value(
            "SELECT COUNT(*) FROM \(meta.table("ddl")) WHERE \(key.condition)")
        try connection.execute("COMMIT")
        return found != "0"
    }

    /// Whether rows of its copy may hold what comes behind its mark: it has tables then of which it
    /// is not certain yet what comes twice.
    public func hasOpenCopy(_ state: SubtaskState, _ connection: Connection) throws -> Bool {
        let ledger = CopyLedger(meta: meta, key: key)
        // Of attempts that have copied nothing a view without an end may be left.
        let used = Set(try ledger.chunks(connection).map(\.snapshot))
        let ends = try ledger.snapshots(connection).filter { used.contains($0.id) }.map(\.high)
        return !Self.isPassed(ends + [state.consistentFrom], by: state.lowWater)
    }

    /// Whether a mark has passed the ends of all views.
    static func isPassed(_ ends: [SourcePosition?], by mark: SourcePosition?) -> Bool {
        ends.allSatisfy { end in
            guard let end, let mark else { return false }
            return CopyRange(low: end, high: end).isPassed(by: mark)
        }
    }

    /// Whether its task has begun on other sources, too.
    public func hasOtherSources(_ connection: Connection) throws -> Bool {
        let found = try connection.value(
            "SELECT COUNT(*) FROM \(meta.table("subtask")) WHERE task=\(utf8Literal(key.task)) "
                + "AND source<>\(utf8Literal(key.source))")
        try connection.execute("COMMIT")
        return found != "0"
    }
}
