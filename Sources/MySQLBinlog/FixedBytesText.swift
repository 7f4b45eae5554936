public import MySQLCore

// MariaDB logs UUID, INET6 and INET4 as BINARY columns: their bytes, without the zero bytes at the
// end. Only the table's shape tells them apart from BINARY. A literal has to be their text.

extension ByteBuffer {
    /// Appends a UUID column's bytes (up to 16) as `123e4567-e89b-12d3-a456-426655440000`.
    public mutating func appendUUID(_ bytes: RawSpan) {
        for i in 0..<16 {
            if i == 4 || i == 6 || i == 8 || i == 10 { append(UInt8(ascii: "-")) }
            let byte = bytes.orZero(i)
            appendHexDigit(byte >> 4)
            appendHexDigit(byte & 15)
        }
    }

    /// Appends an INET4 column's bytes (up to 4) as `192.168.0.1`.
    public mutating func appendINET4(_ bytes: RawSpan) { appendDotted(bytes, from: 0) }

    /// Appends an INET6 column's bytes (up to 16) as MariaDB prints it: the first longest run of
    /// zero groups, even a single one, is left out; the last 32 bits of embedded IPv4 addresses are
    /// dotted.
    public mutating func appendINET6(_ bytes: RawSpan) {
        var gap = 0
        var gapLength = 0
        var start = 0
        for i in 0...8 {
            if i < 8, bytes.group(i) == 0 { continue }
            if i - start > gapLength {
                gap = start
                gapLength = i - start
            }
            start = i + 1
        }
        let hasIPv4 = gap == 0 && (gapLength == 6 || gapLength == 5 && bytes.group(5) == 0xFFFF)
        var i = 0
        while i < 8 {
            if i == gap, gapLength > 0 {
                append("::")
                i += gapLength
                continue
            }
            if i > 0, i != gap + gapLength || gapLength == 0 { append(UInt8(ascii: ":")) }
            if hasIPv4, i == 6 { return appendDotted(bytes, from: 12) }
            appendGroup(bytes.group(i))
            i += 1
        }
    }

    private mutating func appendDotted(_ bytes: RawSpan, from start: Int) {
        for i in 0..<4 {
            if i > 0 { append(UInt8(ascii: ".")) }
            appendDecimal(UInt64(bytes.orZero(start + i)))
        }
    }

    private mutating func appendGroup(_ value: UInt16) {
        var isLeading = true
        for shift in stride(from: UInt16(12), through: 0, by: -4) {
            let digit = UInt8(value >> shift & 15)
            if isLeading, digit == 0, shift > 0 { continue }
            isLeading = false
            appendHexDigit(digit)
        }
    }

    private mutating func appendHexDigit(_ v: UInt8) {
        append(v < 10 ? UInt8(ascii: "0") + v : UInt8(ascii: "a") + (v - 10))
    }
}

extension RawSpan {
    fileprivate func orZero(_ i: Int) -> UInt8 { i < byteCount ? u8(i) : 0 }

    fileprivate func group(_ i: Int) -> UInt16 {
        UInt16(orZero(2 * i)) << 8 | UInt16(orZero(2 * i + 1))
    }
}
