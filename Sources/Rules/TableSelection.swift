public import MySQLCore

/// Which tables are migrated: patterns to take, patterns to leave.
public struct TableSelection: Sendable, Hashable, Codable {
    /// Patterns of tables to take, `schema.table` with wildcards.
    public let tables: [TablePattern]
    /// Patterns of tables to leave although they match above.
    public let excluded: [TablePattern]
    /// Whether letters of either case are different, as servers with `lower_case_table_names=0` take
    /// them.
    public let isCaseSensitive: Bool

    /// Makes a selection.
    public init(
        tables: [TablePattern], excluded: [TablePattern] = [], isCaseSensitive: Bool = true
    ) {
        self.tables = tables
        self.excluded = excluded
        self.isCaseSensitive = isCaseSensitive
    }

    /// Whether the table is migrated.
    public func selects(_ table: TableName) -> Bool {
        func matches(_ pattern: TablePattern) -> Bool {
            pattern.schema.matches(table.schema, isCaseSensitive)
                && pattern.table.matches(table.name, isCaseSensitive)
        }
        return tables.contains(where: matches) && !excluded.contains(where: matches)
    }

    /// Whether some table of the schema could be migrated.
    public func mayHold(schema: String) -> Bool {
        tables.contains { $0.schema.matches(schema, isCaseSensitive) }
    }
}

/// A pattern `schema.table`: `*` stands for any characters, `?` for one, and parts may be quoted
/// in backticks, where wildcards are plain characters. Compared as the server spells names.
public struct TablePattern: Sendable, Hashable, Codable, CustomStringConvertible {
    /// One part of a pattern.
    struct Part: Sendable, Hashable, Codable {
        /// Characters; `nil` entries stand for `*`, which matches any run.
        var elements: [Element]

        enum Element: Sendable, Hashable, Codable {
            case scalar(UInt32)
            case one
            case any
        }
    }

    let schema: Part
    let table: Part
    /// The pattern as it was written.
    public let description: String

    /// Parses a pattern; a schema alone means all its tables. `nil` when it is malformed.
    public init?(_ text: String) {
        var parts: [[Part.Element]] = [[]]
        var quoted = false
        var scalars = text.unicodeScalars.makeIterator()
        var pending = scalars.next()
        while let c = pending {
            pending = scalars.next()
            if quoted {
                if c == "`" {
                    if pending == "`" {
                        parts[parts.count - 1].append(.scalar(c.value))
                        pending = scalars.next()
                    } else {
                        quoted = false
                    }
                } else {
                    parts[parts.count - 1].append(.scalar(c.value))
                }
                continue
            }
            switch c {
            case "`": quoted = true
            case ".": parts.append([])
            case "*": parts[parts.count - 1].append(.any)
            case "?": parts[parts.count - 1].append(.one)
            default: parts[parts.count - 1].append(.scalar(c.value))
            }
        }
        guard !quoted, (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else {
            return nil
        }
        schema = Part(elements: parts[0])
        table = Part(elements: parts.count == 2 ? parts[1] : [.any])
        description = text
    }

    /// Whether the pattern matches a table.
    public func matches(_ name: TableName) -> Bool {
        schema.matches(name.schema) && table.matches(name.name)
    }
}

extension TablePattern.Part {
    func matches(_ text: String, _ isCaseSensitive: Bool = true) -> Bool {
        matchesWildcards(
            elements, text.unicodeScalars.map(\.value), isAny: { $0 == .any },
            accepts: { element, c in
                switch element {
                case .scalar(let value):
                    value == c || !isCaseSensitive && foldCase(value) == foldCase(c)
                case .one: true
                case .any: false
                }
            })
    }
}
