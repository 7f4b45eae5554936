internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Relay
internal import Runtime
internal import Settings
internal import Stream
internal import Synchronization

extension RelayCheckpoint {
    /// What a migration's target holds of its source, by what is durable there; blocks.
    ///
    /// Unless the migration says it itself, it is taken over: what a run that is frozen, or was
    /// left by a worker that is gone, has still to commit then matches nothing. To look alone would
    /// be to guess.
    ///
    /// - Parameters:
    ///   - reads: whether the migration reads the log, if it follows already.
    ///   - fences: told of the takeover, by which a run of this process ends as well.
    ///   - policy: whether what is stored may be taken over, and with which epoch.
    /// - Returns: `nil` for one that has not begun, or is over.
    /// - Throws: ``CheckpointError/fenced(detail:)`` when somebody newer owns the migration.
    static func read(
        _ settings: MigrationSettings, reads: Bool, fences: RelayFences,
        policy: (SubtaskState) -> EpochPolicy
    ) throws -> RelayCheckpoint? {
        let meta = MetaSchema(name: settings.metaSchema)
        let key = SubtaskKey(
            task: settings.name, source: settings.sourceID ?? settings.source.server)
        let target = try Connection(settings.target)
        let takeover = Takeover(meta: meta, key: key)
        guard try meta.exists(target), var state = try takeover.peek(target),
            state.phase != "finished"
        else { return nil }
        // Who reads says it again; its lanes may hold locks for long.
        let isReading = reads && state.phase == "follow"
        var others: IdentitySet?
        if !isReading {
            let token = RunToken(randomToken())
            let session = try TargetSession(settings.target, role: .coordinator)
            fences.add(token)
            // Before and after: a run may begin meanwhile.
            var isRefused = false
            defer { if isRefused { fences.withdraw(token) } else { fences.add(token) } }
            do {
                state = try takeover.take(session, token: token, epoch: policy(state), lanes: 0)
            } catch {
                // Nobody was taken over, and a run that ends does so because of another process.
                if case CheckpointError.fenced = error { isRefused = true }
                throw error
            }
            others = state.carried
            // A statement may have run, or still run: no token stops it.
            let ledger = DDLLedger(session: session, meta: meta, key: key, lane: 0, token: token)
            if let intent = try ledger.read() { others?.insert(intent.identity) }
        }
        var positions = [state.lowWater, state.consistentFrom].compactMap { $0 }
        if state.phase == "copy" {
            let ledger = CopyLedger(meta: meta, key: key)
            let used = Set(try ledger.chunks(target).map(\.snapshot))
            for snapshot in try ledger.snapshots(target) where used.contains(snapshot.id) {
                guard let high = snapshot.high else {
                    throw CheckpointError.inconsistent(
                        detail: "\(key) has rows of a snapshot whose end is not known yet")
                }
                positions.append(high)
            }
        }
        return RelayCheckpoint(
            HeldTransactions(
                task: settings.name, target: settings.target.server, positions: positions,
                others: others ?? state.carried),
            isReading: isReading)
    }
}

/// The takeovers that a relay log has made of a migration of this process, to be certain of what its
/// target holds. A run that ends by one begins again.
final class RelayFences: Sendable {
    private struct State {
        var tokens: Set<RunToken> = []
        /// Those that no run has ended by, as far as is known.
        var new: Set<RunToken> = []
    }
    private let state = Mutex(State())

    /// Notes a takeover.
    func add(_ token: RunToken) {
        state.withLock { state in
            state.tokens.insert(token)
            state.new.insert(token)
        }
    }

    /// A takeover was refused.
    func withdraw(_ token: RunToken) {
        state.withLock { state in
            state.tokens.remove(token)
            state.new.remove(token)
        }
    }

    /// Their tokens.
    var tokens: Set<RunToken> { state.withLock { $0.tokens } }

    /// Whether there was a takeover since the last call.
    func take() -> Bool {
        state.withLock { state in
            defer { state.new = [] }
            return !state.new.isEmpty
        }
    }
}
