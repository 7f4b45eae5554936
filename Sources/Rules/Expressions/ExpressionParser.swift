internal import MySQLSyntax

/// Reads an expression with the servers' precedence of operators:
///
///     OR || < XOR < AND && < NOT < = <=> <> != < <= > >= IS
///     < LIKE REGEXP IN BETWEEN < | < & < << >> < + - < * / DIV MOD % < ^ < unary - ~ < !
struct ExpressionParser {
    /// Bytes of an expression, nodes and nesting at most.
    private static let lengthLimit = 65_536
    private static let nodeLimit = 2000
    private static let depthLimit = 100

    let source: [UInt8]
    let tokens: [Token]
    let hasBackslashes: Bool
    let pipesConcatenate: Bool
    var at = 0
    var nodes = 0
    var depth = 0

    init(_ text: String, context: SyntaxContext) throws(ExpressionError) {
        source = Array(text.utf8)
        guard source.count <= Self.lengthLimit else {
            throw ExpressionError(
                .syntax, at: Self.lengthLimit, "it is longer than \(Self.lengthLimit) bytes")
        }
        tokens = Lexer.tokens(source, context: context)
        hasBackslashes = !context.sqlMode.contains(.noBackslashEscapes)
        pipesConcatenate = context.sqlMode.contains(.pipesAsConcat)
    }

    /// Reads all of it.
    mutating func parse() throws(ExpressionError) -> ExpressionNode {
        let node = try expression()
        guard token.kind == .end else { throw unexpected() }
        return node
    }

    // MARK: Tokens

    var token: Token { tokens[min(at, tokens.count - 1)] }
    var offset: Int { min(token.range.lowerBound, source.count) }

    func text(_ token: Token) -> String {
        String(decoding: source[token.range], as: UTF8.self)
    }

    /// The word here, upper case; empty for anything else.
    var word: String { word(0) }

    func word(_ distance: Int) -> String {
        let token = tokens[min(at + distance, tokens.count - 1)]
        return token.kind == .word ? text(token).uppercased() : ""
    }

    func isSymbol(_ symbol: String, _ distance: Int = 0) -> Bool {
        let token = tokens[min(at + distance, tokens.count - 1)]
        guard token.kind == .punctuation || token.kind == .symbol else { return false }
        return source[token.range].elementsEqual(symbol.utf8)
    }

    mutating func take(_ wanted: String) -> Bool {
        guard word == wanted || isSymbol(wanted) else { return false }
        at += 1
        return true
    }

    mutating func expect(_ wanted: String) throws(ExpressionError) {
        guard take(wanted) else {
            throw ExpressionError(.syntax, at: offset, "'\(wanted)' expected")
        }
    }

    func unexpected() -> ExpressionError {
        switch token.kind {
        case .end: ExpressionError(.syntax, at: source.count, "the expression ends too early")
        case .unterminated:
            ExpressionError(.syntax, at: offset, "a string, name or comment does not end")
        default: ExpressionError(.syntax, at: offset, "'\(text(token))' was not expected")
        }
    }

    mutating func node(
        _ form: ExpressionNode.Form, _ offset: Int, _ arguments: [ExpressionNode] = []
    ) throws(ExpressionError) -> ExpressionNode {
        nodes += 1
        guard nodes <= Self.nodeLimit else {
            throw ExpressionError(.syntax, at: offset, "it has more than \(Self.nodeLimit) parts")
        }
        return ExpressionNode(form: form, offset: offset, arguments: arguments)
    }

    mutating func node(
        _ operation: Operation, _ offset: Int, _ arguments: [ExpressionNode]
    ) throws(ExpressionError) -> ExpressionNode {
        try node(.operation(operation), offset, arguments)
    }

    // MARK: Precedence

    mutating func expression() throws(ExpressionError) -> ExpressionNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else {
            throw ExpressionError(.syntax, at: offset, "it is nested too deeply")
        }
        var left = try exclusiveOr()
        while word == "OR" || isSymbol("||") && !pipesConcatenate {
            let place = offset
            at += 1
            left = try node(.or, place, [left, try exclusiveOr()])
        }
        return left
    }

    mutating func exclusiveOr() throws(ExpressionError) -> ExpressionNode {
        var left = try conjunction()
        while word == "XOR" {
            let place = offset
            at += 1
            left = try node(.xor, place, [left, try conjunction()])
        }
        return left
    }

    mutating func conjunction() throws(ExpressionError) -> ExpressionNode {
        var left = try negation()
        while word == "AND" || isSymbol("&&") {
            let place = offset
            at += 1
            left = try node(.and, place, [left, try negation()])
        }
        return left
    }

    mutating func negation() throws(ExpressionError) -> ExpressionNode {
        var places: [Int] = []
        while word == "NOT" {
            places.append(offset)
            at += 1
        }
        guard places.count <= Self.depthLimit else {
            throw ExpressionError(.syntax, at: offset, "it is nested too deeply")
        }
        var inner = try comparison()
        for place in places.reversed() { inner = try node(.not, place, [inner]) }
        return inner
    }

    private static let comparisons: [(String, Operation)] = [
        ("=", .equal), ("<=>", .nullSafeEqual), ("<>", .notEqual), ("!=", .notEqual),
        ("<=", .lessOrEqual), (">=", .greaterOrEqual), ("<", .less), (">", .greater),
    ]

    mutating func comparison() throws(ExpressionError) -> ExpressionNode {
        var left = try predicate()
        while true {
            let place = offset
            if word == "IS" {
                at += 1
                let isNegated = take("NOT")
                switch word {
                case "NULL", "UNKNOWN": left = try node(.isNull, place, [left])
                case "TRUE": left = try node(.isTrue, place, [left])
                case "FALSE": left = try node(.isFalse, place, [left])
                default: throw unexpected()
                }
                at += 1
                if isNegated { left = try node(.not, place, [left]) }
                continue
            }
            guard let found = Self.comparisons.first(where: { isSymbol($0.0) }) else {
                return left
            }
            at += 1
            left = try node(found.1, place, [left, try predicate()])
        }
    }

    mutating func predicate() throws(ExpressionError) -> ExpressionNode {
        let left = try bitOr()
        let place = offset
        let isNegated =
            word == "NOT" && ["IN", "BETWEEN", "LIKE", "REGEXP", "RLIKE"].contains(word(1))
        if isNegated { at += 1 }
        var out: ExpressionNode
        switch word {
        case "IN":
            at += 1
            try expect("(")
            if word == "SELECT" {
                throw ExpressionError(
                    .unsupported("SELECT"), at: offset, "subqueries can't be evaluated")
            }
            var all = [left]
            repeat { all.append(try expression()) } while take(",")
            try expect(")")
            out = try node(.isIn, place, all)
        case "BETWEEN":
            at += 1
            let low = try bitOr()
            try expect("AND")
            out = try node(.between, place, [left, low, try predicate()])
        case "LIKE":
            at += 1
            let pattern = try unary()
            var escape = UInt8(ascii: "\\")
            if !hasBackslashes { escape = 0 }
            if take("ESCAPE") {
                guard token.kind == .string else { throw unexpected() }
                let value = try string()
                guard value.count <= 1 else {
                    throw ExpressionError(
                        .unsupported("ESCAPE"), at: offset, "ESCAPE takes one ASCII character")
                }
                escape = value.first ?? 0
            }
            out = try node(.like(escape: escape), place, [left, pattern])
        case "REGEXP", "RLIKE":
            at += 1
            out = try node(.regexp, place, [left, try bitOr()])
        default:
            if word == "SOUNDS" || word == "MEMBER" {
                throw ExpressionError(.unsupported(word), at: offset, "\(word) is not supported")
            }
            return left
        }
        return isNegated ? try node(.not, place, [out]) : out
    }

    mutating func bitOr() throws(ExpressionError) -> ExpressionNode {
        var left = try bitAnd()
        while isSymbol("|") {
            let place = offset
            at += 1
            left = try node(.bitOr, place, [left, try bitAnd()])
        }
        return left
    }

    mutating func bitAnd() throws(ExpressionError) -> ExpressionNode {
        var left = try shift()
        while isSymbol("&") {
            let place = offset
            at += 1
            left = try node(.bitAnd, place, [left, try shift()])
        }
        return left
    }

    mutating func shift() throws(ExpressionError) -> ExpressionNode {
        var left = try sum()
        while isSymbol("<<") || isSymbol(">>") {
            let place = offset
            let operation: Operation = isSymbol("<<") ? .shiftLeft : .shiftRight
            at += 1
            left = try node(operation, place, [left, try sum()])
        }
        return left
    }

    mutating func sum() throws(ExpressionError) -> ExpressionNode {
        var left = try product()
        while isSymbol("+") || isSymbol("-") {
            let place = offset
            let isPlus = isSymbol("+")
            at += 1
            if word == "INTERVAL" {
                left = try interval(isPlus ? .addInterval : .subtractInterval, left, place)
            } else {
                left = try node(isPlus ? .add : .subtract, place, [left, try product()])
            }
        }
        return left
    }

    /// `INTERVAL n UNIT`, at the word INTERVAL.
    mutating func interval(
        _ operation: Operation, _ date: ExpressionNode, _ place: Int
    ) throws(ExpressionError) -> ExpressionNode {
        try expect("INTERVAL")
        let count = try expression()
        guard let unit = IntervalUnit(rawValue: word.lowercased()) else {
            throw ExpressionError(
                .unsupported(word), at: offset, "the unit '\(text(token))' is not supported")
        }
        at += 1
        return try node(.interval(operation, unit), place, [date, count])
    }

    mutating func product() throws(ExpressionError) -> ExpressionNode {
        var left = try bitXor()
        while true {
            let operation: Operation
            if isSymbol("*") {
                operation = .multiply
            } else if isSymbol("/") {
                operation = .divide
            } else if isSymbol("%") || word == "MOD" {
                operation = .modulo
            } else if word == "DIV" {
                operation = .integerDivide
            } else {
                return left
            }
            let place = offset
            at += 1
            left = try node(operation, place, [left, try bitXor()])
        }
    }

    mutating func bitXor() throws(ExpressionError) -> ExpressionNode {
        var left = try unary()
        while isSymbol("^") || isSymbol("||") && pipesConcatenate {
            let place = offset
            let operation: Operation = isSymbol("^") ? .bitXor : .concat
            at += 1
            left = try node(operation, place, [left, try unary()])
        }
        return left
    }

    mutating func unary() throws(ExpressionError) -> ExpressionNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else {
            throw ExpressionError(.syntax, at: offset, "it is nested too deeply")
        }
        let place = offset
        if take("-") { return try node(.negate, place, [try unary()]) }
        if take("+") { return try unary() }
        if take("~") { return try node(.bitNot, place, [try unary()]) }
        if take("!") { return try node(.not, place, [try unary()]) }
        if take("BINARY") { return try node(.cast(.castBinary, nil, 0), place, [try unary()]) }
        var out = try primary()
        while word == "COLLATE" {
            let place = offset
            at += 1
            guard token.kind == .word || token.kind == .quotedName || token.kind == .string else {
                throw unexpected()
            }
            let name = text(token).filter { $0 != "`" && $0 != "'" && $0 != "\"" }
            out = try node(.collate(name.lowercased()), place, [out])
            at += 1
        }
        return out
    }
}
