import Logging
import Metadata
import Synchronization
import TestServers

@testable import Cluster

/// The cluster's part of a worker: it is a member, campaigns, and places sources when it leads.
final class TestWorker: Sendable {
    let name: String
    let client: EtcdClient
    let membership: Membership
    private let leader: Leader

    init(
        _ name: String, _ endpoint: EtcdEndpoint, identity: String? = nil, leaseSeconds: Int = 2,
        settlingTime: Duration = .milliseconds(100),
        returningTime: Duration = Leader.returningTime, failingWrites: Int = 0,
        failure: MetadataError.Code = .unavailable
    ) throws {
        self.name = name
        let log = Logger(label: name) { _ in SwiftLogNoOpLogHandler() }
        var patience = EtcdClient.Patience()
        patience.attempt = .seconds(1)
        client = try EtcdClient(endpoints: [endpoint], patience: patience)
        membership = Membership(
            WorkerSession(name: name, identity: identity ?? name, address: "\(name):1"),
            client: client, leaseSeconds: leaseSeconds, log: log)
        let client = client
        let failures = Atomic(failingWrites)
        leader = Leader(
            client: client, settlingTime: settlingTime, returningTime: returningTime, log: log,
            otherDuties: { _ in },
            write: {
                if failures.wrappingAdd(-1, ordering: .relaxed).oldValue > 0 {
                    throw MetadataError(failure, "for the test")
                }
                return try await client.transaction(if: $0, then: $1, otherwise: [$2])
            })
    }

    func run() async throws {
        // The client ends after the membership: leaving needs it.
        let serving = Task { try await client.run() }
        defer { serving.cancel() }
        try await membership.run { try await self.leader.run(as: self.name, lease: $0) }
    }

    /// Cuts it off from the store, as a network does.
    func cutOff() throws { try client.setEndpoints([EtcdEndpoint(host: "127.0.0.1", port: 1)]) }
}

/// A store, and a client of it that watches the cluster.
final class TestCluster: Sendable {
    let store: EtcdServer
    let client: EtcdClient

    static let isAvailable = EtcdServer.isInstalled

    var endpoint: EtcdEndpoint { store.settings.clientEndpoint }

    init(_ options: [String] = [], probeMisses: Int = 3) throws {
        let folder = try TestPlaces.newFolder("cluster")
        var settings = EtcdServerSettings(
            name: "store", folder: folder,
            clientEndpoint: EtcdEndpoint(host: "127.0.0.1", port: TestPlaces.freePort()),
            peerEndpoint: EtcdEndpoint(host: "127.0.0.1", port: TestPlaces.freePort()))
        settings.program = try TestPlaces.unprivileged(settings.program)
        settings.options = ["--unsafe-no-fsync"] + options
        settings.probeMisses = probeMisses
        try TestPlaces.makePrivateFolder(folder + "/data")
        store = EtcdServer(settings, log: Logger(label: "etcd") { _ in SwiftLogNoOpLogHandler() })
        var patience = EtcdClient.Patience()
        patience.call = .seconds(30)
        client = try EtcdClient(endpoints: [settings.clientEndpoint], patience: patience)
    }

    static func with(
        _ options: [String] = [], probeMisses: Int = 3,
        _ body: @Sendable @escaping (TestCluster) async throws -> Void
    ) async throws {
        let cluster = try TestCluster(options, probeMisses: probeMisses)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await cluster.store.run(.alone)
                return false
            }
            group.addTask {
                try await cluster.client.run()
                return false
            }
            group.addTask {
                try await body(cluster)
                return true
            }
            defer { group.cancelAll() }
            while let done = try await group.next() { if done { break } }
        }
    }

    func state() async throws -> ClusterState {
        let (values, revision) = try await client.list(.prefix(KeyLayout.root))
        var state = ClusterState()
        state.apply(.all(values, at: revision))
        return state
    }

    func bindings() async throws -> [String: Binding] {
        try await state().bindings.mapValues { $0.record }
    }

    func leader() async throws -> String? {
        try await client.leader(of: KeyLayout.leader).map {
            String(decoding: $0.value, as: UTF8.self)
        }
    }

    func addSource(_ name: String, allowed: Set<String>? = nil, enabled: Bool = true) async throws {
        let record = SourceRecord(settings: "", allowedWorkers: allowed, isEnabled: enabled)
        try await client.put(KeyLayout.source(name), try record.bytes())
    }

    func eventually(
        _ condition: () async throws -> Bool, at place: String = "\(#fileID):\(#line)"
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(90)
        while try await !condition() {
            guard ContinuousClock.now < deadline else {
                throw MetadataError(.unavailable, "\(place): it did not come to be")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
