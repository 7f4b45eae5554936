internal import Foundation
public import MySQLClient
public import MySQLCore

/// The read views of one copy attempt: the positions between which they lie.
public struct SnapshotRecord: Sendable, Hashable {
    /// Number of the snapshot within its subtask, from 1.
    public var id: Int
    /// Everything at or before it is in every view.
    public var low: SourcePosition
    /// No view holds anything beyond it; `nil` while not known yet.
    public var high: SourcePosition?
    /// Whether `low` equals `high` and all views: the position is exact.
    public var isExact: Bool

    /// Makes a record.
    public init(id: Int, low: SourcePosition, high: SourcePosition?, isExact: Bool) {
        self.id = id
        self.low = low
        self.high = high
        self.isExact = isExact
    }
}

/// A finished chunk. Chunks of a table are numbered in key order, so a missing number is the gap
/// between its neighbours' bounds.
public struct ChunkRecord: Sendable, Hashable {
    /// The table, by its name on the source.
    public var table: TableName
    /// Its number in key order.
    public var chunk: Int
    /// The snapshot that its rows were read in.
    public var snapshot: Int
    /// Lower bound, exclusive, one value a key column as SQL literal text; `nil`: open below.
    public var from: [String]?
    /// Upper bound, inclusive; `nil`: open above.
    public var to: [String]?
    /// Rows written.
    public var rows: UInt64

    /// Makes a record.
    public init(
        table: TableName, chunk: Int, snapshot: Int, from: [String]?, to: [String]?, rows: UInt64
    ) {
        self.table = table
        self.chunk = chunk
        self.snapshot = snapshot
        self.from = from
        self.to = to
        self.rows = rows
    }
}

/// What the copy has durably done.
public struct CopyLedger: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey

    /// Makes a ledger of one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
    }

    /// The snapshots so far, by id.
    public func snapshots(_ connection: Connection) throws -> [SnapshotRecord] {
        let rows = try connection.rows(
            "SELECT snapshot_id, HEX(low), HEX(high), kind FROM \(meta.table("snapshot")) "
                + "WHERE \(key.condition) ORDER BY snapshot_id")
        try connection.execute("COMMIT")
        return try rows.map { row in
            SnapshotRecord(
                id: Int(row[0] ?? "") ?? 0, low: try SourcePosition(encoded: unhex(row[1])),
                high: try row[2].map { try SourcePosition(encoded: unhex($0)) },
                isExact: row[3] == "exact")
        }
    }

    /// The finished chunks so far, by table and number.
    public func chunks(_ connection: Connection) throws -> [ChunkRecord] {
        let rows = try connection.rows(
            """
            SELECT schema_name, table_name, chunk, snapshot_id, HEX(from_key), HEX(to_key), \
            copied_rows FROM \(meta.table("chunk")) WHERE \(key.condition) \
            ORDER BY schema_name, table_name, chunk
            """)
        try connection.execute("COMMIT")
        return try rows.map { row in
            ChunkRecord(
                table: TableName(schema: row[0] ?? "", name: row[1] ?? ""),
                chunk: Int(row[2] ?? "") ?? 0, snapshot: Int(row[3] ?? "") ?? 0,
                from: try decodeKey(row[4]), to: try decodeKey(row[5]),
                rows: UInt64(row[6] ?? "") ?? 0)
        }
    }

    /// Records a snapshot, before the first chunk that is read in it commits. By the coordinator.
    public func record(_ snapshot: SnapshotRecord, by coordinator: Coordinator) throws {
        try coordinator.transaction { connection in
            try coordinator.update("phase='copy'", connection)
            try connection.execute(storeStatement(snapshot))
        }
    }

    /// The statement that records a snapshot, or replaces it.
    func storeStatement(_ snapshot: SnapshotRecord) -> String {
        let high = snapshot.high.map { hexLiteral($0.encoded) } ?? "NULL"
        return """
            REPLACE INTO \(meta.table("snapshot")) \
            (task, source, snapshot_id, low, high, sealed, kind) VALUES (\(key.values),\
            \(snapshot.id),\(hexLiteral(snapshot.low.encoded)),\(high),0,\
            '\(snapshot.isExact ? "exact" : "range")')
            """
    }

    /// The statement that forgets the chunks of a table whose copy starts over. For a transaction
    /// of the coordinator, which must have emptied the table on the target in fenced transactions
    /// before, and forgets in the same one the chunks of all tables that were merged with it.
    public func forgetStatement(_ table: TableName) -> String {
        """
        DELETE FROM \(meta.table("chunk")) WHERE \(key.condition) \
        AND schema_name=\(utf8Literal(table.schema)) AND table_name=\(utf8Literal(table.name))
        """
    }

    /// The statement that forgets a table's shape at the mark: the source has it no more, and nothing
    /// that comes is for it. It belongs into a transaction of the coordinator.
    public func forgetShapeStatement(_ table: TableName) -> String {
        """
        DELETE FROM \(meta.table("shape")) WHERE \(key.condition) \
        AND schema_name=\(utf8Literal(table.schema)) AND table_name=\(utf8Literal(table.name))
        """
    }

    /// The statement that records a finished chunk; it belongs into the transaction that wrote
    /// the chunk's rows, behind its fence.
    public func insertStatement(_ chunk: ChunkRecord) throws -> String {
        """
        INSERT INTO \(meta.table("chunk")) (task, source, schema_name, table_name, snapshot_id, \
        chunk, from_key, to_key, copied_rows) VALUES (\(key.values),\
        \(utf8Literal(chunk.table.schema)),\(utf8Literal(chunk.table.name)),\(chunk.snapshot),\
        \(chunk.chunk),\(try encodeKey(chunk.from)),\(try encodeKey(chunk.to)),\(chunk.rows))
        """
    }

    /// The statement that records how far a part of a table has come, in the place of what was
    /// recorded of it before; it belongs into the transaction that wrote the rows up to there,
    /// behind its fence.
    public func progressStatement(_ chunk: ChunkRecord) throws -> String {
        try insertStatement(chunk)
            + " ON DUPLICATE KEY UPDATE from_key=VALUES(from_key), to_key=VALUES(to_key), "
            + "copied_rows=VALUES(copied_rows)"
    }

    private func encodeKey(_ key: [String]?) throws -> String {
        guard let key else { return "NULL" }
        return hexLiteral([1] + Array(try JSONEncoder().encode(key)))
    }

    private func decodeKey(_ text: String?) throws -> [String]? {
        guard let text else { return nil }
        let bytes = unhex(text)
        guard bytes.first == 1 else {
            throw CheckpointError.unusable(detail: "a chunk's key has an unknown format")
        }
        return try JSONDecoder().decode([String].self, from: Data(bytes.dropFirst()))
    }
}
