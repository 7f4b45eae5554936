import Foundation
import Logging
import MySQLClient
import MySQLCore
import Relay
import Runtime
import Stream
import TestServers
import Testing

@testable import Worker

@Suite("A source's relay log in a worker", .serialized) struct SourceRelayTests {
    private struct Overdue: Error {}

    /// Opens the log for some tasks, and looks at it when it has come to the source's end.
    private static func opened(
        _ server: TestServer, _ folder: String, _ tasks: [String: SourcePosition?],
        readers: Set<String>, _ look: @escaping @Sendable (RelayLog) throws -> Void
    ) async throws {
        let source = options(server)
        let relay = SourceRelay(
            SourceRelay.Options(folder: folder, source: source, serverID: .random(in: 1...9999)),
            endsWithLog: true, logger: Logger(label: "test"))
        relay.expect(Set(tasks.keys), of: readers)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await relay.run()
                return false
            }
            group.addTask {
                var log: RelayLog?
                for (name, needed) in tasks {
                    log = try await relay.open(for: name, needed: needed)
                }
                guard let log else { return false }
                try await log.ready()
                let end = try place(server)
                let deadline = ContinuousClock.now + .seconds(60)
                while log.status.position.map({ $0 < end }) ?? true {
                    guard ContinuousClock.now < deadline else { throw Overdue() }
                    try await Task.sleep(for: .milliseconds(10))
                }
                try look(log)
                return true
            }
            while let isDone = try await group.next(), !isDone {}
            group.cancelAll()
            while let _ = try? await group.next() {}
        }
    }

    private static func options(_ server: TestServer) -> ConnectionOptions {
        ConnectionOptions(
            port: server.port, user: TestServer.user, password: Password(TestServer.password))
    }

    private static func place(_ server: TestServer) throws -> BinlogPosition {
        try SourceSession(try Connection(options(server))).currentPosition()
    }

    private static func position(_ server: TestServer) throws -> SourcePosition {
        let session = SourceSession(try Connection(options(server)))
        return SourcePosition(
            origin: Origin(server: try session.serverName(), life: 0),
            binlog: try session.currentPosition(), gtids: try session.currentGTIDs())
    }

    @Test(
        "what a task needed before it was elsewhere does not count; what a paused one needs does",
        arguments: [false, true])
    func needs(hasPaused: Bool) async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)")
            let first = try Self.position(server)
            let names: Set<String> = hasPaused ? ["moved", "paused"] : ["moved"]
            try await Self.opened(server, folder, ["moved": first], readers: names) { log in
                for name in names {
                    try log.need(name, first.binlog.file, of: first.origin.server)
                }
            }
            try server.sql(
                "INSERT INTO d.t VALUES (1); FLUSH BINARY LOGS; FLUSH BINARY LOGS; "
                    + "INSERT INTO d.t VALUES (2)")
            let later = try Self.position(server)
            try await Self.opened(server, folder, ["moved": later], readers: names) { log in
                // Everything since, only for whoever can't ask.
                #expect(log.contents.count == (hasPaused ? 1 : 2))
                #expect(
                    log.holds(first.binlog.file, of: first.origin.server))
                #expect(log.holds(later.binlog.file, of: later.origin.server))
            }
        }
    }
}
