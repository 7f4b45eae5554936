import Logging
import Metadata
import Settings
import Synchronization
import TestServers
import Worker

@testable import Cluster

/// A worker's engines, played: what it was ordered counts as running at once.
final class FakeHost: SourceHost {
    private let orders = Mutex<[String: SourceOrder]>([:])

    var current: [String: SourceOrder] { orders.withLock { $0 } }

    func order(_ orders: [String: SourceOrder], copies: [String: RelayCopyOrder]) {
        self.orders.withLock { $0 = orders }
    }

    private let known = Mutex<Set<String>?>(nil)

    /// The sources of which all is known; `nil` while it is not.
    var knownSources: Set<String>? { known.withLock { $0 } }

    func keep(_ rests: [String: RelayRestOrder]?) {
        known.withLock { $0 = rests.map { Set($0.keys) } }
    }

    var activeSources: Set<String> { Set(current.keys) }
    private let kept = Mutex<Set<String>>([])

    var keptRelays: Set<String> { kept.withLock { $0 } }

    /// Says which relay logs are here.
    func setKept(_ sources: Set<String>) { kept.withLock { $0 = sources } }

    func run() async {
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(1)) }
    }

    func status() -> WorkerStatus { WorkerStatus(name: "fake") }

    func measures() -> [SubtaskMeasures] { [] }

    func purgeRelay(of: String, before: String, inUse: Bool) async throws -> RelayPurge {
        RelayPurge(freedBytes: 0, firstFile: nil)
    }

    func check(_ settings: MigrationSettings, source: String) async -> SourceCheck {
        SourceCheck(sourceName: source, results: [])
    }

    func verify(task: String, source: String) async throws {}
}

/// A whole worker but for its engines.
struct TestNode {
    let name: String
    let host: FakeHost
    let node: Node
    let folder: String
    /// Where its own member of the store accepts clients.
    let endpoint: EtcdEndpoint

    /// - Parameters:
    ///   - store: the store's endpoint; `nil` for a member of its own.
    ///   - configure: changes how that runs.
    init(
        _ name: String, store: EtcdEndpoint?, folder: String? = nil, host: FakeHost = FakeHost(),
        configure: (inout NodeSettings.OwnStore) -> Void = { _ in }
    ) throws {
        self.name = name
        self.host = host
        let folder = try folder ?? TestPlaces.newFolder("node")
        self.folder = folder
        let shared: NodeSettings.Store
        if let store {
            shared = .given([store])
            endpoint = store
        } else {
            var own = NodeSettings.OwnStore(
                clientEndpoint: EtcdEndpoint(host: "127.0.0.1", port: TestPlaces.freePort()),
                peerEndpoint: EtcdEndpoint(host: "127.0.0.1", port: TestPlaces.freePort()))
            own.options = ["--unsafe-no-fsync"]
            configure(&own)
            endpoint = own.clientEndpoint
            shared = .own(own)
        }
        var settings = NodeSettings(
            name: name, dataFolder: folder + "/data",
            address: "127.0.0.1:\(TestPlaces.freePort())",
            store: shared, read: { _ in throw SettingsError("played engines read nothing") })
        settings.readSource = { _, _ in throw SettingsError("played engines read nothing") }
        node = try Node(
            settings, host: host, log: Logger(label: name) { _ in SwiftLogNoOpLogHandler() })
    }
}
