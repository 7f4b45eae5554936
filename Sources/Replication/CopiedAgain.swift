internal import MySQLCore
internal import MySQLSyntax
internal import Rules

// What a copy that starts over takes along, foretold: the copy decides it when it begins, by the
// source as it is then (`SnapshotPlan.tied`, `SnapshotPlan.outgrown`), and where it finds a table that
// it must not empty, the subtask stays in it for good. So a statement that would have a table copied
// again is refused before, as far as that can be told by what the statement leaves.

extension TableCatalog {
    /// Which rows may be in a table's place on the target beside its own; `nil` for none.
    ///
    /// - Parameter isRemade: whether the copy finds the table gone, or with another definition. Then
    ///   it drops it, which it never does where others may write, whether they have or not.
    func otherRows(beside table: TableName, isRemade: Bool) throws -> String? {
        let target = try target(of: table)
        if mapping.mayBeShared(target: target) {
            let isTheirs = try isRemade || othersWrite(target)
            if isTheirs { return Self.rowsOfOthers }
        }
        guard let ownTargets, !ownTargets.contains(target) else { return nil }
        return "rows that were there before"
    }

    private static let rowsOfOthers = "rows of other sources"

    /// The table, if one must be copied again, that can't be emptied for it, and why: itself, or one
    /// that is copied with it.
    ///
    /// - Parameter after: the tables behind the statement; `nil` where that is not known.
    func keptFromCopying(
        with table: TableName, after: SchemaState?
    ) throws -> (TableName, rows: String)? {
        let forecast = CopyForecast(
            mark: state.tables.filter { mapping.selects($0.key) },
            now: (after ?? state).tables.filter { mapping.selects($0.key) })
        let again = forecast.copied(with: table)
        for name in [table] + again.emptied.subtracting([table]).sorted() {
            let isRemade =
                try after == nil || ownTargets != nil || forecast.differs(name)
                || isAltered(name, since: forecast.mark[name])
            if let rows = try otherRows(beside: name, isRemade: isRemade) { return (name, rows) }
        }
        for name in again.outgrown.sorted() {
            let route = try route(of: name)
            if mapping.mayBeShared(target: route.target) { return (name, Self.rowsOfOthers) }
            // Its users have made it, and it would have to be another one.
            guard !route.extracted.isEmpty else { continue }
            return (name, "a table with columns that a route fills, which is not made here")
        }
        return nil
    }

    /// Whether the source has altered a table that others may write to by a statement which is still
    /// to come: the copy compares what it is there with the mark.
    private func isAltered(_ table: TableName, since mark: TableShape?) throws -> Bool {
        guard let mark, mapping.mayBeShared(target: try target(of: table)) else { return false }
        return try isChangedOnSource(table, mark)
    }
}

/// What becomes of followed tables when one of them is copied again.
struct CopyForecast {
    /// Tables as they are at the mark: all of them are followed.
    let mark: [TableName: TableShape]
    /// Tables as the copy will find them.
    let now: [TableName: TableShape]

    /// Whether a table will be gone, or another one.
    func differs(_ table: TableName) -> Bool {
        now[table]?.withNamelessForeignKeys != mark[table]?.withNamelessForeignKeys
    }

    /// The followed tables that are copied with one, which is among them, and those that are since
    /// others can't be created beside them.
    func copied(
        with table: TableName
    ) -> (emptied: Set<TableName>, outgrown: Set<TableName>) {
        var emptied: Set<TableName> = [table]
        var outgrown: Set<TableName> = []
        while true {
            let count = emptied.count
            emptied.formUnion(tied(to: emptied))
            let found = self.outgrown(besides: emptied)
            outgrown.formUnion(found)
            emptied.formUnion(found)
            if emptied.count == count { return (emptied, outgrown) }
        }
    }

    /// Followed tables that take part in actions, where these reach such a table and what takes part
    /// is tied by foreign keys to what is copied.
    private func tied(to copied: Set<TableName>) -> Set<TableName> {
        let followed = Set(mark.keys).subtracting(copied)
        let names = Set(now.keys).union(mark.keys)
        var neighbours: [TableName: Set<TableName>] = [:]
        var acting: [(parent: TableName, child: TableName)] = []
        for shape in Array(now.values) + Array(mark.values) {
            for key in shape.foreignKeys where names.contains(key.parent) {
                neighbours[shape.name, default: []].insert(key.parent)
                neighbours[key.parent, default: []].insert(shape.name)
                guard key.onDelete.changesChildren || key.onUpdate.changesChildren else { continue }
                acting.append((key.parent, shape.name))
            }
        }
        var out: Set<TableName> = []
        var seen: Set<TableName> = []
        // What comes is copied, too: a parent by its new name.
        for start in now.keys where !followed.contains(start) && !seen.contains(start) {
            var all: Set<TableName> = [start]
            var open = [start]
            while let next = open.popLast() {
                for other in neighbours[next] ?? [] where all.insert(other).inserted {
                    open.append(other)
                }
            }
            seen.formUnion(all)
            let actions = acting.filter { all.contains($0.child) }
            guard actions.contains(where: { followed.contains($0.child) }) else { continue }
            for action in actions { out.formUnion([action.parent, action.child]) }
        }
        // What the source has no more is not copied.
        return out.intersection(followed).filter { now[$0] != nil }
    }

    /// Followed tables that lack at the mark what foreign keys of copied ones refer to by now, and
    /// those whose foreign keys at the mark the copied ones do not meet any more.
    private func outgrown(besides copied: Set<TableName>) -> Set<TableName> {
        let followed = Set(mark.keys).subtracting(copied)
        var kept = followed
        while true {
            var found: Set<TableName> = []
            for child in now.values where !kept.contains(child.name) {
                for key in child.foreignKeys where kept.contains(key.parent) {
                    guard let before = mark[key.parent], let parent = now[key.parent],
                        key.isMet(by: parent, from: child), !key.isMet(by: before, from: child)
                    else { continue }
                    found.insert(key.parent)
                }
            }
            for name in kept {
                guard let child = mark[name] else { continue }
                for key in child.foreignKeys where !kept.contains(key.parent) {
                    guard let parent = now[key.parent], !key.isMet(by: parent, from: child),
                        mark[key.parent].map({ key.isMet(by: $0, from: child) }) ?? true
                    else { continue }
                    found.insert(name)
                }
            }
            if found.isEmpty { return followed.subtracting(kept) }
            kept.subtract(found)
        }
    }
}
