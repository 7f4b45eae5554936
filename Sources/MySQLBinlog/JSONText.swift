public import MySQLCore

extension ByteBuffer {
    /// Appends a JSON string with its quotes, escaped as MySQL does: only what JSON requires.
    public mutating func appendJSONString(_ span: RawSpan, _ offset: Int, _ length: Int) {
        append(UInt8(ascii: "\""))
        var run = offset
        for i in offset..<(offset + length) {
            let c = span.u8(i)
            guard c < 0x20 || c == UInt8(ascii: "\"") || c == UInt8(ascii: "\\") else { continue }
            if i > run { append(span, run, i - run) }
            run = i + 1
            appendJSONEscape(c)
        }
        if offset + length > run { append(span, run, offset + length - run) }
        append(UInt8(ascii: "\""))
    }

    private mutating func appendJSONEscape(_ c: UInt8) {
        append(UInt8(ascii: "\\"))
        switch c {
        case 0x08: append(UInt8(ascii: "b"))
        case 0x09: append(UInt8(ascii: "t"))
        case 0x0A: append(UInt8(ascii: "n"))
        case 0x0C: append(UInt8(ascii: "f"))
        case 0x0D: append(UInt8(ascii: "r"))
        case 0x22, 0x5C: append(c)
        default:
            append("u00")
            append(UInt8(ascii: "0") + c >> 4)
            append(c & 15 < 10 ? UInt8(ascii: "0") + c & 15 : UInt8(ascii: "a") + (c & 15 - 10))
        }
    }

    /// Appends a JSON double: as a DOUBLE, but never so that it reads as a whole number.
    mutating func appendJSONDouble(_ value: Double) {
        let start = count
        appendDouble(value)
        let looksWhole = unsafe withBytes { bytes in
            unsafe !bytes[start...].contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") }
        }
        if looksWhole { append(".0") }
    }

    /// Appends base64, in lines of 76 characters as MySQL writes it.
    mutating func appendBase64(_ span: RawSpan, _ offset: Int, _ length: Int, lineEnd: StaticString)
    {
        let end = offset + length
        var line = 0
        for i in stride(from: offset, to: end, by: 3) {
            if line == 76 {
                append(lineEnd)
                line = 0
            }
            let n = min(3, end - i)
            let bits = UInt32(span.big(i, n)) << UInt32(8 * (3 - n))
            for j in 0..<4 {
                append(
                    j <= n
                        ? base64Digit(UInt8(truncatingIfNeeded: bits >> UInt32(18 - 6 * j) & 63))
                        : UInt8(ascii: "="))
            }
            line += 4
        }
    }
}

private func base64Digit(_ v: UInt8) -> UInt8 {
    switch v {
    case 0..<26: UInt8(ascii: "A") + v
    case 26..<52: UInt8(ascii: "a") + (v - 26)
    case 52..<62: UInt8(ascii: "0") + (v - 52)
    case 62: UInt8(ascii: "+")
    default: UInt8(ascii: "/")
    }
}

extension JSONReader {
    /// Appends a value of a column type inside JSON: decimals as numbers, times as strings with six
    /// fractional digits, everything else in base64 behind its type. The bytes are known to be
    /// there.
    func appendOpaque(
        _ type: UInt8, _ at: Int, _ length: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        switch WireType(rawValue: type) {
        case .newdecimal:
            guard length >= 2 else { throw fail(at, "a JSON decimal is too short") }
            let precision = Int(span.u8(at))
            let scale = Int(span.u8(at + 1))
            // Whole digits are rounded up to groups of nine here: more than a column's 65 are fine.
            guard precision > 0, precision <= 90, scale <= precision,
                length == 2 + decimalSize(precision: precision, scale: scale)
            else { throw fail(at, "a JSON decimal of invalid size") }
            try appendDecimal(span, at + 2, precision: precision, scale: scale, into: &out)
        case .date, .time, .datetime, .timestamp:
            guard length == 8 else { throw fail(at, "a JSON time of invalid size") }
            try appendTime(type, span.u64(at), at, into: &out)
        default:
            out.append("\"base64:type")
            out.appendDecimal(UInt64(type))
            out.append(UInt8(ascii: ":"))
            out.appendBase64(span, at, length, lineEnd: "\\n")
            out.append(UInt8(ascii: "\""))
        }
    }

    /// 40 bits date and time as in DATETIME columns (hours without days in a TIME), 24 bits
    /// microseconds; negative TIMEs as one negative number.
    private func appendTime(
        _ type: UInt8, _ raw: UInt64, _ at: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        let isNegative = Int64(bitPattern: raw) < 0
        let magnitude = Int64(bitPattern: raw).magnitude
        let micro = UInt32(truncatingIfNeeded: magnitude & 0xFF_FFFF)
        let whole = magnitude >> 24
        guard micro < 1_000_000, whole >> 40 == 0 else {
            throw fail(at, "a JSON time is out of range")
        }
        out.append(UInt8(ascii: "\""))
        switch WireType(rawValue: type) {
        case .date:
            let yearMonth = whole >> 22
            out.appendDate(year: yearMonth / 13, month: yearMonth % 13, day: whole >> 17 & 31)
        case .time:
            out.appendTime(
                isNegative: isNegative, hour: whole >> 12 & 0x3FF, minute: whole >> 6 & 63,
                second: whole & 63)
            out.appendFraction(micro, decimals: 6)
        default:
            out.appendDateTime(packed: whole)
            out.appendFraction(micro, decimals: 6)
        }
        out.append(UInt8(ascii: "\""))
    }
}
