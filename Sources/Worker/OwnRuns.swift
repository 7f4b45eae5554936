internal import Checkpoint
internal import Synchronization

/// The runs of one migration that this process has made: by them it knows, without a cluster,
/// whether it is still the newest process that owns the migration.
final class OwnRuns: Sendable {
    private struct State {
        var tokens: Set<RunToken> = []
        var epoch: UInt64?
    }
    private let state = Mutex(State())
    /// The takeovers that the relay log has made for this process.
    private let fences: RelayFences

    init(fences: RelayFences) { self.fences = fences }

    /// Notes the token of a run before its takeover.
    ///
    /// - Returns: the policy of a takeover without a cluster: the first one begins a new epoch.
    func begin(_ token: RunToken) -> EpochPolicy {
        let taken = fences.tokens
        return state.withLock { state in
            defer { state.tokens.insert(token) }
            return state.epoch.map { .keep($0, own: state.tokens.union(taken)) } ?? .next
        }
    }

    /// Notes the epoch that a takeover has found or made.
    func took(_ epoch: UInt64) { state.withLock { $0.epoch = epoch } }

    /// Makes the next takeover the first one again.
    func forget() { state.withLock { $0 = State() } }

    /// The policy of a takeover by the relay log, between those of runs. A process that has not
    /// taken over yet takes whatever is there, as it is about to do anyway. Later it must still be
    /// the newest: one that was cut off for long would else end a newer one before it ends itself.
    func policy(over stored: SubtaskState) -> EpochPolicy {
        let taken = fences.tokens
        return state.withLock { state in
            guard let epoch = state.epoch else { return .keep(stored.epoch, own: [stored.run]) }
            return .keep(epoch, own: state.tokens.union(taken))
        }
    }
}
