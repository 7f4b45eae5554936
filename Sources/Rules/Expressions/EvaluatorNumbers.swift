/// Arithmetic and conversions to numbers.
extension RowEvaluator {
    static func numberAsDouble(_ value: ExpressionValue) -> Double {
        switch value {
        case .signed(let v): Double(v)
        case .unsigned(let v): Double(v)
        case .decimal(let v): v.double
        case .double(let v): v
        default: 0
        }
    }

    static func numberAsDecimal(_ value: ExpressionValue) -> FixedDecimal? {
        switch value {
        case .signed(let v): FixedDecimal(Int128(v))
        case .unsigned(let v): FixedDecimal(Int128(v))
        case .decimal(let v): v
        default: nil
        }
    }

    /// The value as a number; texts as doubles.
    @inline(__always)
    func toNumber(_ value: ExpressionValue, _ event: RawSpan) -> ExpressionValue {
        switch value {
        case .null, .signed, .unsigned, .decimal, .double: value
        case .temporal, .member, .text: convertedNumber(value, event)
        }
    }

    @inline(never)
    private func convertedNumber(
        _ value: ExpressionValue, _ event: RawSpan
    ) -> ExpressionValue {
        switch value {
        case .temporal(let v):
            if v.kind == .date || v.decimals == 0 { return .signed(v.number) }
            let whole = Int128(v.number) * 1_000_000
            let micro = Int128(v.isNegative ? -v.microsecond : v.microsecond)
            return .decimal(FixedDecimal(whole + micro, scale: 6))
        case .member(let number, _): return .unsigned(number)
        case .text: return .double(toDouble(value, event))
        default: return value
        }
    }

    func toDouble(_ value: ExpressionValue, _ event: RawSpan) -> Double {
        switch value {
        case .text(let place): return leadingNumber(place, event)
        case .temporal, .member: return Self.numberAsDouble(toNumber(value, event))
        default: return Self.numberAsDouble(value)
        }
    }

    /// The number that a text begins with, as the servers read it; 0 where there is none.
    private func leadingNumber(_ place: TextPlace, _ event: RawSpan) -> Double {
        var i = 0
        func at(_ i: Int) -> UInt8 { i < place.length ? byte(place, i, event) : 0 }
        while at(i) == 32 || 9...13 ~= at(i) { i += 1 }
        let start = i
        if at(i) == UInt8(ascii: "-") || at(i) == UInt8(ascii: "+") { i += 1 }
        var digits = 0
        var whole: UInt64 = 0
        while 48...57 ~= at(i) {
            whole = whole &* 10 &+ UInt64(at(i) - 48)
            digits += 1
            i += 1
        }
        // Short whole numbers, which most are, need no parser.
        let isPlain = digits <= 15 && at(i) != UInt8(ascii: ".") && at(i) | 32 != UInt8(ascii: "e")
        if isPlain { return at(start) == UInt8(ascii: "-") ? -Double(whole) : Double(whole) }
        if at(i) == UInt8(ascii: ".") {
            i += 1
            while 48...57 ~= at(i) {
                digits += 1
                i += 1
            }
        }
        guard digits > 0 else { return 0 }
        if at(i) | 32 == UInt8(ascii: "e") {
            var e = i + 1
            if at(e) == UInt8(ascii: "-") || at(e) == UInt8(ascii: "+") { e += 1 }
            if 48...57 ~= at(e) {
                while 48...57 ~= at(e) { e += 1 }
                i = e
            }
        }
        var text: [UInt8] = []
        for j in start..<i { text.append(at(j)) }
        if text.last == UInt8(ascii: ".") { text.removeLast() }
        let value = Double(String(decoding: text, as: UTF8.self)) ?? 0
        return value.isFinite
            ? value : value < 0 ? -.greatestFiniteMagnitude : .greatestFiniteMagnitude
    }

    /// The value as a whole number, rounded; a bit pattern for large unsigned ones.
    func toInteger(_ value: ExpressionValue, _ event: RawSpan) -> Int128 {
        switch toNumber(value, event) {
        case .signed(let v): return Int128(v)
        case .unsigned(let v): return Int128(v)
        case .decimal(let v): return v.rounded(to: 0, .half).unscaled
        case .double(let v):
            let rounded = v.isNaN ? 0 : v.rounded(.toNearestOrEven)
            if rounded >= 0x1p64 { return Int128(UInt64.max) }
            if rounded <= -0x1p63 { return Int128(Int64.min) }
            return Int128(rounded)
        default: return 0
        }
    }

    mutating func number(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        let a = try value(row.argument(step, 0), event, row)
        if a.isNull { return .null }
        if step.count == 1 { return try unary(step, a, event) }
        let b = try value(row.argument(step, 1), event, row)
        if b.isNull { return .null }
        switch step.operation {
        case .bitOr, .bitAnd, .bitXor, .shiftLeft, .shiftRight: return bits(step, a, b, event)
        case .round, .truncate: return round(step, a, toInteger(b, event), event)
        default: break
        }
        if step.mode == .double, step.operation != .integerDivide {
            return try doubles(step, toDouble(a, event), toDouble(b, event))
        }
        let left = toNumber(a, event)
        let right = toNumber(b, event)
        if case .divide = step.operation { return try decimals(step, left, right) }
        switch (left, right) {
        case (.decimal, _), (_, .decimal), (.double, _), (_, .double):
            return try decimals(step, left, right)
        default: return try integers(step, left, right)
        }
    }

    private func integers(
        _ step: ExpressionStep, _ a: ExpressionValue, _ b: ExpressionValue
    ) throws(ExpressionFailure) -> ExpressionValue {
        var isUnsigned = false
        func wide(_ value: ExpressionValue) -> Int128 {
            switch value {
            case .unsigned(let v):
                isUnsigned = true
                return Int128(v)
            case .signed(let v): return Int128(v)
            default: return 0
            }
        }
        let x = wide(a)
        let leftIsUnsigned = isUnsigned
        let y = wide(b)
        let result: Int128
        switch step.operation {
        case .add: result = x + y
        case .subtract: result = x - y
        case .multiply:
            // Two of 64 bits, unsigned, may have more than 127.
            let (product, overflow) = x.multipliedReportingOverflow(by: y)
            guard !overflow else { throw .outOfRange("BIGINT UNSIGNED") }
            result = product
        case .integerDivide:
            if y == 0 { return .null }
            result = x / y
        default:
            if y == 0 { return .null }
            result = x % y
            isUnsigned = leftIsUnsigned
        }
        if isUnsigned {
            guard let value = UInt64(exactly: result) else {
                throw .outOfRange("BIGINT UNSIGNED")
            }
            return .unsigned(value)
        }
        guard let value = Int64(exactly: result) else { throw .outOfRange("BIGINT") }
        return .signed(value)
    }

    private func decimals(
        _ step: ExpressionStep, _ a: ExpressionValue, _ b: ExpressionValue
    ) throws(ExpressionFailure) -> ExpressionValue {
        guard let x = Self.numberAsDecimal(a), let y = Self.numberAsDecimal(b) else {
            if step.operation == .integerDivide {
                let y = Self.numberAsDouble(b)
                if y == 0 { return .null }
                let quotient = (Self.numberAsDouble(a) / y).rounded(.towardZero)
                guard let value = Int64(exactly: quotient) else { throw .outOfRange("BIGINT") }
                return .signed(value)
            }
            return try doubles(step, Self.numberAsDouble(a), Self.numberAsDouble(b))
        }
        let result: FixedDecimal?
        switch step.operation {
        case .add: result = FixedDecimal.add(x, y)
        case .subtract: result = FixedDecimal.add(x, y.negated)
        case .multiply: result = FixedDecimal.multiply(x, y)
        case .divide:
            if y.isZero { return .null }
            let quotient = FixedDecimal.divide(x, y)
            result = step.index == 1 ? quotient?.rounded(to: x.scale + 4, .half) : quotient
        case .integerDivide:
            if y.isZero { return .null }
            guard let rest = FixedDecimal.remainder(x, y),
                let whole = FixedDecimal.add(x, rest.negated),
                let quotient = FixedDecimal.divide(whole, y),
                let value = Int64(exactly: quotient.rounded(to: 0, .half).unscaled)
            else { throw .outOfRange("BIGINT") }
            return .signed(value)
        default:
            if y.isZero { return .null }
            result = FixedDecimal.remainder(x, y)
        }
        guard let result else { throw .outOfRange("DECIMAL (38 digits)") }
        return .decimal(result)
    }

    private func doubles(
        _ step: ExpressionStep, _ a: Double, _ b: Double
    ) throws(ExpressionFailure) -> ExpressionValue {
        let result: Double
        switch step.operation {
        case .add: result = a + b
        case .subtract: result = a - b
        case .multiply: result = a * b
        case .divide:
            if b == 0 { return .null }
            result = a / b
        default:
            if b == 0 { return .null }
            result = a.truncatingRemainder(dividingBy: b)
        }
        guard result.isFinite else { throw .outOfRange("DOUBLE") }
        return .double(result)
    }

    private func bits(
        _ step: ExpressionStep, _ a: ExpressionValue, _ b: ExpressionValue, _ event: RawSpan
    ) -> ExpressionValue {
        let x = UInt64(truncatingIfNeeded: toInteger(a, event))
        let y = UInt64(truncatingIfNeeded: toInteger(b, event))
        switch step.operation {
        case .bitOr: return .unsigned(x | y)
        case .bitAnd: return .unsigned(x & y)
        case .bitXor: return .unsigned(x ^ y)
        case .shiftLeft: return .unsigned(y < 64 ? x << y : 0)
        default: return .unsigned(y < 64 ? x >> y : 0)
        }
    }

    private func round(
        _ step: ExpressionStep, _ a: ExpressionValue, _ digits: Int128, _ event: RawSpan
    ) -> ExpressionValue {
        let digits = Int(max(-40, min(digits, 38)))
        let rounding: FixedDecimal.Rounding = step.operation == .round ? .half : .down
        switch toNumber(a, event) {
        case .signed(let v):
            let value = FixedDecimal(Int128(v)).rounded(to: digits, rounding).unscaled
            return .signed(Int64(clamping: value))
        case .unsigned(let v):
            let value = FixedDecimal(Int128(v)).rounded(to: digits, rounding).unscaled
            return .unsigned(UInt64(clamping: value))
        case .decimal(let v): return .decimal(v.rounded(to: digits, rounding))
        case .double(let v):
            let power = FixedDecimal(FixedDecimal.power(min(abs(digits), 22))).double
            let scaled = digits < 0 ? v / power : v * power
            guard scaled.isFinite else { return .double(v) }
            let whole = scaled.rounded(
                step.operation == .round ? .toNearestOrEven : .towardZero)
            return .double(digits < 0 ? whole * power : whole / power)
        default: return .null
        }
    }

    private func unary(
        _ step: ExpressionStep, _ a: ExpressionValue, _ event: RawSpan
    ) throws(ExpressionFailure) -> ExpressionValue {
        let number = toNumber(a, event)
        switch step.operation {
        case .negate:
            switch number {
            case .signed(let v):
                guard v != .min else { throw .outOfRange("BIGINT") }
                return .signed(-v)
            case .unsigned(let v):
                guard v <= 1 << 63 else { throw .outOfRange("BIGINT") }
                return .signed(v == 1 << 63 ? .min : -Int64(v))
            case .decimal(let v): return .decimal(v.negated)
            case .double(let v): return .double(-v)
            default: return .null
            }
        case .bitNot: return .unsigned(~UInt64(truncatingIfNeeded: toInteger(a, event)))
        case .abs:
            switch number {
            case .signed(let v):
                guard v != .min else { throw .outOfRange("BIGINT") }
                return .signed(v.magnitude <= Int64.max ? Int64(v.magnitude) : v)
            case .decimal(let v): return .decimal(v.unscaled < 0 ? v.negated : v)
            case .double(let v): return .double(v.magnitude)
            default: return number
            }
        case .sign:
            let order = Self.compareNumbers(number, .signed(0))
            return .signed(Int64(order))
        case .floor, .ceiling:
            switch number {
            case .decimal(let v):
                return .decimal(v.rounded(to: 0, step.operation == .floor ? .floor : .ceiling))
            case .double(let v):
                return .double(v.rounded(step.operation == .floor ? .down : .up))
            default: return number
            }
        case .round: return round(step, a, 0, event)
        case .squareRoot:
            let v = Self.numberAsDouble(number)
            return v < 0 ? .null : .double(v.squareRoot())
        case .castSigned, .castUnsigned: return castInteger(step, a, event)
        case .castDouble: return .double(toDouble(a, event))
        case .castDecimal: return castDecimal(step, number)
        default: return .null
        }
    }

    /// Texts give the whole number that they begin with, not rounded.
    private func castInteger(
        _ step: ExpressionStep, _ a: ExpressionValue, _ event: RawSpan
    ) -> ExpressionValue {
        let isSigned = step.operation == .castSigned
        var value = toInteger(a, event)
        if case .text(let place) = a {
            var i = 0
            while i < place.length, byte(place, i, event) == 32 { i += 1 }
            let isNegative = i < place.length && byte(place, i, event) == UInt8(ascii: "-")
            if isNegative || i < place.length && byte(place, i, event) == UInt8(ascii: "+") {
                i += 1
            }
            value = 0
            while i < place.length, 48...57 ~= byte(place, i, event), value < 1 << 70 {
                value = value * 10 + Int128(byte(place, i, event) - 48)
                i += 1
            }
            if isNegative { value = max(-value, Int128(Int64.min)) }
            value = min(value, Int128(UInt64.max))
        }
        if isSigned {
            if case .decimal = a { return .signed(Int64(clamping: value)) }
            if case .double = a { return .signed(Int64(clamping: value)) }
            return .signed(Int64(truncatingIfNeeded: value))
        }
        return .unsigned(UInt64(truncatingIfNeeded: value))
    }

    private func castDecimal(
        _ step: ExpressionStep, _ number: ExpressionValue
    ) -> ExpressionValue {
        let precision = step.index < 0 ? 10 : Int(step.index)
        let scale = Int(step.extra)
        var value: FixedDecimal
        if case .double(let v) = number {
            let plain = FixedDecimal(Array("\(v)".utf8))
            value = plain ?? FixedDecimal(clamping: v.rounded())
        } else {
            value = Self.numberAsDecimal(number) ?? FixedDecimal(0)
        }
        value = value.rounded(to: scale, .half)
        let most = FixedDecimal(FixedDecimal.power(precision) - 1, scale: scale)
        if FixedDecimal.compare(value, most) > 0 { value = most }
        if FixedDecimal.compare(value, most.negated) < 0 { value = most.negated }
        return .decimal(value.scaled(to: scale) ?? value)
    }
}
