internal import CDeflate
internal import MySQLCore

/// Appends what `length` bytes of deflated data unpack to, which must be exactly `expected` bytes.
///
/// - Parameter isRaw: without zlib's header and checksum.
func appendInflated(
    _ span: RawSpan, _ offset: Int, _ length: Int, isRaw: Bool, expected: Int,
    event: EventType?, into out: inout ByteBuffer
) throws(BinlogError) {
    guard span.has(offset, length) else {
        throw truncated(event, at: offset, "compressed data")
    }
    // Deflate packs no better than this, so memory is taken only for what can really come out.
    guard expected <= length * 1032 + 64, let inflater = unsafe libdeflate_alloc_decompressor()
    else {
        throw malformed(event, at: offset, "compressed data that announces too much")
    }
    defer { unsafe libdeflate_free_decompressor(inflater) }
    let input = span.extracting(offset..<(offset + length))
    let ok = unsafe out.append(count: expected) { output in
        // SAFETY: the library stays within the lengths it is given, whatever the input says.
        unsafe input.withUnsafeBytes { input in
            let unpack =
                unsafe isRaw ? libdeflate_deflate_decompress : libdeflate_zlib_decompress
            let result = unsafe unpack(
                inflater, input.baseAddress, input.count, output.baseAddress, output.count, nil)
            return result == LIBDEFLATE_SUCCESS
        }
    }
    guard ok else {
        throw malformed(event, at: offset, "compressed data that does not unpack as announced")
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
                span, offset + 1 + bytes, length - 1 - bytes, isRaw: head & 8 != 0,
                expected: expected, event: nil, into: &out)
        default:
            throw malformed(nil, at: offset, "an unknown method of column compression")
        }
    }
}
