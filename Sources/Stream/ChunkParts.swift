public import MySQLBinlog
public import MySQLCore

extension EventChunk {
    /// Whether the event takes room in its file: not a heartbeat, nor one that was made up.
    @inline(__always)
    public static func isInFile(_ entry: Entry) -> Bool { entry.endPosition > entry.position }

    /// Where the first event starts, and the last one ends.
    public var range: (start: UInt64, end: UInt64) {
        guard let first = entries.first, let last = entries.last else { return (0, 0) }
        return (first.position, last.endPosition)
    }

    /// Where the last event that takes room in its file ends; `nil` where there is none.
    public var placeBehind: BinlogPosition? {
        entries.last(where: Self.isInFile).map {
            BinlogPosition(file: file, offset: $0.endPosition)
        }
    }

    /// Some of the events, in place; the chunk itself when it is all of them, `nil` when none.
    public func filtered(_ isKept: (Entry) -> Bool) -> EventChunk? {
        guard let first = entries.firstIndex(where: { !isKept($0) }) else { return self }
        var kept = Array(entries[..<first])
        for entry in entries[(first + 1)...] where isKept(entry) { kept.append(entry) }
        return kept.isEmpty ? nil : EventChunk(kept, of: self)
    }

    /// The events of the file, and heartbeats; not what a server makes up where a stream begins:
    /// streams are joined together here, and must not show where. `nil` when nothing is left.
    public func withoutSeams() -> EventChunk? {
        filtered { entry in
            Self.isInFile(entry) || entry.type == EventType.heartbeat.rawValue
                || entry.type == EventType.heartbeatV2.rawValue
        }
    }

    /// The same events in no more memory than they need: what is kept for long must not hold a
    /// mostly empty piece of a pool.
    func compacted() -> EventChunk {
        guard byteCount * 4 < capacity else { return self }
        let copy = EventChunk(capacity: max(byteCount, 1), file: file)
        unsafe copy.base.copyMemory(from: UnsafeRawPointer(base), byteCount: byteCount)
        copy.byteCount = byteCount
        copy.entries = entries
        copy.hasChecksums = hasChecksums
        copy.receivedMicroseconds = receivedMicroseconds
        return copy
    }

    /// Memory that it is worth in a budget.
    var cost: Int { max(capacity, byteCount) + entries.count * MemoryLayout<Entry>.stride + 64 }

    /// Hands out the bytes of events that lie behind one another in the file: one call for each
    /// piece of the chunk that is to be written in one go.
    public func forEachRun(
        _ body: (_ position: UInt64, _ bytes: UnsafeRawBufferPointer) throws -> Void
    ) rethrows {
        var next = 0
        while next < entries.count {
            let first = entries[next]
            guard Self.isInFile(first) else {
                next += 1
                continue
            }
            var last = first
            next += 1
            while next < entries.count, Self.isInFile(entries[next]),
                entries[next].offset == last.offset + last.size,
                entries[next].position == last.endPosition
            {
                last = entries[next]
                next += 1
            }
            let bytes = unsafe UnsafeRawBufferPointer(
                start: base + first.offset, count: last.offset + last.size - first.offset)
            try unsafe body(first.position, bytes)
        }
    }

    /// One event with its checksum, borrowed.
    @_lifetime(borrow self)
    public func wholeEvent(_ entry: Entry) -> RawSpan {
        let span = unsafe RawSpan(
            _unsafeStart: UnsafeRawPointer(base + entry.offset), byteCount: entry.size)
        return unsafe _overrideLifetime(span, borrowing: self)
    }
}

/// What reading a piece of a binlog file gave.
public enum FilePiece: Sendable {
    /// Whole events; at least one.
    case events(EventChunk)
    /// The next event is larger than the piece: it takes this many bytes.
    case needs(Int)
    /// There is no whole event.
    case incomplete
    /// The next event is not what was written.
    case damaged(String)
}

extension EventChunk {
    /// Reads whole events of a file, from an event's start on.
    ///
    /// - Parameters:
    ///   - capacity: bytes to be read at most.
    ///   - checksum: how the file's events end.
    ///   - verifies: whether each checksum is verified.
    ///   - pool: where the memory comes from, when a piece of it is enough.
    ///   - fill: reads bytes of the file from `position` on, and returns how many.
    public static func read(
        _ file: String, at position: UInt64, capacity: Int, checksum: ChecksumAlgorithm,
        verifies: Bool = true, pool: ChunkPool? = nil,
        fill: (UnsafeMutableRawBufferPointer) throws -> Int
    ) throws -> FilePiece {
        let chunk = EventChunk(capacity: max(capacity, 64), from: pool, file: file)
        chunk.hasChecksums = checksum == .crc32
        let count = try unsafe fill(
            UnsafeMutableRawBufferPointer(start: chunk.base, count: max(capacity, 64)))
        let all = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(chunk.base), byteCount: count)
        var at = 0
        var damage: String?
        while count - at >= EventHeader.size {
            let head = all.extracting(at..<(at + EventHeader.size))
            guard let header = try? EventHeader(head), header.size <= 1 << 30 else {
                damage = "its size makes no sense"
                break
            }
            let size = Int(header.size)
            if size > count - at {
                if at == 0, size > capacity { return .needs(size) }
                break
            }
            let event = all.extracting(at..<(at + size))
            let start = position + UInt64(at)
            if verifies, let what = Self.damage(event, header, at: start, checksum) {
                damage = what
                break
            }
            chunk.entries.append(
                Entry(
                    offset: at, size: size, position: start, endPosition: start + UInt64(size),
                    type: header.type.rawValue))
            at += size
        }
        chunk.byteCount = at
        if !chunk.entries.isEmpty { return .events(chunk) }
        return damage.map { .damaged($0) } ?? .incomplete
    }

    /// What is wrong with an event of a file, if anything is.
    private static func damage(
        _ event: RawSpan, _ header: EventHeader, at start: UInt64, _ checksum: ChecksumAlgorithm
    ) -> String? {
        if checksum == .crc32 || header.type == .formatDescription {
            return EventHeader.verifyChecksum(event) ? nil : "its checksum is wrong"
        }
        // Without checksums, what an event says of its own place is all there is.
        let end = UInt32(truncatingIfNeeded: start + UInt64(header.size))
        let isPlaced = header.logPosition == 0 || header.logPosition == end
        return isPlaced ? nil : "it says that it lies somewhere else"
    }
}
