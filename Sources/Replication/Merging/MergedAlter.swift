internal import Checkpoint
internal import MySQLCore
internal import MySQLSyntax

/// A table of the target that several tables are merged into, as it is there.
struct MergedTarget: Sendable {
    /// Its columns and keys.
    var shape: TableShape
    /// Default values of its columns, as the server writes them, by lower-case names; those of
    /// columns without one are missing.
    var defaults: [String: String] = [:]
    /// Its CHECK constraints.
    var checks: Set<String> = []
    /// Columns that routes fill.
    var filled: [String] = []

    func column(_ name: String) -> ColumnShape? {
        shape.columnIndex(name).map { shape.columns[$0] }
    }

    func key(_ name: String) -> KeyShape? { shape.key(name) }
}

/// Why a statement on one of several merged tables can't be followed by itself.
struct MergeConflict: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

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
    let target: MergedTarget

    private var before: TableShape { mine.shape }

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
                default: try self.plan(action, i, &plan)
                }
            }
            if !plan.clauses.isEmpty { plan.clauses += modifiers }
            plan.isWhole = plan.clauses == alter.actions.indices.map { .action($0) }
        }
        plan.dropped = dropped(
            goneByThis: Set(
                plan.clauses.compactMap { clause -> String? in
                    guard case .action(let i) = clause,
                        case .dropColumn(let name, _) = alter.actions[i]
                    else { return nil }
                    return name.lowercased()
                }))
        return plan
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
        _ action: AlterAction, _ i: Int, _ plan: inout Plan
    ) throws(MergeConflict) {
        switch action {
        case .addColumn(let definition, _, _): try add(definition, i, &plan)
        case .dropColumn(let name, _): try drop(name, i, &plan)
        case .modifyColumn(let definition, _, _): try modify(definition, i, &plan)
        case .changeColumn(let old, let definition, _, _):
            guard old.lowercased() == definition.name.lowercased() else {
                throw renamed(old, definition.name)
            }
            try modify(definition, i, &plan)
        case .renameColumn(let from, let to, _): throw renamed(from, to)
        case .alterColumnDefault(let name, let value, _):
            guard target.column(name) != nil else { return }
            try requireSameDefault(name, value)
            plan.clauses.append(.action(i))
        case .alterColumnVisibility(let name, _):
            if target.column(name) != nil { plan.clauses.append(.action(i)) }
        case .addKey(let definition, _): try add(definition, i, &plan)
        case .dropKey(let name, _): try drop(key: name, i, &plan)
        case .dropConstraint(let name, _) where before.key(name) != nil:
            try drop(key: name, i, &plan)
        case .dropPrimaryKey:
            throw MergeConflict("the others are found by the primary key that it drops")
        case .renameKey(let from, let to, _):
            if target.key(to) == nil, target.key(from) != nil { plan.clauses.append(.action(i)) }
        case .alterKeyVisibility(let name, _):
            if target.key(name) != nil { plan.clauses.append(.action(i)) }
        case .convertCharset: try convert(i, &plan)
        case .options(let options):
            guard !options.hasSystemVersioning, !options.isPartitioned else {
                throw MergeConflict("its rows would be kept in another way than the others'")
            }
            // Each of them would have the target write all rows anew.
            let isSameEngine =
                options.engine.map { $0.lowercased() == target.shape.engine?.lowercased() }
            if isSameEngine != true, options.autoIncrement == nil {
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

    // MARK: Columns

    private func add(
        _ definition: ColumnDefinition, _ i: Int, _ plan: inout Plan
    ) throws(MergeConflict) {
        let name = definition.name
        // IF NOT EXISTS, and it was there.
        guard before.columnIndex(name) == nil else { return }
        guard let new = after.columnIndex(name).map({ after.columns[$0] }) else {
            throw MergeConflict("what its new column \(name) is, is not known")
        }
        if target.filled.contains(where: { $0.lowercased() == name.lowercased() }) {
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
        let needsDefault =
            !new.isNullable && new.generation == nil
            && (definition.defaultValue ?? .null) == .null
        guard let there = target.column(name) else {
            guard needsDefault else { return plan.clauses.append(.action(i)) }
            guard let literal = new.type.impliedDefault else { throw withoutDefault(name) }
            // Rows of those that lack it get by it what their own ALTER TABLE will give them.
            return plan.clauses.append(.actionWithDefault(i, literal: literal))
        }
        // It may be another one by now: others have gone on with it.
        guard there.holds(new) else {
            throw MergeConflict("the target has another column \(name)")
        }
        if new.generation == nil { try requireSameDefault(name, definition.defaultValue) }
        let isLast = others.allSatisfy { $0.shape.columnIndex(name) != nil }
        if needsDefault, isLast, target.defaults[name.lowercased()] != nil {
            plan.clauses.append(.text("ALTER COLUMN \(quoteIdentifier(name)) DROP DEFAULT"))
        }
    }

    private func withoutDefault(_ name: String) -> MergeConflict {
        MergeConflict(
            "column \(name) takes no NULL and has no default, which rows of the tables without it "
                + "need on the target")
    }

    private func drop(_ name: String, _ i: Int, _ plan: inout Plan) throws(MergeConflict) {
        // IF EXISTS, and it was not there.
        guard let index = before.columnIndex(name), let there = target.column(name) else { return }
        if target.filled.contains(where: { $0.lowercased() == name.lowercased() }) { return }
        if before.identifyingKey?.names(name) == true {
            throw MergeConflict("rows are found by column \(name), which it drops")
        }
        guard others.contains(where: { $0.shape.columnIndex(name) != nil }) else {
            return plan.clauses.append(.action(i))
        }
        guard !there.isNullable, there.generation == nil, !there.isAutoIncrement,
            target.defaults[name.lowercased()] == nil
        else { return }
        guard let literal = before.columns[index].type.impliedDefault else {
            throw withoutDefault(name)
        }
        plan.clauses.append(.text("ALTER COLUMN \(quoteIdentifier(name)) SET DEFAULT \(literal)"))
    }

    private func modify(
        _ definition: ColumnDefinition, _ i: Int, _ plan: inout Plan
    ) throws(MergeConflict) {
        let name = definition.name
        guard let index = after.columnIndex(name), let there = target.column(name) else { return }
        let new = after.columns[index]
        let theirs = others.compactMap { other in
            other.shape.columnIndex(name).map { other.shape.columns[$0] }
        }
        let isShared = theirs.count == others.count
        if !isShared, new.generation == nil {
            try requireSameDefault(name, definition.defaultValue)
        }
        // Those that lack it may get it as it was.
        let isWaiting = !isShared && !new.holds(there) && there.holds(new)
        if isWaiting { return }
        if theirs.allSatisfy({ new.holds($0) }) {
            let isDone =
                there.hasSameValues(as: new)
                && Self.isSame(
                    definition.defaultValue, target.defaults[name.lowercased()], of: new)
            if !isDone { plan.clauses.append(.action(i)) }
        } else if !theirs.contains(where: { $0.holds(new) }) || !there.holds(new) {
            throw MergeConflict(
                "column \(name) becomes one that holds less than the others' in some way, and more "
                    + "in another")
        }
    }

    private func convert(_ i: Int, _ plan: inout Plan) throws(MergeConflict) {
        var runs = false
        var waits = false
        for new in after.columns {
            guard let old = before.columnIndex(new.name).map({ before.columns[$0] }),
                old.charset != new.charset || old.type != new.type,
                let there = target.column(new.name)
            else { continue }
            let theirs = others.compactMap { other in
                other.shape.columnIndex(new.name).map { other.shape.columns[$0] }
            }
            if theirs.allSatisfy({ new.holds($0) }) {
                if !there.hasSameValues(as: new) { runs = true }
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
        if runs { plan.clauses.append(.action(i)) }
    }

    // MARK: Defaults

    /// Rows of tables that lack a column have the target's default: theirs, when it comes, must be
    /// the same.
    private func requireSameDefault(
        _ name: String, _ value: DefaultValue?
    ) throws(MergeConflict) {
        guard
            others.contains(where: { $0.shape.columnIndex(name) == nil })
                || before.columnIndex(name) == nil
        else { return }
        guard let index = after.columnIndex(name) else { return }
        guard Self.isSame(value, target.defaults[name.lowercased()], of: after.columns[index])
        else {
            throw MergeConflict(
                "column \(name) has another default than on the target, which rows of tables that "
                    + "lacked it have")
        }
    }

    /// Whether a default is the one that a server tells.
    static func isSame(_ value: DefaultValue?, _ told: String?, of column: ColumnShape) -> Bool {
        var there = told.map(plain)
        if column.isNullable, told?.uppercased() == "NULL" { there = nil }
        switch value {
        case nil, .null?:
            guard let there else { return true }
            guard !column.isNullable, let implied = column.type.impliedDefault else { return false }
            return isSame(plain(implied), there)
        case .literal(let text)?: return there.map { isSame(plain(text), $0) } ?? false
        case .now?, .expression?: return false
        }
    }

    private static func isSame(_ a: String, _ b: String) -> Bool {
        if a == b { return true }
        func number(_ text: String) -> Double? {
            switch text.uppercased() {
            case "TRUE": 1
            case "FALSE": 0
            default: Double(text)
            }
        }
        guard let x = number(a), let y = number(b) else { return false }
        return x == y
    }

    /// A literal without its quotes.
    private static func plain(_ text: String) -> String {
        guard let quote = text.first, quote == "'" || quote == "\"", text.count > 1,
            text.last == quote
        else { return text }
        var out = ""
        var previous: Character?
        for c in text.dropFirst().dropLast() {
            if c == quote, previous == quote {
                previous = nil
                continue
            }
            out.append(c)
            previous = c
        }
        return out
    }

    // MARK: Keys

    private func add(
        _ definition: KeyDefinition, _ i: Int, _ plan: inout Plan
    ) throws(MergeConflict) {
        let wanted = definition.parts
        let isUnique = definition.kind == .primary || definition.kind == .unique
        func hasIt(_ shape: TableShape) -> Bool {
            shape.keys.contains { $0.isSame(wanted, isUnique: isUnique) }
        }
        if hasIt(target.shape) { return }
        if definition.kind == .primary, target.key("PRIMARY") != nil {
            throw MergeConflict("the target has another primary key")
        }
        if let name = definition.name, definition.kind != .primary, target.key(name) != nil {
            throw MergeConflict("the target has another key \(name)")
        }
        // What forbids rows waits for the last of them. In columns that one does not have any more
        // its rows have one value.
        let areReady = others.allSatisfy { other in
            let parts = wanted.filter { part in
                part.column.map { other.shape.columnIndex($0) != nil } ?? true
            }
            return other.shape.keys.contains { $0.isSame(parts, isUnique: true) }
        }
        if isUnique, !areReady { return }
        plan.clauses.append(.action(i))
    }

    private func drop(
        key name: String, _ i: Int, _ plan: inout Plan
    ) throws(MergeConflict) {
        guard let key = before.key(name), let there = target.key(name) else { return }
        guard !key.isPrimary, !there.isPrimary else {
            throw MergeConflict("the others are found by the primary key that it drops")
        }
        let isNeeded =
            !key.isUnique
            && others.contains { other in
                other.shape.key(name).map { $0.parts == key.parts } == true
            }
        if !isNeeded { plan.clauses.append(.action(i)) }
    }

    private func dropConstraint(_ name: String, _ i: Int, _ plan: inout Plan) {
        let isThere =
            target.checks.contains(name)
            || target.shape.foreignKeys.contains { $0.name.lowercased() == name.lowercased() }
        if isThere { plan.clauses.append(.action(i)) }
    }
}

extension TableShape {
    /// The key of that name; servers compare it without case.
    fileprivate func key(_ name: String) -> KeyShape? {
        keys.first { $0.name.lowercased() == name.lowercased() }
    }
}

extension KeyShape {
    fileprivate func names(_ column: String) -> Bool {
        parts.contains { $0.column?.lowercased() == column.lowercased() }
    }

    /// Whether it is of these columns, and forbids as much.
    fileprivate func isSame(_ parts: [KeyPart], isUnique: Bool) -> Bool {
        func plain(_ part: KeyPart) -> String {
            "\(part.column?.lowercased() ?? "?")/\(part.prefixLength ?? 0)"
        }
        return self.isUnique == isUnique && self.parts.map(plain) == parts.map(plain)
    }
}
