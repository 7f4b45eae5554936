internal import Synchronization

/// Memory of chunks that nobody holds any more, for the next ones: without it every chunk would
/// fault its pages in anew.
public final class ChunkPool: Sendable {
    @safe
    private struct Free: @unchecked Sendable {
        // SAFETY: nobody else knows the memory while it is in the pool.
        var pieces: [UnsafeMutableRawPointer] = unsafe []
    }

    /// Size of every piece, bytes.
    let pieceBytes: Int
    private let limit: Int
    private let free = Mutex(Free())

    /// Makes an empty pool.
    ///
    /// - Parameters:
    ///   - pieceBytes: size of every piece.
    ///   - limit: pieces that are kept at most.
    public init(pieceBytes: Int, limit: Int = 16) {
        self.pieceBytes = pieceBytes
        self.limit = limit
    }

    deinit {
        free.withLock { free in
            while let piece = unsafe free.pieces.popLast() { unsafe piece.deallocate() }
        }
    }

    fileprivate func take() -> UnsafeMutableRawPointer {
        let known = unsafe free.withLock { unsafe $0.pieces.popLast() }
        return unsafe known ?? .allocate(byteCount: pieceBytes, alignment: 16)
    }

    fileprivate func give(_ piece: UnsafeMutableRawPointer) {
        let isKept = free.withLock { free in
            guard unsafe free.pieces.count < limit else { return false }
            unsafe free.pieces.append(piece)
            return true
        }
        if !isKept { unsafe piece.deallocate() }
    }
}

/// Events of a source's binlog as they came, back to back in one piece of memory. All are of one
/// file. It never changes once it has been handed out, and rows are read in place: a transaction
/// keeps the chunks alive that its rows lie in.
@safe
public final class EventChunk: @unchecked Sendable {
    // SAFETY: the storage is written only by the builder that makes the chunk, before anybody
    // else can see it, and is freed when the last reference is gone.

    /// One event of a chunk.
    public struct Entry: Sendable, Hashable {
        /// Where it starts in the chunk.
        public var offset: Int
        /// Its size in bytes, checksum included.
        public var size: Int
        /// Where it starts in its binlog file; events that are in no file have the position of the
        /// next one.
        public var position: UInt64
        /// Where the next event starts in the file.
        public var endPosition: UInt64
        /// Type byte of its header.
        public var type: UInt8
    }

    let base: UnsafeMutableRawPointer
    /// Where the memory came from, and goes.
    private let pool: ChunkPool?
    /// The chunk whose memory this one shows a part of.
    private let owner: EventChunk?
    let capacity: Int
    /// Bytes in use.
    public internal(set) var byteCount = 0
    /// The events in order.
    public internal(set) var entries: [Entry] = []
    /// The file that they are in.
    public let file: String
    /// Whether events end in a CRC32, which has been verified.
    public internal(set) var hasChecksums = false
    /// When the chunk was handed out, microseconds since 1970.
    public internal(set) var receivedMicroseconds: Int64 = 0

    /// Makes an empty chunk with room for `capacity` bytes.
    init(capacity: Int, file: String) {
        self.capacity = capacity
        self.file = file
        pool = nil
        owner = nil
        unsafe base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// Makes an empty chunk of a pool's memory.
    init(_ pool: ChunkPool, file: String) {
        capacity = pool.pieceBytes
        self.file = file
        self.pool = pool
        owner = nil
        unsafe base = pool.take()
    }

    /// Makes an empty chunk of a pool's memory, or of its own when that is not enough.
    convenience init(capacity: Int, from pool: ChunkPool?, file: String) {
        if let pool, capacity <= pool.pieceBytes {
            self.init(pool, file: file)
        } else {
            self.init(capacity: capacity, file: file)
        }
    }

    /// Shows some events of another chunk, in place.
    init(_ entries: [Entry], of owner: EventChunk) {
        capacity = 0
        file = owner.file
        pool = nil
        self.owner = owner
        unsafe base = owner.base
        byteCount = owner.byteCount
        self.entries = entries
        hasChecksums = owner.hasChecksums
        receivedMicroseconds = owner.receivedMicroseconds
    }

    /// Makes a chunk of one event that came out of another one: of a compressed transaction.
    public convenience init(inner event: RawSpan, of file: String, position: UInt64, end: UInt64) {
        self.init(capacity: max(event.byteCount, 1), file: file)
        let type: UInt8 =
            event.byteCount > 4 ? unsafe event.unsafeLoad(fromByteOffset: 4, as: UInt8.self) : 0
        append(event, position: position, endPosition: end, type: type)
    }

    deinit {
        if owner != nil { return }
        if let pool { unsafe pool.give(base) } else { unsafe base.deallocate() }
    }

    /// Bytes of memory that the chunk holds.
    public var allocatedBytes: Int { capacity }

    /// Room that is left.
    var room: Int { capacity - byteCount }

    /// Copies an event into the chunk; there must be room.
    func append(_ event: RawSpan, position: UInt64, endPosition: UInt64, type: UInt8) {
        precondition(event.byteCount <= room)
        unsafe event.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress {
                unsafe (base + byteCount).copyMemory(from: start, byteCount: bytes.count)
            }
        }
        entries.append(
            Entry(
                offset: byteCount, size: event.byteCount, position: position,
                endPosition: endPosition, type: type))
        byteCount += event.byteCount
    }

    /// All bytes, borrowed.
    @inline(__always)
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// One event, borrowed, without its checksum.
    @inline(__always)
    @_lifetime(borrow self)
    public func event(_ entry: Entry) -> RawSpan {
        let length = entry.size - (hasChecksums ? 4 : 0)
        let span = unsafe RawSpan(
            _unsafeStart: UnsafeRawPointer(base + entry.offset), byteCount: length)
        return unsafe _overrideLifetime(span, borrowing: self)
    }
}
