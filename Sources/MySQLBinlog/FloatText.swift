public import MySQLCore

// The server prints floating-point numbers with the fewest digits that read back as the same
// number, plainly where that is short, with an exponent where it is not: 0.1, 1e20, 1.5e-20.

/// Digits and decimal exponent of a positive number: 0.d1d2d3.. * 10^point.
private struct ShortestDigits {
    var digits: InlineArray<24, UInt8> = .init(repeating: 0)
    var count = 0
    var point = 0

    /// Splits what Swift prints, which has the same digits: "12.5", "1e+20", "5e-324".
    init(_ text: String) {
        var exponent = 0
        var isExponent = false
        var isNegative = false
        var behindPoint = 0
        var seenPoint = false
        for c in text.utf8 {
            switch c {
            case UInt8(ascii: "."): seenPoint = true
            case UInt8(ascii: "e"): isExponent = true
            case UInt8(ascii: "+"): break
            case UInt8(ascii: "-"): isNegative = isExponent
            default:
                let digit = c &- UInt8(ascii: "0")
                if isExponent {
                    exponent = exponent * 10 + Int(digit)
                } else {
                    if seenPoint { behindPoint += 1 }
                    if count > 0 || digit > 0, count < 24 {
                        digits[count] = digit
                        count += 1
                    }
                }
            }
        }
        point = count - behindPoint + (isNegative ? -exponent : exponent)
        while count > 0, digits[count - 1] == 0 { count -= 1 }
    }

    /// A whole number times 10^-`scale`.
    init(_ value: UInt64, scale: Int) {
        var rest = value
        var reversed = InlineArray<24, UInt8>(repeating: 0)
        var n = 0
        while rest > 0 {
            reversed[n] = UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
            n += 1
        }
        for i in 0..<n { digits[i] = reversed[n - 1 - i] }
        count = n
        point = n - scale
        while count > 0, digits[count - 1] == 0 { count -= 1 }
    }
}

private let exactPowers: InlineArray<16, Double> = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
]

extension ByteBuffer {
    /// Appends a DOUBLE as the server prints it. NaN and infinities, which no column holds, come
    /// out as 0 would not: as `nan` and `inf`, which no server reads.
    public mutating func appendDouble(_ value: Double) {
        guard appendSign(value.sign == .minus, isZero: value == 0) else { return }
        guard value.isFinite else { return append(value.isNaN ? "nan" : "inf") }
        let magnitude = value.magnitude
        // Numbers of up to 15 digits with few behind the point need no search: the first scale at
        // which the number is whole, if dividing again gives the same number, has the digits.
        if magnitude < 1e15, magnitude >= 1e-5 {
            for scale in 0..<15 {
                let scaled = magnitude * exactPowers[scale] + 0.5
                guard scaled < 1e15 else { break }
                let whole = UInt64(scaled)
                if Double(whole) / exactPowers[scale] == magnitude {
                    return append(ShortestDigits(whole, scale: scale))
                }
            }
        }
        append(ShortestDigits(magnitude.description))
    }

    /// Appends a FLOAT with the fewest digits that read back as the same FLOAT (the server's own
    /// text has six digits and loses the rest).
    public mutating func appendFloat(_ value: Float) {
        guard appendSign(value.sign == .minus, isZero: value == 0) else { return }
        guard value.isFinite else { return append(value.isNaN ? "nan" : "inf") }
        append(ShortestDigits(value.magnitude.description))
    }

    /// Appends the sign, and zero whole; whether anything is left to do.
    private mutating func appendSign(_ isNegative: Bool, isZero: Bool) -> Bool {
        if isNegative { append(UInt8(ascii: "-")) }
        if isZero { append(UInt8(ascii: "0")) }
        return !isZero
    }

    private mutating func append(_ number: ShortestDigits) {
        let count = number.count
        let point = number.point
        // Plainly: up to 15 digits in front of the point, or more when there are some behind it,
        // or up to 14 zeros behind it.
        guard point >= -14, point <= 15 || count > point else {
            append(UInt8(ascii: "0") + number.digits[0])
            if count > 1 { append(UInt8(ascii: ".")) }
            for i in 1..<max(count, 1) { append(UInt8(ascii: "0") + number.digits[i]) }
            append(UInt8(ascii: "e"))
            return appendDecimal(Int64(point - 1))
        }
        if point <= 0 {
            append("0.")
            for _ in 0..<(-point) { append(UInt8(ascii: "0")) }
        }
        for i in 0..<count {
            if i == point, i > 0 { append(UInt8(ascii: ".")) }
            append(UInt8(ascii: "0") + number.digits[i])
        }
        if point > count { for _ in count..<point { append(UInt8(ascii: "0")) } }
    }
}
