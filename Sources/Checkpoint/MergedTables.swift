public import MySQLClient
public import MySQLCore

/// A table of a source whose rows share a table of the target with others', as the last of its
/// statements has left it.
public struct MergedTable: Sendable, Hashable, Codable {
    /// Where its rows go.
    public var target: TableName
    /// What it is on the source.
    public var shape: TableShape
    /// Columns that it has dropped, and that the target keeps because others have them.
    public var dropped: [String]
    /// Whether the source has dropped it; its rows stay where they are.
    public var isGone: Bool
    /// How its statements have told that columns are computed, by lower-case names.
    public var expressions: [String: String] = [:]

    /// Makes one.
    public init(
        target: TableName, shape: TableShape, dropped: [String] = [], isGone: Bool = false
    ) {
        self.target = target
        self.shape = shape
        self.dropped = dropped
        self.isGone = isGone
    }

    /// Reads one; earlier versions of Skein have not kept all of it.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        target = try values.decode(TableName.self, forKey: .target)
        shape = try values.decode(TableShape.self, forKey: .shape)
        dropped = try values.decode([String].self, forKey: .dropped)
        isGone = try values.decode(Bool.self, forKey: .isGone)
        expressions = try values.decodeIfPresent([String: String].self, forKey: .expressions) ?? [:]
    }
}

/// What all sources of a task have told of the tables that are merged. A statement of one of them
/// means something for the table of the target by what the others are.
///
/// What a subtask tells of a statement that changes the table of the target is written in the
/// transaction that marks it, while the lock of that table is held, under which the others read it.
/// What changes its own table alone is told without: nobody waits for that, and who writes another
/// one's record reads it under the lock of its row.
public struct MergedTables: Sendable {
    /// A table, and whose it is.
    public struct Member: Sendable, Hashable {
        /// The source.
        public var source: String
        /// Its name there.
        public var name: TableName
        /// What it is.
        public var table: MergedTable

        /// Makes a member.
        public init(source: String, name: TableName, table: MergedTable) {
            self.source = source
            self.name = name
            self.table = table
        }
    }

    private let meta: MetaSchema
    private let key: SubtaskKey

    /// Makes an accessor for one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
    }

    /// All that go to a table of the target, of all sources of the task.
    ///
    /// - Throws: `MySQLError`, ``CheckpointError/unusable(detail:)``.
    public func read(_ target: TableName, _ connection: Connection) throws -> [Member] {
        try readAll(connection).filter { $0.table.target == target }
    }

    /// Those of all sources of the task, wherever they go.
    ///
    /// - Throws: `MySQLError`, ``CheckpointError/unusable(detail:)``.
    public func readAll(_ connection: Connection) throws -> [Member] {
        try read(connection, "task=\(utf8Literal(key.task))")
    }

    /// Those of the subtask as they are now, in the transaction that is open: nobody writes them
    /// before its end.
    ///
    /// - Throws: `MySQLError`, ``CheckpointError/unusable(detail:)``.
    public func readOwnLocked(_ connection: Connection) throws -> [Member] {
        try read(connection, key.condition, lock: " FOR UPDATE")
    }

    /// One of them as it is now, in the same way; `nil` where it has gone.
    ///
    /// - Throws: `MySQLError`, ``CheckpointError/unusable(detail:)``.
    public func readLocked(_ member: Member, _ connection: Connection) throws -> Member? {
        let condition = SubtaskKey(task: key.task, source: member.source).condition
        return try read(
            connection,
            condition + " AND schema_name=\(utf8Literal(member.name.schema)) "
                + "AND table_name=\(utf8Literal(member.name.name))", lock: " FOR UPDATE"
        ).first
    }

    private func read(
        _ connection: Connection, _ condition: String, lock: String = ""
    ) throws -> [Member] {
        let rows = try connection.rows(
            """
            SELECT source, schema_name, table_name, HEX(definition) FROM \(meta.table("object")) \
            WHERE \(condition) AND kind='\(StoredObject.Kind.merged.rawValue)' \
            ORDER BY source, schema_name, table_name\(lock)
            """)
        return try rows.map { row in
            let name = TableName(schema: row[1] ?? "", name: row[2] ?? "")
            let object = StoredObject(
                kind: .merged, name: name, definition: Array(unhex(row[3]).dropFirst()))
            return Member(
                source: row[0] ?? "", name: name, table: try object.decoded(as: MergedTable.self))
        }
    }

    /// The statement that records a table, or replaces what is recorded of it.
    public func storeStatement(_ member: Member) throws -> String {
        let records = StoredObjects(
            meta: meta, key: SubtaskKey(task: key.task, source: member.source))
        return records.storeStatement(
            try StoredObject(kind: .merged, name: member.name, encoding: member.table))
    }

    /// The statement that forgets a table of the subtask.
    public func removeStatement(_ name: TableName) -> String {
        StoredObjects(meta: meta, key: key).removeStatement(.merged, name)
    }

    // MARK: The lock

    /// Waits for a while for the lock of a table of the target, under which what is recorded of it
    /// is read, and one statement at a time is run on it. It is its connection's.
    ///
    /// - Returns: whether it was had.
    public func lock(_ target: TableName, _ connection: Connection) throws(MySQLError) -> Bool {
        let isHad = try connection.value("SELECT GET_LOCK(\(lockName(target)), 2)") == "1"
        try connection.execute("COMMIT")
        return isHad
    }

    /// Gives it back.
    public func unlock(_ target: TableName, _ connection: Connection) throws(MySQLError) {
        try connection.execute("DO RELEASE_LOCK(\(lockName(target)))")
        try connection.execute("COMMIT")
    }

    private func lockName(_ target: TableName) -> String {
        let hash = Digest.digest(text: "\(key.task)\u{0}\(target.quoted)\u{0}\(meta.name)")
        return "'skein:merged:\(hexLiteral(hash).dropFirst(2).dropLast())'"
    }
}
