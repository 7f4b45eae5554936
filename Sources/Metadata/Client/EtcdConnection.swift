internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import GRPCProtobuf
internal import NIOCore
internal import NIOHTTP2
internal import Runtime
internal import SwiftProtobuf
internal import Synchronization

/// The connection to one endpoint. It connects when it is needed, and again after a loss.
final class EtcdConnection: Sendable {
    /// Why a call failed.
    struct Failure: Error {
        let endpoint: EtcdEndpoint
        let error: RPCError
        /// Whether the request may have reached the server.
        let wasSent: Bool
    }

    private struct Health {
        /// When a call last failed in a way that speaks against the endpoint; nil: none since the
        /// last success. A new connection has not proved anything either.
        var suspectSince: ContinuousClock.Instant?
        /// Set when the endpoint becomes suspect.
        var trouble = Latch()
        var watches = 0
    }

    /// No message of the store is larger; a watch is delivered in fragments.
    private static let largestMessage = 64 << 20
    /// Calls that need the quorum are refused at once by a member that knows no leader.
    private static let requireLeader: GRPCCore.Metadata = ["hasleader": "true"]

    let endpoint: EtcdEndpoint
    private let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let health = Mutex(Health(suspectSince: .now))
    private let closing = Latch()

    init(_ endpoint: EtcdEndpoint, tls: EtcdTLS?) throws {
        self.endpoint = endpoint
        let target: any ResolvableTarget =
            if endpoint.isIPv4 {
                .ipv4(address: endpoint.host, port: endpoint.port)
            } else if endpoint.isIPv6 {
                .ipv6(address: endpoint.host, port: endpoint.port)
            } else {
                .dns(host: endpoint.host, port: endpoint.port)
            }
        do {
            client = GRPCClient(
                transport: try HTTP2ClientTransport.Posix(
                    target: target, transportSecurity: Self.security(tls),
                    config: .defaults { Self.configure(&$0) }))
        } catch {
            throw MetadataError(.refused, "cannot use the certificates for \(endpoint): \(error)")
        }
    }

    private static func security(
        _ tls: EtcdTLS?
    ) -> HTTP2ClientTransport.Posix.TransportSecurity {
        guard let tls else { return .plaintext }
        return .mTLS(
            certificateChain: [.file(path: tls.certificateFile, format: .pem)],
            privateKey: .file(path: tls.keyFile, format: .pem)
        ) {
            $0.trustRoots = .certificates([.file(path: tls.authorityFile, format: .pem)])
            $0.serverCertificateVerification = .fullVerification
        }
    }

    private static func configure(_ config: inout HTTP2ClientTransport.Posix.Config) {
        config.backoff = .init(
            initial: .milliseconds(50), max: .seconds(1), multiplier: 1.6, jitter: 0.2)
        // etcd answers pings that come more often than every 5 s by closing the connection.
        config.connection.keepalive = .init(
            time: .seconds(10), timeout: .seconds(3), allowWithoutCalls: false)
        // Larger windows make TLS copy what is queued again and again.
        config.http2.targetWindowSize = 1 << 20
        config.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                let http2 = try pipeline.handler(type: NIOHTTP2Handler.self)
                try pipeline.addHandler(HTTP2PingResponder(), position: .before(http2))
            }
        }
    }

    /// Keeps the connection until ``close()`` or cancellation.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await self.client.runConnections() }
            await closing.wait()
            // Not gracefully: calls to a server that hangs would keep it open.
            group.cancelAll()
        }
    }

    /// Ends ``run()``, and with it all calls.
    func close() {
        closing.set()
        health.withLock { $0.trouble.set() }
    }

    // MARK: Health

    /// When the endpoint became suspect, nil when its last call was fine.
    var suspectSince: ContinuousClock.Instant? { health.withLock { $0.suspectSince } }

    /// Whether somebody depends on the endpoint without calling it.
    var isWatched: Bool { health.withLock { $0.watches > 0 } }

    private func succeeded() {
        health.withLock { health in
            if health.suspectSince == nil { return }
            health.suspectSince = nil
            health.trouble = Latch()
        }
    }

    /// Ends the watches here: they go on at another endpoint.
    func failed() {
        health.withLock { health in
            health.suspectSince = .now
            health.trouble.set()
        }
    }

    /// Runs `body` until it returns, or the endpoint becomes suspect.
    func whileTrusted(_ body: @Sendable @escaping () async throws -> Void) async throws {
        let trouble = health.withLock { health in
            health.watches += 1
            return health.trouble
        }
        defer { health.withLock { $0.watches -= 1 } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await body() }
            group.addTask { await trouble.wait() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    // MARK: Calls

    /// Sends one request and waits for one response.
    ///
    /// - Throws: `Failure`, or `CancellationError`.
    func call<Request, Response>(
        _ method: EtcdMethod<Request, Response>, _ request: Request, timeout: Duration,
        needsLeader: Bool = true, tellsHealth: Bool = true
    ) async throws -> Response {
        // The producer runs when there is a stream to write to: what failed before was never sent.
        let sent = Latch()
        let streaming = StreamingClientRequest(
            of: Request.self, metadata: needsLeader ? Self.requireLeader : [:]
        ) { writer in
            sent.set()
            try await writer.write(request)
        }
        do {
            let response = try await client.clientStreaming(
                request: streaming, descriptor: method.descriptor,
                serializer: ProtobufSerializer<Request>(),
                deserializer: ProtobufDeserializer<Response>(), options: Self.options(timeout)
            ) { try $0.message }
            if tellsHealth { succeeded() }
            return response
        } catch {
            try Task.checkCancellation()
            let error = Self.rpcError(error)
            if tellsHealth, Self.speaksAgainstEndpoint(error) { failed() }
            throw Failure(endpoint: endpoint, error: error, wasSent: sent.isSet)
        }
    }

    /// Sends one request and hands over the responses until `body` returns false.
    func stream<Request, Response>(
        _ method: EtcdMethod<Request, Response>, _ request: Request,
        _ body: @Sendable @escaping (Response) async throws -> Bool
    ) async throws {
        let streaming = StreamingClientRequest(
            of: Request.self, metadata: Self.requireLeader
        ) { try await $0.write(request) }
        do {
            try await client.bidirectionalStreaming(
                request: streaming, descriptor: method.descriptor,
                serializer: ProtobufSerializer<Request>(),
                deserializer: ProtobufDeserializer<Response>(), options: Self.options(nil)
            ) { response in
                for try await message in response.messages {
                    if try await !body(message) { return }
                }
            }
        } catch let error as RPCError {
            try Task.checkCancellation()
            throw Failure(endpoint: endpoint, error: error, wasSent: true)
        } catch let error as RuntimeError {
            try Task.checkCancellation()
            throw Failure(
                endpoint: endpoint, error: Self.rpcError(error), wasSent: true)
        }
    }

    private static func options(_ timeout: Duration?) -> CallOptions {
        var options = CallOptions.defaults
        options.timeout = timeout
        // An endpoint that refuses is left for another one at once.
        options.waitForReady = false
        options.maxRequestMessageBytes = largestMessage
        options.maxResponseMessageBytes = largestMessage
        return options
    }

    private static func rpcError(_ error: any Error) -> RPCError {
        (error as? RPCError)
            ?? RPCError(code: .unavailable, message: "the connection is closed", cause: error)
    }

    /// Whether another endpoint may do better.
    static func speaksAgainstEndpoint(_ error: RPCError) -> Bool {
        switch error.code {
        case .unavailable: error.message != "etcdserver: unhealthy cluster"
        case .deadlineExceeded, .cancelled, .unknown, .internalError: true
        default: false
        }
    }
}
