internal import MySQLCore
internal import MySQLSyntax

/// A column's default value in one form, whatever words a statement or a server has for it.
enum PlainDefault: Sendable, Hashable {
    /// There is none, or it is NULL.
    case none
    /// One value for all rows: numbers without zeros that say nothing, times with all their parts,
    /// texts without quotes, or an expression of constants without spaces.
    case value(String)
    /// The time at which a row comes.
    case now
    /// What may be another value for each row, or is not known.
    case other

    /// - Parameter column: whose default it is.
    init(_ value: DefaultValue?, of column: ColumnShape) {
        switch value {
        case nil, .null?: self = .none
        case .now?: self = .now
        case .literal(let text)?: self = Self.literal(Self.tokens(text), column.type) ?? .other
        case .expression(let text)?:
            let words = ExpressionWord.withoutParentheses(Self.tokens(text))
            self = Self.literal(words, column.type) ?? Self.constant(words)
        }
    }

    /// Whether it is the same for all rows.
    var isConstant: Bool {
        switch self {
        case .none, .value: true
        case .now, .other: false
        }
    }

    private static func tokens(_ text: String) -> [ExpressionWord] {
        ExpressionWord.words(of: text)
    }

    private static func literal(_ words: [ExpressionWord], _ type: ColumnType) -> PlainDefault? {
        var words = words
        var sign = ""
        if case .other(let text)? = words.first, text == "-" || text == "+" {
            if text == "-" { sign = "-" }
            words.removeFirst()
        }
        // Adjacent strings are one.
        var text = ""
        var isNumber = false
        guard !words.isEmpty else { return nil }
        for word in words {
            switch word {
            case .string(let part): text += part
            case .number(let number) where words.count == 1:
                (text, isNumber) = (sign + number, true)
            case .bytes(let bytes) where words.count == 1:
                return .bytes(bytes, type)
            case .name("true") where words.count == 1: (text, isNumber) = ("1", true)
            case .name("false") where words.count == 1: (text, isNumber) = ("0", true)
            default: return nil
            }
        }
        guard sign.isEmpty || isNumber else { return nil }
        return of(text, type)
    }

    /// Bytes are a number where a number is expected, and a text elsewhere.
    private static func bytes(_ bytes: [UInt8], _ type: ColumnType) -> PlainDefault {
        guard type.isInteger || [.decimal, .float, .double, .bit, .year].contains(type.kind) else {
            // Others may be written in more than one way.
            var bytes = bytes[...]
            while type.kind == .binary, bytes.last == 0 { bytes.removeLast() }
            guard bytes.allSatisfy({ (0x20..<0x7f).contains($0) }) else { return .other }
            return of(String(decoding: bytes, as: UTF8.self), type)
        }
        let digits = bytes.drop { $0 == 0 }
        guard digits.count <= 8 else { return .other }
        return .value("\(digits.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })")
    }

    private static func of(_ text: String, _ type: ColumnType) -> PlainDefault {
        switch type.kind {
        case .tinyint, .smallint, .mediumint, .int, .bigint, .decimal, .float, .double, .bit, .year:
            return number(text).map { .value($0) } ?? .other
        case .date, .datetime, .timestamp, .time:
            return .value(time(text, type.kind))
        case .binary:
            let plain = text.utf8.allSatisfy { $0 < 0x7f }
            let end = text.lastIndex { $0 != "\0" }.map { text.index(after: $0) }
            return plain ? .value(String(text[..<(end ?? text.startIndex)])) : .other
        default: return .value(text)
        }
    }

    /// Digits without zeros in front and at the end of the fraction; those of 17 digits and more are
    /// compared as well.
    private static func number(_ text: String) -> String? {
        var rest = Substring(text.drop { $0 == " " })
        var sign = ""
        if let first = rest.first, first == "-" || first == "+" {
            if first == "-" { sign = "-" }
            rest.removeFirst()
        }
        if rest.contains(where: { $0 == "e" || $0 == "E" }) {
            guard let value = Double(rest) else { return nil }
            // As servers write it, where that is exact.
            guard value == value.rounded(), value < 1e15 else { return sign + "\(value)" }
            rest = "\(Int64(value))"
        }
        let parts = rest.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, rest.contains(where: \.isNumber),
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        let whole = String(parts[0].drop { $0 == "0" })
        var fraction = parts.count == 2 ? String(parts[1]) : ""
        while fraction.last == "0" { fraction.removeLast() }
        let out = (whole.isEmpty ? "0" : whole) + (fraction.isEmpty ? "" : "." + fraction)
        return out == "0" ? out : sign + out
    }

    /// A time with seconds, and without a fraction of zero.
    private static func time(_ text: String, _ kind: ColumnType.Kind) -> String {
        var out = text.replacing("T", with: " ")
        if kind != .time, out == "0" { out = "0000-00-00" }
        if kind == .datetime || kind == .timestamp {
            let clocks = out.split(separator: " ").dropFirst().first?.count { $0 == ":" }
            switch clocks {
            case nil: out += " 00:00:00"
            case 1?: out += ":00"
            default: break
            }
        } else if kind == .time, out.count(where: { $0 == ":" }) == 1 {
            out += ":00"
        }
        if out.contains(".") {
            while out.last == "0" { out.removeLast() }
            if out.last == "." { out.removeLast() }
        }
        return out
    }

    /// Functions that make the same of the same.
    private static let constants: Set<String> = [
        "json_object", "json_array", "json_quote", "cast", "as", "json", "point", "concat", "char",
        "unhex", "hex", "null", "true", "false",
    ]

    /// An expression without anything that is another value another time, or in another row.
    private static func constant(_ words: [ExpressionWord]) -> PlainDefault {
        var out = "="
        for word in words {
            switch word {
            case .name(let name):
                guard constants.contains(name) else { return .other }
                out += name
            case .quotedName: return .other
            case .string(let text): out += "'\(text.replacing("'", with: "''"))'"
            case .number(let number): out += Self.number(number) ?? number
            case .bytes(let bytes): out += "x\(bytes)"
            case .other(let text): out += text
            }
            out += " "
        }
        return .value(out)
    }
}
