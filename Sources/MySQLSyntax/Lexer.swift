import MySQLCore

/// Splits a statement into tokens: one pass, each byte looked at a bounded number of times.
/// Comments are skipped; executable comments (`/*!50100 ..*/`, MariaDB's `/*M!100100 ..*/`) are
/// entered where the context's server would.
public struct Lexer: Sendable {
    let source: [UInt8]
    let context: SyntaxContext
    var at = 0
    /// Executable comments are not nested by servers; inside one, `*/` is skipped.
    var isInExecutableComment = false
    /// The token before was a name and a dot follows it: that dot begins no number.
    private var dotFollowsName = false
    /// The token before was such a dot: digits begin a name now (`db.1a`).
    private var expectsName = false

    /// Makes a lexer at the start of a statement.
    public init(_ source: [UInt8], context: SyntaxContext) {
        self.source = source
        self.context = context
    }

    /// All tokens; the last one is `.end` or `.unterminated`.
    public static func tokens(_ source: [UInt8], context: SyntaxContext) -> [Token] {
        var lexer = Lexer(source, context: context)
        var out: [Token] = []
        while true {
            let token = lexer.next()
            out.append(token)
            if token.kind == .end || token.kind == .unterminated { return out }
        }
    }

    @inline(__always)
    func byte(_ offset: Int) -> UInt8 { offset < source.count ? source[offset] : 0 }

    /// The next token; after the end, `.end` for ever.
    public mutating func next() -> Token {
        guard skipSpace() else { return finish(.unterminated, at) }
        guard at < source.count else { return Token(.end, source.count, source.count) }
        let start = at
        let c = source[at]
        let mustBeName = expectsName
        let isSeparator = dotFollowsName
        expectsName = false
        dotFollowsName = false
        if mustBeName, isNameByte(c) { return name(start) }
        switch c {
        case UInt8(ascii: "`"): return quoted(start, c, .quotedName)
        case UInt8(ascii: "'"): return quoted(start, c, .string)
        case UInt8(ascii: "\""):
            return quoted(start, c, context.sqlMode.contains(.ansiQuotes) ? .quotedName : .string)
        case UInt8(ascii: "@"): return variable(start)
        case UInt8(ascii: "."):
            if isDigit(byte(at + 1)), !isSeparator { return number(start) }
            at += 1
            expectsName = isSeparator
            return Token(.punctuation, start, at)
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: ";"):
            at += 1
            return Token(.punctuation, start, at)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return number(start)
        default:
            if let literal = prefixedLiteral(start) { return literal }
            return isNameByte(c) ? name(start) : symbol(start)
        }
    }

    /// Ends the stream: what comes next is `.end`.
    private mutating func finish(_ kind: TokenKind, _ start: Int) -> Token {
        at = source.count
        return Token(kind, start, source.count)
    }

    /// `x'..'`, `b'..'`, `n'..'`.
    private mutating func prefixedLiteral(_ start: Int) -> Token? {
        guard byte(at + 1) == UInt8(ascii: "'") else { return nil }
        switch source[at] | 0x20 {
        case UInt8(ascii: "x"):
            at += 1
            return quoted(start, UInt8(ascii: "'"), .hex)
        case UInt8(ascii: "b"):
            at += 1
            return quoted(start, UInt8(ascii: "'"), .bits)
        case UInt8(ascii: "n"):
            at += 1
            return quoted(start, UInt8(ascii: "'"), .string)
        default: return nil
        }
    }

    /// Anything in quotes, from the quote at `at`.
    private mutating func quoted(_ start: Int, _ quote: UInt8, _ kind: TokenKind) -> Token {
        let escapes = kind == .string && !context.sqlMode.contains(.noBackslashEscapes)
        at += 1
        while at < source.count {
            let c = source[at]
            if c == quote {
                at += 1
                if byte(at) != quote {
                    noteDot()
                    return Token(kind, start, at)
                }
                at += 1
            } else if c == UInt8(ascii: "\\"), escapes {
                at += 2
            } else {
                at += characterLength
            }
        }
        return finish(.unterminated, start)
    }

    /// Bytes of the character at `at`, where a second byte must not be taken for a quote.
    private var characterLength: Int {
        guard context.encoding == .unsafeTrail, source[at] >= 0x81 else { return 1 }
        return byte(at + 1) >= 0x40 ? 2 : 1
    }

    /// A word, from any byte that can be in a name.
    private mutating func name(_ start: Int) -> Token {
        while at < source.count, isNameByte(source[at]) { at += characterLength }
        at = min(at, source.count)
        noteDot()
        return Token(.word, start, at, keyword: Keyword.find(source, start, at))
    }

    /// After a name with a dot behind it, the next token is a name, even if it begins with digits.
    private mutating func noteDot() {
        dotFollowsName = byte(at) == UInt8(ascii: ".") && isNameByte(byte(at + 1))
    }

    /// A number, or a name that begins with digits.
    private mutating func number(_ start: Int) -> Token {
        if source[at] == UInt8(ascii: "0") {
            if byte(at + 1) == UInt8(ascii: "x"), isHexDigit(byte(at + 2)) {
                return radix(start, .hex, isHexDigit)
            }
            if byte(at + 1) == UInt8(ascii: "b"), isBit(byte(at + 2)) {
                return radix(start, .bits, isBit)
            }
        }
        while isDigit(byte(at)) { at += 1 }
        if byte(at) == UInt8(ascii: ".") {
            at += 1
            while isDigit(byte(at)) { at += 1 }
            exponent()
            return Token(.number, start, at)
        }
        if exponent() { return Token(.number, start, at) }
        return isNameByte(byte(at)) ? name(start) : Token(.number, start, at)
    }

    /// `0x1F` and `0b01`; anything longer is a name.
    private mutating func radix(
        _ start: Int, _ kind: TokenKind, _ isDigit: (UInt8) -> Bool
    ) -> Token {
        at += 2
        while isDigit(byte(at)) { at += 1 }
        return isNameByte(byte(at)) ? name(start) : Token(kind, start, at)
    }

    /// `e+10` behind digits.
    @discardableResult
    private mutating func exponent() -> Bool {
        guard byte(at) | 0x20 == UInt8(ascii: "e") else { return false }
        var digits = at + 1
        if byte(digits) == UInt8(ascii: "+") || byte(digits) == UInt8(ascii: "-") { digits += 1 }
        guard isDigit(byte(digits)) else { return false }
        while isDigit(byte(digits)) { digits += 1 }
        // `1e5x` is a name, `1e+5x` is a number and a name.
        if byte(at + 1) != UInt8(ascii: "+"), byte(at + 1) != UInt8(ascii: "-"),
            isNameByte(byte(digits))
        {
            return false
        }
        at = digits
        return true
    }

    /// `@x`, `@'x'`, `@@global.x`, or a lone `@`.
    private mutating func variable(_ start: Int) -> Token {
        at += 1
        if byte(at) == UInt8(ascii: "@") {
            at += 1
            while isNameByte(byte(at)) || byte(at) == UInt8(ascii: ".") { at += 1 }
            return Token(.systemVariable, start, at)
        }
        let c = byte(at)
        if c == UInt8(ascii: "'") || c == UInt8(ascii: "\"") || c == UInt8(ascii: "`") {
            var token = quoted(start, c, c == UInt8(ascii: "`") ? .quotedName : .string)
            if token.kind != .unterminated { token.kind = .userVariable }
            return token
        }
        while isNameByte(byte(at)) || byte(at) == UInt8(ascii: ".") { at += 1 }
        return Token(at == start + 1 ? .symbol : .userVariable, start, at)
    }

    private mutating func symbol(_ start: Int) -> Token {
        let (first, second) = (byte(at), byte(at + 1))
        if byte(at + 2) == UInt8(ascii: ">"),
            first == UInt8(ascii: "<") && second == UInt8(ascii: "=")
                || first == UInt8(ascii: "-") && second == UInt8(ascii: ">")
        {
            at += 3
            return Token(.symbol, start, at)
        }
        switch (first, second) {
        case (UInt8(ascii: "<"), UInt8(ascii: "=")), (UInt8(ascii: ">"), UInt8(ascii: "=")),
            (UInt8(ascii: "<"), UInt8(ascii: ">")), (UInt8(ascii: "!"), UInt8(ascii: "=")),
            (UInt8(ascii: "<"), UInt8(ascii: "<")), (UInt8(ascii: ">"), UInt8(ascii: ">")),
            (UInt8(ascii: "|"), UInt8(ascii: "|")), (UInt8(ascii: "&"), UInt8(ascii: "&")),
            (UInt8(ascii: ":"), UInt8(ascii: "=")), (UInt8(ascii: "-"), UInt8(ascii: ">")):
            at += 2
        default:
            at += 1
        }
        return Token(.symbol, start, at)
    }
}

@inline(__always)
func isDigit(_ c: UInt8) -> Bool { c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9") }

@inline(__always)
func isBit(_ c: UInt8) -> Bool { c == UInt8(ascii: "0") || c == UInt8(ascii: "1") }

@inline(__always)
func isHexDigit(_ c: UInt8) -> Bool {
    isDigit(c) || (c | 0x20 >= UInt8(ascii: "a") && c | 0x20 <= UInt8(ascii: "f"))
}

@inline(__always)
func isNameByte(_ c: UInt8) -> Bool {
    let lower = c | 0x20
    return (lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z")) || isDigit(c)
        || c == UInt8(ascii: "_") || c == UInt8(ascii: "$") || c >= 0x80
}
