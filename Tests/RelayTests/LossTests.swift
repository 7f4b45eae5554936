import Foundation
import MySQLClient
import MySQLCore
import Stream
import Testing

@testable import TestServers

@testable import Relay

@Suite("A relay log whose source or disk loses something", .serialized)
struct LossTests {
    @Test(
        "a source that lost events, and wrote others in their place, is recognised",
        arguments: [
            (TestServer.Family.mariadb, "--server-id=77"), (.mariadb, "--server-id=78"),
            (.mysql, "--server-id=77"),
        ].filter { Servers.families.contains($0.0) })
    func rewritten(family: TestServer.Family, id: String) async throws {
        let scratch = Scratch()
        try await TestServer.with(family, options: ["--server-id=77"], durable: true) { server in
            try Writing.prepare(server, "twice")
            try Writing.run(server, "twice", 3...20)
            // A copy of its data as a crash would leave it.
            try await server.stop()
            try await server.restart()
            let proxy = try FaultProxy(to: server)
            defer { proxy.close() }
            try await server.stop()
            let old = try await TestServer.start(
                family, options: [id], name: "old", data: server.datadir)
            await old.kill()
            try await server.restart()
            var options = RelayOptions(server, scratch, port: proxy.port)
            options.source.tls.mode = .disabled
            let log = try RelayLog(options)
            let outcome = await withTaskGroup(of: (any Error)?.self) { group in
                group.addTask {
                    do { try await log.run() } catch { return error }
                    return nil
                }
                group.addTask {
                    do {
                        try await log.ready()
                        try server.sql("INSERT INTO twice.t VALUES (1, 'lost')")
                        let end = try server.end()
                        try await wait(for: "the relay") { log.reached(end) }
                        await server.kill()
                        try await old.restart()
                        try old.sql("INSERT INTO twice.t VALUES (1, 'other')")
                        try old.sql("INSERT INTO twice.t VALUES (2, 'and more than before')")
                        proxy.forward(to: old)
                        proxy.cut()
                        try await Task.sleep(for: .seconds(30))
                        return Overdue("the relay to notice")
                    } catch { return error }
                }
                let first = await group.next() ?? nil
                group.cancelAll()
                return first
            }
            guard case .sourceLostEvents(let detail) = outcome as? StreamError else {
                Issue.record("\(String(describing: outcome))")
                return
            }
            #expect(detail.contains("bin.") || detail.contains("0-78-"))
            await old.discard()
        }
    }

    @Test(
        "every length that a crash can leave of a file is cut to whole transactions, and goes on",
        arguments: Servers.families)
    func torn(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "torn")
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "torn", 3...12)
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
            }
            let folder = try FileTests.folder(server)
            let name = try server.end().file
            let path = "\(scratch.path)/\(folder)/\(name)"
            let whole = try Data(contentsOf: URL(filePath: path))
            var ends: Set<UInt64> = [0]
            for n in stride(from: 0, through: whole.count, by: 37) {
                try whole.prefix(n).write(to: URL(filePath: path))
                let catalog = Catalog(RelayDirectory(path: scratch.path))
                try catalog.load()
                _ = try Recovery(catalog).run()
                let size = (try? Data(contentsOf: URL(filePath: path)))?.count ?? 0
                #expect(size <= n)
                if size > 0 { ends.insert(UInt64(size)) }
                #expect(
                    catalog.shelves.last?.end?.position.offset ?? 0 == UInt64(size) || size == 0)
                let again = Catalog(RelayDirectory(path: scratch.path))
                if size > 0 {
                    try again.load()
                    _ = try Recovery(again).run()
                    #expect(again.shelves.last?.end?.position.offset == UInt64(size))
                }
                if !Folder.exists("\(scratch.path)/\(folder)") {
                    try RelayDirectory(path: scratch.path).add(RelayFolder(folder)!)
                }
            }
            // Cuts are at the ends of transactions only.
            let starts = try Connection(Servers.options(server))
                .rows("SHOW BINLOG EVENTS IN '\(name)'").map { UInt64($0[4] ?? "") ?? 0 }
            #expect(ends.subtracting(starts) == [0])
            #expect(ends.count > 8)
            try whole.prefix(whole.count - 5).write(to: URL(filePath: path))
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "torn", 13...20)
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
            }
            try FileTests.expectEqual(scratch, server, folder: folder)
        }
    }

    @Test(
        "a flipped bit stops the reader there, and is repaired from the source",
        arguments: Servers.families)
    func flipped(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "flip")
            let start = try server.end()
            let folder = try FileTests.folder(server)
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "flip", 3...60)
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
            }
            let files = try RelayDirectory(path: scratch.path).files(RelayFolder(folder)!)
            let name = files[0]
            let path = "\(scratch.path)/\(folder)/\(name)"
            let good = try Data(contentsOf: URL(filePath: path))
            let events = try Connection(Servers.options(server))
                .rows("SHOW BINLOG EVENTS IN '\(name)'").map { Int($0[1] ?? "") ?? 0 }
                .filter { $0 >= start.offset }
            let end = try server.end()
            let real = try truth(server, from: start, to: end)
            for (n, delta) in [(2, 25), (3, 9), (4, 4), (1, 12)] {
                var bad = good
                bad[events[n] + delta] ^= 0x10
                try bad.write(to: URL(filePath: path))
                // Without a source: file and offset.
                let seen = Seen()
                let error = #expect(throws: RelayError.self) {
                    let stream = try RelayArchive(path: scratch.path)
                        .events(from: .position(start, of: nil))
                    while let chunk = try stream.next() { seen.take(chunk) }
                }
                guard case .damaged(let where_, let offset, _)? = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(where_ == path && offset == UInt64(events[n]))
                #expect((seen.end?.offset ?? start.offset) == UInt64(events[n]))
                // With one: repaired.
                try await withRelay(RelayOptions(server, scratch)) { log in
                    let reader = try await log.reader(from: .position(start, of: nil))
                    let seen = Seen()
                    try await seen.read(reader, to: end)
                    #expect(seen.digests == real.digests && seen.problems == [])
                }
                #expect(try Data(contentsOf: URL(filePath: path)) == good)
            }
            // The source has it no more.
            var bad = good
            bad[events[2] + 30] ^= 1
            try bad.write(to: URL(filePath: path))
            try server.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
            let last = try #require(try server.binlogs().last)
            try await withRelay(RelayOptions(server, scratch)) { log in
                try await wait(for: "the relay") { log.status.position?.file == last }
                try await Task.sleep(for: .milliseconds(200))
                try await purgeSource(server, to: last)
                let reader = try await log.reader(from: .position(start, of: nil))
                let error = await #expect(throws: RelayError.self) {
                    while true { _ = try await reader.next() }
                }
                #expect("\(error.map { "\($0)" } ?? "")".contains("was asked"))
            }
        }
    }

    @Test("at its limit it pauses with a reason, loses nothing, and goes on when there is room")
    func limit() async throws {
        try await TestServer.with(.mariadb) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "full")
            let start = try server.end()
            var options = RelayOptions(server, scratch, window: 1 << 20)
            options.limitBytes = 3 << 20
            try await withRelay(options) { log in
                try log.need("behind", start.file, of: try server.serverName())
                let big = "INSERT INTO full.t VALUES"
                for n in 1...12 {
                    try server.sql("\(big) (\(n), REPEAT('x', 500000)); FLUSH BINARY LOGS")
                }
                try await wait(for: "the pause") { log.status.state == .paused }
                #expect(log.status.reason?.contains("limit") == true)
                #expect(log.status.bytes < 5 << 20)
                let end = try server.end()
                let reader = try await log.reader(from: .position(start, of: nil))
                let seen = Seen()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await seen.read(reader, to: end) }
                    group.addTask {
                        // The subtask's checkpoint follows.
                        while (seen.end.map { $0 < end } ?? true) {
                            if let file = seen.end?.file {
                                try? log.need("behind", file, of: try server.serverName())
                            }
                            try await Task.sleep(for: .milliseconds(50))
                        }
                    }
                    while try await group.next() != nil {}
                }
                #expect(seen.problems == [])
                let real = try truth(server, from: start, to: end)
                #expect(seen.digests == real.digests)
                #expect(log.status.bytes < 5 << 20)
            }
        }
    }

    @Test(
        "without checksums, what was not on the disk for certain when the machine went is not trusted",
        arguments: Servers.families, [true, false])
    func machineLost(family: TestServer.Family, isNoted: Bool) async throws {
        try await TestServer.with(family, options: ["--binlog-checksum=NONE"]) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "unsure")
            let start = try server.end()
            var options = RelayOptions(server, scratch)
            options.start = .from(start, of: try server.serverName(), gtids: .none)
            try await withRelay(options) { log in
                try Writing.run(server, "unsure", 2...20)
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
            }
            let folder = try #require(RelayFolder(try FileTests.folder(server)))
            let directory = RelayDirectory(path: scratch.path)
            var meta = try #require(directory.meta(folder))
            let last = meta.file
            // The machine goes down; the newest file's head is on the disk, and zeros behind it.
            meta.boot = "another"
            if isNoted {
                meta.synced = start.offset
                meta.file = last
            } else {
                // It began after the last note.
                meta.file = "bin.000000"
            }
            try directory.write(meta, folder)
            let path = directory.file(folder, last)
            var bytes = try Data(contentsOf: URL(filePath: path))
            let events = try Connection(Servers.options(server))
                .rows("SHOW BINLOG EVENTS IN '\(last)'").map { Int($0[1] ?? "") ?? 0 }
            let body = try #require(events.first { $0 >= Int(start.offset) }) + 19
            for at in body..<(body + 20) { bytes[at] = 0 }
            try bytes.write(to: URL(filePath: path))
            try await withRelay(options) { log in
                try Writing.run(server, "unsure", 22...30)
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
            }
            try FileTests.expectEqual(scratch, server, folder: "\(folder)")
        }
    }

    /// A small disk of its own, where this machine allows to make one.
    private static func mount(_ path: String, _ words: String...) -> Bool {
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return (try? ChildProcess.run(["mount"] + words + [path]).status) == 0
    }

    @Test("a full disk pauses it with a reason, loses nothing, and it goes on when there is room")
    func fullDisk() async throws {
        let scratch = Scratch()
        guard Self.mount(scratch.path, "-t", "tmpfs", "-o", "size=3m", "tmpfs") else {
            print("no disk of its own could be made: the full disk is not tested")
            return
        }
        defer { _ = try? ChildProcess.run(["umount", scratch.path]) }
        try await TestServer.with(.mariadb) { server in
            try Writing.prepare(server, "disk")
            let start = try server.end()
            let folder = try FileTests.folder(server)
            try await withRelay(RelayOptions(server, scratch, window: 1 << 20)) { log in
                let reader = try await log.reader(from: .position(start, of: nil))
                for n in 1...10 {
                    try server.sql("INSERT INTO disk.t VALUES (\(n), REPEAT('x', 500000))")
                    if n == 3 { try server.sql("FLUSH BINARY LOGS") }
                }
                let end = try server.end()
                try await wait(for: "the pause") { log.status.state == .paused }
                #expect(log.status.reason?.contains("No space left") == true)
                #expect(Self.mount(scratch.path, "-o", "remount,size=64m"))
                let seen = Seen()
                try await seen.read(reader, to: end)
                let real = try truth(server, from: start, to: end)
                #expect(seen.digests == real.digests && seen.problems == [])
                try await wait(.seconds(20), for: "the end, \(log.status)") {
                    log.reached(end)
                }
                #expect(log.status.state == .running)
            }
            try FileTests.expectEqual(scratch, server, folder: folder)
        }
    }

    @Test("a purge by hand removes what nobody needs, and the rest only when told so")
    func purge() async throws {
        try await TestServer.with(.mariadb) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "old")
            try await withRelay(RelayOptions(server, scratch)) { log in
                for n in 1...5 {
                    try server.sql("INSERT INTO old.t VALUES (\(n), ''); FLUSH BINARY LOGS")
                }
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
                try log.need("task", "bin.000003", of: try server.serverName())
            }
            let archive = try RelayArchive(path: scratch.path)
            #expect(archive.files().count == 6)
            #expect(archive.files()[2].neededBy == ["task"])
            #expect(
                try archive.purge(before: "bin.000003", olderSeconds: nil, isForced: false, now: 0)
                    .count == 2)
            #expect(throws: RelayError.self) {
                try archive.purge(before: "bin.000005", olderSeconds: nil, isForced: false, now: 0)
            }
            #expect(
                try archive.purge(before: "bin.000005", olderSeconds: nil, isForced: true, now: 0)
                    .count == 2)
            // The newest stays whatever is asked for.
            #expect(
                try archive.purge(before: nil, olderSeconds: -1, isForced: true, now: .max)
                    .count == 1)
            #expect(archive.files().map(\.name) == ["bin.000006"])
        }
    }
}
