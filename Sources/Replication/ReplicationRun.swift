internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime
internal import Synchronization

/// What the tasks of one run share.
final class ReplicationRun: Sendable {
    enum CoordinatorMessage: Sendable {
        case advance
        case flush(Reply<Void>)
        case beat
        case end
    }

    let configuration: ReplicationConfiguration
    let progress: ReplicationProgress
    let token: RunToken
    let scheduler: Scheduler
    let barrier: RunBarrier
    let marks = MarkBoard()
    let ddlMailbox = Mailbox<DDLWorker.Message>()
    let coordinatorMailbox = Mailbox<CoordinatorMessage>()
    /// The state after the takeover.
    let started = Broadcast<SubtaskState>()
    /// What became of a DDL statement of an earlier run.
    let recovered = Broadcast<DDLRecovery>()
    /// The mark keeper, once the takeover is done.
    let keeper = Broadcast<MarkKeeper>()
    /// The lane that the reader may borrow.
    let firstLane = Broadcast<LaneHandle>()
    private let end = Mutex<(finished: Bool, failure: (any Error)?)>((false, nil))

    init(
        configuration: ReplicationConfiguration, progress: ReplicationProgress, token: RunToken
    ) {
        self.configuration = configuration
        self.progress = progress
        self.token = token
        scheduler = Scheduler(
            lanes: configuration.lanes, batchLimit: configuration.batchLimit,
            byteLimit: configuration.memoryBudget / 2)
        barrier = RunBarrier(lanes: configuration.lanes + 1)
    }

    var isFinished: Bool { end.withLock { $0.finished } }
    var failure: (any Error)? { end.withLock { $0.failure } }

    /// Ends every wait of every task with the first error.
    func fail(_ error: any Error) {
        end.withLock { if $0.failure == nil { $0.failure = error } }
        barrier.publish(.failure(error))
        scheduler.fail(error)
        ddlMailbox.fail(error)
        coordinatorMailbox.fail(error)
        started.resolve(.failure(error))
        recovered.resolve(.failure(error))
        keeper.resolve(.failure(error))
        firstLane.resolve(.failure(error))
    }

    /// Applies and marks everything that was added, then lets all tasks end.
    func finish() async throws {
        try await scheduler.drain()
        try await flush()
        end.withLock { $0.finished = true }
        scheduler.end()
        ddlMailbox.send(.end)
        coordinatorMailbox.send(.end)
    }

    /// Returns when the mark has moved as far as it can.
    func flush() async throws {
        let reply = Reply<Void>()
        coordinatorMailbox.send(.flush(reply))
        try await reply.value()
    }

    // MARK: tasks

    func lane(_ number: Int) async throws {
        let session = try TargetSession(configuration.target, role: .lane(number))
        let interrupter = session.connection.interrupter
        try await withTaskCancellationHandler {
            _ = try await barrier.arrive(session)
            let fence = Fence(
                meta: configuration.meta, key: configuration.key, lane: number, token: token)
            let keeper = try await keeper.value()
            let lane = Lane(
                number: number, session: session, fence: fence, scheduler: scheduler,
                shared: marks, progress: progress,
                didCommit: { [coordinatorMailbox] count in
                    if keeper.isMarkDue(committed: count) { coordinatorMailbox.nudge(.advance) }
                })
            if number == Scheduler.streamingLane {
                firstLane.resolve(.success(LaneHandle(lane)))
            }
            try await lane.run()
        } onCancel: {
            interrupter.interrupt()
        }
    }

    func ddl() async throws {
        let lane = configuration.lanes
        let session = try TargetSession(configuration.target, role: .ddl(lane))
        let interrupter = session.connection.interrupter
        try await withTaskCancellationHandler {
            let state = try await barrier.arrive(session)
            let ledger = DDLLedger(
                session: session, meta: configuration.meta, key: configuration.key, lane: lane,
                token: token)
            let worker = DDLWorker(
                session: session, ledger: ledger, marks: marks,
                tables: MergedTables(meta: configuration.meta, key: configuration.key),
                source: configuration.key.source, times: progress.measures.ddl,
                shared: sharedTables, followsMerged: configuration.followsMergedStatements)
            recovered.resolve(.success(try worker.recover(state)))
            try await worker.run(ddlMailbox)
        } onCancel: {
            interrupter.interrupt()
        }
    }

    private var sharedTables: (mapping: TableMapping, others: OtherSources)? {
        let mapping = configuration.tables
        guard mapping.hasOthers else { return nil }
        return (
            mapping,
            OtherSources(meta: configuration.meta, key: configuration.key) {
                mapping.places(of: $0, source: $1)
            }
        )
    }

    func coordinate(
        epoch: EpochPolicy, didTakeOver: @Sendable (SubtaskState) -> Void
    ) async throws {
        let session = try TargetSession(configuration.target, role: .coordinator)
        let interrupter = session.connection.interrupter
        try await withTaskCancellationHandler {
            let state = try await takeOver(session, epoch)
            didTakeOver(state)
            barrier.publish(.success(state))
            // No event before every chunk of every table is done.
            guard state.phase == "follow", let mark = state.lowWater else {
                throw CheckpointError.inconsistent(detail: "the copy has not ended")
            }
            let keeper = MarkKeeper(
                mark: mark, carried: AppliedSet(state.carried, digest: state.carriedDigest),
                tail: Tail(encoded: state.tail))
            self.keeper.resolve(.success(keeper))
            started.resolve(.success(state))
            progress.update { $0.mark = mark }
            let coordinator = Coordinator(
                session: session, meta: configuration.meta, key: configuration.key, token: token)
            try await serve(coordinator, session, keeper)
        } onCancel: {
            interrupter.interrupt()
        }
    }

    private func takeOver(
        _ session: TargetSession, _ epoch: EpochPolicy
    ) async throws -> SubtaskState {
        try await barrier.allOpen(session)
        // Before its token is stored: who finds the token, and nobody with its lock, may decide
        // what the next run reads.
        try session.holdLock(token)
        let takeover = Takeover(meta: configuration.meta, key: configuration.key)
        var backoff = Backoff(first: .milliseconds(50), limit: .seconds(2))
        while true {
            do {
                return try takeover.take(
                    session, token: token, epoch: epoch, lanes: configuration.lanes + 1)
            } catch let error as MySQLError where error.retry == .transaction {
                try await Task.sleep(for: backoff.delay())
            }
        }
    }

    private func serve(
        _ coordinator: Coordinator, _ session: TargetSession, _ keeper: MarkKeeper
    ) async throws {
        while true {
            switch try await coordinatorMailbox.next() {
            case .advance: _ = try advance(coordinator, keeper)
            case .flush(let reply):
                do {
                    while try advance(coordinator, keeper) {}
                    reply.resolve(.success(()))
                } catch {
                    reply.resolve(.failure(error))
                    throw error
                }
            case .beat: try session.connection.ping()
            case .end: return
            }
        }
    }

    /// Moves the mark over what the target holds; true when it moved.
    private func advance(_ coordinator: Coordinator, _ keeper: MarkKeeper) throws -> Bool {
        let done = try coordinator.readDone()
        guard let next = keeper.advance(over: done) else {
            report(keeper)
            return false
        }
        try coordinator.write(
            mark: next.mark, carried: next.carried, tail: next.tail?.encoded ?? [],
            shapes: next.shapes, objects: next.objects)
        keeper.didWrite(next)
        marks.publish(next.mark)
        report(keeper)
        return next.count > 0
    }

    private func report(_ keeper: MarkKeeper) {
        let (mark, stream) = keeper.positions
        let isIdle = keeper.count == 0
        let needed = keeper.needed
        progress.update {
            $0.needed = (needed.origin, needed.position)
            $0.mark = mark
            $0.stream = stream
            $0.isIdle = isIdle
        }
    }

    /// Keeps sessions open and the mark moving.
    func tick() async throws {
        let keeper = try await keeper.value()
        // What waited is read again by the next run.
        defer { progress.measures.setQueue(.init()) }
        var ticks = 0
        var last: BinlogPosition?
        while !isFinished {
            try await Task.sleep(for: .milliseconds(200))
            ticks += 1
            progress.measures.setQueue(scheduler.queue)
            let (mark, stream) = keeper.positions
            // Once a second, and as soon as the stream rests: every move of the mark is a commit
            // that others may have to wait for.
            let rests = stream == last
            last = stream
            if keeper.count > 0 || mark.binlog != stream, rests || ticks % 5 == 0 {
                coordinatorMailbox.nudge(.advance)
            }
            if ticks % 50 == 0 {
                scheduler.pingLanes()
                ddlMailbox.nudge(.ping)
                coordinatorMailbox.nudge(.beat)
            }
        }
    }
}

/// A value that many tasks wait for, resolved once.
final class Broadcast<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiting: [CheckedContinuation<Value, any Error>] = []
    }
    private let state = Mutex(State())

    /// Resolves it; later calls count for nothing.
    func resolve(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state in
            guard state.result == nil else { return [CheckedContinuation<Value, any Error>]() }
            state.result = result
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiting { waiter.resume(with: result) }
    }

    /// The value, as soon as it is there. The run's failure ends the wait.
    func value() async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let known = state.withLock { state -> Result<Value, any Error>? in
                if let result = state.result { return result }
                state.waiting.append(continuation)
                return nil
            }
            if let known { continuation.resume(with: known) }
        }
    }
}
