internal import Cluster
internal import Logging
internal import Metadata
internal import Synchronization

/// The worker's copy of the cluster's state, which answers questions without asking the store.
final class FollowedState: Sendable {
    fileprivate struct Candidate {
        let worker: String
        let since: Revision
    }
    fileprivate struct State {
        var cluster = ClusterState()
        var candidates: [String: Candidate] = [:]
        var isKnown = false
    }
    private let state = Mutex(State())

    /// Everything, as of the newest change that has arrived.
    var cluster: ClusterState { state.withLock { $0.cluster } }
    /// Whether all that there is has arrived once.
    var isKnown: Bool { state.withLock { $0.isKnown } }
    /// The worker that leads: the oldest candidate.
    var leader: String? {
        state.withLock { $0.candidates.values.min { $0.since < $1.since }?.worker }
    }

    /// Follows the store until the task is cancelled. A store that refuses is no reason to end what
    /// the worker runs: what was known last is answered.
    ///
    /// - Parameter follow: tells everything, and then every change; normally it only returns by
    ///   throwing.
    func run(
        _ log: Logger, _ follow: (@escaping @Sendable (KeyUpdate) -> Void) async throws -> Void
    ) async throws {
        while true {
            do {
                try await follow { update in self.state.withLock { $0.apply(update) } }
            } catch let error as MetadataError where error.code != .closed {
                log.error("the API can't read the store", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Returns when a change that was made has arrived, so that whoever made it sees it next.
    ///
    /// Not for long: the change is made, whether this worker sees it in time or not.
    func arrival(of revision: Revision) async {
        let deadline = ContinuousClock.now + .seconds(2)
        // It takes some milliseconds; a look at a number is cheaper than a queue of waiters.
        while cluster.revision < revision, ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(2))
        }
    }
}

extension FollowedState.State {
    fileprivate mutating func apply(_ update: KeyUpdate) {
        cluster.apply(update)
        switch update {
        case .all(let values, _):
            isKnown = true
            candidates = [:]
            for value in values { put(value) }
        case .changes(let changes):
            for change in changes {
                switch change {
                case .put(let value): put(value)
                case .delete(let key, _): candidates[key] = nil
                }
            }
        }
    }

    private mutating func put(_ it: KeyValue) {
        guard it.key.hasPrefix(KeyLayout.leader) else { return }
        candidates[it.key] = .init(
            worker: String(decoding: it.value, as: UTF8.self), since: it.createRevision)
    }
}
