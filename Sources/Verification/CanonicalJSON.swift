/// Brings a JSON text into a form that is the same for equal values: members sorted by the bytes
/// of their names (the last of equal names wins, as in MySQL 8), no white space, strings
/// unescaped with their length in front, numbers as exact decimal digits and exponent.
///
/// - Parameter rounds: numbers with a fraction or an exponent, and integers beyond 64 bits, become
///   the nearest DOUBLE first, since that is all a MySQL server keeps of a JSON text.
/// - Returns: `nil` when the text is not JSON, or nested deeper than any server allows.
func canonicalJSON(_ text: [UInt8], rounds: Bool) -> [UInt8]? {
    var reader = JSONReader(text: text, rounds: rounds)
    guard let value = reader.value(depth: 0) else { return nil }
    reader.skipSpace()
    return reader.at == text.count ? value : nil
}

private struct JSONReader {
    let text: [UInt8]
    let rounds: Bool
    var at = 0

    mutating func skipSpace() {
        while at < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[at]) { at += 1 }
    }

    mutating func accept(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < text.count, text[at] == byte else { return false }
        at += 1
        return true
    }

    mutating func value(depth: Int) -> [UInt8]? {
        skipSpace()
        guard at < text.count, depth < 256 else { return nil }
        switch text[at] {
        case UInt8(ascii: "{"): return object(depth)
        case UInt8(ascii: "["): return array(depth)
        case UInt8(ascii: "\""): return string().map { [UInt8(ascii: "s")] + sized($0) }
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "n"): return word("null")
        default: return number()
        }
    }

    private mutating func word(_ word: StaticString) -> [UInt8]? {
        let bytes = Array("\(word)".utf8)
        guard text.count - at >= bytes.count, text[at..<at + bytes.count].elementsEqual(bytes)
        else { return nil }
        at += bytes.count
        return bytes
    }

    private mutating func array(_ depth: Int) -> [UInt8]? {
        at += 1
        var out: [UInt8] = [UInt8(ascii: "[")]
        if accept(UInt8(ascii: "]")) { return out + [UInt8(ascii: "]")] }
        repeat {
            guard let item = value(depth: depth + 1) else { return nil }
            out += item
            out.append(UInt8(ascii: ","))
        } while accept(UInt8(ascii: ","))
        return accept(UInt8(ascii: "]")) ? out + [UInt8(ascii: "]")] : nil
    }

    private mutating func object(_ depth: Int) -> [UInt8]? {
        at += 1
        var members: [[UInt8]: [UInt8]] = [:]
        if !accept(UInt8(ascii: "}")) {
            repeat {
                skipSpace()
                guard at < text.count, text[at] == UInt8(ascii: "\""), let name = string(),
                    accept(UInt8(ascii: ":")), let item = value(depth: depth + 1)
                else { return nil }
                members[name] = item
            } while accept(UInt8(ascii: ","))
            guard accept(UInt8(ascii: "}")) else { return nil }
        }
        var out: [UInt8] = [UInt8(ascii: "{")]
        for (name, item) in members.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            out += sized(name)
            out += item
            out.append(UInt8(ascii: ","))
        }
        return out + [UInt8(ascii: "}")]
    }

    private func sized(_ bytes: [UInt8]) -> [UInt8] {
        Array("\(bytes.count):".utf8) + bytes
    }

    /// A string's bytes, escapes resolved.
    private mutating func string() -> [UInt8]? {
        at += 1
        var out: [UInt8] = []
        while at < text.count {
            let c = text[at]
            at += 1
            switch c {
            case UInt8(ascii: "\""): return out
            case UInt8(ascii: "\\"):
                guard let bytes = escape() else { return nil }
                out += bytes
            default: out.append(c)
            }
        }
        return nil
    }

    private mutating func escape() -> [UInt8]? {
        guard at < text.count else { return nil }
        let c = text[at]
        at += 1
        switch c {
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [c]
        case UInt8(ascii: "u"): return unicode()
        default: return nil
        }
    }

    /// The digits behind `\u`, with a second escape for the other half of a surrogate pair.
    private mutating func unicode() -> [UInt8]? {
        guard var code = hex4() else { return nil }
        if code & 0xFC00 == 0xD800, at + 1 < text.count, text[at] == UInt8(ascii: "\\"),
            text[at + 1] == UInt8(ascii: "u")
        {
            at += 2
            guard let low = hex4(), low & 0xFC00 == 0xDC00 else { return nil }
            code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
        }
        guard let scalar = Unicode.Scalar(code) else { return nil }
        return Array(String(scalar).utf8)
    }

    private mutating func hex4() -> UInt32? {
        guard at + 4 <= text.count else { return nil }
        let digits = String(decoding: text[at..<at + 4], as: UTF8.self)
        at += 4
        return digits.hasPrefix("+") || digits.hasPrefix("-") ? nil : UInt32(digits, radix: 16)
    }

    private mutating func number() -> [UInt8]? {
        let start = at
        var isInteger = true
        scan: while at < text.count {
            switch text[at] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): break
            case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "+"):
                isInteger = false
            default: break scan
            }
            at += 1
        }
        let digits = String(decoding: text[start..<at], as: UTF8.self)
        guard let double = Double(digits) else { return nil }
        let fits = isInteger && (Int64(digits) != nil || UInt64(digits) != nil)
        return rounds && !fits && double.isFinite ? decimal("\(double)") : decimal(digits)
    }

    /// `#`, sign, digits without zeros at either end, `e`, exponent: one form per exact value.
    private func decimal(_ number: String) -> [UInt8]? {
        var digits: [UInt8] = []
        var exponent = 0
        var isNegative = false
        var seenPoint = false
        let bytes = Array(number.utf8)
        var i = 0
        while i < bytes.count {
            switch bytes[i] {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "."): seenPoint = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard let power = Int(String(decoding: bytes[(i + 1)...], as: UTF8.self)),
                    abs(power) < 1_000_000_000
                else { return nil }
                exponent += power
                i = bytes.count
            default:
                digits.append(bytes[i])
                if seenPoint { exponent -= 1 }
            }
            i += 1
        }
        while digits.last == UInt8(ascii: "0") {
            digits.removeLast()
            exponent += 1
        }
        let significant = digits.drop { $0 == UInt8(ascii: "0") }
        guard !significant.isEmpty else { return Array("#0".utf8) }
        return Array("#\(isNegative ? "-" : "")".utf8) + significant + Array("e\(exponent)".utf8)
    }
}
