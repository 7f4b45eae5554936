import MySQLCore

/// Finds the tables of queries and bodies without a grammar of expressions: by the words in front
/// of them. It never fails; what it can't follow makes the list incomplete.
struct TableScanner {
    var parser: Parser
    /// Names of common table expressions, which are no tables.
    private var commonTables: Set<String> = []
    /// Names by which columns are qualified when a table has no alias.
    private var unaliased: [String: TableName] = [:]
    private var levels: [Level] = [Level()]

    /// What has been seen inside of one pair of parentheses.
    private struct Level {
        var hasSelect = false
        var isInFrom = false
        var expectsTable = false
        var isPlain = false
    }

    private static let deepest = 1_000

    init(_ parser: Parser) { self.parser = parser }

    /// Scans one query or DML statement from the parser's place to the end.
    mutating func scanQuery() {
        findCommonTables()
        let start = parser.at
        scan()
        qualifyColumns(from: start)
    }

    /// Scans a stored program's statements.
    mutating func scanBody() {
        findCommonTables()
        scan()
    }

    /// Scans a statement that could not be read otherwise, from its start: keeps what is likely.
    mutating func scanEverything() {
        parser.at = 0
        parser.tables = []
        parser.schemas = []
        findCommonTables()
        scan()
    }

    // MARK: The walk

    private mutating func scan() {
        while parser.token.kind != .end, parser.token.kind != .unterminated {
            let before = parser.at
            step()
            if parser.at == before { parser.advance() }
        }
        if parser.token.kind == .unterminated { parser.tablesAreComplete = false }
    }

    private mutating func step() {
        if parser.isByte("(") { return open() }
        if parser.isByte(")") { return close() }
        if parser.isByte(";") {
            levels = [Level()]
            parser.advance()
            return
        }
        let top = levels.count - 1
        if parser.isByte(",") {
            levels[top].expectsTable = levels[top].isInFrom
            parser.advance()
            return
        }
        if levels[top].expectsTable {
            if parser.keyword == .lateral || parser.keyword == .only {
                parser.advance()
                return
            }
            if parser.isName(parser.token), parser.keyword != .select, parser.keyword != .dual {
                levels[top].expectsTable = false
                if parser.keyword == .table, parser.token.kind == .word { parser.advance() }
                return table(.source)
            }
            if parser.keyword == .dual { levels[top].expectsTable = false }
        }
        guard parser.token.kind == .word else { return }
        word(top)
    }

    private mutating func open() {
        parser.advance()
        guard levels.count < Self.deepest else {
            parser.tablesAreComplete = false
            return
        }
        var inner = Level()
        if levels[levels.count - 1].expectsTable {
            levels[levels.count - 1].expectsTable = false
            inner.isInFrom = true
            inner.expectsTable = true
        }
        levels.append(inner)
    }

    private mutating func close() {
        parser.advance()
        if levels.count > 1 { levels.removeLast() }
    }

    private mutating func word(_ top: Int) {
        let previous = parser.at > 0 ? parser.tokens[parser.at - 1].keyword : .none
        let followedByParenthesis = parser.isByte("(", at: 1)
        switch parser.keyword {
        case .select:
            levels[top].hasSelect = true
            levels[top].isInFrom = false
            levels[top].expectsTable = false
        case .from, .using:
            guard levels[top].hasSelect || parser.keyword == .from && previous == .delete else {
                return
            }
            if parser.keyword == .using && !levels[top].isPlain { return }
            levels[top].isInFrom = true
            levels[top].expectsTable = true
        case .join, .straightJoin:
            levels[top].expectsTable = true
            levels[top].isInFrom = true
        case .where, .group, .having, .order, .limit, .window, .union, .except, .intersect, .for,
            .into, .set, .values:
            levels[top].isInFrom = false
            levels[top].expectsTable = false
        default:
            statementWord(top, previous, followedByParenthesis)
        }
    }

    /// Words that begin a statement that writes.
    private mutating func statementWord(
        _ top: Int, _ previous: Keyword, _ followedByParenthesis: Bool
    ) {
        switch parser.keyword {
        case .insert, .replace:
            guard !followedByParenthesis, previous != .or, previous != .ignore else { return }
            insertion()
        case .update:
            guard previous != .key, previous != .for, previous != .on, !followedByParenthesis,
                !triggerEvent(previous)
            else { return }
            parser.advance()
            _ = parser.take(.lowPriority)
            _ = parser.take(.ignore)
            levels[top].isInFrom = true
            levels[top].expectsTable = true
        case .delete:
            guard previous != .on, !triggerEvent(previous) else { return }
            levels[top].hasSelect = true
            levels[top].isPlain = true
            parser.advance()
            while parser.takeAny(.lowPriority, .quick, .ignore, .history) {}
            guard parser.take(.from) else { return }
            levels[top].isInFrom = true
            levels[top].expectsTable = true
        case .table, .tables, .view, .truncate, .references, .like, .sequence:
            namedObjects(previous)
        default: break
        }
    }

    private func triggerEvent(_ previous: Keyword) -> Bool {
        previous == .after || parser.peek(1).keyword == .on || parser.peek(1).keyword == .or
            || previous == .or
    }

    private mutating func insertion() {
        guard !triggerEvent(.none) else { return }
        let start = parser.at
        parser.advance()
        while parser.takeAny(.lowPriority, .delayed, .highPriority, .ignore) {}
        if parser.take(.into) { _ = parser.take(.table) }
        guard parser.isName(parser.token) else {
            parser.at = start
            return
        }
        table(.target)
        let top = levels.count - 1
        levels[top].isInFrom = false
        levels[top].expectsTable = false
    }

    /// `TABLE [IF [NOT] EXISTS] a, b`, `REFERENCES a`, `LIKE a`, `TRUNCATE a`.
    private mutating func namedObjects(_ previous: Keyword) {
        let word = parser.keyword
        if word == .like || word == .references, levels.count > 1 || word == .references {
            guard word == .references else { return }
        }
        if word == .truncate, parser.peek(1).keyword == .table { return }
        if word == .truncate, parser.isByte("(", at: 1) { return }
        if word == .like, parser.verb != "CREATE TABLE" { return }
        parser.advance()
        _ = parser.ifNotExists()
        _ = parser.ifExists()
        let role: TableRole =
            switch word {
            case .references: .parent
            case .like: .source
            default: .target
            }
        repeat {
            guard parser.isName(parser.token) else { return }
            table(role)
            if parser.take(.to), parser.isName(parser.token) { table(.renamedTo) }
        } while parser.takeByte(",")
    }

    /// A table's name with its alias.
    private mutating func table(_ role: TableRole) {
        if parser.token.kind == .word, parser.isByte("(", at: 1), role == .source {
            parser.advance()  // a table function
            return
        }
        let first = parser.token
        let known = parser.tables.count
        guard let name = try? parser.tableName(role) else {
            parser.tablesAreComplete = false
            parser.advance()
            return
        }
        let reference = parser.tables[known]
        if reference.schemaRange == nil, let text = try? parser.nameText(first),
            commonTables.contains(text.lowercased())
        {
            parser.tables.removeLast()
            return
        }
        guard role == .source else { return }
        if parser.keyword == .partition, parser.isByte("(", at: 1) {
            parser.advance()
            _ = try? parser.skipParentheses()
        }
        let hasAlias = parser.take(.as) || (parser.isName(parser.token) && !endsTable)
        if hasAlias {
            parser.advance()
        } else {
            unaliased[name.name.lowercased()] = name
        }
    }

    /// Whether a word behind a table's name is no alias.
    private var endsTable: Bool {
        guard parser.token.kind == .word else { return false }
        switch parser.keyword {
        case .none: return false
        case .where, .join, .inner, .left, .right, .cross, .natural, .straightJoin, .on, .using,
            .set, .order, .group, .limit, .having, .union, .except, .intersect, .minus, .for, .use,
            .force, .ignore, .into, .window, .partition, .values, .select, .full, .lock, .with,
            .returning, .as, .procedure, .to, .do, .end:
            return true
        default: return false
        }
    }

    // MARK: Names that are no tables, columns' qualifiers

    /// `WITH [RECURSIVE] name [(columns)] AS (`: any name in front of `AS (` or `(..) AS (`.
    private mutating func findCommonTables() {
        let tokens = parser.tokens
        var i = parser.at
        var previousName: Int?
        while i + 2 < tokens.count {
            let t = tokens[i]
            if t.keyword == .with || t.kind == .punctuation || t.keyword == .recursive {
                previousName = parser.isName(tokens[i + 1]) ? i + 1 : nil
            }
            if t.keyword == .with || t.keyword == .recursive || isComma(t), let name = previousName,
                let isFollowed = followsCommonTable(name), isFollowed,
                let text = try? parser.nameText(tokens[name])
            {
                commonTables.insert(text.lowercased())
            }
            i += 1
        }
    }

    private func isComma(_ t: Token) -> Bool {
        t.kind == .punctuation && parser.source[Int(t.low)] == UInt8(ascii: ",")
    }

    /// Whether `AS (` follows the name, perhaps behind a list of columns.
    private func followsCommonTable(_ name: Int) -> Bool? {
        var i = name + 1
        let tokens = parser.tokens
        func isByte(_ c: UInt8, _ i: Int) -> Bool {
            i < tokens.count && tokens[i].kind == .punctuation
                && parser.source[Int(tokens[i].low)] == c
        }
        if isByte(UInt8(ascii: "("), i) {
            // A column list holds only names and commas; a bound keeps the whole walk linear.
            let limit = min(i + 8_192, tokens.count)
            i += 1
            while i < limit, parser.isName(tokens[i]) || isByte(UInt8(ascii: ","), i) { i += 1 }
            guard isByte(UInt8(ascii: ")"), i) else { return false }
            i += 1
        }
        return i < tokens.count && tokens[i].keyword == .as && isByte(UInt8(ascii: "("), i + 1)
    }

    /// Records `db.table.column` and `table.column` of tables without an alias.
    private mutating func qualifyColumns(from start: Int) {
        let known = Set(parser.tables.map(\.nameRange.lowerBound))
        let names = Set(parser.tables.map(\.name))
        parser.at = start
        while parser.token.kind != .end, parser.token.kind != .unterminated {
            defer { parser.advance() }
            guard parser.isName(parser.token), parser.isByte(".", at: 1),
                parser.at == 0 || !isDotBefore,
                !known.contains(Int(parser.token.low)), !known.contains(Int(parser.peek(2).low))
            else { continue }
            let first = parser.token
            guard let one = try? parser.nameText(first) else { continue }
            if parser.isByte(".", at: 3), parser.isName(parser.peek(2)) {
                let second = parser.peek(2)
                guard let two = try? parser.nameText(second) else { continue }
                let name = TableName(
                    schema: parser.context.stored(one), name: parser.context.stored(two))
                guard names.contains(name) else { continue }
                parser.tables.append(
                    TableReference(
                        name: name, role: .columnQualifier, schemaRange: first.range,
                        nameRange: second.range))
            } else if let name = unaliased[one.lowercased()] {
                parser.tables.append(
                    TableReference(
                        name: name, role: .columnQualifier, schemaRange: nil,
                        nameRange: first.range))
            }
        }
    }

    private var isDotBefore: Bool {
        let t = parser.tokens[parser.at - 1]
        return t.kind == .punctuation && parser.source[Int(t.low)] == UInt8(ascii: ".")
    }
}
