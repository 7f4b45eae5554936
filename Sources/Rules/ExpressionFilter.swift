public import MySQLCore
public import MySQLSyntax

extension RowExpression {
    /// Reads an expression and binds it to a table's shape.
    ///
    /// - Parameters:
    ///   - context: the source's dialect and the task's `sql_mode`.
    ///   - clock: that of the session's time zone, in which TIMESTAMP columns are read.
    /// - Throws: ``ExpressionError`` with the place in the text.
    public init(
        _ text: String, shape: TableShape, context: SyntaxContext, clock: ZoneClock = .utc
    ) throws(ExpressionError) {
        var parser = try ExpressionParser(text, context: context)
        let tree = try parser.parse()
        var compiler = ExpressionCompiler(
            shape: shape, clock: clock,
            literalCollation: Charsets.defaultCollation(of: "utf8mb4", context),
            version: context.version)
        program = try compiler.compile(tree)
        self.text = text
    }

    /// Whether its value may be another one in another time zone: it reads a TIMESTAMP column, or
    /// makes dates of seconds or seconds of dates.
    public var dependsOnTimeZone: Bool {
        program.columns.contains { if case .timestamp = $0.reading { true } else { false } }
            || program.steps.contains {
                $0.operation == .unixTimestamp || $0.operation == .fromUnixTime
            }
    }
}

/// The expressions of one table, by kind of event.
public struct ExpressionFilter: Sendable {
    /// A rule of updates: all expressions that are there have to be true.
    public struct Update: Sendable {
        /// The rule's name.
        public var rule: String
        /// Over the row before.
        public var old: RowExpression?
        /// Over the row after.
        public var new: RowExpression?
    }

    /// An expression with its rule's name.
    public struct Single: Sendable {
        /// The rule's name.
        public var rule: String
        /// The expression.
        public var expression: RowExpression
    }

    /// Inserted rows are left out when one of these is true.
    public private(set) var inserts: [Single] = []
    /// Updated rows are left out when one of these is.
    public private(set) var updates: [Update] = []
    /// Deleted rows are left out when one of these is true.
    public private(set) var deletes: [Single] = []
    /// Expressions that name columns which the table does not have. As in DM they count as false;
    /// they are for a warning. Made again after DDL, they may come to life.
    public private(set) var dormant: [RuleError] = []
    /// Expressions that depend on the time zone, as `expression-filter.odd.insert-value-expr`.
    public private(set) var zoned: [String] = []

    /// Whether no expression can be true.
    public var isEmpty: Bool { inserts.isEmpty && updates.isEmpty && deletes.isEmpty }

    /// Binds the rules that name the table to its shape; to be made again when that changes.
    ///
    /// - Throws: ``RuleError`` for expressions that can't be read or evaluated.
    public init(
        _ rules: [ExpressionFilterRule], shape: TableShape, context: SyntaxContext,
        clock: ZoneClock = .utc, isCaseSensitive: Bool = false
    ) throws(RuleError) {
        func same(_ a: String, _ b: String) -> Bool {
            isCaseSensitive ? a == b : a.lowercased() == b.lowercased()
        }
        for rule in rules
        where same(rule.schema, shape.name.schema) && same(rule.table, shape.name.name) {
            try add(rule, shape, context, clock)
        }
    }

    private mutating func add(
        _ rule: ExpressionFilterRule, _ shape: TableShape, _ context: SyntaxContext,
        _ clock: ZoneClock
    ) throws(RuleError) {
        var isDormant = false
        func bind(_ text: String?, _ key: String) throws(RuleError) -> RowExpression? {
            guard let text else { return nil }
            do throws(ExpressionError) {
                let expression = try RowExpression(
                    text, shape: shape, context: context, clock: clock)
                if expression.dependsOnTimeZone {
                    zoned.append("expression-filter.\(rule.name).\(key)")
                }
                return expression
            } catch {
                let told = RuleError(
                    key: "expression-filter.\(rule.name).\(key)", text: text,
                    offset: error.offset, reason: error.reason)
                guard case .unknownColumn = error.kind else { throw told }
                dormant.append(told)
                isDormant = true
                return nil
            }
        }
        if let found = try bind(rule.insertExpression, "insert-value-expr") {
            inserts.append(Single(rule: rule.name, expression: found))
        }
        if let found = try bind(rule.deleteExpression, "delete-value-expr") {
            deletes.append(Single(rule: rule.name, expression: found))
        }
        isDormant = false
        let old = try bind(rule.updateOldExpression, "update-old-value-expr")
        let new = try bind(rule.updateNewExpression, "update-new-value-expr")
        // False and anything is false.
        if !isDormant, old != nil || new != nil {
            updates.append(Update(rule: rule.name, old: old, new: new))
        }
    }
}

extension ExpressionFilterRule {
    /// What a rule says about itself, checked without any table: exactly one kind of expression,
    /// as DM has it, and names.
    public func check() throws(RuleError) {
        let key = "expression-filter.\(name)"
        if schema.isEmpty {
            throw RuleError(key: "\(key).schema", text: "", reason: "it is missing")
        }
        if table.isEmpty { throw RuleError(key: "\(key).table", text: "", reason: "it is missing") }
        let hasUpdate = updateOldExpression != nil || updateNewExpression != nil
        let kinds = [insertExpression != nil, hasUpdate, deleteExpression != nil]
        guard kinds.count(where: { $0 }) == 1 else {
            throw RuleError(
                key: key, text: "",
                reason: kinds.contains(true)
                    ? "one rule has expressions of one kind: insert, update or delete"
                    : "an expression is missing")
        }
    }

}

extension ExpressionFilter {
    /// The condition under which a copy takes a row, in SQL for the source's server in a session
    /// that is in UTC: not the inserts that the rules leave out. `nil` for all rows.
    ///
    /// - Throws: where what depends on another zone can't be said in such a session.
    public func copyCondition() throws(RuleError) -> String? {
        var all: [String] = []
        for insert in inserts {
            guard let text = insert.expression.textInUTC else {
                throw RuleError(
                    key: "expression-filter.\(insert.rule).insert-value-expr", text: "",
                    reason: "it makes dates of seconds, or seconds of dates, in the task's "
                        + "timezone, and rows are copied in UTC: compare TIMESTAMP columns with "
                        + "dates, or their UNIX_TIMESTAMP() with seconds, or write timezone UTC "
                        + "and constants for it")
            }
            // A line's end closes a comment in it.
            let end = text.contains("--") || text.contains("#") ? "\n" : ""
            all.append("(\(text)\(end)) IS NOT TRUE")
        }
        return all.isEmpty ? nil : all.joined(separator: " AND ")
    }
}
