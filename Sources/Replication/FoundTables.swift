internal import Checkpoint
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

// Tables that were taken over from a task that had not created them may hold rows of their users:
// a record says so for as long as they are there, and by it they are never dropped or emptied to be
// copied. A table that is gone, or has another name, must not leave one behind: it would refuse
// changes of the settings for ever, and a table that comes by that name is the subtask's own.

extension TableCatalog {
    /// Lets the records follow tables to their new names.
    ///
    /// - Parameters:
    ///   - hasRun: whether the target has done what the statement says; else what is there under the
    ///     old name stays known, too.
    ///   - later: tables that the statement does not reach: they were copied behind it.
    func carryFound(over ddl: DDL, hasRun: Bool, except later: Set<TableName>) {
        guard !found.isEmpty else { return }
        // Where each is when all renamings are done: names are used again on the way.
        var places = Dictionary(uniqueKeysWithValues: found.map { ($0, $0) })
        for (from, to) in ddl.newNames {
            for (name, place) in places where place == from { places[name] = to }
        }
        let moved = places.filter { name, place in
            name != place && mapping.selects(place) && !later.contains(name)
                && !later.contains(place)
        }
        guard !moved.isEmpty else { return }
        let now = (hasRun ? found.subtracting(moved.keys) : found).union(moved.values)
        for name in found.subtracting(now).sorted() {
            changes.append(ObjectChange(removing: .found, name))
        }
        for name in now.subtracting(found).sorted() {
            var change = ObjectChange(removing: .found, name)
            change.stored = StoredObject(kind: .found, name: name, definition: [])
            changes.append(change)
        }
        found = now
    }

    /// Those of them that a statement has left without a shape.
    func foundTables(goneBy changed: [(TableName, TableShape?)]) -> [TableName] {
        guard !found.isEmpty else { return [] }
        return changed.filter { $0.1 == nil && found.contains($0.0) }.map { $0.0 }
    }

    /// Forgets those of which the target has no table any more.
    ///
    /// - Parameter isThere: whether it has one by that name.
    func forgetFound(_ tables: [TableName], _ isThere: (TableName) -> Bool) throws {
        for table in tables where try !isThere(target(of: table)) {
            found.remove(table)
            changes.append(ObjectChange(removing: .found, table))
        }
    }
}
