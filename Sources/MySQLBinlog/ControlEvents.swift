/// The next file: the last event of a file, and (made up, without time or position) the first of
/// every stream and of every file in a stream.
public struct RotateEvent: Sendable, Hashable {
    /// Offset in the next file of its first event: 4, or where the stream was asked to start.
    public var position: UInt64
    /// The next file's name.
    public var file: String
    /// Whether the server made it up, so that it takes no room in any file.
    public var isArtificial: Bool

    /// Decodes the event, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        let header = try EventHeader(event)
        var cursor = try Cursor(event, header.type, at: EventHeader.size)
        position = try cursor.u64("the position")
        file = cursor.restText()
        isArtificial = header.flags.contains(.artificial) || header.timestamp == 0
    }
}

/// Commit of a transaction.
public struct XIDEvent: Sendable, Hashable {
    /// The server's own number of the transaction; it means nothing elsewhere.
    public var xid: UInt64

    /// Decodes the event, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        var cursor = try Cursor(event, .xid, at: EventHeader.size)
        xid = try cursor.u64("the transaction's number")
    }
}

/// An XA transaction's name.
public struct XATransactionID: Sendable, Hashable {
    /// The format that the application chose, usually 1.
    public var formatID: UInt32
    /// Name of the global transaction, at most 64 bytes.
    public var globalTransaction: [UInt8]
    /// Name of the branch, at most 64 bytes.
    public var branch: [UInt8]

    /// Makes a name.
    public init(formatID: UInt32, globalTransaction: [UInt8], branch: [UInt8]) {
        self.formatID = formatID
        self.globalTransaction = globalTransaction
        self.branch = branch
    }
}

/// `XA PREPARE` or `XA COMMIT .. ONE PHASE`: the end of a transaction's events.
public struct XAPrepareEvent: Sendable, Hashable {
    /// Whether it commits at once.
    public var isOnePhase: Bool
    /// The transaction's name.
    public var xid: XATransactionID

    /// Decodes the event, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        var cursor = try Cursor(event, .xaPrepare, at: EventHeader.size)
        isOnePhase = try cursor.u8("the phase") != 0
        let format = try cursor.u32("the name's format")
        let global = try cursor.u32("the name's length")
        let branch = try cursor.u32("the branch's length")
        guard global <= 64, branch <= 64 else {
            throw malformed(.xaPrepare, at: cursor.at, "a part of the XA name exceeds 64 bytes")
        }
        xid = XATransactionID(
            formatID: format,
            globalTransaction: try cursor.bytes(Int(global), "the XA name"),
            branch: try cursor.bytes(Int(branch), "the XA branch"))
    }
}

/// Sign of life of an idle source, or a step over transactions that were not sent.
public struct HeartbeatEvent: Sendable, Hashable {
    /// The file that the source reads.
    public var file: String
    /// How far it has read; in MySQL's first version only the low 32 bits are known.
    public var position: UInt64
    /// Whether ``position`` has only its low 32 bits.
    public var isPositionTruncated: Bool

    /// Decodes a heartbeat of either version, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        let header = try EventHeader(event)
        var cursor = try Cursor(event, header.type, at: EventHeader.size)
        file = ""
        position = UInt64(header.logPosition)
        isPositionTruncated = false
        if header.type == .heartbeatV2 {
            try readFields(&cursor)
            return
        }
        // MariaDB puts a position that needs more than 32 bits in front of the name.
        if header.logPosition == 0, cursor.left >= 8 {
            position = try cursor.u64("the position")
        } else {
            isPositionTruncated = true
        }
        file = cursor.restText()
    }

    /// Type, length, value, up to type 0.
    private mutating func readFields(_ cursor: inout Cursor) throws(BinlogError) {
        while !cursor.isAtEnd {
            let type = try cursor.lengthEncoded("a field's type")
            if type == 0 { return }
            let length = try cursor.lengthEncoded("a field's length")
            var field = try cursor.part(length, "a field")
            switch type {
            case 1: file = field.restText()
            case 2: position = try field.lengthEncoded("the position")
            default: break
            }
        }
        throw truncated(.heartbeatV2, at: cursor.at, "its fields")
    }
}

/// What the next statement of statement-based replication needs: recognised so that a source in
/// such a mode is told apart from a damaged stream, never applied.
public enum StatementContextEvent: Sendable, Hashable {
    /// `LAST_INSERT_ID()` (true) or the next AUTO_INCREMENT value (false).
    case integer(isLastInsertID: Bool, UInt64)
    /// The seeds of `RAND()`.
    case random(UInt64, UInt64)
    /// A user variable; its value is not kept.
    case userVariable(name: String)

    /// Decodes an INTVAR, RAND or USER_VAR event, without its checksum; `nil` for other types.
    public init?(_ event: RawSpan) throws(BinlogError) {
        let header = try EventHeader(event)
        var cursor = try Cursor(event, header.type, at: EventHeader.size)
        switch header.type {
        case .intvar:
            let kind = try cursor.u8("the kind")
            guard kind == 1 || kind == 2 else {
                throw malformed(header.type, at: EventHeader.size, "an unknown kind of integer")
            }
            self = .integer(isLastInsertID: kind == 1, try cursor.u64("the value"))
        case .rand:
            let first = try cursor.u64("the first seed")
            self = .random(first, try cursor.u64("the second seed"))
        case .userVariable:
            let length = try cursor.u32("the name's length")
            self = .userVariable(name: try cursor.text(Int(length), "the name"))
        default:
            return nil
        }
    }
}

/// The text of the statement behind rows: ROWS_QUERY of MySQL, ANNOTATE_ROWS of MariaDB.
public struct RowsQueryEvent: Sendable, Hashable {
    /// Where the text is in the event. It has no announced character set: it is in that of the
    /// client that sent it.
    public var range: Range<Int>

    /// Decodes either event, without its checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        let header = try EventHeader(event)
        var cursor = try Cursor(event, header.type, at: EventHeader.size)
        if header.type == .rowsQuery {
            // One byte of length, which is wrong for long texts: the text goes to the end.
            _ = try cursor.take(1, "the length")
        }
        range = cursor.at..<cursor.end
    }
}
