import Foundation
import MySQLClient
import MySQLCore
import Stream
import TestServers
import Testing

@testable import Relay

@Suite("A relay log whose source fails over", .serialized)
struct FailoverTests {
    /// Makes one server a replica of another, and waits until it has everything.
    static func follow(_ replica: TestServer, _ source: TestServer) async throws {
        let login =
            "MASTER_HOST='127.0.0.1', MASTER_PORT=\(source.port), "
            + "MASTER_USER='\(TestServer.user)', MASTER_PASSWORD='\(TestServer.password)'"
        if source.family == .mariadb {
            try replica.sql("CHANGE MASTER TO \(login), MASTER_USE_GTID=slave_pos; START SLAVE")
        } else {
            let words = login.replacing("MASTER_", with: "SOURCE_")
            try replica.sql(
                "CHANGE REPLICATION SOURCE TO \(words), SOURCE_AUTO_POSITION=1, "
                    + "GET_SOURCE_PUBLIC_KEY=1; START REPLICA")
        }
        try await caughtUp(replica, source)
    }

    static func caughtUp(_ replica: TestServer, _ source: TestServer) async throws {
        let goal = try source.gtids()
        try await wait(for: "the replica") { try replica.gtids().isSuperset(of: goal) }
    }

    @Test(
        "it goes on in the next folder, and readers cross the border", arguments: Servers.families)
    func failover(family: TestServer.Family) async throws {
        try await TestServer.with(family, name: "first") { first in
            try await TestServer.with(family, name: "second") { second in
                let scratch = Scratch()
                try await Self.follow(second, first)
                try Writing.prepare(first, "border")
                let proxy = try FaultProxy(to: first)
                defer { proxy.close() }
                var options = RelayOptions(first, scratch, window: 1 << 20, port: proxy.port)
                options.source.tls.mode = .disabled
                let begin = try first.gtids()
                let names = [try FileTests.folder(first), try FileTests.folder(second, 2)]
                try await withRelay(options) { log in
                    let seen = [Seen(), Seen()]
                    let live = try await log.reader(from: .gtids(begin), crossesServers: true)
                    let plain = try await log.reader(from: .gtids(begin))
                    let plainSeen = Seen()
                    let writing = Writing(first, "border")
                    try await writing.more(150)
                    try await writing.stop()
                    try await Self.caughtUp(second, first)
                    await first.kill()
                    if family == .mariadb { try second.sql("STOP SLAVE") }
                    proxy.forward(to: second)
                    proxy.cut()
                    try Writing.run(second, "border", 103...180)
                    let end = try second.end()
                    let goal = try second.gtids()
                    try await wait(for: "the second folder") {
                        log.server == (try second.serverName()) && log.reached(end)
                    }
                    let name = try second.serverName()
                    // One reader was there all the time, one comes now.
                    let late = try await log.reader(from: .gtids(begin), crossesServers: true)
                    for (reader, seen) in [(live, seen[0]), (late, seen[1])] {
                        var restarts = 0
                        while reader.server != name || seen.end != end {
                            let chunk = try await reader.next()
                            if reader.restarts != restarts { seen.restart() }
                            restarts = reader.restarts
                            seen.take(chunk)
                        }
                        #expect(seen.problems == [])
                    }
                    // Bytes differ: offsets are another server's.
                    #expect(seen[0].order == seen[1].order)
                    var all = begin
                    for name in seen[0].order {
                        if let gtid = MariaDBGTID(name) {
                            all.formUnion(
                                GTIDState.mariadb(MariaDBGTIDPosition("\(gtid)") ?? .init()))
                        } else {
                            all.formUnion(GTIDState.mysql(MySQLGTIDSet(name) ?? .init()))
                        }
                    }
                    #expect(all.isSuperset(of: goal))
                    // One that follows one server only is told, and begins again behind it.
                    await #expect(throws: StreamError.upstreamChanged) {
                        while true { plainSeen.take(try await plain.next()) }
                    }
                    #expect(log.status.warnings.contains { $0.contains("upstream") })
                }
                let folders = try RelayDirectory(path: scratch.path).folders().map(\.description)
                #expect(folders == names)
                try FileTests.expectEqual(scratch, second, folder: names[1])
            }
        }
    }
}
