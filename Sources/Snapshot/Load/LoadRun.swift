internal import Checkpoint
internal import DumpFiles
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Runtime

/// One run of a load: its sessions, and the order of its steps.
struct LoadRun: Sendable {
    let configuration: LoadConfiguration
    let plan: LoadPlan
    let context: SyntaxContext
    let progress: TransferProgress
    let interrupts: Interrupts
    let barrier: RunBarrier
    let work: Awaited<LoadWork>
    /// Set when every lane has ended.
    let rowsDone: Latch
    /// The coordinator's session.
    let idle = IdleSession()
    /// Set when all is done, or nothing more can be.
    let ended = Latch()

    private var key: SubtaskKey { plan.key(configuration) }

    /// Opens a session, joins the run, and loads files until none is left.
    func lane(_ index: Int) async throws {
        let session = try TargetSession(configuration.target, role: .lane(index))
        try interrupts.add(session.connection.interrupter)
        // Rows come in no order, and the source has checked them.
        try session.connection.execute("SET SESSION foreign_key_checks=0")
        let state = try await barrier.arrive(session)
        // From here on it runs text of files, a statement at a time.
        try session.connection.setMultiStatements(false)
        let key = key
        let lane = LoadLane(
            session: session,
            fence: Fence(meta: configuration.meta, key: key, lane: index, token: state.run),
            ledger: CopyLedger(meta: configuration.meta, key: key), progress: progress,
            duplicates: configuration.duplicates)
        let given = try await work.value { try session.connection.ping() }
        while let job = given.next() {
            try Task.checkCancellation()
            try lane.load(job, given)
        }
    }

    /// Keeps the coordinator's session open while its thread waits for the other one; blocks its
    /// thread now and then.
    func keepOpen() async throws {
        while !(await ended.wait(upTo: .seconds(10))) {
            try Task.checkCancellation()
            idle.ping()
        }
    }

    /// Takes over, creates tables, hands out files, and creates the rest when they are loaded.
    func lead(
        _ epoch: EpochPolicy, _ token: RunToken, _ took: Awaited<UInt64>
    ) async throws -> LoadResult {
        defer { ended.set() }
        let session = try TargetSession(configuration.target, role: .coordinator)
        try interrupts.add(session.connection.interrupter)
        idle.set(session.connection)
        defer { idle.set(nil) }
        try plan.requireApart(on: session.connection)
        let subtask = key
        let lanes = configuration.lanes + 1
        let ddl = try TargetSession(configuration.target, role: .ddl(configuration.lanes))
        try interrupts.add(ddl.connection.interrupter)
        let takeover = Takeover(meta: configuration.meta, key: subtask)
        try createRow(takeover, session, epoch)
        try await configuration.begun()
        // The session that runs definitions is no lane of the barrier's, and may be elsewhere.
        try await barrier.allOpen(session, besides: [ddl.server])
        try session.holdLock(token)
        let state = try await takeOver(takeover, session, token, epoch, lanes)
        took.give(.success(state.epoch))
        barrier.publish(.success(state))
        try ddl.holdLock(token)
        let coordinator = Coordinator(
            session: session, meta: configuration.meta, key: subtask, token: token)
        try takeLock(ddl, coordinator)
        // What runs text of files takes it for one statement, or not at all.
        try ddl.connection.setMultiStatements(false)
        let schema = LoadSchema(
            plan: plan, key: subtask, meta: configuration.meta, session: session, ddl: ddl,
            coordinator: coordinator, context: context, progress: progress, idle: idle)
        return try await load(state, schema)
    }

    /// Takes the load's DDL lock, when no definition of an earlier run is under way any more.
    private func takeLock(_ ddl: TargetSession, _ coordinator: Coordinator) throws {
        try DDLLock(session: ddl, meta: configuration.meta, key: key).take {
            progress.update {
                $0.waiting = "a definition of the previous run has not ended yet"
            }
            // Also shows whether this run still is the newest one.
            try coordinator.beat()
        }
        progress.update { $0.waiting = nil }
    }

    /// Writes the load's row where there is none; one that is there must be of this dump.
    private func createRow(
        _ takeover: Takeover, _ session: TargetSession, _ epoch: EpochPolicy
    ) throws {
        let meta = configuration.meta
        if configuration.isBegun {
            guard try meta.exists(session.connection),
                try takeover.peek(session.connection) != nil
            else {
                throw CheckpointError.missing(
                    detail: "it was started before, and the row of \(key) in \(meta.name) is gone; "
                        + "nothing is begun anew silently")
            }
        }
        try meta.prepare(session.connection)
        let identity = Array(plan.identity.utf8)
        _ = try takeover.create(
            session, identity: identity, rules: [], phase: LoadEngine.openPhase)
        guard let known = try takeover.peek(session.connection) else {
            throw CheckpointError.missing(detail: "the row of \(key) is gone")
        }
        // Seen here, no session of the newer run is taken for one that stands in the way.
        if case .keep(let mine, own: _) = epoch, known.epoch != mine {
            throw CheckpointError.fenced(detail: "epoch \(known.epoch), mine is \(mine)")
        }
        guard known.identity == identity,
            [LoadEngine.openPhase, LoadEngine.completePhase].contains(known.phase)
        else {
            throw DumpFileError(
                "the target's \(meta.name) says that \(key) is something else than a load of this "
                    + "dump: bring the files back that it was begun with, or load these under "
                    + "another name", file: configuration.directory)
        }
    }

    private func takeOver(
        _ takeover: Takeover, _ session: TargetSession, _ token: RunToken, _ epoch: EpochPolicy,
        _ lanes: Int
    ) async throws -> SubtaskState {
        var backoff = Backoff()
        var tries = 0
        while true {
            do {
                let state = try takeover.take(session, token: token, epoch: epoch, lanes: lanes)
                progress.update { $0.waiting = nil }
                return state
            } catch let error as MySQLError where error.retry == .transaction && tries < 20 {
                tries += 1
                progress.update {
                    $0.waiting = "the previous run's last transaction has not ended yet"
                }
                try await Task.sleep(for: backoff.delay())
            }
        }
    }

    private func load(
        _ state: SubtaskState, _ schema: LoadSchema
    ) async throws -> LoadResult {
        var result = LoadResult(
            wasComplete: false, tables: plan.tables.count, rows: 0,
            position: plan.metadata.place)
        let all = plan.tables.reduce(0) { $0 + $1.rows.count }
        progress.update {
            $0.stage = .schema
            $0.tables = plan.tables.count
            $0.files = all
        }
        let prepared = try schema.prepare()
        result.wasComplete = prepared.isComplete && state.phase == LoadEngine.completePhase
        if !result.wasComplete { try schema.begin() }
        progress.update {
            $0.stage = .rows
            $0.filesDone = all - prepared.jobs.count
        }
        work.give(
            .success(
                LoadWork(
                    prepared.jobs, context: context, directory: plan.directory,
                    timeZone: plan.metadata.timeZone ?? configuration.timeZone,
                    zoned: prepared.zoned)))
        while !(await rowsDone.wait(upTo: .seconds(10))) {
            try Task.checkCancellation()
            try schema.keepAlive()
        }
        try Task.checkCancellation()
        progress.update {
            $0.stage = .objects
            $0.tablesDone = plan.tables.count
        }
        if !result.wasComplete { try schema.createObjects() }
        result.rows = try schema.finish()
        progress.update { $0.stage = .done }
        return result
    }
}
