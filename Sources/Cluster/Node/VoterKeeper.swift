internal import Logging
internal import Metadata
internal import Synchronization

/// The leader's second duty: that as many workers vote as are wanted.
///
/// It tells workers to join by a key, and gives and takes votes itself. Each step is looked up anew
/// and can be made twice, so a leader that was deposed meanwhile does no harm by its last one.
final class VoterKeeper: Sendable {
    private let client: EtcdClient
    private let wanted: Int
    private let timeout: Duration
    private let cluster: @Sendable () -> ClusterState
    private let log: Logger
    /// Since when members were seen without their worker.
    private let absent = Mutex<[String: ContinuousClock.Instant]>([:])

    init(
        client: EtcdClient, wanted: Int, timeout: Duration,
        cluster: @Sendable @escaping () -> ClusterState, log: Logger
    ) {
        self.client = client
        self.wanted = wanted
        self.timeout = timeout
        self.cluster = cluster
        self.log = log
    }

    /// Keeps the voters until the task is cancelled.
    func run(_ leadership: Leadership) async throws {
        absent.withLock { $0 = [:] }
        while true {
            var isDone = true
            do {
                isDone = try await step(leadership)
            } catch let error as MetadataError where error.code != .closed {
                // Most refusals pass by themselves; none is worth ending the leadership for.
                log.debug("cannot change the voters yet", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: isDone ? .seconds(1) : .milliseconds(300))
        }
    }

    /// - Returns: whether all is as it should be, or has to be waited for.
    private func step(_ leadership: Leadership) async throws -> Bool {
        let members = try await client.members()
        let state = cluster()
        try await reconcileKeys(leadership, members, state)
        let plan = VoterPlan.next(
            wanted: wanted, members: members, workers: candidates(members, state))
        switch plan {
        case .nothing: return true
        case .remove(let id):
            let name = members.first { $0.id == id }?.name ?? ""
            log.notice("a member of the store is removed", metadata: ["member": "\(name)"])
            guard try await write(leadership, [.delete(.key(KeyLayout.voter(name)))]) else {
                return true
            }
            try await client.remove(id)
        case .promote(let id):
            guard try await write(leadership, []) else { return true }
            try await client.promote(id)
            log.notice("a member of the store votes now", metadata: ["member": "\(id)"])
        case .join(let worker):
            guard !state.voters.contains(worker) else { return false }
            log.notice("a worker is to join the store", metadata: ["worker": "\(worker)"])
            _ = try await write(leadership, [.put(KeyLayout.voter(worker), [], lease: nil)])
        }
        return false
    }

    private func candidates(_ members: [Member], _ state: ClusterState) -> [VoterCandidate] {
        var out: [VoterCandidate] = []
        for (name, session) in state.sessions {
            guard let url = session.record.peerURL else { continue }
            out.append(
                VoterCandidate(
                    name: name, peerURL: url, isAlive: !session.record.isLeaving))
        }
        let now = ContinuousClock.now
        absent.withLock { absent in
            var gone: Set<String> = []
            for member in members {
                let url = member.peerURLs.first ?? ""
                if out.contains(where: { $0.name == member.name || $0.peerURL == url }) { continue }
                if state.liveWorkers.contains(member.name) {
                    // Its session can't be read.
                    out.append(VoterCandidate(name: member.name, peerURL: url, isAlive: true))
                    continue
                }
                // One that has never started has no name.
                let name = member.hasStarted ? member.name : "(\(url))"
                gone.insert(name)
                let since = absent[name] ?? now
                absent[name] = since
                out.append(
                    VoterCandidate(
                        name: name, peerURL: url, isAlive: false,
                        isGivenUp: since + timeout <= now))
            }
            absent = absent.filter { gone.contains($0.key) }
        }
        return out
    }

    /// Keys say who is, or is to be, a member: those of members are made, those of workers that
    /// went away before they joined are removed.
    private func reconcileKeys(
        _ leadership: Leadership, _ members: [Member], _ state: ClusterState
    ) async throws {
        let names = Set(members.filter(\.hasStarted).map(\.name))
        for name in names.subtracting(state.voters) {
            _ = try await write(leadership, [.put(KeyLayout.voter(name), [], lease: nil)])
        }
        for name in state.voters.subtracting(names) where state.sessions[name] == nil {
            _ = try await write(leadership, [.delete(.key(KeyLayout.voter(name)))])
        }
    }

    /// Writes as the leader.
    ///
    /// - Returns: whether this worker still leads.
    private func write(_ leadership: Leadership, _ changes: [Operation]) async throws -> Bool {
        try await client.transaction(if: [leadership.condition], then: changes).succeeded
    }
}
