internal import API
internal import ArgumentParser
internal import Cluster
internal import Glibc
internal import Logging
internal import Metadata
internal import Peer
internal import Runtime
internal import Settings
internal import Worker

/// `skein serve`: a worker.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run a worker of a cluster.",
        discussion: """
            The first start forms a cluster of one; with --join, the worker joins the cluster of \
            another. Started again with the same data folder, it goes on where it was. SIGINT and \
            SIGTERM hand its sources over and end it; a second one ends it at once.
            """)

    @Option(help: "The worker's name; no other one may have it.")
    var name: String

    @Option(help: ArgumentHelp("Its data folder, made if need be.", valueName: "folder"))
    var dataDir: String

    @Option(
        help: ArgumentHelp(
            "Where it listens. The three ports above are for its member of the store, and for relay "
                + "logs.",
            valueName: "host:port"))
    var listen = "127.0.0.1:8261"

    @Option(
        help: ArgumentHelp(
            "Where others reach it, if not where it listens.", valueName: "host:port"))
    var advertise: String?

    @Option(
        help: ArgumentHelp(
            "A worker of the cluster to join; may be repeated.", valueName: "host:port"))
    var join: [String] = []

    @Option(
        help: ArgumentHelp(
            "An etcd of your own instead of one that the workers bring along; may be repeated.",
            valueName: "host:port"))
    var etcdEndpoints: [String] = []

    @Option(
        help: ArgumentHelp(
            "File with the key that encrypts passwords in the store, the same for all workers; made "
                + "by the first one (default: secret.key in the data folder).", valueName: "file"))
    var keyFile: String?

    @Option(
        help: ArgumentHelp(
            "File with the tokens that the API accepts, as hashes.", valueName: "file"))
    var tokens: String?

    @Option(help: ArgumentHelp("Certificate of the API, in PEM.", valueName: "file"))
    var tlsCert: String?

    @Option(help: ArgumentHelp("Its key.", valueName: "file"))
    var tlsKey: String?

    @Option(
        help: ArgumentHelp(
            "The authority of the workers' certificates. With it, members of the store talk mutual "
                + "TLS, too: the certificate must be for servers and clients.", valueName: "file"))
    var tlsCA: String?

    @Flag(help: "Serve beyond loopback without TLS and tokens, where the network is safe.")
    var insecure = false

    @Option(help: "How many workers bring a voting member of the store along: 1, 3, 5 or 7.")
    var voters = 3

    @Option(
        help: ArgumentHelp(
            "How long a voter may be gone until another worker takes its place.",
            valueName: "time"))
    var voterTimeout = "10m"

    @Option(
        help: ArgumentHelp(
            "A further option of the store's program.", valueName: "option", visibility: .hidden))
    var etcdOption: [String] = []

    @Option(help: ArgumentHelp("What is logged to standard error.", valueName: "level"))
    var logLevel = LogLevel.notice

    func validate() throws {
        guard [1, 3, 5, 7].contains(voters) else {
            throw ValidationError("--voters must be 1, 3, 5 or 7")
        }
        if !join.isEmpty, !etcdEndpoints.isEmpty {
            throw ValidationError("--join and --etcd-endpoints exclude each other")
        }
    }

    func run() async throws {
        let terminal = Terminal()
        let logger = Logger.command("skein", terminal, level: logLevel.level, isJSON: false)
        let (configured, configuration) = try configure()
        var settings = configured
        if case .own(var own) = settings.store, !join.isEmpty {
            let locator = StoreLocator(workers: join, configuration: configuration, log: logger)
            own.locate = { await locator.endpoints().compactMap { EtcdEndpoint($0) } }
            settings.store = .own(own)
        }
        try warnOfEnd(configuration, logger)
        let exchange = try exchange(&settings, configuration, logger)
        let runtime = WorkerRuntime(
            name: name, dataFolder: settings.dataFolder, exchange: exchange,
            describe: { SubtaskError(operator: $0) }, logger: logger)
        let node = try Node(settings, host: runtime, log: logger)
        var offsets = [0]
        if case .own = settings.store { offsets += [1, 2] }
        if exchange != nil { offsets.append(3) }
        try await ListenCheck.check(
            host: configuration.host, ports: offsets.map { configuration.port + $0 })
        try await StopSignals.shared.handling { _ in
            node.stop()
        } _: {
            try await node.run {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    if let exchange { group.addTask { try await exchange.run() } }
                    group.addTask {
                        try await APIServer(
                            configuration: configuration, client: node.client, control: runtime,
                            log: logger
                        ).run()
                    }
                    defer { group.cancelAll() }
                    while try await group.next() != nil {}
                }
            }
        }
    }

    private func warnOfEnd(
        _ configuration: APIConfiguration, _ logger: Logger
    ) throws(SettingsError) {
        guard let tls = configuration.tls else { return }
        let end = Int64(try tls.certificateEnd()) * 1_000_000
        guard end - wallClockMicroseconds() < Self.shortMicroseconds else { return }
        logger.warning(
            "the worker's certificate ends soon: make another one, and restart the worker with it",
            metadata: [
                "file": "\(tls.certificateFile)", "end": "\(Wording.utc(microseconds: end))",
            ])
    }

    /// Thirty days.
    private static let shortMicroseconds: Int64 = 30 * 86_400 * 1_000_000

    /// What lets workers read each other's relay logs: on loopback, or with certificates.
    private func exchange(
        _ settings: inout NodeSettings, _ configuration: APIConfiguration, _ logger: Logger
    ) throws -> PeerExchange? {
        let security: PeerSecurity
        if let tls = settings.tls {
            security = .mutual(
                authorityFile: tls.authorityFile, certificateFile: tls.certificateFile,
                keyFile: tls.keyFile)
        } else if configuration.isLoopback {
            security = .plaintext
        } else {
            logger.notice("relay logs are not served to other workers: that needs certificates")
            return nil
        }
        guard let told = EtcdEndpoint(settings.address) else { return nil }
        let secrets = configuration.secrets
        settings.relayAddress = PeerAddress(host: told.host, port: told.port + 3).description
        settings.readSource = { source, text in
            try SourceSettings(stored: text, secrets, key: KeyLayout.source(source))
        }
        return try PeerExchange(
            PeerAddress(host: configuration.host, port: configuration.port + 3), security)
    }

    private func configure() throws -> (NodeSettings, APIConfiguration) {
        guard RecordName.isValid(name) else {
            throw SettingsError("--name must have \(RecordName.rule)")
        }
        let here = try endpoint(listen, "--listen")
        let told = try advertise.map { try endpoint($0, "--advertise") } ?? here
        guard here.port <= 65_532 else {
            throw SettingsError("--listen needs the three ports above its own too")
        }
        guard !["0.0.0.0", "::"].contains(told.host) else {
            throw SettingsError("--advertise is missing: others can't connect to \(told)")
        }
        let folder = dataDir.hasPrefix("/") ? dataDir : currentFolder + "/" + dataDir
        let store: NodeSettings.Store
        if etcdEndpoints.isEmpty {
            var own = NodeSettings.OwnStore(
                clientEndpoint: Self.storeEndpoint(told),
                peerEndpoint: EtcdEndpoint(host: told.host, port: told.port + 2))
            own.listenHost = here.host == told.host ? nil : here.host
            own.voters = voters
            own.options = etcdOption
            own.voterTimeout = try span(voterTimeout)
            own.join = try join.map { Self.storeEndpoint(try endpoint($0, "--join")) }
            store = .own(own)
        } else {
            store = .given(try etcdEndpoints.map { try endpoint($0, "--etcd-endpoints") })
        }
        let secrets = try secrets(folder)
        var settings = NodeSettings(
            name: name, dataFolder: folder, address: told.description, store: store,
            read: { try MigrationSettings($0, secrets) })
        settings.keyFingerprint = secrets.fingerprint
        var configuration = APIConfiguration(
            worker: name, version: Version.text, port: here.port, secrets: secrets)
        configuration.host = here.host
        configuration.advertisedHost = told.host
        configuration.isInsecure = insecure
        if let tokens { configuration.tokens = try AccessTokens(file: tokens) }
        switch (tlsCert, tlsKey) {
        case (let certificate?, let key?):
            configuration.tls = .init(
                certificateFile: certificate, keyFile: key, authorityFile: tlsCA)
        case (nil, nil): break
        default: throw SettingsError("--tls-cert and --tls-key need each other")
        }
        try configuration.check()
        if let tls = configuration.tls, let authority = tls.authorityFile {
            settings.tls = EtcdTLS(
                authorityFile: authority, certificateFile: tls.certificateFile,
                keyFile: tls.keyFile)
        } else if !configuration.isLoopback, etcdEndpoints.isEmpty, !insecure {
            throw SettingsError(
                "workers' members of the store need certificates beyond loopback: give --tls-ca too, "
                    + "or --insecure where the network is safe otherwise")
        }
        return (settings, configuration)
    }

    /// The key of the passwords. A worker that joins without the cluster's key is refused, and told
    /// to bring it along.
    private func secrets(_ folder: String) throws -> SecretCipher {
        if let keyFile { return try SecretCipher(creatingIfMissing: keyFile) }
        try DataFolder.make(folder)
        return try SecretCipher(creatingIfMissing: folder + "/secret.key")
    }

    /// Where the member of the store is that a worker brings along.
    private static func storeEndpoint(_ worker: EtcdEndpoint) -> EtcdEndpoint {
        EtcdEndpoint(host: worker.host, port: worker.port + 1)
    }

    private func endpoint(_ text: String, _ flag: String) throws -> EtcdEndpoint {
        guard let endpoint = EtcdEndpoint(text) else {
            throw SettingsError("\(flag) must be host:port, not \"\(text)\"")
        }
        return endpoint
    }

    private func span(_ text: String) throws -> Duration {
        guard let span = TimeSpan(text) else {
            throw SettingsError("--voter-timeout must be a time such as 10m, not \"\(text)\"")
        }
        return span.duration
    }

    private var currentFolder: String {
        guard let path = getcwd(nil, 0) else { return "" }
        defer { free(path) }
        return String(cString: path)
    }
}
