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
    /// Filters of the source in whose place the task's own act.
    public let displacedFilters: [ChosenFilters.Displaced]
    /// How tables of online schema change tools are told; `nil` when they are tables as any other.
    public let onlineNames: OnlineSchemaChangeNames?

    /// Prepares rules; fails at the first that is incomplete or can't be read. Expressions are
    /// only looked at as far as that goes without their tables' shapes.
    public init(_ rules: SourceRules) throws(RuleError) {
        self.rules = rules
        tables = try TableFilter(rules.tables, isCaseSensitive: rules.isCaseSensitive)
        router = try Router(
            rules.routes, source: rules.source, isCaseSensitive: rules.isCaseSensitive)
        let filters = try rules.chosenFilters()
        events = try EventFilter(filters.acting, isCaseSensitive: rules.isCaseSensitive)
        displacedFilters = filters.displaced
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

    /// The clock that expressions see TIMESTAMP columns on; UTC's where nobody says a zone.
    func clock() throws(RuleError) -> ZoneClock {
        guard let zone = rules.timeZone else {
            return ZoneClock(offset: rules.timeZoneOffset ?? 0)
        }
        guard let clock = zone.clock else {
            throw RuleError(
                key: "timezone", text: "",
                reason: "nothing is known here of the zone '\(zone.name)'")
        }
        return clock
    }

    /// The expressions of a table; see ``ExpressionFilter``.
    public func expressions(
        for shape: TableShape, context: SyntaxContext
    ) throws(RuleError) -> ExpressionFilter {
        try ExpressionFilter(
            rules.expressionFilters, shape: shape, context: context,
            clock: try clock(), isCaseSensitive: rules.isCaseSensitive)
    }
}
