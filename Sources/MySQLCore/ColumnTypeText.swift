// Reads a column's type from the text that servers give for it: `COLUMN_TYPE` of
// information_schema, the "Type" of SHOW COLUMNS. Both families write the same form, lower case,
// with these differences: MySQL 8.0.19 and later leave out integer display widths, and MariaDB
// adds comments (`/*M!100301 COMPRESSED*/`, `/* mariadb-5.3 */`).

extension ColumnType {
    /// Parses a type as a server spells it, for example `enum('a','b''c')`, `int(11) unsigned`,
    /// `decimal(10,2) unsigned zerofill` or `timestamp(6)`; `nil` for anything else.
    ///
    /// Display widths are dropped, since they say nothing about values. In members of ENUM and
    /// SET a doubled quote is one quote and a backslash escapes, as both servers write them.
    public init?(columnTypeText text: String) {
        var reader = TypeTextReader(bytes: Array(text.utf8))
        guard let word = reader.word() else { return nil }
        switch word {
        case "double": reader.skipWord("precision")
        case "national": return nil
        default: break
        }
        guard let kind = ColumnType.kind(ofTypeName: word) else { return nil }
        var numbers: [Int] = []
        var elements: [String] = []
        if reader.accept(UInt8(ascii: "(")) {
            if kind == .enum || kind == .set {
                guard let members = reader.members() else { return nil }
                elements = members
            } else {
                guard let parameters = reader.numbers() else { return nil }
                numbers = parameters
            }
        } else if kind == .enum || kind == .set {
            return nil
        }
        var isUnsigned = false
        while let attribute = reader.word() {
            switch attribute {
            case "unsigned", "zerofill": isUnsigned = true
            case "signed", "compressed": break
            default: return nil
            }
        }
        guard reader.isAtEnd, numbers.count <= 2 else { return nil }
        self.init(kind, isUnsigned: isUnsigned, elements: elements)
        guard applyParameters(numbers) else { return nil }
    }

    /// The kind that a server's own name of a type stands for; synonyms that servers accept but
    /// never write (`integer`, `bool`) are not known here.
    static func kind(ofTypeName name: String) -> Kind? {
        switch name {
        case "geomcollection": .geometrycollection
        case "real": .double
        default: Kind(rawValue: name)
        }
    }

    /// Sets length and decimals from the numbers in parentheses; false when they do not fit.
    private mutating func applyParameters(_ numbers: [Int]) -> Bool {
        switch kind {
        case .decimal:
            length = numbers.first ?? 10
            decimals = numbers.count > 1 ? numbers[1] : 0
        case .float, .double:
            // With one number it is a precision, which chose between the two.
            if numbers.count == 2 { (length, decimals) = (numbers[0], numbers[1]) }
        case .time, .datetime, .timestamp:
            guard numbers.count <= 1, (numbers.first ?? 0) <= 6 else { return false }
            decimals = numbers.first ?? 0
        case .char, .binary, .bit:
            guard numbers.count <= 1 else { return false }
            length = numbers.first ?? 1
        case .varchar, .varbinary:
            guard numbers.count == 1 else { return false }
            length = numbers[0]
        case .vector:
            guard numbers.count <= 1 else { return false }
            length = numbers.first
        case .enum, .set, .tinyint, .smallint, .mediumint, .int, .bigint, .year,
            .tinytext, .text, .mediumtext, .longtext, .tinyblob, .blob, .mediumblob, .longblob:
            break
        default:
            return numbers.isEmpty
        }
        return true
    }
}

/// Walks over the text of one type. Every step consumes at least one byte or fails.
private struct TypeTextReader {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Skips spaces and comments; the content of an executable comment is not needed either.
    mutating func skipSpace() {
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: " ") {
                at += 1
            } else if bytes[at] == UInt8(ascii: "/"), at + 1 < bytes.count,
                bytes[at + 1] == UInt8(ascii: "*")
            {
                at += 2
                while at < bytes.count {
                    if bytes[at] == UInt8(ascii: "/"), bytes[at - 1] == UInt8(ascii: "*") { break }
                    at += 1
                }
                at = min(at + 1, bytes.count)
            } else {
                return
            }
        }
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return at == bytes.count
        }
    }

    mutating func accept(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    /// Letters and digits that begin with a letter, in lower case.
    mutating func word() -> String? {
        skipSpace()
        var out: [UInt8] = []
        while at < bytes.count {
            let c = bytes[at] | 0x20
            let isLetter = c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z")
            let isDigit = bytes[at] >= UInt8(ascii: "0") && bytes[at] <= UInt8(ascii: "9")
            guard isLetter || (isDigit && !out.isEmpty), out.count < 32 else { break }
            out.append(isLetter ? c : bytes[at])
            at += 1
        }
        return out.isEmpty ? nil : String(decoding: out, as: UTF8.self)
    }

    mutating func skipWord(_ expected: String) {
        let start = at
        if word() != expected { at = start }
    }

    /// `1,2)`: the numbers up to the closing parenthesis.
    mutating func numbers() -> [Int]? {
        var out: [Int] = []
        repeat {
            skipSpace()
            let start = at
            var value = 0
            while at < bytes.count, bytes[at] >= UInt8(ascii: "0"), bytes[at] <= UInt8(ascii: "9") {
                guard at - start < 10 else { return nil }
                value = value * 10 + Int(bytes[at] - UInt8(ascii: "0"))
                at += 1
            }
            guard at > start, out.count < 2 else { return nil }
            out.append(value)
        } while accept(UInt8(ascii: ","))
        return accept(UInt8(ascii: ")")) ? out : nil
    }

    /// `'a','b')`: the members up to the closing parenthesis.
    mutating func members() -> [String]? {
        var out: [String] = []
        repeat {
            guard let member = quoted() else { return nil }
            out.append(member)
        } while accept(UInt8(ascii: ","))
        return accept(UInt8(ascii: ")")) ? out : nil
    }

    private mutating func quoted() -> String? {
        guard accept(UInt8(ascii: "'")) else { return nil }
        var out: [UInt8] = []
        while at < bytes.count {
            let c = bytes[at]
            at += 1
            if c == UInt8(ascii: "'") {
                guard at < bytes.count, bytes[at] == c else {
                    return String(decoding: out, as: UTF8.self)
                }
                at += 1
                out.append(c)
            } else if c == UInt8(ascii: "\\") {
                guard at < bytes.count else { return nil }
                out.append(unescaped(bytes[at]))
                at += 1
            } else {
                out.append(c)
            }
        }
        return nil
    }

    private func unescaped(_ c: UInt8) -> UInt8 {
        switch c {
        case UInt8(ascii: "0"): 0
        case UInt8(ascii: "n"): 10
        case UInt8(ascii: "r"): 13
        case UInt8(ascii: "t"): 9
        case UInt8(ascii: "b"): 8
        case UInt8(ascii: "Z"): 26
        default: c
        }
    }
}
