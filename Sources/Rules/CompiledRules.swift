public import MySQLCore
public import MySQLSyntax

/// A source's rules, checked and ready.
public struct CompiledRules: Sendable {
    /// The rules as data.
    public let rules: SourceRules
    /// Which schemas and tables are migrated.
    public let tables: TableFilter
    /// Where they go.
    public let router: Router
    /// Which events are left out.
    public let events: EventFilter
    /// How tables of online schema change tools are told; `nil` when they are tables as any other.
    public let onlineNames: OnlineSchemaChangeNames?

    /// Prepares rules; fails at the first that is incomplete or can't be read. Expressions are
    /// only looked at as far as that goes without their tables' shapes.
    public init(_ rules: SourceRules) throws(RuleError) {
        self.rules = rules
        tables = try TableFilter(rules.tables, isCaseSensitive: rules.isCaseSensitive)
        router = try Router(
            rules.routes, source: rules.source, isCaseSensitive: rules.isCaseSensitive)
        events = try EventFilter(rules.eventFilters, isCaseSensitive: rules.isCaseSensitive)
        if let online = rules.onlineSchemaChange {
            onlineNames = try OnlineSchemaChangeNames(online)
        } else {
            onlineNames = nil
        }
        for rule in rules.expressionFilters { try rule.check() }
    }

    /// What is applied to DDL.
    public var statements: StatementRouter {
        StatementRouter(filter: tables, router: router, events: events)
    }

    /// The expressions of a table; see ``ExpressionFilter``.
    public func expressions(
        for shape: TableShape, context: SyntaxContext, timeZoneOffset: Int = 0
    ) throws(RuleError) -> ExpressionFilter {
        try ExpressionFilter(
            rules.expressionFilters, shape: shape, context: context,
            timeZoneOffset: timeZoneOffset, isCaseSensitive: rules.isCaseSensitive)
    }

    /// What becomes of a table's rows: to be asked once for each table.
    public func plan(for table: TableName) throws(RouteConflict) -> TablePlan {
        let decision = tables.decision(for: table)
        let kind = onlineNames?.kind(of: table) ?? .real
        guard decision.isSelected, kind == .real else {
            return TablePlan(
                isSelected: decision.isSelected, reason: decision.reason, kind: kind,
                route: Route(target: table))
        }
        return TablePlan(
            isSelected: true, reason: decision.reason, kind: kind,
            route: try router.route(table),
            inserts: events.decision(for: .insert, on: table),
            updates: events.decision(for: .update, on: table),
            deletes: events.decision(for: .delete, on: table))
    }
}

/// What a source's rules make of a table's rows.
public struct TablePlan: Sendable, Hashable {
    /// Whether the block-allow list takes the table.
    public var isSelected: Bool
    /// Why it does or does not.
    public var reason: TableFilter.Reason
    /// Whether it belongs to an online schema change tool; then its rows are not migrated.
    public var kind: OnlineSchemaChangeNames.Kind
    /// Where the rows go.
    public var route: Route
    /// What becomes of inserted rows.
    public var inserts = EventFilter.Decision(.do)
    /// What becomes of updated rows.
    public var updates = EventFilter.Decision(.do)
    /// What becomes of deleted rows.
    public var deletes = EventFilter.Decision(.do)

    /// Whether rows of the table are migrated at all, so that they have to be decoded.
    public var isMigrated: Bool {
        isSelected && kind == .real
            && [inserts, updates, deletes].contains { $0.action != .ignore }
    }
}
