public import MySQLCore

/// Decides what happens to events, by DM's `filters`.
///
/// All rules whose patterns match the table are asked. A rule with action `Ignore` or `Error`
/// speaks when one of its events or SQL patterns matches; one with `Do` says `Ignore` when its
/// events, or its SQL patterns where it has some, do not match. `Ignore` comes before `Error`, that
/// before `Do`.
public struct EventFilter: Sendable {
    /// What happens to an event, and by which rule.
    public struct Decision: Sendable, Hashable {
        /// What happens.
        public var action: EventAction
        /// The rule that says so; `nil` for events that no rule stops.
        public var rule: String?

        /// Makes a decision.
        public init(_ action: EventAction, rule: String? = nil) {
            self.action = action
            self.rule = rule
        }
    }

    private struct Rule: Sendable {
        var name: String
        var schema: NamePattern
        var table: NamePattern?
        var events: [EventSelector]
        var sql: RegularExpression?
        var action: EventAction

        /// What the rule says of what it does not match.
        var opposite: EventAction { action == .do ? .ignore : .do }

        func matches(_ table: TableName) -> Bool {
            schema.matches(table.schema) && self.table?.matches(table.name) != false
        }
    }

    private let rules: [Rule]

    /// Whether there is no rule.
    public var isEmpty: Bool { rules.isEmpty }

    /// Prepares rules; fails where one is incomplete or can't be read.
    public init(_ rules: [EventFilterRule] = [], isCaseSensitive: Bool = false) throws(RuleError) {
        var compiled: [Rule] = []
        for rule in rules { compiled.append(try Self.compile(rule, isCaseSensitive)) }
        self.rules = compiled
    }

    private static func compile(
        _ rule: EventFilterRule, _ isCaseSensitive: Bool
    ) throws(RuleError) -> Rule {
        let key = "filters.\(rule.name)"
        // Each by itself first, so that an error has the place in the one that is wrong.
        for (i, text) in rule.sqlPatterns.enumerated() {
            _ = try RegularExpression(text, of: "\(key).sql-pattern[\(i)]")
        }
        var sql: RegularExpression?
        if !rule.sqlPatterns.isEmpty {
            // DM joins them, so that a flag of one counts for those behind it.
            sql = try RegularExpression(
                rule.sqlPatterns.joined(separator: "|"), of: "\(key).sql-pattern",
                isCaseInsensitive: true)
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
            events: rule.events, sql: sql, action: rule.action)
    }

    /// What happens to changes of a table's rows; to be asked once for each table and kind.
    ///
    /// - Parameter kind: ``EventSelector/insert``, ``EventSelector/update`` or
    ///   ``EventSelector/delete``.
    public func decision(for kind: EventSelector, on table: TableName) -> Decision {
        decide(table) { rule in
            EventSelector.cover([kind], rule.events, isDDL: false) ? rule.action : rule.opposite
        }
    }

    /// What happens to a DDL statement, or to one of the statements that it consists of.
    ///
    /// - Parameters:
    ///   - kinds: what the statement is, see ``MySQLSyntax/DDL``'s `eventKinds`; empty for kinds
    ///     that DM does not know, which only SQL patterns match.
    ///   - table: the table; with an empty name for statements about a schema.
    ///   - sql: the text.
    public func decision(
        forDDL kinds: Set<EventSelector>, on table: TableName, sql: String
    ) -> Decision {
        decide(table) { rule in
            if !kinds.isEmpty {
                let isCovered = EventSelector.cover(kinds, rule.events, isDDL: true)
                let action = isCovered ? rule.action : rule.opposite
                if action != .do { return action }
            }
            guard let expression = rule.sql, !sql.isEmpty else { return .do }
            return expression.isFound(in: sql) ? rule.action : rule.opposite
        }
    }

    /// The rule by which some change of a table's rows, or some statement on it, may be left out;
    /// `nil` for none. What a rule's patterns will match nobody knows, so that one that has any
    /// counts.
    func rule(leavingOutOf table: TableName) -> String? {
        for kind in [EventSelector.insert, .update, .delete] {
            let verdict = decision(for: kind, on: table)
            if verdict.action == .ignore { return verdict.rule }
        }
        for kind in EventSelector.ofTables {
            let verdict = decision(forDDL: [kind], on: table, sql: "")
            if verdict.action == .ignore { return verdict.rule }
        }
        return rules.first { $0.sql != nil && $0.action != .error && $0.matches(table) }?.name
    }

    private func decide(_ table: TableName, _ verdict: (Rule) -> EventAction) -> Decision {
        var error: Decision?
        for rule in rules where rule.matches(table) {
            switch verdict(rule) {
            case .do: continue
            case .ignore: return Decision(.ignore, rule: rule.name)
            case .error: error = error ?? Decision(.error, rule: rule.name)
            }
        }
        return error ?? Decision(.do)
    }
}

extension EventSelector {
    /// Whether a rule's words cover an event: the first one decides that covers it, or excludes
    /// its whole class.
    static func cover(_ kinds: Set<EventSelector>, _ words: [EventSelector], isDDL: Bool) -> Bool {
        for word in words {
            switch word {
            case .all: return true
            case .none: return false
            case .allDDL: if isDDL { return true }
            case .noDDL: if isDDL { return false }
            case .allDML: if !isDDL { return true }
            case .noDML: if !isDDL { return false }
            case .incompatibleDDL: if !kinds.isDisjoint(with: incompatible) { return true }
            default: if kinds.contains(word) { return true }
            }
        }
        return false
    }

    /// The kinds of statements on tables, as far as servers have them that are migrated from.
    static let ofTables: [EventSelector] = allCases.filter { kind in
        switch kind {
        case .all, .allDML, .allDDL, .none, .noDML, .noDDL, .incompatibleDDL, .insert, .update,
            .delete, .createSchema, .dropSchema, .alterSchema, .createView, .dropView,
            .modifySchemaCharset, .recoverTable, .alterTTL, .removeTTL:
            false
        default: true
        }
    }

    /// What `incompatible ddl changes` covers: the kinds that DM makes out in statements and calls
    /// so. Other members of its list it never finds.
    static let incompatible: Set<EventSelector> = [
        .valueRangeDecrease, .precisionDecrease, .modifyColumn, .renameColumn, .renameIndex,
        .dropColumn, .dropPrimaryKey, .dropUniqueKey, .modifyDefaultValue, .modifyConstraint,
        .modifyColumnsOrder, .modifyCharset, .modifyCollation, .removeAutoIncrement,
        .modifyStorageEngine, .reorganizePartition, .rebuildPartition, .coalescePartition,
        .splitPartition, .exchangePartition, .addForeignKey, .dropForeignKey, .dropSchema,
        .dropTable, .dropIndex, .renameTable, .truncateTable, .dropPartition, .truncatePartition,
    ]
}
