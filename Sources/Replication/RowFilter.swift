internal import MySQLBinlog
internal import MySQLCore
internal import Rules

/// Which changes of one table's rows are left out, by a task's rules. Lives on the reader's thread.
final class RowFilter {
    /// An expression with what its evaluation needs.
    private final class Evaluator {
        let rule: String
        // SAFETY: isTrue is the only one that reaches it, on the reader's thread, and what it calls
        // knows nothing of this object: no two accesses overlap. A check at every row is saved.
        @exclusivity(unchecked) private var evaluator: RowEvaluator

        init(_ rule: String, _ expression: RowExpression) {
            self.rule = rule
            unsafe evaluator = RowEvaluator(expression)
        }

        func isTrue(
            _ event: RawSpan, _ values: [ColumnValue], _ map: TableMap
        ) throws(ExpressionFailure) -> Bool {
            try unsafe evaluator.isTrue(event, values, map)
        }
    }

    private let table: TableName
    private let decisions: [RowsEvent.Kind: EventFilter.Decision]
    private let inserts: [Evaluator]
    private let deletes: [Evaluator]
    private let updates: [(old: Evaluator?, new: Evaluator?)]
    private let insertLimit: Int
    private let deleteLimit: Int
    private let updateLimits: (before: Int, after: Int)

    /// `nil` when no rule says anything about the table.
    init?(
        _ mapping: TableMapping, _ shape: TableShape, source: ServerVersion
    ) throws(RuleError) {
        let expressions = try mapping.expressions(for: shape, source: source)
        var decisions: [RowsEvent.Kind: EventFilter.Decision] = [:]
        for (kind, selector) in [
            (RowsEvent.Kind.insert, EventSelector.insert), (.update, .update),
            (.partialUpdate, .update), (.delete, .delete),
        ] {
            let decision = mapping.decision(for: selector, on: shape.name)
            if decision.action != .do { decisions[kind] = decision }
        }
        guard !decisions.isEmpty || expressions != nil else { return nil }
        dormant = expressions?.dormant ?? []
        table = shape.name
        self.decisions = decisions
        inserts = expressions?.inserts.map { Evaluator($0.rule, $0.expression) } ?? []
        deletes = expressions?.deletes.map { Evaluator($0.rule, $0.expression) } ?? []
        updates =
            expressions?.updates.map { update in
                (
                    update.old.map { Evaluator(update.rule, $0) },
                    update.new.map { Evaluator(update.rule, $0) }
                )
            } ?? []
        insertLimit = Self.limit(expressions?.inserts.map(\.expression))
        deleteLimit = Self.limit(expressions?.deletes.map(\.expression))
        updateLimits = (
            Self.limit(expressions?.updates.compactMap(\.old)),
            Self.limit(expressions?.updates.compactMap(\.new))
        )
    }

    private static func limit(_ expressions: [RowExpression]?) -> Int {
        (expressions ?? []).reduce(0) { max($0, $1.columnLimit) }
    }

    /// Expressions that name columns which the table does not have: they count as false.
    let dormant: [RuleError]

    /// Whether all rows of an event are left out.
    ///
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` where a rule says that a person must
    ///   decide.
    func leavesOut(_ kind: RowsEvent.Kind, at position: SourcePosition) throws -> Bool {
        guard let decision = decisions[kind] else { return false }
        guard decision.action == .error else { return true }
        throw ReplicationError.unsupported(
            position,
            detail: "rows of \(table) changed, and the filter \(decision.rule ?? "") says that a "
                + "person must decide: change the filter, and go on")
    }

    /// Whether there are expressions to be asked about rows of a kind.
    func looksAtRows(_ kind: RowsEvent.Kind) -> Bool {
        switch kind {
        case .insert: !inserts.isEmpty
        case .delete: !deletes.isEmpty
        case .update, .partialUpdate: !updates.isEmpty
        }
    }

    /// How many columns of each image the expressions for a kind of rows need, from the first on.
    func columnLimits(_ kind: RowsEvent.Kind) -> (before: Int, after: Int) {
        switch kind {
        case .insert: (0, insertLimit)
        case .delete: (deleteLimit, 0)
        case .update, .partialUpdate: updateLimits
        }
    }

    /// Whether a row is left out.
    ///
    /// - Parameters:
    ///   - before: values of the image before; those of the only image of an insert or delete.
    ///   - after: values of the image after an update.
    ///
    /// Of each no more is read than ``columnLimits(_:)`` says.
    func leavesOut(
        _ kind: RowsEvent.Kind, _ event: RawSpan, before: [ColumnValue], after: [ColumnValue],
        _ map: TableMap
    ) throws -> Bool {
        do throws(ExpressionFailure) {
            switch kind {
            case .insert:
                // An iterator would retain the list for each row.
                for i in inserts.indices where try inserts[i].isTrue(event, before, map) {
                    return true
                }
            case .delete:
                for i in deletes.indices where try deletes[i].isTrue(event, before, map) {
                    return true
                }
            case .update, .partialUpdate:
                for i in updates.indices {
                    if let old = updates[i].old, try !old.isTrue(event, before, map) { continue }
                    if let new = updates[i].new, try !new.isTrue(event, after, map) { continue }
                    return true
                }
            }
            return false
        } catch {
            throw ReplicationError.refused(table, detail: "an expression filter: \(error)")
        }
    }
}
