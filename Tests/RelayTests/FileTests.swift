import Foundation
import MySQLClient
import MySQLCore
import Stream
import TestServers
import Testing

@testable import Relay

@Suite("Files of a relay log", .serialized)
struct FileTests {
    /// Compares every file with the server's own; the one in use but for a flag.
    static func expectEqual(
        _ scratch: Scratch, _ server: TestServer, folder: String, hasCrashed: Bool = false,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(scratch.path)/\(folder)")
            .filter { $0.hasPrefix("bin.") }.sorted()
        #expect(!names.isEmpty, sourceLocation: sourceLocation)
        for name in names {
            var ours = try Data(contentsOf: URL(filePath: "\(scratch.path)/\(folder)/\(name)"))
            var theirs = try Data(contentsOf: URL(filePath: server.binlog(name)))
            // A server that crashed leaves the flag, too.
            if hasCrashed || name == names.last {
                ours[21] = 0
                theirs[21] = 0
            }
            // Servers add events of their own at any time.
            if name == names.last { theirs = theirs.prefix(ours.count) }
            #expect(
                ours == theirs, "\(name): \(ours.count) and \(theirs.count) bytes",
                sourceLocation: sourceLocation)
        }
    }

    static func folder(_ server: TestServer, _ number: Int = 1) throws -> String {
        let session = try UpstreamSession(
            Servers.options(server), serverID: 9, interruption: Interruption())
        return "\(RelayFolder(server: session.folderName, number: number))"
    }

    struct Variant: Sendable, CustomTestStringConvertible {
        var family: TestServer.Family
        var options: [String]
        var testDescription: String { "\(family.rawValue) \(options.joined(separator: " "))" }

        static let all: [Variant] = Servers.families.flatMap { family in
            [
                Variant(family: family, options: []),
                Variant(family: family, options: ["--binlog-checksum=NONE"]),
                Variant(
                    family: family,
                    options: family == .mariadb
                        ? ["--log-bin-compress=ON", "--log-bin-compress-min-len=10"]
                        : ["--binlog-transaction-compression=ON"]),
                Variant(
                    family: family,
                    options: family == .mariadb
                        ? ["--binlog-row-metadata=FULL", "--binlog-row-image=MINIMAL"]
                        : ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]),
            ]
        }
    }

    @Test("are the server's own, byte for byte", arguments: Variant.all)
    func identical(_ variant: Variant) async throws {
        try await TestServer.with(variant.family, options: variant.options) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "same")
            let first = try server.binlogs()[0]
            var options = RelayOptions(server, scratch)
            options.start = .from(
                BinlogPosition(file: first, offset: 4), of: try server.serverName(),
                gtids: .none)
            try Writing.run(server, "same", 1...120)
            try await withRelay(options) { log in
                try Writing.run(server, "same", 121...260)
                let end = try server.end()
                try await wait(for: "the end") { log.reached(end) }
            }
            try Self.expectEqual(scratch, server, folder: Self.folder(server))
            let index = try String(
                contentsOfFile: scratch.path + "/server-uuid.index", encoding: .utf8)
            #expect(index == (try Self.folder(server)) + "\n")
            let meta = try #require(
                RelayDirectory(path: scratch.path).meta(
                    RelayFolder(try Self.folder(server))!))
            let size = try #require(
                try FileManager.default.attributesOfItem(
                    atPath: "\(scratch.path)/\(Self.folder(server))/\(meta.file)")[.size] as? UInt64
            )
            #expect(meta.position == size)
            if case .none = try server.gtids() {
            } else {
                #expect(meta.gtids == (try server.gtids().description))
            }
        }
    }

    @Test(
        "a server that stops and starts again ends a file, and the next one follows",
        arguments: Servers.families)
    func restartOfSource(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "again")
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "again", 3...20)
                try await server.restart()
                try Writing.run(server, "again", 21...40)
                let end = try server.end()
                try await wait(for: "the end") { log.reached(end) }
                #expect(log.status.warnings == [])
                await server.kill()
                try await server.restart()
                try Writing.run(server, "again", 53...60)
                let last = try server.end()
                try await wait(for: "the end after a crash") { log.reached(last) }
                #expect(log.status.warnings.contains { $0.contains("crashed") })
            }
            try Self.expectEqual(
                scratch, server, folder: Self.folder(server), hasCrashed: true)
        }
    }

    @Test("a folder that DM wrote is opened, and continued", arguments: Servers.families)
    func writtenByDM(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "dm")
            try Writing.run(server, "dm", 3...60)
            let start = try server.binlogs()[0]
            let folder = try Self.folder(server)
            // What DM leaves: the files up to somewhere, its two small files, and nothing else.
            let path = "\(scratch.path)/\(folder)"
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
            let names = try server.binlogs()
            for name in names.prefix(2) {
                try Data(contentsOf: URL(filePath: server.binlog(name)))
                    .write(to: URL(filePath: "\(path)/\(name)"))
            }
            let torn = try Data(contentsOf: URL(filePath: "\(path)/\(names[1])")).dropLast(11)
            try torn.write(to: URL(filePath: "\(path)/\(names[1])"))
            try Data("\(folder)\n".utf8).write(
                to: URL(filePath: scratch.path + "/server-uuid.index"))
            try Data(
                "binlog-name = \"\(names[1])\"\nbinlog-pos = 4\nbinlog-gtid = \"\"\n".utf8
            ).write(to: URL(filePath: path + "/relay.meta"))
            var options = RelayOptions(server, scratch)
            options.start = .from(
                BinlogPosition(file: start, offset: 4), of: try server.serverName(),
                gtids: .none)
            try await withRelay(options) { log in
                try Writing.run(server, "dm", 61...90)
                let end = try server.end()
                try await wait(for: "the end") { log.reached(end) }
                #expect(log.catalog.shelves.count == 1)
            }
            try Self.expectEqual(scratch, server, folder: folder)
        }
    }
}
