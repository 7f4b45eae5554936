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
}

/// One pair of a source and a target connection on a thread of its own.
struct CopyPair: Sendable {
    let index: Int
    let configuration: SnapshotConfiguration
    let control: CopyControl
    let interrupts: Interrupts
    let progress: SnapshotProgress
    let views: SnapshotViews

    /// Opens the target session, joins the run, and copies until nothing is left.
    func run(_ barrier: RunBarrier, _ work: Awaited<CopyWork>) async throws {
        let session = try TargetSession(configuration.target, role: .lane(index))
        try interrupts.add(session.connection.interrupter)
        // Rows come in key order, not parents first; the source has checked them.
        try session.connection.execute("SET SESSION foreign_key_checks=0")
        let state = try await barrier.arrive(session)
        let given = try await work.value { try session.connection.ping() }
        let view = given.views[index]
        let copier = TableCopier(
            source: view.connection, session: session,
            fence: Fence(
                meta: configuration.meta, key: configuration.key, lane: index, token: state.run),
            ledger: CopyLedger(meta: configuration.meta, key: configuration.key),
            usesLoadData: given.usesLoadData)
        while true {
            try Task.checkCancellation()
            try await renewIfOld(view, given.scheduler)
            switch given.scheduler.next(
                snapshot: view.snapshot.id, exact: view.snapshot.isExact)
            {
            case .copy(let job):
                try copy(job, copier, given, view)
            case .step(let table, let from):
                let end = try copier.boundary(given.tools[table], after: from)
                try copy(given.scheduler.stepped(table, to: end), copier, given, view)
            case .whole(let table):
                let name = given.tables[table].name
                try copier.copyWhole(
                    given.tools[table], snapshot: view.snapshot.id,
                    partBytes: 8 * configuration.chunkBytes
                ) { outcome in
                    progress.add(name, rows: outcome.rows, bytes: outcome.bytes, isDone: false)
                }
                _ = given.scheduler.finished(table, whole: true)
                progress.add(name, rows: 0, bytes: 0, isDone: true)
            case .wait(let latch):
                if given.scheduler.isStuckWithoutExactView {
                    throw SnapshotError.noView(
                        detail: "tables without a key, or with cascading foreign keys, need a view "
                            + "of exactly known position; grant RELOAD to the source's user")
                }
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
    ) throws {
        let outcome = try copier.copy(job, work.tools[job.table], snapshot: view.snapshot.id)
        let done = work.scheduler.finished(job.table)
        progress.add(
            work.tables[job.table].name, rows: outcome.rows, bytes: outcome.bytes, isDone: done)
    }

    private func renewIfOld(_ view: SourceView, _ scheduler: ChunkScheduler) async throws {
        guard ContinuousClock.now - view.opened > configuration.maxSnapshotAge,
            !scheduler.needs(snapshot: view.snapshot.id)
        else { return }
        try views.renew(view, id: await control.reserveSnapshots(1))
        try await control.record([view.snapshot])
    }
}
