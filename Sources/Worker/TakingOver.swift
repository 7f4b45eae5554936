internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime
internal import Settings
internal import Stream
internal import Synchronization

// A task may take over the tables of another one of the same source (`take-over`): large tables are
// copied, and followed, by a task of their own while the main one goes on, and join it then. Both rest
// for that, and the one that is behind is brought to where the other one is: between the two places
// would be transactions that one of them has applied and the other one has not, and no mark could tell
// them apart. At the same place all that is known of the tables changes hands in one transaction
// (`Coordinator.take(over:_:)`). Everything before it leaves two tasks that can go on.

/// The two are not where one can take the other one's tables over.
struct UnmetTables: Error {
    let name: String
    let donor: SubtaskKey
    let ownRules: TableMapping
    let donorRules: TableMapping

    init(_ tables: HandedOverTables) {
        name = tables.name
        donor = tables.donor
        ownRules = tables.ownRules
        donorRules = tables.donorRules
    }
}

extension Migration {
    /// Refuses to begin with a task that is to take tables over: there is no place yet at which the
    /// two could be the same, and what comes with the other one would be copied here as well.
    func requireBegun() throws {
        guard let name = settings.takeOver else { return }
        throw MigrationError.handOver(
            from: name,
            detail: "\(settings.name) has not begun yet, and takes tables over when it follows "
                + "changes: start it without take-over, and without those tables")
    }

    /// Refuses to begin, or to start over, with a task that has handed its tables over, as long as
    /// another task has one of those that it would write to. Tasks that have never done so are free to
    /// share tables with others.
    func requireNotHandedOver(
        _ source: Connection, _ target: Connection, isBinding: Bool = true
    ) throws {
        guard try meta.exists(target) else { return }
        let handed = HandedTask(settings.name, meta: meta)
        guard try handed.hasHandedOver(target, isBinding: isBinding) else { return }
        let mapping = settings.mapping
        // Of another task with thousands of tables they are read once.
        var known: [SubtaskKey: TableMapping?] = [:]
        func rules(of owner: SubtaskKey) throws -> TableMapping? {
            if let rules = known[owner] { return rules }
            let rules = try mappingOf(owner, source, target)
            known[owner] = .some(rules)
            return rules
        }
        let tables = try source.baseTables().filter { mapping.selects($0) }
        let places = Set(try tables.map { try mapping.target(of: $0) })
        for owner in try handed.copyingOthers(target) where owner.source == key.source {
            // Rules that can't be read may select anything.
            let rules = try rules(of: owner)
            let table = try tables.first { table in
                guard let rules else { return true }
                return try rules.selects(table)
                    && rules.target(of: table) == mapping.target(of: table)
            }
            if let table {
                throw MigrationError.handedOver(task: settings.name, to: owner.task, table)
            }
        }
        for (owner, table) in try handed.tablesOfOthers(target) {
            let isWanted: Bool
            if owner.source != key.source {
                // As this task would have it go: nothing else tells its sources' rows apart.
                isWanted = !mapping.places(of: table, source: owner.source).isDisjoint(with: places)
            } else if let place = try rules(of: owner)?.target(of: table) {
                // Where it goes counts: a task may follow the same table to another place. The
                // source need not have it any more, and may have it again.
                isWanted =
                    try places.contains(place)
                    || mapping.selects(table) && mapping.target(of: table) == place
            } else {
                isWanted = mapping.selects(table)
            }
            guard !isWanted else {
                throw MigrationError.handedOver(
                    task: settings.name, to: owner.task, table)
            }
        }
    }

    /// Refuses settings by which tables may be dropped or emptied that this task has taken over, and
    /// that were, or may have been, on the target before any task.
    func requireKept(_ target: Connection) throws {
        guard !settings.intoExisting,
            let table = try SubtaskLook(meta: meta, key: key).foundTable(target)
        else { return }
        throw MigrationError.takenOver(
            table,
            detail: "into-existing, by which it stays as it is, was taken out of the settings; put "
                + "it back")
    }

    /// Refuses to start over, which drops all tables, where such are among them.
    func requireNoneFound() throws {
        let look = SubtaskLook(meta: meta, key: key)
        guard let table = try look.foundTable(Connection(settings.target)) else { return }
        throw MigrationError.takenOver(
            table, detail: "to start over would drop it; exclude it before (--change-rules)")
    }

    /// The rules that another subtask of the source goes by; `nil` when they can't be read.
    private func mappingOf(
        _ other: SubtaskKey, _ source: Connection, _ target: Connection
    ) throws -> TableMapping? {
        guard let state = try Takeover(meta: meta, key: other).peek(target),
            let identity = MigrationIdentity(encoded: state.identity)
        else { return nil }
        return try identity.mapping(source)
    }

    /// How a task that seems to run is looked at.
    struct DonorRest {
        var seen: DonorRuns?
        var since = ContinuousClock.now
    }

    /// For how long the sessions of a run may outlive its process on the target: as long as it lets
    /// them be idle, and some.
    private static let sessionsEnd = Duration.seconds(45)
    /// For how long a run may show that it lives: one that was told to end applies first what it has
    /// read.
    private static let drainingEnd = Duration.seconds(10)

    /// Waits a moment for a run that ends, or whose sessions are left; refuses to wait for one that
    /// goes on. What is waited for is shown until ``endWait(_:)``.
    func wait(for runs: DonorRuns, _ rest: inout DonorRest) async throws {
        let isAlive = rest.seen.map { $0.beat != runs.beat } ?? false
        if rest.seen == nil { rest.since = .now }
        rest.seen = runs
        let waited = rest.since.duration(to: .now)
        guard waited < (isAlive ? Self.drainingEnd : Self.sessionsEnd) else {
            throw MigrationError.handOver(
                from: runs.name,
                detail: "it is running: pause that task, and change this one when its run has ended"
            )
        }
        board.update { $0.waiting = "\(runs.name) seems to run: its tables come when it rests" }
        try await Task.sleep(for: .milliseconds(500))
    }

    /// The other task is not waited for any more.
    func endWait(_ rest: inout DonorRest) {
        guard rest.seen != nil else { return }
        rest = DonorRest()
        board.update { $0.waiting = nil }
    }

    /// Takes other rules, with the tables of another task where that has some of this source.
    ///
    /// - Returns: whether they are in force; else nothing has changed, and one of the two is not as it
    ///   was found any more.
    /// - Throws: what ``takeOver(_:_:from:to:_:_:)`` and
    ///   ``changeRules(_:from:to:because:_:_:)`` throw.
    func takeRules(
        _ known: SubtaskState, from stored: MigrationIdentity, to identity: MigrationIdentity,
        because difference: String, _ source: Connection, _ target: Connection
    ) throws -> Bool {
        if let name = settings.takeOver, try isAwaited(name, known, stored, source, target) {
            return try takeOver(name, known, from: stored, to: identity, source, target)
        }
        return try changeRules(
            known, from: stored, to: identity, because: difference, source, target)
    }

    /// Whether something is to come from another task. A task of several sources names it for all of
    /// them, and it may have tables of one only; where the new rules take no table in, nothing is
    /// copied in the place of what it was to hand over.
    private func isAwaited(
        _ name: String, _ known: SubtaskState, _ stored: MigrationIdentity, _ source: Connection,
        _ target: Connection
    ) throws -> Bool {
        let donor = SubtaskKey(task: name, source: key.source)
        guard name != settings.name,
            try Takeover(meta: meta, key: donor).peek(target) == nil,
            // Else it may be gone by an earlier try, whose COMMIT had no reply: that is for the look
            // at both to find.
            try Takeover(meta: meta, key: key).peek(target)?.identity == known.identity,
            let old = try stored.mapping(source)
        else { return true }
        let new = settings.mapping
        let shapes = try StoredShapes(meta: meta, key: key).read(target)
        let copied = Set(shapes.map(\.name))
        return try source.baseTables().contains {
            new.selects($0) && !copied.contains($0) && !old.selects($0)
        }
    }

    /// Takes over another task's tables, which the new rules want, where both rest at one place.
    ///
    /// - Returns: false, with nothing changed, where one of them is not as it was found any more.
    /// - Throws: ``UnmetTables`` where they are to be brought to one place first; what
    ///   ``tablesToTakeOver(from:_:_:to:_:_:)`` throws.
    func takeOver(
        _ name: String, _ known: SubtaskState, from stored: MigrationIdentity,
        to identity: MigrationIdentity, _ source: Connection, _ target: Connection
    ) throws -> Bool {
        let tables: HandedOverTables
        do {
            tables = try tablesToTakeOver(from: name, known, stored, to: identity, source, target)
        } catch let error as MigrationError {
            // The COMMIT of an earlier try, whose reply was lost, may have taken effect meanwhile:
            // what is read behind that shows it, and the other one's rows are gone by it.
            let now = try Takeover(meta: meta, key: key).peek(target)
            guard now?.identity == known.identity else { return false }
            throw error
        }
        guard tables.areMet else { throw UnmetTables(tables) }
        // Each lock is taken before its token is stored: whoever looks finds that somebody is at it.
        let session = try TargetSession(settings.target, role: .coordinator)
        let (token, epoch) = nextRun()
        let donorToken = RunToken(randomToken())
        let donorEpoch: EpochPolicy = binding.map { .binding($0.epoch) } ?? .next
        try session.holdLock(token)
        try session.holdLock(donorToken)
        let outcome = try handOver(
            tables, known, token, epoch, donorToken, donorEpoch, session)
        // The next look must not take these for a run.
        try session.releaseLock(token)
        try session.releaseLock(donorToken)
        switch outcome {
        case .done: break
        case .outdated: return false
        case .unmet, .undecided: throw UnmetTables(tables)
        case .refused(let why): throw MigrationError.handOver(from: name, detail: why)
        }
        logger.notice(
            "tables were taken over",
            metadata: ["from": "\(name)", "tables": "\(tables.change.tables.sorted())"])
        return true
    }

    private func handOver(
        _ tables: HandedOverTables, _ known: SubtaskState, _ token: RunToken, _ epoch: EpochPolicy,
        _ donorToken: RunToken, _ donorEpoch: EpochPolicy, _ session: TargetSession
    ) throws -> Coordinator.HandOverOutcome {
        let state = try Takeover(meta: meta, key: key).take(
            session, token: token, epoch: epoch, lanes: 0)
        didTakeOver(state)
        // Another process may have written between the look and the takeover, and can't from now on.
        guard state.phase == known.phase, state.identity == known.identity else { return .outdated }
        let theirs: SubtaskState
        do {
            // What an old lane of it sends late matches nothing from here on.
            theirs = try Takeover(meta: meta, key: tables.donor).take(
                session, token: donorToken, epoch: donorEpoch, lanes: 0)
        } catch let error as CheckpointError {
            switch error {
            case .fenced, .missing: return .outdated
            case .unusable, .differentServers, .inconsistent: throw error
            }
        }
        let found = tables.donorState
        guard theirs.phase == found.phase, theirs.identity == found.identity else {
            return .outdated
        }
        let donor = Coordinator(session: session, meta: meta, key: tables.donor, token: donorToken)
        return try Coordinator(session: session, meta: meta, key: key, token: token).take(
            over: donor, tables.change)
    }

    // MARK: one place for both

    /// Where a subtask stands.
    private struct Standing: Sendable {
        let state: SubtaskState
        /// Whether something of it is above its mark, or on its way.
        let isOpen: Bool
    }

    /// How often they may miss each other in a row: each time is a run to where the other one is.
    private static let meetingLimit = 10

    /// Brings the one that is behind to where the other one is; with something applied above its mark
    /// it goes on to where the source is now first, by the rules that it was read by. One step: what
    /// is there is looked at anew behind it.
    func meet(_ unmet: UnmetTables, time: Int) async throws {
        let (own, other, now) = try await withThread("control") {
            let target = try Connection(self.settings.target)
            let own = try self.standing(self.key, target)
            let other = try self.standing(unmet.donor, target)
            return (own, other, try SourceSession(Connection(self.settings.source)).place())
        }
        guard own.state.phase == "follow", other.state.phase == "follow",
            let mark = own.state.lowWater, let place = other.state.lowWater
        else { throw StaleLook() }
        guard time <= Self.meetingLimit else {
            throw MigrationError.handOver(
                from: unmet.name,
                detail:
                    "the two tasks do not come to one place: it is at \(place), and this one at "
                    + "\(mark)")
        }
        let isMeeting = !own.isOpen && !other.isOpen
        if isMeeting, mark.isSamePlace(as: place, knowing: meetingPlace.withLock({ $0 })) {
            return
        }
        var isOwn = isMeeting ? mark.isBehind(place) : own.isOpen
        var end = isMeeting ? (isOwn ? place : mark) : now
        if isMeeting, mark.origin.server == place.origin.server, mark.binlog == place.binlog {
            // They hold other GTIDs at one offset, which may lie behind it: both come to where the
            // source is known to have all of them.
            meetingPlace.withLock { $0 = now }
            if mark.isSamePlace(as: place, knowing: now) { return }
            (isOwn, end) = (true, now)
        }
        let who = isOwn ? settings.name : unmet.name
        guard end.isHeld(by: now) else {
            throw MigrationError.handOver(
                from: unmet.name,
                detail:
                    "\(who) can't come to \(end): the source, which is at \(now), does not have "
                    + "everything that was applied up to there")
        }
        let text = "\(who) comes to \(end.binlog), where \(unmet.name) hands its tables over"
        // Also when its run has taken over.
        meetingText.withLock { $0 = text }
        board.update { $0.waiting = text }
        defer {
            meetingText.withLock { $0 = nil }
            board.update { $0.waiting = nil }
        }
        logger.notice("two tasks come to one place", metadata: ["task": "\(who)", "to": "\(end)"])
        if isOwn {
            try await openRelay(own.state)
            do {
                _ = try await follow(to: end, by: unmet.ownRules, isExact: isMeeting) {}
            } catch let error as UnreachedPlace {
                throw MigrationError.handOver(
                    from: unmet.name, detail: "\(who) does not come to one place with it: \(error)")
            }
        } else {
            try await bring(unmet, to: end, isExact: isMeeting)
        }
        // Where it was stopped before, nothing changes.
        if isStopping { throw StaleLook() }
    }

    private func standing(_ key: SubtaskKey, _ target: Connection) throws -> Standing {
        guard let state = try Takeover(meta: meta, key: key).peek(target) else { throw StaleLook() }
        let hasStatement = try SubtaskLook(meta: meta, key: key).hasOpenStatement(target)
        return Standing(state: state, isOpen: !state.carried.isEmpty || hasStatement)
    }

    /// Brings the other task to a place, by its own rules, reading the source directly.
    private func bring(
        _ unmet: UnmetTables, to end: SourcePosition, isExact: Bool
    ) async throws {
        let donor = donorMigration(unmet.name)
        do {
            _ = try await donor.follow(to: end, by: unmet.donorRules, isExact: isExact) {}
        } catch {
            try Task.checkCancellation()
            switch error {
            // Whoever has taken it over, or asks what the target holds, comes first.
            case CheckpointError.fenced: throw StaleLook()
            case let error as MySQLError where error.retry != .no: throw error
            case StreamError.upstreamChanged, StreamError.takenBack, StreamError.behind: throw error
            default:
                // Nothing of this may be taken for an error of this task's own.
                throw MigrationError.handOver(
                    from: unmet.name, detail: "it does not come to \(end): \(error)")
            }
        }
        // The server may still have the run's session when that is closed here.
        for _ in 0..<100 {
            let isRunning = try await withThread("control") {
                let target = try Connection(self.settings.target)
                guard let state = try Takeover(meta: self.meta, key: unmet.donor).peek(target)
                else {
                    return false
                }
                return try SubtaskLook(meta: self.meta, key: unmet.donor).isRunning(state, target)
            }
            guard isRunning else { return }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// The other task, as this process can run it for a moment. What its settings say beside its rules
    /// is not known here; what is on the target beside its rows is taken for possible.
    private func donorMigration(_ name: String) -> Migration {
        var settings = settings
        settings.name = name
        settings.takeOver = nil
        settings.adoption = nil
        settings.mode = .all
        settings.until = .stopped
        settings.finish = false
        settings.fresh = false
        settings.intoExisting = true
        // A server takes a second reader of the same id for the first one, come again.
        settings.serverID = 0
        settings.keepsRelay = false
        settings.relayFolder = nil
        let bound = binding.map {
            Bound(epoch: $0.epoch, isStarted: true, begun: { _ in }, worker: $0.worker)
        }
        return Migration(settings: settings, binding: bound, relay: nil, logger: logger)
    }
}

extension SourcePosition {
    /// Whether it lies before another place; of two servers' places GTIDs tell it.
    fileprivate func isBehind(_ other: SourcePosition) -> Bool {
        origin.server == other.origin.server
            ? binlog < other.binlog : !gtids.holds(other.gtids)
    }
}
