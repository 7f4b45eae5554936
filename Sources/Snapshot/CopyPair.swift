internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Runtime

/// What all pairs of a run share.
struct CopyWork: Sendable {
    let tables: [PlannedTable]
    let tools: [TableTools]
    let scheduler: ChunkScheduler
    let views: [SourceView]
    let usesLoadData: Bool
    /// Definitions of indexes that are added after the rows.
    let deferred: [TableName: [String]]
    /// Which tables are copied: from before the views were opened.
    let identities: TableIdentities
}

/// One pair of a source and a target connection on a thread of its own.
struct CopyPair: Sendable {
    let index: Int
    let configuration: SnapshotConfiguration
    let control: CopyControl
    let schema: SchemaCopier
    let plan: SnapshotPlan
    let interrupts: Interrupts
    let progress: SnapshotProgress
    let views: SnapshotViews
    let idle: IdleSession

    /// Opens the target session, joins the run, and copies until nothing is left.
    func run(_ barrier: RunBarrier, _ work: Awaited<CopyWork>) async throws {
        let session = try TargetSession(configuration.target, role: .lane(index))
        try interrupts.add(session.connection.interrupter)
        // Rows come in key order, not parents first; the source has checked them.
        try session.connection.execute("SET SESSION foreign_key_checks=0")
        idle.set(session.connection)
        defer { idle.set(nil) }
        let state = try await barrier.arrive(session)
        let given = try await work.value { try session.connection.ping() }
        let view = given.views[index]
        let copier = TableCopier(
            source: view.connection, session: session,
            fence: Fence(
                meta: configuration.meta, key: configuration.key, lane: index, token: state.run),
            ledger: CopyLedger(meta: configuration.meta, key: configuration.key),
            usesLoadData: given.usesLoadData, idle: idle
        ) { [schema] table in
            try await schema.requireSame(table, as: given.identities)
        }
        while true {
            try Task.checkCancellation()
            try await renewIfOld(view, given)
            switch given.scheduler.next(
                snapshot: view.snapshot.id, exact: view.exact?.id)
            {
            case .copy(let job):
                try await copy(job, copier, given, view)
            case .step(let table, let from):
                let end = try idle.during { try copier.boundary(given.tools[table], after: from) }
                try await copy(given.scheduler.stepped(table, to: end), copier, given, view)
            case .whole(let table):
                let name = given.tables[table].name
                try await copier.copyWhole(
                    given.tools[table], snapshot: view.record(of: given.tables[table]).id,
                    partBytes: 8 * configuration.chunkBytes
                ) { outcome in
                    progress.add(name, rows: outcome.rows, bytes: outcome.bytes, isDone: false)
                }
                try view.releaseTables()
                _ = given.scheduler.finished(table, whole: true)
                progress.add(name, rows: 0, bytes: 0, isDone: true)
            case .index(let table):
                if given.scheduler.isRowWorkTaken {
                    // Nothing is left to read: the source need not keep old versions for us.
                    try view.connection.execute("COMMIT")
                    progress.set(.indexes)
                }
                let planned = given.tables[table]
                try addIndexes(
                    given.deferred[planned.name] ?? [], to: planned.target, session,
                    copier.fence)
                given.scheduler.indexed(table)
            case .wait(let latch):
                if given.scheduler.isStuckWithoutExactView {
                    // Nobody reads now: what kept the lock away for the newest views has ended.
                    if view.exact == nil { try await renew(view, given) }
                    guard view.exact == nil else { continue }
                    throw SnapshotError.noView(
                        detail: "tables without a key, or with cascading foreign keys, need a view "
                            + "of exactly known position; grant RELOAD to the source's user")
                }
                // Others still write, or add indexes: nothing is left to read here.
                if given.scheduler.isRowWorkTaken { try view.connection.execute("COMMIT") }
                if await latch.wait(upTo: .seconds(10)) { continue }
                try session.connection.ping()
                try view.connection.ping()
            case .end:
                return
            }
        }
    }

    private func copy(
        _ job: ChunkJob, _ copier: TableCopier, _ work: CopyWork, _ view: SourceView
    ) async throws {
        let snapshot = view.record(of: work.tables[job.table]).id
        let start = ContinuousClock.now
        let outcome = try await copier.copy(job, work.tools[job.table], snapshot: snapshot) {
            work.scheduler.mustReplace(job.table)
        }
        progress.chunkTimes.record(since: start)
        try view.releaseTables()
        let done = work.scheduler.finished(job.table)
        progress.add(
            work.tables[job.table].name, rows: outcome.rows, bytes: outcome.bytes, isDone: done)
    }

    /// Adds indexes in one statement, those that are missing: an earlier run's statement may have
    /// been executed after its connection was lost. No fence can go with DDL; run late, it adds
    /// what the table is to have, or fails because it has it.
    private func addIndexes(
        _ definitions: [String], to table: TableName, _ session: TargetSession, _ fence: Fence
    ) throws {
        let target = session.connection
        try target.execute("START TRANSACTION")
        try fence.run(target, done: [])
        let there = try SchemaReader(target).shape(of: table)?.keys.map(\.name) ?? []
        try target.execute("COMMIT")
        let missing = definitions.filter { definition in
            let name = DefinitionToken.parse(definition).first { $0.kind == .identifier }?.text
            return !there.contains { quoteIdentifier($0) == name }
        }
        guard !missing.isEmpty else { return }
        let list = missing.map { "ADD \($0)" }.joined(separator: ", ")
        do {
            try target.execute("ALTER TABLE \(table.quoted) \(list)")
        } catch {
            guard error.code == 1061 else { throw error }
        }
    }

    /// Views hold old versions of rows on the source: none gets older than it must.
    private func renewIfOld(_ view: SourceView, _ work: CopyWork) async throws {
        let scheduler = work.scheduler
        guard ContinuousClock.now - view.opened > configuration.maxSnapshotAge,
            view.nextRenewal.map({ $0 <= .now }) ?? true,
            !view.records.contains(where: { scheduler.needs(snapshot: $0.id) }),
            !scheduler.isRowWorkTaken
        else { return }
        do {
            try await renew(view, work)
        } catch SnapshotError.noView {
            // A long query, one of another pair among them, keeps the lock away.
            view.nextRenewal = .now + max(.seconds(1), configuration.maxSnapshotAge / 8)
        }
    }

    private func renew(_ view: SourceView, _ work: CopyWork) async throws {
        let scheduler = work.scheduler
        try views.renew(view, id: await control.reserveSnapshots(2))
        view.nextRenewal = nil
        // A view that lies behind a DDL statement must not add to rows from before it.
        let open = work.tables.filter { !scheduler.isDone($0.name) }
        let now = try SchemaReader(view.connection).shapes(of: open.map(\.name))
        for table in open where now[table.name] != table.shape {
            throw SnapshotError.tableChanged(table.name)
        }
        try await schema.requirePlanned(plan)
        try view.releaseTables()
        try await control.record(view.records)
    }
}
