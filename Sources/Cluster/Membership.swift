public import Logging
public import Metadata
internal import Runtime
internal import Synchronization

/// A worker's presence in the cluster: a key that goes with a lease, which is renewed as long as the
/// worker lives.
///
/// Losing the lease ends neither the worker's subtasks nor its right to write: that is for the token
/// in the target. It ends what only a member may do, leading above all, and then the worker enters
/// again.
public final class Membership: Sendable {
    /// How long a worker is believed to be alive after its last sign, unless somebody knows better.
    public static let leaseSeconds = 5

    private struct State {
        var session: WorkerSession
        /// How often it was changed.
        var version = 0
        /// Of which version the store was told at the last entry.
        var announced = 0
        var lease: Lease?
        /// The cluster's token, once it is known.
        var token: String?
    }
    private let client: EtcdClient
    private let seconds: Int
    private let log: Logger
    private let state: Mutex<State>

    /// Makes a presence; ``run(_:)`` announces it.
    public init(
        _ session: WorkerSession, client: EtcdClient, leaseSeconds: Int = leaseSeconds, log: Logger
    ) {
        self.client = client
        self.log = log
        seconds = leaseSeconds
        state = Mutex(State(session: session))
    }

    private var session: WorkerSession { state.withLock { $0.session } }
    private var key: String { KeyLayout.session(session.name) }
    /// The lease that the worker has now.
    public var lease: Lease? { state.withLock { $0.lease } }

    /// Says which cluster it is: the worker announces itself in no other one's store.
    func setCluster(_ token: String) { state.withLock { $0.token = token } }

    /// Stays a member until the task is cancelled, and then leaves at once.
    ///
    /// - Parameter asMember: runs while the lease is alive, is cancelled when it is lost, and starts
    ///   again with the next one.
    /// - Throws: `ClusterError`, what `asMember` throws, a `MetadataError` that trying again does not
    ///   mend, or `CancellationError`.
    public func run(
        _ asMember: @Sendable @escaping (Lease) async throws -> Void = { _ in }
    ) async throws {
        defer { state.withLock { $0.lease = nil } }
        while true {
            let lease = try await enter()
            do {
                try await hold(lease, asMember)
            } catch let error as MetadataError where error.code == .leaseNotFound {
                log.warning("the worker's lease was lost; it enters again")
            } catch {
                await leave(lease)
                throw error
            }
        }
    }

    /// Changes what the others see: that the worker is about to leave, say.
    public func update(_ change: (inout WorkerSession) -> Void) async throws {
        state.withLock { state in
            change(&state.session)
            state.version += 1
        }
        try await tell(after: nil)
    }

    /// Writes the record as it is now, again where it has changed meanwhile: of two changes at a
    /// time the store may see the earlier one last, and who has written that notices it here.
    ///
    /// - Parameter version: what the store knows; `nil` when it has to be told in any case.
    private func tell(after version: Int?) async throws {
        var told = version
        while true {
            let (session, version, lease) = state.withLock { ($0.session, $0.version, $0.lease) }
            // Without a lease the next entry announces it.
            guard told != version, let lease else { return }
            try await client.put(key, try session.bytes(), lease: lease.id)
            told = version
        }
    }

    /// Writes what has changed while the worker was announced, as soon as the store takes it.
    private func tellAgain(after version: Int) async throws {
        var backoff = Backoff(first: .milliseconds(50), limit: .seconds(2))
        while true {
            do {
                return try await tell(after: version)
            } catch let error as MetadataError where error.isTransient {
                try await Task.sleep(for: backoff.delay())
            }
        }
    }

    private func hold(
        _ lease: Lease, _ asMember: @Sendable @escaping (Lease) async throws -> Void
    ) async throws {
        let announced = state.withLock { state in
            state.lease = lease
            return state.announced
        }
        defer { state.withLock { $0.lease = nil } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.client.keepAlive(lease) }
            group.addTask { try await self.tellAgain(after: announced) }
            group.addTask { try await asMember(lease) }
            defer { group.cancelAll() }
            // `asMember` may end; the lease is kept until it is lost.
            while try await group.next() != nil {}
        }
    }

    /// Ends the lease, so that nobody has to wait for it; not for long, as the store may be gone.
    private func leave(_ lease: Lease) async {
        // A task of its own: this one is cancelled.
        await Task { try? await client.revokeLease(lease.id, within: .seconds(1)) }.value
    }

    /// Announces the worker; returns when that is done.
    private func enter() async throws -> Lease {
        var backoff = Backoff(first: .milliseconds(50), limit: .seconds(2))
        // Leases of the dead may last longer than they say while the store chooses a leader.
        let patience = ContinuousClock.now + .seconds(4 * seconds)
        while true {
            do {
                let lease = try await client.grantLease(seconds: seconds)
                if try await announce(lease, patience) { return lease }
                try await client.revokeLease(lease.id)
            } catch let error as MetadataError where error.isTransient {
                log.info("cannot enter the cluster yet", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: backoff.delay())
        }
    }

    /// Creates the worker's key, or takes it over: it is not deleted in between, as the leader would
    /// take that for the end of a worker whose sources have to go elsewhere.
    ///
    /// - Parameter patience: until then the key of a worker that was at our own address is waited
    ///   for: it can only be our predecessor, whose folder was lost with its identity.
    /// - Returns: whether it is ours now; otherwise it is worth trying again.
    private func announce(
        _ lease: Lease, _ patience: ContinuousClock.Instant
    ) async throws -> Bool {
        let (session, version, named) = state.withLock { ($0.session, $0.version, $0.token) }
        state.withLock { $0.announced = version }
        let token = named.map { Array($0.utf8) }
        let isOurStore = token.map { Condition.value(KeyLayout.cluster, $0) }
        let entered = try await client.transaction(
            if: [.missing(key)] + [isOurStore].compactMap(\.self),
            then: [.put(key, try session.bytes(), lease: lease.id)],
            otherwise: [.get(.key(KeyLayout.cluster)), .get(.key(key))])
        if entered.succeeded { return true }
        if let token, case .values(let told) = entered.results.first, told.first?.value != token {
            // Whoever has our name there is not who we are.
            log.warning("a store of another cluster answers; it is not entered")
            return false
        }
        guard case .values(let found) = entered.results.last, let other = found.first else {
            return false
        }
        let known = WorkerSession(bytes: other.value)
        guard known?.identity == session.identity else {
            if known?.address == session.address, ContinuousClock.now < patience {
                log.info("the name is still in use by the worker that was here before")
                return false
            }
            try await client.revokeLease(lease.id)
            throw ClusterError.nameInUse(session.name, by: known?.address ?? "an unknown address")
        }
        // Our own predecessor, which died just now, or we ourselves before the store was away.
        let taken = try await client.transaction(
            if: [.modRevision(key, other.modRevision)] + [isOurStore].compactMap(\.self),
            then: [.put(key, try session.bytes(), lease: lease.id)])
        guard taken.succeeded else { return false }
        do {
            // Its candidacy goes with its lease; the key does no more.
            if let old = other.lease { try await client.revokeLease(old) }
        } catch let error as MetadataError where error.isTransient {
            // It ends by itself: nobody renews it.
            log.info("an earlier lease can't be ended", metadata: ["reason": "\(error)"])
        }
        return true
    }

    /// Ends the lease of a worker that is known to be dead, so that nobody waits for it to expire.
    ///
    /// A mistake does no harm: the worker enters again, and what it wrote as leader in between was
    /// tied to its key. Tries are short: one that is sent while the store's members elect a leader
    /// would hang.
    public static func declareDead(
        _ worker: ClusterState.Stored<WorkerSession>, client: EtcdClient,
        within limit: Duration = .seconds(5)
    ) async throws {
        guard let lease = worker.lease else { return }
        let deadline = ContinuousClock.now + limit
        while true {
            do {
                return try await client.revokeLease(lease, within: .milliseconds(400))
            } catch let error as MetadataError where error.isTransient {
                if ContinuousClock.now >= deadline { throw error }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
