import Foundation
import MySQLClient
import MySQLCore
import Peer
import Relay
import Runtime
import Stream
import TestServers
import Testing

@Suite("A relay log that takes over from another worker's", .serialized)
struct TakeOverTests {
    @Test(
        "gets from there what the source has purged, and the rest from the source",
        arguments: Servers.families)
    func purged(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let (first, empty, behind) = (Scratch(), Scratch(), Scratch())
            try Writing.prepare(server, "taken")
            let start = try server.end()
            let name = try server.serverName()
            var options = RelayOptions(server, behind)
            options.start = .from(start, of: name, gtids: .none)
            try await withRelay(options) { log in
                try Writing.run(server, "taken", 102...130)
                let end = try server.end()
                try await wait(for: "the one that will be behind") { log.reached(end) }
            }
            options = RelayOptions(server, first)
            options.start = .from(start, of: name, gtids: .none)
            try await withRelay(options) { log in
                try Writing.run(server, "taken", 131...220)
                try server.sql("FLUSH BINARY LOGS")
                let last = try server.end()
                try await wait(for: "the first one") { log.reached(last) }
                try await purgeSource(server, to: last.file)
                try Writing.run(server, "taken", 222...240)
                try await serving(log) { port in
                    try await asking(port, server: name) { remote in
                        for scratch in [empty, behind] {
                            var options = RelayOptions(server, scratch)
                            options.start = .from(start, of: name, gtids: .none)
                            options.peers = [remote]
                            try await withRelay(options) { other in
                                try Writing.run(server, "taken", 302...320)
                                try server.sql("TRUNCATE TABLE taken.t")
                                let end = try server.end()
                                try await wait(for: "both") {
                                    log.reached(end) && other.reached(end)
                                }
                                #expect(other.status.upstream?.contains("\(server.port)") == true)
                                let reader = try await other.reader(
                                    from: .position(start, of: name))
                                let seen = Seen()
                                try await seen.read(reader, to: end)
                                let theirs = Seen()
                                try await theirs.read(
                                    try await log.reader(from: .position(start, of: name)),
                                    to: end)
                                #expect(seen.problems == [] && seen.order == theirs.order)
                                #expect(seen.digests == theirs.digests)
                                #expect(try differences(first, scratch) == [])
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("says what is missing and who was asked, when nobody has it")
    func nobody() async throws {
        let family = Servers.families[0]
        try await TestServer.with(family) { server in
            let (first, second) = (Scratch(), Scratch())
            try Writing.prepare(server, "nobody")
            let start = try server.end()
            let name = try server.serverName()
            let before = try server.gtids()
            try Writing.run(server, "nobody", 102...110)
            try server.sql("FLUSH BINARY LOGS")
            try await purgeSource(server, to: try server.end().file)
            try await withRelay(RelayOptions(server, first)) { log in
                try await serving(log) { port in
                    try await asking(port) { remote in
                        for gtids in [GTIDState.none, before] {
                            var options = RelayOptions(server, second)
                            options.start = .from(start, of: name, gtids: gtids)
                            options.peers = [remote]
                            let error = await #expect(throws: RelayError.self) {
                                try await withRelay(options) { _ in }
                            }
                            let text = error.map { "\($0)" } ?? ""
                            #expect(text.contains(start.file), "\(text)")
                            #expect(text.contains("127.0.0.1:\(port)"), "\(text)")
                            #expect(text.contains("127.0.0.1:\(server.port)"), "\(text)")
                            #expect(text.contains(second.path), "\(text)")
                        }
                    }
                }
            }
        }
    }

    @Test("asks the source when no worker is there")
    func alone() async throws {
        let server = try await Servers.shared(Servers.families[0])
        let (scratch, start) = (Scratch(), try server.end())
        let name = try server.serverName()
        try Writing.prepare(server, "alone")
        let proxy = try FaultProxy(to: server)
        proxy.refuseConnections()
        try await asking(proxy.port) { remote in
            var options = RelayOptions(server, scratch)
            options.start = .from(start, of: name, gtids: .none)
            options.peers = [remote]
            try await withRelay(options) { log in
                let end = try server.end()
                try await wait(for: "the end") { log.reached(end) }
            }
        }
    }

    @Test(
        "is a copy as long as the other worker lives, and the source sees only one reader",
        arguments: Servers.families)
    func copy(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let (first, second) = (Scratch(), Scratch())
            try Writing.prepare(server, "copied")
            let start = try server.end()
            let name = try server.serverName()
            let dumps =
                "SELECT COUNT(*) FROM information_schema.processlist "
                + "WHERE command LIKE 'Binlog Dump%'"
            let writing = Writing(server, "copied")
            var options = RelayOptions(server, first, window: 1 << 20)
            options.start = .from(start, of: name, gtids: .none)
            let log = try RelayLog(options)
            let ports = Mailbox<UInt16>()
            let serving = Task {
                try await with([{ try await log.run() }]) {
                    try await log.ready()
                    let server = try PeerServer(
                        PeerAddress(host: "127.0.0.1", port: 0), security: .plaintext)
                    server.serve(log, as: "shop")
                    try await with([{ try await server.run() }]) {
                        ports.send(UInt16(try await server.port))
                        try await Task.sleep(for: .seconds(600))
                    }
                }
            }
            let port = try await ports.next()
            try await asking(port, server: name) { remote in
                var options = RelayOptions(server, second)
                options.start = .from(start, of: name, gtids: .none)
                options.original = remote
                try await withRelay(options) { copy in
                    try await writing.more(200)
                    let middle = try server.end()
                    try await wait(for: "the copy") { copy.reached(middle) }
                    #expect(try server.sql(dumps).contains("1"))
                    #expect(copy.status.upstream == remote.name)
                    // The other worker is lost; the copy waits until it is told to take over.
                    serving.cancel()
                    _ = try? await serving.value
                    try await writing.more(50)
                    copy.takeOver()
                    try await writing.more(50)
                    try await writing.stop()
                    let end = try server.end()
                    try await wait(for: "the copy that took over") { copy.reached(end) }
                    let reader = try await copy.reader(from: .position(start, of: name))
                    let seen = Seen()
                    try await seen.read(reader, to: end)
                    let real = try truth(server, from: start, to: end)
                    #expect(seen.problems == [] && seen.order == real.order)
                    #expect(seen.digests == real.digests)
                }
            }
            #expect(try differences(second, first, isPrefix: true).allSatisfy { $0.contains("-1") })
            try FileTests.expectEqual(second, server, folder: FileTests.folder(server))
        }
    }
}
