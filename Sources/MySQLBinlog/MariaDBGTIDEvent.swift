public import MySQLCore

/// The head of a MariaDB transaction ("event group"): its GTID. It stands for the BEGIN that MySQL
/// writes as a query.
///
///     offset 19  u64  sequence number
///            27  u32  domain
///            31  u8   flags
///            32  u64  commit id, with flag 2
///                     XA name, with flags 64 and 128: u32 format, u8 and u8 lengths, bytes
///                u8   extra flags, where anything but zeros is left; their fields
public struct MariaDBGTIDEvent: Sendable, Hashable {
    /// The flags of a group.
    public struct Flags: OptionSet, Sendable, Hashable {
        /// The byte.
        public var rawValue: UInt8
        /// Makes flags of their bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// One event, without COMMIT behind it: DDL above all.
        public static let standalone = Flags(rawValue: 1)
        /// Committed together with others, see ``MariaDBGTIDEvent/commitID``.
        public static let groupCommitID = Flags(rawValue: 2)
        /// Only transactional tables: it can be rolled back.
        public static let transactional = Flags(rawValue: 4)
        /// The source allowed to run it in parallel.
        public static let allowParallel = Flags(rawValue: 8)
        /// It waited for a lock on the source.
        public static let waited = Flags(rawValue: 16)
        /// It holds DDL.
        public static let ddl = Flags(rawValue: 32)
        /// It is an XA transaction up to its PREPARE.
        public static let preparedXA = Flags(rawValue: 64)
        /// It is the COMMIT or ROLLBACK of a prepared XA transaction.
        public static let completedXA = Flags(rawValue: 128)
    }

    /// What two-phase ALTER TABLE a group belongs to (`binlog_alter_two_phase`).
    public enum AlterPhase: Sendable, Hashable {
        /// Not one.
        case none
        /// ALTER starts; its effect comes with the commit.
        case start
        /// ALTER that started at this sequence number is committed.
        case commit(UInt64)
        /// ALTER that started at this sequence number failed.
        case rollback(UInt64)
    }

    /// The GTID; the server id is that of the header.
    public var gtid: MariaDBGTID
    /// The flags.
    public var flags: Flags
    /// Groups of one commit id were committed together; 0 for none.
    public var commitID: UInt64 = 0
    /// The XA transaction, with ``Flags/preparedXA`` or ``Flags/completedXA``.
    public var xid: XATransactionID?
    /// The phase of a two-phase ALTER TABLE.
    public var alterPhase: AlterPhase = .none
    /// The session that ran it, where the source says so (MariaDB 11.5 and later).
    public var threadID: UInt32?

    /// The transaction's identity.
    public var identity: TransactionIdentity {
        TransactionIdentity(
            stream: .mariadb(domain: gtid.domain, server: gtid.server), number: gtid.sequence)
    }

    /// Decodes the event, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        let header = try EventHeader(event)
        var cursor = try Cursor(event, header.type, at: EventHeader.size)
        let sequence = try cursor.u64("the sequence number")
        let domain = try cursor.u32("the domain")
        flags = Flags(rawValue: try cursor.u8("the flags"))
        gtid = MariaDBGTID(domain: domain, server: header.serverID, sequence: sequence)
        // Without anything else there are six zero bytes, which read as "no extra flags".
        guard event.byteCount >= EventHeader.size + 19 else {
            throw truncated(header.type, at: event.byteCount, "its fixed part")
        }
        if flags.contains(.groupCommitID) { commitID = try cursor.u64("the commit id") }
        if !flags.isDisjoint(with: [.preparedXA, .completedXA]) { xid = try Self.xid(&cursor) }
        if !cursor.isAtEnd { try readExtra(&cursor) }
    }

    private static func xid(_ cursor: inout Cursor) throws(BinlogError) -> XATransactionID {
        let format = try cursor.u32("the XA format")
        let global = Int(try cursor.u8("the XA name's length"))
        let branch = Int(try cursor.u8("the XA branch's length"))
        guard global <= 64, branch <= 64 else {
            throw malformed(.mariadbGTID, at: cursor.at, "a part of the XA name exceeds 64 bytes")
        }
        return XATransactionID(
            formatID: format, globalTransaction: try cursor.bytes(global, "the XA name"),
            branch: try cursor.bytes(branch, "the XA branch"))
    }

    /// 1 several engines, 2, 4, 8 phases of ALTER, 16 thread id.
    private mutating func readExtra(_ cursor: inout Cursor) throws(BinlogError) {
        let extra = try cursor.u8("the extra flags")
        if extra & 1 != 0 { _ = try cursor.u8("the number of engines") }
        if extra & 2 != 0 { alterPhase = .start }
        if extra & 12 != 0 {
            let start = try cursor.u64("the start of ALTER")
            alterPhase = extra & 4 != 0 ? .commit(start) : .rollback(start)
        }
        if extra & 16 != 0 { threadID = try cursor.u32("the thread id") }
    }
}
