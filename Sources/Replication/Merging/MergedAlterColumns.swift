internal import Checkpoint
internal import MySQLCore
internal import MySQLSyntax

// Columns: what comes with the first table that has it, and goes with the last.

extension MergedAlter {
    func add(
        _ definition: ColumnDefinition, _ i: Int, of alter: AlterTable, _ plan: inout Plan
    ) throws(MergeConflict) {
        let name = definition.name
        if before.columnIndex(name) != nil {
            // IF NOT EXISTS, and it was there; or the same statement drops it, and all its rows get
            // another value in it.
            guard !alter.drops(column: name) else {
                throw MergeConflict(
                    "it drops column \(name) and adds another one of that name, and rows of the "
                        + "other tables have theirs there")
            }
            return
        }
        guard let new = after.columnIndex(name).map({ after.columns[$0] }) else {
            throw MergeConflict("what its new column \(name) is, is not known")
        }
        if target.isFilled(name) {
            throw MergeConflict("its new column \(name) is one that a route fills")
        }
        if new.isAutoIncrement {
            throw MergeConflict("its new column \(name) numbers rows, as the others' do")
        }
        if mine.dropped.contains(where: { $0.lowercased() == name.lowercased() }),
            target.column(name) != nil
        {
            throw MergeConflict(
                "it has dropped a column \(name) before, which the target keeps for others, with the "
                    + "values that its rows had there")
        }
        let needsDefault = definition.lacksDefault(as: new)
        guard let there = target.column(name) else {
            try requireOwnCharset(definition, new)
            guard needsDefault else { return plan.clauses.append(.action(i)) }
            guard let literal = new.type.impliedDefault else { throw withoutDefault(name) }
            // Rows of those that lack it get by it what their own ALTER TABLE will give them.
            return plan.clauses.append(.actionWithDefault(i, literal: literal))
        }
        // It may be another one by now: others have gone on with it.
        guard there.holds(new) else {
            throw MergeConflict("the target has another column \(name)")
        }
        // Nobody else has brought it.
        let isOwn = isRepeated && !others.contains { $0.hasHad(name) }
        if !isOwn {
            if target.definitions[name.lowercased()]?.updatesToNow == true {
                throw MergeConflict(
                    "the target sets column \(name) with every change (ON UPDATE), and has done so "
                        + "in rows of tables that lacked it")
            }
            if new.generation == nil {
                try requireSameDefault(name, definition.defaultValue)
            } else {
                try requireSameExpression(name, definition.expression)
            }
        }
        let isLast = others.allSatisfy { $0.shape.columnIndex(name) != nil }
        if needsDefault, isLast, target.defaultValue(of: there) != .none {
            plan.clauses.append(.text("ALTER COLUMN \(quoteIdentifier(name)) DROP DEFAULT"))
        }
    }

    private func withoutDefault(_ name: String) -> MergeConflict {
        MergeConflict(
            "column \(name) takes no NULL and has no default, which rows of the tables without it "
                + "need on the target")
    }

    func drop(_ name: String, _ i: Int, _ plan: inout Plan) throws(MergeConflict) {
        // IF EXISTS, and it was not there.
        guard let index = before.columnIndex(name), let there = target.column(name) else { return }
        if target.isFilled(name) { return }
        if before.identifyingKey?.names(name) == true {
            throw MergeConflict("rows are found by column \(name), which it drops")
        }
        guard others.contains(where: { $0.shape.columnIndex(name) != nil }) else {
            return plan.clauses.append(.action(i))
        }
        guard !target.givesValue(in: there) else { return }
        guard let literal = before.columns[index].type.impliedDefault else {
            throw withoutDefault(name)
        }
        plan.clauses.append(.text("ALTER COLUMN \(quoteIdentifier(name)) SET DEFAULT \(literal)"))
    }

    /// What the others have of a column.
    private func theirs(_ name: String) -> [ColumnShape] {
        others.compactMap { other in
            other.shape.columnIndex(name).map { other.shape.columns[$0] }
        }
    }

    func modify(
        _ definition: ColumnDefinition, _ i: Int, _ plan: inout Plan
    ) throws(MergeConflict) {
        let name = definition.name
        guard let index = after.columnIndex(name), let there = target.column(name),
            let old = before.columnIndex(name).map({ before.columns[$0] })
        else { return }
        let new = after.columns[index]
        guard new.generation == nil, old.generation == nil, there.generation == nil else {
            throw MergeConflict(
                "column \(name) is computed, and of the others' rows, too, in one way")
        }
        let theirs = theirs(name)
        let isShared = theirs.count == others.count
        if !isShared { try requireSameDefault(name, definition.defaultValue) }
        // Those that lack it may get it as it was.
        let isWaiting = !isShared && !new.holds(there) && there.holds(new)
        if isWaiting { return }
        guard theirs.allSatisfy({ new.holds($0) }) else {
            guard theirs.contains(where: { $0.holds(new) }), there.holds(new) else {
                throw MergeConflict(
                    "column \(name) becomes one that holds less than the others' in some way, and "
                        + "more in another")
            }
            return
        }
        let waits = waitsForCollation(old, new, there)
        if waits, there.hasSameValues(as: new) { return }
        // Rows of those that lack it need a default as long as they do.
        let lacksDefault = !isShared && definition.lacksDefault(as: new)
        guard !lacksDefault || new.type.impliedDefault != nil else { throw withoutDefault(name) }
        let literal = lacksDefault ? new.type.impliedDefault : nil
        let value = literal.map { DefaultValue.literal($0) } ?? definition.defaultValue
        let isDone =
            there.hasSameValues(as: new) && there.isAutoIncrement == new.isAutoIncrement
            && (there.collation == new.collation || old.collation == new.collation)
            && target.definitions[name.lowercased()]?.updatesToNow == definition.updatesToNow
            && isSame(value, there, as: new)
        if isDone { return }
        try requireOwnCharset(definition, new)
        plan.clauses.append(literal.map { .actionWithDefault(i, literal: $0) } ?? .action(i))
    }

    // MARK: Texts

    /// Whether a column gets a collation in which more texts are equal, while others that share its
    /// unique key still tell them apart: it comes with the last of them.
    private func waitsForCollation(
        _ old: ColumnShape, _ new: ColumnShape, _ there: ColumnShape
    ) -> Bool {
        guard old.collation != new.collation, there.collation != new.collation,
            let mine = new.collation, let present = there.collation,
            target.shape.keys.contains(where: { $0.isUnique && $0.names(new.name) }),
            Self.fineness(mine) < Self.fineness(present)
        else { return false }
        return theirs(new.name).contains { $0.collation != new.collation }
    }

    /// How much a collation tells apart, as far as its name says so.
    private static func fineness(_ collation: String) -> Int {
        if collation.hasSuffix("_bin") || collation == "binary" { return 3 }
        if collation.hasSuffix("_cs") { return 2 }
        return collation.hasSuffix("_as_ci") ? 1 : 0
    }

    /// What a column that names no character set gets is told by its table: the target's may have
    /// another default.
    private func requireOwnCharset(
        _ definition: ColumnDefinition, _ new: ColumnShape
    ) throws(MergeConflict) {
        guard let type = definition.dataType, type.charset == nil, type.collation == nil,
            new.charset != nil, let charset = target.shape.charset
        else { return }
        var made = new
        made.charset = charset
        guard made.holds(new) else {
            throw MergeConflict(
                "its column \(definition.name) would be made in the target's default character set, "
                    + "\(charset)")
        }
    }

    /// Whether a table's new default character set becomes the target's: columns that come later are
    /// made in it, and are to hold those of all tables.
    func takesDefaults(_ options: TableOptions) -> Bool {
        guard options.charset != nil || options.collation != nil else { return true }
        guard let new = after.charset, let there = target.shape.charset else { return false }
        return ColumnShape.charset(new, holds: there)
            || others.allSatisfy { $0.shape.charset == new }
    }

    func convert(
        to charset: CharsetChoice, _ i: Int, _ plan: inout Plan
    ) throws(MergeConflict) {
        var runs = false
        var mayRun = false
        var waits = false
        for new in after.columns {
            guard let old = before.columnIndex(new.name).map({ before.columns[$0] }),
                old.charset != new.charset || old.type != new.type
                    || old.collation != new.collation,
                let there = target.column(new.name)
            else { continue }
            if theirs(new.name).allSatisfy({ new.holds($0) }) {
                if !there.hasSameValues(as: new) {
                    runs = true
                } else if there.collation != new.collation {
                    if waitsForCollation(old, new, there) { waits = true } else { mayRun = true }
                }
            } else {
                waits = true
                guard there.holds(new) else {
                    throw MergeConflict("column \(new.name) becomes one that holds other texts")
                }
            }
        }
        if runs, waits {
            throw MergeConflict("some of its columns become such as hold more, and others less")
        }
        guard runs || mayRun && !waits else { return }
        // It would have the others' texts in that character set, too.
        let foreign = target.shape.columns.first { column in
            guard let theirs = column.charset, after.columnIndex(column.name) == nil else {
                return false
            }
            guard case .named(let mine) = charset else { return true }
            return !ColumnShape.charset(mine, holds: theirs)
        }
        if let foreign {
            throw MergeConflict(
                "it would change the character set of column \(foreign.name), which it does not have"
            )
        }
        plan.clauses.append(.action(i))
    }

    // MARK: Defaults

    /// Whether a column's default is changed on the target: as long as a table lacks the column, the
    /// one that is there is that table's, and a row that names all columns needs none.
    func changesDefault(of name: String, to value: DefaultValue?) -> Bool {
        guard let there = target.column(name), after.columnIndex(name) != nil else { return false }
        // Servers may refuse rows without it then, NULL or not.
        if value == nil, there.isNullable { return false }
        return theirs(name).count == others.count
    }

    /// Rows of tables that lack a column have the target's default: theirs, when it comes, must be
    /// the same.
    private func requireSameDefault(
        _ name: String, _ value: DefaultValue?
    ) throws(MergeConflict) {
        let isLacked = theirs(name).count < others.count || before.columnIndex(name) == nil
        guard isLacked, let index = after.columnIndex(name), let there = target.column(name) else {
            return
        }
        let new = after.columns[index]
        guard PlainDefault(value, of: new).isConstant, isSame(value, there, as: new) else {
            throw MergeConflict(
                "column \(name) has another default than on the target, or one that is another "
                    + "value each time, and rows of tables that lacked it have the target's")
        }
    }

    /// Whether a default is the target's.
    private func isSame(
        _ value: DefaultValue?, _ there: ColumnShape, as new: ColumnShape
    ) -> Bool {
        let (mine, present) = (PlainDefault(value, of: new), target.defaultValue(of: there))
        if mine == present { return mine != .other }
        guard mine == .none, !new.isNullable, let implied = new.type.impliedDefault else {
            return false
        }
        return present == PlainDefault(.literal(implied), of: new)
    }

    /// A computed column that another table has brought must be computed in the same way.
    private func requireSameExpression(
        _ name: String, _ expression: String?
    ) throws(MergeConflict) {
        guard isSameExpression(name, expression, target, others) else {
            throw MergeConflict("the target computes column \(name), perhaps in another way")
        }
    }
}

/// Whether the target computes a column in the way that a statement tells: servers word expressions
/// anew, and what other tables' statements have told of it counts as well.
func isSameExpression(
    _ name: String, _ expression: String?, _ target: MergedTarget, _ others: [MergedTable]
) -> Bool {
    guard let wanted = expression.map(ExpressionWord.plain) else { return false }
    let there = target.definitions[name.lowercased()]?.expression.map(ExpressionWord.plain)
    let told = others.compactMap { $0.expressions[name.lowercased()].map(ExpressionWord.plain) }
    return there == wanted || !told.isEmpty && told.allSatisfy { $0 == wanted }
}

extension AlterTable {
    fileprivate func drops(column: String) -> Bool {
        actions.contains { action in
            guard case .dropColumn(let name, _) = action else { return false }
            return name.lowercased() == column.lowercased()
        }
    }
}

extension ColumnDefinition {
    /// Whether rows that don't name the column have no value in it.
    fileprivate func lacksDefault(as column: ColumnShape) -> Bool {
        !column.isNullable && column.generation == nil && !column.isAutoIncrement
            && (defaultValue ?? .null) == .null
    }
}

extension MergedTable {
    /// Whether it has a column, or has had it while the target has.
    fileprivate func hasHad(_ name: String) -> Bool {
        shape.columnIndex(name) != nil || dropped.contains { $0.lowercased() == name.lowercased() }
    }
}
