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
    private let compiled: CompiledRules?
    /// How tables of online schema change tools are told; `nil` when they are tables as any other.
    public let onlineNames: OnlineSchemaChangeNames?
    /// Of the task's other sources, by their names.
    private var others: [String: TableMapping] = [:]
    /// Of another source: the same rules with names compared in the other way, where only its server
    /// could tell which it is.
    private var alternatives: [TableMapping] = []
    /// The zone that DM would show expressions TIMESTAMP columns in, where it is not UTC and the task
    /// says none: those that depend on it are then refused.
    private var openZone: String?

    /// Every selected table keeps its name, and nothing is left out.
    ///
    /// - Parameter onlineNames: how tables of online schema change tools are told, which are then
    ///   not migrated.
    public init(_ selection: TableSelection, onlineNames: OnlineSchemaChangeNames? = nil) {
        filter = TableFilter(selection)
        compiled = nil
        self.onlineNames = onlineNames
    }

    /// Prepares a task's rules for one source; fails where one is incomplete or can't be read.
    public init(_ rules: SourceRules) throws(RuleError) {
        let compiled = try CompiledRules(rules)
        filter = compiled.tables
        self.compiled = compiled
        onlineNames = compiled.onlineNames
    }

    /// Prepares rules for another source of the task, whose server nobody asks whether case counts
    /// in names: what holds in either way counts as possible.
    public init(ofOther rules: SourceRules) throws(RuleError) {
        try self.init(rules.comparing(lowerCaseTableNames: 0))
        // What can't be prepared that way is refused there.
        if !rules.isCaseSensitive, let folded = try? TableMapping(rules) { alternatives = [folded] }
    }

    /// Refuses expressions that depend on a time zone, which the task does not have.
    ///
    /// - Parameter zone: the target's, which is not UTC.
    public mutating func requireZone(insteadOf zone: String) { openZone = zone }

    /// Names the task's other sources, whose tables may go where this one's go.
    ///
    /// - Parameter others: their mappings, by the sources' names.
    public mutating func share(with others: [String: TableMapping]) { self.others = others }

    /// Whether the task has another source of that name.
    public func hasOther(_ source: String) -> Bool { others[source] != nil }

    /// Whether the task has other sources.
    public var hasOthers: Bool { !others.isEmpty }

    private var router: Router? { compiled?.router }
    private var events: EventFilter? { compiled?.events }
    private var expressions: [ExpressionFilterRule] { compiled?.rules.expressionFilters ?? [] }
    private var isCaseSensitive: Bool { compiled?.rules.isCaseSensitive ?? true }

    /// Whether any table may get another name or more columns.
    public var movesTables: Bool { router?.isIdentity == false }

    /// Filters of the source in whose place the task's own act.
    public var displacedFilters: [ChosenFilters.Displaced] { compiled?.displacedFilters ?? [] }

    /// Whether some changes of tables that are migrated may be left out.
    public var leavesOutChanges: Bool {
        events?.isEmpty == false || !expressions.isEmpty
    }

    // MARK: tables

    /// Whether the table is migrated. Tables of online schema change tools never are.
    public func selects(_ table: TableName) -> Bool {
        guard filter.selects(table) else { return false }
        guard let onlineNames else { return true }
        return onlineNames.kind(of: table) == .real
    }

    /// Whether statements on the table matter: it is migrated, or an online schema change tool's
    /// for one that is.
    public func concerns(_ table: TableName) -> Bool {
        guard let onlineNames else { return filter.selects(table) }
        return onlineNames.realNames(of: table).contains { filter.selects($0) }
    }

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

    /// Whether a table of another source of the task may go to this table of the target: by the
    /// rules, which know no more of the other sources' tables than their names.
    public func mayBeShared(target: TableName) -> Bool {
        others.values.flatMap(\.ways).contains { other in
            if other.router?.mayLead(to: target) == true { return true }
            guard other.selects(target) else { return false }
            return (try? other.target(of: target)) ?? target == target
        }
    }

    /// What tables of the task's other sources fill in, where they may go to this table of the
    /// target: an entry for each rule that may lead there. Rows that fill nothing in may have any
    /// values.
    public func rowsOfOthers(target: TableName) -> [RoutedRows] {
        var out: Set<RoutedRows> = []
        for other in others.values.flatMap(\.ways) {
            out.formUnion(other.router?.rows(leadingTo: target) ?? [])
            guard other.selects(target) else { continue }
            guard let route = try? other.route(of: target) else {
                out.insert(RoutedRows(filled: []))
                continue
            }
            if route.target == target { out.insert(RoutedRows(filled: route.extracted)) }
        }
        return Array(out)
    }

    /// Where a table of another source of the task may go: several places where only its server could
    /// tell which; none where that is not known.
    public func places(of table: TableName, source: String) -> Set<TableName> {
        Set(others[source]?.ways.compactMap { try? $0.target(of: table) } ?? [])
    }

    private var ways: [TableMapping] { [self] + alternatives }

    /// Whether a view, routine, trigger or event is migrated: its text names tables, so those of
    /// schemas that get another name are left to a person.
    public func keeps(object: TableName) -> Bool {
        guard selects(object) else { return false }
        guard movesTables else { return true }
        return (try? target(of: object)) == object
            && (try? target(ofSchema: object.schema)) == object.schema
    }

    /// Whether a trigger is one of an online schema change tool, which none of its tables needs.
    public func isToolTrigger(_ name: TableName) -> Bool {
        onlineNames?.isToolTrigger(name) == true
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

    /// Whether rules may leave out some rows or changes of a table, so that the target's rows are
    /// not always what the source's were before a change. A rule that names the table counts even
    /// where its expression can't be true now: it may have been before.
    public func leavesOutRows(of table: TableName) -> Bool {
        guard let events, !events.isEmpty else { return !ownExpressions(table).isEmpty }
        let kinds: [EventSelector] = [.insert, .update, .delete]
        // Statements that delete rows; the text is as good as any that a pattern may be made for.
        let deletions: [(Set<EventSelector>, String)] = [
            ([.truncateTable], "TRUNCATE TABLE \(table.name)"),
            ([.dropTable], "DROP TABLE \(table.name)"),
            ([.alterTable, .dropPartition], "ALTER TABLE \(table.name) DROP PARTITION p"),
            ([.alterTable, .truncatePartition], "ALTER TABLE \(table.name) TRUNCATE PARTITION p"),
        ]
        return !ownExpressions(table).isEmpty
            || kinds.contains { events.decision(for: $0, on: table).action == .ignore }
            || deletions.contains { kinds, sql in
                events.decision(forDDL: kinds, on: table, sql: sql).action == .ignore
            }
    }

    /// The filter that may leave out rows of a table, changes of them, or statements on it, as
    /// `filters.keep`; `nil` where none can, so that the target is to have the table as it is.
    public func ruleThatLeavesOut(of table: TableName) -> String? {
        if let rule = ownExpressions(table).first { return "expression-filter.\(rule.name)" }
        return events?.rule(leavingOutOf: table).map { "filters.\($0)" }
    }

    private func ownExpressions(_ table: TableName) -> [ExpressionFilterRule] {
        func same(_ a: String, _ b: String) -> Bool {
            isCaseSensitive ? a == b : a.lowercased() == b.lowercased()
        }
        return expressions.filter {
            same($0.schema, table.schema) && same($0.table, table.name)
        }
    }

    /// The expressions that look at a table's rows; `nil` when no rule names it.
    ///
    /// - Parameter source: the version of the server whose dialect they are in.
    /// - Throws: ``RuleError`` for an expression that can't be evaluated over the table's columns.
    public func expressions(
        for shape: TableShape, source: ServerVersion
    ) throws(RuleError) -> ExpressionFilter? {
        guard let compiled, !ownExpressions(shape.name).isEmpty else { return nil }
        let filter = try compiled.expressions(
            for: shape, context: SyntaxContext(version: source))
        if let openZone, let key = filter.zoned.first {
            throw RuleError(
                key: key, text: "",
                reason: "it depends on the time zone, which is \(openZone) on the target and not "
                    + "said by the task: write timezone with the zone of its constants ('+08:00', "
                    + "'Europe/Berlin', UTC)")
        }
        return filter
    }

    /// Under which condition the copy takes a row of a table, as SQL for the source; `nil` for all.
    /// Expressions that name columns which the table does not have count as false, as over rows.
    ///
    /// A copy reads in UTC: the SQL adds to TIMESTAMP columns what the task's zone does.
    ///
    /// - Throws: as ``expressions(for:source:)``, and as ``ExpressionFilter/copyCondition()``.
    public func copyCondition(
        of shape: TableShape, source: ServerVersion
    ) throws(RuleError) -> String? {
        guard let filter = try expressions(for: shape, source: source) else { return nil }
        return try filter.copyCondition()
    }

    /// What filters of events say of a DDL statement; `nil` when there are none.
    ///
    /// - Parameter shape: gives a table's shape before the statement, where it is known.
    public func filtered(
        _ statement: Statement, context: SyntaxContext, shape: (TableName) -> TableShape?
    ) throws(RuleError) -> RoutedStatement? {
        guard let compiled, !compiled.events.isEmpty else { return nil }
        do throws(RouteConflict) {
            return try compiled.statements.route(statement, context: context, shape: shape)
        } catch {
            throw RuleError(key: "routes", text: "", reason: error.description)
        }
    }
}
