import Foundation
import MySQLClient
import MySQLCore
import Peer
import Runtime
import Stream
import Testing

@testable import TestServers

@testable import Relay

extension InTurn {
    @Suite("Workers that have each other's relay logs", .serialized)
    struct PeerTests {
        @Test(
            "a flipped bit that the source can't repair any more is repaired from the other worker",
            arguments: Servers.families)
        func repair(family: TestServer.Family) async throws {
            try await TestServer.with(family) { server in
                let (first, second) = (Scratch(), Scratch())
                try Writing.prepare(server, "flip")
                let start = try server.end()
                let name = try server.serverName()
                let folder = try FileTests.folder(server)
                var (one, two) = (RelayOptions(server, first), RelayOptions(server, second))
                one.start = .from(start, of: name, gtids: .none)
                two.start = one.start
                for options in [one, two] {
                    try await withRelay(options) { log in
                        if options.path == first.path { try Writing.run(server, "flip", 3...60) }
                        let end = try server.end()
                        try await wait(for: "the relay") { log.reached(end) }
                    }
                }
                let path = "\(second.path)/\(folder)/\(start.file)"
                let good = try Data(contentsOf: URL(filePath: path))
                let events = try Connection(Servers.options(server))
                    .rows("SHOW BINLOG EVENTS IN '\(start.file)'").map { Int($0[1] ?? "") ?? 0 }
                    .filter { $0 >= start.offset }
                let end = try server.end()
                let real = try truth(server, from: start, to: end)
                try server.sql("FLUSH BINARY LOGS")
                let last = try #require(try server.binlogs().last)
                // Inside rows, in a header, and in the file's very first bytes.
                let places = [events[2] + 25, events[3] + 9, 1]
                for place in places {
                    var bad = good
                    bad[place] ^= 0x10
                    try bad.write(to: URL(filePath: path))
                }
                let (options, other) = (one, two)
                try await withRelay(options) { log in
                    let newest = try server.end()
                    try await wait(for: "the relay") { log.reached(newest) }
                    try await serving(log) { port in
                        try await asking(port, server: name) { remote in
                            var options = other
                            options.peers = [remote]
                            try await withRelay(options) { log in
                                try await wait(for: "the relay") { log.reached(newest) }
                                try await purgeSource(server, to: last)
                                for place in places {
                                    var bad = good
                                    bad[place] ^= 0x10
                                    try bad.write(to: URL(filePath: path))
                                    let reader = try await log.reader(
                                        from: .position(
                                            place < 4
                                                ? BinlogPosition(file: start.file, offset: 4)
                                                : start,
                                            of: name))
                                    let seen = Seen()
                                    try await seen.read(reader, to: end)
                                    #expect(seen.problems == [])
                                    #expect(
                                        real.digests.allSatisfy { seen.digests[$0.key] == $0.value }
                                    )
                                    #expect(try Data(contentsOf: URL(filePath: path)) == good)
                                    reader.close()
                                }
                            }
                        }
                    }
                    // Nobody has it: all who were asked are named.
                    let address = PeerAddress(host: "127.0.0.1", port: 1)
                    let nobody = try RemoteSource(address, source: "shop", security: .plaintext)
                    let set = other
                    try await with([{ try await nobody.run() }]) {
                        var options = set
                        options.peers = [nobody]
                        var bad = good
                        bad[places[0]] ^= 0x10
                        try bad.write(to: URL(filePath: path))
                        try await withRelay(options) { log in
                            let reader = try await log.reader(from: .position(start, of: name))
                            let error = await #expect(throws: RelayError.self) {
                                while true { _ = try await reader.next() }
                            }
                            let text = error.map { "\($0)" } ?? ""
                            #expect(text.contains("127.0.0.1:\(server.port) was asked"), "\(text)")
                            #expect(text.contains("127.0.0.1:1 was asked"), "\(text)")
                        }
                    }
                }
            }
        }

        // MARK: mutual TLS

        /// Two authorities and a worker's certificate of each.
        private struct Certificates {
            let folder = NSTemporaryDirectory() + "skein-peers-\(UUID().uuidString)"

            init() throws {
                let script = """
                    set -e; mkdir -p \(folder); cd \(folder)
                    for ca in ours theirs; do
                      openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca \
                        -addext basicConstraints=critical,CA:TRUE -keyout $ca.key -out $ca.pem
                      openssl req -newkey rsa:2048 -nodes -subj /CN=worker-$ca \
                        -keyout worker-$ca.key -out worker-$ca.csr
                      printf 'subjectAltName=IP:127.0.0.1' > names
                      openssl x509 -req -in worker-$ca.csr -CA $ca.pem -CAkey $ca.key \
                        -CAcreateserial -days 2 -extfile names -out worker-$ca.pem
                    done
                    """
                let outcome = try ChildProcess.run(["sh", "-c", script])
                #expect(outcome.status == 0, "\(outcome.errorText)")
            }

            /// A worker that trusts one authority and has the certificate of one.
            func worker(of ca: String, trusting other: String? = nil) -> PeerSecurity {
                .mutual(
                    authorityFile: "\(folder)/\(other ?? ca).pem",
                    certificateFile: "\(folder)/worker-\(ca).pem",
                    keyFile: "\(folder)/worker-\(ca).key")
            }

            func remove() { try? FileManager.default.removeItem(atPath: folder) }
        }

        @Test("show each other certificates of one authority; any other is refused, on both sides")
        func mutualTLS() async throws {
            let certificates = try Certificates()
            defer { certificates.remove() }
            let server = try await Servers.shared(Servers.families[0])
            let scratch = Scratch()
            try Writing.prepare(server, "mutual")
            let start = try server.end()
            let name = try server.serverName()
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "mutual", 2...20)
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
                let peer = try PeerServer(
                    PeerAddress(host: "127.0.0.1", port: 0),
                    security: certificates.worker(of: "ours"))
                peer.serve(log, as: "shop")
                try await with([{ try await peer.run() }]) {
                    let port = try await peer.port
                    @Sendable func read(_ security: PeerSecurity) async throws -> Seen {
                        let remote = try RemoteSource(
                            PeerAddress(host: "127.0.0.1", port: port), source: "shop",
                            security: security, patience: .seconds(2))
                        return try await with([{ try await remote.run() }]) {
                            let seen = Seen()
                            try await seen.read(
                                try await remote.reader(from: .position(start, of: name)), to: end)
                            return seen
                        }
                    }
                    let real = try truth(server, from: start, to: end)
                    #expect(try await read(certificates.worker(of: "ours")).digests == real.digests)
                    for stranger in [
                        // Not known to us; does not know us; shows nothing.
                        certificates.worker(of: "theirs", trusting: "ours"),
                        certificates.worker(of: "ours", trusting: "theirs"), PeerSecurity.plaintext,
                    ] {
                        let error = await #expect(throws: RelayError.self) {
                            _ = try await read(stranger)
                        }
                        guard case .unreachable? = error else {
                            Issue.record("\(String(describing: error))")
                            continue
                        }
                    }
                }
            }
        }

        // MARK: a copy

        @Test(
            "a copy follows the other worker's relay log across a failover of the source",
            arguments: Servers.families)
        func copyAcrossFailover(family: TestServer.Family) async throws {
            try await TestServer.with(family, name: "first") { first in
                try await TestServer.with(family, name: "second") { second in
                    let (one, two) = (Scratch(), Scratch())
                    try await FailoverTests.follow(second, first)
                    try Writing.prepare(first, "copied")
                    let proxy = try FaultProxy(to: first)
                    defer { proxy.close() }
                    var options = RelayOptions(first, one, window: 1 << 20, port: proxy.port)
                    options.source.tls.mode = .disabled
                    let start = try first.end()
                    let gtids = try first.gtids()
                    options.start = .from(start, of: try first.serverName(), gtids: gtids)
                    let begin = options.start
                    try await withRelay(options) { log in
                        try await serving(log) { port in
                            try await asking(port) { remote in
                                var options = RelayOptions(first, two, port: proxy.port)
                                options.source.tls.mode = .disabled
                                options.start = begin
                                options.original = remote
                                try await withRelay(options) { copy in
                                    try Writing.run(first, "copied", 2...70)
                                    try await FailoverTests.caughtUp(second, first)
                                    let end = try first.end()
                                    try await wait(for: "the copy") { copy.reached(end) }
                                    await first.kill()
                                    if family == .mariadb { try second.sql("STOP SLAVE") }
                                    proxy.forward(to: second)
                                    proxy.cut()
                                    try Writing.run(second, "copied", 102...130)
                                    let last = try second.end()
                                    try await wait(for: "both, \(copy.status)") {
                                        log.contents.count == 2 && log.reached(last)
                                            && copy.contents.count == 2 && copy.reached(last)
                                    }
                                    #expect(copy.status.upstream == remote.name)
                                    // On its own it goes on where the copy ended.
                                    copy.takeOver()
                                    try Writing.run(second, "copied", 131...140)
                                    let newest = try second.end()
                                    try await wait(for: "the copy that took over") {
                                        copy.reached(newest) && log.reached(newest)
                                    }
                                    let theirs = try await order(log, gtids, newest)
                                    let ours = try await order(copy, gtids, newest)
                                    #expect(ours.order == theirs.order && ours.problems == [])
                                    #expect(ours.order.count > 60)
                                }
                            }
                        }
                    }
                    #expect(try differences(one, two) == [])
                    #expect(try RelayDirectory(path: two.path).folders().count == 2)
                }
            }
        }

        /// Everything behind some GTIDs, through all folders.
        private func order(
            _ log: RelayLog, _ gtids: GTIDState, _ end: BinlogPosition
        ) async throws -> Seen {
            let reader = try await log.reader(from: .gtids(gtids), crossesServers: true)
            let (seen, name) = (Seen(), log.server)
            var restarts = 0
            while seen.end != end || reader.server != name {
                let chunk = try await reader.next()
                if reader.restarts != restarts { seen.restart() }
                restarts = reader.restarts
                seen.take(chunk)
            }
            return seen
        }

        @Test("who looks at the folder is told who was read")
        func upstream() async throws {
            let server = try await Servers.shared(Servers.families[0])
            let scratch = Scratch()
            try await withRelay(RelayOptions(server, scratch)) { log in
                try await wait(for: "the note") {
                    try RelayArchive(path: scratch.path).meta?.upstream
                        == "127.0.0.1:\(server.port)"
                }
            }
            let meta = try RelayArchive(path: scratch.path).meta
            #expect(meta.flatMap { RelayMeta(text: $0.text) } == meta)
        }
    }
}
