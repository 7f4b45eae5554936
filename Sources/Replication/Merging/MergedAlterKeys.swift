internal import Checkpoint
internal import MySQLCore
internal import MySQLSyntax

// Keys: what forbids rows comes with the last table that has it, and goes with the first; an index
// the other way around. They are told apart by their columns: names may differ.

extension MergedAlter {
    func add(
        _ definition: KeyDefinition, _ i: Int, of alter: AlterTable, _ plan: inout Plan
    ) throws(MergeConflict) {
        let isUnique = definition.kind == .primary || definition.kind == .unique
        let key = KeyShape(name: definition.name ?? "", parts: definition.parts, isUnique: isUnique)
        // Of the same columns a table may have several.
        let there = target.shape.keys.count { $0.isLike(key) }
        if there > 0, there >= after.keys.count(where: { $0.isLike(key) }) { return }
        if definition.kind == .primary, target.key("PRIMARY") != nil {
            throw MergeConflict("the target has another primary key")
        }
        // By columns that routes fill, rows of several tables may be the same in all others.
        let isFilled = target.shape.keys.contains { own in
            own.isUnique && own.parts.contains { $0.column.map(target.isFilled) == true }
        }
        if isUnique, isFilled {
            plan.warnings.append(
                "a unique key of one of several merged tables is left out, since the rows of "
                    + "\(target.shape.name) are told apart by columns that routes fill: add it with "
                    + "these by hand when all of them have it")
            return
        }
        // What forbids rows waits for the last of them.
        if isUnique, !others.allSatisfy({ $0.shape.forbids(asMuchAs: key) }) { return }
        if let name = definition.name, definition.kind != .primary,
            let other = target.key(name), !isGone(other, by: alter)
        {
            // It is another one, and the last table that has that one drops it in this way, too.
            if !isUnique, alter.drops(key: name) { return }
            throw MergeConflict("the target has another key \(name)")
        }
        plan.clauses.append(.action(i))
    }

    /// Whether a key of the target goes by the statement.
    private func isGone(_ key: KeyShape, by alter: AlterTable) -> Bool {
        alter.actions.contains { action in
            guard let name = action.droppedKey else { return false }
            return (try? dropped(key: name))?.name == key.name
        }
    }

    func drop(key name: String, _ i: Int, _ plan: inout Plan) throws(MergeConflict) {
        guard let there = try dropped(key: name) else { return }
        plan.clauses.append(
            there.name.lowercased() == name.lowercased() ? .action(i) : Self.drop(there))
    }

    private static func drop(_ key: KeyShape) -> AlterClause {
        .text("DROP KEY \(quoteIdentifier(key.name))")
    }

    /// What goes of the target with a table's key.
    private func dropped(key name: String) throws(MergeConflict) -> KeyShape? {
        guard let key = before.key(name) else { return nil }
        guard !key.isPrimary else {
            throw MergeConflict("the others are found by the primary key that it drops")
        }
        let same = target.shape.keys.filter { $0.isLike(key) && !$0.isPrimary }
        // A server may have shortened its parts.
        let named = target.key(name).flatMap { $0.hasColumns(of: key) ? $0 : nil }
        guard let there = named ?? same.first else { return nil }
        // The table has it once more, or gets it anew, or another one needs it.
        let needed = ([after] + others.map(\.shape)).map { shape in
            shape.keys.count { $0.isLike(key) && !$0.isPrimary }
        }
        let isNeeded = max(same.count, 1) <= needed.max() ?? 0
        return isNeeded && !(key.isUnique && !after.forbids(asMuchAs: there)) ? nil : there
    }

    /// Has unique keys of the target go that a table's rows have met as yet, and may not meet from now
    /// on: by a column, too, that its own key had, and it has not any more.
    func loosen(_ alter: AlterTable, _ plan: inout Plan) throws(MergeConflict) {
        for key in target.shape.keys
        where key.isUnique && before.forbids(asMuchAs: key) && !after.forbids(asMuchAs: key) {
            let isGone = plan.clauses.contains { clause in
                guard case .action(let i) = clause else { return clause == Self.drop(key) }
                return alter.actions[i].droppedKey?.lowercased() == key.name.lowercased()
            }
            if isGone { continue }
            guard !key.isPrimary else {
                throw MergeConflict("it may have rows that the target's primary key forbids")
            }
            plan.clauses.append(Self.drop(key))
        }
    }

    /// A table that comes has rows that no unique key of the target may forbid.
    static func requireUnique(
        _ shape: TableShape, in target: MergedTarget
    ) throws(MergeConflict) {
        for key in target.shape.keys where key.isUnique {
            // Rows of one number of the target's own are never the same.
            let numbers = key.parts.contains { part in
                guard let name = part.column, shape.columnIndex(name) == nil else { return false }
                return target.column(name)?.isAutoIncrement == true
            }
            guard numbers || shape.forbids(asMuchAs: key) else {
                throw MergeConflict(
                    "it may have rows that the target's unique key \(key.name) forbids")
            }
        }
    }
}

extension TableShape {
    /// Whether no two of its rows are the same by a key.
    func forbids(asMuchAs key: KeyShape) -> Bool {
        let wanted = Set(key.parts.map(\.words))
        return keys.contains { $0.isUnique && wanted.isSuperset(of: $0.parts.map(\.words)) }
    }
}

extension AlterTable {
    fileprivate func drops(key: String) -> Bool {
        actions.contains { $0.droppedKey?.lowercased() == key.lowercased() }
    }
}

extension AlterAction {
    /// The key that it drops, as far as it is one.
    fileprivate var droppedKey: String? {
        switch self {
        case .dropKey(let name, _), .dropConstraint(let name, _): name
        default: nil
        }
    }
}

extension KeyPart {
    fileprivate var words: String { "\(column?.lowercased() ?? "?")/\(prefixLength ?? 0)" }
}

extension KeyShape {
    func names(_ column: String) -> Bool {
        parts.contains { $0.column?.lowercased() == column.lowercased() }
    }

    fileprivate func hasColumns(of other: KeyShape) -> Bool {
        isUnique == other.isUnique
            && parts.map { $0.column?.lowercased() } == other.parts.map { $0.column?.lowercased() }
    }

    /// Whether it is of the same columns, and forbids as much.
    func isLike(_ other: KeyShape) -> Bool {
        isUnique == other.isUnique && parts.map(\.words) == other.parts.map(\.words)
    }
}
