/// All rules that a task has for one source, as data. ``CompiledRules`` applies them.
public struct SourceRules: Sendable, Hashable, Codable {
    /// The source's name, for `extract-source`.
    public var source: String
    /// Whether case counts in names of schemas and tables whatever the source's server says: the
    /// task's `case-sensitive`. A server that tells case apart makes it count in any case; see
    /// ``comparing(lowerCaseTableNames:)``.
    public var isCaseSensitive: Bool
    /// Which schemas and tables are migrated.
    public var tables: BlockAllowList
    /// Where they go, in the order of `route-rules`.
    public var routes: [RouteRule]
    /// Which events are left out, in the order of `filter-rules`.
    public var eventFilters: [EventFilterRule]
    /// Which events every task of the source leaves out; `nil` for none. Those of them that act are
    /// in ``chosenFilters()``.
    public var sourceFilters: [EventFilterRule]?
    /// Which rows are left out.
    public var expressionFilters: [ExpressionFilterRule]
    /// Seconds to add to UTC for the time that expressions see TIMESTAMP columns in; `nil` where
    /// nobody says it, and for a zone that has a name.
    public var timeZoneOffset: Int?
    /// The zone that expressions see TIMESTAMP columns in, where its clocks may change.
    public var timeZone: NamedZone?
    /// How tables of online schema change tools are told; `nil` with `online-ddl: false`.
    public var onlineSchemaChange: OnlineSchemaChangeRules?

    /// Makes rules; without arguments such that migrate everything to the same names.
    public init(
        source: String = "", isCaseSensitive: Bool = false,
        tables: BlockAllowList = BlockAllowList(), routes: [RouteRule] = [],
        eventFilters: [EventFilterRule] = [], expressionFilters: [ExpressionFilterRule] = [],
        onlineSchemaChange: OnlineSchemaChangeRules? = OnlineSchemaChangeRules()
    ) {
        self.source = source
        self.isCaseSensitive = isCaseSensitive
        self.tables = tables
        self.routes = routes
        self.eventFilters = eventFilters
        self.expressionFilters = expressionFilters
        self.onlineSchemaChange = onlineSchemaChange
    }

    /// Whether it is said in which zone expressions see TIMESTAMP columns.
    public var saysTimeZone: Bool { timeZoneOffset != nil || timeZone != nil }

    /// The rules as they act on a server.
    ///
    /// - Parameter lowerCaseTableNames: its `lower_case_table_names`. With 0 it may have tables that
    ///   differ in case alone, and case counts, as in DM, whatever the task says.
    public func comparing(lowerCaseTableNames: Int) -> SourceRules {
        var out = self
        if lowerCaseTableNames == 0 { out.isCaseSensitive = true }
        return out
    }
}
