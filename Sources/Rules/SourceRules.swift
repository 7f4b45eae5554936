/// All rules that a task has for one source, as data. ``CompiledRules`` applies them.
public struct SourceRules: Sendable, Hashable, Codable {
    /// The source's name, for `extract-source`.
    public var source: String
    /// Whether names of schemas and tables are compared with regard to case: the source's
    /// `case-sensitive`, false by default as in DM, or what `lower_case_table_names` = 0 says.
    public var isCaseSensitive: Bool
    /// Which schemas and tables are migrated.
    public var tables: BlockAllowList
    /// Where they go, in the order of `route-rules`.
    public var routes: [RouteRule]
    /// Which events are left out, in the order of `filter-rules`.
    public var eventFilters: [EventFilterRule]
    /// Which rows are left out.
    public var expressionFilters: [ExpressionFilterRule]
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
}
