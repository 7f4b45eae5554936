public import MySQLCore

extension Statement {
    /// The statement with its tables (and views and sequences) renamed, everything else byte for
    /// byte.
    ///
    /// - Parameters:
    ///   - renaming: gives the new name of a table; the same name leaves it alone.
    ///   - defaultSchema: the default schema of the session that will run the statement; names
    ///     that had none are qualified where they now live elsewhere. `nil`: always.
    ///   - renamingSchema: gives the new name of a schema that is named on its own or in front of
    ///     a routine, trigger or event.
    public func rewritten(
        renaming: (TableName) -> TableName, defaultSchema: String?,
        renamingSchema: (String) -> String = { $0 }
    ) -> [UInt8] {
        var changes: [(range: Range<Int>, text: String)] = []
        var childSchema = defaultSchema
        for table in tables {
            let new = renaming(table.name)
            if table.role == .target, defaultSchema != nil { childSchema = new.schema }
            // Where a foreign key says no schema for its parent, it is the child's.
            let implied = table.role == .parent ? childSchema : defaultSchema
            if let schema = table.schemaRange {
                if new.schema != table.name.schema {
                    changes.append((schema, quoteIdentifier(new.schema)))
                }
                if new.name != table.name.name {
                    changes.append((table.nameRange, quoteIdentifier(new.name)))
                }
            } else if table.role == .columnQualifier {
                if new.name != table.name.name {
                    changes.append((table.nameRange, quoteIdentifier(new.name)))
                }
            } else if !new.schema.isEmpty, new.schema != implied {
                changes.append((table.nameRange, new.quoted))
            } else if new.name != table.name.name {
                changes.append((table.nameRange, quoteIdentifier(new.name)))
            }
        }
        for schema in schemas {
            let new = renamingSchema(schema.name)
            if schema.range.isEmpty {
                // ALTER DATABASE of the session's own one.
                if !new.isEmpty, new != defaultSchema {
                    changes.append((schema.range, " \(quoteIdentifier(new))"))
                }
            } else if new != schema.name {
                changes.append((schema.range, quoteIdentifier(new)))
            }
        }
        return replacing(changes)
    }

    /// The statement with a character set's collation spelled out wherever it names the character
    /// set alone, so that it means the same on a server with another default. A definition, or the
    /// table's options, that spell a collation are left as they are.
    ///
    /// - Parameter context: the one that the statement was parsed under.
    public func spelling(
        collation: String, of charset: String, context: SyntaxContext
    ) -> [UInt8] {
        let tokens = Lexer.tokens(source, context: context)
        let pieces = Pieces(tokens, source)
        var changes: [(range: Range<Int>, text: String)] = []
        for (i, token) in tokens.enumerated() {
            var at = i
            if token.keyword == .charset {
                at += 1
            } else if token.keyword == .character, i + 1 < tokens.count,
                tokens[i + 1].keyword == .set
            {
                at += 2
            } else {
                continue
            }
            if at < tokens.count, tokens[at].kind == .symbol { at += 1 }
            guard at + 1 < tokens.count, !pieces.spellsCollation(i),
                tokens[at + 1].keyword != .binary
            else { continue }
            let name = String(decoding: source[tokens[at].range], as: UTF8.self)
                .filter { $0 != "'" && $0 != "\"" && $0 != "`" }
            guard Charsets.canonical(charset: name.lowercased()) == charset else { continue }
            let end = tokens[at].range.upperBound
            changes.append((end..<end, " COLLATE \(collation)"))
        }
        return replacing(changes)
    }

    /// What commas and parentheses make of a statement: definitions of columns, and options.
    private struct Pieces {
        private struct Piece {
            var depth: Int
            /// Whether it defines a column, by its first word; of those in parentheses all may.
            var isDefinition: Bool
            var isConversion: Bool
            var hasCollation = false
        }

        private var pieces: [Piece] = []
        private var ofToken: [Int] = []

        init(_ tokens: [Token], _ source: [UInt8]) {
            var open: [Int] = []
            func word(_ i: Int) -> String {
                i >= 0 && i < tokens.count
                    ? String(decoding: source[tokens[i].range], as: UTF8.self).uppercased() : ""
            }
            func begin(_ i: Int, isConversion: Bool) {
                let isDefinition = open.isEmpty && Self.actions.contains(word(i))
                open.append(pieces.count)
                pieces.append(
                    Piece(
                        depth: open.count - 1, isDefinition: isDefinition || open.count > 1,
                        isConversion: isConversion))
            }
            // ALTER TABLE t ADD ..: the first piece begins with what names the table.
            let action =
                word(0) == "ALTER" ? tokens.indices.first { Self.actions.contains(word($0)) } : nil
            begin(action ?? 0, isConversion: false)
            for (i, token) in tokens.enumerated() {
                ofToken.append(open.last ?? 0)
                switch word(i) {
                case "(" where token.kind == .punctuation:
                    let isInside = open.last.map { pieces[$0].isConversion } ?? false
                    begin(
                        i + 1, isConversion: isInside || ["CAST", "CONVERT"].contains(word(i - 1)))
                case ")" where token.kind == .punctuation && open.count > 1: open.removeLast()
                case "," where token.kind == .punctuation:
                    let ended = open.removeLast()
                    begin(i + 1, isConversion: pieces[ended].isConversion)
                default:
                    if token.keyword == .collate, let piece = open.last {
                        pieces[piece].hasCollation = true
                    }
                }
            }
        }

        private static let actions: Set<String> = ["ADD", "CHANGE", "MODIFY"]

        /// Whether what the token stands in names a collation, or converts a value.
        func spellsCollation(_ token: Int) -> Bool {
            let piece = pieces[ofToken[token]]
            if piece.hasCollation || piece.isConversion { return true }
            // The options of a table, with commas or without.
            guard piece.depth == 0, !piece.isDefinition else { return false }
            return pieces.contains { $0.depth == 0 && !$0.isDefinition && $0.hasCollation }
        }
    }

    /// The statement without its `DEFINER = ..` (or with another one, as SQL text).
    public func settingDefiner(_ definer: String?) -> [UInt8] {
        let range: Range<Int>?
        switch ddl {
        case .createObject(let object): range = object.definerRange
        case .alterObject(let object): range = object.definerRange
        default: range = nil
        }
        guard let range else { return source }
        return replacing([(range, definer.map { "DEFINER=\($0)" } ?? "")])
    }

    private func replacing(_ changes: [(range: Range<Int>, text: String)]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(source.count + 32 * changes.count)
        var from = 0
        for change in changes.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            guard change.range.lowerBound >= from else { continue }
            out += source[from..<change.range.lowerBound]
            out += Array(change.text.utf8)
            from = change.range.upperBound
        }
        out += source[from...]
        return out
    }
}

/// A trigger's or event's definition as `SHOW CREATE` gives it, to be kept and created later.
public struct StoredDefinition: Sendable, Hashable {
    /// What it is.
    public var kind: ObjectKind
    /// Its name.
    public var name: TableName
    /// A trigger's table.
    public var table: TableName?
    /// The definer's value as written.
    public var definer: String?
    /// The statement, whole.
    public var statement: Statement

    /// Reads the text of `SHOW CREATE {TRIGGER | EVENT | PROCEDURE | FUNCTION | VIEW | PACKAGE}`;
    /// the context has the sql_mode and the schema that the server gives with it.
    public init(showCreate text: String, context: SyntaxContext) throws(SyntaxError) {
        let statement = try parseStatement(text, context: context)
        guard case .createObject(let object) = statement.ddl else {
            throw SyntaxError(offset: 0, reason: "CREATE of a stored object expected")
        }
        kind = object.kind
        name = object.name
        table = object.table
        definer = object.definer
        self.statement = statement
    }

    /// The text that creates it with the same definer, its tables and schemas renamed.
    public func createStatement(
        renaming: (TableName) -> TableName = { $0 }, defaultSchema: String?,
        renamingSchema: (String) -> String = { $0 }
    ) -> [UInt8] {
        statement.rewritten(
            renaming: renaming, defaultSchema: defaultSchema, renamingSchema: renamingSchema)
    }

    /// For an event: the same text with `DISABLE` in the place of `ENABLE` (or of nothing), so
    /// that it does not run before it is enabled; `nil` when it is no event.
    public func disabledEventStatement(context: SyntaxContext) -> [UInt8]? {
        guard kind == .event, case .createObject(let object) = statement.ddl else { return nil }
        let tokens = Lexer.tokens(statement.source, context: context)
        var end = object.bodyRange.upperBound
        for (i, token) in tokens.enumerated()
        where token.range.lowerBound >= object.bodyRange.lowerBound {
            switch token.keyword {
            case .enable:
                return splice(token.range, "DISABLE")
            case .disable:
                return statement.source
            case .comment where tokens[i + 1].kind == .string, .do:
                end = token.range.lowerBound
            default: continue
            }
            break
        }
        return splice(end..<end, "DISABLE ")
    }

    private func splice(_ range: Range<Int>, _ text: String) -> [UInt8] {
        Array(statement.source[..<range.lowerBound]) + Array(text.utf8)
            + Array(statement.source[range.upperBound...])
    }
}
