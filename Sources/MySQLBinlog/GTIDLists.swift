public import MySQLCore

/// The GTIDs of all files before this one (MySQL), or of what a replica already has.
///
///     offset 19  u64 number of UUIDs; for each: UUID, u64 number of intervals, u64 start and
///                u64 end (exclusive) of each
///
/// Sets with tags (8.3 and later) have 1 in the first and in the eighth byte, the number of entries
/// in the six between, and a tag behind each UUID.
public struct PreviousGTIDsEvent: Sendable, Hashable {
    /// The set.
    public var gtids: MySQLGTIDSet

    /// Decodes the event, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        var cursor = try Cursor(event, .previousGTIDs, at: EventHeader.size)
        gtids = try MySQLGTIDSet(&cursor)
    }
}

extension MySQLGTIDSet {
    init(_ cursor: inout Cursor) throws(BinlogError) {
        self.init()
        let head = try cursor.u64("the number of UUIDs")
        let hasTags = head >> 56 == 1
        if hasTags, head & 0xFF != 1 {
            throw malformed(cursor.event, at: cursor.at - 8, "an unknown encoding of GTID sets")
        }
        let entries = hasTags ? head >> 8 & 0xFFFF_FFFF_FFFF : head
        guard entries <= UInt64(cursor.left / 24) else {
            throw truncated(cursor.event, at: cursor.at, "the GTID set")
        }
        for _ in 0..<entries {
            let uuid = try cursor.uuid()
            let key = Key(uuid: uuid, tag: hasTags ? try cursor.tag() : "")
            let intervals = try cursor.u64("the number of intervals")
            var last: UInt64 = 0
            guard members[key] == nil else {
                throw malformed(cursor.event, at: cursor.at, "a UUID is there twice")
            }
            guard intervals <= UInt64(cursor.left / 16) else {
                throw truncated(cursor.event, at: cursor.at, "the intervals of a UUID")
            }
            for _ in 0..<intervals {
                let start = try cursor.u64("an interval")
                let end = try cursor.u64("an interval")
                guard start > last, start < end, end <= UInt64(Int64.max) else {
                    throw malformed(cursor.event, at: cursor.at, "an interval is out of order")
                }
                last = end
                insert(key, start...(end - 1))
            }
        }
        guard cursor.isAtEnd else {
            throw malformed(cursor.event, at: cursor.at, "bytes are left behind the GTID set")
        }
    }
}

/// The last GTID of each domain and server before this file (MariaDB), or made up where a stream
/// that was asked for by GTID starts.
///
///     offset 19  u32 number of GTIDs in the low 28 bits, flags above
///            23  for each: u32 domain, u32 server, u64 sequence
public struct GTIDListEvent: Sendable, Hashable {
    /// All GTIDs; of each domain the last one counts as its position.
    public var gtids: [MariaDBGTID]

    /// The position: of each domain the GTID that the server lists last.
    public var position: MariaDBGTIDPosition {
        var position = MariaDBGTIDPosition()
        for gtid in gtids { position.last[gtid.domain] = gtid }
        return position
    }

    /// Decodes the event, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        var cursor = try Cursor(event, .gtidList, at: EventHeader.size)
        let count = Int(try cursor.u32("the number of GTIDs") & 0x0FFF_FFFF)
        guard count <= cursor.left / 16 else {
            throw truncated(.gtidList, at: cursor.at, "the GTIDs")
        }
        gtids = []
        gtids.reserveCapacity(count)
        for _ in 0..<count {
            let domain = try cursor.u32("a GTID")
            let server = try cursor.u32("a GTID")
            gtids.append(
                MariaDBGTID(domain: domain, server: server, sequence: try cursor.u64("a GTID")))
        }
    }
}
