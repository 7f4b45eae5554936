import MySQLCore

/// What a parenthesised list of table elements declares.
struct TableElements {
    var columns: [ColumnDefinition] = []
    var keys: [KeyDefinition] = []
    var foreignKeys: [ForeignKeyDefinition] = []
    var checks: [CheckDefinition] = []
    var periods: [PeriodDefinition] = []
}

/// CREATE TABLE.
extension Parser {
    mutating func createTable(orReplace: Bool) throws(SyntaxFailure) -> CreateTable {
        let isTemporary = take(.temporary)
        let isExternal = take(.external)
        try expect(.table)
        let ifNotExists = ifNotExists()
        var out = CreateTable(
            table: try tableName(.target), isTemporary: isTemporary, orReplace: orReplace,
            ifNotExists: ifNotExists)
        out.isExternal = isExternal
        if take(.like) {
            out.like = try tableName(.source)
            try expectEnd()
            return out
        }
        if isByte("("), peek(1).keyword == .like {
            advance()
            advance()
            out.like = try tableName(.source)
            try expectByte(")")
            try expectEnd()
            return out
        }
        if isByte("("), !isQuery(1) {
            advance()
            var elements = TableElements()
            repeat { try tableElement(&elements) } while takeByte(",")
            try expectByte(")")
            out.columns = elements.columns
            out.keys = elements.keys
            out.foreignKeys = elements.foreignKeys
            out.checks = elements.checks
            out.periods = elements.periods
        }
        try tableOptions(&out.options)
        try partitioning(&out.options)
        try query(&out)
        return out
    }

    /// Whether a query begins `distance` tokens from here, behind any parentheses.
    private func isQuery(_ distance: Int) -> Bool {
        var i = distance
        while isByte("(", at: i) { i += 1 }
        switch peek(i).keyword {
        case .select, .values, .table: return true
        case .with: return peek(i + 1).keyword != .system
        default: return false
        }
    }

    /// `[IGNORE | REPLACE] [AS] query`.
    private mutating func query(_ out: inout CreateTable) throws(SyntaxFailure) {
        guard !isAtEnd else { return }
        _ = takeAny(.ignore, .replace)
        _ = take(.as)
        guard isQuery(0) else { throw failure("an option or a query expected") }
        out.isFromSelect = true
        var scanner = TableScanner(self)
        scanner.scanQuery()
        self = scanner.parser
    }

    /// `PARTITION BY ..` to its end: only its extent matters.
    private mutating func partitioning(_ options: inout TableOptions) throws(SyntaxFailure) {
        guard keyword == .partition else { return }
        advance()
        options.isPartitioned = true
        while !isAtEnd, !isQuery(0) || keyword == .values {
            if keyword == .as || (keyword == .ignore || keyword == .replace) { return }
            if isByte("(") {
                try skipParentheses()
            } else {
                guard token.kind != .unterminated else { throw failure("end expected") }
                advance()
            }
        }
    }

    /// A column, key, foreign key, CHECK or period.
    mutating func tableElement(_ out: inout TableElements) throws(SyntaxFailure) {
        if try !constraintOrKey(&out) {
            try columnWithKeys(&out)
        }
    }

    /// Reads a key or constraint; false, with nothing consumed, when a column is here.
    mutating func constraintOrKey(_ out: inout TableElements) throws(SyntaxFailure) -> Bool {
        var constraint: String?
        switch keyword {
        case .constraint:
            advance()
            _ = ifNotExists()
            if isName(token), !beginsConstraint { constraint = try name() }
            guard beginsConstraint else { throw failure("a constraint expected") }
        case .primary, .unique, .key, .index, .fulltext, .spatial, .foreign, .check: break
        case .vector where peek(1).keyword == .index || peek(1).keyword == .key: break
        case .period where peek(1).keyword == .for || peek(1).keyword == .if: break
        default: return false
        }
        switch keyword {
        case .check:
            out.checks.append(try check(named: constraint))
        case .foreign:
            let foreignKey = try foreignKey(named: constraint)
            out.foreignKeys.append(foreignKey)
            out.keys.append(generatedKey(for: foreignKey))
        case .period:
            out.periods.append(try period())
        default:
            out.keys.append(try key(named: constraint).0)
        }
        return true
    }

    private var beginsConstraint: Bool {
        guard token.kind == .word else { return false }
        switch keyword {
        case .primary, .unique, .foreign, .check: return true
        default: return false
        }
    }

    /// The key that the server makes for a foreign key, unless another one serves.
    func generatedKey(for foreignKey: ForeignKeyDefinition) -> KeyDefinition {
        KeyDefinition(
            kind: .plain, name: foreignKey.name ?? foreignKey.indexName,
            parts: foreignKey.columns.map { KeyPart(column: $0) }, isGenerated: true)
    }

    /// `PERIOD [IF NOT EXISTS] FOR name (start, end)`.
    mutating func period() throws(SyntaxFailure) -> PeriodDefinition {
        try expect(.period)
        _ = ifNotExists()
        try expect(.for)
        let name = try name()
        try expectByte("(")
        let start = try self.name()
        try expectByte(",")
        let end = try self.name()
        try expectByte(")")
        return PeriodDefinition(name: name, start: start, end: end)
    }

    /// `CHECK (expression) [[NOT] ENFORCED]`.
    mutating func check(named name: String?) throws(SyntaxFailure) -> CheckDefinition {
        try expect(.check)
        let range = try skipParentheses()
        var out = CheckDefinition(name: name, expression: text(range))
        if take(.not, .enforced) {
            out.isEnforced = false
        } else {
            _ = take(.enforced)
        }
        return out
    }
}
