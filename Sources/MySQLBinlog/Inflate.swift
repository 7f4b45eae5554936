internal import CZlib
internal import MySQLCore

/// Appends what `length` bytes of zlib data unpack to, which must be exactly `expected` bytes.
/// Memory grows with what really comes out, not with what is announced.
func appendInflated(
    _ span: RawSpan, _ offset: Int, _ length: Int, windowBits: Int32, expected: Int,
    event: EventType?, into out: inout ByteBuffer
) throws(BinlogError) {
    guard span.has(offset, length), length <= Int(UInt32.max) else {
        throw truncated(event, at: offset, "compressed data")
    }
    let before = out.count
    let ok = unsafe span.extracting(offset..<(offset + length)).withUnsafeBytes { input in
        unsafe inflateAll(input, windowBits, expected, &out)
    }
    guard ok, out.count - before == expected else {
        out.truncate(to: before)
        throw malformed(event, at: offset, "compressed data that does not unpack as announced")
    }
}

/// Whether the input is whole and unpacks to no more than `limit` bytes.
private func inflateAll(
    _ input: UnsafeRawBufferPointer, _ windowBits: Int32, _ limit: Int, _ out: inout ByteBuffer
) -> Bool {
    var stream = unsafe z_stream()
    guard
        unsafe inflateInit2_(
            &stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { return false }
    defer { unsafe inflateEnd(&stream) }
    // SAFETY: zlib does not write to its input, which outlives the stream; output goes to the
    // window, whose size it is told before each call.
    let source = unsafe input.bindMemory(to: UInt8.self)
    unsafe stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
    unsafe stream.avail_in = UInt32(source.count)
    let window = 32 << 10
    return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: window) { chunk in
        var total = 0
        while true {
            unsafe stream.next_out = chunk.baseAddress
            unsafe stream.avail_out = UInt32(window)
            let status = unsafe inflate(&stream, Z_NO_FLUSH)
            let n = unsafe window - Int(stream.avail_out)
            total += n
            guard total <= limit else { return false }
            out.append(unsafe RawSpan(_unsafeElements: UnsafeBufferPointer(rebasing: chunk[..<n])))
            if status == Z_STREAM_END { return true }
            guard status == Z_OK, n > 0 else { return false }
        }
    }
}

extension ColumnLayout {
    /// Most bytes that a compressed column's value may unpack to: what a server can hold at all.
    static let decompressedLimit = 1 << 30

    /// Appends the value of a MariaDB COMPRESSED column.
    ///
    ///     u8    method * 16 + 8 for "without zlib header" + bytes of the length (zlib)
    ///           big-endian plain length, then zlib data; or, with method 0, the plain value
    ///
    /// The empty value is no bytes at all.
    func appendDecompressed(
        _ span: RawSpan, _ offset: Int, _ length: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        guard length > 0 else { return }
        let head = span.u8(offset)
        switch head >> 4 {
        case 0: out.append(span, offset + 1, length - 1)
        case 8:
            let bytes = Int(head & 7)
            guard bytes <= 4, bytes > 0, length > bytes else {
                throw malformed(nil, at: offset, "the head of a compressed value is not valid")
            }
            let expected = Int(span.big(offset + 1, bytes))
            guard expected <= Self.decompressedLimit else {
                throw BinlogError(
                    .limit, nil, at: offset, "a compressed value of \(expected) bytes")
            }
            try appendInflated(
                span, offset + 1 + bytes, length - 1 - bytes, windowBits: head & 8 != 0 ? -15 : 15,
                expected: expected, event: nil, into: &out)
        default:
            throw malformed(nil, at: offset, "an unknown method of column compression")
        }
    }
}
