/// A statement: DDL, BEGIN, COMMIT, SAVEPOINT, XA, or DML of statement-based replication.
///
///     offset 19  u32  thread id
///            23  u32  seconds that it ran
///            27  u8   length of the default schema
///            28  u16  error code that it ended with
///            30  u16  length of the status variables
///            32       status variables; schema; zero byte; statement up to the end
public struct QueryEvent: Sendable, Hashable, Codable {
    /// The session that ran it: temporary tables and user variables are per session.
    public var threadID: UInt32
    /// Seconds that it ran.
    public var executionSeconds: UInt32
    /// The error that it ended with; statements that failed half-way are logged too.
    public var errorCode: UInt16
    /// What of the session's state counts for it.
    public var status: StatusVariables
    /// Where the default schema is in the event; empty for none.
    public var schemaRange: Range<Int>
    /// Where the statement is in the event.
    public var sqlRange: Range<Int>
    /// The default schema.
    public var schema: [UInt8]
    /// The statement, in the character set of ``StatusVariables/charsets``.
    public var sql: [UInt8]

    /// An event of a statement that stands in none, for example one that an operator gave.
    public init(sql: [UInt8], schema: [UInt8], status: StatusVariables) {
        threadID = 0
        executionSeconds = 0
        errorCode = 0
        self.status = status
        schemaRange = 0..<0
        sqlRange = 0..<0
        self.schema = schema
        self.sql = sql
    }

    /// Decodes the event, without its checksum; MariaDB's compressed one after
    /// ``decompressed(_:limit:)``.
    public init(_ event: RawSpan) throws(BinlogError) {
        let layout = try QueryLayout(event)
        let header = try EventHeader(event)
        threadID = layout.threadID
        executionSeconds = event.u32(23)
        errorCode = event.u16(28)
        status = try StatusVariables(event, layout.statusRange, header.type)
        schemaRange = layout.schemaRange
        sqlRange = layout.sqlRange
        schema = event.array(schemaRange.lowerBound, schemaRange.count)
        sql = event.array(sqlRange.lowerBound, sqlRange.count)
    }

    /// Whether an event's statement is exactly `text`, without decoding the rest: for BEGIN and
    /// COMMIT, which are most queries of a stream.
    public static func isStatement(
        _ event: RawSpan, _ text: StaticString
    ) throws(BinlogError) -> Bool {
        let range = try QueryLayout(event).sqlRange
        guard range.count == text.utf8CodeUnitCount else { return false }
        for i in 0..<range.count
        where unsafe event.u8(range.lowerBound + i) != text.utf8Start[i] { return false }
        return true
    }
}

/// Where the parts of a query event are.
struct QueryLayout {
    let threadID: UInt32
    let statusRange: Range<Int>
    let schemaRange: Range<Int>
    let sqlRange: Range<Int>

    init(_ event: RawSpan) throws(BinlogError) {
        let type = try EventHeader(event).type
        var cursor = try Cursor(event, type, at: EventHeader.size)
        threadID = try cursor.u32("the thread id")
        _ = try cursor.u32("the run time")
        let schemaLength = Int(try cursor.u8("the schema's length"))
        _ = try cursor.u16("the error code")
        let statusLength = Int(try cursor.u16("the length of the status variables"))
        // The file's number, where its name stands in the text, and what becomes of duplicates.
        if type == .executeLoadQuery { _ = try cursor.take(13, "the file") }
        let status = try cursor.take(statusLength, "the status variables")
        statusRange = status..<(status + statusLength)
        let schema = try cursor.take(schemaLength, "the schema")
        schemaRange = schema..<(schema + schemaLength)
        guard try cursor.u8("the schema's end") == 0 else {
            throw malformed(type, at: cursor.at - 1, "the schema's name does not end in a zero")
        }
        sqlRange = cursor.at..<cursor.end
    }
}
