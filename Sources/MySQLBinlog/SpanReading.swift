// Loads of integers from a span. They check bounds themselves and trap, as a second net: every
// caller has compared offset and length before, and has thrown when they did not fit.

extension RawSpan {
    @inline(__always)
    func u8(_ o: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: o, as: UInt8.self) }

    @inline(__always)
    func u16(_ o: Int) -> UInt16 {
        UInt16(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: o, as: UInt16.self))
    }

    @inline(__always)
    func u24(_ o: Int) -> UInt32 { UInt32(u16(o)) | UInt32(u8(o + 2)) << 16 }

    @inline(__always)
    func u32(_ o: Int) -> UInt32 {
        UInt32(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: o, as: UInt32.self))
    }

    @inline(__always)
    func u48(_ o: Int) -> UInt64 { UInt64(u32(o)) | UInt64(u16(o + 4)) << 32 }

    @inline(__always)
    func u64(_ o: Int) -> UInt64 {
        UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: o, as: UInt64.self))
    }

    /// A little-endian number of 1 to 8 bytes.
    @inline(__always)
    func little(_ o: Int, _ n: Int) -> UInt64 {
        var value: UInt64 = 0
        for i in 0..<n { value |= UInt64(u8(o + i)) &<< UInt64(8 * i) }
        return value
    }

    /// A big-endian number of 0 to 8 bytes.
    @inline(__always)
    func big(_ o: Int, _ n: Int) -> UInt64 {
        var value: UInt64 = 0
        for i in 0..<n { value = value &<< 8 | UInt64(u8(o + i)) }
        return value
    }

    /// Whether `length` bytes are there from `offset` on.
    @inline(__always)
    func has(_ offset: Int, _ length: Int) -> Bool {
        offset >= 0 && length >= 0 && offset <= byteCount && length <= byteCount - offset
    }

    /// A copy of a part that is known to be there.
    func array(_ offset: Int, _ length: Int) -> [UInt8] {
        unsafe extracting(offset..<(offset + length)).withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// A part that is known to be there, as text; invalid UTF-8 is repaired.
    func text(_ offset: Int, _ length: Int) -> String {
        unsafe extracting(offset..<(offset + length)).withUnsafeBytes {
            unsafe String(decoding: $0, as: UTF8.self)
        }
    }
}

/// Reads an event from front to end and throws where it ends too early. For everything but rows,
/// which have their own loops.
struct Cursor: ~Escapable {
    let span: RawSpan
    let event: EventType?
    /// Offset of the next byte to be read, from the start of the event.
    private(set) var at: Int
    /// Offset behind the last byte that may be read.
    private(set) var end: Int

    @_lifetime(copy span)
    init(_ span: RawSpan, _ event: EventType?, at: Int) throws(BinlogError) {
        guard at >= 0, at <= span.byteCount else {
            throw truncated(event, at: span.byteCount, "its header")
        }
        self.span = span
        self.event = event
        self.at = at
        self.end = span.byteCount
    }

    var left: Int { end - at }
    var isAtEnd: Bool { at >= end }

    /// Steps over `n` bytes and returns where they start.
    @_lifetime(self: copy self)
    mutating func take(_ n: Int, _ what: StaticString) throws(BinlogError) -> Int {
        guard n >= 0, n <= end - at else { throw truncated(event, at: at, what) }
        defer { at += n }
        return at
    }

    /// The same with a length that came from the event.
    @_lifetime(self: copy self)
    mutating func take(_ n: UInt64, _ what: StaticString) throws(BinlogError) -> Int {
        guard n <= UInt64(end - at) else { throw truncated(event, at: at, what) }
        return try take(Int(n), what)
    }

    @_lifetime(self: copy self)
    mutating func u8(_ what: StaticString) throws(BinlogError) -> UInt8 {
        span.u8(try take(1, what))
    }

    @_lifetime(self: copy self)
    mutating func u16(_ what: StaticString) throws(BinlogError) -> UInt16 {
        span.u16(try take(2, what))
    }

    @_lifetime(self: copy self)
    mutating func u32(_ what: StaticString) throws(BinlogError) -> UInt32 {
        span.u32(try take(4, what))
    }

    @_lifetime(self: copy self)
    mutating func u48(_ what: StaticString) throws(BinlogError) -> UInt64 {
        span.u48(try take(6, what))
    }

    @_lifetime(self: copy self)
    mutating func u64(_ what: StaticString) throws(BinlogError) -> UInt64 {
        span.u64(try take(8, what))
    }

    /// A number of the protocol's "length encoded" kind: 1, 3, 4 or 9 bytes.
    @_lifetime(self: copy self)
    mutating func lengthEncoded(_ what: StaticString) throws(BinlogError) -> UInt64 {
        let first = try u8(what)
        switch first {
        case 0..<251: return UInt64(first)
        case 252: return UInt64(try u16(what))
        case 253: return UInt64(span.u24(try take(3, what)))
        case 254: return try u64(what)
        default: throw malformed(event, at: at - 1, "a length starts with an invalid byte")
        }
    }

    /// The same for a number of things of which each takes at least `unit` bytes of the rest.
    @_lifetime(self: copy self)
    mutating func count(unit: Int, _ what: StaticString) throws(BinlogError) -> Int {
        let n = try lengthEncoded(what)
        guard n <= UInt64(left / max(unit, 1)) else { throw truncated(event, at: at, what) }
        return Int(n)
    }

    /// Bytes behind a length-encoded length.
    @_lifetime(self: copy self)
    mutating func lengthEncodedRange(_ what: StaticString) throws(BinlogError) -> Range<Int> {
        let n = try lengthEncoded(what)
        let start = try take(n, what)
        return start..<at
    }

    @_lifetime(self: copy self)
    mutating func text(_ n: Int, _ what: StaticString) throws(BinlogError) -> String {
        span.text(try take(n, what), n)
    }

    @_lifetime(self: copy self)
    mutating func bytes(_ n: Int, _ what: StaticString) throws(BinlogError) -> [UInt8] {
        span.array(try take(n, what), n)
    }

    /// Everything that is left, as text.
    @_lifetime(self: copy self)
    mutating func restText() -> String {
        defer { at = end }
        return span.text(at, end - at)
    }

    /// A cursor over the next `n` bytes only; this one steps behind them.
    @_lifetime(self: copy self)
    @_lifetime(copy self)
    mutating func part(_ n: UInt64, _ what: StaticString) throws(BinlogError) -> Cursor {
        let start = try take(n, what)
        var inner = try Cursor(span, event, at: start)
        inner.end = at
        return inner
    }
}
