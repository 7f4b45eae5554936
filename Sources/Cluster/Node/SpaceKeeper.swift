internal import Logging
internal import Metadata

/// Makes room in a store that has reached its quota, and so takes no writes: its history goes, the
/// members' files are written anew, and the alarm ends.
///
/// That is for the worker whose member leads the members, not for the cluster's leader: a full store
/// gives no leases, so that there may be none. Two that do it do no harm.
struct SpaceKeeper {
    private let server: EtcdServer
    private let client: EtcdClient
    private let tls: EtcdTLS?
    private let log: Logger

    /// Between two rounds: a member that is written anew does nothing else, and when there is too
    /// much in it that is in vain.
    private static let pause = Duration.seconds(60)

    init(server: EtcdServer, client: EtcdClient, tls: EtcdTLS?, log: Logger) {
        self.server = server
        self.client = client
        self.tls = tls
        self.log = log
    }

    /// Looks, and makes room, until the task is cancelled.
    func run() async throws {
        while true {
            try await Task.sleep(for: .seconds(3))
            guard case .up(let status) = server.condition, status.isFull,
                status.leader == status.id
            else { continue }
            log.error(
                "the store has reached its quota; room is made in it",
                metadata: ["bytes": "\(status.fileBytes)", "used": "\(status.usedBytes)"])
            do {
                try await makeRoom(status)
                log.notice("there is room in the store again, unless what it holds is too much")
            } catch let error as MetadataError where error.code != .closed {
                log.error("no room can be made in the store", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    private func makeRoom(_ status: MemberStatus) async throws {
        do {
            try await client.compact(before: status.revision)
        } catch let error as MetadataError where error.code == .compacted {
            // By itself, just now.
        }
        // Learners do not take the request. The leader is the last: the others wait for it.
        let members = try await client.members().filter { !$0.isLearner }
            .sorted { ($0.id == status.id ? 1 : 0, $0.id) < ($1.id == status.id ? 1 : 0, $1.id) }
        for member in members {
            let endpoints = member.clientURLs.compactMap { EtcdEndpoint($0) }
            guard let endpoint = endpoints.first else { continue }
            do {
                try await defragment(endpoint)
            } catch let error as MetadataError where error.code != .closed {
                // One that is not there makes its own file anew when it is back.
                log.warning(
                    "a member's file can't be written anew",
                    metadata: ["member": "\(member.name)", "reason": "\(error)"])
            }
        }
        try await client.endNoSpaceAlarms()
    }

    /// The worker's own client need not know the endpoint.
    private func defragment(_ endpoint: EtcdEndpoint) async throws {
        let client = try EtcdClient(endpoints: [endpoint], tls: tls)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            group.addTask { try await client.defragment(endpoint) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
