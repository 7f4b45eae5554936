import MySQLCore

/// Keys and foreign keys.
extension Parser {
    /// `{PRIMARY KEY | UNIQUE [KEY] | FULLTEXT .. | KEY} [IF NOT EXISTS] [name] [USING ..] (parts)
    /// options`; the second value says whether IF NOT EXISTS was there.
    mutating func key(
        named constraint: String?
    ) throws(SyntaxFailure) -> (KeyDefinition, Bool) {
        let kind = try keyKind()
        var ifNotExists = ifNotExists()
        var name = constraint
        if isName(token), !beginsKeyType {
            let own = try self.name()
            if kind != .primary { name = own }
        }
        if self.ifNotExists() { ifNotExists = true }
        if takeAny(.using, .type) { advance() }
        let parts = try keyParts()
        try keyOptions()
        if kind == .primary { name = "PRIMARY" }
        return (KeyDefinition(kind: kind, name: name, parts: parts), ifNotExists)
    }

    /// Whether `USING BTREE` is here, or `TYPE BTREE`, and no name: `TYPE` is one itself before a
    /// parenthesis, USING or another TYPE.
    private var beginsKeyType: Bool {
        keyword == .using || keyword == .type && isName(peek(1)) && isByte("(", at: 2)
    }

    private mutating func keyKind() throws(SyntaxFailure) -> KeyKind {
        let word = keyword
        advance()
        switch word {
        case .primary:
            try expect(.key)
            return .primary
        case .unique:
            _ = takeAny(.key, .index)
            return .unique
        case .fulltext:
            _ = takeAny(.key, .index)
            return .fulltext
        case .spatial:
            _ = takeAny(.key, .index)
            return .spatial
        case .vector:
            _ = takeAny(.key, .index)
            return .vector
        case .key, .index:
            return .plain
        default:
            at -= 1
            throw failure("a key expected")
        }
    }

    /// `(a, b(10) DESC, (expression))`.
    mutating func keyParts() throws(SyntaxFailure) -> [KeyPart] {
        try expectByte("(")
        var out: [KeyPart] = []
        repeat {
            if isByte("(") {
                try skipParentheses()
                out.append(KeyPart(column: nil))
            } else {
                var part = KeyPart(column: try name())
                if takeByte("(") {
                    part.prefixLength = try parameter()
                    try expectByte(")")
                }
                // The application period of MariaDB's WITHOUT OVERLAPS stands for its two
                // columns; they are put in when the key is applied.
                if take(.without) {
                    advance()
                    part.column = periodMark + (part.column ?? "")
                }
                out.append(part)
            }
            _ = takeAny(.asc, .desc)
        } while takeByte(",")
        try expectByte(")")
        return out
    }

    /// Options behind a key's parts, none of which matters, up to the next item.
    mutating func keyOptions() throws(SyntaxFailure) {
        while !isAtEnd, !isByte(","), !isByte(")") {
            switch keyword {
            case .algorithm, .lock, .wait, .nowait: return
            case .visible, .invisible, .ignored, .not: advance()
            case .with:
                advance()
                try expect(.parser)
                _ = try name()
            case .using, .type:
                advance()
                advance()
            default:
                guard isName(token) else { throw failure("a key's option expected") }
                advance()
                _ = takeByte("=")
                guard !isAtEnd, token.kind != .unterminated else {
                    throw failure("an option's value expected")
                }
                if token.kind == .string { _ = try stringLiteral() } else { advance() }
            }
        }
    }

    /// `FOREIGN KEY [IF NOT EXISTS] [index] (columns) REFERENCES ..`.
    mutating func foreignKey(
        named constraint: String?
    ) throws(SyntaxFailure) -> ForeignKeyDefinition {
        try expect(.foreign)
        try expect(.key)
        _ = ifNotExists()
        var indexName: String?
        if isName(token) { indexName = try name() }
        let columns = try columnList()
        return try references(
            ForeignKeyDefinition(
                name: constraint, indexName: indexName, columns: columns,
                parent: TableName(schema: "", name: ""), parentColumns: [], onDelete: .restrict,
                onUpdate: .restrict))
    }

    /// `REFERENCES parent [(columns)] [MATCH x] [ON DELETE x] [ON UPDATE x]`.
    mutating func references(
        _ foreignKey: ForeignKeyDefinition
    ) throws(SyntaxFailure) -> ForeignKeyDefinition {
        var out = foreignKey
        try expect(.references)
        out.parent = try tableName(.parent)
        if isByte("(") { out.parentColumns = try columnList() }
        // The same in effect, but information_schema says it so.
        let unsaid: ForeignKeyShape.Action = context.isMariaDB ? .restrict : .noAction
        out.onDelete = unsaid
        out.onUpdate = unsaid
        while true {
            if take(.match) {
                advance()
            } else if take(.on, .delete) {
                out.onDelete = try referenceAction()
            } else if take(.on, .update) {
                out.onUpdate = try referenceAction()
            } else {
                return out
            }
        }
    }

    private mutating func referenceAction() throws(SyntaxFailure) -> ForeignKeyShape.Action {
        if take(.restrict) { return .restrict }
        if take(.cascade) { return .cascade }
        if take(.set, .null) { return .setNull }
        if take(.set, .default) { return .setDefault }
        if take(.no, .action) { return .noAction }
        throw failure("a foreign key's action expected")
    }

    /// `(a, b)`.
    mutating func columnList() throws(SyntaxFailure) -> [String] {
        try expectByte("(")
        var out: [String] = []
        repeat { out.append(try name()) } while takeByte(",")
        try expectByte(")")
        return out
    }

    // MARK: CREATE INDEX, DROP INDEX

    mutating func createIndex(orReplace: Bool) throws(SyntaxFailure) -> CreateIndex {
        _ = takeAny(.online, .offline)
        let kind = keyword == .index ? KeyKind.plain : try keyKind()
        if tokens[at - 1].keyword != .index { try expect(.index) }
        let ifNotExists = ifNotExists()
        let name = try self.name()
        if takeAny(.using, .type) { advance() }
        try expect(.on)
        let table = try tableName(.owner)
        var wait = try lockWait()
        let parts = try keyParts()
        while !isAtEnd {
            if takeAny(.algorithm, .lock) {
                _ = takeByte("=")
                advance()
            } else if keyword == .wait || keyword == .nowait {
                wait = try lockWait()
            } else {
                let before = at
                try keyOptions()
                guard at > before else { throw failure("an index option expected") }
            }
        }
        return CreateIndex(
            table: table, key: KeyDefinition(kind: kind, name: name, parts: parts),
            orReplace: orReplace, ifNotExists: ifNotExists, wait: wait)
    }

    mutating func dropIndex() throws(SyntaxFailure) -> DropIndex {
        _ = takeAny(.online, .offline)
        try expect(.index)
        let ifExists = ifExists()
        let name = try self.name()
        try expect(.on)
        var out = DropIndex(table: try tableName(.owner), name: name, ifExists: ifExists)
        out.wait = try lockWait()
        while takeAny(.algorithm, .lock) {
            _ = takeByte("=")
            advance()
        }
        try expectEnd()
        return out
    }
}

/// Marks a key part that is a period; no column's name can begin with a zero byte.
let periodMark = "\u{0}"
