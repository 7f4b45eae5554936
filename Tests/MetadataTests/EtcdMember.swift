import Glibc
import Logging
import Metadata
import TestServers

/// A member of a store for tests, supervised as a worker's is.
final class EtcdMember: Sendable {
    let server: EtcdServer

    static let isAvailable = EtcdServer.isInstalled

    init(_ name: String, configure: (inout EtcdServerSettings) -> Void = { _ in }) throws {
        let folder = try TestPlaces.newFolder("etcd-\(name)")
        var settings = EtcdServerSettings(
            name: name, folder: folder,
            clientEndpoint: EtcdEndpoint(host: "127.0.0.1", port: TestPlaces.freePort()),
            peerEndpoint: EtcdEndpoint(host: "127.0.0.1", port: TestPlaces.freePort()))
        settings.program = try TestPlaces.unprivileged(settings.program)
        // The tests are about processes that die, not about machines: no waiting for the disk.
        settings.options = ["--unsafe-no-fsync"]
        configure(&settings)
        try TestPlaces.makePrivateFolder(folder + "/data")
        server = EtcdServer(settings, log: Logger(label: "etcd") { _ in SwiftLogNoOpLogHandler() })
    }

    var endpoint: EtcdEndpoint { server.settings.clientEndpoint }

    func send(_ signal: Int32) {
        guard let pid = server.pid, kill(pid, signal) == 0, signal == SIGSTOP else { return }
        // Its threads stop one after the other: until then it may answer.
        var status = siginfo_t()
        waitid(P_PID, id_t(pid), &status, WSTOPPED | WEXITED | WNOWAIT)
    }

    var isUp: Bool {
        if case .up(let status) = server.condition { return status.leader != nil }
        return false
    }

    var status: MemberStatus? {
        if case .up(let status) = server.condition { return status }
        return nil
    }

    /// Returns when the member answers and knows a leader.
    func up() async throws { try await eventually { self.isUp } }
}

/// Waits for something that comes to be; the limit only ends a test that would never end.
func eventually(
    within limit: Duration = .seconds(90), _ condition: () async throws -> Bool,
    at place: String = "\(#fileID):\(#line)"
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            throw MetadataError(.unavailable, "\(place): it did not come to be within \(limit)")
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// One member, or three, and a client of them while `body` runs.
enum TestStore {
    static func one(
        configure: (inout EtcdServerSettings) -> Void = { _ in },
        patience: EtcdClient.Patience = generous,
        _ body: @Sendable @escaping (EtcdMember, EtcdClient) async throws -> Void
    ) async throws {
        let member = try EtcdMember("one", configure: configure)
        let client = try EtcdClient(
            endpoints: [member.endpoint], tls: member.server.settings.tls, patience: patience)
        try await alongside {
            try await member.server.run(.alone)
        } and: {
            try await client.run()
        } body: {
            try await member.up()
            try await body(member, client)
        }
    }

    /// Grows a cluster of one to three by learners.
    static func three(
        _ body: @Sendable @escaping ([EtcdMember], EtcdClient) async throws -> Void
    ) async throws {
        let members = try ["a", "b", "c"].map { try EtcdMember($0) }
        let client = try EtcdClient(endpoints: members.map { $0.endpoint }, patience: generous)
        try await alongside {
            try await members[0].server.run(.alone)
        } and: {
            try await client.run()
        } body: {
            try await members[0].up()
            try await grow(Array(members.dropFirst()), client) { try await body(members, client) }
        }
    }

    /// Lets members join one after the other, and runs `body` with all of them.
    private static func grow(
        _ members: [EtcdMember], _ client: EtcdClient,
        _ body: @Sendable @escaping () async throws -> Void
    ) async throws {
        guard let member = members.first else { return try await body() }
        let formation = try await member.server.join(through: client, within: .seconds(90))
        try await alongside {
            try await member.server.run(formation)
        } and: {
        } body: {
            try await member.server.becomeVoter(through: client, within: .seconds(90))
            try await grow(Array(members.dropFirst()), client, body)
        }
    }

    /// Machines that test are busy.
    static var generous: EtcdClient.Patience {
        var patience = EtcdClient.Patience()
        patience.call = .seconds(30)
        patience.attempt = .seconds(4)
        return patience
    }

    /// Runs `body`, and two services for as long as it takes.
    static func alongside(
        _ first: @Sendable @escaping () async throws -> Void,
        and second: @Sendable @escaping () async throws -> Void,
        body: @Sendable @escaping () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await first(); return false
            }
            group.addTask {
                try await second(); return false
            }
            group.addTask {
                try await body(); return true
            }
            defer { group.cancelAll() }
            while let done = try await group.next() { if done { break } }
        }
    }
}
