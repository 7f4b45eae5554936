internal import Checkpoint
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

// A record says of a table that the subtask's copy has created it: where tables of users are on the
// target, too (`into-existing`), only such a one is ever dropped or emptied. It is known by its name,
// and names change hands: where a table that somebody else has made gets the name of one that was
// dropped, or that has another name by now, a record that stayed behind would have its rows deleted.
//
// The record goes with a table to its new name. What was recorded there of its definition is of the
// old name, and not taken along: when it is copied again, it is made anew.

extension TableCatalog {
    /// Lets the records follow tables to their new names, and go where another table gets the name.
    ///
    /// - Parameters:
    ///   - hasRun: whether the target has done what the statement says; else nothing is known of
    ///     either name.
    ///   - later: tables that the statement does not reach: they were copied behind it.
    func carryCreated(over ddl: DDL, hasRun: Bool, except later: Set<TableName>) {
        guard !created.isEmpty else { return }
        // Where each is when all renamings are done, by its name before; names that are used on the
        // way are nobody's.
        var places: [TableName: TableName] = [:]
        var met: Set<TableName> = []
        for (from, to) in ddl.newNames {
            if !met.contains(from), places[from] == nil { places[from] = from }
            for (name, place) in places where place == from { places[name] = to }
            met.insert(to)
        }
        let moved = places.filter { name, place in
            name != place && !later.contains(name) && !later.contains(place)
        }
        guard !moved.isEmpty else { return }
        var now = created.subtracting(moved.keys).subtracting(moved.values)
        if hasRun {
            for (name, place) in moved where created.contains(name) && mapping.selects(place) {
                now.insert(place)
            }
        }
        for name in created.subtracting(now).sorted() {
            changes.append(ObjectChange(removing: .table, name))
        }
        // Also where there was one: its definition was that of another table.
        for name in now.intersection(moved.values).sorted() {
            var change = ObjectChange(removing: .table, name)
            change.stored = StoredObject(kind: .table, name: name, definition: [])
            changes.append(change)
        }
        created = now
    }
}

extension DDL {
    /// Names that tables get by it, in order.
    var newNames: [(from: TableName, to: TableName)] {
        switch self {
        case .renameTables(let rename): rename.renamings.map { (from: $0.from, to: $0.to) }
        case .alterTable(let alter):
            alter.renamedTo.map { [(from: alter.table, to: $0)] } ?? []
        default: []
        }
    }
}
