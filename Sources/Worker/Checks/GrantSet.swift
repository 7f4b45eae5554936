internal import MySQLCore

/// What an account may do, from the lines of `SHOW GRANTS`. Roles count when the lines hold
/// their grants. Rights on single columns don't count: nothing here can live with them.
struct GrantSet: Sendable {
    private enum Scope: Equatable {
        case global
        /// A schema, or a pattern with `%` and `_` as wildcards and `\` before plain ones.
        case schema(String)
        case table(TableName)
    }

    private struct Entry {
        var privileges: Set<String>
        var scope: Scope
        var revokes: Bool
    }

    private var entries: [Entry] = []

    /// Reads the lines; those that grant roles, proxies or routines are passed over.
    init(lines: [String]) { entries = lines.compactMap { Self.parse($0) } }

    /// Whether every one of the privileges is held everywhere.
    func holds(_ privilege: String) -> Bool { holds(privilege) { $0 == .global } }

    /// Whether the privilege is held on a schema as a whole.
    func holds(_ privilege: String, schema: String) -> Bool {
        holds(privilege) { scope in
            switch scope {
            case .global: true
            case .schema(let pattern): Self.matches(pattern, schema)
            case .table: false
            }
        }
    }

    /// Whether the privilege is held on a table.
    func holds(_ privilege: String, table: TableName) -> Bool {
        holds(privilege) { scope in
            switch scope {
            case .global: true
            case .schema(let pattern): Self.matches(pattern, table.schema)
            case .table(let name): name == table
            }
        }
    }

    private func holds(_ privilege: String, where covers: (Scope) -> Bool) -> Bool {
        func names(_ entry: Entry) -> Bool {
            entry.privileges.contains(privilege)
                || (entry.privileges.contains("ALL PRIVILEGES") && privilege != "GRANT OPTION")
        }
        let covering = entries.filter { names($0) && covers($0.scope) }
        return covering.contains { !$0.revokes } && !covering.contains { $0.revokes }
    }

    /// `GRANT SELECT, INSERT (a) ON `db`.`t` TO ..`, or a partial revoke of MySQL 8.
    private static func parse(_ line: String) -> Entry? {
        let revokes = line.hasPrefix("REVOKE ")
        guard revokes || line.hasPrefix("GRANT ") else { return nil }
        let text = Array(line.drop { $0 != " " }.dropFirst())
        var privileges: Set<String> = []
        var word = ""
        var depth = 0
        var hasColumns = false
        var i = 0
        func take() {
            let name = word.split(separator: " ").joined(separator: " ").uppercased()
            if !name.isEmpty, !hasColumns {
                privileges.insert(name == "ALL" ? "ALL PRIVILEGES" : name)
            }
            word = ""
            hasColumns = false
        }
        while i < text.count {
            let c = text[i]
            if depth == 0, starts(text, i, with: " ON ") { break }
            switch c {
            case "(":
                depth += 1
                hasColumns = true
            case ")": depth -= 1
            case "," where depth == 0: take()
            case "`" where depth == 0, "'" where depth == 0:
                return nil  // a role's name: no ON will follow
            default: if depth == 0 { word.append(c) }
            }
            i += 1
        }
        guard i < text.count else { return nil }
        take()
        guard let scope = parseScope(String(text[(i + 4)...])) else { return nil }
        return Entry(privileges: privileges, scope: scope, revokes: revokes)
    }

    private static func starts(_ text: [Character], _ i: Int, with word: String) -> Bool {
        text.count - i >= word.count && text[i..<(i + word.count)].elementsEqual(word)
    }

    private static func parseScope(_ text: String) -> Scope? {
        var rest = Substring(text)
        if rest.hasPrefix("TABLE ") { rest = rest.dropFirst(6) }
        if rest.hasPrefix("*.* ") { return .global }
        guard let schema = takeIdentifier(&rest), rest.first == "." else { return nil }
        rest = rest.dropFirst()
        if rest.hasPrefix("* ") { return .schema(schema) }
        guard let table = takeIdentifier(&rest) else { return nil }
        return .table(TableName(schema: schema, name: table))
    }

    /// An identifier in backticks or double quotes.
    private static func takeIdentifier(_ rest: inout Substring) -> String? {
        guard let quote = rest.first, quote == "`" || quote == "\"" else { return nil }
        rest = rest.dropFirst()
        var name = ""
        while let c = rest.first {
            rest = rest.dropFirst()
            guard c == quote else {
                name.append(c)
                continue
            }
            guard rest.first == quote else { return name }
            name.append(quote)
            rest = rest.dropFirst()
        }
        return nil
    }

    /// `LIKE` with `\` as escape character; names compare as they are spelled.
    static func matches(_ pattern: String, _ name: String) -> Bool {
        matches(Array(pattern)[...], Array(name)[...])
    }

    private static func matches(
        _ pattern: ArraySlice<Character>, _ name: ArraySlice<Character>
    ) -> Bool {
        guard let first = pattern.first else { return name.isEmpty }
        let rest = pattern.dropFirst()
        switch first {
        case "%":
            return (name.startIndex...name.endIndex).contains { matches(rest, name[$0...]) }
        case "_": return !name.isEmpty && matches(rest, name.dropFirst())
        case "\\":
            guard let plain = rest.first else { return name.elementsEqual(["\\"]) }
            return name.first == plain && matches(rest.dropFirst(), name.dropFirst())
        default: return name.first == first && matches(rest, name.dropFirst())
        }
    }
}
