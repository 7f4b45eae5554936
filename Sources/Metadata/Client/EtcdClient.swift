internal import GRPCCore
internal import Runtime
internal import SwiftProtobuf
internal import Synchronization

/// A client of the metadata store: every call has a deadline, and is made at another endpoint when
/// one does not answer.
///
/// Endpoints are tried in the order in which they are given: a worker puts its own member first. One
/// that failed comes last, and is looked at every second until it answers again. A request that
/// changes something is sent to an endpoint that has answered before, and never sent again once it
/// may have arrived: the caller gets `outcomeUnknown`.
public final class EtcdClient: Sendable {
    /// How patient the client is.
    public struct Patience: Sendable {
        /// How long a call may take with all its tries.
        public var call: Duration = .seconds(5)
        /// How long one endpoint may take to answer a call that can be made elsewhere.
        public var attempt: Duration = .seconds(2)
        /// How often endpoints are looked at that failed, or that somebody watches.
        public var probe: Duration = .seconds(1)

        /// The defaults.
        public init() {}
    }

    private struct State {
        var connections: [EtcdConnection] = []
        var isClosed = false
    }

    /// How long its requests take.
    public let measures = RequestMeasures()
    private let tls: EtcdTLS?
    let patience: Patience
    private let state = Mutex(State())
    /// Connections that ``run()`` has to keep.
    private let added = Mailbox<EtcdConnection>()

    /// Makes a client; ``run()`` brings it to life.
    ///
    /// - Throws: `MetadataError` with code `refused` when certificates cannot be used.
    public init(
        endpoints: [EtcdEndpoint], tls: EtcdTLS? = nil, patience: Patience = Patience()
    ) throws {
        self.tls = tls
        self.patience = patience
        try setEndpoints(endpoints)
    }

    /// Keeps the connections until the task is cancelled; calls after that fail.
    public func run() async throws {
        defer {
            let connections = state.withLock { state in
                state.isClosed = true
                return state.connections
            }
            for connection in connections { connection.close() }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.probe() }
            while true {
                let connection = try await added.next()
                group.addTask { await connection.run() }
            }
        }
    }

    /// Uses other endpoints from now on, in this order. Calls at one that is left out fail.
    public func setEndpoints(_ endpoints: [EtcdEndpoint]) throws {
        let known = Dictionary(
            state.withLock { $0.connections }.map { ($0.endpoint, $0) }
        ) { first, _ in first }
        var fresh: [EtcdConnection] = []
        var wanted: [EtcdConnection] = []
        for endpoint in endpoints where !wanted.contains(where: { $0.endpoint == endpoint }) {
            if let connection = known[endpoint] {
                wanted.append(connection)
            } else {
                let connection = try EtcdConnection(endpoint, tls: tls)
                fresh.append(connection)
                wanted.append(connection)
            }
        }
        state.withLock { $0.connections = wanted }
        for connection in fresh { added.send(connection) }
        for connection in known.values where !wanted.contains(where: { $0 === connection }) {
            connection.close()
        }
    }

    /// The endpoints in use, in the order of preference.
    public var endpoints: [EtcdEndpoint] {
        state.withLock { $0.connections.map { $0.endpoint } }
    }

    /// The connections, the best first.
    private func candidates() throws -> [EtcdConnection] {
        let connections = try state.withLock { state in
            if state.isClosed { throw MetadataError(.closed, "the client has ended") }
            return state.connections
        }
        let trusted = connections.filter { $0.suspectSince == nil }
        let suspects = connections.compactMap { connection in
            connection.suspectSince.map { (connection, $0) }
        }
        return trusted + suspects.sorted { $0.1 < $1.1 }.map { $0.0 }
    }

    func connection(to endpoint: EtcdEndpoint) throws -> EtcdConnection {
        let known = try candidates().first { $0.endpoint == endpoint }
        guard let known else {
            throw MetadataError(.invalid, "\(endpoint) is not an endpoint of this client")
        }
        return known
    }

    private func probe() async throws {
        while true {
            try await Task.sleep(for: patience.probe)
            await withTaskGroup(of: Void.self) { group in
                for connection in (try? candidates()) ?? []
                where connection.suspectSince != nil || connection.isWatched {
                    group.addTask { _ = try? await self.verify(connection, within: nil) }
                }
            }
        }
    }

    /// Makes sure that a member answers, and knows a leader: without one its watches are silent.
    private func verify(_ connection: EtcdConnection, within limit: Duration?) async throws {
        let timeout = min(patience.attempt, limit ?? patience.attempt)
        let leader: UInt64
        do {
            leader = try await connection.call(
                EtcdMethods.status, EtcdStatusRequest(), timeout: timeout, needsLeader: false
            ).leader
        } catch let failure as EtcdConnection.Failure {
            // This request was sent; the one that it is made for was not.
            throw EtcdConnection.Failure(
                endpoint: failure.endpoint, error: failure.error, wasSent: false)
        }
        if leader == 0 {
            connection.failed()
            throw EtcdConnection.Failure(
                endpoint: connection.endpoint,
                error: RPCError(code: .unavailable, message: "etcdserver: no leader"),
                wasSent: false)
        }
    }

    // MARK: Calls

    /// Makes a call at the first endpoint that takes it.
    ///
    /// - Parameter limit: how long it may take in all; nil: as the client's patience says.
    /// - Throws: `MetadataError`, or `CancellationError`.
    func call<Request, Response>(
        _ method: EtcdMethod<Request, Response>, _ request: Request, within limit: Duration? = nil
    ) async throws -> Response {
        try await measures.measuring(method.descriptor.method) {
            try await tries(method, request, within: limit)
        }
    }

    private func tries<Request, Response>(
        _ method: EtcdMethod<Request, Response>, _ request: Request, within limit: Duration?
    ) async throws -> Response {
        let deadline = ContinuousClock.now + (limit ?? patience.call)
        var backoff = Backoff(first: .milliseconds(30), limit: .milliseconds(500))
        var last: MetadataError?
        while true {
            for connection in try candidates() {
                let left = ContinuousClock.now.duration(to: deadline)
                if left <= .zero { break }
                do {
                    return try await attempt(method, request, at: connection, left: left)
                } catch let failure as EtcdConnection.Failure {
                    let mayHaveActed = !method.isRepeatable && failure.wasSent
                    let error = MetadataError(failure, mayHaveActed: mayHaveActed)
                    guard error.code == .unavailable else { throw error }
                    last = error
                }
            }
            let delay = backoff.delay()
            if ContinuousClock.now + delay >= deadline {
                throw last ?? MetadataError(.unavailable, "there is no endpoint")
            }
            try await Task.sleep(for: delay)
        }
    }

    private func attempt<Request, Response>(
        _ method: EtcdMethod<Request, Response>, _ request: Request, at connection: EtcdConnection,
        left: Duration
    ) async throws -> Response {
        if method.isRepeatable {
            return try await connection.call(
                method, request, timeout: min(left, patience.attempt),
                tellsHealth: left >= patience.attempt)
        }
        let start = ContinuousClock.now
        if connection.suspectSince != nil { try await verify(connection, within: left) }
        return try await connection.call(
            method, request, timeout: left - start.duration(to: .now),
            tellsHealth: left >= patience.attempt)
    }

    /// A connection that has just answered.
    func trusted() async throws -> EtcdConnection {
        for connection in try candidates() {
            do {
                if connection.suspectSince != nil { try await verify(connection, within: nil) }
                return connection
            } catch is EtcdConnection.Failure {}
        }
        throw MetadataError(.unavailable, "no endpoint answers")
    }
}
