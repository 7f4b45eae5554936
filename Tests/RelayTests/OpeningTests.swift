import Foundation
import Glibc
import MySQLClient
import MySQLCore
import Stream
import Synchronization
import TestServers
import Testing

@testable import Relay

extension InTurn {
    @Suite("A relay log that was left behind", .serialized)
    struct OpeningTests {
        /// What a relay log was, and where a task is that read the source elsewhere meanwhile.
        struct Stale {
            let name: ServerUUID
            let first: BinlogPosition
            let end: BinlogPosition
            let needed: BinlogPosition
            let gtids: GTIDState
        }

        /// Keeps a relay log for a while, and lets the source go on without it.
        static func stale(
            _ server: TestServer, _ scratch: Scratch, _ schema: String,
            need: String? = nil, isPurged: Bool
        ) async throws -> Stale {
            try Writing.prepare(server, schema)
            let first = try server.end()
            let name = try server.serverName()
            var options = RelayOptions(server, scratch)
            options.start = .from(first, of: name, gtids: .none)
            let end = try await withRelay(options) { log in
                try Writing.run(server, schema, 2...20)
                try server.sql("FLUSH BINARY LOGS")
                try Writing.run(server, schema, 21...25)
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
                if let need { try log.need(need, first.file, of: name) }
                return end
            }
            try Writing.run(server, schema, 26...30)
            try server.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
            try Writing.run(server, schema, 31...40)
            let needed = try server.end()
            if isPurged { try await purgeSource(server, to: needed.file) }
            return Stale(
                name: name, first: first, end: end, needed: needed, gtids: try server.gtids())
        }

        @Test(
            "begins anew at the file that is asked for, whether the source has what lies between or not",
            arguments: Servers.families, [true, false])
        func anew(family: TestServer.Family, isPurged: Bool) async throws {
            try await TestServer.with(family) { server in
                let scratch = Scratch()
                let stale = try await Self.stale(server, scratch, "stale", isPurged: isPurged)
                var options = RelayOptions(server, scratch)
                options.start = .from(stale.needed, of: stale.name, gtids: stale.gtids)
                try await withRelay(options) { log in
                    try Writing.run(server, "stale", 52...60)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    let seen = Seen()
                    try await seen.read(
                        try await log.reader(from: .position(stale.needed, of: stale.name)), to: end
                    )
                    let real = try truth(server, from: stale.needed, to: end)
                    #expect(seen.problems == [] && seen.order == real.order)
                    #expect(log.contents.count == 2)
                    #expect(log.contents.last?.files.first?.name == stale.needed.file)
                    // Who needs what lies between is told what is missing, and who was asked; to begin
                    // again would lead to the same place for ever.
                    let reader = try await log.reader(from: .position(stale.first, of: stale.name))
                    let error = await #expect(throws: RelayError.self) {
                        while true { _ = try await reader.next() }
                    }
                    guard case .missing(let what, let asked)? = error else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                    #expect(what.contains(stale.end.file) && what.contains(stale.needed.file))
                    #expect(asked.contains(scratch.path))
                }
            }
        }

        @Test(
            "goes on where it ended when a task that does not ask now still needs what it has",
            arguments: [false, true])
        func needed(isNow: Bool) async throws {
            try await TestServer.with(Servers.families[0]) { server in
                let scratch = Scratch()
                let stale = try await Self.stale(
                    server, scratch, "needed", need: "paused", isPurged: false)
                var options = RelayOptions(server, scratch)
                if !isNow {
                    options.start = .from(stale.needed, of: stale.name, gtids: stale.gtids)
                }
                try await withRelay(options) { log in
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    #expect(log.contents.count == 1)
                    let seen = Seen()
                    try await seen.read(
                        try await log.reader(from: .position(stale.first, of: stale.name)), to: end)
                    let real = try truth(server, from: stale.first, to: end)
                    #expect(seen.problems == [] && seen.order == real.order)
                }
            }
        }

        @Test("begins anew even so when the source can't continue it")
        func neededAndPurged() async throws {
            try await TestServer.with(Servers.families[0]) { server in
                let scratch = Scratch()
                let stale = try await Self.stale(
                    server, scratch, "twofold", need: "paused", isPurged: true)
                var options = RelayOptions(server, scratch)
                options.start = .from(stale.needed, of: stale.name, gtids: stale.gtids)
                try await withRelay(options) { log in
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    #expect(log.contents.last?.files.first?.name == stale.needed.file)
                    #expect(log.status.warnings.contains { $0.contains("begins anew") })
                }
                // But what is in it, and can't be continued, is lost.
                options.start = .from(stale.first, of: stale.name, gtids: .none)
                try await withRelay(options) { log in
                    let reader = try await log.reader(from: .position(stale.first, of: stale.name))
                    await #expect(throws: RelayError.self) {
                        while true { _ = try await reader.next() }
                    }
                }
            }
        }

        /// What can't be compared with another server of a log that stays as it is.
        enum Flaw: CaseIterable { case damage, hole }

        @Test(
            "what can't be read of files that nobody needs hinders no other server",
            arguments: Flaw.allCases)
        func flawed(flaw: Flaw) async throws {
            try await TestServer.with(.mariadb, name: "first") { first in
                try await TestServer.with(.mariadb, name: "second") { second in
                    let scratch = Scratch()
                    func options(_ server: TestServer) -> RelayOptions {
                        var options = RelayOptions(server, scratch)
                        options.start = .now
                        options.checkpoints = { _, _ in [] }
                        return options
                    }
                    try await FailoverTests.follow(second, first)
                    try Writing.prepare(first, "flawed")
                    let place = try first.end()
                    for round in 0..<2 {
                        try await withRelay(options(first)) { log in
                            let rows = 2 + 40 * round
                            try Writing.run(first, "flawed", rows...(rows + 10))
                            try first.sql("FLUSH BINARY LOGS")
                            try Writing.run(first, "flawed", (rows + 11)...(rows + 20))
                            let end = try first.end()
                            try await wait(for: "the relay") { log.reached(end) }
                        }
                        // What lies between is in no folder.
                        if flaw == .hole { try first.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS") }
                    }
                    if flaw == .damage {
                        let folder = try FileTests.folder(first)
                        let url = URL(filePath: "\(scratch.path)/\(folder)/\(place.file)")
                        var bytes = try Data(contentsOf: url)
                        bytes[Int(place.offset) + 25] ^= 0x10
                        try bytes.write(to: url)
                    }
                    let folders = try RelayDirectory(path: scratch.path).folders().count
                    #expect(folders == (flaw == .hole ? 2 : 1))
                    try await FailoverTests.caughtUp(second, first)
                    try second.sql("STOP SLAVE")
                    #expect(try second.binlogs().count == 1)
                    try await withRelay(options(second)) { log in
                        try Writing.run(second, "flawed", 203...210)
                        let end = try second.end()
                        try await wait(for: "the other server") {
                            log.server == (try second.serverName()) && log.reached(end)
                        }
                        #expect(log.contents.count == folders + 1)
                    }
                }
            }
        }

        @Test(
            "goes on after a failover although the newest folder has only begun",
            arguments: Servers.families)
        func begunOnly(family: TestServer.Family) async throws {
            try await TestServer.with(family) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "begun")
                let start = try server.end()
                let gtids = try server.gtids()
                var options = RelayOptions(server, scratch)
                options.start = .from(start, of: try server.serverName(), gtids: gtids)
                try await withRelay(options) { log in
                    try Writing.run(server, "begun", 2...20)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                // Another server answers, and is gone before its first event has come.
                let log = try RelayLog(options)
                let writer = RelayWriter(log)
                try writer.open()
                try writer.beginFolder(
                    server: family == .mariadb ? "0-4242" : "11111111-2222-3333-4444-555555555555",
                    file: "bin.000009")
                try await with([{ try await log.run() }]) {
                    try await log.ready()
                    try Writing.run(server, "begun", 22...40)
                    let end = try server.end()
                    try await wait(for: "the relay") {
                        log.reached(end) && log.contents.count == 3
                    }
                    let reader = try await log.reader(from: .gtids(gtids), crossesServers: true)
                    let seen = Seen()
                    var restarts = 0
                    let name = try server.serverName()
                    while seen.end != end || reader.server != name {
                        let chunk = try await reader.next()
                        if reader.restarts != restarts { seen.restart() }
                        restarts = reader.restarts
                        seen.take(chunk)
                    }
                    let real = try truth(server, from: start, to: end)
                    #expect(seen.problems == [] && seen.order == real.order)
                }
            }
        }

        @Test("a folder that can't be begun leaves everything as it was")
        func noFolder() async throws {
            try await TestServer.with(Servers.families[0]) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "begin")
                var options = RelayOptions(server, scratch)
                options.start = .from(
                    try server.end(), of: try server.serverName(), gtids: .none)
                try await withRelay(options) { log in
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                let log = try RelayLog(options)
                let before = log.contents
                let writer = RelayWriter(log)
                try writer.open()
                // In the way of the folder's first file.
                let path = scratch.path + "/0-4242.000002/bin.000009"
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: true)
                #expect(throws: RelayError.self) {
                    try writer.beginFolder(server: "0-4242", file: "bin.000009")
                }
                #expect(log.contents == before)
                #expect(try RelayDirectory(path: scratch.path).folders().count == 1)
                try FileManager.default.removeItem(atPath: path)
                try writer.beginFolder(server: "0-4242", file: "bin.000009")
                #expect(log.contents.map(\.folder.number) == [1, 2])
            }
        }

        @Test("a stop does not wait for a source that is long in finding a place")
        func stopped() async throws {
            try await TestServer.with(Servers.families[0]) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "stopped")
                try await withRelay(RelayOptions(server, scratch)) { log in
                    try Writing.run(server, "stopped", 2...9)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                let proxy = try FaultProxy(to: server)
                defer { proxy.close() }
                var options = RelayOptions(server, scratch, port: proxy.port)
                options.source.tls.mode = .disabled
                // The command that asks for the events of the file.
                let held = proxy.holdNext(
                    .toServer, matching: try server.end().file, closingClient: false)
                let log = try RelayLog(options)
                let running = Task { try await log.run() }
                try await held.caught()
                running.cancel()
                let ended = Task { _ = await running.result }
                let isOver = await withTaskGroup(of: Bool.self) { group in
                    group.addTask {
                        await ended.value
                        return true
                    }
                    group.addTask {
                        try? await Task.sleep(for: .seconds(30))
                        return false
                    }
                    let first = await group.next() ?? false
                    // Lets what waits go on, in any case.
                    held.drop()
                    group.cancelAll()
                    return first
                }
                #expect(isOver)
            }
        }

        @Test("a disk that stands still stops nobody else")
        func slowDisk() async throws {
            let server = try await Servers.shared(Servers.families[0])
            // What is written into a pipe whose reader has gone.
            signal(SIGPIPE, SIG_IGN)
            try await withThrowingTaskGroup(of: Void.self) { group in
                var pipes: [String] = []
                var scratches: [Scratch] = []
                defer { withExtendedLifetime(scratches) {} }
                // More of them than the pool has threads.
                for _ in 0..<(ProcessInfo.processInfo.activeProcessorCount + 2) {
                    let scratch = Scratch()
                    let options = RelayOptions(server, scratch)
                    let log = try RelayLog(options)
                    group.addTask { try? await log.run() }
                    try await log.ready()
                    // To open a pipe that nobody reads takes for ever.
                    let folder = try #require(log.contents.last?.folder)
                    let pipe = "\(scratch.path)/\(folder)/relay.meta.tmp"
                    unlink(pipe)
                    #expect(mkfifo(pipe, 0o600) == 0)
                    pipes.append(pipe)
                    scratches.append(scratch)
                }
                try Writing.prepare(server, "slow")
                // By a thread, since tasks may be what stands still.
                let (all, ticks) = (pipes, Ticks())
                let ticking = Task {
                    while !Task.isCancelled {
                        ticks.add()
                        try await Task.sleep(for: .milliseconds(10))
                    }
                }
                let seen = await withCheckedContinuation { continuation in
                    Thread.detachNewThread {
                        Thread.sleep(forTimeInterval: 3)
                        let before = ticks.count
                        Thread.sleep(forTimeInterval: 2)
                        let seen = ticks.count - before
                        for pipe in all {
                            let file = open(pipe, O_RDONLY | O_NONBLOCK)
                            Thread.sleep(forTimeInterval: 0.2)
                            close(file)
                            unlink(pipe)
                        }
                        continuation.resume(returning: seen)
                    }
                }
                // One thread of the pool is enough for some, however busy the machine is.
                #expect(seen > 0)
                ticking.cancel()
                group.cancelAll()
                while let _ = try await group.next() {}
            }
        }

        /// Counts.
        private final class Ticks: Sendable {
            private let number = Mutex(0)
            var count: Int { number.withLock { $0 } }
            func add() { number.withLock { $0 += 1 } }
        }
    }
}
