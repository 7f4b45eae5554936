public import MySQLCore

/// Tells the tables of gh-ost and pt-online-schema-change from real ones by their names.
public struct OnlineSchemaChangeNames: Sendable {
    /// What a table is.
    public enum Kind: Sendable, Hashable {
        /// A table of the application.
        case real
        /// A copy with the new definition, which will take the real table's place.
        case shadow(of: TableName)
        /// A table to be thrown away: the old one, or one that a tool keeps notes in.
        case trash
    }

    private let shadow: [RegularExpression]
    private let trash: [RegularExpression]

    /// The default rules.
    public static let standard = OnlineSchemaChangeNames()

    private init() {
        func compiled(_ texts: [String]) -> [RegularExpression] {
            let found = texts.compactMap { try? RegularExpression($0, of: "default") }
            // Texts of this module; a test asks them.
            precondition(found.count == texts.count)
            return found
        }
        shadow = compiled(OnlineSchemaChangeRules.defaultShadowPatterns)
        trash = compiled(OnlineSchemaChangeRules.defaultTrashPatterns)
    }

    /// Prepares rules; fails where one can't be read or has not exactly one group.
    public init(_ rules: OnlineSchemaChangeRules) throws(RuleError) {
        shadow = try Self.compile(rules.shadowPatterns, "shadow-table-rules")
        trash = try Self.compile(rules.trashPatterns, "trash-table-rules")
    }

    private static func compile(
        _ texts: [String], _ key: String
    ) throws(RuleError) -> [RegularExpression] {
        var out: [RegularExpression] = []
        for (i, text) in texts.enumerated() {
            var full = text
            if !full.hasPrefix("^") { full = "^" + full }
            if !full.hasSuffix("$") { full += "$" }
            let key = "\(key)[\(i)]"
            let expression = try RegularExpression(full, of: key)
            guard expression.groupCount == 1 else {
                throw RuleError(
                    key: key, text: text,
                    reason: "exactly one group is needed, for the real table's name")
            }
            out.append(expression)
        }
        return out
    }

    /// What a table is, by its name alone.
    public func kind(of table: TableName) -> Kind {
        for expression in shadow {
            if let name = expression.groups(in: table.name)?[1] {
                return .shadow(of: TableName(schema: table.schema, name: name))
            }
        }
        return trash.contains { $0.isFound(in: table.name) } ? .trash : .real
    }

    /// The real table that a name stands for, which block-allow lists and filters are asked about.
    public func realName(of table: TableName) -> TableName {
        if case .shadow(let real) = kind(of: table) { return real }
        for expression in trash {
            if let name = expression.groups(in: table.name)?[1] {
                return TableName(schema: table.schema, name: name)
            }
        }
        return table
    }

    /// The real tables that a tool's table can stand for: pt-online-schema-change puts more
    /// underscores in front where a table of an earlier run is left. A real table stands for itself.
    public func realNames(of table: TableName) -> [TableName] {
        var names = [realName(of: table)]
        guard names[0] != table else { return names }
        while let last = names.last, last.name.hasPrefix("_"), last.name.utf8.count > 1 {
            names.append(TableName(schema: last.schema, name: String(last.name.dropFirst())))
        }
        return names
    }

    /// Whether a trigger is a tool's own: pt-online-schema-change writes the shadow table by them.
    public func isToolTrigger(_ name: TableName) -> Bool {
        name.name.lowercased().hasPrefix("pt_osc_")
    }
}
