internal import MySQLBinlog
internal import MySQLCore

// Chunks as they travel between processes: the events' bytes, and a short description of where
// they are, from which the entries are made again.

extension EventChunk {
    /// Events that lie behind one another.
    public struct Run: Sendable, Hashable {
        /// Where the first one starts in the file.
        public var position: UInt64
        /// Bytes of all of them.
        public var byteCount: Int
        /// Whether they take room in the file; one that does not is a run by itself.
        public var isInFile: Bool

        /// Makes a run.
        public init(position: UInt64, byteCount: Int, isInFile: Bool) {
            self.position = position
            self.byteCount = byteCount
            self.isInFile = isInFile
        }
    }

    /// The events in runs, in order.
    public var runs: [Run] {
        var out: [Run] = []
        for entry in entries {
            let isInFile = Self.isInFile(entry)
            if isInFile, let last = out.last, last.isInFile,
                last.position + UInt64(last.byteCount) == entry.position
            {
                out[out.count - 1].byteCount += entry.size
            } else {
                out.append(
                    Run(position: entry.position, byteCount: entry.size, isInFile: isInFile))
            }
        }
        return out
    }

    /// Bytes of all events, which may be fewer than the chunk's memory.
    public var eventByteCount: Int { entries.reduce(0) { $0 + $1.size } }

    /// The same events in chunks of at most so many bytes, in place; a larger event is one by
    /// itself.
    public func pieces(ofAtMost limit: Int) -> [EventChunk] {
        guard byteCount > limit, entries.count > 1 else { return [self] }
        var out: [EventChunk] = []
        var first = 0
        var size = 0
        for (n, entry) in entries.enumerated() {
            if n > first, size + entry.size > limit {
                out.append(EventChunk(Array(entries[first..<n]), of: self))
                first = n
                size = 0
            }
            size += entry.size
        }
        out.append(EventChunk(Array(entries[first...]), of: self))
        return out
    }

    /// Copies the bytes of all events, back to back.
    ///
    /// - Parameter target: as many bytes as ``eventByteCount`` says.
    public func copyEvents(to target: UnsafeMutableRawBufferPointer) {
        var at = 0
        var next = 0
        while next < entries.count {
            // Stretches of memory, so that it is one copy as a rule.
            let first = entries[next]
            var end = first.offset + first.size
            next += 1
            while next < entries.count, entries[next].offset == end {
                end += entries[next].size
                next += 1
            }
            let bytes = unsafe UnsafeRawBufferPointer(
                start: base + first.offset, count: end - first.offset)
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[at..<(at + bytes.count)])
                .copyMemory(from: bytes)
            at += bytes.count
        }
    }

    /// Makes a chunk of what came from another process.
    ///
    /// - Parameters:
    ///   - runs: where the events are.
    ///   - bytes: all of them, back to back; copied.
    ///   - pool: where the memory comes from, when a piece of it is enough.
    /// - Throws: ``StreamError/corrupt(_:)``, ``StreamError/unreadable(_:)``: checksums are
    ///   verified again, since nothing else speaks for the way.
    public convenience init(
        _ runs: [Run], of file: String, hasChecksums: Bool, copying bytes: UnsafeRawBufferPointer,
        receivedMicroseconds: Int64, pool: ChunkPool? = nil
    ) throws(StreamError) {
        self.init(capacity: max(bytes.count, 1), from: pool, file: file)
        self.hasChecksums = hasChecksums
        self.receivedMicroseconds = receivedMicroseconds
        if let start = bytes.baseAddress {
            unsafe base.copyMemory(from: start, byteCount: bytes.count)
        }
        byteCount = bytes.count
        let all = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: byteCount)
        var at = 0
        for run in runs {
            guard run.byteCount <= bytes.count - at, run.position < 1 << 62 else {
                throw .unreadable("a chunk of \(file) is shorter than it says")
            }
            var position = run.position
            let end = at + run.byteCount
            while at < end {
                let here = BinlogPosition(file: file, offset: position)
                guard end - at >= EventHeader.size,
                    let header = try? EventHeader(all.extracting(at..<(at + EventHeader.size))),
                    Int(header.size) >= EventHeader.size, Int(header.size) <= end - at
                else { throw .unreadable("the event at \(here) makes no sense") }
                let size = Int(header.size)
                let event = all.extracting(at..<(at + size))
                if hasChecksums || header.type == .formatDescription,
                    !EventHeader.verifyChecksum(event)
                {
                    throw .corrupt(here)
                }
                let next = run.isInFile ? position + UInt64(size) : position
                entries.append(
                    Entry(
                        offset: at, size: size, position: position, endPosition: next,
                        type: header.type.rawValue))
                at += size
                position = next
            }
        }
        guard at == bytes.count, !entries.isEmpty else {
            throw .unreadable("a chunk of \(file) is longer than it says")
        }
    }
}
