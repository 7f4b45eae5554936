public import MySQLCore
public import MySQLSyntax

/// A column of a target table that has one value for all rows of a source table.
public typealias ConstantColumn = Route.ExtractedColumn

/// Which tables of one source are migrated, where to, and which changes are left out: what the
/// engines ask of a task's rules.
///
/// The same for the copy, for rows of the binlog and for statements. Names are the source's, unless
/// said otherwise.
public struct TableMapping: Sendable {
    private let filter: TableFilter
    private let router: Router?
    private let events: EventFilter?
    private let expressions: [ExpressionFilterRule]
    private let isCaseSensitive: Bool

    /// Every selected table keeps its name, and nothing is left out.
    public init(_ selection: TableSelection) {
        filter = TableFilter(selection)
        router = nil
        events = nil
        expressions = []
        isCaseSensitive = true
    }

    /// Prepares a task's rules for one source; fails where one is incomplete or can't be read.
    public init(_ rules: SourceRules) throws(RuleError) {
        filter = try TableFilter(rules.tables, isCaseSensitive: rules.isCaseSensitive)
        router = try Router(
            rules.routes, source: rules.source, isCaseSensitive: rules.isCaseSensitive)
        events = try EventFilter(rules.eventFilters, isCaseSensitive: rules.isCaseSensitive)
        for rule in rules.expressionFilters { try rule.check() }
        expressions = rules.expressionFilters
        isCaseSensitive = rules.isCaseSensitive
    }

    /// Whether any table may get another name or more columns.
    public var movesTables: Bool { router?.isIdentity == false }

    /// Whether some changes of tables that are migrated may be left out.
    public var leavesOutChanges: Bool {
        events?.isEmpty == false || !expressions.isEmpty
    }

    // MARK: tables

    /// Whether the table is migrated.
    public func selects(_ table: TableName) -> Bool { filter.selects(table) }

    /// Whether a schema can hold tables that are migrated.
    public func mayHold(schema: String) -> Bool { filter.mayHold(schema: schema) }

    /// Where a table goes.
    public func route(of table: TableName) throws(RuleError) -> Route {
        do throws(RouteConflict) {
            return try router?.route(table) ?? Route(target: table)
        } catch {
            throw RuleError(key: "routes", text: "", reason: error.description)
        }
    }

    /// The table on the target.
    public func target(of table: TableName) throws(RuleError) -> TableName {
        try route(of: table).target
    }

    /// Whether a view, routine, trigger or event is migrated: its text names tables, so those of
    /// schemas that get another name are left to a person.
    public func keeps(object: TableName) -> Bool {
        guard selects(object) else { return false }
        guard movesTables else { return true }
        return (try? target(of: object)) == object
            && (try? target(ofSchema: object.schema)) == object.schema
    }

    /// Where a schema goes: its definition, and tables that no rule of tables moves.
    public func target(ofSchema schema: String) throws(RuleError) -> String {
        do throws(RouteConflict) {
            return try router?.route(schema: schema) ?? schema
        } catch {
            throw RuleError(key: "routes", text: "", reason: error.description)
        }
    }

    // MARK: changes

    /// What happens to changes of a table's rows.
    ///
    /// - Parameter kind: ``EventSelector/insert``, ``EventSelector/update`` or
    ///   ``EventSelector/delete``.
    public func decision(
        for kind: EventSelector, on table: TableName
    ) -> EventFilter.Decision {
        events?.decision(for: kind, on: table) ?? EventFilter.Decision(.do)
    }

    /// The expressions that look at a table's rows; `nil` when there is none.
    ///
    /// - Parameter context: the source's dialect and the task's `sql_mode`.
    public func expressions(
        for shape: TableShape, context: SyntaxContext
    ) throws(RuleError) -> ExpressionFilter? {
        guard !expressions.isEmpty else { return nil }
        let filter = try ExpressionFilter(
            expressions, shape: shape, context: context, isCaseSensitive: isCaseSensitive)
        return filter.isEmpty ? nil : filter
    }

    /// Under which condition the copy takes a row of a table, as SQL for the source; `nil` for all.
    public func copyCondition(of table: TableName) -> String? {
        func same(_ a: String, _ b: String) -> Bool {
            isCaseSensitive ? a == b : a.lowercased() == b.lowercased()
        }
        let own = expressions.filter {
            same($0.schema, table.schema) && same($0.table, table.name)
        }
        return own.isEmpty ? nil : ExpressionFilterRule.copyCondition(own)
    }

    /// What filters of events say of a DDL statement; `nil` when there are none.
    ///
    /// - Parameter shape: gives a table's shape before the statement, where it is known.
    public func filtered(
        _ statement: Statement, context: SyntaxContext, shape: (TableName) -> TableShape?
    ) throws(RuleError) -> RoutedStatement? {
        guard let router, let events, !events.isEmpty else { return nil }
        do throws(RouteConflict) {
            return try StatementRouter(filter: filter, router: router, events: events)
                .route(statement, context: context, shape: shape)
        } catch {
            throw RuleError(key: "routes", text: "", reason: error.description)
        }
    }
}
