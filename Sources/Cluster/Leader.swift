public import Logging
public import Metadata
internal import Runtime
internal import Synchronization

/// The leader's one duty: it turns what is wanted and who is alive into bindings.
public final class Leader: Sendable {
    /// How long after workers have come or gone running sources are left where they are: a worker
    /// that restarts is soon back.
    public static let settlingTime = Duration.seconds(20)

    private enum Look { case again }

    private struct State {
        var cluster = ClusterState()
        /// Our own writes up to here must be in `cluster` before it is looked at again.
        var written: Revision = 0
        var workers: Set<String>?
        var workersSince: ContinuousClock.Instant = .now
    }
    private let client: EtcdClient
    private let settling: Duration
    private let otherDuties: @Sendable (Leadership) async throws -> Void
    private let log: Logger
    private let state = Mutex(State())

    /// Makes a leader that has nothing to do yet.
    ///
    /// - Parameter otherDuties: runs as long as this worker leads.
    public init(
        client: EtcdClient, settlingTime: Duration = settlingTime, log: Logger,
        otherDuties: @Sendable @escaping (Leadership) async throws -> Void = { _ in }
    ) {
        self.client = client
        self.settling = settlingTime
        self.otherDuties = otherDuties
        self.log = log
    }

    /// Campaigns, and leads when elected, until the lease ends or the task is cancelled.
    ///
    /// - Parameter lease: the worker's; the leadership goes with it.
    public func run(as worker: String, lease: Lease) async throws {
        while true {
            let leadership = try await client.campaign(
                KeyLayout.leader, lease: lease.id, value: Array(worker.utf8))
            log.info("this worker leads now", metadata: ["worker": "\(worker)"])
            try await lead(leadership)
            log.info("this worker leads no more", metadata: ["worker": "\(worker)"])
        }
    }

    /// Returns when the leadership is lost.
    private func lead(_ leadership: Leadership) async throws {
        state.withLock { $0 = State() }
        let looks = Mailbox<Look>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.client.endOfLeadership(leadership) }
            group.addTask {
                try await self.otherDuties(leadership)
                while true { try await Task.sleep(for: .seconds(3600)) }
            }
            group.addTask {
                try await self.client.follow(.prefix(KeyLayout.root)) { update in
                    self.state.withLock { $0.cluster.apply(update) }
                    looks.nudge(.again)
                    return true
                }
            }
            group.addTask {
                while true {
                    // The time to balance comes without a change of state.
                    try await Task.sleep(for: self.settling / 2)
                    looks.nudge(.again)
                }
            }
            group.addTask {
                while true {
                    _ = try await looks.next()
                    guard try await self.place(leadership) else { return }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Writes the bindings that are not as they should be.
    ///
    /// - Returns: false when this worker leads no more.
    private func place(_ leadership: Leadership) async throws -> Bool {
        let (cluster, balancing, isCurrent) = state.withLock { state in
            let workers = Set(state.cluster.sessions.keys)
            if state.workers != workers {
                if state.workers != nil { state.workersSince = .now }
                state.workers = workers
            }
            let balancing = state.workersSince + settling <= .now
            return (state.cluster, balancing, state.cluster.revision >= state.written)
        }
        // The change that makes it current nudges again.
        guard isCurrent else { return true }
        let changes = cluster.changedBindings(balancing: balancing)
        for start in stride(from: 0, to: changes.count, by: Self.changesPerTransaction) {
            let part = changes[start..<min(start + Self.changesPerTransaction, changes.count)]
            do {
                let written = try await client.transaction(
                    if: [leadership.condition] + part.map { $0.condition },
                    then: try part.map { .put($0.key, try $0.binding.bytes(), lease: nil) },
                    otherwise: [.get(.key(leadership.key))])
                if written.succeeded {
                    state.withLock { $0.written = written.revision }
                } else if written.results.first == .values([]) {
                    return false
                } else {
                    // Somebody else wrote a binding; it will be told.
                    break
                }
            } catch let error as MetadataError where error.isTransient {
                log.warning("cannot write bindings", metadata: ["reason": "\(error)"])
                try await Task.sleep(for: .milliseconds(200))
                break
            }
        }
        return true
    }

    /// The store takes 128 steps in a transaction.
    private static let changesPerTransaction = 60
}

/// A binding that is to be written.
struct BindingChange: Sendable, Hashable {
    let source: String
    let binding: Binding
    /// The revision of the binding that it replaces, nil: there was none.
    let replaces: Revision?

    var key: String { KeyLayout.binding(source) }
    var condition: Condition { replaces.map { .modRevision(key, $0) } ?? .missing(key) }
}

extension ClusterState {
    /// What has to be written so that every source is where it should be, in the order of names.
    func changedBindings(balancing: Bool) -> [BindingChange] {
        let workers = sessions.map { name, session in
            PlacedWorker(
                name: name, isDraining: drains.contains(name) || session.record.isLeaving)
        }
        let wanted = sources.filter { $0.value.record.isEnabled }
        let placed = place(
            sources: wanted.map {
                PlacedSource(name: $0.key, allowedWorkers: $0.value.record.allowedWorkers)
            },
            workers: workers, bindings: bindings.compactMapValues { $0.record.worker },
            relays: relays, balancing: balancing)
        // Without its source, or without any worker, a binding stays as the memory of its epoch.
        return Set(sources.keys).union(bindings.keys).sorted().compactMap { source in
            let old = bindings[source]
            let worker = placed[source]
            guard old?.record.worker != worker else { return nil }
            // What a newer worker has written is not replaced by a guess.
            guard !unreadable.contains(KeyLayout.binding(source)) else { return nil }
            let epoch = old?.record.epoch ?? 0
            return BindingChange(
                source: source,
                binding: Binding(worker: worker, epoch: worker == nil ? epoch : epoch + 1),
                replaces: old?.revision)
        }
    }
}
