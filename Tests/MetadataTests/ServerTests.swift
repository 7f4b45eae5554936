import Glibc
import Metadata
import TestServers
import Testing

@Suite("The store's servers", .serialized, .enabled(if: EtcdMember.isAvailable))
struct ServerTests {
    @Test("a killed server is started again with its data")
    func killed() async throws {
        try await TestStore.one { member, client in
            try await client.put("a", [1])
            let id = member.status?.id
            member.send(SIGKILL)
            try await eventually { member.server.starts == 2 && member.isUp }
            #expect(try await client.get("a")?.value == [1])
            #expect(member.status?.id == id)
        }
    }

    @Test("a server that hangs is killed and started again")
    func hangs() async throws {
        try await TestStore.one {
            $0.probeTimeout = .milliseconds(500)
            $0.probeInterval = .milliseconds(100)
        } _: { member, client in
            try await client.put("a", [1])
            member.send(SIGSTOP)
            try await eventually { member.server.starts >= 2 && member.isUp }
            #expect(try await client.get("a")?.value == [1])
        }
    }

    @Test("it ends when its task is cancelled, also while it hangs, and leaves no process")
    func stops() async throws {
        for signal in [SIGCONT, SIGSTOP] {
            let member = try EtcdMember("stopping") { $0.stopTimeout = .milliseconds(500) }
            let running = Task { try await member.server.run(.alone) }
            try await member.up()
            let pid = try #require(member.server.pid)
            member.send(signal)
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            #expect(kill(pid, 0) == -1 && errno == ESRCH)
            #expect(member.server.pid == nil && member.server.condition == .down)
        }
    }

    @Test("a program that is not there, or a folder that cannot be made, is an error at once")
    func impossible() async throws {
        let missing = try EtcdMember("missing") { $0.program = "/nowhere/etcd" }
        await expect(.process) { try await missing.server.run(.alone) }
        let misplaced = try EtcdMember("misplaced") { $0.folder = "/proc/none" }
        await expect(.file) { try await misplaced.server.run(.alone) }
    }

    @Test("a program that ends at once is started again, not too often")
    func endsAtOnce() async throws {
        let member = try EtcdMember("brief") { $0.options = ["--no-such-option"] }
        let running = Task { try await member.server.run(.alone) }
        try await eventually { member.server.starts >= 3 }
        #expect(member.server.starts < 20)
        running.cancel()
        _ = await running.result
    }

    @Test("three members: one dies with its data and joins again, the data survive")
    func lostData() async throws {
        try await TestStore.three { members, client in
            try await client.put("a", [1])
            let voters = try await client.members()
            #expect(voters.count == 3 && voters.allSatisfy { !$0.isLearner && $0.hasStarted })
            // A fourth worker on the place of the third: it has the addresses and no data.
            let lost = members[2]
            let old = try #require(lost.status?.id)
            let again = try EtcdMember("again") {
                $0.name = lost.server.settings.name
                $0.clientEndpoint = lost.server.settings.clientEndpoint
                $0.peerEndpoint = lost.server.settings.peerEndpoint
                $0.clientListeners = [$0.clientEndpoint]
                $0.peerListeners = [$0.peerEndpoint]
                // Its predecessor's process, which its supervisor starts again, holds the ports.
                $0.program = lost.server.settings.program
            }
            try await replace(lost, by: again, through: client, others: Array(members.prefix(2)))
            let now = try await client.members()
            #expect(now.count == 3 && !now.contains { $0.id == old })
            #expect(try await client.get("a")?.value == [1])
        }
    }

    /// Removes a member, and lets one with its name and addresses join; returns while it runs.
    private func replace(
        _ lost: EtcdMember, by again: EtcdMember, through client: EtcdClient, others: [EtcdMember]
    ) async throws {
        try client.setEndpoints(others.map { $0.endpoint })
        lost.send(SIGSTOP)
        // It is removed while it does not run, as a lost machine is; its process ends by itself
        // when it goes on, since it learns that it was removed.
        let formation = try await again.server.join(through: client, within: .seconds(90))
        guard case .joining(let members) = formation else {
            Issue.record("\(formation)")
            return
        }
        #expect(members.count == 3)
        lost.send(SIGKILL)
        try await client.put("meanwhile", [])
        let running = Task { try await again.server.run(formation) }
        try await again.server.becomeVoter(through: client, within: .seconds(90))
        #expect(again.status?.isLearner == false || again.isUp)
        running.cancel()
        _ = await running.result
    }

    @Test("with one of three gone all goes on; with two gone reads and writes are refused in time")
    func quorum() async throws {
        try await TestStore.three { members, client in
            try await client.put("a", [1])
            // The ones that do not lead: SIGSTOP is a lost machine, to those that remain.
            let rest = members.filter { $0.status.map { $0.id != $0.leader } ?? true }.prefix(2)
            let victims = Array(rest)
            victims[0].send(SIGSTOP)
            try await client.put("a", [2])
            victims[1].send(SIGSTOP)
            var patience = EtcdClient.Patience()
            patience.call = .seconds(1)
            let impatient = try EtcdClient(
                endpoints: members.map { $0.endpoint }, patience: patience)
            try await TestStore.alongside {
                try await impatient.run()
            } and: {
            } body: {
                await #expect(throws: MetadataError.self) { try await impatient.put("a", [3]) }
                await #expect(throws: MetadataError.self) { _ = try await impatient.get("a") }
                for victim in victims { victim.send(SIGCONT) }
                try await eventually { (try? await impatient.put("b", [4])) != nil }
            }
            #expect(try await client.get("b")?.value == [4])
        }
    }

    @Test("the store's quota ends writing with a clear error, and there is a way out")
    func quota() async throws {
        try await TestStore.one {
            $0.quotaBytes = 16 << 20
        } _: { member, client in
            let value = [UInt8](repeating: 1, count: 1 << 20)
            var error: MetadataError?
            for n in 0..<64 where error == nil {
                do {
                    try await client.put("same", value + [UInt8(n)])
                } catch let it as MetadataError {
                    error = it
                }
            }
            #expect(error?.code == .noSpace)
            let revision = try #require(try await client.get("same")).modRevision
            try await client.compact(before: revision)
            try await client.defragment(member.endpoint)
            try await client.endNoSpaceAlarms()
            try await client.put("small", [1])
        }
    }
}
