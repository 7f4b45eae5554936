public import MySQLCore

/// The head of a MySQL transaction: its GTID, and what the source knew of its dependencies.
///
///     offset 19  u8     flags: 1 when it may hold statements
///            20  16 B   UUID
///            36  u64    number, 0 when anonymous
///            44  u8     2, when what follows is there (5.7 and later)
///            45  i64    last committed
///            53  i64    sequence number
///            61  u56    commit time here in µs; bit 55: the original time follows (8.0)
///                u56    commit time at the first server
///                lenenc length of the transaction, this event included
///                u32    version of this server; bit 31: the original version follows
///                u32    version of the first server
///                u64    commit group ticket (8.1)
///
/// Events of type 42, which carry a tag, use the field list of `TaggedGTID.swift` instead.
public struct GTIDEvent: Sendable, Hashable {
    /// The server that ran the transaction first; zero when anonymous.
    public var uuid = ServerUUID(high: 0, low: 0)
    /// The tag, empty for none.
    public var tag = ""
    /// The number; 0 when anonymous.
    public var number: UInt64 = 0
    /// Whether the transaction may hold statements instead of rows.
    public var mayHaveStatements = false
    /// The newest transaction of this file that must be committed before this one starts, by
    /// ``sequenceNumber``; 0 for none.
    public var lastCommitted: Int64 = 0
    /// Number of this transaction in this file.
    public var sequenceNumber: Int64 = 0
    /// When it was committed on the server that sends it, in µs since 1970; 0 before 8.0.
    public var immediateCommitMicroseconds: UInt64 = 0
    /// When it was committed on the first server, in µs since 1970; 0 before 8.0.
    public var originalCommitMicroseconds: UInt64 = 0
    /// Bytes of all its events, uncompressed, this one and checksums included; 0 before 8.0.
    public var transactionLength: UInt64 = 0
    /// Version of the server that sends it, as 80036; 0 when unknown, 999999 when undefined.
    public var immediateServerVersion: UInt32 = 0
    /// Version of the first server.
    public var originalServerVersion: UInt32 = 0

    /// Whether the source gave it no GTID.
    public var isAnonymous: Bool { number == 0 }

    /// The transaction's identity, unless it is anonymous.
    public var identity: TransactionIdentity? {
        isAnonymous
            ? nil : TransactionIdentity(stream: .mysql(uuid, tag: tag), number: number)
    }

    /// Decodes an event of type 33, 34 or 42, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        let type = try EventHeader(event).type
        var cursor = try Cursor(event, type, at: EventHeader.size)
        if type == .taggedGTID {
            try readTagged(&cursor)
        } else {
            try readPlain(&cursor)
        }
        // 0 to 2^63 - 2 are what servers hand out; an anonymous event has 0.
        guard number < UInt64(Int64.max), (number == 0) == (type == .anonymousGTID) else {
            throw malformed(type, at: 36, "the transaction's number is out of range")
        }
    }

    private mutating func readPlain(_ cursor: inout Cursor) throws(BinlogError) {
        mayHaveStatements = try cursor.u8("the flags") & 1 != 0
        uuid = try cursor.uuid()
        number = try cursor.u64("the number")
        // Ends here in 5.6, and after the logical clock in 5.7; all further fields may be missing.
        guard !cursor.isAtEnd, try cursor.u8("the clock's kind") == 2 else { return }
        lastCommitted = Int64(bitPattern: try cursor.u64("the logical clock"))
        sequenceNumber = Int64(bitPattern: try cursor.u64("the logical clock"))
        guard !cursor.isAtEnd else { return }
        let time = try cursor.u56("the commit time")
        immediateCommitMicroseconds = time & ~(1 << 55)
        originalCommitMicroseconds =
            time & (1 << 55) != 0
            ? try cursor.u56("the original commit time") : immediateCommitMicroseconds
        guard !cursor.isAtEnd else { return }
        transactionLength = try cursor.lengthEncoded("the transaction's length")
        guard !cursor.isAtEnd else { return }
        let version = try cursor.u32("the server's version")
        immediateServerVersion = version & 0x7FFF_FFFF
        originalServerVersion =
            version >> 31 != 0
            ? try cursor.u32("the original server's version") : immediateServerVersion
    }
}

extension Cursor {
    @_lifetime(self: copy self)
    mutating func uuid() throws(BinlogError) -> ServerUUID {
        let start = try take(16, "a UUID")
        return ServerUUID(high: span.u64(start).byteSwapped, low: span.u64(start + 8).byteSwapped)
    }

    @_lifetime(self: copy self)
    mutating func u56(_ what: StaticString) throws(BinlogError) -> UInt64 {
        span.little(try take(7, what), 7)
    }
}
