import MySQLCore

/// ALTER TABLE on shapes. The server makes the new list of columns first, then the keys from the
/// old ones and the new, then settles charsets; so it is here.
extension SchemaState {
    mutating func alterTable(
        _ d: AlterTable, _ context: SyntaxContext
    ) throws(ShapeError) -> [TableName] {
        guard let old = tables[d.table] else {
            if d.ifExists { return [] }
            throw .unknownTable(d.table)
        }
        var alteration = Alteration(
            shape: old, generated: generatedKeys[d.table] ?? [], state: self, context: context)
        try alteration.apply(d.actions)
        tables[d.table] = alteration.shape
        generatedKeys[d.table] = alteration.generated.isEmpty ? nil : alteration.generated
        renameParentColumns(of: d.table, alteration.renamedColumns)
        var changed = [d.table]
        for action in d.actions {
            switch action {
            case .addSystemVersioning: addSystemVersioning(to: d.table, addedColumns(d))
            case .options(let options) where options.hasSystemVersioning:
                addSystemVersioning(to: d.table, addedColumns(d))
            case .dropSystemVersioning: dropSystemVersioning(from: d.table)
            case .convertPartitionToTable(_, let table):
                var copy = alteration.shape
                copy.name = table
                copy.foreignKeys = []
                forget(table)
                tables[table] = copy
                changed.append(table)
            case .convertTableToPartition(let table, _):
                forget(table)
                changed.append(table)
            default: break
            }
        }
        if let name = d.renamedTo {
            rename(d.table, to: name, context)
            changed.append(name)
        }
        return changed
    }

    private func addedColumns(_ d: AlterTable) -> [ColumnDefinition] {
        d.actions.compactMap { if case .addColumn(let column, _, _) = $0 { column } else { nil } }
    }

    private mutating func dropSystemVersioning(from table: TableName) {
        guard implicitlyVersioned.remove(table) != nil else { return }
        tables[table]?.columns.removeLast(2)
    }

    /// Foreign keys of other tables follow a parent's renamed columns.
    private mutating func renameParentColumns(of table: TableName, _ names: [String: String]) {
        guard !names.isEmpty else { return }
        for (name, shape) in tables where shape.foreignKeys.contains(where: { $0.parent == table })
        {
            var shape = shape
            for i in shape.foreignKeys.indices where shape.foreignKeys[i].parent == table {
                shape.foreignKeys[i].parentColumns = shape.foreignKeys[i].parentColumns.map {
                    names[$0.lowercased()] ?? $0
                }
            }
            tables[name] = shape
        }
    }
}

/// One table while ALTER TABLE changes it.
struct Alteration {
    var shape: TableShape
    /// Names of keys that were made for foreign keys.
    var generated: Set<String>
    let state: SchemaState
    let context: SyntaxContext
    /// Columns with another name now: old name in lower case to new name.
    var renamedColumns: [String: String] = [:]
    private var droppedColumns: Set<String> = []
    /// What each of the new columns answers to when the old keys look for theirs.
    private(set) var sources: [ColumnSource] = []

    init(
        shape: TableShape, generated: Set<String>, state: SchemaState, context: SyntaxContext
    ) {
        self.shape = shape
        self.generated = generated
        self.state = state
        self.context = context
    }

    var table: TableName { shape.name }

    mutating func apply(_ actions: [AlterAction]) throws(ShapeError) {
        for case .other(let text) in actions {
            throw .notCarried(table, reason: "an unknown action '\(text.prefix(40))'")
        }
        let keys = actions.count { if case .addKey = $0 { true } else { false } }
        guard actions.count <= 2 * SchemaState.mostColumns,
            keys + shape.keys.count <= SchemaState.mostKeys
        else { throw .notCarried(table, reason: "more columns or keys than a server allows") }
        let before = shape
        let conversion = try settleDefaults(actions)
        try applyColumns(actions)
        if let conversion {
            for i in shape.columns.indices {
                shape.columns[i].convert(to: conversion.charset, conversion.collation, context)
            }
        }
        let newKeys = newKeys(actions, before)
        state.makePrimaryNotNull(&shape.columns, newKeys)
        let periods = actions.compactMap { (action) -> PeriodDefinition? in
            if case .addPeriod(let period) = action { period } else { nil }
        }
        state.makePeriodsNotNull(&shape.columns, periods)
        try applyForeignKeys(actions)
        try applyKeys(actions, newKeys, before)
    }

    /// Table options; gives what CONVERT TO asks for.
    private mutating func settleDefaults(
        _ actions: [AlterAction]
    ) throws(ShapeError) -> SchemaDefaults? {
        let schema = state.schemas[table.schema] ?? state.serverDefaults(context)
        var defaults = SchemaDefaults(
            charset: shape.charset ?? schema.charset, collation: shape.collation ?? schema.collation
        )
        var conversion: SchemaDefaults?
        for action in actions {
            switch action {
            case .options(let options):
                defaults = state.settle(options, inheriting: defaults, schema, context)
                if let engine = options.engine { shape.engine = state.spelled(engine: engine) }
            case .convertCharset(let charset, let collation):
                var options = TableOptions()
                options.charset = charset
                options.collation = collation
                defaults = state.settle(options, inheriting: schema, schema, context)
                conversion = defaults
            default: break
            }
        }
        shape.charset = defaults.charset
        shape.collation = defaults.collation
        return conversion
    }

    // MARK: Columns

    private struct Change {
        var column: ColumnShape
        var place: ColumnPlace
    }

    private mutating func applyColumns(_ actions: [AlterAction]) throws(ShapeError) {
        let defaults = SchemaDefaults(
            charset: shape.charset ?? "", collation: shape.collation ?? "")
        let settler = ColumnSettler(table: table, defaults: defaults, context: context)
        var changes: [String: Int] = [:]
        var list: [Change] = []
        for action in actions {
            switch action {
            case .dropColumn(let name, let ifExists):
                guard shape.columnIndex(name) != nil else {
                    if ifExists { continue }
                    throw .unknownColumn(table, name)
                }
                droppedColumns.insert(name.lowercased())
            case .modifyColumn(let column, let place, let ifExists),
                .changeColumn(_, let column, let place, let ifExists):
                var old = column.name
                if case .changeColumn(let name, _, _, _) = action { old = name }
                guard let index = shape.columnIndex(old) else {
                    // MariaDB lets a statement change a column that it has just added, found by the
                    // new name (and does not look at the old one).
                    if let added = list.firstIndex(where: { same($0.column.name, column.name) }) {
                        list[added].column = try settler.shape(of: column)
                        if place != .unchanged { list[added].place = place }
                        continue
                    }
                    if ifExists { continue }
                    throw .unknownColumn(table, old)
                }
                let new = try settled(column, over: shape.columns[index], settler)
                changes[old.lowercased()] = list.count
                list.append(Change(column: new, place: place))
                noteRenaming(from: shape.columns[index].name, to: new.name)
            case .renameColumn(let old, let new, let ifExists):
                guard let index = shape.columnIndex(old) else {
                    if ifExists { continue }
                    throw .unknownColumn(table, old)
                }
                var column = shape.columns[index]
                noteRenaming(from: column.name, to: new)
                column.name = new
                changes[old.lowercased()] = list.count
                list.append(Change(column: column, place: .unchanged))
            case .addColumn(let column, let place, let ifNotExists):
                if ifNotExists, shape.columnIndex(column.name) != nil { continue }
                list.append(Change(column: try settler.shape(of: column), place: place))
            default: continue
            }
        }
        try arrange(changes, list)
        for case .alterColumnVisibility(let name, let isInvisible) in actions {
            guard let index = shape.columnIndex(name) else { throw .unknownColumn(table, name) }
            shape.columns[index].isInvisible = isInvisible
        }
    }

    /// A changed column; without a type only what is said changes.
    private func settled(
        _ column: ColumnDefinition, over old: ColumnShape, _ settler: ColumnSettler
    ) throws(ShapeError) -> ColumnShape {
        guard column.dataType == nil else { return try settler.shape(of: column) }
        var out = old
        out.name = column.name
        return out
    }

    private mutating func noteRenaming(from old: String, to new: String) {
        if old != new { renamedColumns[old.lowercased()] = new }
    }

    /// Puts the columns in order: those that stay, with changed ones in their old place; then, one
    /// after the other, new ones are put in and those with another place are moved.
    private mutating func arrange(
        _ changes: [String: Int], _ list: [Change]
    ) throws(ShapeError) {
        var columns: [(column: ColumnShape, change: Int?)] = []
        for column in shape.columns where !droppedColumns.contains(column.name.lowercased()) {
            let index = changes[column.name.lowercased()]
            columns.append((index.map { list[$0].column } ?? column, index))
        }
        // The implicit columns of system versioning stay behind all others.
        let hidden = state.implicitlyVersioned.contains(table) ? 2 : 0
        for (i, change) in list.enumerated() {
            let old = columns.firstIndex { $0.change == i }
            if let old {
                guard change.place != .unchanged else { continue }
                columns.remove(at: old)
            }
            switch change.place {
            case .unchanged: columns.insert((change.column, i), at: columns.count - hidden)
            case .first: columns.insert((change.column, i), at: 0)
            case .after(let name):
                guard let index = columns.firstIndex(where: { same($0.column.name, name) }) else {
                    throw .unknownColumn(table, name)
                }
                columns.insert((change.column, i), at: index + 1)
            }
        }
        let oldNames = Dictionary(changes.map { ($1, $0) }) { first, _ in first }
        sources = columns.map { column, change in
            let old = change.map { oldNames[$0] } ?? column.name.lowercased()
            return ColumnSource(name: old ?? column.name.lowercased(), isNew: old == nil)
        }
        try use(columns.map(\.column))
    }

    private mutating func use(_ columns: [ColumnShape]) throws(ShapeError) {
        var names: Set<String> = []
        for column in columns where !names.insert(column.name.lowercased()).inserted {
            throw .columnExists(table, column.name)
        }
        guard !columns.isEmpty else { throw .notCarried(table, reason: "it has no columns left") }
        shape.columns = columns
    }

    // MARK: Keys

    private mutating func applyKeys(
        _ actions: [AlterAction], _ newKeys: [KeyDefinition], _ before: TableShape
    ) throws(ShapeError) {
        var dropped: Set<String> = []
        var renamed: [String: String] = [:]
        let names = Set(before.keys.map { $0.name.lowercased() })
        for action in actions {
            switch action {
            case .dropPrimaryKey(let ifExists):
                guard names.contains("primary") || ifExists else {
                    throw .unknownKey(table, "PRIMARY")
                }
                dropped.insert("primary")
            case .dropKey(let name, let ifExists):
                guard names.contains(name.lowercased()) || ifExists else {
                    throw .unknownKey(table, name)
                }
                dropped.insert(name.lowercased())
            case .dropConstraint(let name, _):
                // A foreign key of that name was dropped before; a CHECK is not in the shape.
                let isForeign = before.foreignKeys.contains { same($0.name, name) }
                if names.contains(name.lowercased()), !isForeign {
                    dropped.insert(name.lowercased())
                }
            case .renameKey(let old, let new, let ifExists):
                guard names.contains(old.lowercased()) || ifExists else {
                    throw .unknownKey(table, old)
                }
                renamed[old.lowercased()] = new
            default: break
            }
        }
        var builder = KeyBuilder(table: table, columns: [])
        for key in before.keys where !dropped.contains(key.name.lowercased()) {
            guard var kept = try carried(key, before) else { continue }
            if key.isPrimary {
                let names = Set(kept.parts.compactMap(\.column))
                for i in shape.columns.indices where names.contains(shape.columns[i].name) {
                    shape.columns[i].isNullable = false
                }
            }
            kept.name = renamed[key.name.lowercased()] ?? key.name
            builder.keys.append(
                .init(
                    key: kept, isGenerated: generated.contains(key.name),
                    kind: key.isPrimary ? .primary : key.isUnique ? .unique : .plain))
        }
        builder.columns = shape.columns
        for case .addPeriod(let period) in actions { builder.periods.append(period) }
        for key in newKeys { try builder.add(key) }
        generated = Set(builder.keys.filter(\.isGenerated).map(\.key.name))
        shape.keys = builder.sorted()
    }

    // MARK: Foreign keys

    private mutating func applyForeignKeys(_ actions: [AlterAction]) throws(ShapeError) {
        for i in shape.foreignKeys.indices {
            shape.foreignKeys[i].columns = shape.foreignKeys[i].columns.map {
                renamedColumns[$0.lowercased()] ?? $0
            }
        }
        let before = shape.foreignKeys
        for action in actions {
            switch action {
            case .dropForeignKey(let name, let ifExists):
                guard before.contains(where: { same($0.name, name) }) || ifExists else {
                    throw .unknownKey(table, name)
                }
                shape.foreignKeys.removeAll { same($0.name, name) }
            case .dropConstraint(let name, _):
                shape.foreignKeys.removeAll { same($0.name, name) }
            default: break
            }
        }
        for case .addForeignKey(let foreignKey, let ifNotExists) in actions {
            let name = foreignKey.indexName ?? foreignKey.name ?? foreignKey.columns.first
            if ifNotExists, let name, before.contains(where: { same($0.name, name) }) { continue }
            let parent = foreignKey.parent == table ? shape : state.tables[foreignKey.parent]
            // The number counts from the names that were there before anything was dropped.
            let known = before + shape.foreignKeys
            shape.foreignKeys.append(foreignKey.shape(of: table, after: known, parent, context))
        }
    }
}

private func same(_ a: String, _ b: String) -> Bool { a.lowercased() == b.lowercased() }
