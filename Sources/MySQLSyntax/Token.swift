/// What a token is.
public enum TokenKind: UInt8, Sendable, Hashable {
    /// An unquoted word: a keyword or a name.
    case word
    /// A name in backticks (or double quotes under `ANSI_QUOTES`).
    case quotedName
    /// A string in quotes, also `N'..'`.
    case string
    /// A decimal number.
    case number
    /// `0x..` or `x'..'`.
    case hex
    /// `0b..` or `b'..'`.
    case bits
    /// `@name`, with the name quoted or not.
    case userVariable
    /// `@@name`.
    case systemVariable
    /// One byte of punctuation: parenthesis, comma, dot, semicolon.
    case punctuation
    /// An operator of one to three bytes.
    case symbol
    /// A string, name or comment that does not end; nothing follows it.
    case unterminated
    /// The end of the text.
    case end
}

/// A piece of a statement, by its place in the text.
public struct Token: Sendable, Hashable {
    /// What it is.
    public var kind: TokenKind
    /// The word, for unquoted words that the parser knows.
    var keyword: Keyword
    /// Offset of its first byte.
    var low: UInt32
    /// Offset behind its last byte.
    var high: UInt32

    /// Its bytes in the text.
    public var range: Range<Int> { Int(low)..<Int(high) }

    init(_ kind: TokenKind, _ low: Int, _ high: Int, keyword: Keyword = .none) {
        self.kind = kind
        self.keyword = keyword
        self.low = UInt32(low)
        self.high = UInt32(high)
    }
}
