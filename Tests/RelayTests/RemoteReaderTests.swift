import Foundation
import GRPCCore
import Glibc
import MySQLBinlog
import MySQLClient
import MySQLCore
import Relay
import Stream
import SwiftProtobuf
import Synchronization
import TestServers
import Testing

@testable import Peer

@Suite("A reader of another worker's relay log", .serialized)
struct RemoteReaderTests {
    @Test(
        "in another process, with the connection cut again and again, sees the same events",
        arguments: Servers.families)
    func cut(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "cut")
            let start = try server.end()
            let report = scratch.path + ".report"
            defer {
                for suffix in ["", ".end"] {
                    try? FileManager.default.removeItem(atPath: report + suffix)
                }
            }
            // A small window: cut readers come back to files as well as to memory.
            try await withRelay(RelayOptions(server, scratch, window: 1 << 20)) { log in
                try await serving(log) { port in
                    let proxy = try FaultProxy(to: port)
                    defer { proxy.close() }
                    let name = try server.serverName()
                    setenv("SKEIN_TEST_PEER", "\(proxy.port) \(name) \(start) \(report)", 1)
                    let disturbing = Task {
                        let writing = [
                            Writing(server, "cut", seed: 1, pause: 500),
                            Writing(server, "cut", seed: 2, pause: 500),
                        ]
                        var cuts = 0
                        var accepted = 0
                        let deadline = ContinuousClock.now + .seconds(60)
                        while cuts < 25, ContinuousClock.now < deadline {
                            try await Task.sleep(for: .milliseconds(.random(in: 20...250)))
                            guard proxy.accepted > accepted else { continue }
                            accepted = proxy.accepted
                            proxy.cut()
                            cuts += 1
                        }
                        for writing in writing { try await writing.stop() }
                        let end = try server.end()
                        try Data("\(end)".utf8).write(
                            to: URL(filePath: report + ".end"), options: .atomic)
                        return end
                    }
                    await #expect(processExitsWith: .success) {
                        await RemoteReaderTests.readElsewhere()
                    }
                    let end = try await disturbing.value
                    let real = try truth(server, from: start, to: end)
                    let text = try String(contentsOfFile: report, encoding: .utf8)
                    let lines = text.split(separator: "\n").map(String.init)
                    #expect(lines.first == "problems: []")
                    let given = lines.dropFirst()
                    let wanted = real.order.map { "\($0) \(real.digests[$0] ?? 0)" }
                    #expect(Array(given) == wanted, "\(given.count) and \(wanted.count)")
                    #expect(wanted.count > 300)
                }
            }
        }
    }

    /// Reads over gRPC until the position that a file names, and reports each transaction.
    static func readElsewhere() async {
        let words = (getenv("SKEIN_TEST_PEER").map { String(cString: $0) } ?? "")
            .split(separator: " ").map(String.init)
        guard words.count == 4, let port = UInt16(words[0]), let start = BinlogPosition(words[2])
        else { exit(2) }
        let seen = Seen()
        do {
            // A busy machine may bring nothing through between two cuts for as long as these last.
            try await asking(port, server: ServerUUID(words[1]), patience: .seconds(180)) {
                remote in
                // A cut at the very start is told: whoever asks may ask somebody else.
                var opened: (any EventReader)?
                while opened == nil {
                    do {
                        opened = try await remote.reader(
                            from: .position(start, of: ServerUUID(words[1])))
                    } catch RelayError.unreachable {
                        try await Task.sleep(for: .milliseconds(10))
                    }
                }
                guard let reader = opened else { return }
                try await with([{ while true { seen.take(try await reader.next()) } }]) {
                    try await wait(.seconds(240), for: "the end") {
                        let text = try? String(contentsOfFile: words[3] + ".end", encoding: .utf8)
                        guard let end = text.flatMap({ BinlogPosition($0) }) else { return false }
                        return seen.end.map { $0 >= end } ?? false
                    }
                }
            }
            var text = "problems: \(seen.problems)\n"
            for name in seen.order { text += "\(name) \(seen.digests[name] ?? 0)\n" }
            try text.write(toFile: words[3], atomically: true, encoding: .utf8)
            exit(0)
        } catch {
            // Its output is not shown.
            try? "the reader ended: \(error)".write(
                toFile: words[3], atomically: true, encoding: .utf8)
            exit(0)
        }
    }

    @Test(
        "leaves out the transactions that it has, also after a cut", arguments: Servers.families)
    func gtids(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "gaps")
            let start = try server.end()
            let before = try server.gtids()
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "gaps", 102...160)
                let end = try server.end()
                try await wait(for: "the relay log") { log.reached(end) }
                let all = try truth(server, from: start, to: end)
                // With a hole on MySQL: a transaction of the middle is there already.
                var known = before
                var left = all.order
                if case .mysql(var set) = known, let one = MySQLGTIDSet(all.order[30]) {
                    set.formUnion(one)
                    known = .mysql(set)
                    left.remove(at: 30)
                }
                try await serving(log) { [known, left] port in
                    let proxy = try FaultProxy(to: port)
                    defer { proxy.close() }
                    try await asking(proxy.port) { remote in
                        let reader = try await reachable {
                            try await remote.reader(from: .gtids(known))
                        }
                        let seen = Seen()
                        proxy.setDelay(.milliseconds(1))
                        seen.take(try await reader.next())
                        proxy.cut()
                        try await seen.read(reader, to: end)
                        #expect(seen.problems == [])
                        #expect(seen.order == left)
                        #expect(left.allSatisfy { seen.digests[$0] == all.digests[$0] })
                    }
                }
            }
        }
    }

    @Test("is refused by a worker that has another server's events, or other events")
    func otherServer() async throws {
        let family = Servers.families[0]
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "other")
            let start = try server.end()
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "other", 102...110)
                let end = try server.end()
                try await wait(for: "the relay log") { log.reached(end) }
                let folder = try log.folder(of: start, on: nil)
                try await serving(log) { port in
                    let stranger = ServerUUID(high: 7, low: 7)
                    try await asking(port, server: stranger) { remote in
                        let error = await #expect(throws: RelayError.self) {
                            _ = try await remote.reader(from: .position(start, of: stranger))
                        }
                        guard case .otherServer(_, let detail) = error else {
                            Issue.record("\(String(describing: error))")
                            return
                        }
                        #expect(detail.contains("\(stranger)"))
                        #expect(detail.contains("\(folder)"))
                    }
                    try await asking(port) { remote in
                        // Another server's position, and other events before the place.
                        await #expect(throws: RelayError.self) {
                            _ = try await remote.reader(from: .position(start, of: stranger))
                        }
                        let tail = EventTail(
                            file: start.file, start: start.offset, end: end.offset, digest: 1)
                        let error = await #expect(throws: StreamError.self) {
                            _ = try await remote.reader(from: end, in: folder, behind: tail)
                        }
                        guard case .sourceLostEvents = error else {
                            Issue.record("\(String(describing: error))")
                            return
                        }
                        let purged = BinlogPosition(file: "bin.000099", offset: 4)
                        let missing = await #expect(throws: RelayError.self) {
                            _ = try await remote.locate(.position(purged, of: nil))
                        }
                        #expect("\(missing!)".contains("bin.000099"))
                        #expect("\(missing!)".contains(remote.name))
                    }
                    try await asking(port, source: "nobody") { remote in
                        _ = await #expect(throws: RelayError.self) {
                            _ = try await remote.contents()
                        }
                    }
                }
            }
        }
    }

    @Test("that is slow makes neither side hold more than a few MiB")
    func slow() async throws {
        let family = Servers.families[0]
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "slow")
            let start = try server.end()
            try await withRelay(RelayOptions(server, scratch, window: 1 << 20)) { log in
                let connection = try Connection(Servers.options(server))
                for n in 1...48 {
                    try connection.execute(
                        "INSERT INTO slow.t VALUES (\(n), REPEAT('0123456789abcdef', 65536))")
                }
                let end = try server.end()
                try await wait(for: "the relay log") { log.reached(end) }
                try await serving(log) { port in
                    let proxy = try FaultProxy(to: port)
                    defer { proxy.close() }
                    try await asking(proxy.port) { remote in
                        let reader = try await remote.reader(from: .position(start, of: nil))
                        let seen = Seen()
                        seen.take(try await reader.next())
                        var before = -1
                        try await wait(for: "the stream to stand still") {
                            let now = proxy.bytes(.toClient)
                            defer { before = now }
                            try await Task.sleep(for: .milliseconds(300))
                            return now == before
                        }
                        // 48 MiB wait; one queue and one window of 4 MiB each, and what the
                        // machine's sockets take, are on their way.
                        #expect(proxy.bytes(.toClient) < 20 << 20)
                        #expect(proxy.bytes(.toClient) > 1 << 20)
                        let queue = try #require(reader as? RemoteReader).queue
                        #expect(queue.byteCount <= 6 << 20)
                        try await seen.read(reader, to: end)
                        #expect(seen.problems == [] && seen.order.count == 48)
                    }
                }
            }
        }
    }

    @Test("gets batches that are encoded as the .proto file says")
    func encoding() throws {
        let chunks = try [
            Self.chunk(runs: [.init(position: 4, byteCount: 200, isInFile: true)]),
            Self.chunk(runs: [
                .init(position: 1 << 40, byteCount: 60, isInFile: true),
                .init(position: (1 << 40) + 60, byteCount: 20, isInFile: false),
                .init(position: (1 << 40) + 90, byteCount: 120, isInFile: true),
            ]),
        ]
        for chunk in chunks {
            let batch = OutgoingBatch(chunk: chunk, server: "0-1", hasMore: true)
            let bytes: [UInt8] = try EventBatchSerializer().serialize(batch)
            let message = try PeerEventBatch(serializedBytes: bytes)
            #expect(try message.serializedBytes() == bytes)
            #expect(message.head.file == "bin.000001" && message.head.hasMore_p)
            #expect(message.events.count == chunk.eventByteCount)
            let back = try EventBatchDeserializer().deserialize(bytes)
            #expect(back.chunk.entries.map(\.position) == chunk.entries.map(\.position))
            #expect(back.chunk.entries.map(\.endPosition) == chunk.entries.map(\.endPosition))
            #expect(back.chunk.entries.map(\.size) == chunk.entries.map(\.size))
            // Whatever is cut off, nothing else comes out than an error.
            for length in 0..<bytes.count {
                #expect(throws: (any Error).self) {
                    _ = try EventBatchDeserializer().deserialize(Array(bytes.prefix(length)))
                }
            }
        }
    }

    /// Events of 20 bytes, without checksums.
    private static func chunk(runs: [EventChunk.Run]) throws -> EventChunk {
        let count = runs.reduce(0) { $0 + $1.byteCount } / 20
        var bytes: [UInt8] = []
        for n in 0..<count {
            bytes += [UInt8(n), 0, 0, 0, 30, 1, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77]
        }
        return try bytes.withUnsafeBytes { buffer in
            try EventChunk(
                runs, of: "bin.000001", hasChecksums: false, copying: buffer,
                receivedMicroseconds: 1)
        }
    }

    @Test("a server goes away in order while others are just connecting to it")
    func leaves() async throws {
        for round in 0..<20 {
            let server = try PeerServer(
                PeerAddress(host: "127.0.0.1", port: 0), security: .plaintext)
            let serving = Task { try await server.run() }
            let port = try await server.port
            try await Loopback.knocking(at: port) {
                try await Task.sleep(for: .milliseconds(20 + round))
                serving.cancel()
                await #expect(throws: CancellationError.self) { try await serving.value }
            }
        }
    }

    @Test("is refused in plain text beyond loopback")
    func plaintext() {
        let address = PeerAddress(host: "192.0.2.1", port: 9)
        #expect(throws: PeerSetupError.self) {
            _ = try RemoteSource(address, source: "shop", security: .plaintext)
        }
        #expect(throws: PeerSetupError.self) { _ = try PeerServer(address, security: .plaintext) }
    }
}
