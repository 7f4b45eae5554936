internal import MySQLCore

/// What foreign keys change on their own: rows of children, of which a binlog has nothing, when rows
/// of their parents change.
struct ChildChanges: Sendable, Hashable {
    /// Tables that such keys can change, with their parents; `nil` among them where the definition
    /// does not say which.
    private(set) var parents: [TableName: Set<TableName?>] = [:]

    /// Takes a table's foreign keys from its definition, which a user sees who may read the table.
    mutating func add(_ table: TableName, _ definition: String) {
        guard let text = CreateTableText(definition) else {
            parents[table] = [nil]
            return
        }
        for item in text.items {
            let words = item.uppercased()
            let changes = ["DELETE", "UPDATE"].contains { event in
                ["CASCADE", "SET NULL", "SET DEFAULT"].contains {
                    words.contains("ON \(event) \($0)")
                }
            }
            guard changes, words.contains("FOREIGN KEY") else { continue }
            var parent: TableName?
            var one = text
            one.items = [item]
            one.renameParents(from: table.schema) { name in
                parent = name
                return name
            }
            parents[table, default: []].insert(parent)
        }
    }

    /// Those of unchanged tables of which no row can have been changed by a key: all their parents,
    /// and these ones' parents, are among them.
    func unchanged(_ tables: Set<TableName>) -> Set<TableName> {
        var left = tables
        while true {
            let changed = left.filter { table in
                parents[table]?.contains { parent in
                    // A table that is its own parent is changed by changes of its own alone.
                    parent != table && !(parent.map { left.contains($0) } ?? false)
                } ?? false
            }
            if changed.isEmpty { return left }
            left.subtract(changed)
        }
    }
}
