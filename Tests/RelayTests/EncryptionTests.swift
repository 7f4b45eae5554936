import Foundation
import MySQLClient
import MySQLCore
import Peer
import Stream
import Testing

@testable import TestServers

@testable import Relay

extension InTurn {
    @Suite("A relay log of a source that encrypts its binlog", .serialized)
    struct EncryptionTests {
        /// Runs a server whose binlog is encrypted.
        static func with(
            _ options: [String] = [], _ body: @escaping (TestServer) async throws -> Void
        ) async throws {
            let keys = NSTemporaryDirectory() + "skein-keys-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: keys) }
            try Data("1;770A8A65DA156D24EE2A093277530142\n".utf8).write(to: URL(filePath: keys))
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: keys)
            try await TestServer.with(
                .mariadb,
                options: [
                    "--plugin-load-add=file_key_management",
                    "--file-key-management-filename=\(keys)", "--encrypt-binlog=ON",
                ] + options, name: "encrypted", body)
        }

        @Test(
            "is kept in plain text, with a warning, and readers see what the server sends",
            arguments: ["CRC32", "NONE"])
        func encrypted(checksum: String) async throws {
            try await Self.with(["--binlog-checksum=\(checksum)"]) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "secret")
                let first = BinlogPosition(file: try server.binlogs()[0], offset: 4)
                let start = try server.end()
                let name = try server.serverName()
                var options = RelayOptions(server, scratch, window: 1 << 20)
                options.start = .from(first, of: name, gtids: .none)
                // What ends at a file's head, and what does not.
                for rounds in [40...60, 61...101] {
                    // Streams to others may end a moment later than the log.
                    try await wait(for: "the lock") {
                        !RelayDirectory(path: scratch.path).isLocked
                    }
                    try await withRelay(options) { log in
                        try Writing.run(server, "secret", rounds)
                        let end = try server.end()
                        try await wait(for: "the relay, \(log.status)") { log.reached(end) }
                        #expect(log.status.warnings.contains { $0.contains("encrypts") })
                        try await serving(log) { port in
                            try await asking(port, server: name) { remote in
                                let local = try await log.reader(from: .position(start, of: name))
                                let far = try await reachable {
                                    try await remote.reader(from: .position(start, of: name))
                                }
                                let real = try truth(server, from: start, to: end)
                                for reader in [local as any EventReader, far] {
                                    let seen = Seen()
                                    try await seen.read(reader, to: end)
                                    #expect(seen.problems == [] && seen.order == real.order)
                                    #expect(seen.digests == real.digests)
                                }
                            }
                        }
                    }
                }
                try await wait(for: "the lock") { !RelayDirectory(path: scratch.path).isLocked }
                // Whole by its own measure, without a repair; and others' programs read it.
                let files = try RelayArchive(path: scratch.path).files()
                #expect(files.count > 2)
                let events = try RelayArchive(path: scratch.path).events(from: nil)
                while try events.next() != nil {}
                for file in files {
                    let outcome = try ChildProcess.run([
                        "mariadb-binlog", "--no-defaults", "--verify-binlog-checksum",
                        "\(scratch.path)/\(file.folder)/\(file.name)",
                    ])
                    #expect(outcome.status == 0, "\(outcome.errorText)")
                }
                // A GTID in the middle is found in files, too.
                let gtids = try server.gtids()
                try await withRelay(options) { log in
                    try Writing.run(server, "secret", 102...110)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    let seen = Seen()
                    try await seen.read(try await log.reader(from: .gtids(gtids)), to: end)
                    #expect(seen.order.count == 10 && seen.problems == [])
                }
            }
        }
    }
}
