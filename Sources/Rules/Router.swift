public import MySQLCore

/// Where a table's rows go.
public struct Route: Sendable, Hashable {
    /// A column of the target with its value, the same for all rows of the source's table.
    public struct ExtractedColumn: Sendable, Hashable {
        /// The column.
        public var name: String
        /// What was extracted; empty where the expression did not match.
        public var value: String

        /// Makes a column.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The table of the target.
    public var target: TableName
    /// Columns that the source does not have, in DM's order: of table, schema, source.
    public var extracted: [ExtractedColumn]
    /// The rule that says so; `nil` where the table keeps its name for want of one.
    public var rule: String?

    /// Makes a route.
    public init(target: TableName, extracted: [ExtractedColumn] = [], rule: String? = nil) {
        self.target = target
        self.extracted = extracted
        self.rule = rule
    }
}

/// Rows that tables which nobody knows, since they are another source's, may put into a table of the
/// target.
public struct RoutedRows: Sendable, Hashable {
    /// Columns with the values that are known without the tables' names.
    public var filled: [Route.ExtractedColumn]
    /// Whether only a table that has the name of the target's table would get there: by a rule for
    /// whole schemas, which keeps tables' names and fills nothing in.
    public var needsSameName: Bool

    /// Makes rows.
    public init(filled: [Route.ExtractedColumn], needsSameName: Bool = false) {
        self.filled = filled
        self.needsSameName = needsSameName
    }
}

/// Several rules of the same level match a table or schema, so that nobody knows where it goes.
public struct RouteConflict: Error, Sendable, Hashable, CustomStringConvertible {
    /// The table; without a name when it is about a schema.
    public var table: TableName
    /// The rules' names, in order.
    public var rules: [String]

    /// One sentence.
    public var description: String {
        let what = table.name.isEmpty ? "schema \(table.schema)" : "table \(table)"
        return "\(what) matches more than one route rule: \(rules.joined(separator: ", "))"
    }
}

/// Tells where tables go. Rules of tables come before rules of schemas; at most one of a level may
/// match. What no rule matches keeps its name.
public struct Router: Sendable {
    private struct Extraction: Sendable {
        var expression: RegularExpression
        var column: String

        /// Joins what the groups match.
        func value(of text: String) -> String {
            expression.groups(in: text)?.dropFirst().compactMap { $0 }.joined() ?? ""
        }
    }

    private struct Rule: Sendable {
        var name: String
        var schema: NamePattern
        var table: NamePattern?
        /// The same without regard to case, where tables keep their names: the target's server may
        /// write them in another one. `nil` where any name counts.
        var keptTable: NamePattern?
        var targetSchema: String
        var targetTable: String
        var extractTable: Extraction?
        var extractSchema: Extraction?
        var extractSource: Extraction?
    }

    private let rules: [Rule]
    private let source: String

    /// Whether no rule is there, so that everything keeps its name.
    public var isIdentity: Bool { rules.isEmpty }

    /// Prepares rules; fails where one is incomplete or can't be read.
    ///
    /// - Parameter source: the source's name, for `extract-source`.
    public init(
        _ rules: [RouteRule] = [], source: String = "", isCaseSensitive: Bool = false
    ) throws(RuleError) {
        var compiled: [Rule] = []
        for rule in rules { compiled.append(try Self.compile(rule, isCaseSensitive)) }
        self.rules = compiled
        self.source = source
    }

    private static func compile(
        _ rule: RouteRule, _ isCaseSensitive: Bool
    ) throws(RuleError) -> Rule {
        let key = "routes.\(rule.name)"
        guard !rule.targetSchema.isEmpty else {
            throw RuleError(
                key: "\(key).target-schema", text: "", reason: "the target's schema is missing")
        }
        func extraction(
            _ it: RouteRule.Extraction?, _ key: String, _ regexp: String
        ) throws(RuleError) -> Extraction? {
            guard let it else { return nil }
            guard !it.column.isEmpty else {
                throw RuleError(
                    key: "\(key).target-column", text: "", reason: "the column is missing")
            }
            return Extraction(
                expression: try RegularExpression(it.pattern, of: "\(key).\(regexp)"),
                column: it.column)
        }
        return Rule(
            name: rule.name,
            schema: try NamePattern(
                rule.schemaPattern, of: "\(key).schema-pattern", isCaseSensitive: isCaseSensitive),
            table: rule.tablePattern.isEmpty
                ? nil
                : try NamePattern(
                    rule.tablePattern, of: "\(key).table-pattern",
                    isCaseSensitive: isCaseSensitive),
            keptTable: !rule.targetTable.isEmpty || rule.tablePattern.isEmpty
                || mayExcludeCase(rule.tablePattern)
                ? nil
                : try NamePattern(
                    rule.tablePattern, of: "\(key).table-pattern", isCaseSensitive: false),
            targetSchema: rule.targetSchema, targetTable: rule.targetTable,
            extractTable: try extraction(
                rule.extractTable, "\(key).extract-table", "table-regexp"),
            extractSchema: try extraction(
                rule.extractSchema, "\(key).extract-schema", "schema-regexp"),
            extractSource: try extraction(
                rule.extractSource, "\(key).extract-source", "source-regexp"))
    }

    /// Whether a pattern may match less where case does not count: then a name of the target that
    /// it does not match may be that of a table which it does.
    private static func mayExcludeCase(_ pattern: String) -> Bool {
        let isExpression = pattern.utf8.first == UInt8(ascii: "~")
        return (isExpression ? ["[^", "\\P", "\\p{^", "[:^", "(?"] : ["[!"]).contains {
            pattern.contains($0)
        }
    }

    /// Where a table goes.
    public func route(_ table: TableName) throws(RouteConflict) -> Route {
        if rules.isEmpty { return Route(target: table) }
        var matching = rules.filter {
            $0.schema.matches(table.schema) && $0.table?.matches(table.name) == true
        }
        if matching.isEmpty { matching = schemaRules(table.schema) }
        guard matching.count <= 1 else {
            throw RouteConflict(table: table, rules: matching.map(\.name))
        }
        guard let rule = matching.first else { return Route(target: table) }
        var extracted: [Route.ExtractedColumn] = []
        for (extraction, text) in [
            (rule.extractTable, table.name), (rule.extractSchema, table.schema),
            (rule.extractSource, source),
        ] {
            guard let extraction else { continue }
            extracted.append(.init(name: extraction.column, value: extraction.value(of: text)))
        }
        return Route(
            target: TableName(
                schema: rule.targetSchema,
                name: rule.targetTable.isEmpty ? table.name : rule.targetTable),
            extracted: extracted, rule: rule.name)
    }

    /// Where a schema goes: only rules without a table pattern count.
    public func route(schema: String) throws(RouteConflict) -> String {
        let matching = schemaRules(schema)
        guard matching.count <= 1 else {
            throw RouteConflict(
                table: TableName(schema: schema, name: ""), rules: matching.map(\.name))
        }
        return matching.first?.targetSchema ?? schema
    }

    /// Whether a rule may lead a table that is not known yet to this one of the target.
    ///
    /// Says yes too often rather than too seldom: names are compared without regard to case.
    func mayLead(to target: TableName) -> Bool {
        rules.contains { Self.mayLead($0, to: target) }
    }

    /// The rows that the rules which ``mayLead(to:)`` means may put there, an entry for each.
    func rows(leadingTo target: TableName) -> [RoutedRows] {
        rules.filter { Self.mayLead($0, to: target) }.map { rule in
            guard let extraction = rule.extractSource else {
                // A rule that fills something in is meant for tables that meet there.
                let fills = rule.extractTable != nil || rule.extractSchema != nil
                return RoutedRows(
                    filled: [],
                    needsSameName: !fills && rule.table == nil && rule.targetTable.isEmpty)
            }
            return RoutedRows(
                filled: [.init(name: extraction.column, value: extraction.value(of: source))])
        }
    }

    private static func mayLead(_ rule: Rule, to target: TableName) -> Bool {
        guard rule.targetSchema.lowercased() == target.schema.lowercased() else { return false }
        guard rule.targetTable.isEmpty else {
            return rule.targetTable.lowercased() == target.name.lowercased()
        }
        return rule.keptTable?.matches(target.name) ?? true
    }

    private func schemaRules(_ schema: String) -> [Rule] {
        rules.filter { $0.table == nil && $0.schema.matches(schema) }
    }
}
