internal import Checkpoint
internal import MySQLCore
internal import MySQLSyntax

/// What an ALTER TABLE of one of several merged tables means for the table of the target.
///
/// The table of the target is at all times what holds the rows of each of them: what allows more
/// (a column, a longer type, a unique key less) is done with the first one that has it, and what
/// allows less with the last one, and each of it once. Rows name their columns, so that those of tables
/// that lack one get its default, which is what their own ALTER TABLE gives them later.
struct MergedAlter {
    /// What becomes of the statement.
    struct Plan: Sendable, Hashable {
        /// What runs, in this order; nothing where it is empty.
        var clauses: [AlterClause] = []
        /// Whether that is the whole statement as it is.
        var isWhole = false
        /// Columns that the table does not have any more and the target does.
        var dropped: [String] = []
        /// What the target does not get of it.
        var warnings: [String] = []
    }

    /// The table before it.
    let mine: MergedTable
    /// The table behind it.
    let after: TableShape
    /// All others that are merged with it.
    let others: [MergedTable]
    /// Those that are no more, and whose rows stay.
    var gone: [MergedTable] = []
    let target: MergedTarget
    /// Whether an earlier run may have run it, and was ended then.
    var isRepeated = false

    var before: TableShape { mine.shape }

    /// - Throws: ``MergeConflict``.
    func plan(_ alter: AlterTable) throws(MergeConflict) -> Plan {
        var plan = Plan()
        if others.isEmpty {
            plan.clauses = alter.actions.indices.map { .action($0) }
            plan.isWhole = true
        } else {
            var modifiers: [AlterClause] = []
            for (i, action) in alter.actions.enumerated() {
                switch action {
                case .algorithm, .lock, .validation: modifiers.append(.action(i))
                default: try self.plan(action, i, of: alter, &plan)
                }
            }
            try loosen(alter, &plan)
            try requireSameColumns([after] + (others + gone).map(\.shape))
            if !plan.clauses.isEmpty { plan.clauses += modifiers }
            plan.isWhole = plan.clauses == alter.actions.indices.map { .action($0) }
        }
        plan.dropped = dropped(goneByThis: Self.columns(goneBy: plan, of: alter))
        return plan
    }

    private static func columns(goneBy plan: Plan, of alter: AlterTable) -> Set<String> {
        Set(
            plan.clauses.compactMap { clause -> String? in
                guard case .action(let i) = clause,
                    case .dropColumn(let name, _) = alter.actions[i]
                else { return nil }
                return name.lowercased()
            })
    }

    /// Columns that the table has had, and that stay on the target.
    ///
    /// - Parameter gone: those that the target loses now.
    func dropped(goneByThis gone: Set<String> = []) -> [String] {
        var names = Set(mine.dropped.map { $0.lowercased() })
        names.formUnion(before.columns.map { $0.name.lowercased() })
        return names.filter {
            !gone.contains($0) && after.columnIndex($0) == nil && target.column($0) != nil
        }.sorted()
    }

    /// Columns that the target gets by a statement of one table: they are none that another one has
    /// left there.
    static func columns(newBy alter: AlterTable, on target: MergedTarget?) -> Set<String> {
        var new: Set<String> = []
        for case .addColumn(let column, _, _) in alter.actions
        where target?.column(column.name) == nil {
            new.insert(column.name.lowercased())
        }
        return new
    }

    // MARK: Actions

    private func plan(
        _ action: AlterAction, _ i: Int, of alter: AlterTable, _ plan: inout Plan
    ) throws(MergeConflict) {
        switch action {
        case .addColumn(let definition, _, _): try add(definition, i, of: alter, &plan)
        case .dropColumn(let name, _): try drop(name, i, &plan)
        case .modifyColumn(let definition, _, _): try modify(definition, i, &plan)
        case .changeColumn(let old, let definition, _, _):
            guard old.lowercased() == definition.name.lowercased() else {
                throw renamed(old, definition.name)
            }
            try modify(definition, i, &plan)
        case .renameColumn(let from, let to, _): throw renamed(from, to)
        case .alterColumnDefault(let name, let value, _):
            if changesDefault(of: name, to: value) { plan.clauses.append(.action(i)) }
        case .alterColumnVisibility(let name, _):
            if target.column(name) != nil { plan.clauses.append(.action(i)) }
        case .addKey(let definition, _): try add(definition, i, of: alter, &plan)
        case .dropKey(let name, _): try drop(key: name, i, &plan)
        case .dropConstraint(let name, _) where before.key(name) != nil:
            try drop(key: name, i, &plan)
        case .dropPrimaryKey:
            throw MergeConflict("the others are found by the primary key that it drops")
        case .renameKey(let from, let to, _):
            if target.key(to) == nil, let key = before.key(from),
                target.key(from)?.isLike(key) == true
            {
                plan.clauses.append(.action(i))
            }
        case .alterKeyVisibility(let name, _):
            if target.key(name) != nil { plan.clauses.append(.action(i)) }
        case .convertCharset(let charset, _): try convert(to: charset, i, &plan)
        case .options(let options):
            guard !options.hasSystemVersioning, !options.isPartitioned else {
                throw MergeConflict("its rows would be kept in another way than the others'")
            }
            // Each of them would have the target write all rows anew.
            let isSameEngine =
                options.engine.map { $0.lowercased() == target.shape.engine?.lowercased() }
            if isSameEngine != true, options.autoIncrement == nil, takesDefaults(options) {
                plan.clauses.append(.action(i))
            }
        case .addForeignKey(let key, _):
            guard !key.onDelete.changesChildren, !key.onUpdate.changesChildren else {
                throw MergeConflict(
                    "its new foreign key changes rows (CASCADE, SET NULL), which no binlog tells, "
                        + "and merged tables have none on the target")
            }
        case .dropForeignKey(let name, _): dropConstraint(name, i, &plan)
        case .dropConstraint(let name, _), .dropCheck(let name): dropConstraint(name, i, &plan)
        case .addCheck(let check, _):
            if check.name.map(target.checks.contains) != true {
                plan.warnings.append(
                    "a CHECK of one of several merged tables is left out: add it to "
                        + "\(target.shape.name) by hand when all of them have it")
            }
        case .alterCheck(let name, let isEnforced):
            if !isEnforced, target.checks.contains(name) { plan.clauses.append(.action(i)) }
        case .partition(let operation):
            switch operation {
            case .rebuild, .analyze, .check, .optimize, .repair: return
            default: throw MergeConflict("it changes partitions, which may hold the others' rows")
            }
        case .orderBy, .force, .enableKeys, .disableKeys, .secondaryEngine: return
        case .renameTable: throw MergeConflict("it gives the table another name")
        case .algorithm, .lock, .validation: return
        case .exchangePartition, .convertPartitionToTable, .convertTableToPartition,
            .addSystemVersioning, .dropSystemVersioning, .addPeriod, .dropPeriod,
            .discardTablespace, .importTablespace, .other:
            throw MergeConflict("what it does to the others' rows is not known")
        }
    }

    private func renamed(_ from: String, _ to: String) -> MergeConflict {
        MergeConflict(
            "column \(from) becomes \(to), and rows of the other tables still come with \(from)")
    }

    private func dropConstraint(_ name: String, _ i: Int, _ plan: inout Plan) {
        let isThere =
            target.checks.contains(name)
            || target.shape.foreignKeys.contains { $0.name.lowercased() == name.lowercased() }
        if isThere { plan.clauses.append(.action(i)) }
    }
}
