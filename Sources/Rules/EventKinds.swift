public import MySQLCore
public import MySQLSyntax

extension DDL {
    /// What the statement is to an event filter: one set for each action of an ALTER TABLE, one
    /// set for any other statement; an empty one for statements that no word of a filter means.
    ///
    /// An action is what DM makes of it (`drop column`, say) and `alter table` as well: with DM,
    /// since it has the finer kinds, `alter table` alone lets most ALTERs through.
    ///
    /// - Parameter before: the table as it is before the statement, which tells what modified
    ///   columns and dropped keys were.
    public func eventKinds(before: TableShape? = nil) -> [Set<EventSelector>] {
        switch self {
        case .createSchema: [[.createSchema]]
        case .alterSchema(let d):
            d.options.charset != nil || d.options.collation != nil
                ? [[.alterSchema, .modifySchemaCharset]] : [[.alterSchema]]
        case .dropSchema: [[.dropSchema]]
        case .createTable: [[.createTable]]
        case .dropTables: [[.dropTable]]
        case .renameTables: [[.renameTable]]
        case .truncateTable: [[.truncateTable]]
        case .createIndex: [[.createIndex]]
        case .dropIndex(let d):
            before?.isUnique(key: d.name) == true ? [[.dropIndex, .dropUniqueKey]] : [[.dropIndex]]
        case .alterTable(let d): d.eventKinds(before)
        case .createObject(let d): d.kind == .view ? [[.createView]] : [[]]
        case .dropObject(let d): d.kind == .view ? [[.dropView]] : [[]]
        case .alterObject: [[]]
        }
    }
}

extension TableShape {
    fileprivate func isUnique(key name: String) -> Bool {
        keys.contains { $0.isUnique && $0.name.lowercased() == name.lowercased() }
    }
}

extension AlterTable {
    fileprivate func eventKinds(_ before: TableShape?) -> [Set<EventSelector>] {
        let several: Set<EventSelector> = actions.count > 1 ? [.multipleActions] : []
        let all = actions.map { $0.eventKinds(before).union(several).union([.alterTable]) }
        return all.isEmpty ? [[.alterTable]] : all
    }
}

extension AlterAction {
    fileprivate func eventKinds(_ before: TableShape?) -> Set<EventSelector> {
        switch self {
        case .addColumn: return [.addColumn]
        case .dropColumn: return [.dropColumn]
        case .modifyColumn(let column, let place, _):
            return column.changes(from: before, named: column.name, place)
        case .changeColumn(let old, let column, let place, _):
            var kinds = column.changes(from: before, named: old, place)
            if old.lowercased() != column.name.lowercased() { kinds.insert(.renameColumn) }
            return kinds
        case .renameColumn: return [.renameColumn]
        case .alterColumnDefault(_, let value, _):
            return value == nil ? [.modifyDefaultValue] : [.modifyDefaultValue, .setDefaultValue]
        case .addKey(let key, _):
            return key.kind == .primary
                ? [.modifyConstraint, .addPrimaryKey] : [.modifyConstraint]
        case .dropKey(let name, _):
            return before?.isUnique(key: name) == true
                ? [.dropIndex, .dropUniqueKey] : [.dropIndex]
        case .dropPrimaryKey: return [.dropPrimaryKey]
        case .renameKey: return [.renameIndex]
        case .alterKeyVisibility: return [.alterIndexVisibility]
        case .addForeignKey: return [.modifyConstraint, .addForeignKey]
        case .dropForeignKey: return [.dropForeignKey]
        case .addCheck: return [.modifyConstraint]
        case .renameTable: return [.renameTable]
        case .convertCharset(_, let collation):
            return collation == nil
                ? [.modifyCharset, .modifyTableCharset]
                : [.modifyCharset, .modifyCollation, .modifyTableCharset]
        case .options(let options): return options.eventKinds
        case .partition(let operation): return operation.eventKinds
        case .exchangePartition: return [.exchangePartition]
        default: return []
        }
    }
}

extension TableOptions {
    fileprivate var eventKinds: Set<EventSelector> {
        var kinds: Set<EventSelector> = []
        if charset != nil { kinds.formUnion([.modifyCharset, .modifyTableCharset]) }
        if collation != nil { kinds.formUnion([.modifyCollation, .modifyTableCharset]) }
        if engine != nil { kinds.insert(.modifyStorageEngine) }
        if comment != nil { kinds.insert(.modifyTableComment) }
        if autoIncrement != nil { kinds.insert(.rebaseAutoIncrement) }
        return kinds
    }
}

extension PartitionOperation {
    fileprivate var eventKinds: Set<EventSelector> {
        switch self {
        case .add: [.addPartition]
        case .drop: [.dropPartition]
        case .truncate: [.truncatePartition]
        case .coalesce: [.coalescePartition]
        case .reorganize: [.reorganizePartition]
        case .rebuild: [.rebuildPartition]
        case .partitionBy: [.alterPartitioning]
        case .remove: [.removePartitioning]
        default: []
        }
    }
}

extension ColumnDefinition {
    /// What a MODIFY or CHANGE does to the column. Without its shape before nothing is known but
    /// that it is one; changes of defaults alone can't be seen, since shapes have none.
    fileprivate func changes(
        from table: TableShape?, named old: String, _ place: ColumnPlace
    ) -> Set<EventSelector> {
        var kinds: Set<EventSelector> = []
        if place != .unchanged { kinds.insert(.modifyColumnsOrder) }
        guard let table, let index = table.columnIndex(old), let new = dataType else {
            return kinds
        }
        let column = table.columns[index]
        if let kind = column.type.change(to: new.type) { kinds.insert(kind) }
        if column.isAutoIncrement, !isAutoIncrement { kinds.insert(.removeAutoIncrement) }
        if case .named(let charset) = new.charset, let before = column.charset, charset != before {
            kinds.insert(.modifyCharset)
        }
        if let collation = new.collation, let before = column.collation, collation != before {
            kinds.insert(.modifyCollation)
        }
        return kinds
    }
}

extension ColumnType {
    /// DM's name for a change of type; `nil` where values stay as they are.
    fileprivate func change(to new: ColumnType) -> EventSelector? {
        let isShorter =
            (new.length ?? 0) > 0 && ((new.length ?? 0) < (length ?? 0) || new.decimals < decimals)
        if kind == new.kind {
            switch kind {
            case .decimal:
                let isSame =
                    (length ?? 10) == (new.length ?? 10) && decimals == new.decimals
                    && isUnsigned == new.isUnsigned
                return isSame ? nil : .precisionDecrease
            case .enum, .set:
                return new.elements.starts(with: elements) ? nil : .valueRangeDecrease
            case .tinyint, .smallint, .mediumint, .int, .bigint:
                return isUnsigned == new.isUnsigned ? nil : .precisionDecrease
            case .binary: return (length ?? 1) == (new.length ?? 1) ? nil : .precisionDecrease
            default:
                return isShorter || isUnsigned != new.isUnsigned ? .valueRangeDecrease : nil
            }
        }
        if isCharacters, new.isCharacters {
            let isCharPair = Set([kind, new.kind]) == [.char, .varchar]
            return isCharPair || isShorter || (new.room ?? .max) < (room ?? .max)
                ? .modifyColumn : nil
        }
        if isInteger, new.isInteger {
            return new.integerRank < integerRank || isUnsigned != new.isUnsigned
                ? .valueRangeDecrease : nil
        }
        return .modifyColumn
    }

    private var isCharacters: Bool { isText || isBinary }

    /// Bytes that a TEXT or BLOB type has room for, as a rank.
    private var room: Int? {
        switch kind {
        case .tinytext, .tinyblob: 1
        case .text, .blob: 2
        case .mediumtext, .mediumblob: 3
        case .longtext, .longblob: 4
        default: nil
        }
    }

    private var integerRank: Int {
        switch kind {
        case .tinyint: 1
        case .smallint: 2
        case .mediumint: 3
        case .int: 4
        default: 5
        }
    }
}
