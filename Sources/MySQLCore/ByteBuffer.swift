/// A growing run of bytes for SQL and packets: one per lane or copier, reused for its whole life,
/// so that rendering a row allocates nothing.
@safe
public struct ByteBuffer: ~Copyable, @unchecked Sendable {
    // SAFETY: the storage has one owner, this noncopyable value, and is reached through it alone;
    // moving the value between threads moves that ownership.

    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var capacity: Int
    /// Bytes written so far.
    public private(set) var count: Int = 0

    /// Makes an empty buffer with room for `capacity` bytes.
    public init(capacity: Int = 4096) {
        self.capacity = max(capacity, 64)
        unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { unsafe base.deallocate() }

    /// Forgets the content, keeps the room.
    public mutating func removeAll() { count = 0 }

    /// Forgets everything behind the first `count` bytes.
    public mutating func truncate(to count: Int) {
        precondition(count <= self.count)
        self.count = count
    }

    /// Forgets the first `n` bytes and moves the rest to the front.
    public mutating func removeFirst(_ n: Int) {
        precondition(n <= count)
        unsafe base.copyMemory(from: UnsafeRawPointer(base + n), byteCount: count - n)
        count -= n
    }

    /// Gives room back when a rare, large content has blown the buffer up beyond `limit` bytes.
    public mutating func shrink(to limit: Int) {
        guard capacity > limit, count <= limit else { return }
        reallocate(limit)
    }

    /// Bytes of memory held.
    public var allocatedBytes: Int { capacity }

    @usableFromInline
    mutating func reallocate(_ size: Int) {
        let grown = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        unsafe grown.copyMemory(from: UnsafeRawPointer(base), byteCount: count)
        unsafe base.deallocate()
        unsafe base = grown
        capacity = size
    }

    /// Makes room for `n` more bytes.
    @inline(__always)
    public mutating func reserve(_ n: Int) {
        if count + n > capacity { grow(n) }
    }

    /// Doubles small buffers; large ones grow by an eighth, since memory that is not needed counts.
    @inline(never)
    private mutating func grow(_ n: Int) {
        let slack = capacity < 16 << 20 ? capacity : capacity / 8
        reallocate(max(capacity + slack, count + n + 4096))
    }

    /// Appends `n` bytes that `body` writes; nothing when it returns false.
    public mutating func append(
        count n: Int, _ body: (UnsafeMutableRawBufferPointer) -> Bool
    ) -> Bool {
        reserve(n)
        guard unsafe body(UnsafeMutableRawBufferPointer(start: base + count, count: n)) else {
            return false
        }
        count += n
        return true
    }

    /// Appends one byte.
    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        unsafe base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    /// Appends text that is known at compile time, without ARC traffic.
    @inline(__always)
    public mutating func append(_ text: StaticString) {
        let n = text.utf8CodeUnitCount
        reserve(n)
        unsafe (base + count).copyMemory(from: text.utf8Start, byteCount: n)
        count += n
    }

    /// Appends a text's UTF-8.
    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            guard let source = bytes.baseAddress else { return }
            reserve(bytes.count)
            unsafe (base + count).copyMemory(from: source, byteCount: bytes.count)
            count += bytes.count
        }
    }

    /// Appends an array's bytes.
    public mutating func append(_ bytes: [UInt8]) {
        append(unsafe bytes.span.bytes)
    }

    /// Appends all of a span.
    @inline(__always)
    public mutating func append(_ span: RawSpan) {
        let n = span.byteCount
        guard n > 0 else { return }
        reserve(n)
        unsafe span.withUnsafeBytes { bytes in
            unsafe (base + count).copyMemory(from: bytes.baseAddress!, byteCount: n)
        }
        count += n
    }

    /// Appends part of a span; traps when it is out of bounds.
    @inline(__always)
    public mutating func append(_ span: RawSpan, _ offset: Int, _ length: Int) {
        append(span.extracting(offset..<(offset + length)))
    }

    /// Appends an integer, little-endian.
    @inline(__always)
    public mutating func appendLittleEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        unsafe base.storeBytes(of: value.littleEndian, toByteOffset: count, as: T.self)
        count += MemoryLayout<T>.size
    }

    /// Appends a number in decimal digits.
    @inline(__always)
    public mutating func appendDecimal(_ value: UInt64) {
        reserve(20)
        var digits = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        var at = count + digits
        rest = value
        repeat {
            at -= 1
            let digit = UInt8(truncatingIfNeeded: rest % 10) + UInt8(ascii: "0")
            unsafe base.storeBytes(of: digit, toByteOffset: at, as: UInt8.self)
            rest /= 10
        } while rest > 0
        count += digits
    }

    /// Appends a signed number in decimal digits.
    @inline(__always)
    public mutating func appendDecimal(_ value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        appendDecimal(value.magnitude)
    }

    /// Appends `value` with leading zeros up to `width` digits.
    @inline(__always)
    public mutating func appendPadded(_ value: UInt64, width: Int) {
        var limit: UInt64 = 10
        var digits = 1
        while digits < width {
            if value < limit { append(UInt8(ascii: "0")) }
            limit &*= 10
            digits += 1
        }
        appendDecimal(value)
    }

    /// Appends bytes as hexadecimal digits, without quotes.
    public mutating func appendHex(_ span: RawSpan) {
        reserve(span.byteCount * 2)
        for i in 0..<span.byteCount {
            let b = unsafe span.unsafeLoad(fromByteOffset: i, as: UInt8.self)
            append(hexDigit(b >> 4))
            append(hexDigit(b & 15))
        }
    }

    /// Appends a single-quoted SQL string literal with backslash escapes (the session must not
    /// have `NO_BACKSLASH_ESCAPES`).
    @inline(__always)
    public mutating func appendQuoted(_ span: RawSpan) {
        append(UInt8(ascii: "'"))
        appendEscaped(span)
        append(UInt8(ascii: "'"))
    }

    /// Appends the inside of a single-quoted literal.
    public mutating func appendEscaped(_ span: RawSpan) {
        let n = span.byteCount
        reserve(2 * n)
        unsafe span.withUnsafeBytes { bytes in
            var run = 0
            for i in 0..<n {
                let c = unsafe bytes[i]
                if c != 0x27 && c != 0x5C && c != 0 { continue }
                if i > run {
                    unsafe (base + count).copyMemory(
                        from: bytes.baseAddress! + run, byteCount: i - run)
                    count += i - run
                }
                unsafe base.storeBytes(of: 0x5C, toByteOffset: count, as: UInt8.self)
                unsafe base.storeBytes(
                    of: c == 0 ? 0x30 : c, toByteOffset: count + 1, as: UInt8.self)
                count += 2
                run = i + 1
            }
            if n > run {
                unsafe (base + count).copyMemory(
                    from: bytes.baseAddress! + run, byteCount: n - run)
                count += n - run
            }
        }
    }

    /// Overwrites a 32-bit little-endian number that was appended before.
    public mutating func overwrite(_ value: UInt32, at offset: Int) {
        precondition(offset + 4 <= count)
        unsafe base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// The content, borrowed.
    @inline(__always)
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Calls `body` with the content.
    @inline(__always)
    public func withBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try unsafe body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// The content as text, for messages and tests.
    public func string() -> String {
        unsafe withBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}

@inline(__always)
func hexDigit(_ v: UInt8) -> UInt8 {
    v < 10 ? v + UInt8(ascii: "0") : v - 10 + UInt8(ascii: "A")
}
