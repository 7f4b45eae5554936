import MySQLCore

/// Columns with their attributes.
extension Parser {
    /// A column of CREATE TABLE or of ADD COLUMN, with the keys that its attributes declare.
    mutating func columnWithKeys(_ out: inout TableElements) throws(SyntaxFailure) {
        let name = try name()
        try columnWithKeys(named: name, &out)
    }

    /// The same behind the name.
    mutating func columnWithKeys(
        named name: String, _ out: inout TableElements
    ) throws(SyntaxFailure) {
        var column = ColumnDefinition(name: name, dataType: try dataType())
        var keys = ColumnKeys()
        if let type = column.dataType {
            if type.isSerial {
                column.isNullable = false
                column.isAutoIncrement = true
                keys.isUnique = true
            }
            column.dataType?.collation = type.collation
        }
        if column.dataType == nil, token.kind == .word, keyword == .none {
            throw failure("a known data type expected")
        }
        while try columnAttribute(&column, &keys, &out) {}
        let part = [KeyPart(column: name)]
        // MySQL gives a column that is both both keys, MariaDB the primary key alone.
        if context.isMariaDB, keys.isPrimary { keys.isUnique = false }
        if keys.isPrimary {
            out.keys.append(KeyDefinition(kind: .primary, name: "PRIMARY", parts: part))
        }
        if keys.isUnique { out.keys.append(KeyDefinition(kind: .unique, name: nil, parts: part)) }
        out.columns.append(column)
    }

    private struct ColumnKeys {
        var isPrimary = false
        var isUnique = false
    }

    /// One attribute; false when none is here.
    private mutating func columnAttribute(
        _ column: inout ColumnDefinition, _ keys: inout ColumnKeys, _ out: inout TableElements
    ) throws(SyntaxFailure) -> Bool {
        switch keyword {
        case .not:
            guard !take(.not, .null) else {
                column.isNullable = false
                return true
            }
            advance()  // NOT SECONDARY
            advance()
        case .null:
            advance()
            column.isNullable = true
        case .default:
            advance()
            column.defaultValue = try defaultValue()
        case .on:
            guard take(.on, .update) else { return false }
            advance()
            if isByte("(") { try skipParentheses() }
            column.updatesToNow = true
        case .autoIncrement:
            advance()
            column.isAutoIncrement = true
        case .serial:
            guard peek(1).keyword == .default, peek(2).keyword == .value else { return false }
            at += 3
            column.isNullable = false
            column.isAutoIncrement = true
            keys.isUnique = true
        case .primary:
            advance()
            try expect(.key)
            keys.isPrimary = true
        case .key:
            advance()
            keys.isPrimary = true
        case .unique:
            advance()
            _ = take(.key)
            keys.isUnique = true
        case .comment:
            advance()
            column.comment = try stringLiteral()
        case .collate:
            advance()
            column.dataType?.collation = try collationName()
        case .character, .charset, .char:
            guard let charset = try charsetClause() else { return false }
            column.dataType?.charset = charset
        case .visible, .invisible:
            column.isInvisible = keyword == .invisible
            advance()
        case .references:
            try inlineReference(column.name, &out)
        case .constraint, .check:
            try columnCheck(&column)
        case .generated, .as:
            try generation(&column)
        default:
            return try otherAttribute()
        }
        return true
    }

    private mutating func columnCheck(_ column: inout ColumnDefinition) throws(SyntaxFailure) {
        var name: String?
        if take(.constraint), keyword != .check { name = try self.name() }
        column.checks.append(try check(named: name))
    }

    /// A reference in a column is a foreign key in MariaDB 10.5 and MySQL 9; before, it is
    /// accepted and ignored.
    private mutating func inlineReference(
        _ column: String, _ out: inout TableElements
    ) throws(SyntaxFailure) {
        let blank = ForeignKeyDefinition(
            name: nil, indexName: nil, columns: [column],
            parent: TableName(schema: "", name: ""), parentColumns: [], onDelete: .noAction,
            onUpdate: .noAction)
        let foreignKey = try references(blank)
        guard context.version.isAtLeast(context.isMariaDB ? 10 : 9, context.isMariaDB ? 5 : 0)
        else { return }
        out.foreignKeys.append(foreignKey)
        out.keys.append(generatedKey(for: foreignKey))
    }

    /// `[GENERATED ALWAYS] AS {(expression) [VIRTUAL|STORED|PERSISTENT] | ROW {START|END}}`.
    private mutating func generation(_ column: inout ColumnDefinition) throws(SyntaxFailure) {
        if take(.generated) { _ = take(.always) }
        try expect(.as)
        if take(.row) {
            guard takeAny(.start, .end) else { throw failure("START or END expected") }
            column.isRowPeriod = true
            column.isNullable = false
            return
        }
        let mark = nondeterministicReason
        column.expression = text(try skipParentheses())
        nondeterministicReason = mark  // servers refuse what is not deterministic here
        column.generation = .virtual
        if takeAny(.stored, .persistent) {
            column.generation = .stored
        } else {
            _ = take(.virtual)
        }
    }

    /// Attributes that say nothing about shapes.
    private mutating func otherAttribute() throws(SyntaxFailure) -> Bool {
        switch keyword {
        case .columnFormat, .storage:
            advance()
            advance()
        case .engineAttribute, .secondaryEngineAttribute, .refSystemId:
            advance()
            _ = takeByte("=")
            advance()
        case .srid:
            advance()
            _ = try integer()
        case .compressed:
            advance()
            if takeByte("=") { advance() }
        case .with, .without:
            guard peek(1).keyword == .system, peek(2).keyword == .versioning else { return false }
            at += 3
        default:
            // MariaDB's engines have attributes of their own, `name = value`.
            guard isName(token), isByte("=", at: 1) else { return false }
            at += 3
        }
        return true
    }

    // MARK: DEFAULT

    /// A literal, CURRENT_TIMESTAMP, an expression in parentheses or a call.
    mutating func defaultValue() throws(SyntaxFailure) -> DefaultValue {
        let low = Int(token.low)
        if isByte("(") { return .expression(text(try skipParentheses())) }
        if takeByte("-") || takeByte("+") {
            guard token.kind == .number else { throw failure("a number expected") }
            advance()
            return .literal(text(low..<Int(tokens[at - 1].high)))
        }
        switch token.kind {
        case .string:
            while token.kind == .string { advance() }
            return .literal(text(low..<Int(tokens[at - 1].high)))
        case .number, .hex, .bits:
            advance()
            return .literal(text(low..<Int(tokens[at - 1].high)))
        case .word, .quotedName, .userVariable, .systemVariable:
            return try wordDefault(low)
        default:
            throw failure("a default value expected")
        }
    }

    private mutating func wordDefault(_ low: Int) throws(SyntaxFailure) -> DefaultValue {
        noteNondeterminism()
        let word = text(token.range).uppercased()
        if take(.null) { return .null }
        if take(.next, .value) {
            nondeterministicReason = "a default takes values from a sequence"
            try expect(.for)
            _ = try tableName(.source)
            return .expression(text(low..<Int(tokens[at - 1].high)))
        }
        advance()
        switch word {
        case "TRUE", "FALSE":
            return .literal(word)
        case "CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP":
            if isByte("(") { try skipParentheses() }
            return .now
        case "CASE":
            var depth = 1
            while depth > 0 {
                if keyword == .case { depth += 1 }
                if keyword == .end { depth -= 1 }
                guard !isAtEnd, token.kind != .unterminated else { throw failure("END expected") }
                noteNondeterminism()
                advance()
            }
        default:
            // A typed literal (`DATE '2020-01-01'`) or an introducer (`_utf8mb4'x'`).
            if token.kind == .string || token.kind == .hex || token.kind == .bits {
                while token.kind == .string || token.kind == .hex || token.kind == .bits {
                    advance()
                }
                return .literal(text(low..<Int(tokens[at - 1].high)))
            }
            while isByte("."), isName(peek(1)) { at += 2 }
            if isByte("(") { try skipParentheses() }
        }
        return .expression(text(low..<Int(tokens[at - 1].high)))
    }

    /// Remembers a call whose value another server would not repeat.
    mutating func noteNondeterminism() {
        guard token.kind == .word || token.kind == .systemVariable else { return }
        if token.kind == .systemVariable {
            nondeterministicReason = "an expression reads a system variable"
            return
        }
        let length = token.range.count
        guard length >= 4, length <= 16 else { return }
        switch text(token.range).uppercased() {
        case "NEXT", "PREVIOUS":
            guard peek(1).keyword == .value, peek(2).keyword == .for else { return }
            nondeterministicReason = "a default takes values from a sequence"
        case "UUID", "RAND", "UUID_SHORT", "RANDOM_BYTES", "SYS_GUID", "CONNECTION_ID", "NEXTVAL",
            "LASTVAL", "LAST_INSERT_ID", "SYSDATE", "UUID_V4", "UUID_V7", "SESSION_USER",
            "SYSTEM_USER", "CURRENT_USER", "CURRENT_ROLE", "FOUND_ROWS", "ROW_COUNT", "DATABASE",
            "VERSION", "LOAD_FILE", "GET_LOCK", "USER", "BENCHMARK", "SLEEP":
            guard isByte("(", at: 1) || keyword == .currentUser || keyword == .currentRole else {
                return
            }
            let name = text(token.range).uppercased()
            nondeterministicReason = "an expression calls \(name)()"
        default: break
        }
    }
}
