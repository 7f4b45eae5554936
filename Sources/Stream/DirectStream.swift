public import MySQLBinlog
public import MySQLClient
public import MySQLCore
internal import Runtime

/// A source's events over a connection of its own, in chunks.
///
/// Lives on one thread: ``next()`` blocks until the source sends something, at the latest a
/// heartbeat. Checksums are verified here, once, for everybody behind.
public final class DirectStream {
    private let connection: Connection
    private let dump: BinlogDump
    private var tracker: PositionTracker
    private var checksum: ChecksumAlgorithm
    private let pool: ChunkPool
    /// Events in front of this position are passed over.
    private var skipped: BinlogPosition?
    /// A chunk of one event that did not fit into the last chunk, or belongs to another file.
    private var held: EventChunk?
    /// The format of the file being read.
    public private(set) var format: FormatDescription?
    /// The type of the event that came last, of those that are in a file.
    private var lastType: UInt8 = 0
    /// Whether the source encrypts its binlog; what comes is plain. MariaDB says so by an event at
    /// the head of each file, which some versions keep to themselves: then a filler stands in its
    /// place (``FillerEvent``).
    public private(set) var isDecrypted = false
    /// The server that this very connection is to: what answered a moment ago on another one may
    /// have been another server.
    public let server: ServerUUID
    /// Ends a blocked ``next()`` from another thread.
    public let interrupter: Interrupter

    /// Starts a stream.
    ///
    /// - Parameters:
    ///   - options: the source.
    ///   - start: where to start; an event's start.
    ///   - serverID: the id that this reader has among the source's replicas.
    ///   - chunkBytes: size of a chunk; larger events get one of their own.
    ///   - offsetLimit: a file is read from its start for positions beyond it.
    ///   - expected: the server that must answer; `nil` for any.
    ///   - interruption: told of the connection as soon as there is one.
    /// - Throws: `MySQLError`; ``StreamError/upstreamChanged`` when another server answers.
    public init(
        _ options: ConnectionOptions, from start: BinlogDumpStart, serverID: UInt32,
        chunkBytes: Int = 256 << 10, offsetLimit: UInt64 = UInt64(UInt32.max),
        on expected: ServerUUID? = nil, interruption: Interruption? = nil
    ) throws {
        var options = options
        // Twelve heartbeats: a source that is silent for longer is gone.
        if options.readTimeoutSeconds == 0 { options.readTimeoutSeconds = 60 }
        connection = try Connection(options)
        interrupter = connection.interrupter
        interruption?.watch(interrupter)
        server = try SourceSession(connection).serverName()
        if let expected, expected != server { throw StreamError.upstreamChanged }
        let negotiated = try connection.value("SELECT @@global.binlog_checksum") ?? "NONE"
        checksum = negotiated.uppercased() == "CRC32" ? .crc32 : .none
        pool = ChunkPool(pieceBytes: chunkBytes)
        if case .position(let position) = start {
            tracker = PositionTracker(position)
        } else {
            tracker = PositionTracker(BinlogPosition(file: "", offset: 4))
        }
        // The protocol has 32 bits for an offset: what lies beyond 4 GiB is reached by reading from
        // the start of the file.
        if case .position(let position) = start, position.offset > offsetLimit {
            skipped = position
            let begin = BinlogPosition(file: position.file, offset: 4)
            tracker = PositionTracker(begin)
            dump = try BinlogDump(connection, from: .position(begin), serverID: serverID)
        } else {
            dump = try BinlogDump(connection, from: start, serverID: serverID)
        }
    }

    /// Whether the source has sent more than was taken: the stream is not dry.
    public var hasMore: Bool {
        held != nil || dump.hasMore
    }

    /// The next events: what is there already, up to a chunk's size; waits only for the first.
    ///
    /// Made-up events (ROTATE at the start, heartbeats) are in chunks too, since they carry
    /// positions.
    ///
    /// - Throws: ``StreamError``, `BinlogError`, `MySQLError`.
    public func next() throws -> EventChunk {
        if let first = held.take() { return finish(first) }
        let chunk = makeChunk(file: tracker.file, atLeast: 0)
        while chunk.entries.isEmpty || dump.hasMore {
            if !(try read(into: chunk)) {
                if !chunk.entries.isEmpty { break }
                // The very first event is larger than a chunk, or of another file.
                return try next()
            }
            if chunk.entries.last?.type == EventType.rotate.rawValue { break }
        }
        return finish(chunk)
    }

    private func makeChunk(file: String, atLeast size: Int) -> EventChunk {
        let chunk =
            size <= pool.pieceBytes
            ? EventChunk(pool, file: file) : EventChunk(capacity: size, file: file)
        chunk.hasChecksums = checksum == .crc32
        return chunk
    }

    private func finish(_ chunk: EventChunk) -> EventChunk {
        chunk.receivedMicroseconds = wallClockMicroseconds()
        return chunk
    }

    /// Reads one event into the chunk; false when it had to be held back for the next one.
    private func read(into chunk: EventChunk) throws -> Bool {
        let appended: Bool? = try unsafe dump.next { packet in
            let span = unsafe RawSpan(_unsafeBytes: packet)
            return try take(span, into: chunk)
        }
        guard let appended else {
            // MySQL ends its readers' streams orderly when it shuts down: like any lost
            // connection it can be made again.
            throw MySQLError(
                code: 2013, sqlState: "HY000", message: "the source ended the stream",
                server: connection.options.server)
        }
        return appended
    }

    private func take(_ span: RawSpan, into chunk: EventChunk) throws -> Bool {
        let header = try EventHeader(span)
        try header.checkSize(of: span)
        let file = tracker.file
        if header.type == .formatDescription {
            // Servers send events as they are in the file, whatever was negotiated: the format
            // event at the head of each file tells, and has a checksum itself in any case.
            let format = try FormatDescription(span)
            self.format = format
            checksum = format.checksum
            if chunk.entries.isEmpty { chunk.hasChecksums = checksum == .crc32 }
        }
        if checksum == .crc32, !EventHeader.verifyChecksum(span) {
            throw StreamError.corrupt(BinlogPosition(file: file, offset: tracker.offset))
        }
        if header.type == .startEncryption { isDecrypted = true }
        let before = tracker.offset
        let place = try tracker.advance(
            header, try FormatDescription.body(of: span, checksum: checksum))
        defer { if place.end > place.start { lastType = header.type.rawValue } }
        if let until = skipped {
            // The file's head is needed in any case.
            let isBefore = file == until.file && place.end <= until.offset
            if isBefore, header.type != .formatDescription, header.type != .rotate { return true }
            if !isBefore { skipped = nil }
        }
        let filler = filler(from: before, to: place.start, before: header.type)
        let size = span.byteCount + (filler?.count ?? 0)
        let isFitting =
            size <= chunk.room && file == chunk.file
            && chunk.hasChecksums == (checksum == .crc32)
        let into = isFitting ? chunk : makeChunk(file: file, atLeast: size)
        if let filler {
            into.append(
                unsafe filler.span.bytes, position: before, endPosition: place.start,
                type: EventType.ignorable.rawValue)
        }
        into.append(
            span, position: place.start, endPosition: place.end, type: header.type.rawValue)
        if !isFitting { held = into }
        return isFitting
    }

    /// What stands in place of the event that a source has not sent; `nil` when none is missing,
    /// or another one than START_ENCRYPTION.
    private func filler(from: UInt64, to: UInt64, before next: EventType) -> [UInt8]? {
        guard to > from, next == .gtidList, lastType == EventType.formatDescription.rawValue,
            FillerEvent.sizes.contains(Int(clamping: to - from))
        else { return nil }
        isDecrypted = true
        return FillerEvent.make(at: from, size: Int(to - from), checksum: checksum)
    }
}
