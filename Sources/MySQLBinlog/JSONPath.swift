/// A path in a JSON document, as partial updates have them: `$`, `$.a[0]`, `$."a b".c`,
/// `$[last-1]`. Wildcards and ranges do not occur in binlogs and are not read.
struct JSONPath {
    enum Leg: Equatable {
        case member([UInt8])
        case cell(Int)
        /// A cell counted from the end: 0 is the last one.
        case cellFromEnd(Int)
    }

    var legs: [Leg] = []

    /// Parses the bytes of a path; `nil` when they are not one.
    init?(_ span: RawSpan) {
        guard span.byteCount > 0, span.u8(0) == UInt8(ascii: "$") else { return nil }
        var at = 1
        while at < span.byteCount {
            switch span.u8(at) {
            case UInt8(ascii: "."):
                at += 1
                guard let name = Self.member(span, &at) else { return nil }
                legs.append(.member(name))
            case UInt8(ascii: "["):
                at += 1
                guard let leg = Self.cell(span, &at) else { return nil }
                legs.append(leg)
            default:
                return nil
            }
        }
    }

    /// `0]`, `last]` or `last-1]`.
    private static func cell(_ span: RawSpan, _ at: inout Int) -> Leg? {
        guard span.has(at, 5), span.u32(at) == 0x7473_616C else {
            return index(span, &at).map(Leg.cell)
        }
        at += 4
        let c = span.u8(at)
        at += 1
        if c == UInt8(ascii: "]") { return .cellFromEnd(0) }
        guard c == UInt8(ascii: "-") else { return nil }
        return index(span, &at).map(Leg.cellFromEnd)
    }

    /// A number up to the closing bracket.
    private static func index(_ span: RawSpan, _ at: inout Int) -> Int? {
        var value = 0
        var digits = 0
        while at < span.byteCount {
            let c = span.u8(at)
            at += 1
            if c == UInt8(ascii: "]") { return digits > 0 ? value : nil }
            guard c >= UInt8(ascii: "0"), c <= UInt8(ascii: "9"), digits < 10 else { return nil }
            value = value * 10 + Int(c - UInt8(ascii: "0"))
            digits += 1
        }
        return nil
    }

    /// A name: plain up to the next leg, or quoted with the escapes of JSON.
    private static func member(_ span: RawSpan, _ at: inout Int) -> [UInt8]? {
        guard at < span.byteCount else { return nil }
        if span.u8(at) == UInt8(ascii: "\"") {
            at += 1
            return quoted(span, &at)
        }
        var name: [UInt8] = []
        while at < span.byteCount {
            let c = span.u8(at)
            if c == UInt8(ascii: ".") || c == UInt8(ascii: "[") { break }
            guard c != UInt8(ascii: "*"), c != UInt8(ascii: "\"") else { return nil }
            name.append(c)
            at += 1
        }
        return name.isEmpty ? nil : name
    }

    private static func quoted(_ span: RawSpan, _ at: inout Int) -> [UInt8]? {
        var name: [UInt8] = []
        while at < span.byteCount {
            let c = span.u8(at)
            at += 1
            switch c {
            case UInt8(ascii: "\""): return name
            case UInt8(ascii: "\\"):
                guard let bytes = escaped(span, &at) else { return nil }
                name += bytes
            default: name.append(c)
            }
        }
        return nil
    }

    /// What stands for the bytes behind a backslash.
    private static func escaped(_ span: RawSpan, _ at: inout Int) -> [UInt8]? {
        guard at < span.byteCount else { return nil }
        let c = span.u8(at)
        at += 1
        switch c {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [c]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "u"):
            guard var scalar = hexFour(span, &at) else { return nil }
            if scalar & 0xFC00 == 0xD800, span.has(at, 6), span.u8(at) == UInt8(ascii: "\\"),
                span.u8(at + 1) == UInt8(ascii: "u")
            {
                at += 2
                guard let low = hexFour(span, &at), low & 0xFC00 == 0xDC00 else { return nil }
                scalar = 0x10000 + (scalar & 0x3FF) << 10 + low & 0x3FF
            }
            guard let unicode = Unicode.Scalar(scalar) else { return nil }
            return Array(String(Character(unicode)).utf8)
        default: return nil
        }
    }

    private static func hexFour(_ span: RawSpan, _ at: inout Int) -> UInt32? {
        guard span.has(at, 4) else { return nil }
        var value: UInt32 = 0
        for _ in 0..<4 {
            let c = span.u8(at)
            at += 1
            switch c {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(c & 15)
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"):
                value = value << 4 | UInt32(c & 15 + 9)
            default: return nil
            }
        }
        return value
    }
}
