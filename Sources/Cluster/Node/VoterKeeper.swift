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
    /// How long a member stays that the store has refused to remove.
    private static let refusalPause = Duration.seconds(30)
    /// What a leader has seen, all by the workers' names.
    private struct Memory {
        /// Since when members were seen without their worker.
        var absent: [String: ContinuousClock.Instant] = [:]
        /// Since when members do not work though their worker lives.
        var troubled: [String: ContinuousClock.Instant] = [:]
        /// Learners that could not be promoted.
        var late: Set<MemberID> = []
        /// When the store has last refused to remove a member.
        var refusal: ContinuousClock.Instant?
        /// Who was asked last to join, and since when it has not.
        var asked: (worker: String, since: ContinuousClock.Instant)?
        /// How often they were given up for that.
        var failures: [String: Int] = [:]
    }
    private let memory = Mutex(Memory())

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
        memory.withLock { $0 = Memory() }
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
        let workers = candidates(members, state)
        let plan = VoterPlan.next(wanted: wanted, members: members, workers: workers)
        // One that stands by is not late.
        if case .nothing = plan { memory.withLock { $0.late = [] } }
        switch plan {
        case .nothing: return true
        case .remove(let id):
            return try await remove(id, of: members, workers, leadership)
        case .promote(let id):
            guard try await write(leadership, []) else { return true }
            do {
                try await client.promote(id)
            } catch let error as MetadataError where error.code == .membersNotReady {
                memory.withLock { _ = $0.late.insert(id) }
                throw error
            }
            log.notice("a member of the store votes now", metadata: ["member": "\(id)"])
        case .join(let worker):
            try await ask(worker, state, leadership)
        }
        return false
    }

    /// - Returns: as ``step(_:)``.
    private func remove(
        _ id: MemberID, of members: [Member], _ workers: [VoterCandidate], _ leadership: Leadership
    ) async throws -> Bool {
        guard let member = members.first(where: { $0.id == id }) else { return false }
        let refused = memory.withLock { $0.refusal }
        if let refused, refused + Self.refusalPause > .now { return true }
        // One that has never started has no name.
        let worker = workers.first { $0.isOf(member) }
        let name = worker?.name ?? member.name
        let isFailing = worker?.isFailing ?? false
        log.notice(
            "a member of the store is removed",
            metadata: ["member": "\(name)", "failing": "\(isFailing)"])
        guard try await write(leadership, [.delete(.key(KeyLayout.voter(name)))]) else {
            return true
        }
        do {
            try await client.remove(id)
        } catch let error as MetadataError where error.code == .membersNotReady {
            // It stays until others are well again.
            memory.withLock { $0.refusal = .now }
            throw error
        }
        if isFailing { failed(name) }
        return false
    }

    /// Asks a worker to join; one that does not come is asked no more, so that others are.
    private func ask(
        _ worker: String, _ state: ClusterState, _ leadership: Leadership
    ) async throws {
        let now = ContinuousClock.now
        let since = memory.withLock { memory in
            if memory.asked?.worker != worker { memory.asked = (worker, now) }
            return memory.asked?.since ?? now
        }
        let key = KeyLayout.voter(worker)
        if !state.voters.contains(worker) {
            log.notice("a worker is to join the store", metadata: ["worker": "\(worker)"])
            _ = try await write(leadership, [.put(key, [], lease: nil)])
        } else if since + timeout <= now {
            log.warning("a worker has not joined the store", metadata: ["worker": "\(worker)"])
            _ = try await write(leadership, [.delete(.key(key))])
            failed(worker)
        }
    }

    private func failed(_ worker: String) {
        memory.withLock { memory in
            memory.failures[worker, default: 0] += 1
            memory.troubled[worker] = nil
            memory.asked = nil
        }
    }

    private func candidates(_ members: [Member], _ state: ClusterState) -> [VoterCandidate] {
        let now = ContinuousClock.now
        return memory.withLock { memory in
            memory.late.formIntersection(members.filter(\.isLearner).map(\.id))
            var out: [VoterCandidate] = []
            var troubled: Set<String> = []
            for (name, session) in state.sessions {
                guard let url = session.record.peerURL else { continue }
                let member = members.first { $0.name == name || $0.peerURLs.contains(url) }
                if let member, isTroubled(member, session.record, late: memory.late) {
                    troubled.insert(name)
                    if memory.troubled[name] == nil { memory.troubled[name] = now }
                }
                let since = troubled.contains(name) ? memory.troubled[name] : nil
                out.append(
                    VoterCandidate(
                        name: name, peerURL: url, isAlive: !session.record.isLeaving,
                        isFailing: since.map { $0 + timeout <= now } ?? false,
                        failures: memory.failures[name] ?? 0))
                // What is a member has come.
                if member != nil, memory.asked?.worker == name { memory.asked = nil }
            }
            memory.troubled = memory.troubled.filter { troubled.contains($0.key) }
            out += absent(members, out, state, since: &memory.absent, now)
            return out
        }
    }

    private func isTroubled(
        _ member: Member, _ session: WorkerSession, late: Set<MemberID>
    ) -> Bool {
        session.isMemberDown == true
            || member.isLearner && (!member.hasStarted || late.contains(member.id))
    }

    /// The workers of members that are not there.
    private func absent(
        _ members: [Member], _ known: [VoterCandidate], _ state: ClusterState,
        since absent: inout [String: ContinuousClock.Instant], _ now: ContinuousClock.Instant
    ) -> [VoterCandidate] {
        var out: [VoterCandidate] = []
        var gone: Set<String> = []
        for member in members {
            let url = member.peerURLs.first ?? ""
            if known.contains(where: { $0.isOf(member) }) { continue }
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
