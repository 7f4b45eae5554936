internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Settings

// What is migrated, and how, may change between two runs: routes, filters, which tables. From the
// mark on, the new rules count; so nothing may be applied above it, or it would have been applied by
// the old ones there and by the new ones beside it (`protocol.md`, section 5): that is finished with
// the old ones first, but where tables leave and nothing else changes. Tables may leave, and come, with their rows copied before anything else is
// applied. None may go to another place that does not have its rows.

extension Migration {
    /// Takes other rules than those that the target holds, where that loses nothing. Nothing of the
    /// migration runs meanwhile.
    ///
    /// - Returns: false, with nothing changed, where the subtask is not as `known` any more.
    /// - Throws: ``MigrationError/otherMigration(name:detail:)`` where they must stay;
    ///   ``PrecheckFailure`` where what they choose anew can't be written.
    func changeRules(
        _ known: SubtaskState, from stored: MigrationIdentity, to identity: MigrationIdentity,
        because difference: String, _ source: Connection, _ target: Connection
    ) throws -> Bool {
        func refuse(_ why: String) -> MigrationError {
            .otherMigration(name: settings.name, detail: "\(difference); \(why)")
        }
        // Of a copy that others have been followed before, tables may be taken out again.
        let isCopying = known.phase == "copy" && known.lowWater != nil
        guard known.phase == "follow" || known.phase == "complete" || isCopying else {
            throw refuse("they may change when the copy is done")
        }
        // What is unfinished is finished by them, beside the other sources' rows.
        guard let old = try stored.mapping(source).map({ settings.sharing($0) }) else {
            throw refuse("those can't be read any more")
        }
        let new = settings.mapping
        let shapes = try StoredShapes(meta: meta, key: key).read(target)
        let copied = Set(shapes.map(\.name))
        // What the old rules have wanted, and is not there at the mark, comes with its CREATE.
        let coming = try source.baseTables().filter {
            new.selects($0) && !copied.contains($0) && !old.selects($0)
        }
        if !coming.isEmpty { try requireCopyable(coming, known, old, source, target, refuse) }
        var moved: [TableName] = []
        for shape in shapes where new.selects(shape.name) {
            let (before, now) = (try old.route(of: shape.name), try new.route(of: shape.name))
            guard before != now else { continue }
            moved.append(shape.name)
            let filled = now.extracted.map(\.name)
            let there = try SchemaReader(target).shape(of: now.target)
            let why = there.map { ShapeDifference.first(shape, $0, filled: filled) }
            guard let why else {
                throw refuse(
                    "\(shape.name) would go to \(now.target), which is not there: move its rows first"
                )
            }
            if let why {
                throw refuse("\(shape.name) would go to \(now.target), which differs: \(why)")
            }
        }
        try requireRepeatable(shapes, known, from: old, to: new, target, refuse)
        var change = Coordinator.RuleChange(identity: identity.encoded, known: copied)
        change.coming = coming.sorted()
        change.leaving = copied.filter { !new.selects($0) }.sorted()
        // A record of what has gone would refuse changes of the settings for ever.
        change.forgotten = try StoredObjects(meta: meta, key: key).read(target)
            .filter { $0.kind == .found && !copied.contains($0.name) && !new.selects($0.name) }
            .map(\.name)
        // What was left out is not on the target, or still there, whatever the new ones say.
        change.loose = copied.filter { new.selects($0) && old.leavesOutRows(of: $0) }.sorted()
        change.stale = try objects(of: source) { new.keeps(object: $0) && !old.keeps(object: $0) }
            .map {
                StaleObject(
                    $0, position: known.lowWater?.description ?? "",
                    reason: "rules have left it out until then")
            }
        // As before a first start: triggers of the target would repeat what the binlog carries, and
        // it does not carry what a parent that has left does to the children that stay.
        try precheck(
            source, target,
            only: ["target-triggers", "event-scheduler", "expression-filters", "foreign-keys"])
        try requireEmptyWhereLeft(copied, coming, target, refuse)
        let gone = shapes.filter { !new.selects($0.name) }.map(\.name)
        // Rows are there of what is being copied, and will be of what comes.
        let copying = try isCopying ? copyingTables(target) : []
        let begun = copied.union(copying)
        try requireUntied(
            leaving: begun.filter { !new.selects($0) }.sorted(), of: old,
            staying: begun.filter { new.selects($0) }.union(coming).sorted(), coming: coming,
            source, target, refuse)
        for child in shapes where new.selects(child.name) {
            // As of the mark: the source may have dropped it since, and what it did comes still.
            for key in child.foreignKeys where gone.contains(key.parent) {
                guard key.onDelete.changesChildren || key.onUpdate.changesChildren else { continue }
                throw refuse(
                    "\(key.parent) would be left, whose changes reach \(child.name) by its foreign "
                        + "key \(key.name), which no binlog tells")
            }
        }
        let (token, epoch) = nextRun()
        let session = try TargetSession(settings.target, role: .coordinator)
        let state = try Takeover(meta: meta, key: key).take(
            session, token: token, epoch: epoch, lanes: 0)
        didTakeOver(state)
        // Another process may have written between the look and the takeover, and can't from now on.
        guard state.phase == known.phase, state.identity == known.identity else { return false }
        change.mark = state.lowWater
        try noteCopies(in: &change, isCopying: isCopying, session.connection)
        let coordinator = Coordinator(session: session, meta: meta, key: key, token: token)
        // Of tables that leave nothing is applied any more, and to those that stay the same rules did
        // and do the same: what was applied above the mark counts. The row of a table that can't be
        // applied must not hold up that the table is taken out.
        let onlyLeaves =
            change.coming.isEmpty && moved.isEmpty && change.stale.isEmpty
            && stored.differsInTables(onlyFrom: identity)
        switch state.carried.isEmpty || onlyLeaves ? try coordinator.change(change) : .undecided {
        case .done: break
        case .outdated: return false
        case .undecided:
            guard isCopying else { throw UnfinishedRules(mapping: old) }
            throw refuse("something is applied that its checkpoint has not passed yet")
        }
        logger.notice(
            "the rules have changed",
            metadata: [
                "left": "\(change.leaving)", "moved": "\(moved)", "came": "\(change.coming)",
            ])
        return true
    }

    /// What another tool may have applied already is applied once more: new rules may not take away
    /// what that needs.
    private func requireRepeatable(
        _ shapes: [TableShape], _ known: SubtaskState, from old: TableMapping,
        to new: TableMapping, _ target: Connection, _ refuse: (String) -> MigrationError
    ) throws {
        let stored = try StoredObjects(meta: meta, key: key).read(target)
        guard let end = try openStretch(stored, known) else { return }
        let before = Set(AdoptedStretch.unrepeatable(shapes, old))
        let tables = AdoptedStretch.unrepeatable(shapes.filter { new.selects($0.name) }, new)
            .filter { !before.contains($0) }
        guard tables.isEmpty else {
            throw refuse(
                "changes up to \(end) may be on the target already, and those of "
                    + "\(someNames(tables)) could not be repeated any more: let it go on until "
                    + "there with the old ones")
        }
    }

    /// Up to where another tool may have applied changes, while the mark has not passed that.
    func openStretch(
        _ stored: [StoredObject], _ known: SubtaskState
    ) throws -> SourcePosition? {
        guard let end = try Adoption.read(stored)?.stretchEnd() else { return nil }
        guard let mark = known.lowWater else { return end }
        // Files of another server say nothing, and names alone not where there were none.
        let isSame = mark.origin.server == end.origin.server
        let hasNames = end.gtids != .none
        let isPassed =
            (isSame || hasNames) && (!isSame || mark.binlog >= end.binlog)
            && (!hasNames || mark.gtids.holds(end.gtids))
        return isPassed ? nil : end
    }

    /// Views and routines that the source has.
    func objects(
        of source: Connection, where isWanted: (TableName) -> Bool
    ) throws -> [StaleObject.ID] {
        let schemas = Set(try SchemaReader(source).schemas())
        let rows = try source.rows(
            """
            SELECT 'view', TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEWS UNION ALL \
            SELECT LOWER(ROUTINE_TYPE), ROUTINE_SCHEMA, ROUTINE_NAME \
            FROM information_schema.ROUTINES
            """)
        return rows.compactMap { row in
            guard let kind = row[0].flatMap(StaleObject.Kind.init) else { return nil }
            let id = StaleObject.ID(kind, TableName(schema: row[1] ?? "", name: row[2] ?? ""))
            return schemas.contains(id.name.schema) && isWanted(id.name) ? id : nil
        }
    }
}

extension MigrationIdentity {
    /// The rules as they act on a source; `nil` when they can't be read.
    func mapping(_ source: Connection) throws(MySQLError) -> TableMapping? {
        guard let given = sourceRules else {
            guard rules == nil else { return nil }
            let tables = self.tables.map { TablePattern($0) }
            let excluded = self.excluded.map { TablePattern($0) }
            guard (tables + excluded).allSatisfy({ $0 != nil }) else { return nil }
            return TableMapping(
                TableSelection(
                    tables: tables.compactMap { $0 }, excluded: excluded.compactMap { $0 }),
                onlineNames: online == true ? .standard : nil)
        }
        let lowerCase = try source.lowerCaseTableNames()
        return try? TableMapping(given.comparing(lowerCaseTableNames: lowerCase))
    }
}
