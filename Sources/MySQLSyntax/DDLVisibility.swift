extension DDL {
    /// Whether it may run when its tables still look as they did before it, and nothing was
    /// written since: either it shows in their definitions, so that it has not run, or running
    /// it again changes nothing.
    ///
    /// Two equal tables that change places, or a table and a partition, look the same before and
    /// after: only the server's own table ids tell.
    public var isSafeToRunIfUnseen: Bool {
        if isIdempotentWhileDrained { return true }
        switch self {
        case .renameTables(let d): return Set(d.tablesBefore) != Set(d.tablesAfter)
        case .alterTable(let d): return d.actions.allSatisfy(\.isSafeToRunIfUnseen)
        case .createTable, .dropTables, .createIndex, .dropIndex, .createSchema, .dropSchema:
            return true
        default: return false
        }
    }
}

extension DDL {
    /// Whether the server makes up the name of something that the statement adds: run once more, it
    /// adds it once more, and no error says so.
    public var addsUnnamed: Bool {
        guard case .alterTable(let alter) = self else { return false }
        // With a column that only comes, or only goes, all of it is refused the second time.
        var come: Set<String> = []
        var gone: Set<String> = []
        var isGuarded = false
        for action in alter.actions {
            switch action {
            case .addColumn(let column, _, let ifNotExists):
                come.insert(column.name.lowercased())
                isGuarded = isGuarded || ifNotExists
            case .dropColumn(let name, let ifExists):
                gone.insert(name.lowercased())
                isGuarded = isGuarded || ifExists
            case .renameColumn(let from, let to, let ifExists):
                gone.insert(from.lowercased())
                come.insert(to.lowercased())
                isGuarded = isGuarded || ifExists
            case .changeColumn(let from, let column, _, let ifExists)
            where from.lowercased() != column.name.lowercased():
                gone.insert(from.lowercased())
                come.insert(column.name.lowercased())
                isGuarded = isGuarded || ifExists
            default: break
            }
        }
        let failsAgain = !isGuarded && come != gone
        return !failsAgain
            && alter.actions.contains { action in
                switch action {
                case .addKey(let key, _): key.name == nil && key.kind != .primary
                case .addForeignKey(let key, _): key.name == nil
                case .addCheck(let check, _): check.name == nil
                case .modifyColumn(let column, _, _), .changeColumn(_, let column, _, _):
                    column.checks.contains { $0.name == nil }
                default: false
                }
            }
    }

    /// The engine that the statement gives a table when it is one that rolls nothing back; `nil`
    /// for transactional ones and where none is named.
    public var engineWithoutTransactions: String? {
        var engine: String?
        switch self {
        case .createTable(let d): engine = d.options.engine
        case .alterTable(let d):
            for case .options(let options) in d.actions { engine = options.engine ?? engine }
        default: break
        }
        let known: Set<String> = ["INNODB", "ROCKSDB", "TOKUDB", "XTRADB", "NDBCLUSTER", "NDB"]
        return engine.flatMap { known.contains($0.uppercased()) ? nil : $0 }
    }
}

extension AlterAction {
    /// The same for one action.
    fileprivate var isSafeToRunIfUnseen: Bool {
        if isIdempotent { return true }
        switch self {
        case .addColumn, .dropColumn, .changeColumn, .renameColumn, .addKey, .dropKey, .renameKey,
            .dropPrimaryKey, .addForeignKey, .dropForeignKey, .addCheck, .dropCheck,
            .dropConstraint, .renameTable, .addSystemVersioning, .dropSystemVersioning, .addPeriod,
            .dropPeriod:
            return true
        case .partition(let operation):
            switch operation {
            case .add, .drop, .coalesce, .reorganize, .remove: return true
            default: return false
            }
        case .convertPartitionToTable, .convertTableToPartition: return true
        default: return false
        }
    }
}
