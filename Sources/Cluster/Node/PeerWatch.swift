internal import Logging
internal import Metadata
internal import Runtime

/// Notices that another worker's process has gone, long before its lease ends: a connection to it is
/// closed, and nobody listens at its address any more.
///
/// The leader watches all workers, and the others watch the leader. Only a refused connection counts,
/// and only after an accepted one: what does not answer may be slow, or cut off, and is left to its
/// lease. A mistake does no harm (`Membership.declareDead`).
final class PeerWatch: Sendable {
    /// A worker as it was seen in the store.
    private struct Peer {
        var session: ClusterState.Stored<WorkerSession>
        var connection: ProbeConnection?
        /// One that is being begun.
        var attempt: ProbeAttempt?
        var wasConnected = false
        var nextTry = ContinuousClock.now
    }
    private let name: String
    private let client: EtcdClient
    private let log: Logger
    private let connect: @Sendable (EtcdEndpoint) -> ProbeConnection?

    /// - Parameter connect: begins to connect; may wait when the endpoint's host is a name.
    init(
        name: String, client: EtcdClient, log: Logger,
        connect: @Sendable @escaping (EtcdEndpoint) -> ProbeConnection? = {
            ProbeConnection(to: $0)
        }
    ) {
        self.name = name
        self.client = client
        self.log = log
        self.connect = connect
    }

    /// Watches until the task is cancelled.
    ///
    /// - Parameter peers: the sessions of those that are to be watched, asked again all the time.
    func run(
        _ peers: @Sendable @escaping () -> [ClusterState.Stored<WorkerSession>]
    ) async throws {
        let wait = ProbeWait()
        // It waits in the kernel: a worker at rest has next to nothing to do here.
        try await withTaskCancellationHandler {
            try await withThread("peers") { try await self.watch(peers, wait) }
        } onCancel: {
            wait.end()
        }
    }

    private func watch(
        _ peers: @Sendable () -> [ClusterState.Stored<WorkerSession>], _ wait: ProbeWait
    ) async throws {
        var known: [String: Peer] = [:]
        while true {
            wait.wait(
                for: known.values.compactMap(\.connection),
                upTo: known.values.contains { $0.attempt != nil } ? 100 : 500)
            try Task.checkCancellation()
            let wanted = Dictionary(
                peers().filter { $0.record.name != name }.map { ($0.record.name, $0) }
            ) { first, _ in first }
            for (name, peer) in known where wanted[name]?.lease != peer.session.lease {
                known[name] = nil
            }
            for (name, session) in wanted {
                var peer = known[name] ?? Peer(session: session)
                peer.session = session
                var isGone = look(at: &peer)
                // One that was closed is made anew at once.
                if !isGone, peer.connection == nil { isGone = look(at: &peer) }
                known[name] = peer
                guard isGone else { continue }
                log.notice("a worker's process has gone", metadata: ["worker": "\(name)"])
                known[name]?.nextTry = .now + .seconds(1)
                do {
                    try await Membership.declareDead(session, client: client)
                } catch let error as MetadataError where error.code != .closed {
                    log.debug("it is left to its lease", metadata: ["reason": "\(error)"])
                }
            }
        }
    }

    /// Looks at a connection, without waiting.
    ///
    /// - Returns: whether the process has gone.
    private func look(at peer: inout Peer) -> Bool {
        if let attempt = peer.attempt {
            guard attempt.isOver else { return false }
            peer.attempt = nil
            peer.connection = attempt.connection
        }
        guard let connection = peer.connection else {
            guard peer.nextTry <= .now else { return false }
            peer.nextTry = .now + .seconds(1)
            guard let endpoint = EtcdEndpoint(peer.session.record.address) else { return false }
            if endpoint.isAddress {
                peer.connection = connect(endpoint)
            } else {
                let connect = connect
                peer.attempt = ProbeAttempt { connect(endpoint) }
            }
            return false
        }
        switch connection.condition {
        case .connecting: return false
        case .open:
            peer.wasConnected = true
            return false
        case .closed:
            // It may only have been idle for too long: whether it is accepted anew tells. At once,
            // but not again and again where something accepts and closes for ever.
            peer.connection = nil
            peer.nextTry = connection.begun + .seconds(1)
            return false
        case .refused:
            peer.connection = nil
            return peer.wasConnected
        case .failed:
            peer.connection = nil
            return false
        }
    }
}
