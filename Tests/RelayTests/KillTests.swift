import Foundation
import Glibc
import MySQLBinlog
import MySQLClient
import MySQLCore
import Runtime
import Stream
import TestServers
import Testing

@testable import Relay

@Suite("A relay log whose writer is killed", .serialized)
struct KillTests {
    /// How often it is killed.
    static let kills = ProcessInfo.processInfo.environment["SKEIN_FULL"] == "1" ? 40 : 20

    /// What a reader in the process to be killed was given, a line for each event: its file,
    /// offset and digest.
    private static func given(_ path: String) throws -> [String: String] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        var out: [String: String] = [:]
        // Each process begins with a mark; the last line of the one before may be torn.
        let lines = text.components(separatedBy: "#\n").flatMap {
            $0.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        }
        for line in lines {
            let parts = line.split(separator: " ")
            guard parts.count == 2 else { continue }
            let known = out.updateValue(String(parts[1]), forKey: String(parts[0]))
            // Given again after a restart: with the same bytes.
            #expect(known == nil || known! == parts[1], "\(line)")
        }
        return out
    }

    @Test("at any instant, it goes on without a hole or a repeat", arguments: Servers.families)
    func killed(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "killed")
            let start = try server.end()
            let report = scratch.path + ".given"
            defer { try? FileManager.default.removeItem(atPath: report) }
            setenv("SKEIN_TEST_RELAY", "\(server.port) \(scratch.path) \(start)", 1)
            let writing = Writing(server, "killed", pause: 3000)
            for _ in 0..<Self.kills {
                await #expect(processExitsWith: .signal(SIGKILL)) {
                    await KillTests.writeUntilKilled()
                }
            }
            try await writing.stop()
            let end = try server.end()
            var options = RelayOptions(server, scratch)
            options.start = .from(start, of: try server.serverName(), gtids: .none)
            try await withRelay(options) { log in
                try await wait(for: "the end") { log.reached(end) }
                let reader = try await log.reader(from: .position(start, of: nil))
                let seen = Seen()
                try await seen.read(reader, to: end)
                let real = try truth(server, from: start, to: end)
                #expect(seen.problems == [] && seen.order == real.order)
                #expect(seen.digests == real.digests)
            }
            try FileTests.expectEqual(scratch, server, folder: FileTests.folder(server))
            let given = try Self.given(report)
            #expect(given.count > Self.kills)
            // Everything that any reader was ever given is in the log.
            let events = try RelayArchive(path: scratch.path).events(from: nil)
            var missing = given
            while let chunk = try events.next() {
                for entry in chunk.entries {
                    let place = "\(chunk.file):\(entry.position)"
                    guard let digest = missing.removeValue(forKey: place) else { continue }
                    #expect(digest == Self.digest(chunk, entry), "\(place)")
                }
            }
            #expect(missing.isEmpty, "\(missing.prefix(3))")
        }
    }

    @Test("before the first file, it leaves no empty folder behind", arguments: Servers.families)
    func beforeTheFirst(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        let scratch = Scratch()
        try Writing.prepare(server, "first")
        let start = try server.end()
        let folder = try FileTests.folder(server)
        try FileManager.default.createDirectory(
            atPath: "\(scratch.path)/\(folder)", withIntermediateDirectories: true)
        try "\(folder)\n".write(
            toFile: "\(scratch.path)/server-uuid.index", atomically: true, encoding: .utf8)
        var options = RelayOptions(server, scratch)
        options.start = .from(start, of: try server.serverName(), gtids: .none)
        try await withRelay(options) { log in
            try Writing.run(server, "first", 2...10)
            let end = try server.end()
            try await wait(for: "the end") { log.reached(end) }
            #expect(log.contents.map { "\($0.folder)" } == [folder])
        }
        let index = try String(contentsOfFile: "\(scratch.path)/server-uuid.index", encoding: .utf8)
        #expect(index == "\(folder)\n")
    }

    static func digest(_ chunk: EventChunk, _ entry: EventChunk.Entry) -> String {
        String(Digest.hash(chunk.wholeEvent(entry), seed: 1), radix: 16)
    }

    private static func killSelf(after microseconds: UInt32) {
        Thread.detachNewThread {
            usleep(microseconds)
            kill(getpid(), SIGKILL)
        }
    }

    /// Runs a relay log and a reader of it, which notes what it is given, until the process kills
    /// itself.
    static func writeUntilKilled() async {
        let words = (getenv("SKEIN_TEST_RELAY").map { String(cString: $0) } ?? "")
            .split(separator: " ").map(String.init)
        guard words.count == 3, let port = Int(words[0]), let start = BinlogPosition(words[2])
        else { return }
        let source = ConnectionOptions(
            port: UInt16(port), user: TestServer.user, password: Password(TestServer.password))
        var options = RelayOptions(
            path: words[1], source: source, serverID: .random(in: 0x4000_0000...0x4FFF_FFFF))
        do {
            let server = try SourceSession(Connection(source)).serverName()
            options.start = .from(start, of: server, gtids: .none)
            let log = try RelayLog(options)
            let report = words[1] + ".given"
            // Now and then from the first moment on: during cutting and connecting; else while it
            // reads and writes.
            let isEarly = Int.random(in: 0..<4) == 0
            killSelf(after: isEarly ? .random(in: 0...150_000) : 20_000_000)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await log.run() }
                group.addTask {
                    let file = try OpenFile(report, O_WRONLY | O_CREAT | O_APPEND)
                    let reader = try await log.reader(from: .position(start, of: server))
                    var text = "#\n"
                    killSelf(after: .random(in: 0...120_000))
                    while true {
                        let chunk = try await reader.next()
                        for entry in chunk.entries where EventChunk.isInFile(entry) {
                            text += "\(chunk.file):\(entry.position) \(digest(chunk, entry))\n"
                        }
                        text.withUTF8 { _ = write(file.descriptor, $0.baseAddress, $0.count) }
                        text = ""
                    }
                }
                while try await group.next() != nil {}
            }
        } catch {
            print("the writer ended: \(error)")
        }
    }
}
