internal import MySQLSyntax

/// Literals, columns, functions, and what is spelled in ways of its own.
extension ExpressionParser {
    mutating func primary() throws(ExpressionError) -> ExpressionNode {
        let place = offset
        switch token.kind {
        case .number:
            let digits = source[token.range]
            at += 1
            return try number(Array(digits), place)
        case .string: return try node(.text(try string()), place)
        case .hex, .bits:
            let bytes = hexadecimal(Array(source[token.range]), isBits: token.kind == .bits)
            at += 1
            return try node(.bytes(bytes), place)
        case .quotedName: return try column(place)
        case .word: return try named(place)
        case .punctuation, .symbol:
            guard take("(") else { throw unexpected() }
            let inner = try expression()
            if isSymbol(",") {
                throw ExpressionError(
                    .unsupported("rows"), at: place, "rows of values are not supported")
            }
            try expect(")")
            return inner
        case .userVariable, .systemVariable:
            throw ExpressionError(
                .unsupported(text(token)), at: place,
                "the variable \(text(token)) has no value here")
        default: throw unexpected()
        }
    }

    mutating func number(
        _ digits: [UInt8], _ place: Int
    ) throws(ExpressionError) -> ExpressionNode {
        let text = String(decoding: digits, as: UTF8.self)
        if let value = UInt64(text) { return try node(.integer(value), place) }
        if !text.utf8.contains(where: { $0 | 32 == UInt8(ascii: "e") }) {
            guard let value = FixedDecimal(digits) else {
                throw ExpressionError(
                    .unsupported(text), at: place, "numbers have at most 38 digits here")
            }
            return try node(.decimal(value), place)
        }
        guard let value = Double(text), value.isFinite else {
            throw ExpressionError(.syntax, at: place, "'\(text)' is no number")
        }
        return try node(.double(value), place)
    }

    /// `x'..'`, `0x..`, `b'..'`, `0b..` as bytes.
    func hexadecimal(_ text: [UInt8], isBits: Bool) -> [UInt8] {
        let digits = text.dropFirst(2).filter { $0 != UInt8(ascii: "'") }
        let perByte = isBits ? 8 : 2
        var out: [UInt8] = []
        var value: UInt32 = 0
        for (i, c) in digits.enumerated() {
            let digit = c < 58 ? UInt32(c) - 48 : (UInt32(c) | 32) - 87
            value = value << (isBits ? 1 : 4) | digit
            if (digits.count - 1 - i) % perByte == 0 {
                out.append(UInt8(truncatingIfNeeded: value))
                value = 0
            }
        }
        return out
    }

    /// One string, or several in a row, which are one.
    mutating func string() throws(ExpressionError) -> [UInt8] {
        var out: [UInt8] = []
        while token.kind == .string {
            out += decoded(Array(source[token.range]))
            at += 1
        }
        return out
    }

    func decoded(_ token: [UInt8]) -> [UInt8] {
        // `N'..'` has a letter in front.
        guard let open = token.firstIndex(where: { $0 == 39 || $0 == 34 }) else { return [] }
        let quote = token[open]
        var out: [UInt8] = []
        var i = open + 1
        while i < token.count - 1 {
            let c = token[i]
            if c == quote {
                i += 1
                out.append(quote)
            } else if c == UInt8(ascii: "\\"), hasBackslashes {
                i += 1
                switch token[i] {
                case UInt8(ascii: "n"): out.append(10)
                case UInt8(ascii: "t"): out.append(9)
                case UInt8(ascii: "r"): out.append(13)
                case UInt8(ascii: "b"): out.append(8)
                case UInt8(ascii: "0"): out.append(0)
                case UInt8(ascii: "Z"): out.append(26)
                case UInt8(ascii: "%"), UInt8(ascii: "_"): out += [c, token[i]]
                default: out.append(token[i])
                }
            } else {
                out.append(c)
            }
            i += 1
        }
        return out
    }

    /// A column, perhaps with table and schema in front, which can only be the rule's own.
    mutating func column(_ place: Int) throws(ExpressionError) -> ExpressionNode {
        var name = identifier()
        while isSymbol(".") {
            at += 1
            guard token.kind == .word || token.kind == .quotedName else { throw unexpected() }
            name = identifier()
        }
        var out = try node(.column(name), place)
        out.end = tokens[at - 1].range.upperBound
        return out
    }

    mutating func identifier() -> String {
        let text = text(token)
        let isQuoted = token.kind == .quotedName
        at += 1
        guard isQuoted, let quote = text.first else { return text }
        let inner = text.dropFirst().dropLast()
        // Doubled quotes stand for one.
        var out = ""
        var skips = false
        for c in inner {
            if skips {
                skips = false
                if c == quote { continue }
            }
            out.append(c)
            skips = c == quote
        }
        return out
    }

    mutating func named(_ place: Int) throws(ExpressionError) -> ExpressionNode {
        let name = word
        let next = tokens[min(at + 1, tokens.count - 1)]
        switch name {
        case "NULL":
            at += 1
            return try node(.null, place)
        case "TRUE", "FALSE":
            at += 1
            return try node(.integer(name == "TRUE" ? 1 : 0), place)
        case "CASE": return try cases(place)
        case "DATE", "TIME", "TIMESTAMP":
            if next.kind == .string { return try typedLiteral(name, place) }
        case "_UTF8MB4", "_UTF8", "_UTF8MB3", "_ASCII", "_LATIN1":
            if next.kind == .string {
                at += 1
                return try node(.text(try string()), place)
            }
        case "_BINARY":
            if next.kind == .string {
                at += 1
                return try node(.bytes(try string()), place)
            }
        case "SELECT", "EXISTS", "INTERVAL", "MATCH", "ROW":
            throw ExpressionError(.unsupported(name), at: place, "\(name) is not supported")
        default: break
        }
        guard isSymbol("(", 1) else { return try column(place) }
        at += 2
        switch name {
        case "CAST", "CONVERT": return try cast(name, place)
        case "POSITION":
            let needle = try bitOr()
            try expect("IN")
            let text = try expression()
            try expect(")")
            return try node(.locate, place, [needle, text])
        case "TRIM": return try trim(place)
        case "DATE_ADD", "DATE_SUB", "ADDDATE", "SUBDATE":
            let date = try expression()
            try expect(",")
            let isPlus = name == "DATE_ADD" || name == "ADDDATE"
            let operation: Operation = isPlus ? .addInterval : .subtractInterval
            var out: ExpressionNode
            if word == "INTERVAL" {
                out = try interval(operation, date, place)
            } else if name.hasSuffix("DATE") {
                out = try node(.interval(operation, .day), place, [date, try expression()])
            } else {
                throw unexpected()
            }
            try expect(")")
            out.offset = place
            return out
        case "SUBSTRING", "SUBSTR", "MID": return try substring(place)
        case "EXTRACT": return try extract(place)
        default: break
        }
        return try call(name, place)
    }

    mutating func call(_ name: String, _ place: Int) throws(ExpressionError)
        -> ExpressionNode
    {
        guard let signature = ExpressionFunctions.byName[name] else {
            throw ExpressionError(
                .unsupported(name), at: place, "the function \(name)() is not supported in filters")
        }
        var arguments: [ExpressionNode] = []
        if !isSymbol(")") {
            repeat { arguments.append(try expression()) } while take(",")
        }
        try expect(")")
        guard signature.arguments.contains(arguments.count) else {
            throw ExpressionError(
                .syntax, at: place, "\(name)() does not take \(arguments.count) arguments")
        }
        return try node(signature.operation, place, arguments)
    }

    mutating func substring(_ place: Int) throws(ExpressionError) -> ExpressionNode {
        var arguments = [try expression()]
        if take("FROM") {
            arguments.append(try expression())
            if take("FOR") { arguments.append(try expression()) }
        } else {
            while take(",") { arguments.append(try expression()) }
        }
        try expect(")")
        guard 2...3 ~= arguments.count else {
            throw ExpressionError(
                .syntax, at: place, "SUBSTRING() does not take \(arguments.count) arguments")
        }
        return try node(.substring, place, arguments)
    }

    mutating func extract(_ place: Int) throws(ExpressionError) -> ExpressionNode {
        let units: [String: Operation] = [
            "YEAR": .year, "QUARTER": .quarter, "MONTH": .month, "DAY": .day, "HOUR": .hour,
            "MINUTE": .minute, "SECOND": .second, "MICROSECOND": .microsecond,
        ]
        guard let operation = units[word] else {
            throw ExpressionError(
                .unsupported(word), at: offset, "the unit '\(text(token))' is not supported")
        }
        at += 1
        try expect("FROM")
        let date = try expression()
        try expect(")")
        return try node(operation, place, [date])
    }

    mutating func trim(_ place: Int) throws(ExpressionError) -> ExpressionNode {
        var operation = Operation.trim
        switch word {
        case "BOTH": at += 1
        case "LEADING":
            operation = .trimLeft
            at += 1
        case "TRAILING":
            operation = .trimRight
            at += 1
        default:
            let first = try expression()
            if take("FROM") {
                let text = try expression()
                try expect(")")
                return try node(.trim, place, [text, first])
            }
            try expect(")")
            return try node(.trim, place, [first])
        }
        var arguments: [ExpressionNode] = []
        if word != "FROM" { arguments.append(try expression()) }
        try expect("FROM")
        arguments.insert(try expression(), at: 0)
        try expect(")")
        return try node(operation, place, arguments)
    }

    mutating func cases(_ place: Int) throws(ExpressionError) -> ExpressionNode {
        at += 1
        var all: [ExpressionNode] = []
        let hasOperand = word != "WHEN"
        if hasOperand { all.append(try expression()) }
        guard word == "WHEN" else { throw unexpected() }
        while take("WHEN") {
            all.append(try expression())
            try expect("THEN")
            all.append(try expression())
        }
        let hasElse = take("ELSE")
        if hasElse { all.append(try expression()) }
        try expect("END")
        return try node(.cases(hasOperand: hasOperand, hasElse: hasElse), place, all)
    }

    mutating func typedLiteral(
        _ name: String, _ place: Int
    ) throws(ExpressionError) -> ExpressionNode {
        at += 1
        let text = try string()
        let value =
            name == "TIME" ? TemporalValue(timeText: text) : TemporalValue(dateText: text)
        let kind: TemporalValue.Kind = name == "TIME" ? .time : name == "DATE" ? .date : .datetime
        guard var value, value.kind == kind || kind == .datetime else {
            throw ExpressionError(.syntax, at: place, "this is no \(name)")
        }
        value.kind = kind
        return try node(.temporal(value), place)
    }

    mutating func cast(
        _ name: String, _ place: Int
    ) throws(ExpressionError) -> ExpressionNode {
        let value = try expression()
        if name == "CONVERT", word == "USING" {
            throw ExpressionError(
                .unsupported("USING"), at: offset, "CONVERT .. USING is not supported")
        }
        if name == "CAST" { try expect("AS") } else { try expect(",") }
        let type = word
        let typePlace = offset
        at += 1
        var first: Int?
        var second: Int?
        if take("(") {
            first = try count()
            if take(",") { second = try count() }
            try expect(")")
        }
        let operation: Operation
        switch type {
        case "SIGNED", "UNSIGNED":
            _ = take("INTEGER") || take("INT")
            operation = type == "SIGNED" ? .castSigned : .castUnsigned
        case "INT", "INTEGER": operation = .castSigned
        case "CHAR", "NCHAR", "VARCHAR": operation = .castChar
        case "BINARY": operation = .castBinary
        case "DECIMAL":
            operation = .castDecimal
            first = first ?? 10
        case "DOUBLE": operation = .castDouble
        case "DATE": operation = .castDate
        case "DATETIME":
            operation = .castDatetime
            second = first
        default:
            throw ExpressionError(
                .unsupported(type), at: typePlace, "CAST to \(type) is not supported")
        }
        try expect(")")
        return try node(.cast(operation, first, second ?? 0), place, [value])
    }

    mutating func count() throws(ExpressionError) -> Int {
        guard token.kind == .number, let value = Int(text(token)), value <= 65_535 else {
            throw unexpected()
        }
        at += 1
        return value
    }
}
