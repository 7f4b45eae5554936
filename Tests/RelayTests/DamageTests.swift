import Foundation
import Glibc
import MySQLBinlog
import MySQLClient
import MySQLCore
import Stream
import TestServers
import Testing

@testable import Relay

extension InTurn {
    @Suite("A relay log whose own files are damaged", .serialized)
    struct DamageTests {
        /// Where no server is.
        static let nowhere = ConnectionOptions(port: 1, user: "nobody", password: Password(""))

        /// One event as the server lists it.
        private struct Event {
            var type: String
            var start: Int
            var end: Int
        }

        private static func events(_ server: TestServer, _ file: String) throws -> [Event] {
            try Connection(Servers.options(server)).rows("SHOW BINLOG EVENTS IN '\(file)'").map {
                Event(type: $0[2] ?? "", start: Int($0[1] ?? "") ?? 0, end: Int($0[4] ?? "") ?? 0)
            }
        }

        /// The events of the newest transaction in a file.
        private static func newest(_ server: TestServer, _ file: String) throws -> [Event] {
            let all = try events(server, file)
            let first = try #require(
                all.lastIndex { ["Gtid", "Anonymous_Gtid"].contains($0.type) })
            return Array(all[first...])
        }

        private static func flip(_ path: String, _ offset: Int) throws {
            var bytes = try Data(contentsOf: URL(filePath: path))
            bytes[offset] ^= 0x10
            let file = try OpenFile(path, O_RDWR)
            var done = 0
            try unsafe [bytes[offset]].withUnsafeBytes {
                try unsafe file.write($0, at: UInt64(offset), done: &done)
            }
        }

        /// Options of a log whose task has applied everything that the server has by now.
        private static func options(
            _ server: TestServer, _ scratch: Scratch, port: UInt16? = nil
        ) throws -> RelayOptions {
            var options = RelayOptions(server, scratch, port: port)
            let held = HeldTransactions(
                task: "one", target: "one.example:3306", positions: [try server.place()],
                others: IdentitySet())
            options.checkpoints = { _, _ in [RelayCheckpoint(held, isReading: false)] }
            return options
        }

        @Test(
            "in the newest transaction, which a target holds, is no loss of the source's",
            arguments: Servers.families)
        func newestAtStart(family: TestServer.Family) async throws {
            try await TestServer.with(family) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "newest")
                let start = try server.end()
                try await withRelay(RelayOptions(server, scratch)) { log in
                    try Writing.run(server, "newest", 3...20)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    try log.need("one", start.file, of: try server.serverName())
                }
                let folder = try FileTests.folder(server)
                let end = try server.end()
                let real = try truth(server, from: start, to: end)
                let path = "\(scratch.path)/\(folder)/\(end.file)"
                let options = try Self.options(server, scratch)
                for event in try Self.newest(server, end.file) {
                    // In its body, in its size, in its type.
                    for delta in [22, 9, 4] {
                        try Self.flip(path, event.start + delta)
                        try await withRelay(options) { log in
                            try await wait(for: "the relay") { log.reached(end) }
                            let seen = Seen()
                            try await seen.read(
                                try await log.reader(from: .position(start, of: nil)), to: end)
                            #expect(seen.digests == real.digests && seen.problems == [])
                        }
                        try FileTests.expectEqual(scratch, server, folder: folder)
                    }
                }
            }
        }

        @Test(
            "while it runs is repaired when the source is reached again, and nobody is disturbed",
            arguments: Servers.families)
        func whileRunning(family: TestServer.Family) async throws {
            try await TestServer.with(family) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "running")
                try Writing.run(server, "running", 3...20)
                let proxy = try FaultProxy(to: server)
                defer { proxy.close() }
                var options = try Self.options(server, scratch, port: proxy.port)
                options.source.tls.mode = .disabled
                let folder = try FileTests.folder(server)
                try await withRelay(options) { log in
                    try Writing.run(server, "running", 22...30)
                    var end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    let start = StreamPlace.position(end, of: try server.serverName())
                    let reader = try await log.reader(from: start)
                    let path = "\(scratch.path)/\(folder)/\(end.file)"
                    // The head, and every event of the newest transaction.
                    let places = [40] + (try Self.newest(server, end.file)).map { $0.start + 22 }
                    for (n, place) in places.enumerated() {
                        try Self.flip(path, place)
                        proxy.cut()
                        try await wait(for: "the repair at \(place), \(log.status)") {
                            let repaired = log.status.warnings.filter {
                                $0.contains("is repaired")
                            }
                            return repaired.count == n + 1 && log.status.state == .running
                        }
                    }
                    try Writing.run(server, "running", 32...40)
                    let from = end
                    end = try server.end()
                    let seen = Seen()
                    try await seen.read(reader, to: end)
                    let real = try truth(server, from: from, to: end)
                    #expect(seen.digests == real.digests && seen.problems == [])
                    let goal = end
                    try await wait(for: "the end") { log.reached(goal) }
                }
                try FileTests.expectEqual(scratch, server, folder: folder)
            }
        }

        @Test(
            "at a file's head does not cost the file", arguments: Servers.families, [false, true])
        func head(family: TestServer.Family, isOnly: Bool) async throws {
            try await TestServer.with(family) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "heads")
                let start = try server.end()
                var options = try Self.options(server, scratch)
                options.start = .from(
                    start, of: try server.serverName(), gtids: try server.gtids())
                try await withRelay(options) { log in
                    try Writing.run(server, "heads", 3...20)
                    if !isOnly { try server.sql("FLUSH BINARY LOGS") }
                    try Writing.run(server, "heads", 50...50)
                    try Writing.run(server, "heads", 22...30)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                let folder = try FileTests.folder(server)
                let end = try server.end()
                let path = "\(scratch.path)/\(folder)/\(end.file)"
                let size = try Data(contentsOf: URL(filePath: path)).count
                try Self.flip(path, 40)
                try await withRelay(options) { log in
                    #expect(log.status.warnings.contains { $0.contains("damaged at its head") })
                    try await wait(for: "the relay") { log.reached(end) }
                    let seen = Seen()
                    try await seen.read(
                        try await log.reader(from: .position(start, of: nil)), to: end)
                    let real = try truth(server, from: start, to: end)
                    #expect(seen.digests == real.digests && seen.problems == [])
                }
                try FileTests.expectEqual(scratch, server, folder: folder)
                // What was there can be looked at.
                let aside = "\(scratch.path)/skein/lost/\(end.file).4/\(folder).\(end.file)"
                #expect(try Data(contentsOf: URL(filePath: aside)).count == size)
            }
        }

        @Test("amid events that do not say where they lie cuts nothing of what follows")
        func unplaced() async throws {
            try await TestServer.with(.mariadb) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "unplaced")
                try await withRelay(RelayOptions(server, scratch)) { log in
                    try Writing.run(server, "unplaced", 3...20)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                let (folder, name) = (try FileTests.folder(server), try server.end().file)
                let path = "\(scratch.path)/\(folder)/\(name)"
                var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
                // As MariaDB 11.4 and later write them.
                let events = try Self.events(server, name)
                let inner = events.filter {
                    ["Annotate_rows", "Table_map", "Write_rows_v1", "Update_rows_v1"].contains(
                        $0.type)
                }
                #expect(inner.count > 10)
                for event in inner {
                    for n in 13..<17 { bytes[event.start + n] = 0 }
                    let sum = MadeFile.crc32(bytes[event.start..<(event.end - 4)])
                    for n in 0..<4 {
                        bytes[event.end - 4 + n] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * n))
                    }
                }
                // One that such an event follows.
                let bad = try #require(
                    inner.prefix(inner.count / 2).last { event in
                        inner.contains { $0.start == event.end }
                    })
                bytes[bad.start + 22] ^= 0x10
                try Data(bytes).write(to: URL(filePath: path))
                let catalog = Catalog(RelayDirectory(path: scratch.path))
                try catalog.load()
                let warnings = try Recovery(catalog).run()
                #expect(warnings.count == 1 && warnings[0].contains("at offset \(bad.start)"))
                #expect(catalog.shelves.last?.end?.position.offset == UInt64(bytes.count))
            }
        }

        @Test("a file that is missing in the middle is no end, and is not passed over")
        func hole() async throws {
            try await TestServer.with(Servers.families[0]) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "hole")
                let start = try server.end()
                try await withRelay(RelayOptions(server, scratch)) { log in
                    for n in 1...3 {
                        try server.sql("INSERT INTO hole.t VALUES (\(n), ''); FLUSH BINARY LOGS")
                    }
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                let folder = try #require(RelayFolder(try FileTests.folder(server)))
                let directory = RelayDirectory(path: scratch.path)
                let names = try directory.files(folder)
                try Folder.remove(directory.file(folder, names[1]))
                let end = try server.end()
                func missing(from place: BinlogPosition) async throws -> RelayError? {
                    try await withRelay(RelayOptions(server, scratch)) { log in
                        let reader = try await log.reader(from: .position(place, of: nil))
                        return await #expect(throws: RelayError.self) {
                            try await Seen().read(reader, to: end)
                        }
                    }
                }
                let size = Folder.read(directory.file(folder, names[0]))?.count ?? 0
                // From its middle, and from its end, where nobody has read what follows it.
                for offset in [start.offset, UInt64(size)] {
                    let error = try await missing(
                        from: BinlogPosition(file: names[0], offset: offset))
                    guard case .missing(let what, _)? = error else {
                        Issue.record("\(String(describing: error))")
                        continue
                    }
                    #expect(what.contains(names[0]) && what.contains(names[2]))
                }
            }
        }

        @Test("a folder that begins has nothing of another time in it")
        func staleFiles() throws {
            let scratch = Scratch()
            let log = try RelayLog(
                RelayOptions(path: scratch.path, source: Self.nowhere, serverID: 1))
            let folder = RelayFolder(server: "0-4242", number: 1)
            let path = "\(scratch.path)/\(folder)"
            try Folder.make(path)
            try Data("old".utf8).write(to: URL(filePath: path + "/bin.000010"))
            try RelayWriter(log).beginFolder(server: "0-4242", file: "bin.000009")
            #expect(try log.catalog.directory.files(folder) == ["bin.000009"])
            let kept = "\(scratch.path)/skein/lost/bin.000010.4/\(folder).bin.000010"
            #expect(try String(contentsOfFile: kept, encoding: .utf8) == "old")
        }

        @Test("an event that lies further than the protocol can say is repaired, too")
        func farAway() async throws {
            try await TestServer.with(Servers.families[0]) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "far")
                try await withRelay(RelayOptions(server, scratch)) { log in
                    try Writing.run(server, "far", 3...20)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                let folder = try #require(RelayFolder(try FileTests.folder(server)))
                let name = try server.end().file
                let path = "\(scratch.path)/\(folder)/\(name)"
                let event = try Self.newest(server, name)[1]
                try Self.flip(path, event.start + 22)
                var repair = Repair(source: Servers.options(server), serverID: 77, peers: [])
                repair.offsetLimit = 100
                let damage = DamagedEvent(
                    path: path, folder: folder, file: name, offset: UInt64(event.start), detail: "")
                try await repair.mend(damage)
                try FileTests.expectEqual(scratch, server, folder: "\(folder)")
                // What it does not have is not waited for.
                var other = damage
                other.offset = try server.end().offset + 1000
                await #expect(throws: RelayError.self) { try await repair.mend(other) }
            }
        }
    }
}
