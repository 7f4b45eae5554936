/// An exact decimal number of up to 38 digits: MySQL's DECIMAL, as far as filters need it.
///
/// No number is beyond ten to the power of 38 (unscaled), which is far enough from the ends of 128
/// bits that rounding and changing a sign always fit. What would be is refused where it arises.
struct FixedDecimal: Sendable, Hashable {
    /// The number times ten to the power of ``scale``.
    let unscaled: Int128
    /// Digits behind the point, 0 to 38.
    let scale: Int

    init(_ unscaled: Int128, scale: Int = 0) {
        self.unscaled = unscaled
        self.scale = scale
    }

    /// Reads `-12.50`; `nil` for anything else, and for more than 38 digits.
    init?(_ text: some Sequence<UInt8>) {
        var value: Int128 = 0
        var scale = 0
        var isNegative = false
        var digits = 0
        var isBehindPoint = false
        for (i, c) in text.enumerated() {
            switch c {
            case UInt8(ascii: "-") where i == 0: isNegative = true
            case UInt8(ascii: "+") where i == 0: break
            case UInt8(ascii: ".") where !isBehindPoint: isBehindPoint = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if value != 0 || c != UInt8(ascii: "0") { digits += 1 }
                if isBehindPoint { scale += 1 }
                guard digits <= 38, scale <= 38 else { return nil }
                value = value * 10 + Int128(c - UInt8(ascii: "0"))
            default: return nil
            }
        }
        self.init(isNegative ? -value : value, scale: scale)
    }

    /// A number that was calculated; `nil` when it has more than 38 digits.
    private init?(checking unscaled: Int128, scale: Int) {
        guard unscaled.magnitude <= Self.power(38).magnitude else { return nil }
        self.init(unscaled, scale: scale)
    }

    /// The whole number that is nearest to a double, at most ten to the power of 38.
    init(clamping value: Double) {
        let limit = Self.power(38)
        let isInside = value.magnitude < 1e38
        self.init(isInside ? Int128(value) : value < 0 ? -limit : limit)
    }

    /// Ten to a power from 0 to 38.
    static func power(_ n: Int) -> Int128 { powers[n] }

    private static let powers: [Int128] = (0...38).map { n in
        (0..<n).reduce(Int128(1)) { value, _ in value * 10 }
    }

    /// As a double, the nearest one.
    var double: Double {
        // Whole numbers and powers that doubles hold exactly give the nearest quotient.
        if unscaled.magnitude < 1 << 53, scale <= 22 {
            return Double(unscaled) / Double(Self.power(scale))
        }
        return Double(description) ?? 0
    }

    var isZero: Bool { unscaled == 0 }

    /// Compares without ever overflowing.
    static func compare(_ a: FixedDecimal, _ b: FixedDecimal) -> Int {
        if a.scale == b.scale { return sign(a.unscaled, b.unscaled) }
        let (aWhole, aRest) = a.unscaled.quotientAndRemainder(dividingBy: power(a.scale))
        let (bWhole, bRest) = b.unscaled.quotientAndRemainder(dividingBy: power(b.scale))
        if aWhole != bWhole { return sign(aWhole, bWhole) }
        // Rests are below one: brought to the larger scale they have at most 38 digits.
        let scale = max(a.scale, b.scale)
        return sign(aRest * power(scale - a.scale), bRest * power(scale - b.scale))
    }

    private static func sign(_ a: Int128, _ b: Int128) -> Int { a < b ? -1 : a == b ? 0 : 1 }

    /// The same number with more digits behind the point; `nil` when it does not fit.
    func scaled(to scale: Int) -> FixedDecimal? {
        guard scale > self.scale else { return self }
        guard scale <= 38 else { return nil }
        let (value, overflow) = unscaled.multipliedReportingOverflow(
            by: Self.power(scale - self.scale))
        return overflow ? nil : FixedDecimal(checking: value, scale: scale)
    }

    /// Sum; `nil` when it does not fit.
    static func add(_ a: FixedDecimal, _ b: FixedDecimal) -> FixedDecimal? {
        let scale = max(a.scale, b.scale)
        guard let a = a.scaled(to: scale), let b = b.scaled(to: scale) else { return nil }
        let (value, overflow) = a.unscaled.addingReportingOverflow(b.unscaled)
        return overflow ? nil : FixedDecimal(checking: value, scale: scale)
    }

    var negated: FixedDecimal { FixedDecimal(-unscaled, scale: scale) }

    /// Product; `nil` when it does not fit.
    static func multiply(_ a: FixedDecimal, _ b: FixedDecimal) -> FixedDecimal? {
        let (value, overflow) = a.unscaled.multipliedReportingOverflow(by: b.unscaled)
        guard !overflow, a.scale + b.scale <= 38 else { return nil }
        return FixedDecimal(checking: value, scale: a.scale + b.scale)
    }

    /// Quotient as the servers keep it while they calculate: their numbers consist of groups of
    /// nine digits, so it has more digits than the four that are printed. `nil` when it does not
    /// fit; the divisor is not zero.
    static func divide(_ a: FixedDecimal, _ b: FixedDecimal) -> FixedDecimal? {
        func groups(_ digits: Int) -> Int { (digits + 8) / 9 * 9 }
        let spare = groups(a.scale) - a.scale + groups(b.scale) - b.scale
        let scale = min(
            groups(groups(a.scale) + groups(b.scale) + max(0, 4 - spare)), 36)
        let shift = scale + b.scale - a.scale
        let isNegative = (a.unscaled < 0) != (b.unscaled < 0)
        var numerator = (high: UInt128(0), low: a.unscaled.magnitude)
        var divisor = b.unscaled.magnitude
        if shift >= 0 {
            guard shift <= 38 else { return nil }
            numerator = a.unscaled.magnitude.multipliedFullWidth(
                by: Self.power(shift).magnitude)
        } else {
            let (value, overflow) = divisor.multipliedReportingOverflow(
                by: Self.power(-shift).magnitude)
            guard !overflow else { return FixedDecimal(0, scale: scale) }
            divisor = value
        }
        guard numerator.high < divisor else { return nil }
        let quotient = divisor.dividingFullWidth(numerator).quotient
        guard let value = Int128(exactly: quotient) else { return nil }
        return FixedDecimal(checking: isNegative ? -value : value, scale: scale)
    }

    /// Remainder, with the dividend's sign; `nil` when it does not fit. The divisor is not zero.
    static func remainder(_ a: FixedDecimal, _ b: FixedDecimal) -> FixedDecimal? {
        let scale = max(a.scale, b.scale)
        guard let a = a.scaled(to: scale), let b = b.scaled(to: scale) else { return nil }
        return FixedDecimal(a.unscaled % b.unscaled, scale: scale)
    }

    /// How digits are cut off.
    enum Rounding { case half, down, floor, ceiling }

    /// With fewer digits behind the point (negative: tens, hundreds, ..).
    func rounded(to digits: Int, _ rounding: Rounding) -> FixedDecimal {
        guard digits < scale else { return self }
        let cut = scale - digits
        guard cut <= 38 else { return FixedDecimal(0) }
        let unit = Self.power(cut)
        var (value, rest) = unscaled.quotientAndRemainder(dividingBy: unit)
        switch rounding {
        case .down: break
        case .half: if rest.magnitude >= (unit / 2).magnitude { value += rest < 0 ? -1 : 1 }
        case .floor: if rest < 0 { value -= 1 }
        case .ceiling: if rest > 0 { value += 1 }
        }
        if digits >= 0 { return FixedDecimal(value, scale: digits) }
        return FixedDecimal(value * Self.power(-digits), scale: 0)
    }

    /// All digits of the scale, as the server prints it.
    var description: String {
        var digits = String(unscaled.magnitude)
        if scale > 0 {
            if digits.count <= scale {
                digits = String(repeating: "0", count: scale + 1 - digits.count) + digits
            }
            digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -scale))
        }
        return unscaled < 0 ? "-" + digits : digits
    }
}
