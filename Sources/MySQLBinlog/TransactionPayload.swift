internal import CZstd
public import MySQLCore

/// A MySQL transaction whose events are compressed together (`binlog_transaction_compression`). It
/// stands behind the GTID event and holds everything up to the commit.
///
///     offset 19  fields: lenenc type, lenenc length, value. 1 size of the payload, 2 compression
///                (0 zstd, 255 none), 3 plain size; 0 alone ends them
///                payload: events one behind the other, without checksums and positions
public struct TransactionPayload: Sendable, Hashable {
    /// How the payload is stored.
    public enum Compression: UInt64, Sendable, Hashable {
        case zstd = 0
        case none = 255
    }

    /// Where the payload is in the event.
    public var range: Range<Int>
    /// How it is stored.
    public var compression: Compression
    /// Bytes of all its events.
    public var plainSize: UInt64

    /// Decodes what is in front of the payload, without the event's checksum.
    public init(_ event: RawSpan) throws(BinlogError) {
        let type = EventType.transactionPayload
        var cursor = try Cursor(event, type, at: EventHeader.size)
        var size: UInt64?
        var plainSize: UInt64?
        var compression: Compression?
        fields: while true {
            let field = try cursor.lengthEncoded("a field's type")
            if field == 0 { break fields }
            let length = try cursor.lengthEncoded("a field's length")
            var value = try cursor.part(length, "a field")
            switch field {
            case 1: size = try value.lengthEncoded("the payload's size")
            case 2:
                let raw = try value.lengthEncoded("the compression")
                compression = Compression(rawValue: raw)
                guard compression != nil else {
                    throw BinlogError(
                        .unsupportedEvent, type, at: value.at, "compression type \(raw)")
                }
            case 3: plainSize = try value.lengthEncoded("the plain size")
            default: break
            }
        }
        guard let size, let compression else {
            throw malformed(type, at: cursor.at, "size or compression of the payload is missing")
        }
        guard size == cursor.left else {
            throw malformed(type, at: cursor.at, "the payload's size differs from what is there")
        }
        range = cursor.at..<cursor.end
        self.compression = compression
        self.plainSize = plainSize ?? size
    }
}

/// Yields the events of a payload one by one. However large the payload is, memory holds the event
/// as it came, one window of plain bytes, and the event that is being put together.
@safe
public struct PayloadReader: ~Copyable, @unchecked Sendable {
    // SAFETY: context and window have one owner, this noncopyable value; moving it between threads
    // moves the ownership, and zstd contexts are not bound to a thread.

    /// What the payload is and how large it says to be.
    public let payload: TransactionPayload
    /// Bytes of plain events that were yielded so far.
    public private(set) var plainOffset: UInt64 = 0
    private let context: OpaquePointer?
    private let window: UnsafeMutableRawPointer
    private let capacity: Int
    /// Part of the window that was not yielded yet.
    private var start = 0
    private var end = 0
    /// Offset in the event of the next byte to be unpacked.
    private var at: Int
    private var isFrameDone = true
    private let limit: Int

    /// Starts at the first event of a payload.
    ///
    /// - Parameters:
    ///   - event: the payload event, without its checksum.
    ///   - limit: most bytes that one event in it may have.
    public init(_ event: RawSpan, limit: Int) throws(BinlogError) {
        payload = try TransactionPayload(event)
        at = payload.range.lowerBound
        self.limit = limit
        capacity = ZSTD_DStreamOutSize()
        unsafe window = .allocate(byteCount: capacity, alignment: 16)
        unsafe context = payload.compression == .zstd ? ZSTD_createDCtx() : nil
    }

    deinit {
        if let context = unsafe context { unsafe ZSTD_freeDCtx(context) }
        unsafe window.deallocate()
    }

    /// Replaces the content of `out` by the next event, header included, without checksum. False
    /// behind the last one. `event` must be that of the initialiser.
    public mutating func next(
        in event: RawSpan, into out: inout ByteBuffer
    ) throws(BinlogError) -> Bool {
        out.removeAll()
        guard event.byteCount == payload.range.upperBound else {
            throw malformed(.transactionPayload, at: 0, "another event than the reader's")
        }
        while out.count < EventHeader.size {
            guard try move(EventHeader.size - out.count, event, &out) else {
                guard out.count == 0 else {
                    throw truncated(.transactionPayload, at: at, "an event of the payload")
                }
                try checkEnd()
                return false
            }
        }
        let header = try EventHeader(out.bytes)
        let size = Int(header.size)
        guard size <= limit else {
            throw BinlogError(
                .limit, .transactionPayload, at: at, "an event of \(size) bytes in the payload")
        }
        guard UInt64(size) <= payload.plainSize - min(plainOffset, payload.plainSize) else {
            throw malformed(.transactionPayload, at: at, "more plain bytes than announced")
        }
        while out.count < size {
            guard try move(size - out.count, event, &out) else {
                throw truncated(.transactionPayload, at: at, "an event of the payload")
            }
        }
        plainOffset += UInt64(size)
        return true
    }

    /// The next event as an array of its own; `nil` behind the last one.
    public mutating func next(in event: RawSpan) throws(BinlogError) -> [UInt8]? {
        var out = ByteBuffer(capacity: 1024)
        guard try next(in: event, into: &out) else { return nil }
        return unsafe out.withBytes { unsafe [UInt8]($0) }
    }

    private func checkEnd() throws(BinlogError) {
        guard isFrameDone, plainOffset == payload.plainSize else {
            throw malformed(
                .transactionPayload, at: at, "the payload ends before its announced size")
        }
    }

    /// Moves up to `n` bytes to `out`; false when there are no more.
    private mutating func move(
        _ n: Int, _ event: RawSpan, _ out: inout ByteBuffer
    ) throws(BinlogError) -> Bool {
        if payload.compression == .none {
            let count = min(n, payload.range.upperBound - at)
            out.append(event, at, count)
            at += count
            return count > 0
        }
        if start == end { try fill(event) }
        guard end > start else { return false }
        let count = min(n, end - start)
        out.append(
            unsafe RawSpan(_unsafeStart: UnsafeRawPointer(window + start), byteCount: count))
        start += count
        return true
    }

    /// Unpacks until the window has something, or the payload ends.
    private mutating func fill(_ event: RawSpan) throws(BinlogError) {
        start = 0
        end = 0
        while end == 0 {
            let left = payload.range.upperBound - at
            if left == 0, isFrameDone { return }
            let before = at
            let status = unsafe event.withUnsafeBytes { bytes in
                // SAFETY: zstd reads and writes inside the two buffers, whose sizes it is told.
                var input = unsafe ZSTD_inBuffer(
                    src: bytes.baseAddress! + at, size: left, pos: 0)
                var output = unsafe ZSTD_outBuffer(dst: window, size: capacity, pos: 0)
                let status = unsafe ZSTD_decompressStream(context, &output, &input)
                unsafe at += input.pos
                unsafe end = output.pos
                return status
            }
            guard ZSTD_isError(status) == 0 else {
                throw malformed(.transactionPayload, at: before, "the payload does not unpack")
            }
            isFrameDone = status == 0
            guard end > 0 || at > before else {
                throw truncated(.transactionPayload, at: at, "the compressed payload")
            }
        }
    }
}
