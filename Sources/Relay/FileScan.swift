internal import Glibc
internal import MySQLBinlog
internal import MySQLCore
internal import Stream

/// Reads a binlog file from front to end, event by event.
struct FileScan {
    /// What a file turned out to be.
    struct Outcome {
        /// The index of what is whole.
        var index: FileIndex
        /// Where whole events end.
        var end: UInt64
        /// Whether the last event closes the file.
        var isClosed = false
        /// Why the scan ended there, when the file goes on.
        var damage: String?
        /// Events that were changed while what follows them is in order.
        var rotten: [UInt64] = []
    }

    let file: OpenFile
    let name: String

    /// How a file's events end; from its format event.
    ///
    /// - Returns: `nil` when there is no whole format event.
    static func format(_ file: OpenFile) throws -> FormatDescription? {
        let head = try file.bytes(8192, at: 0)
        guard head.starts(with: RelayDirectory.magic), head.count > 4 + EventHeader.size else {
            return nil
        }
        let span = unsafe head.span.bytes.extracting(droppingFirst: 4)
        guard let header = try? EventHeader(span), header.type == .formatDescription,
            Int(header.size) <= span.byteCount
        else { return nil }
        let event = span.extracting(first: Int(header.size))
        guard EventHeader.verifyChecksum(event) else { return nil }
        return try? FormatDescription(event)
    }

    /// Goes through the events up to `limit`, and indexes them.
    ///
    /// - Parameter verifies: whether checksums are verified.
    func run(upTo limit: UInt64, verifies: Bool) throws -> Outcome? {
        guard let format = try Self.format(file) else { return nil }
        var builder = IndexBuilder()
        builder.setChecksum(format.checksum)
        var outcome = Outcome(index: FileIndex(), end: 4)
        var isClosed = false
        try events(from: 4, upTo: limit, format.checksum, verifies: verifies, &outcome) {
            chunk, entry in
            let type = EventType(rawValue: entry.type)
            isClosed = type == .rotate || type == .stop
            builder.take(
                type, chunk.event(entry), at: entry.position, end: entry.endPosition)
            return true
        }
        outcome.isClosed = isClosed && outcome.damage == nil
        outcome.index = builder.finished()
        return outcome
    }

    /// What an index of the file is to be continued with.
    func builder(upTo limit: UInt64) throws -> IndexBuilder? {
        guard let format = try Self.format(file) else { return nil }
        var builder = IndexBuilder()
        builder.setChecksum(format.checksum)
        var outcome = Outcome(index: FileIndex(), end: 4)
        try events(from: 4, upTo: limit, format.checksum, verifies: false, &outcome) {
            chunk, entry in
            builder.take(
                EventType(rawValue: entry.type), chunk.event(entry), at: entry.position,
                end: entry.endPosition)
            return true
        }
        return builder
    }

    /// Hands out events until `body` returns false.
    private func events(
        from start: UInt64, upTo limit: UInt64, _ checksum: ChecksumAlgorithm, verifies: Bool,
        _ outcome: inout Outcome, _ body: (EventChunk, EventChunk.Entry) throws -> Bool
    ) throws {
        var at = start
        var capacity = 1 << 20
        while at < limit {
            let room = min(capacity, Int(limit - at))
            let piece = try unsafe EventChunk.read(
                name, at: at, capacity: room, checksum: checksum, verifies: verifies
            ) { buffer in
                try unsafe file.read(
                    UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(room)), at: at)
            }
            switch piece {
            case .events(let chunk):
                for entry in chunk.entries where !(try body(chunk, entry)) { return }
                at = chunk.range.end
                capacity = 1 << 20
            case .needs(let size):
                guard UInt64(size) <= limit - at else {
                    outcome.end = at
                    outcome.damage = "its last event is not complete"
                    return
                }
                capacity = size
            case .incomplete:
                outcome.end = at
                outcome.damage = "its last event is not complete"
                return
            case .damaged(let what):
                guard let next = try Self.next(after: at, in: file, upTo: limit) else {
                    outcome.end = at
                    outcome.damage = what
                    return
                }
                outcome.rotten.append(at)
                at = next
            }
            outcome.end = at
        }
    }

    /// Where the event behind a damaged one starts, when that is certain: what a crash tore is at
    /// the end of a file and has nothing whole behind it.
    static func next(
        after offset: UInt64, in file: OpenFile, upTo limit: UInt64
    ) throws -> UInt64? {
        let head = try file.bytes(EventHeader.size, at: offset)
        guard let header = try? EventHeader(unsafe head.span.bytes) else { return nil }
        let next = offset + UInt64(header.size)
        guard next + UInt64(EventHeader.size) <= limit else { return nil }
        let following = try file.bytes(EventHeader.size, at: next)
        guard let second = try? EventHeader(unsafe following.span.bytes), second.timestamp != 0,
            second.logPosition == UInt32(truncatingIfNeeded: next + UInt64(second.size))
        else { return nil }
        return next
    }

    /// The start of the first transaction from `offset` on that is not in a set; `nil` when there
    /// is none up to `limit`.
    func first(
        notIn gtids: GTIDState, from offset: UInt64, upTo limit: UInt64,
        checksum: ChecksumAlgorithm
    ) throws -> UInt64? {
        var found: UInt64?
        var outcome = Outcome(index: FileIndex(), end: offset)
        try events(from: offset, upTo: limit, checksum, verifies: false, &outcome) {
            chunk, entry in
            let type = EventType(rawValue: entry.type)
            guard let identity = GroupTracker.identity(of: chunk.event(entry), type),
                !gtids.contains(identity)
            else { return true }
            found = entry.position
            return false
        }
        return found
    }
}
