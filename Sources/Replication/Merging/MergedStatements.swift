internal import Checkpoint
internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Rules
internal import Runtime

// Statements on tables that are merged into one. Each of them tells only what becomes of its own
// table; what the table of the target needs is told by all of them together, those of the task's
// other sources included, and is decided under the lock of that table (`MergedAlter`).

/// A statement on one of several tables that are merged into one.
struct MergedChange: Sendable {
    enum Kind: Sendable {
        case create
        case alter(AlterTable)
        /// CREATE INDEX or DROP INDEX: an action that is a statement of its own.
        case key(AlterTable)
    }

    let kind: Kind
    /// The statement with the target's names.
    let statement: Statement
    let context: SyntaxContext
    let table: TableName
    let target: TableName
    /// The table before and after it; `nil` where it is not there.
    let before: TableShape?
    let after: TableShape
    /// The source's other tables that go there.
    let own: [TableName: TableShape]
    /// Columns that routes fill.
    let filled: [String]

    /// How columns are computed that it is about, by lower-case names.
    var expressions: [String: String] {
        let definitions: [ColumnDefinition] =
            switch statement.ddl {
            case .createTable(let create): create.columns
            case .alterTable(let alter): alter.actions.compactMap(\.definition)
            default: []
            }
        return Dictionary(
            definitions.compactMap { column in
                column.expression.map { (column.name.lowercased(), $0) }
            }, uniquingKeysWith: { _, new in new })
    }
}

extension AlterAction {
    /// What it says of a column.
    fileprivate var definition: ColumnDefinition? {
        switch self {
        case .addColumn(let column, _, _), .modifyColumn(let column, _, _),
            .changeColumn(_, let column, _, _):
            column
        default: nil
        }
    }
}

/// What a table of the source is now that is merged with others.
struct NotedTable: Sendable {
    let name: TableName
    let target: TableName
    /// `nil` where it is gone.
    let shape: TableShape?
    /// Whether its rows stay all the same.
    var leavesRows = false
}

extension StatementHandler {
    /// What becomes of a statement on a merged table; `nil` where it is on none, or on several.
    func merged(
        _ ddl: DDL, _ statement: Statement, _ wanted: Set<TableName>, _ event: Event
    ) throws -> Decision? {
        // What a new table is like is only read.
        let changed: Set<TableName> =
            if case .createTable(let create) = ddl { [create.table] } else { wanted }
        guard catalog.followsMerged, !changed.isEmpty, changed.isSubset(of: wanted),
            try changed.allSatisfy({ try catalog.sharesItsTarget($0) })
        else { return nil }
        // What can't be done beside others is done as usual where there are none; the target's tables
        // are looked at once more then.
        func refused(_ table: TableName, _ detail: String) throws -> Decision? {
            guard try catalog.hasOthersRows(table) else { return nil }
            throw refusal(table, detail, event)
        }
        let kind: MergedChange.Kind
        switch ddl {
        case .truncateTable(let truncate):
            try refuseFailed(event)
            // It has run, and what others have put there since stays anyway.
            if applied.contains(event.end.identity) { return .filtered([ddl], event.context) }
            let going = try tablesWithoutOthers([truncate.table], event)
            return going.isEmpty ? .filtered([ddl], event.context) : nil
        case .createTable(let create):
            guard !create.orReplace, !isFromSelect(create) else {
                return try refused(create.table, "it brings rows, or takes some away")
            }
            kind = .create
        case .alterTable(let alter): kind = .alter(alter)
        case .createIndex(let create):
            guard !create.orReplace else {
                return try refused(create.table, "it drops an index that others may need")
            }
            let action = AlterAction.addKey(create.key, ifNotExists: create.ifNotExists)
            kind = .key(AlterTable(table: create.table, actions: [action]))
        case .dropIndex(let drop):
            let action: AlterAction =
                drop.name.uppercased() == "PRIMARY"
                ? .dropPrimaryKey(ifExists: drop.ifExists)
                : .dropKey(drop.name, ifExists: drop.ifExists)
            kind = .key(AlterTable(table: drop.table, actions: [action]))
        default: return nil
        }
        guard changed.count == 1, let table = changed.first else { return nil }
        try refuseFailed(event)
        if applied.contains(event.end.identity) { return .filtered([ddl], event.context) }
        var after = catalog.state
        guard (try? after.apply(ddl, context: event.context)) != nil,
            let shape = after.tables[table]
        else { return try refused(table, "what it makes of the table is not known") }
        // IF NOT EXISTS, and it was there.
        if case .create = kind, catalog.state.tables[table] != nil { return .pass }
        var part = try part(ddl, statement, wanted, event, catalog.state)
        let target = try catalog.target(of: table)
        part.existAfter = [target]
        let renamed = try parseStatement(part.sql, context: event.context)
        var request = DDLRequest(identity: event.end.identity, parts: [part])
        // The target is not to become what this source has.
        request.isPartial = true
        request.merged = MergedChange(
            kind: kind, statement: renamed, context: event.context, table: table, target: target,
            before: catalog.state.tables[table], after: shape,
            own: try catalog.othersThere(than: table, target),
            filled: try catalog.route(of: table).extracted.map(\.name))
        return .run(request, [ddl], event.context)
    }

    /// Those of the tables that a statement takes away, or empties, whose rows go with it: those of
    /// merged ones can't be told from the others', and stay where some are.
    func tablesWithoutOthers(_ tables: [TableName], _ event: Event) throws -> [TableName] {
        guard catalog.followsMerged else { return tables }
        return try tables.filter { table in
            guard try catalog.hasOthersRows(table) else { return true }
            guard catalog.state.tables[table] != nil else { return false }
            let target = try catalog.target(of: table)
            catalog.abandonedTargets.insert(target)
            catalog.warnings.append(
                "rows of \(table), which the source has dropped or emptied (at "
                    + "\(event.position)), stay in \(target), where others are merged with them")
            return false
        }
    }

    private func refusal(
        _ table: TableName, _ detail: String, _ event: Event
    ) -> ReplicationError {
        .unsupported(
            event.position,
            detail: "a statement changes \(table), which is merged with others, and \(detail): "
                + "change the table of the target by hand, and leave the statement out")
    }

    private func isFromSelect(_ create: CreateTable) -> Bool {
        Self.isFromSelect(.createTable(create))
    }
}

extension TableCatalog {
    /// Whether rows of other tables go where a table's go, or have gone there, or may.
    func sharesItsTarget(_ table: TableName) throws -> Bool {
        guard mapping.movesTables || mapping.hasOthers else { return false }
        let target = try target(of: table)
        return try isMerged(table) || mapping.mayBeShared(target: target)
            || abandonedTargets.contains(target)
    }

    /// Whether rows of other tables are where a table's are. That there are none is looked at again
    /// when the statement runs.
    func hasOthersRows(_ table: TableName) throws -> Bool {
        guard try sharesItsTarget(table) else { return false }
        let target = try target(of: table)
        let hasOthers =
            try isMerged(table) || abandonedTargets.contains(target) || othersWrite(target)
        if !hasOthers { foundAlone.insert(target) }
        return hasOthers
    }

    /// Other tables of the source whose rows go to a table of the target.
    func othersThere(
        than table: TableName, _ target: TableName
    ) throws -> [TableName: TableShape] {
        try state.tables.filter { name, _ in
            try name != table && mapping.selects(name) && self.target(of: name) == target
        }
    }

    /// The tables that are merged with others, as they are now.
    func mergedTables() throws -> [NotedTable] {
        guard followsMerged, mapping.movesTables || mapping.hasOthers else { return [] }
        return try state.tables.sorted { $0.key < $1.key }.compactMap { name, shape in
            guard mapping.selects(name) else { return nil }
            let target = try target(of: name)
            guard mayHoldOthers(target) else { return nil }
            return NotedTable(name: name, target: target, shape: shape)
        }
    }

    /// What is to be told when a run begins: the merged tables, and those that others were told of
    /// and that the rules of today lead elsewhere, or merge with none.
    ///
    /// That a table is not there says nothing: it may have been made behind the mark, and have rows
    /// on the target already. What the source has dropped goes when that statement comes again, which
    /// no mark is above before it is told.
    func mergedAtStart() throws -> [NotedTable] {
        let now = try mergedTables()
        let names = Set(now.map(\.name))
        let parted = toldOfMerged.filter { name, target in
            guard !names.contains(name) else { return false }
            return !followsMerged || !mapping.selects(name)
                || (try? self.target(of: name)) != target || !mayHoldOthers(target)
        }
        return now
            + parted.sorted { $0.key < $1.key }.map {
                NotedTable(name: $0.key, target: $0.value, shape: nil)
            }
    }

    /// Whether rows of several tables may be in a table of the target, as far as the rules and the
    /// source's own tables tell.
    private func mayHoldOthers(_ target: TableName) -> Bool {
        merged.contains(target) || abandonedTargets.contains(target)
            || mapping.mayBeShared(target: target)
    }

    /// Those of the tables that a statement has changed.
    func mergedTables(_ changed: [(TableName, TableShape?)]) throws -> [NotedTable] {
        try changed.compactMap { name, shape in
            guard mapping.selects(name) else { return nil }
            // One that is gone is known where it was told of before.
            guard try shape == nil || sharesItsTarget(name) else { return nil }
            let target = try target(of: name)
            return NotedTable(
                name: name, target: target, shape: shape,
                leavesRows: shape == nil && abandonedTargets.contains(target))
        }
    }
}

extension ReplicationRun {
    /// Tells the other sources what merged tables are.
    ///
    /// - Parameter areNew: what has been told of one before is newer: its shape here is of the mark.
    func note(_ tables: [NotedTable], areNew: Bool) async throws {
        let reply = Reply<Void>()
        ddlMailbox.send(.note(tables, areNew: areNew, reply))
        try await reply.value()
    }
}
