internal import MySQLCore
internal import MySQLSyntax

/// A word of an expression, without what differs between two ways to write the same.
enum ExpressionWord: Sendable, Hashable {
    /// An unquoted word in lower case.
    case name(String)
    /// A name in quotes, in lower case.
    case quotedName(String)
    /// A text without its quotes and its character set.
    case string(String)
    case number(String)
    /// `x'..'`, `0x..`, `b'..'` and `0b..`.
    case bytes([UInt8])
    case other(String)

    /// The words of an expression in the form that a server keeps it in, its own sessions' modes taken
    /// for granted: of one from a session with others, strings are taken for other ones at worst.
    static func words(of text: String) -> [ExpressionWord] {
        let source = Array(text.utf8)
        let context = SyntaxContext(version: ServerVersion("8.4.0"))
        var out: [ExpressionWord] = []
        for token in Lexer.tokens(source, context: context) {
            let bytes = source[token.range]
            let word = String(decoding: bytes, as: UTF8.self)
            switch token.kind {
            case .end: continue
            case .word: out.append(.name(word.lowercased()))
            case .quotedName:
                out.append(.quotedName(word.dropFirst().dropLast().lowercased()))
            case .string:
                // `_utf8mb4'..'`, DATE '..' and the like.
                if case .name(let name)? = out.last,
                    name.hasPrefix("_") || ["date", "time", "timestamp"].contains(name)
                {
                    out.removeLast()
                }
                out.append(.string(unquoted(word)))
            case .number: out.append(.number(word))
            case .hex, .bits:
                if case .name(let name)? = out.last, name.hasPrefix("_") { out.removeLast() }
                out.append(.bytes(digits(bytes, isHex: token.kind == .hex)))
            default: out.append(.other(word))
            }
        }
        return out
    }

    /// What is in the parentheses around all of it.
    static func withoutParentheses(_ words: [ExpressionWord]) -> [ExpressionWord] {
        guard words.first == .other("("), words.last == .other(")") else { return words }
        var depth = 0
        for (i, word) in words.enumerated() {
            if word == .other("(") { depth += 1 }
            if word == .other(")") { depth -= 1 }
            if depth == 0, i < words.count - 1 { return words }
        }
        return withoutParentheses(Array(words.dropFirst().dropLast()))
    }

    /// An expression in words, to be compared with another one. Names count without quotes.
    static func plain(_ expression: String) -> [ExpressionWord] {
        withoutParentheses(words(of: expression)).map { word in
            if case .quotedName(let name) = word { return .name(name) }
            return word
        }
    }

    private static func unquoted(_ text: String) -> String {
        var rest = Substring(text)
        if rest.first == "n" || rest.first == "N" { rest.removeFirst() }
        guard let quote = rest.first, rest.count > 1 else { return text }
        var out = ""
        var isEscaped = false
        var isDoubled = false
        for c in rest.dropFirst().dropLast() {
            if isEscaped {
                let meant: [Character: Character] = [
                    "0": "\0", "b": "\u{8}", "n": "\n", "r": "\r", "t": "\t", "Z": "\u{1a}",
                ]
                out.append(meant[c] ?? c)
                isEscaped = false
            } else if c == "\\" {
                isEscaped = true
            } else if c == quote, !isDoubled {
                isDoubled = true
                out.append(c)
                continue
            } else if !(c == quote && isDoubled) {
                out.append(c)
            }
            isDoubled = false
        }
        return out
    }

    private static func digits(_ text: ArraySlice<UInt8>, isHex: Bool) -> [UInt8] {
        // `0x`, `0b`, and what stands in front of the quote, are no digits.
        let quote = UInt8(ascii: "'")
        let inside =
            text.contains(quote) ? text.drop { $0 != quote }.dropFirst() : text.dropFirst(2)
        var values = inside.compactMap {
            Character(UnicodeScalar($0)).hexDigitValue.map { UInt8($0) }
        }
        let width = isHex ? 2 : 8
        let shift: UInt8 = isHex ? 4 : 1
        while values.count % width != 0 { values.insert(0, at: 0) }
        return stride(from: 0, to: values.count, by: width).map { i in
            values[i..<i + width].reduce(0) { $0 << shift | $1 }
        }
    }
}
