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
        for table in tables {
            let new = renaming(table.name)
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
            } else if !new.schema.isEmpty, new.schema != defaultSchema {
                changes.append((table.nameRange, new.quoted))
            } else if new.name != table.name.name {
                changes.append((table.nameRange, quoteIdentifier(new.name)))
            }
        }
        for schema in schemas {
            let new = renamingSchema(schema.name)
            if new != schema.name { changes.append((schema.range, quoteIdentifier(new))) }
        }
        return replacing(changes)
    }

    /// The statement with a character set's collation spelled out wherever it names the character
    /// set alone, so that it means the same on a server with another default. A statement that
    /// spells any collation is left as it is.
    ///
    /// - Parameter context: the one that the statement was parsed under.
    public func spelling(
        collation: String, of charset: String, context: SyntaxContext
    ) -> [UInt8] {
        let tokens = Lexer.tokens(source, context: context)
        guard !tokens.contains(where: { $0.keyword == .collate }) else { return source }
        var changes: [(range: Range<Int>, text: String)] = []
        // Of each open parenthesis, whether a conversion stands before it.
        var conversions: [Bool] = []
        for (i, token) in tokens.enumerated() {
            switch (token.kind, token.range.count == 1 ? source[token.range.lowerBound] : 0) {
            case (.punctuation, UInt8(ascii: "(")):
                let word = i > 0 ? source[tokens[i - 1].range] : []
                let name = String(decoding: word, as: UTF8.self).uppercased()
                conversions.append(name == "CAST" || name == "CONVERT")
                continue
            case (.punctuation, UInt8(ascii: ")")):
                _ = conversions.popLast()
                continue
            default: break
            }
            var at = i
            if token.keyword == .charset {
                at += 1
            } else if token.keyword == .character, tokens[i + 1].keyword == .set {
                at += 2
            } else {
                continue
            }
            if at < tokens.count, tokens[at].kind == .symbol { at += 1 }
            guard at + 1 < tokens.count, !conversions.contains(true),
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
