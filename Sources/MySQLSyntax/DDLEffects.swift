public import MySQLCore

/// What DDL does, as far as a migration asks.
extension DDL {
    /// The tables it names by the names they have before it runs; those it creates included.
    public var tablesBefore: [TableName] {
        switch self {
        case .createTable(let d): [d.table] + (d.like.map { [$0] } ?? [])
        case .dropTables(let d): d.tables
        case .renameTables(let d): d.tablesBefore
        case .truncateTable(let d): [d.table]
        case .alterTable(let d): [d.table] + d.otherTables
        case .createIndex(let d): [d.table]
        case .dropIndex(let d): [d.table]
        case .createObject(let d):
            d.kind == .view || d.kind == .sequence ? [d.name] : d.table.map { [$0] } ?? []
        case .alterObject(let d): d.kind == .view || d.kind == .sequence ? [d.name] : []
        case .dropObject(let d): d.kind == .view || d.kind == .sequence ? d.names : []
        case .createSchema, .alterSchema, .dropSchema: []
        }
    }

    /// The tables it names by the names they have afterwards; those it drops are left out.
    public var tablesAfter: [TableName] {
        switch self {
        case .dropTables: []
        case .renameTables(let d): d.tablesAfter
        case .alterTable(let d):
            [d.renamedTo ?? d.table]
                + d.actions.compactMap {
                    switch $0 {
                    case .exchangePartition(_, let table), .convertPartitionToTable(_, let table):
                        table
                    default: nil
                    }
                }
        case .dropObject: []
        default: tablesBefore
        }
    }

    /// The schema that it creates, changes or drops as a whole.
    public var schema: String? {
        switch self {
        case .createSchema(let d): d.name
        case .alterSchema(let d): d.name
        case .dropSchema(let d): d.name
        default: nil
        }
    }

    /// Whether it concerns only a temporary table, which no other session sees.
    public var isTemporary: Bool {
        switch self {
        case .createTable(let d): d.isTemporary
        case .dropTables(let d): d.isTemporary
        case .createObject(let d): d.isTemporary
        default: false
        }
    }

    /// Whether table shapes can differ afterwards.
    public var changesShape: Bool {
        switch self {
        case .createTable, .dropTables: !isTemporary
        case .createSchema(let d): d.orReplace
        case .dropSchema, .renameTables, .createIndex, .dropIndex: true
        case .alterTable(let d): d.actions.contains(where: \.changesShape)
        case .truncateTable, .createObject, .alterObject, .dropObject, .alterSchema: false
        }
    }

    /// Whether a table keeps its old rows from then on (MariaDB).
    public var addsSystemVersioning: Bool {
        switch self {
        case .createTable(let d):
            d.options.hasSystemVersioning
                || d.periods.contains { $0.name.uppercased() == "SYSTEM_TIME" }
        case .alterTable(let d):
            d.actions.contains { action in
                switch action {
                case .addSystemVersioning: true
                case .options(let options): options.hasSystemVersioning
                default: false
                }
            }
        default: false
        }
    }

    /// Whether running it a second time, with no row written in between, leaves what running it
    /// once leaves, without an error.
    public var isIdempotentWhileDrained: Bool {
        switch self {
        case .createSchema(let d): d.ifNotExists || d.orReplace
        case .alterSchema: true
        case .dropSchema(let d): d.ifExists
        case .createTable(let d): (d.ifNotExists || d.orReplace) && !d.isFromSelect
        case .dropTables(let d): d.ifExists
        case .renameTables: false
        case .truncateTable: true
        case .alterTable(let d): d.actions.allSatisfy(\.isIdempotent)
        case .createIndex(let d): d.ifNotExists || d.orReplace
        case .dropIndex(let d): d.ifExists
        case .createObject(let d): d.ifNotExists || d.orReplace
        case .alterObject(let d): d.renamedTo == nil
        case .dropObject(let d): d.ifExists
        }
    }
}

extension RenameTables {
    /// The tables that it takes. A name that an earlier renaming gave, as when two tables change
    /// places by way of a third name, is none of them.
    var tablesBefore: [TableName] {
        var given: Set<TableName> = []
        return renamings.compactMap { renaming in
            defer { given.insert(renaming.to) }
            return given.remove(renaming.from) == nil ? renaming.from : nil
        }
    }

    /// The names that are left when all renamings are done.
    var tablesAfter: [TableName] {
        var left: [TableName] = []
        for renaming in renamings {
            left.removeAll { $0 == renaming.from }
            left.append(renaming.to)
        }
        return left
    }
}

extension AlterTable {
    /// Tables besides its own that it changes or takes in.
    var otherTables: [TableName] {
        actions.compactMap {
            switch $0 {
            case .exchangePartition(_, let table), .convertTableToPartition(let table, _): table
            default: nil
            }
        }
    }
}

extension AlterAction {
    /// Whether a table's columns, keys, foreign keys, name, engine or defaults can differ
    /// afterwards.
    public var changesShape: Bool {
        switch self {
        case .alterColumnDefault, .alterKeyVisibility, .addCheck, .dropCheck, .alterCheck,
            .orderBy, .partition, .exchangePartition, .force, .enableKeys, .disableKeys,
            .algorithm, .lock, .validation, .discardTablespace, .importTablespace,
            .secondaryEngine, .dropPeriod, .addPeriod:
            false
        case .options(let options):
            options.engine != nil || options.charset != nil || options.collation != nil
                || options.hasSystemVersioning
        default:
            true
        }
    }

    /// Whether doing it again changes nothing and is no error.
    public var isIdempotent: Bool {
        switch self {
        case .addColumn(_, _, let isGuarded), .addKey(_, let isGuarded),
            .addForeignKey(_, let isGuarded), .addCheck(_, let isGuarded),
            .dropColumn(_, let isGuarded), .dropKey(_, let isGuarded),
            .dropForeignKey(_, let isGuarded), .dropConstraint(_, let isGuarded),
            .dropPrimaryKey(let isGuarded), .renameColumn(_, _, let isGuarded),
            .renameKey(_, _, let isGuarded):
            isGuarded
        case .modifyColumn, .alterColumnDefault, .alterColumnVisibility, .alterKeyVisibility,
            .alterCheck, .convertCharset, .options, .orderBy, .force, .enableKeys, .disableKeys,
            .algorithm, .lock, .validation:
            true
        case .changeColumn(let old, let column, _, let isGuarded):
            isGuarded || old == column.name
        case .partition(let operation):
            switch operation {
            case .truncate, .rebuild, .analyze, .check, .optimize, .repair, .partitionBy: true
            default: false
            }
        default:
            false
        }
    }
}
