import Glibc
@testable import Metadata
import Testing

@Suite("The store's client", .serialized, .enabled(if: EtcdMember.isAvailable))
struct ClientTests {
    @Test("writes are read, transactions compare, deletions count")
    func keys() async throws {
        try await TestStore.one { _, client in
            #expect(try await client.get("a") == nil)
            let first = try await client.put("a", [1])
            let read = try #require(try await client.get("a"))
            #expect(read.value == [1] && read.createRevision == first && read.modRevision == first)

            let taken = try await client.transaction(
                if: [.missing("a")], then: [.put("a", [2])], otherwise: [.get(.key("a"))])
            #expect(!taken.succeeded)
            #expect(taken.results == [.values([read])])
            let swapped = try await client.transaction(
                if: [.modRevision("a", first), .exists("a"), .value("a", [1])],
                then: [.put("a", [3]), .put("b", [4]), .get(.prefix("a"))])
            #expect(swapped.succeeded && swapped.revision == first + 1)
            let stale = try await client.transaction(
                if: [.createRevision("a", first + 1)], then: [.delete(.key("a"))])
            #expect(!stale.succeeded)
            #expect(try await client.count(.prefix("a")) == 1)
            #expect(try await client.delete(.prefix("b")) == 1)
            #expect(try await client.delete(.prefix("b")) == 0)
        }
    }

    @Test("a range larger than a page is listed as it was at one revision")
    func paging() async throws {
        try await TestStore.one { _, client in
            for n in 0..<25 { try await client.put("list/\(n + 100)", [UInt8(n)]) }
            try await client.put("lisu", [])
            let (values, revision) = try await client.list(.prefix("list/"), pageSize: 10)
            #expect(values.map { $0.key } == (0..<25).map { "list/\($0 + 100)" })
            #expect(try await client.get("lisu")?.modRevision == revision)
            let exact = try await client.list(.prefix("list/"), pageSize: 25)
            #expect(exact.values == values)
        }
    }

    /// Without a remedy the transport closes the connection at the 198th call.
    @Test("quick calls do not end the connection, nor the watches on it")
    func pings() async throws {
        try await TestStore.one { _, client in
            let recorder = Recorder()
            try await TestStore.alongside {
                try await client.watch(.prefix("watched"), after: 0) {
                    recorder.take($0)
                    return true
                }
            } and: {
            } body: {
                for n in 0..<700 { #expect(try await client.get("k\(n)") == nil) }
                try await client.put("watched", [1])
                try await eventually { recorder.revisions.count == 1 }
            }
        }
    }

    @Test("what is too large is refused, and the connection stays")
    func tooLarge() async throws {
        try await TestStore.one { member, client in
            await expect(.tooLarge) {
                try await client.put("big", [UInt8](repeating: 7, count: 3 << 20))
            }
            let many = (0..<200).map { Operation.put("k\($0)", []) }
            await expect(.tooLarge) { _ = try await client.transaction(then: many) }
            try await client.put("small", [1])
            #expect(member.server.starts == 1)
        }
    }

    @Test("every call has a deadline, also at a server that hangs")
    func deadlines() async throws {
        var patience = EtcdClient.Patience()
        patience.call = .seconds(2)
        patience.attempt = .milliseconds(500)
        try await TestStore.one(configure: { $0.probeMisses = 1000 }, patience: patience) {
            member, client in
            try await eventually { (try? await client.put("a", [1])) != nil }
            member.send(SIGSTOP)
            await expect(.unavailable) { _ = try await client.get("a") }
            // Nobody has trusted the endpoint since: the write is not even tried.
            await expect(.unavailable) { try await client.put("a", [2]) }
            await expect(.unavailable) {
                _ = try await client.status(of: member.endpoint, within: .milliseconds(300))
            }
            member.send(SIGCONT)
            try await eventually { (try? await client.get("a")) != nil }
            #expect(try await client.get("a")?.value == [1])
        }
    }

    @Test("a write whose answer is lost is of unknown outcome, not repeated")
    func unknownOutcome() async throws {
        var patience = EtcdClient.Patience()
        patience.call = .seconds(3)
        patience.attempt = .seconds(3)
        try await TestStore.one(configure: { $0.probeMisses = 1000 }, patience: patience) {
            member, client in
            try await eventually { (try? await client.put("a", [1])) != nil }
            member.send(SIGSTOP)
            await expect(.outcomeUnknown) { try await client.put("a", [2]) }
            member.send(SIGCONT)
            try await eventually { (try? await client.get("a")) != nil }
        }
    }

    @Test("a client without any endpoint that answers says so, and a cancelled call ends")
    func nobody() async throws {
        var patience = EtcdClient.Patience()
        patience.call = .milliseconds(400)
        let client = try EtcdClient(
            endpoints: [EtcdEndpoint(host: "127.0.0.1", port: 1)], patience: patience)
        try await TestStore.alongside {
            try await client.run()
        } and: {
        } body: {
            await expect(.unavailable) { _ = try await client.get("a") }
            await expect(.unavailable) { try await client.put("a", []) }
            let calling = Task { try await client.follow(.prefix("a")) { _ in true } }
            try await Task.sleep(for: .milliseconds(50))
            calling.cancel()
            await #expect(throws: CancellationError.self) { try await calling.value }
        }
        await expect(.closed) { _ = try await client.get("a") }
    }

    @Test("endpoints are read as they are written")
    func endpoints() {
        #expect(EtcdEndpoint("http://127.0.0.1:79/") == EtcdEndpoint(host: "127.0.0.1", port: 79))
        #expect(EtcdEndpoint("[::1]:80")?.host == "::1")
        #expect(EtcdEndpoint("[::1]:80")?.description == "[::1]:80")
        #expect(EtcdEndpoint("db.test:1")?.isIPv4 == false)
        for wrong in ["", "host", ":1", "host:", "host:0", "host:65536", "host:x"] {
            #expect(EtcdEndpoint(wrong) == nil, "\(wrong)")
        }
    }
}

/// Expects a `MetadataError` with a code.
func expect(
    _ code: MetadataError.Code, _ body: () async throws -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
) async {
    do {
        try await body()
        Issue.record("no error, but \(code) was expected", sourceLocation: sourceLocation)
    } catch let error as MetadataError {
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    } catch {
        Issue.record("\(error), but \(code) was expected", sourceLocation: sourceLocation)
    }
}
