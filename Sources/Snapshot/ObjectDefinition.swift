internal import Checkpoint
internal import MySQLClient
internal import MySQLCore

/// A view or routine as a server has it now.
enum ObjectDefinition {
    case absent
    /// It is there, and this user may not see what it is.
    case hidden
    case shown(SourceObject)

    /// Reads it. The connection's default schema is the object's own afterwards, so that a view's
    /// text names its tables as it would on the other server; its mode is none, which texts are
    /// quoted by.
    init(_ id: StaleObject.ID, on connection: Connection) throws {
        let schema = utf8Literal(id.name.schema)
        let name = utf8Literal(id.name.name)
        let kind = id.kind.rawValue.uppercased()
        try connection.execute("SET SESSION sql_mode=''")
        let found = try connection.rows(
            id.kind == .view
                ? "SELECT 1 FROM information_schema.VIEWS "
                    + "WHERE TABLE_SCHEMA=\(schema) AND TABLE_NAME=\(name)"
                : "SELECT 1 FROM information_schema.ROUTINES "
                    + "WHERE ROUTINE_SCHEMA=\(schema) AND ROUTINE_NAME=\(name) "
                    + "AND ROUTINE_TYPE='\(kind)'")
        guard !found.isEmpty else {
            self = .absent
            return
        }
        try connection.execute("USE \(quoteIdentifier(id.name.schema))")
        let row: [String: String?]
        do throws(MySQLError) {
            row = try connection.firstRow("SHOW CREATE \(kind) \(id.name.quoted)") ?? [:]
        } catch {
            guard error.retry == .no else { throw error }
            self = .hidden
            return
        }
        let column =
            switch id.kind {
            case .view: "Create View"
            case .procedure: "Create Procedure"
            case .function: "Create Function"
            }
        guard let text = row[column] ?? nil, !text.isEmpty else {
            self = .hidden
            return
        }
        var object = SourceObject(SourceObject.Kind(id.kind), id.name, text, row: row)
        object.charset = row["character_set_client"] ?? nil
        self = .shown(object)
    }

    /// What tells it from another definition on this server.
    func asked(on connection: Connection) -> StaleObject.Asked {
        let text =
            switch self {
            case .absent: "absent"
            case .hidden: "hidden"
            case .shown(let it):
                [it.statement, it.sqlMode ?? "", it.collation ?? ""].joined(separator: "\u{0}")
            }
        let digest = hexLiteral(Digest.digest(text: text)).dropFirst(2).dropLast()
        return StaleObject.Asked(
            version: connection.serverVersion.description, digest: String(digest))
    }
}

extension SourceObject.Kind {
    init(_ kind: StaleObject.Kind) {
        self =
            switch kind {
            case .view: .view
            case .procedure: .procedure
            case .function: .function
            }
    }
}

extension SourceObject {
    /// Whether both mean the same, word by word.
    func isSame(as other: SourceObject) -> Bool {
        statement == other.statement && sqlMode == other.sqlMode && collation == other.collation
    }

    /// The same under another name, in its schema; `nil` where its text is not one that servers show
    /// of a procedure or function. What calls it in its own body calls it by the old name.
    func named(_ other: String) -> SourceObject? {
        let text = Array(statement.utf8)
        var rest = text[...]
        guard rest.drop("CREATE DEFINER="), rest.dropQuoted(), rest.drop("@"),
            rest.dropQuoted(), rest.drop(" \(kind.rawValue.uppercased()) ")
        else { return nil }
        let before = text[..<rest.startIndex]
        guard rest.dropQuoted(), rest.first == UInt8(ascii: "(") else { return nil }
        var out = self
        out.statement = String(
            decoding: before + Array(quoteIdentifier(other).utf8) + rest, as: UTF8.self)
        return out
    }

    /// The same, put in the place of what is there; `nil` where the server has no such statement.
    func replacing(on target: Connection) -> SourceObject? {
        guard kind == .view || target.family == .mariadb, statement.hasPrefix("CREATE ") else {
            return nil
        }
        var out = self
        out.statement = "CREATE OR REPLACE " + statement.dropFirst("CREATE ".count)
        return out
    }
}

extension ArraySlice<UInt8> {
    /// Drops what it begins with; false where that is something else.
    fileprivate mutating func drop(_ prefix: String) -> Bool {
        guard starts(with: prefix.utf8) else { return false }
        self = self[(startIndex + prefix.utf8.count)...]
        return true
    }

    /// Drops the quoted name that it begins with, in backticks, or in double quotes as under
    /// ANSI_QUOTES; false where there is none.
    fileprivate mutating func dropQuoted() -> Bool {
        guard let quote = first, quote == UInt8(ascii: "`") || quote == UInt8(ascii: "\"") else {
            return false
        }
        self = dropFirst()
        while let end = firstIndex(of: quote) {
            self = self[(end + 1)...]
            // Doubled, it is part of the name.
            guard first == quote else { return true }
            self = dropFirst()
        }
        return false
    }
}
