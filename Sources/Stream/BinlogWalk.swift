public import MySQLBinlog
public import MySQLClient
public import MySQLCore

/// Reads a source's binlog from a place up to its end, as it is when that is reached, and tells
/// where transactions begin and end. For questions about the binlog; who follows a source uses an
/// ``EventReader``.
///
/// Lives on one thread, which it blocks.
public final class BinlogWalk {
    /// One transaction, from its first event to its last.
    public struct Group: Sendable, Hashable {
        /// Where its first event starts.
        public var start: BinlogPosition
        /// Where its last event ends.
        public var end: BinlogPosition
        /// Its GTID; `nil` when it has none.
        public var identity: TransactionIdentity?
        /// When its last event was made, in seconds since 1970: at its commit.
        public var seconds: UInt32
    }

    private let connection: Connection
    private let dump: BinlogDump
    private var tracker: PositionTracker
    private var checksum: ChecksumAlgorithm
    private var groups = GroupTracker()
    /// The transaction that is being read.
    private var open: Group?

    /// Starts a walk, on a connection of its own.
    ///
    /// - Parameters:
    ///   - start: the start of a file, or of a transaction; or what the source is not to send.
    ///   - interruption: told of the connection.
    public init(
        _ source: ConnectionOptions, from start: BinlogDumpStart,
        interruption: Interruption? = nil
    ) throws {
        connection = try Connection(source)
        interruption?.watch(connection.interrupter)
        let negotiated = try connection.value("SELECT @@global.binlog_checksum") ?? "NONE"
        checksum = negotiated.uppercased() == "CRC32" ? .crc32 : .none
        if case .position(let position) = start {
            tracker = PositionTracker(position)
        } else {
            tracker = PositionTracker(BinlogPosition(file: "", offset: 4))
        }
        dump = try BinlogDump(
            connection, from: start, serverID: UInt32.random(in: 0x8000_0000...0xFFFF_FFF0),
            waits: false)
    }

    /// Where the next event starts.
    public var position: BinlogPosition {
        BinlogPosition(file: tracker.file, offset: tracker.offset)
    }

    /// The source's family.
    public var family: ServerFamily { connection.family }

    /// Whether the next event is one of a transaction that has begun.
    public var isInside: Bool { open != nil }

    /// Walks until a closure says false, or the end is reached.
    ///
    /// - Parameters:
    ///   - event: called with every event, without its checksum, before its transaction ends;
    ///     whether to go on.
    ///   - group: called with every transaction that is complete; whether to go on.
    ///   - isPaused: asked behind every event: whether to return, also in the middle of a
    ///     transaction. Another call goes on with the next event.
    /// - Returns: whether it was paused.
    /// - Throws: also `CancellationError`, between two transactions.
    @discardableResult
    public func run(
        event: (EventHeader, RawSpan) throws -> Bool = { _, _ in true },
        group: (Group) throws -> Bool, isPaused: () -> Bool = { false }
    ) throws -> Bool {
        while true {
            let goesOn: Bool? = try unsafe dump.next { packet in
                let span = unsafe RawSpan(_unsafeBytes: packet)
                return try take(span, event, group)
            }
            guard goesOn == true else { return false }
            if isPaused() { return true }
            if open == nil { try Task.checkCancellation() }
        }
    }

    private func take(
        _ span: RawSpan, _ event: (EventHeader, RawSpan) throws -> Bool,
        _ group: (Group) throws -> Bool
    ) throws -> Bool {
        let header = try EventHeader(span)
        try header.checkSize(of: span)
        if header.type == .formatDescription { checksum = try FormatDescription(span).checksum }
        let body = try FormatDescription.body(of: span, checksum: checksum)
        let file = tracker.file
        let place = try tracker.advance(header, body)
        guard try event(header, body) else { return false }
        // What is in no file belongs to no transaction.
        guard place.end > place.start else { return true }
        let start = BinlogPosition(file: file, offset: place.start)
        let end = BinlogPosition(file: file, offset: place.end)
        let step = groups.take(header.type, body)
        switch step {
        case .outside: return true
        case .begins, .single:
            open = Group(
                start: start, end: end, identity: GroupTracker.identity(of: body, header.type),
                seconds: header.timestamp)
        case .inside, .ends: break
        }
        guard step == .ends || step == .single, var ended = open.take() else { return true }
        ended.end = end
        ended.seconds = header.timestamp
        return try group(ended)
    }
}
