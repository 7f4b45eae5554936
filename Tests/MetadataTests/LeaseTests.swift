import Glibc
import Metadata
import Testing

@Suite("Leases", .serialized, .enabled(if: EtcdMember.isAvailable))
struct LeaseTests {
    @Test("keys go with their lease: when it is revoked, and when nobody renews it")
    func ends() async throws {
        try await TestStore.one { _, client in
            let lease = try await client.grantLease(seconds: 60)
            try await client.put("a", [1], lease: lease.id)
            #expect(try await client.get("a")?.lease == lease.id)
            #expect(try await client.secondsLeft(of: lease.id) != nil)
            try await client.revokeLease(lease.id)
            #expect(try await client.get("a") == nil)
            try await client.revokeLease(lease.id)
            #expect(try await client.secondsLeft(of: lease.id) == nil)
            await expect(.leaseNotFound) { try await client.keepAlive(lease) }
            await expect(.leaseNotFound) { try await client.put("a", [1], lease: lease.id) }

            let short = try await client.grantLease(seconds: 1)
            try await client.put("b", [1], lease: short.id)
            try await eventually { try await client.get("b") == nil }
        }
    }

    @Test("a lease that is kept alive outlives its time, and ends when it is revoked")
    func kept() async throws {
        try await TestStore.one { _, client in
            let lease = try await client.grantLease(seconds: 2)
            try await client.put("a", [1], lease: lease.id)
            let keeping = Task { try await client.keepAlive(lease) }
            try await Task.sleep(for: .seconds(2 * lease.seconds))
            #expect(try await client.get("a") != nil)
            try await client.revokeLease(lease.id)
            await expect(.leaseNotFound) { _ = try await keeping.value }
        }
    }

    @Test("it survives a server that is killed in between")
    func killed() async throws {
        try await TestStore.one { member, client in
            let lease = try await client.grantLease(seconds: 20)
            try await client.put("a", [1], lease: lease.id)
            let renewals = Counter()
            let keeping = Task { try await client.keepAlive(lease) { _ in renewals.add() } }
            try await eventually { renewals.value >= 1 }
            let before = renewals.value
            member.send(SIGKILL)
            try await eventually { renewals.value > before }
            #expect(try await client.get("a") != nil)
            keeping.cancel()
            await #expect(throws: CancellationError.self) { try await keeping.value }
        }
    }

    @Test("a holder that is cut off knows that its lease is lost no later than the store does")
    func cutOff() async throws {
        var patience = EtcdClient.Patience()
        patience.call = .seconds(1)
        patience.attempt = .milliseconds(300)
        try await TestStore.one(configure: { $0.probeMisses = 1000 }, patience: patience) {
            member, client in
            try await eventually { (try? await client.put("ready", [])) != nil }
            let lease = try await client.grantLease(seconds: 3)
            member.send(SIGSTOP)
            await expect(.leaseNotFound) { try await client.keepAlive(lease) }
            member.send(SIGCONT)
        }
    }
}
