internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime

/// One run of a copy: its sessions, and the order of its steps.
struct CopyRun: Sendable {
    /// What a task of the run ended with.
    enum Part: Sendable {
        case pair
        case keeper
        case lead(SnapshotResult)
    }

    let configuration: SnapshotConfiguration
    /// What is copied; with what is followed already, until the ledger tells that.
    private(set) var plan: SnapshotPlan
    /// Everything that is selected.
    private let all: SnapshotPlan
    let progress: SnapshotProgress
    let interrupts: Interrupts
    let control: CopyControl
    let schema: SchemaCopier
    let barrier: RunBarrier
    private(set) var views: SnapshotViews
    let work = Awaited<CopyWork>()
    /// Set when every pair has ended.
    let rowsDone = Latch()
    private let ended = Latch()
    private let idle: [IdleSession]

    init(
        configuration: SnapshotConfiguration, plan: SnapshotPlan, progress: SnapshotProgress,
        interrupts: Interrupts
    ) {
        self.configuration = configuration
        self.plan = plan
        all = plan
        self.progress = progress
        self.interrupts = interrupts
        idle = (0..<configuration.pairs).map { _ in IdleSession() }
        control = CopyControl(configuration, interrupts)
        schema = SchemaCopier(configuration, interrupts, lane: configuration.pairs)
        barrier = RunBarrier(lanes: configuration.pairs + 1)
        views = SnapshotViews(
            source: configuration.source, origin: configuration.origin, interrupts: interrupts,
            tables: plan.tables)
    }

    func pair(_ index: Int) -> CopyPair {
        CopyPair(
            index: index, configuration: configuration, control: control, schema: schema,
            plan: plan, interrupts: interrupts, progress: progress, views: views,
            idle: idle[index])
    }

    /// Ends every wait of the run.
    func fail(_ error: any Error) {
        barrier.publish(.failure(error))
        work.give(.failure(error))
        ended.set()
    }

    /// Makes durable that tables must start over; the next run then does it. When that fails too,
    /// the next run meets the same error.
    func remember(_ error: any Error) async {
        guard let error = error as? SnapshotError, error.isRetryable else { return }
        let tables: [TableName] =
            switch error {
            case .tableChanged(let table): [table]
            case .startsOver(let tables, _): tables
            default: []
            }
        try? await mustStartOver(tables)
    }

    /// Keeps the run's sessions open, and shows that it lives; blocks its thread now and then.
    func keepAlive() async throws {
        while !(await ended.wait(upTo: .seconds(10))) {
            try Task.checkCancellation()
            try await control.beat()
            try await schema.ping()
            for session in idle { session.ping() }
        }
    }

    /// Takes over, prepares tables, opens views, and, when the pairs are done, ends the copy.
    func lead(_ epoch: EpochPolicy, _ token: RunToken) async throws -> SnapshotResult {
        defer { ended.set() }
        let state = try await takeOver(epoch, token)
        progress.set(.schema)
        let (_, recorded, objects) = try await control.ledger()
        var owned: [TableName: String] = [:]
        // What other rules have left behind is nobody's business any more.
        let created = objects.created
        for object in objects
        where object.kind == .table && created.contains(object.name)
            && plan.isSelected(object.name)
        {
            owned[object.name] = String(decoding: object.definition, as: UTF8.self)
        }
        let earlier = try TableIdentities(objects)
        // Before any view is opened.
        let identities = try await schema.identities(plan)
        let begun = Self.followed(recorded, objects, earlier, state)
        // Before the first copy has ended there are none.
        let mark = try await control.shapes()
        var run = self
        run.plan = plan.tied(besides: begun, at: mark)
        try run.requireMet(begun, mark, recorded, objects, earlier)
        let chunks = try await run.startOver(
            recorded, objects, &owned, isFirst: state.lowWater == nil, earlier, identities,
            followed: begun, at: mark)
        let whole = Self.whole(chunks)
        let followed = begun.intersection(whole)
        let stored = StoredObjects(meta: configuration.meta, key: configuration.key)
        try await control.write(
            identities.changes(since: earlier, but: whole).map { stored.storeStatement($0) })
        // What is followed is nobody's business here: its rows, its definition and its indexes are
        // the stream's.
        run.plan = run.plan.keeping(earlier, of: whole).without(followed)
        run.views = SnapshotViews(
            source: configuration.source, origin: configuration.origin, interrupts: interrupts,
            tables: run.plan.tables)
        for table in followed { owned[table] = nil }
        progress.begin(run.plan, holdsOthers: !followed.isEmpty)
        return try await run.copy(
            state, chunks.filter { !followed.contains($0.table) }, followed, whole, owned, objects,
            earlier, identities)
    }

    /// Tables that changes have been applied to, and that are not copied again: the target has them
    /// as of the mark. Of those that are copied in this phase there is an identity until its end.
    private static func followed(
        _ chunks: [ChunkRecord], _ objects: [StoredObject], _ earlier: TableIdentities,
        _ state: SubtaskState
    ) -> Set<TableName> {
        guard state.lowWater != nil else { return [] }
        let restart = Set(objects.filter { $0.kind == .restart }.map(\.name))
        return whole(chunks).filter { earlier[$0] == nil && !restart.contains($0) }
    }

    /// Has followed tables copied again beside which tables to be created are refused, since foreign
    /// keys between them are not met as of the mark: the stream would bring what is missing, and
    /// waits for the copy.
    private func requireMet(
        _ followed: Set<TableName>, _ mark: [TableShape], _ chunks: [ChunkRecord],
        _ objects: [StoredObject], _ earlier: TableIdentities
    ) throws {
        // Into tables that exist, what is there is not created: it is looked at before.
        guard !configuration.intoExisting else { return }
        try requireMet(followed, mark, chunks, objects, earlier, beside: [], ownTargets: nil)
    }

    /// The same in a migration into tables that exist.
    private func requireMetThere(
        _ followed: Set<TableName>, _ mark: [TableShape], _ chunks: [ChunkRecord],
        _ objects: [StoredObject], _ earlier: TableIdentities
    ) async throws {
        guard configuration.intoExisting, !followed.isEmpty else { return }
        let own = try plan.targets(recordedIn: objects)
        let others = plan.tables.filter {
            !followed.contains($0.name) && !own.contains($0.target)
        }
        let there = try await schema.present(others.map(\.target))
        let kept = Set(others.filter { there.contains($0.target) }.map(\.name))
        try requireMet(followed, mark, chunks, objects, earlier, beside: kept, ownTargets: own)
    }

    /// - Parameters:
    ///   - others: tables that are not followed, and stay as their users have made them.
    ///   - ownTargets: tables of the target without rows that were there before; `nil` for all.
    private func requireMet(
        _ followed: Set<TableName>, _ mark: [TableShape], _ chunks: [ChunkRecord],
        _ objects: [StoredObject], _ earlier: TableIdentities, beside others: Set<TableName>,
        ownTargets: Set<TableName>?
    ) throws {
        let restart = Set(objects.filter { $0.kind == .restart }.map(\.name))
        // Those that are tied to what comes start over anyway.
        let kept = followed.subtracting(plan.exactGroups.flatMap { $0 })
        // What is whole is there as it was read.
        let made = plan.keeping(earlier, of: Self.whole(chunks).subtracting(restart))
            .without(others)
        let outgrown = made.outgrown(kept, at: mark)
        guard !outgrown.isEmpty else { return }
        // What can't start over must not be told to.
        let refusal = try all.refusal(
            outgrown, startOverWith: followed, at: mark, ownTargets: ownTargets)
        if let refusal { throw refusal }
        throw SnapshotError.startsOver(
            outgrown,
            detail: "foreign keys tie it to a table that comes, by what has changed since")
    }

    /// Makes the target this run's, as a subtask that copies.
    private func takeOver(_ epoch: EpochPolicy, _ token: RunToken) async throws -> SubtaskState {
        async let joined: Void = schema.join(barrier)
        let state = try await control.takeOver(
            barrier, token: token, epoch: epoch, lanes: configuration.pairs + 1,
            progress: progress)
        progress.tookOver(state.epoch)
        try await joined
        guard state.phase == "copy" else { throw SnapshotError.notCopying(phase: state.phase) }
        try await schema.lock()
        return state
    }

    /// Copies what is missing, and ends the copy.
    ///
    /// - Parameters:
    ///   - followed: tables that are not copied, but followed already.
    ///   - whole: tables whose rows are all there.
    ///   - earlier: which tables earlier runs have copied.
    ///   - identities: which tables are copied now.
    // Swift 6.3's optimiser crashes on the one function that it makes of this and lead().
    @inline(never)
    private func copy(
        _ state: SubtaskState, _ chunks: [ChunkRecord], _ followed: Set<TableName>,
        _ whole: Set<TableName>,
        _ known: [TableName: String], _ objects: [StoredObject], _ earlier: TableIdentities,
        _ identities: TableIdentities
    ) async throws -> SnapshotResult {
        // Before any database is made of what they are.
        let defaults = try await schema.defaults()
        var owned = known
        try await createTables(chunks, followed, &owned)
        let lacked = try await schema.lackedIndexes(plan, owned)

        progress.set(.views)
        let copied = try await openViews(
            chunks, whole, lacked, identities, state.lowWater, defaults)
        progress.set(.rows)
        work.give(.success(copied))
        await rowsDone.wait()
        try Task.checkCancellation()
        // Once changes are applied, the stream has told what became of views and routines.
        if state.lowWater == nil {
            progress.set(.objects)
            try await copyObjects(objects)
        }
        return try await finish(
            state, followed: followed, earlier, seen: copied.views.flatMap(\.records))
    }

    /// Empties tables whose unfinished copy can't go on, and forgets their chunks; drops those
    /// that this subtask created by a definition which the source has no more.
    ///
    /// - Parameters:
    ///   - isFirst: whether no change has been applied yet.
    ///   - earlier: which tables were copied until now.
    ///   - now: which ones there are.
    ///   - followed: tables that are not copied, but followed already.
    ///   - mark: tables as they are at the mark.
    /// - Returns: the chunks that stay.
    private func startOver(
        _ chunks: [ChunkRecord], _ objects: [StoredObject], _ owned: inout [TableName: String],
        isFirst: Bool, _ earlier: TableIdentities, _ now: TableIdentities,
        followed: Set<TableName>, at mark: [TableShape]
    ) async throws -> [ChunkRecord] {
        try await requireMetThere(followed, mark, chunks, objects, earlier)
        let restart = Set(objects.filter { $0.kind == .restart }.map(\.name))
        var anew = restart
        // Once changes have been applied, they will drop what the source has no more, but for what
        // is of no use to them.
        let half = earlier.begun(chunks, owned).subtracting(Self.whole(chunks))
        let gone = try await dropVanished(
            chunks, owned, earlier, only: isFirst ? nil : restart, half: half)
        for table in gone { owned[table] = nil }
        anew.subtract(gone)
        let chunks = chunks.filter { !gone.contains($0.table) }
        let byTable = Dictionary(grouping: chunks, by: \.table)
        let whole = Self.whole(chunks)
        // What is whole, with all that is merged with it, was what it was when it was read, and the
        // target has it by that definition; the stream brings what became of it since.
        let settled = Set(
            try plan.tables.map(\.name).filter { table in
                try followed.contains(table)
                    || plan.merged(with: table).allSatisfy {
                        followed.contains($0)
                            || whole.contains($0) && !restart.contains($0) && earlier[$0] != nil
                    }
            })
        anew.formUnion(
            earlier.differing(from: now).filter { byTable[$0] != nil && !settled.contains($0) })
        // What was recorded of a table says nothing of what the stream has made of it.
        let kept = isFirst || configuration.intoExisting ? [] : plan.sharedAsBefore(at: mark)
        var changed = try await schema.changed(
            owned.filter { !settled.contains($0.key) && !kept.contains($0.key) })
        anew.formUnion(changed)
        // What needs one view has it as long as the run lives, and no longer.
        var count: Int
        repeat {
            count = anew.count
            for group in plan.exactGroups {
                let begun = group.filter { byTable[$0] != nil }
                guard !begun.isEmpty else { continue }
                let done = whole.isSuperset(of: group)
                let snapshots = Set(begun.flatMap { byTable[$0]!.map(\.snapshot) })
                // One that is to start over is whole as yet, and takes the others along.
                if !done || snapshots.count > 1 || !anew.isDisjoint(with: group) {
                    anew.formUnion(begun)
                }
            }
            // Tables that are merged into one start over together: their rows can't be told apart.
            for table in anew { anew.formUnion(try plan.merged(with: table)) }
        } while anew.count > count
        // What was whole, and starts over because of others, is read as it is now.
        let late = anew.intersection(settled)
        changed += try await schema.changed(
            owned.filter { late.contains($0.key) && !kept.contains($0.key) })
        let there = Set(try anew.map { try plan.mapping.target(of: $0) })
        // Before anybody is told what to change there.
        try await schema.requireUnshared(there, plan.mapping)
        let ownTargets = Set(try owned.keys.map { try plan.mapping.target(of: $0) })
        if !isFirst {
            // What only the stream has made is by its definition, not by today's.
            let made = configuration.intoExisting ? [] : restart.subtracting(gone)
            changed += made.filter {
                owned[$0] == nil && byTable[$0] == nil && !kept.contains($0)
            }.sorted()
            // A definition that was recorded says nothing of what the stream has made of a table.
            let looked = try anew.subtracting(changed).filter {
                try !configuration.intoExisting
                    || ownTargets.contains(plan.mapping.target(of: $0))
            }
            changed += try await schema.remade(
                plan, looked, owned: Set(owned.keys), at: mark)
        }
        // What has columns that routes fill can't be created here: it is only emptied.
        let filled = Set(plan.tables.filter { !$0.route.extracted.isEmpty }.map(\.name))
        changed.removeAll { filled.contains($0) }
        let tables = anew.sorted()
        guard !tables.isEmpty else { return chunks }
        if configuration.intoExisting,
            let table = try tables.first(where: {
                !ownTargets.contains(try plan.mapping.target(of: $0))
            })
        {
            throw SnapshotError.targetExists(
                table,
                detail: "its copy must start over, which would delete rows that were there before")
        }
        let dropped = Set(try changed.map { try plan.mapping.target(of: $0) })
        // What others write meanwhile would go with a table; with a row it is seen.
        if let target = dropped.sorted().first(where: plan.mapping.mayBeShared(target:)) {
            throw SharedTarget.refusal(target, "must start over", meta: configuration.meta)
        }
        try await requireTied(tables, followed, mark)
        // Why they start over may not be seen any more by a run that finds them half emptied: a
        // definition, or a name, can change back.
        try await mustStartOver(tables)
        try await schema.empty(there.sorted(), plan.mapping)
        try await schema.drop(dropped.sorted())
        try await control.forget(tables, dropped: changed)
        for table in changed { owned[table] = nil }
        return chunks.filter { !anew.contains($0.table) }
    }

    /// Has the next run begin with tables that start over because of what they are merged with, where
    /// they were followed as yet: what foreign keys tie to them starts over along with them, or has
    /// to be created anew beside them, and that was looked for as if they stayed.
    private func requireTied(
        _ tables: [TableName], _ followed: Set<TableName>, _ mark: [TableShape]
    ) async throws {
        let known = Set(plan.exactGroups.flatMap { $0 })
        let tied = plan.tied(by: mark)
        guard
            tables.contains(where: {
                followed.contains($0) && tied.contains($0) && !known.contains($0)
            })
        else { return }
        // The next run takes none of them for followed: it has more to start over, or goes on.
        try await mustStartOver(tables)
        throw SnapshotError.startsOver(
            tables, detail: "they go to one table of the target, of which one must be copied again")
    }

    /// Makes durable that tables start over before anything else happens to them.
    private func mustStartOver(_ tables: [TableName]) async throws {
        let stored = StoredObjects(meta: configuration.meta, key: configuration.key)
        try await control.write(
            tables.map {
                stored.storeStatement(StoredObject(kind: .restart, name: $0, definition: []))
            })
    }

    /// Drops tables that this subtask created and the source has no more, with what was copied to
    /// them: they may come again as other tables. Tables that were there are emptied; where they had
    /// rows, what is whole stays for the stream to drop.
    ///
    /// - Parameter only: tables that start over once changes have been applied, which created them,
    ///   or took them over; `nil`: no change has been applied.
    /// - Parameter half: tables of which some rows are copied. What comes behind these nobody knows
    ///   how to read, since only whole ones have a shape at their copy.
    /// - Returns: tables of which nothing is copied now, those among them that were merged with one
    ///   that has gone. Those of them that have gone, too, are nobody's: the views that are opened
    ///   next lie behind that.
    private func dropVanished(
        _ chunks: [ChunkRecord], _ owned: [TableName: String], _ earlier: TableIdentities,
        only: Set<TableName>?, half: Set<TableName>
    ) async throws -> Set<TableName> {
        let whole = Self.whole(chunks)
        let begun = Set(chunks.map(\.table))
        let vanished = (only?.union(half) ?? begun.union(owned.keys))
            .subtracting(plan.tables.map(\.name)).sorted()
        var gone: Set<TableName> = []
        var targets: Set<TableName> = []
        var others: Set<TableName> = []
        // What has gone, too, is in no plan, whether it was followed or not; its rows go along.
        var recorded: [TableName: Set<TableName>] = [:]
        for table in begun.union(owned.keys) where plan.isSelected(table) {
            let target = try plan.mapping.target(of: table)
            recorded[target, default: []].insert(table)
        }
        for table in vanished {
            let target = try plan.mapping.target(of: table)
            if plan.mapping.mayBeShared(target: target) {
                guard begun.contains(table) || only?.contains(table) == true else { continue }
                throw SharedTarget.refusal(
                    target, "was begun, and \(table) is not on the source any more",
                    meta: configuration.meta)
            }
            let present = try plan.merged(with: table).union([table])
            let all = present.union(recorded[target] ?? [])
            // What others go to, too, may be its users', which a run that was killed has emptied.
            let isFollowed =
                !configuration.intoExisting && all.count == 1
                && (only.map { $0.contains(table) || half.contains(table) } ?? false)
            if isFollowed || all.contains(where: { owned[$0] != nil }) {
                targets.insert(target)
            } else if !configuration.intoExisting {
                others.insert(target)
            } else if only == nil, present == [table], whole.contains(table), earlier[table] != nil
            {
                continue
            } else {
                throw SnapshotError.targetExists(
                    target,
                    detail: "its copy was begun, and \(table) is not on the source any more: its "
                        + "rows are not told from those that were there before")
            }
            gone.formUnion(all)
        }
        guard !gone.isEmpty else { return [] }
        // Should one come again before it is forgotten here, what was copied must not count.
        try await mustStartOver(gone.sorted())
        try await schema.empty(others.subtracting(targets).sorted(), plan.mapping)
        try await schema.drop(targets.sorted())
        try await control.forget(gone.sorted(), dropped: gone.sorted(), areGone: true)
        return gone
    }

    private func createTables(
        _ chunks: [ChunkRecord], _ followed: Set<TableName>, _ owned: inout [TableName: String]
    ) async throws {
        let missing = try await schema.missing(
            all, owned: owned, begun: Set(chunks.map(\.table)), followed: followed)
        let stored = StoredObjects(meta: configuration.meta, key: configuration.key)
        try await control.write(
            missing.map { name, text in
                stored.storeStatement(
                    StoredObject(
                        kind: .table, name: name, definition: Array(withoutSecrets(text).utf8)))
            })
        let creations = try await schema.prepare(missing, all)
        let free = creations.filter { !$0.isTied }
        try await TableCreation.runAll(
            free, configuration, interrupts, from: try await schema.sourceFamily())
        try await schema.create(creations.filter(\.isTied))
        owned.merge(missing) { _, new in new }
    }

    private func openViews(
        _ chunks: [ChunkRecord], _ whole: Set<TableName>, _ lacked: [TableName: [String]],
        _ identities: TableIdentities, _ mark: SourcePosition?,
        _ defaults: [String: SchemaDefaults]
    ) async throws -> CopyWork {
        let firstID = await control.reserveSnapshots(configuration.pairs + 1)
        let count = configuration.pairs
        let views = views
        let opened = try await withThread("copy-views") {
            try views.open(count, firstID: firstID)
        }
        for record in opened.flatMap(\.records) where mark.map({ !record.low.reaches($0) }) == true
        {
            // A transaction can be read of the binlog before it can be seen: the stream goes on
            // behind the mark, and the view would lack what is before it.
            throw SnapshotError.startsOver(
                [], detail: "the source does not show yet what was applied of it already")
        }
        try await control.record(Set(opened.flatMap(\.records)).sorted { $0.id < $1.id })
        // Tables that changed between the plan and the views would be read by a wrong list.
        let open = plan.tables.filter { !whole.contains($0.name) }
        let now = try await schema.sourceShapes(open.map(\.name))
        for table in open where now[table.name] != table.shape {
            throw now[table.name] == nil
                ? SnapshotError.tableMissing(table.name) : SnapshotError.tableChanged(table.name)
        }
        try await schema.requirePlanned(all)
        if mark == nil { try await noteDefaults(defaults) }
        let family = try await schema.targetFamily()
        let takesLoad = try await schema.targetTakesLoad()
        for chunk in chunks {
            progress.add(chunk.table, rows: chunk.rows, bytes: 0, isDone: false)
        }
        let counters = plan.tables.filter { $0.shape.columns.contains(where: \.isAutoIncrement) }
        let scheduler = ChunkScheduler(
            plan: plan, done: chunks, deferred: Set(lacked.keys),
            locksOnLoad: try await schema.targetLocksCounters() ? Set(counters.map(\.name)) : [],
            pairs: configuration.pairs)
        for name in scheduler.doneTables { progress.add(name, rows: 0, bytes: 0, isDone: true) }
        return CopyWork(
            tables: plan.tables,
            tools: plan.tables.map { TableTools($0, target: family, configuration) },
            scheduler: scheduler, views: opened,
            usesLoadData: configuration.allowsLoadData && takesLoad, deferred: lacked,
            identities: identities)
    }

    /// Stores what new tables get in the source's schemas where the views see it. They were asked
    /// for before and behind: tables that come behind the views are carried from here on.
    private func noteDefaults(_ defaults: [String: SchemaDefaults]) async throws {
        let now = try await schema.defaults()
        let changed = Set(now.keys).union(defaults.keys).contains {
            plan.mapping.mayHold(schema: $0) && now[$0] != defaults[$0]
        }
        guard !changed else {
            throw SnapshotError.startsOver(
                [], detail: "databases were created, dropped or altered while it began")
        }
        let stored = StoredObjects(meta: configuration.meta, key: configuration.key)
        try await control.write(StoredDefaults.statements(defaults, stored))
    }
}
