import Foundation
import Glibc
import Metadata
import TestServers
import Testing

@testable import Cluster

@Suite(
    "Members of the store that workers bring along", .serialized,
    .enabled(if: TestCluster.isAvailable))
struct StoreMemberTests {
    private static func within(
        _ what: String, _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while try await !condition() {
            guard ContinuousClock.now < deadline else {
                throw MetadataError(.unavailable, "it did not come to be: \(what)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Starts workers one after the other, of which all others join the first.
    ///
    /// - Parameter folder: the first one's, where it is there already.
    private static func with(
        _ names: [String], folder: String? = nil,
        configure: (String, inout NodeSettings.OwnStore) -> Void = { _, _ in },
        _ body: ([TestNode]) async throws -> Void
    ) async throws {
        var nodes: [TestNode] = []
        var running: [Task<Void, any Error>] = []
        do {
            for name in names {
                let node = try TestNode(name, store: nil, folder: nodes.isEmpty ? folder : nil) {
                    own in
                    own.join = nodes.first.map { [$0.endpoint] } ?? []
                    configure(name, &own)
                }
                nodes.append(node)
                running.append(Task { try await node.node.run() })
                try await within("\(name) is in the cluster") {
                    nodes[0].node.cluster.sessions[name] != nil
                }
            }
            try await body(nodes)
        } catch {
            await end(running)
            throw error
        }
        await end(running)
    }

    private static func end(_ running: [Task<Void, any Error>]) async {
        for task in running { task.cancel() }
        for task in running { _ = await task.result }
    }

    private static func voters(_ node: TestNode) async -> [String] {
        let members = try? await node.node.client.members(within: .seconds(2))
        return (members ?? []).filter { !$0.isLearner }.map(\.name).sorted()
    }

    /// What is at one endpoint.
    private static func token(at endpoint: EtcdEndpoint) async throws -> [UInt8]? {
        let client = try EtcdClient(endpoints: [endpoint])
        let running = Task { try await client.run() }
        defer { running.cancel() }
        return try await client.get(KeyLayout.cluster, within: .seconds(10))?.value
    }

    @Test(
        "a member that loses its data while its worker lives joins again as another one",
        arguments: [1, 2, 0])
    func lostData(_ index: Int) async throws {
        try await Self.with(["w1", "w2", "w3"]) { nodes in
            try await Self.within("three vote") { await Self.voters(nodes[0]).count == 3 }
            let victim = nodes[index]
            let server = try #require(victim.node.member?.server)
            let others = nodes.filter { $0.name != victim.name }
            let file = victim.folder + "/data/endpoints"
            func isFileWell() -> Bool {
                let lines = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
                return others.allSatisfy { lines.contains($0.endpoint.description) }
            }
            try await Self.within("it knows the others") { isFileWell() }
            let token = try #require(try await others[0].node.client.get(KeyLayout.cluster)).value
            // What a worker says of its member is what it saw last, and the others may know more.
            var found: MemberStatus?
            try await Self.within("it votes") {
                guard case .up(let now) = server.condition, !now.isLearner else { return false }
                found = now
                return true
            }
            let before = try #require(found)
            let pid = try #require(server.pid)
            try FileManager.default.moveItem(
                atPath: victim.folder + "/data/store/data", toPath: victim.folder + "/lost")
            kill(pid, SIGKILL)
            try await Self.within("it votes again") {
                guard case .up(let now) = server.condition else { return false }
                return now.id != before.id && !now.isLearner
                    && now.cluster == before.cluster
            }
            try await Self.within("three vote") { await Self.voters(others[0]).count == 3 }
            let members = try await others[0].node.client.members()
            #expect(members.count == 3 && !members.contains { $0.id == before.id })
            #expect(try await Self.token(at: victim.endpoint) == token)
            #expect(isFileWell())
            #expect(try await victim.node.client.get(KeyLayout.cluster)?.value == token)
        }
    }

    /// Forms a cluster and ends it.
    ///
    /// - Returns: the folder of its only worker, which nothing uses any more.
    private static func formed() async throws -> String {
        var folder = ""
        try await with(["w1"]) { folder = $0[0].folder }
        return folder
    }

    @Test("the only member is found by others where its worker is started next")
    func moved() async throws {
        let folder = try await Self.formed()
        // All its ports are others.
        try await Self.with(["w1", "w2", "w3"], folder: folder) { nodes in
            try await Self.within("three vote") { await Self.voters(nodes[0]).count == 3 }
        }
    }

    @Test("the only member does not start without its data, and goes on when they are back")
    func lostAlone() async throws {
        try await Self.with(["w"]) { nodes in
            let server = try #require(nodes[0].node.member?.server)
            try await Self.within("it is there") {
                if case .up = server.condition { true } else { false }
            }
            let token = try #require(try await nodes[0].node.client.get(KeyLayout.cluster)).value
            let (data, aside) = (nodes[0].folder + "/data/store/data", nodes[0].folder + "/lost")
            try FileManager.default.moveItem(atPath: data, toPath: aside)
            let starts = server.starts
            if let pid = server.pid { kill(pid, SIGKILL) }
            try await Self.within("it is down") { server.condition == .down }
            try await Task.sleep(for: .seconds(4))
            #expect(server.condition == .down && server.starts == starts)
            try FileManager.default.moveItem(atPath: aside, toPath: data)
            try await Self.within("it is back") {
                (try? await nodes[0].node.client.get(KeyLayout.cluster))??.value == token
            }
        }
    }

    @Test("a store of another cluster is not believed, whoever has named it")
    func otherCluster() async throws {
        try await TestCluster.with { other in
            try await Self.with(["w"]) { nodes in
                let client = nodes[0].node.client
                let file = nodes[0].folder + "/data/endpoints"
                func isSaved() -> Bool {
                    (try? String(contentsOfFile: file, encoding: .utf8))
                        == "\(nodes[0].endpoint)\n"
                }
                try await Self.within("it knows where its store is") { isSaved() }
                try client.setEndpoints([other.endpoint])
                try await Self.within("it has found its own again") {
                    client.endpoints == [nodes[0].endpoint]
                }
                // It has looked once more.
                try await Task.sleep(for: .seconds(3))
                #expect(client.endpoints == [nodes[0].endpoint] && isSaved())
                #expect(try await other.client.list(.prefix(KeyLayout.voters)).values.isEmpty)
            }
        }
    }

    @Test("a voter whose files are damaged is replaced by a worker that can take its place")
    func brokenVoter() async throws {
        try await Self.with(["w1", "w2", "w3"]) {
            $1.voterTimeout = .seconds(5)
        } _: { nodes in
            try await Self.within("three vote") { await Self.voters(nodes[0]).count == 3 }
            let fourth = try TestNode("w4", store: nil) {
                $0.join = [nodes[0].endpoint]
                $0.voterTimeout = .seconds(5)
            }
            let running = Task { try await fourth.node.run() }
            let wal = nodes[2].folder + "/data/store/data/member/wal"
            for file in try FileManager.default.contentsOfDirectory(atPath: wal) {
                try Data(repeating: 7, count: 4096).write(
                    to: URL(fileURLWithPath: wal + "/" + file))
            }
            if let pid = nodes[2].node.member?.server.pid { kill(pid, SIGKILL) }
            do {
                try await Self.within("the fourth votes") {
                    await Self.voters(nodes[0]) == ["w1", "w2", "w4"]
                }
            } catch {
                await Self.end([running])
                throw error
            }
            // Its worker lives, and has forgotten the damaged files: it would join again.
            #expect(nodes[0].node.cluster.sessions["w3"] != nil)
            try await Self.within("the files are put aside") {
                nodes[2].node.member?.server.hasData == false
            }
            await Self.end([running])
        }
    }

    @Test("a learner that can't start holds up nobody, and joins when it can")
    func brokenLearner() async throws {
        let listener = try #require(Listener())
        try await Self.with(["w1", "w2", "w3"]) { name, own in
            own.voterTimeout = .seconds(5)
            if name == "w2" {
                own.peerEndpoint = EtcdEndpoint(host: "127.0.0.1", port: listener.port)
            }
        } _: { nodes in
            try await Self.within("the third votes") {
                await Self.voters(nodes[0]) == ["w1", "w3"]
            }
            // It is asked again. The members are others than those that it was to join at first.
            listener.end()
            try await Self.within("three vote") {
                await Self.voters(nodes[0]) == ["w1", "w2", "w3"]
            }
        }
    }

    @Test("a store that has reached its quota makes room by itself")
    func quota() async throws {
        try await Self.with(["w"]) { _, own in
            own.options.append("--quota-backend-bytes=\(16 << 20)")
        } _: { nodes in
            let client = nodes[0].node.client
            let value = [UInt8](repeating: 1, count: 1 << 20)
            var refusal: MetadataError?
            for n in 0..<64 where refusal == nil {
                do {
                    try await client.put("same", value + [UInt8(n)])
                } catch let error as MetadataError where error.code == .noSpace {
                    refusal = error
                }
            }
            #expect(refusal?.code == .noSpace)
            try await Self.within("there is room") {
                (try? await client.put("small", [1])) != nil
            }
            #expect(nodes[0].node.cluster.leader == "w")
        }
    }
}
