import MySQLCore

/// Where and why reading stopped, before tables are added to it.
struct SyntaxFailure: Error {
    var offset: Int
    var reason: String
}

/// A statement's tokens with a place in them, and what has been found so far. Nothing here calls
/// itself: nesting is counted, never recursed into, so that no input can exhaust the stack.
struct Parser {
    let source: [UInt8]
    let tokens: [Token]
    let context: SyntaxContext
    /// Whether the statement has more tokens than the limit.
    let isCut: Bool
    /// Index of the next token; the last token is `.end` or `.unterminated`.
    var at = 0
    var tables: [TableReference] = []
    var schemas: [SchemaReference] = []
    var tablesAreComplete = true
    var nondeterministicReason: String?
    /// The schema of the table that is created or changed: parents of its foreign keys are there
    /// when no other is said, whatever the session's default schema is.
    private var childSchema: String?
    /// Bytes of each action of an ALTER TABLE.
    var actionRanges: [Range<Int>] = []

    init(_ source: [UInt8], context: SyntaxContext) {
        self.source = source
        self.context = context
        var lexer = Lexer(source, context: context)
        var tokens: [Token] = []
        var isCut = source.count > Int(UInt32.max)
        while !isCut {
            let token = lexer.next()
            tokens.append(token)
            if token.kind == .end || token.kind == .unterminated { break }
            isCut = tokens.count > context.tokenLimit
        }
        if isCut { tokens.append(Token(.unterminated, 0, 0)) }
        self.tokens = tokens
        self.isCut = isCut
    }

    // MARK: Looking

    var token: Token { tokens[at] }

    func peek(_ distance: Int) -> Token { tokens[min(at + distance, tokens.count - 1)] }

    var keyword: Keyword { tokens[at].keyword }

    /// Whether the statement ends here, but for a semicolon.
    var isAtEnd: Bool {
        switch token.kind {
        case .end: true
        case .punctuation: isByte(";") && peek(1).kind == .end
        default: false
        }
    }

    func isByte(_ c: Unicode.Scalar) -> Bool { isByte(c, at: 0) }

    func isByte(_ c: Unicode.Scalar, at distance: Int) -> Bool {
        let t = peek(distance)
        return t.high == t.low + 1 && source[Int(t.low)] == UInt8(ascii: c)
            && (t.kind == .punctuation || t.kind == .symbol)
    }

    func isName(_ t: Token) -> Bool { t.kind == .word || t.kind == .quotedName }

    /// The text of bytes, for values that are kept as they were written.
    func text(_ range: Range<Int>) -> String { String(decoding: source[range], as: UTF8.self) }

    /// The first words, upper case, for messages.
    var verb: String {
        var words: [String] = []
        for t in tokens.prefix(6) {
            guard t.kind == .word, words.count < 3 else { break }
            if words.count > 0 && t.keyword == .none { break }
            words.append(text(t.range).uppercased())
        }
        return words.joined(separator: " ")
    }

    // MARK: Moving

    mutating func advance() {
        if at < tokens.count - 1 { at += 1 }
    }

    mutating func take(_ keyword: Keyword) -> Bool {
        guard token.keyword == keyword else { return false }
        advance()
        return true
    }

    mutating func take(_ first: Keyword, _ second: Keyword) -> Bool {
        guard token.keyword == first, peek(1).keyword == second else { return false }
        advance()
        advance()
        return true
    }

    mutating func takeAny(_ keywords: Keyword...) -> Bool {
        guard keywords.contains(token.keyword) else { return false }
        advance()
        return true
    }

    mutating func takeByte(_ c: Unicode.Scalar) -> Bool {
        guard isByte(c) else { return false }
        advance()
        return true
    }

    func failure(_ reason: String) -> SyntaxFailure {
        let place = isCut && at >= tokens.count - 1 ? source.count : Int(token.low)
        if isCut && at >= tokens.count - 1 {
            return SyntaxFailure(
                offset: place, reason: "the statement has more than \(context.tokenLimit) tokens")
        }
        if token.kind == .unterminated {
            return SyntaxFailure(offset: place, reason: "a quote or comment is not closed")
        }
        return SyntaxFailure(offset: place, reason: reason)
    }

    mutating func expect(_ keyword: Keyword) throws(SyntaxFailure) {
        guard take(keyword) else { throw failure("\(keyword.rawValue) expected") }
    }

    mutating func expectByte(_ c: Unicode.Scalar) throws(SyntaxFailure) {
        guard takeByte(c) else { throw failure("'\(c)' expected") }
    }

    func expectEnd() throws(SyntaxFailure) {
        guard isAtEnd else { throw failure("end of the statement expected") }
    }

    /// From an opening parenthesis behind its closing one; gives the bytes between them.
    @discardableResult
    mutating func skipParentheses() throws(SyntaxFailure) -> Range<Int> {
        let start = Int(token.high)
        try expectByte("(")
        var depth = 1
        while true {
            if isByte("(") {
                depth += 1
            } else if isByte(")") {
                depth -= 1
                if depth == 0 { break }
            } else if token.kind == .end || token.kind == .unterminated {
                throw failure("')' expected")
            }
            noteNondeterminism()
            advance()
        }
        let range = start..<Int(token.low)
        advance()
        return range
    }

    /// Behind everything up to a comma or closing parenthesis of this level, or the end.
    mutating func skipItem() throws(SyntaxFailure) {
        while !isByte(","), !isByte(")"), !isAtEnd {
            if isByte("(") {
                try skipParentheses()
            } else {
                guard token.kind != .unterminated else { throw failure("end expected") }
                advance()
            }
        }
    }

    mutating func skipToEnd() {
        while token.kind != .end, token.kind != .unterminated { advance() }
    }

    // MARK: Common pieces

    mutating func ifExists() -> Bool { take(.if, .exists) }

    mutating func ifNotExists() -> Bool {
        guard keyword == .if, peek(1).keyword == .not, peek(2).keyword == .exists else {
            return false
        }
        at += 3
        return true
    }

    /// A name as one token.
    mutating func name() throws(SyntaxFailure) -> String {
        guard isName(token) else { throw failure("a name expected") }
        let out = try nameText(token)
        advance()
        return out
    }

    /// `schema.name`, `name` or `.name`, recorded as a table reference.
    mutating func tableName(_ role: TableRole) throws(SyntaxFailure) -> TableName {
        if isByte("."), isName(peek(1)) { advance() }
        let first = token
        var name = context.stored(try self.name())
        var schema = context.stored(context.defaultSchema ?? "")
        if role == .parent, let childSchema { schema = childSchema }
        var schemaRange: Range<Int>?
        var nameRange = first.range
        if isByte("."), isName(peek(1)) {
            advance()
            schema = name
            schemaRange = first.range
            nameRange = token.range
            name = context.stored(try self.name())
        }
        let table = TableName(schema: schema, name: name)
        if role == .target { childSchema = schema }
        tables.append(
            TableReference(
                name: table, role: role, schemaRange: schemaRange, nameRange: nameRange))
        return table
    }

    /// `schema.name` of something that is not a table; its schema is recorded.
    mutating func objectName() throws(SyntaxFailure) -> (TableName, Range<Int>) {
        let first = token
        let name = try self.name()
        guard isByte("."), isName(peek(1)) else {
            let schema = context.stored(context.defaultSchema ?? "")
            return (TableName(schema: schema, name: name), first.range)
        }
        advance()
        let schema = context.stored(name)
        schemas.append(SchemaReference(name: schema, range: first.range))
        let range = token.range
        return (TableName(schema: schema, name: try self.name()), range)
    }

    mutating func schemaName() throws(SyntaxFailure) -> String {
        let range = token.range
        let name = context.stored(try self.name())
        schemas.append(SchemaReference(name: name, range: range))
        return name
    }

    /// A whole number without sign.
    mutating func integer() throws(SyntaxFailure) -> UInt64 {
        guard token.kind == .number || token.kind == .hex else {
            throw failure("a number expected")
        }
        let digits = text(token.range)
        let value =
            token.kind == .hex && digits.hasPrefix("0x")
            ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
        guard let value else { throw failure("a whole number expected") }
        advance()
        return value
    }

    /// A number that must fit a type's parameter.
    mutating func parameter() throws(SyntaxFailure) -> Int {
        let value = try integer()
        guard value <= UInt64(UInt32.max) else { throw failure("a smaller number expected") }
        return Int(value)
    }
}
