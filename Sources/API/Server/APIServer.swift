internal import AsyncHTTPClient
internal import Cluster
internal import Glibc
internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
public import Logging
public import Metadata
internal import NIOCore
internal import NIOSSL
internal import ServiceLifecycle
public import Settings
internal import Synchronization
public import Worker

/// The HTTP API of one worker: it validates requests and writes what is wanted to the store, and
/// tells what is, from its copy of the store and from the workers themselves.
public final class APIServer: Sendable {
    private let configuration: APIConfiguration
    private let client: EtcdClient
    private let control: any WorkerControl
    private let log: Logger
    private let followed = FollowedState()
    private let boundPort = Mutex<Int?>(nil)

    /// Makes a server; ``run()`` serves.
    ///
    /// - Throws: `SettingsError` when it would serve strangers without protection.
    public init(
        configuration: APIConfiguration, client: EtcdClient, control: any WorkerControl,
        log: Logger
    ) throws(SettingsError) {
        try configuration.check()
        self.configuration = configuration
        self.client = client
        self.control = control
        self.log = log
    }

    /// The port that it listens on; `nil` before it does.
    public var port: Int? { boundPort.withLock { $0 } }

    /// Serves until the task is cancelled; requests that are being answered then are, for some
    /// seconds.
    ///
    /// - Throws: when the address can't be listened on, a certificate can't be used, or this worker
    ///   has another key than the cluster.
    public func run() async throws {
        allowManyConnections()
        let peers = try APIClient(
            endpoints: [], token: configuration.secrets.token(for: .peers),
            authorityFile: configuration.tls?.authorityFile, limit: configuration.peerLimit)
        let service = try application(peers)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await self.followed.run(self.log) { tell in
                        try await self.client.follow(.prefix(KeyLayout.root)) { update in
                            tell(update)
                            return true
                        }
                    }
                }
                group.addTask { try await self.compareSecretKey() }
                group.addTask { try await self.serve(service) }
                defer { group.cancelAll() }
                while try await group.next() != nil {}
            }
        } catch {
            await peers.shutdown()
            throw error
        }
        await peers.shutdown()
    }

    private func serve(_ service: some Service) async throws {
        var settings = ServiceGroupConfiguration(services: [service], logger: log)
        settings.maximumGracefulShutdownDuration = .seconds(3)
        let group = ServiceGroup(configuration: settings)
        // A task of its own, since cancelling it would cut requests off; it ends with this one.
        let serving = Task { try await group.run() }
        do {
            try await withTaskCancellationHandler {
                try await serving.value
            } onCancel: {
                Task { await group.triggerGracefulShutdown() }
            }
        } catch let error as IOError where port == nil {
            throw SettingsError(
                "the API can't listen on \(configuration.host):\(configuration.port): "
                    + String(cString: strerror(error.errnoCode)))
        }
        try Task.checkCancellation()
    }

    private func application(_ peers: APIClient) throws -> some Service {
        let metrics = RequestMetrics()
        let store = ClusterStore(client: client, followed: followed, secrets: configuration.secrets)
        let collector = StatusCollector(
            configuration: configuration, followed: followed, control: control, peers: peers)
        let handlers = RequestHandlers(
            configuration: configuration, store: store, followed: followed, control: control,
            collector: collector, peers: peers, metrics: metrics,
            certificateEnd: try configuration.tls?.certificateEnd())
        let responder = APIResponder(
            configuration: configuration, routes: handlers.routes, metrics: metrics, log: log)
        let seconds = configuration.arrivalLimit.components.seconds
        let plain = HTTPServerBuilder.http1(
            configuration: .init(
                idleTimeout: .seconds(seconds),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10,
                    maxHeaderFieldCount: 100)))
        let server =
            try configuration.tls.map {
                try HTTPServerBuilder.tls(plain, tlsConfiguration: $0.serverConfiguration())
            } ?? plain
        return Application(
            responder: responder, server: server,
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port),
                backlog: 1024,
                availableConnectionsDelegate: MaximumAvailableConnections(
                    configuration.connectionLimit)),
            onServerRunning: { channel in
                self.boundPort.withLock { $0 = channel.localAddress?.port }
            }, logger: log)
    }

    /// Tells early that passwords could not be decrypted; the store may be slow to come.
    private func compareSecretKey() async throws {
        let store = ClusterStore(client: client, followed: followed, secrets: configuration.secrets)
        while true {
            do {
                return try await store.checkSecretKey()
            } catch let error as MetadataError where error.code != .closed {
                try await Task.sleep(for: error.isTransient ? .milliseconds(200) : .seconds(2))
            }
        }
    }

    /// Connections are files, and the usual limit of 1,024 is no limit of the machine.
    private func allowManyConnections() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        let wanted = min(limit.rlim_max, 65_536)
        guard limit.rlim_cur < wanted else { return }
        limit.rlim_cur = wanted
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

extension APIConfiguration.TLS {
    func serverConfiguration() throws(SettingsError) -> TLSConfiguration {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(certificateFile)
            let key = try NIOSSLPrivateKey(file: keyFile, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            return configuration
        } catch {
            throw SettingsError(
                "the API's certificate \(certificateFile) or its key \(keyFile) can't be used: "
                    + "\(error)")
        }
    }
}
