internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime
internal import Settings
internal import Stream

// Tables that other rules take into a migration that follows. Their rows are copied in views behind
// the mark, and nothing is applied before they are there; then each is followed from its own
// position, the others from the mark. What would end such a copy, which holds up all the others, is
// looked for before anything changes.

extension Migration {
    /// Refuses tables whose rows can't be copied as those of a first copy are.
    func requireCopyable(
        _ tables: [TableName], _ known: SubtaskState, _ old: TableMapping, _ source: Connection,
        _ target: Connection, _ refuse: (String) -> MigrationError
    ) throws {
        let names = someNames(tables.sorted())
        guard settings.mode != .incremental else {
            throw refuse(
                "\(names) would come in, and in mode incremental no rows are copied: copy them by a "
                    + "migration of their own, or change the mode")
        }
        let stored = try StoredObjects(meta: meta, key: key).read(target)
        if let end = try openStretch(stored, known) {
            throw refuse(
                "changes up to \(end) may be on the target already: tables may come when those are "
                    + "passed")
        }
        // Positions of two servers can't be compared, and the new views are of the one that is asked.
        let server = try SourceSession(source).serverName()
        guard let mark = known.lowWater, mark.origin.server == server else {
            throw refuse(
                "\(names) would come in, and the source is another server than the one that was "
                    + "followed last: let it go on with the old ones first")
        }
        // It may lie far behind a copy that was complete.
        guard try goesOn(from: mark, source) else {
            throw refuse(
                "\(names) would come in, and the binlog from \(mark) on, where the others go on, is "
                    + "not there any more")
        }
        let mapping = settings.mapping
        let left = Set(stored.filter { $0.kind == .left }.map(\.name))
        let again = try tables.sorted().filter { left.contains($0) }.filter { table in
            let place = try mapping.target(of: table)
            let isMerged = try copiedTables(target).contains {
                try mapping.selects($0) && mapping.target(of: $0) == place
            }
            guard settings.intoExisting || isMerged || mapping.mayBeShared(target: place) else {
                return false
            }
            let isThere = try SchemaReader(target).shape(of: place) != nil
            return try isThere && !Prechecks.nonEmpty(target, [place]).isEmpty
        }
        guard again.isEmpty else {
            throw refuse(
                "\(someNames(again)) would come in again, and rows of before can't be told from "
                    + "others there: empty the table on the target, or migrate it under another name"
            )
        }
        try heed(
            Prechecks(settings: settings).run(
                arriving: Set(tables), source: source, target: target))
    }

    /// Whether what comes behind a mark of this server can be read.
    private func goesOn(from mark: SourcePosition, _ source: Connection) throws -> Bool {
        let file = mark.binlog.file
        if try SourceSession(source).files().contains(where: { $0.name == file }) { return true }
        return try relay.hasFile(file)
    }

    /// Refuses tables that come by a CREATE while the rows that they had before they left lie there.
    ///
    /// - Parameter other: the subtask that they have left; `nil` for this one.
    func requireEmptyWhereLeft(
        _ copied: Set<TableName>, _ coming: [TableName], of other: SubtaskKey? = nil,
        _ target: Connection, _ refuse: (String) -> MigrationError
    ) throws {
        let stored = StoredObjects(meta: meta, key: other ?? key)
        let left = try stored.read(target).filter { $0.kind == .left }
            .map(\.name).filter {
                settings.mapping.selects($0) && !copied.contains($0) && !coming.contains($0)
            }
        let full = try left.filter {
            let place = try settings.mapping.target(of: $0)
            return try SchemaReader(target).shape(of: place) != nil
                && !Prechecks.nonEmpty(target, [place]).isEmpty
        }
        guard full.isEmpty else {
            throw refuse(
                "\(someNames(full.sorted())) would come in again when it is created, and rows of "
                    + "before are on the target: drop it there")
        }
    }

    /// Refuses tables that leave, and stay on the target, where a foreign key there ties them to
    /// those that are followed, or one that comes will: it would refuse what the source does.
    func requireUntied(
        leaving: [TableName], of old: TableMapping, staying: [TableName], coming: [TableName],
        _ source: Connection, _ target: Connection, _ refuse: (String) -> MigrationError
    ) throws {
        guard !leaving.isEmpty else { return }
        for (child, shape) in try SchemaReader(source).shapes(of: coming).sorted(by: {
            $0.key < $1.key
        }) {
            for key in shape.foreignKeys where leaving.contains(key.parent) {
                throw refuse(
                    "\(key.parent) would be left as it is, and \(child), which comes, refers to it: "
                        + "keep \(key.parent), or exclude \(child)")
            }
        }
        let gone = Set(try leaving.map { try old.target(of: $0) })
        let kept = Set(try staying.map { try settings.mapping.target(of: $0) }).subtracting(gone)
        for (table, shape) in try SchemaReader(target).shapes(of: gone.union(kept)).sorted(by: {
            $0.key < $1.key
        }) {
            for key in shape.foreignKeys {
                guard
                    gone.contains(table) && kept.contains(key.parent)
                        || kept.contains(table) && gone.contains(key.parent)
                else { continue }
                throw refuse(
                    "\(gone.contains(table) ? table : key.parent) would be left as it is, and the "
                        + "foreign key \(key.name) of \(table) on the target ties it to what is "
                        + "followed: drop that foreign key, or the table, on the target")
            }
        }
    }

    private func copiedTables(_ target: Connection) throws -> [TableName] {
        try StoredShapes(meta: meta, key: key).read(target).map(\.name)
    }

    /// Tables that are being copied while others are followed, or wait for it.
    func copyingTables(_ target: Connection) throws -> Set<TableName> {
        let stored = try StoredObjects(meta: meta, key: key).read(target)
        return Set(
            stored.filter { [.identity, .restart, .coming].contains($0.kind) }.map(\.name)
        ).filter { !$0.name.isEmpty }
    }

    /// Finds out whose chunks stay, and whether anything is to be copied still.
    func noteCopies(
        in change: inout Coordinator.RuleChange, isCopying: Bool, _ target: Connection
    ) throws {
        let new = settings.mapping
        let copying = try copyingTables(target)
        if isCopying {
            change.isCopying = copying.contains { new.selects($0) }
            let gone = copying.filter { !new.selects($0) }
            change.leaving = Set(change.leaving).union(gone).sorted()
        }
        guard let mark = change.mark else { return }
        let ranges = try CopyLedger(meta: meta, key: key).ranges(target)
        change.copied = Set(ranges.filter { !$0.value.isPassed(by: mark) }.keys)
            .union(isCopying ? copying : []).subtracting(change.leaving)
            .subtracting(change.coming)
    }

    /// Goes on with rules that are to change up to where the source is now, so that nothing is
    /// applied above the mark.
    func finish(by old: UnfinishedRules) async throws {
        logger.notice("what has begun is finished with the rules of before")
        let (state, place) = try await withThread("control") {
            let state = try Takeover(meta: self.meta, key: self.key)
                .peek(Connection(self.settings.target))
            return (state, try SourceSession(Connection(self.settings.source)).place())
        }
        guard let state, state.phase == "follow" else { throw StaleLook() }
        try await openRelay(state)
        _ = try await follow(to: place, by: old.mapping) {}
        // Where it was stopped before, nothing changes.
        if isStopping { throw StaleLook() }
    }
}

/// The rules are to change, and something is applied above the mark that was read by the old ones.
struct UnfinishedRules: Error {
    let mapping: TableMapping
}

extension Connection {
    /// All tables of the server that have rows.
    func baseTables() throws(MySQLError) -> [TableName] {
        try rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES "
                + "WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
        ).map { TableName(schema: $0[0] ?? "", name: $0[1] ?? "") }
    }
}
