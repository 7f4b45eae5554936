public import MySQLCore

// MariaDB compresses single events (`log_bin_compress`). The fixed part stays as it is; statement
// or rows become a head byte (0x80, the algorithm times 16, the number of length bytes), the plain
// length big-endian, and zlib data.

extension EventType {
    /// The plain type that a compressed one unpacks to.
    var decompressedType: EventType? {
        switch rawValue {
        case 165: .query
        case 166...168: EventType(rawValue - 166 + 23)
        case 169...171: EventType(rawValue - 169 + 30)
        default: nil
        }
    }

    /// The plain form of one of MariaDB's compressed events (types 165 to 171): a whole event with
    /// its header, without a checksum. Its size is the plain one, its position that of the
    /// original.
    ///
    /// - Parameters:
    ///   - event: the compressed event, without its checksum.
    ///   - limit: most bytes that the result may have.
    public static func decompressed(
        _ event: RawSpan, limit: Int
    ) throws(BinlogError) -> [UInt8] {
        var out = ByteBuffer(capacity: event.byteCount * 4)
        try decompress(event, limit: limit, into: &out)
        return unsafe out.withBytes { unsafe [UInt8]($0) }
    }

    /// The same, appended to a buffer that can be reused.
    public static func decompress(
        _ event: RawSpan, limit: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        let header = try EventHeader(event)
        guard let plain = header.type.decompressedType else {
            throw malformed(header.type, at: 4, "a compressed event was expected")
        }
        let start =
            plain == .query
            ? try QueryLayout(event).sqlRange.lowerBound
            : try RowsEvent.compressedRowsOffset(event, plain)
        var cursor = try Cursor(event, header.type, at: start)
        let head = try cursor.u8("the head of the compressed data")
        let bytes = Int(head & 7)
        guard head & 0xF0 == 0x80, bytes > 0, bytes <= 4 else {
            throw malformed(header.type, at: start, "the head of the compressed data is not valid")
        }
        let expected = Int(event.big(try cursor.take(bytes, "the plain length"), bytes))
        guard start + expected <= min(limit, Int(UInt32.max)) else {
            throw BinlogError(
                .limit, header.type, at: start, "an event of \(expected) bytes unpacked")
        }
        let base = out.count
        out.append(event, 0, start)
        out.overwrite(plain.rawValue, atByte: base + 4)
        out.overwrite(UInt32(truncatingIfNeeded: start + expected), at: base + 9)
        try appendInflated(
            event, cursor.at, cursor.left, isRaw: false, expected: expected,
            event: header.type, into: &out)
    }
}

extension RowsEvent {
    /// Where the rows of a compressed event start, read as if it was a plain one.
    static func compressedRowsOffset(
        _ event: RawSpan, _ plain: EventType
    ) throws(BinlogError) -> Int {
        try RowsEvent(event, as: plain).rowsOffset
    }
}

extension ByteBuffer {
    /// Overwrites one byte that was appended before.
    fileprivate mutating func overwrite(_ byte: UInt8, atByte offset: Int) {
        // ByteBuffer overwrites 32 bits at a time: the byte and the three behind it.
        let rest = bytes.u32(offset) & ~0xFF
        overwrite(rest | UInt32(byte), at: offset)
    }
}
