internal import MySQLCore

// A decimal is stored in groups of nine digits, four bytes each, big-endian, counted from the
// point; the outermost groups of either side have fewer digits and bytes. The first bit is
// inverted, and negative numbers have all bits inverted, so that bytes compare as numbers do.

/// Bytes of a group of 0 to 9 digits.
@inline(__always)
private func groupSize(_ digits: Int) -> Int { digits == 9 ? 4 : (digits + 1) / 2 }

private let powersOfTen: InlineArray<10, UInt32> = [
    1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000,
]

/// Appends a binary decimal's digits, all of the scale included, as the server prints them. The
/// bytes are known to be there.
@inline(__always)
func appendDecimal(
    _ event: RawSpan, _ offset: Int, precision: Int, scale: Int, into out: inout ByteBuffer
) throws(BinlogError) {
    let isNegative = event.u8(offset) & 0x80 == 0
    if isNegative { out.append(UInt8(ascii: "-")) }
    let whole = precision - scale
    var o = offset
    var hasDigit = false

    /// The next group, its sign bits undone.
    @inline(__always)
    func group(_ digits: Int) throws(BinlogError) -> UInt64 {
        let size = groupSize(digits)
        var raw = event.big(o, size)
        if o == offset { raw ^= 0x80 << UInt64(8 * (size - 1)) }
        if isNegative { raw = ~raw & (1 << UInt64(8 * size) - 1) }
        guard raw < UInt64(powersOfTen[digits]) else {
            throw malformed(nil, at: o, "a decimal has a group of too many digits")
        }
        o += size
        return raw
    }

    @inline(__always)
    func appendWhole(_ digits: Int) throws(BinlogError) {
        let value = try group(digits)
        if hasDigit {
            out.appendPadded(value, width: digits)
        } else if value > 0 {
            out.appendDecimal(value)
            hasDigit = true
        }
    }

    if whole % 9 > 0 { try appendWhole(whole % 9) }
    for _ in 0..<(whole / 9) { try appendWhole(9) }
    if !hasDigit { out.append(UInt8(ascii: "0")) }
    guard scale > 0 else { return }
    out.append(UInt8(ascii: "."))
    for _ in 0..<(scale / 9) { out.appendPadded(try group(9), width: 9) }
    if scale % 9 > 0 { out.appendPadded(try group(scale % 9), width: scale % 9) }
}
