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
                guard let next = try next(after: at, upTo: limit, checksum) else {
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
    private func next(
        after offset: UInt64, upTo limit: UInt64, _ checksum: ChecksumAlgorithm
    ) throws -> UInt64? {
        guard let header = try header(at: offset) else { return nil }
        let next = offset + UInt64(header.size)
        guard let second = try self.header(at: next), second.timestamp != 0 else { return nil }
        if second.logPosition == Self.logPosition(of: second, at: next) {
            return next + UInt64(EventHeader.size) <= limit ? next : nil
        }
        // MariaDB 11.4 and later say no place inside transactions: then it is the checksum that
        // tells, where there is one.
        guard second.logPosition == 0, checksum == .crc32,
            try isWhole(second, at: next, upTo: limit)
        else { return nil }
        return next
    }

    private func header(at offset: UInt64) throws -> EventHeader? {
        let bytes = try file.bytes(EventHeader.size, at: offset)
        return try? EventHeader(unsafe bytes.span.bytes)
    }

    /// What an event says of its own place when it lies at `offset`.
    private static func logPosition(of header: EventHeader, at offset: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: offset + UInt64(header.size))
    }

    /// Whether an event ends before `limit`, in its checksum.
    private func isWhole(
        _ header: EventHeader, at offset: UInt64, upTo limit: UInt64
    ) throws -> Bool {
        guard header.size <= 1 << 30, offset + UInt64(header.size) <= limit else { return false }
        let event = try file.bytes(Int(header.size), at: offset)
        return EventHeader.verifyChecksum(unsafe event.span.bytes)
    }

    /// What is wrong with the event at an offset, as far as it tells by itself; `nil` when it is
    /// what was written there.
    func damage(at offset: UInt64, upTo limit: UInt64) throws -> String? {
        guard let format = try Self.format(file) else { return "its file's format event" }
        guard let header = try header(at: offset), header.size <= 1 << 30,
            offset + UInt64(header.size) <= limit
        else { return "its size makes no sense" }
        let size = Int(header.size)
        let piece = try unsafe EventChunk.read(
            name, at: offset, capacity: size, checksum: format.checksum
        ) { buffer in
            try unsafe file.read(
                UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(size)), at: offset)
        }
        switch piece {
        case .events: return nil
        case .damaged(let what): return what
        case .needs, .incomplete: return "it is cut short there"
        }
    }

    /// Whether a whole transaction lies behind a damaged event.
    func hasTransaction(behind damaged: UInt64, upTo limit: UInt64) throws -> Bool {
        guard let format = try Self.format(file),
            let start = try next(after: damaged, upTo: limit, format.checksum)
        else { return false }
        var tracker = GroupTracker()
        var (isOpen, isFound) = (false, false)
        var outcome = Outcome(index: FileIndex(), end: start)
        try events(from: start, upTo: limit, format.checksum, verifies: true, &outcome) {
            chunk, entry in
            switch tracker.take(EventType(rawValue: entry.type), chunk.event(entry)) {
            // A BEGIN behind a damaged GTID does not begin the transaction.
            case .begins:
                isOpen = entry.position > start || entry.type != EventType.query.rawValue
            case .ends: isFound = isOpen
            case .inside, .outside, .single: break
            }
            return !isFound
        }
        return isFound
    }

    /// Whether something in order follows a head that is not whole: then it was written once.
    func hasEvents(upTo limit: UInt64) throws -> Bool {
        // Only a file's second event can be as large as all GTIDs of the server.
        for offset in stride(from: UInt64(4), to: min(limit, 8192), by: 1) {
            guard let header = try header(at: offset), header.timestamp != 0,
                header.logPosition == Self.logPosition(of: header, at: offset)
            else { continue }
            if try isWhole(header, at: offset, upTo: limit) { return true }
            let next = offset + UInt64(header.size)
            if next < limit, let second = try self.header(at: next), second.timestamp != 0,
                second.logPosition == Self.logPosition(of: second, at: next)
            {
                return true
            }
        }
        return false
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
