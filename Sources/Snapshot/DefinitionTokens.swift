/// A piece of a definition's text. Pieces keep the space before them, so that a definition which
/// nothing was changed in is rendered as it came.
struct DefinitionToken: Sendable, Equatable {
    enum Kind: Sendable {
        /// A word or number outside quotes.
        case word
        /// In backticks.
        case identifier
        /// In single or double quotes.
        case string
        /// An executable comment, `/*!80023 .. */` or `/*M!100301 .. */`.
        case comment
        /// Parentheses with all that is in them.
        case group
        /// One other character.
        case symbol
    }

    var kind: Kind
    var text: String
    var space: String

    /// The text in upper case, for words; empty for everything else.
    var word: String { kind == .word ? text.uppercased() : "" }

    /// What an executable comment holds, without its version; empty for everything else.
    var commentBody: String {
        guard kind == .comment, let mark = text.firstIndex(of: "!") else { return "" }
        let inner = text[text.index(after: mark)...].dropLast(2)
        return inner.drop { $0.isNumber }.trimmed
    }

    init(_ kind: Kind, _ text: String, space: String = " ") {
        self.kind = kind
        self.text = text
        self.space = space
    }

    /// Takes a text apart.
    static func parse(_ text: String) -> [DefinitionToken] {
        var reader = TokenReader(bytes: Array(text.utf8))
        var out: [DefinitionToken] = []
        while let token = reader.next() { out.append(token) }
        return out
    }
}

extension [DefinitionToken] {
    /// The text again.
    var text: String { map { $0.space + $0.text }.joined().trimmed }
}

extension StringProtocol {
    /// Without white space at both ends.
    var trimmed: String {
        var rest = self[...]
        while let c = rest.first, c.isWhitespace { rest.removeFirst() }
        while let c = rest.last, c.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}

private struct TokenReader {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() -> DefinitionToken? {
        let start = at
        while at < bytes.count, isSpace(bytes[at]) { at += 1 }
        let space = text(start, at)
        guard at < bytes.count else { return nil }
        let begin = at
        let kind = advance()
        return DefinitionToken(kind, text(begin, at), space: space)
    }

    private mutating func advance() -> DefinitionToken.Kind {
        let c = bytes[at]
        switch c {
        case UInt8(ascii: "`"), UInt8(ascii: "'"), UInt8(ascii: "\""):
            skipQuoted(c)
            return c == UInt8(ascii: "`") ? .identifier : .string
        case UInt8(ascii: "("):
            skipGroup()
            return .group
        case UInt8(ascii: "/") where at + 1 < bytes.count && bytes[at + 1] == UInt8(ascii: "*"):
            at += 2
            while at < bytes.count {
                let isEnd = bytes[at - 1] == UInt8(ascii: "*") && bytes[at] == UInt8(ascii: "/")
                at += 1
                if isEnd { break }
            }
            return .comment
        case _ where isWord(c):
            while at < bytes.count, isWord(bytes[at]) { at += 1 }
            return .word
        default:
            at += 1
            return .symbol
        }
    }

    private mutating func skipQuoted(_ quote: UInt8) {
        at += 1
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "\\"), quote != UInt8(ascii: "`") {
                at += 2
            } else if bytes[at] == quote {
                at += 1
                guard at < bytes.count, bytes[at] == quote else { break }
                at += 1
            } else {
                at += 1
            }
        }
        at = min(at, bytes.count)
    }

    private mutating func skipGroup() {
        var depth = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "("):
                depth += 1
                at += 1
            case UInt8(ascii: ")"):
                depth -= 1
                at += 1
                if depth == 0 { return }
            case UInt8(ascii: "`"), UInt8(ascii: "'"), UInt8(ascii: "\""):
                skipQuoted(bytes[at])
            default: at += 1
            }
        }
    }

    private func isSpace(_ c: UInt8) -> Bool { c == 32 || (c >= 9 && c <= 13) }

    private func isWord(_ c: UInt8) -> Bool {
        let lower = c | 0x20
        return (lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z"))
            || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9")) || c == UInt8(ascii: "_")
            || c == UInt8(ascii: "$") || c >= 0x80
    }

    private func text(_ from: Int, _ to: Int) -> String {
        String(decoding: bytes[from..<to], as: UTF8.self)
    }
}
