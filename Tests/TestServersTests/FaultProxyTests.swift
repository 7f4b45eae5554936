import Foundation
import TestServers
import Testing

@Suite("A proxy that makes faults")
struct FaultProxyTests {
    /// A server with one table of one row, and a proxy before it.
    private func with(_ body: (TestServer, FaultProxy) async throws -> Void) async throws {
        try await TestServer.with(.mariadb) { server in
            try server.sql(
                "CREATE DATABASE shop; CREATE TABLE shop.t (a INT); INSERT INTO shop.t VALUES (0)")
            let proxy = try FaultProxy(to: server)
            defer { proxy.close() }
            try await body(server, proxy)
        }
    }

    private func value(_ server: TestServer) throws -> String {
        try server.sql("SELECT a FROM shop.t")
    }

    /// Waits until something holds; ten seconds are more than enough on any machine.
    private func eventually(_ condition: () throws -> Bool) async throws -> Bool {
        // Other tests may keep the machine busy: what matters is that it comes.
        for _ in 0..<6000 {
            if try condition() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// Runs statements while the test goes on, on a thread of its own since the client blocks it.
    private func aside(_ proxy: FaultProxy, _ statements: String) async -> Int32? {
        await withCheckedContinuation { continuation in
            let port = proxy.port
            Thread.detachNewThread {
                let outcome = try? CommandLineClient.run(statements, port: port)
                continuation.resume(returning: outcome?.status)
            }
        }
    }

    @Test("bytes go both ways and are counted")
    func forwards() async throws {
        try await with { server, proxy in
            let rows = try CommandLineClient.run("SELECT REPEAT('x', 300000)", port: proxy.port)
                .output
            #expect(rows.count == 300_001)
            #expect(proxy.bytes(.toClient) > 300_000)
            #expect(proxy.bytes(.toServer) > 50)
            #expect(proxy.accepted == 1)
            #expect(try await eventually { proxy.connections == 0 })
        }
    }

    @Test("a held packet takes effect on the server after its client is gone")
    func replays() async throws {
        try await with { server, proxy in
            let held = proxy.holdNext(.toServer, matching: "UPDATE shop.t SET a = 7")
            let outcome = try CommandLineClient.run("UPDATE shop.t SET a = 7", port: proxy.port)
            #expect(outcome.status != 0)
            #expect(outcome.errors.contains("2013"))
            try await held.caught()
            try await Task.sleep(for: .milliseconds(200))
            #expect(try value(server) == "0\n")
            held.deliver()
            #expect(try await eventually { try value(server) == "7\n" })
            #expect(try await eventually { proxy.connections == 0 })
        }
    }

    @Test("a dropped packet never takes effect")
    func drops() async throws {
        try await with { server, proxy in
            let held = proxy.holdNext(.toServer, matching: "SET a = 7")
            _ = try CommandLineClient.run("UPDATE shop.t SET a = 7", port: proxy.port)
            held.drop()
            #expect(try await eventually { proxy.connections == 0 })
            #expect(try value(server) == "0\n")
        }
    }

    @Test("a held packet of a waiting client arrives when it is delivered")
    func holdsOnly() async throws {
        try await with { server, proxy in
            let held = proxy.holdNext(.toServer, matching: "SET a = 7", closingClient: false)
            async let outcome = aside(proxy, "UPDATE shop.t SET a = 7")
            try await held.caught()
            #expect(try value(server) == "0\n")
            held.deliver()
            #expect(await outcome == 0)
            #expect(try value(server) == "7\n")
        }
    }

    @Test("a reply that is held leaves the client in doubt about what was done")
    func losesReply() async throws {
        try await with { server, proxy in
            // The reply to an update that matched one row: OK, then its message.
            let held = proxy.holdNext(.toClient, matching: "Rows matched")
            let outcome = try CommandLineClient.run("UPDATE shop.t SET a = 7", port: proxy.port)
            #expect(outcome.status != 0)
            try await held.caught()
            #expect(try value(server) == "7\n")
            held.drop()
        }
    }

    @Test("a packet cut in its middle takes no effect")
    func cutsInside() async throws {
        try await with { server, proxy in
            proxy.cutNext(.toServer, matching: Array("SET a = 7".utf8), after: 20)
            let outcome = try CommandLineClient.run("UPDATE shop.t SET a = 7", port: proxy.port)
            #expect(outcome.status != 0)
            #expect(try await eventually { proxy.connections == 0 })
            #expect(try value(server) == "0\n")
            #expect(try CommandLineClient.run("SELECT 1", port: proxy.port).output == "1\n")
        }
    }

    @Test("cut ends running statements, freeze only makes them wait")
    func cutsAndFreezes() async throws {
        try await with { server, proxy in
            async let cut = aside(proxy, "SELECT SLEEP(60)")
            #expect(try await eventually { proxy.connections == 1 && proxy.bytes(.toServer) > 200 })
            proxy.cut()
            #expect(await cut != 0)

            proxy.freeze(.toClient)
            async let frozen = aside(proxy, "SELECT 1")
            #expect(try await eventually { proxy.connections == 1 })
            try await Task.sleep(for: .milliseconds(300))
            #expect(proxy.connections == 1)
            proxy.resume()
            #expect(await frozen == 0)
        }
    }

    @Test("delay slows each way, refused connections fail, forward moves new ones")
    func others() async throws {
        try await with { server, proxy in
            let clock = ContinuousClock()
            proxy.setDelay(.milliseconds(100))
            let time = try clock.measure {
                _ = try CommandLineClient.run("SELECT 1", port: proxy.port)
            }
            // Greeting, login, its reply, statement, its reply.
            #expect(time > .milliseconds(500))
            proxy.setDelay(.zero)

            proxy.refuseConnections()
            #expect(try CommandLineClient.run("SELECT 1", port: proxy.port).errors.contains("2002"))
            for _ in 0..<50 {
                proxy.acceptConnections()
                proxy.refuseConnections()
            }
            proxy.acceptConnections()

            try await TestServer.with(.mariadb, name: "other") { other in
                proxy.forward(to: other)
                let port = try CommandLineClient.run("SELECT @@port", port: proxy.port).output
                #expect(port == "\(other.port)\n")
            }
        }
    }

    @Test("packets of 16 MiB and more pass while a trap looks at each")
    func largePackets() async throws {
        try await with { server, proxy in
            let held = proxy.holdNext(.toServer, matching: "not in there")
            let text = "SELECT LENGTH('" + String(repeating: "0123456789", count: 2_000_000) + "')"
            let outcome = try CommandLineClient.run(text, port: proxy.port)
            #expect(outcome.output == "20000000\n")
            #expect(!held.isHeld)
            proxy.disarm()
        }
    }
}
