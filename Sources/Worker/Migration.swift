internal import Checkpoint
public import Logging
internal import MySQLClient
internal import MySQLCore
internal import Relay
internal import Replication
internal import Rules
internal import Runtime
public import Settings
internal import Snapshot
internal import Stream
internal import Synchronization

/// How a migration's run ended without an error.
public enum MigrationOutcome: Sendable, Hashable {
    /// Everything up to the wanted place is applied; the position is the durable mark.
    case reached(String)
    /// It was asked to stop, has drained and saved.
    case stopped(String?)
    /// The migration is over: triggers are created, events enabled. Of a task of files: all are
    /// written, or loaded.
    case finished
}

/// One migration: what `skein migrate` runs.
public final class Migration: Sendable {
    /// What it is doing; may be read at any time from anywhere.
    public let board = StatusBoard()
    /// What was asked for; of the rules' names it is known from ``prepareRules()`` on whether case
    /// counts in them.
    var settings: MigrationSettings { given.withLock { $0 } }
    let given: Mutex<MigrationSettings>
    let measures: EngineMeasures
    let logger: Logger
    let meta: MetaSchema
    let key: SubtaskKey
    let serverID: UInt32
    private let stopRequest = Latch()
    private let engine = Mutex<ReplicationEngine?>(nil)
    let relay: MigrationRelay
    let binding: Bound?
    let own: OwnRuns
    private let trouble = Mutex<Trouble?>(nil)
    /// What is waited for while this task and another one come to one place; `nil` otherwise.
    let meetingText = Mutex<String?>(nil)
    /// What the source had where the two come to, once that was asked for.
    let meetingPlace = Mutex<SourcePosition?>(nil)
    /// Where a copy alone ends when that is not where it is whole.
    let laterEnd = Mutex<SourcePosition?>(nil)

    /// Makes a migration; nothing is touched before ``run()``.
    public convenience init(settings: MigrationSettings, logger: Logger) {
        self.init(settings: settings, binding: nil, relay: nil, logger: logger)
    }

    /// Makes a migration that a cluster has bound.
    ///
    /// - Parameters:
    ///   - binding: without one, every start of the process begins a new epoch.
    ///   - relay: the source's relay log, which others read too.
    ///   - fences: told when that takes the migration over, to see what its target holds.
    ///   - measures: gets what the engines measure.
    init(
        settings: MigrationSettings, binding: Bound?, relay: SourceRelay?,
        fences: RelayFences = RelayFences(), measures: EngineMeasures = EngineMeasures(),
        logger: Logger
    ) {
        self.measures = measures
        given = Mutex(settings)
        self.logger = logger
        self.binding = binding
        meta = MetaSchema(name: settings.metaSchema)
        key = SubtaskKey(
            task: settings.name, source: settings.sourceID ?? settings.source.server)
        serverID =
            settings.serverID != 0
            ? settings.serverID : UInt32.random(in: 0x4000_0000...0x7FFF_FFFF)
        own = OwnRuns(fences: fences)
        self.relay = MigrationRelay(
            settings: settings, board: board, serverID: serverID, shared: relay, fences: fences,
            own: own, logger: logger)
    }

    /// Whether it reads a relay log when it follows.
    var readsRelay: Bool { relay.isRead }

    /// What is being tried again, and how often it was since it last went well.
    var currentTrouble: Trouble? { trouble.withLock { $0 } }

    /// Runs until the wanted place is reached, or ``stop()`` is called, or an error that no retry
    /// can help.
    public func run() async throws -> MigrationOutcome {
        try await withThrowingTaskGroup(of: MigrationOutcome?.self) { group in
            group.addTask {
                if let files = self.settings.files { return try await self.transfer(files) }
                return try await self.workWithRelay()
            }
            group.addTask {
                await self.stopRequest.wait()
                return nil
            }
            while let outcome = try await group.next() {
                if let outcome {
                    group.cancelAll()
                    return outcome
                }
                // Asked to stop: following drains by itself; a copy is simply cancelled, since
                // finished chunks are recorded.
                if engine.withLock({ $0 }) == nil {
                    group.cancelAll()
                    do {
                        while let last = try await group.next() {
                            if let last { return last }
                        }
                    } catch is CancellationError {
                        return .stopped(board.current.position)
                    }
                }
            }
            return .stopped(board.current.position)
        }
    }

    /// Whether it was asked to end.
    var isStopping: Bool { stopRequest.isSet }

    /// Asks it to drain, save and end. Returns at once.
    public func stop() {
        board.update { $0.phase = .draining }
        engine.withLock { $0?.stop() }
        stopRequest.set()
    }

    // MARK: the life of a migration

    /// The relay log runs as long as the migration does; what ends it for good ends both.
    private func workWithRelay() async throws -> MigrationOutcome {
        try await withThrowingTaskGroup(of: MigrationOutcome?.self) { group in
            group.addTask { try await self.work() }
            group.addTask {
                try await self.relay.run()
                return nil
            }
            defer { group.cancelAll() }
            do {
                while let outcome = try await group.next() {
                    if let outcome { return outcome }
                }
            } catch StreamError.sourceLostEvents(let detail) {
                // What was applied of them only a person can judge.
                let position = board.current.position.map { "up to \($0)" } ?? "nothing"
                throw StreamError.sourceLostEvents(
                    "\(detail). The target \(settings.target.server) has applied \(position)")
            }
            throw CancellationError()
        }
    }

    private func work() async throws -> MigrationOutcome {
        var backoff = Backoff(first: .milliseconds(200), limit: .seconds(15))
        // Tables that came, went or changed while a copy was prepared: nothing is out of order, and
        // where they do so all the time only a quick try finds a moment of rest.
        var replanning = Backoff(first: .milliseconds(50), limit: .seconds(1))
        var isPrepared = false
        let begun = ContinuousClock.now
        var changed: TableName?
        while true {
            try Task.checkCancellation()
            if stopRequest.isSet { return .stopped(board.current.position) }
            do {
                if !isPrepared {
                    try await prepareRules()
                    try await settleAdoption()
                    if settings.fresh { try await startOver() }
                    try await prepare()
                    isPrepared = true
                }
                // Rules that were taken just now may have left it out: then it stays as it is.
                if let table = changed, settings.mapping.selects(table) {
                    try await copyAgain(table)
                }
                changed = nil
                let outcome = try await advance {
                    backoff.reset()
                    replanning.reset()
                    self.forgetTrouble()
                }
                if let outcome { return outcome }
            } catch {
                try Task.checkCancellation()
                if case RelayError.missing = error, relay.bypass() { continue }
                if case ReplicationError.changedDuringCopy(let table, _) = error { changed = table }
                guard let reason = retryReason(error) else { throw error }
                let isReplanned = (error as? SnapshotError)?.isRetryable == true
                let delay = isReplanned ? replanning.delay() : backoff.delay()
                // A person who mistypes an address is told so; a worker waits for its servers.
                if !isPrepared, binding == nil, (error as? MySQLError)?.retry == .connection,
                    begun.duration(to: .now) + delay > Self.firstContact
                {
                    throw error
                }
                try await wait(delay, after: error, because: reason)
            }
        }
    }

    /// Waits for the next try, and says what for.
    func wait(_ delay: Duration, after error: any Error, because reason: String) async throws {
        trouble.withLock {
            let isApart = if case CheckpointError.differentServers = error { true } else { false }
            $0 = Trouble(
                error: error, attempts: ($0?.attempts ?? 0) + 1,
                apart: isApart ? ($0?.apart ?? 0) + 1 : 0)
        }
        logger.warning("trying again", metadata: ["reason": "\(reason)"])
        board.update {
            $0.retries += 1
            $0.lagMilliseconds = nil
            $0.waiting = "\(reason); next try in \(delay.rounded)"
        }
        try await Task.sleep(for: delay)
        board.update { $0.waiting = nil }
    }

    /// It is well again.
    func forgetTrouble() { trouble.withLock { $0 = nil } }

    /// For how long servers are waited for that have not answered since the start; once they have,
    /// a lost connection is tried again for as long as it takes.
    private static let firstContact = Duration.seconds(30)

    /// Pre-checks, the meta schema, and the subtask's row.
    private func prepare() async throws {
        var meetings = 0
        var rest = DonorRest()
        defer { endWait(&rest) }
        while true {
            do {
                return try await prepareOnce()
            } catch let old as UnfinishedRules {
                try await finish(by: old)
            } catch let unmet as UnmetTables {
                meetings += 1
                // What it shows of itself from here on may be of this process' own run.
                endWait(&rest)
                try await meet(unmet, time: meetings)
            } catch let runs as DonorRuns {
                try await wait(for: runs, &rest)
            }
        }
    }

    private func prepareOnce() async throws {
        board.update { $0.phase = .checking }
        let isFollowing = try await withThread("control") {
            let source = try Connection(self.settings.source)
            let target = try Connection(self.settings.target)
            let server = try SourceSession(source).serverName()
            let identity = MigrationIdentity(settings: self.settings, server: server)
            let takeover = Takeover(meta: self.meta, key: self.key)
            var known = try self.meta.exists(target) ? try takeover.peek(target) : nil
            while let state = known, try !self.isTaken(state, identity, source, target) {
                known = try takeover.peek(target)
            }
            if known == nil {
                if self.binding?.isStarted == true {
                    throw CheckpointError.missing(
                        detail: "it was started before, and the row of \(self.key) in "
                            + "\(self.meta.name) is gone; nothing is begun anew silently")
                }
                try self.requireBegun()
                // Only read: what can't be written to is told by the pre-checks.
                try self.requireNotHandedOver(source, target, isBinding: false)
                try self.precheck(source, target)
                let isIncremental = self.settings.mode == .incremental
                // "Now" is the first start: what comes before a later try succeeds is not lost.
                let place =
                    isIncremental && self.settings.start == .now && self.settings.adoption == nil
                    ? try StartSearch(self.settings.source, serverID: self.serverID).find(.now)
                    : nil
                try self.meta.prepare(target)
                let session = try TargetSession(self.settings.target, role: .coordinator)
                // Durable with the row, which a later start finds without the flag.
                if self.settings.fresh { try self.adoptedTask?.note(session.connection) }
                _ = try takeover.create(
                    session, identity: identity.encoded, rules: [1],
                    phase: isIncremental ? "start" : "copy", from: place)
                // Of another source of the task it may have come in between: who hands over looks
                // at the row, or is seen here.
                try self.requireNotHandedOver(source, target)
            }
            return known.map { $0.phase != "copy" && $0.phase != "start" } ?? false
        }
        // After the row, so that a crash in between refuses nobody who has never begun; before the
        // first row of data, so that a row that is lost later is missed. What follows already does
        // not wait for the store.
        if let binding, !binding.isStarted { try await binding.begun(!isFollowing) }
    }

    /// The epoch that the target holds, and who owns the subtask by it.
    func storedEpoch() async throws -> UInt64? {
        try await withThread("control") {
            try Takeover(meta: self.meta, key: self.key).peek(Connection(self.settings.target))?
                .epoch
        }
    }

    func precheck(
        _ source: Connection, _ target: Connection, only: Set<String>? = nil
    ) throws {
        try heed(
            Prechecks(settings: settings).run(source: source, target: target, only: only))
    }

    /// Tells what pre-checks warn of, and refuses what they refuse.
    func heed(_ results: [CheckResult]) throws {
        for result in results where result.verdict == .warning {
            let text = "\(result.name): \(result.message)"
            board.update { if !$0.warnings.contains(text) { $0.warnings.append(text) } }
        }
        if results.contains(where: \.refuses) { throw PrecheckFailure(results: results) }
    }

    /// Checks what has begun under the name, and takes other rules where that loses nothing.
    ///
    /// - Returns: whether `known` is what is there now.
    private func isTaken(
        _ known: SubtaskState, _ identity: MigrationIdentity, _ source: Connection,
        _ target: Connection
    ) throws -> Bool {
        try checkMode(known)
        if known.phase == "finished" {
            throw MigrationError.alreadyFinished(name: settings.name)
        }
        if known.phase == "start" || known.phase == "copy" && known.lowWater == nil {
            try requireNotHandedOver(source, target)
        }
        try requireKept(target)
        if known.phase == "start" {
            // Nothing has been done, and what is migrated may be another choice than it was.
            try requireBegun()
            try precheck(source, target)
        } else if settings.finish {
            // What only the end asks for may have been no more than a warning at the start.
            try precheck(source, target, only: ["trigger-privileges"])
        }
        if known.phase != "start", let stored = MigrationIdentity(encoded: known.identity),
            let difference = stored.difference(to: identity)
        {
            // Without a cluster a flag that was forgotten would be taken for a change.
            guard binding != nil || settings.changesRules else {
                throw MigrationError.otherMigration(
                    name: settings.name, detail: "\(difference) (--change-rules takes them)")
            }
            return try takeRules(
                known, from: stored, to: identity, because: difference, source, target)
        }
        return true
    }

    /// Drops what an earlier migration of this name has left on the target, and forgets it.
    private func startOver() async throws {
        try requireBegun()
        let known = try await withThread("control") {
            let target = try Connection(self.settings.target)
            guard try self.meta.exists(target),
                try Takeover(meta: self.meta, key: self.key).peek(target) != nil
            else { return false }
            try self.requireNotHandedOver(Connection(self.settings.source), target)
            // What is refused must not cost the checkpoint that there is.
            if self.settings.adoption != nil {
                try self.precheck(Connection(self.settings.source), target)
            }
            return true
        }
        guard known else { return }
        // Of changes alone nothing is left but the checkpoint: the tables were there before.
        if settings.mode == .incremental {
            try await requireAdoptable()
            return try await forgetCheckpoint()
        }
        try await withThread("control") { try self.requireNoneFound() }
        let (origin, plan) = try await withThread("control") { try self.planCopy() }
        guard !settings.sharesTargets else {
            throw SnapshotError.targetExists(
                plan.tables.first?.target ?? TableName(schema: "", name: ""),
                detail: "to start over would drop tables that other sources of the task write to")
        }
        let (token, epoch) = nextRun()
        try await FreshStart(configuration: snapshotConfiguration(origin)).run(
            epoch: epoch, token: token, plan: plan)
        try await withThread("control") {
            // The selection may be another one now. Who has taken over meanwhile keeps what it has.
            let session = try TargetSession(self.settings.target, role: .coordinator)
            try Coordinator(session: session, meta: self.meta, key: self.key, token: token)
                .forget()
        }
        forgetRuns()
    }

    /// The next takeover is the first one of this process.
    func forgetRuns() { own.forget() }

    /// One step: a run of the copy, or a run of replication. An outcome ends the migration's run.
    private func advance(_ succeeded: @escaping () -> Void) async throws -> MigrationOutcome? {
        board.update { $0.lagMilliseconds = nil }
        let state = try await withThread("control") {
            try Takeover(meta: self.meta, key: self.key).peek(Connection(self.settings.target))
        }
        guard let state else {
            throw CheckpointError.missing(detail: "the row of \(key) is gone")
        }
        if state.phase == "start" {
            try await begin(state)
            return nil
        }
        if let outcome = try await goOnFinishing(state) { return outcome }
        if let outcome = try await settle(state) { return outcome }
        try await openRelay(state)
        if state.phase == "copy" {
            try await copy()
            succeeded()
            return nil
        }
        return try await follow(to: end(of: state), succeeded)
    }

    /// Opens the relay log before anything is copied or read.
    func openRelay(_ state: SubtaskState) async throws {
        var needed = state.readsFrom
        if state.phase == "copy" {
            let snapshots = try await withThread("control") {
                try CopyLedger(meta: self.meta, key: self.key).snapshots(
                    Connection(self.settings.target))
            }
            for snapshot in snapshots {
                needed = try needed.map { try $0.lower(snapshot.low) } ?? snapshot.low
            }
        }
        try await relay.open(needed: needed)
    }

    /// A fresh token and the policy of the next takeover.
    func nextRun() -> (RunToken, EpochPolicy) {
        let token = RunToken(randomToken())
        let policy = own.begin(token)
        return (token, binding.map { .binding($0.epoch) } ?? policy)
    }

    func didTakeOver(_ state: SubtaskState) {
        own.took(state.epoch)
        trouble.withLock { $0?.isOver = true }
        let meeting = meetingText.withLock { $0 }
        board.update { $0.waiting = meeting }
    }

    // MARK: following

    /// - Parameters:
    ///   - end: nothing behind it is applied, and there the migration is complete.
    ///   - rules: those that are followed by; `nil` for the settings'.
    ///   - isExact: whether it ends at that very place and no earlier one of the same GTIDs.
    func follow(
        to end: SourcePosition?, by rules: TableMapping? = nil, isExact: Bool = false,
        _ succeeded: @escaping () -> Void
    ) async throws -> MigrationOutcome? {
        board.update { $0.phase = .following }
        var configuration = ReplicationConfiguration(
            source: settings.source, target: settings.target,
            tables: rules ?? settings.mapping, meta: meta, key: key, serverID: serverID)
        configuration.ranges = try await withThread("control") {
            try CopyLedger(meta: self.meta, key: self.key).ranges(
                Connection(self.settings.target))
        }
        configuration.lanes = settings.lanes
        configuration.converges = settings.safeMode
        configuration.followsMergedStatements = settings.followsMergedStatements
        configuration.intoExisting = settings.intoExisting
        configuration.memoryBudget = settings.memoryBudget
        let generation = relay.generation
        configuration.events = relay.events
        configuration.end = end
        let progress = ReplicationProgress(measures: measures.replication)
        let engine = ReplicationEngine(configuration, progress: progress)
        let (token, epoch) = nextRun()
        let base = board.current
        self.engine.withLock { $0 = engine }
        defer { self.engine.withLock { $0 = nil } }
        if stopRequest.isSet { engine.stop() }
        let goal = FollowGoal(
            settings: settings, board: board, progress: progress, base: base, relay: relay,
            end: end, isExact: isExact, generation: generation)
        return try await withThrowingTaskGroup(of: FollowEvent.self) {
            group -> MigrationOutcome? in
            group.addTask {
                try await engine.run(epoch: epoch, token: token) { self.didTakeOver($0) }
                return .ended
            }
            group.addTask { .due(try await goal.watch()) }
            if end == nil, let validation = validation(progress, token) {
                group.addTask {
                    await validation.run()
                    return .validated
                }
            }
            var reached: String?
            var isRelayBack = false
            do {
                while let event = try await group.next() {
                    switch event {
                    case .validated: continue
                    case .due(let end):
                        switch end {
                        case .reached(let position): reached = position
                        case .relayIsBack: isRelayBack = true
                        }
                        engine.stop()
                    case .ended:
                        group.cancelAll()
                        goal.show()
                        let position = board.current.position
                        if isRelayBack, !stopRequest.isSet {
                            relay.reopen()
                            return nil
                        }
                        if let end, reached != nil || !stopRequest.isSet {
                            // It ends there by itself too. The next step says what follows.
                            guard progress.snapshot.mark?.reaches(end) == true else {
                                throw CheckpointError.inconsistent(
                                    detail: "everything up to \(end) was read, and the mark is "
                                        + "\(position ?? "nowhere")")
                            }
                            return nil
                        }
                        guard let reached else { return .stopped(position) }
                        if settings.finish {
                            try await finish()
                            return .finished
                        }
                        return .reached(position ?? reached)
                    }
                }
            } catch {
                group.cancelAll()
                while let _ = try? await group.next() {}
                if progress.snapshot.transactions > 0 { succeeded() }
                throw error
            }
            return nil
        }
    }
}

private enum FollowEvent: Sendable {
    case ended
    case due(FollowEnd)
    /// Changed rows are compared no more.
    case validated
}

extension Duration {
    /// For people: `0.4 s`.
    fileprivate var rounded: String {
        let milliseconds =
            components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
    }
}
