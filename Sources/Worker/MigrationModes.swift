internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Replication
internal import Rules
internal import Runtime
internal import Settings
internal import Stream
internal import Synchronization

// What the modes do beside copying and following. The phase of the subtask's row says which has
// begun: `start` without a checkpoint, `complete` when a copy alone was wanted and is whole. Each
// is left in one transaction, under the token of a takeover, together with all that the next one
// needs: before it nothing has happened, and after it no settings of another start count.

extension Migration {
    /// Refuses a mode that does not fit what has begun under the name.
    func checkMode(_ known: SubtaskState) throws {
        let isIncremental = settings.mode == .incremental
        switch known.phase {
        case "start" where !isIncremental:
            throw MigrationError.otherMigration(
                name: settings.name,
                detail: "it was begun in mode incremental, now it is \(settings.mode.rawValue)")
        case "load", "loaded":
            throw MigrationError.otherMigration(
                name: settings.name, detail: "it was begun in mode load, with a dump's files")
        case "copy" where isIncremental:
            throw MigrationError.otherMigration(
                name: settings.name,
                detail: "its copy has begun and is not done, now its mode is incremental")
        default: break
        }
    }

    // MARK: changes alone

    /// Where a migration that has not begun yet begins: as the settings say, but "now" was when it
    /// was started first.
    private func place(of state: SubtaskState) -> StartPlace {
        guard settings.start == .now, let settled = state.lowWater else { return settings.start }
        // By GTIDs it is found after a failover of the source, too.
        let gtids = settled.gtids.description
        return gtids.isEmpty ? .position(settled.binlog) : .gtids(gtids)
    }

    /// Finds the place that changes are followed from, and writes the first checkpoint.
    func begin(_ state: SubtaskState) async throws {
        if let adoption = settings.adoption { return try await adopt(adoption) }
        board.update { $0.phase = .checking }
        let place = place(of: state)
        board.update {
            $0.waiting = "looking at the source's binlog since \(place), for tables that changed"
        }
        defer { board.update { $0.waiting = nil } }
        let interruption = Interruption()
        let (start, shapes) = try await withTaskCancellationHandler {
            try await withThread("start") {
                let start = try StartSearch(
                    self.settings.source, serverID: self.serverID, interruption: interruption
                ).find(place)
                try self.requireSameFiles(start, as: state)
                let shapes = try StartShapes(
                    source: self.settings.source, target: self.settings.target,
                    mapping: self.settings.mapping, interruption: interruption
                ).read(at: start)
                try self.requireTables(shapes)
                return (start, shapes)
            }
        } onCancel: {
            interruption.interrupt()
        }
        try await begin(from: start, shapes)
        logger.notice("changes are followed", metadata: ["from": "\(start)"])
    }

    /// Writes the first checkpoint.
    ///
    /// - Parameters:
    ///   - adopting: what another tool has left.
    ///   - isAnew: whether Skein, as far as is known, has gone on with that before.
    ///   - mayBegin: throws where what was found is not so any more.
    func begin(
        from start: SourcePosition, _ shapes: [TableShape], adopting: Adoption? = nil,
        isAnew: Bool = false, _ mayBegin: @Sendable @escaping () throws -> Void = {}
    ) async throws {
        let (token, epoch) = nextRun()
        let state = try await withThread("control") {
            let session = try TargetSession(self.settings.target, role: .coordinator)
            let state = try Takeover(meta: self.meta, key: self.key).take(
                session, token: token, epoch: epoch, lanes: 0)
            // Another process may have begun meanwhile: its place counts.
            guard state.phase == "start" else { return state }
            try mayBegin()
            let coordinator = Coordinator(
                session: session, meta: self.meta, key: self.key, token: token)
            // Nothing is done by the rules of an earlier start, which was checked by its own.
            let identity = MigrationIdentity(settings: self.settings, server: start.origin.server)
            try coordinator.identify(as: identity.encoded)
            let hasBegun = try coordinator.beginFollowing(
                from: start, consistentFrom: start, shapes: shapes, adopting: adopting,
                isAnew: isAnew)
            // Under another name it was gone on with since that was looked up.
            guard hasBegun else { throw StaleLook() }
            return state
        }
        didTakeOver(state)
    }

    /// A place that was settled by an earlier start says nothing of another server's files.
    private func requireSameFiles(_ start: SourcePosition, as state: SubtaskState) throws {
        guard settings.start == .now, let settled = state.lowWater,
            settled.gtids.description.isEmpty, settled.origin.server != start.origin.server
        else { return }
        throw StreamError.noPlace(
            "changes are to be followed from \(settled) on, and the source is another server now: "
                + "give a place of its binlog, or start over (--fresh)")
    }

    /// The target must have the tables as they were.
    func requireTables(_ shapes: [TableShape]) throws {
        guard !shapes.isEmpty else { throw MigrationError.nothingSelected }
        if settings.ignoredChecks.contains("target-tables") { return }
        let mapping = settings.mapping
        let names = try shapes.map { try mapping.target(of: $0.name) }
        let there = try SchemaReader(Connection(settings.target)).shapes(of: names)
        for (shape, name) in zip(shapes, names) {
            let filled = try mapping.route(of: shape.name).extracted.map(\.name)
            let why = there[name].map { ShapeDifference.first(shape, $0, filled: filled) }
            guard let why else {
                throw MigrationError.targetLacks(name, detail: "it is not there")
            }
            if let why { throw MigrationError.targetLacks(name, detail: why) }
        }
    }

    /// Starts a migration of changes over: its checkpoint is forgotten, and nothing else. That a
    /// task of DM's was gone on with is known from then on without it.
    func forgetCheckpoint() async throws {
        let (token, epoch) = nextRun()
        try await withThread("control") {
            let session = try TargetSession(self.settings.target, role: .coordinator)
            _ = try Takeover(meta: self.meta, key: self.key).take(
                session, token: token, epoch: epoch, lanes: 0)
            try Coordinator(session: session, meta: self.meta, key: self.key, token: token)
                .forget(adopting: self.settings.adoption?.task)
        }
        forgetRuns()
    }

    // MARK: the copy alone

    /// Where a migration of which only the copy is wanted ends; `nil` for all others.
    func end(of state: SubtaskState) -> SourcePosition? {
        settings.mode == .full ? laterEnd.withLock { $0 } ?? state.consistentFrom : nil
    }

    /// Ends a migration of which only the copy is wanted, when that is whole; opens one again that
    /// was complete and is to go on.
    func settle(_ state: SubtaskState) async throws -> MigrationOutcome? {
        guard settings.mode == .full else {
            guard state.phase == "complete" else { return nil }
            guard try await write(phase: "follow", where: { $0.phase == "complete" }) else {
                throw StaleLook()
            }
            return nil
        }
        switch state.phase {
        case "complete": break
        case "follow":
            guard let mark = state.lowWater, let end = end(of: state), mark.reaches(end) else {
                return nil
            }
            // A takeover waits for what an earlier run has sent, and tells what that has applied
            // above the mark: then the target is not as the source was at any one place.
            let later = Mutex(state.phase)
            guard
                try await write(
                    phase: "complete",
                    where: { now in
                        later.withLock { $0 = now.phase }
                        return now.phase == state.phase && now.carried.isEmpty
                    })
            else {
                guard later.withLock({ $0 == state.phase }) else { throw StaleLook() }
                let place = try await withThread("control") {
                    try SourceSession(Connection(self.settings.source)).place()
                }
                laterEnd.withLock { $0 = place }
                return nil
            }
        default: return nil
        }
        if settings.finish {
            try await finish()
            return .finished
        }
        let position = state.lowWater?.description ?? ""
        relay.forget()
        board.update {
            $0.phase = .done
            $0.position = position
        }
        return .reached(position)
    }

    /// Writes the phase of a subtask that follows, under a new run, if its state is as wanted.
    ///
    /// - Returns: whether it is written.
    private func write(
        phase: String, where isWanted: @Sendable @escaping (SubtaskState) -> Bool
    ) async throws -> Bool {
        let (token, epoch) = nextRun()
        let (state, isWritten) = try await withThread("control") {
            let session = try TargetSession(self.settings.target, role: .coordinator)
            let state = try Takeover(meta: self.meta, key: self.key).take(
                session, token: token, epoch: epoch, lanes: 0)
            guard isWanted(state) else { return (state, false) }
            try Coordinator(session: session, meta: self.meta, key: self.key, token: token)
                .setPhase(phase)
            return (state, true)
        }
        didTakeOver(state)
        return isWritten
    }
}

extension SourceSession {
    /// Where the source's binlog ends, in every way to say it.
    func place() throws -> SourcePosition {
        // The position first: the GTIDs then hold all of it.
        let position = try currentPosition()
        return SourcePosition(
            origin: Origin(server: try serverName(), life: 0), binlog: position,
            gtids: try currentGTIDs())
    }
}
