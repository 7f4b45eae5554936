public import Logging
public import Metadata
internal import Runtime
internal import Synchronization

/// The leader's one duty: it turns what is wanted and who is alive into bindings.
public final class Leader: Sendable {
    /// How long after workers have come or gone running sources are left where they are: a worker
    /// that restarts is soon back.
    public static let settlingTime = Duration.seconds(20)
    /// How long others are waited for by a leader that had lost its own lease: what has kept it from
    /// the store may have kept them, too.
    public static let returningTime = Duration.seconds(10)

    private enum Look { case again }

    private struct State {
        var cluster = ClusterState()
        /// Our own writes up to here must be in `cluster` before it is looked at again.
        var written: Revision = 0
        var workers: Set<String>?
        var workersSince: ContinuousClock.Instant = .now
    }
    /// Of all leases that this worker has had.
    private struct Entries {
        var hasEntered = false
        var returningUntil: ContinuousClock.Instant?
    }
    /// Writes under conditions, or else reads.
    typealias Write =
        @Sendable ([Condition], [Operation], Operation) async throws -> TransactionResult

    private let client: EtcdClient
    private let write: Write
    private let settling: Duration
    private let returning: Duration
    private let otherDuties: @Sendable (Leadership) async throws -> Void
    private let log: Logger
    private let state = Mutex(State())
    private let entries = Mutex(Entries())

    /// Makes a leader that has nothing to do yet.
    ///
    /// - Parameter otherDuties: runs as long as this worker leads.
    public convenience init(
        client: EtcdClient, settlingTime: Duration = settlingTime, log: Logger,
        otherDuties: @Sendable @escaping (Leadership) async throws -> Void = { _ in }
    ) {
        self.init(client: client, settlingTime: settlingTime, log: log, otherDuties: otherDuties) {
            try await client.transaction(if: $0, then: $1, otherwise: [$2])
        }
    }

    /// - Parameter write: how bindings are written.
    init(
        client: EtcdClient, settlingTime: Duration, returningTime: Duration = returningTime,
        log: Logger, otherDuties: @Sendable @escaping (Leadership) async throws -> Void,
        write: @escaping Write
    ) {
        self.client = client
        self.write = write
        self.settling = settlingTime
        self.returning = returningTime
        self.otherDuties = otherDuties
        self.log = log
    }

    /// Campaigns, and leads when elected, until the lease ends or the task is cancelled.
    ///
    /// - Parameter lease: the worker's; the leadership goes with it.
    public func run(as worker: String, lease: Lease) async throws {
        entries.withLock { entries in
            if entries.hasEntered { entries.returningUntil = .now + returning }
            entries.hasEntered = true
        }
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
                // Then those that were waited for are not waited for any more.
                if let until = self.entries.withLock({ $0.returningUntil }), until > .now {
                    try await Task.sleep(until: until)
                    looks.nudge(.again)
                }
                while true { try await Task.sleep(for: .seconds(3600)) }
            }
            group.addTask {
                while true {
                    _ = try await looks.next()
                    switch try await self.place(leadership) {
                    case .done: break
                    case .leadsNoMore: return
                    case .failed:
                        // Nothing may change that would tell to try again.
                        try await Task.sleep(for: .milliseconds(200))
                        looks.nudge(.again)
                    case .refused:
                        try await Task.sleep(for: .seconds(2))
                        looks.nudge(.again)
                    }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private enum Placing { case done, failed, refused, leadsNoMore }

    /// Writes the bindings that are not as they should be.
    private func place(_ leadership: Leadership) async throws -> Placing {
        let (cluster, balancing, isCurrent) = state.withLock { state in
            let workers = state.cluster.liveWorkers
            if state.workers != workers {
                if state.workers != nil { state.workersSince = .now }
                state.workers = workers
            }
            let balancing = state.workersSince + settling <= .now
            return (state.cluster, balancing, state.cluster.revision >= state.written)
        }
        // The change that makes it current nudges again.
        guard isCurrent else { return .done }
        let isReturning = entries.withLock { ($0.returningUntil ?? .now) > .now }
        let changes = cluster.changedBindings(
            balancing: balancing && !isReturning, waitsForWorkers: isReturning)
        for start in stride(from: 0, to: changes.count, by: Self.changesPerTransaction) {
            let part = changes[start..<min(start + Self.changesPerTransaction, changes.count)]
            do {
                let written = try await write(
                    [leadership.condition] + part.map { $0.condition },
                    try part.map { .put($0.key, try $0.binding.bytes(), lease: nil) },
                    .get(.key(leadership.key)))
                if written.succeeded {
                    state.withLock { $0.written = written.revision }
                } else if written.results.first == .values([]) {
                    return .leadsNoMore
                } else {
                    // Somebody else wrote a binding; it will be told.
                    break
                }
            } catch let error as MetadataError where error.code != .closed {
                // Also when the store is full, say: without its session this worker would seem to be
                // dead, and its sources would move for nothing.
                log.warning("cannot write bindings", metadata: ["reason": "\(error)"])
                return error.isTransient ? .failed : .refused
            }
        }
        return .done
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
    ///
    /// - Parameter waitsForWorkers: whether workers that are not there may be back soon, so that
    ///   sources stay with them.
    func changedBindings(balancing: Bool, waitsForWorkers: Bool = false) -> [BindingChange] {
        let live = liveWorkers
        let workers = live.map { name in
            PlacedWorker(
                name: name,
                isDraining: drains.contains(name) || sessions[name]?.record.isLeaving == true)
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
            if waitsForWorkers, let absent = old?.record.worker, !live.contains(absent),
                !drains.contains(absent), sources[source]?.record.isEnabled == true
            {
                return nil
            }
            // What a newer worker has written is not replaced by a guess.
            guard !unreadable.contains(KeyLayout.binding(source)) else { return nil }
            if sources[source] == nil, unreadable.contains(KeyLayout.source(source)) { return nil }
            let epoch = old?.record.epoch ?? 0
            let (next, isOver) = epoch.addingReportingOverflow(1)
            // A damaged record: no epoch is greater, and nobody could take over.
            if worker != nil, isOver { return nil }
            return BindingChange(
                source: source,
                binding: Binding(worker: worker, epoch: worker == nil ? epoch : next),
                replaces: old?.revision)
        }
    }
}
