import Foundation
import MySQLClient
import MySQLCore
import Stream
import Synchronization
import TestServers
import Testing

@testable import Relay

/// What tests say that targets hold.
private final class Targets: Sendable {
    private let state = Mutex<[RelayCheckpoint]>([])

    func set(
        _ task: String, _ positions: [SourcePosition], others: IdentitySet = IdentitySet(),
        isReading: Bool = false
    ) {
        let held = HeldTransactions(
            task: task, target: "\(task).example:3306", positions: positions, others: others)
        state.withLock { all in
            all.removeAll { $0.held.task == task }
            all.append(RelayCheckpoint(held, isReading: isReading))
        }
    }

    var all: [RelayCheckpoint] { state.withLock { $0 } }
}

extension TestServer {
    /// Where it is, as checkpoints say it.
    func place() throws -> SourcePosition {
        SourcePosition(
            origin: Origin(server: try serverName(), life: 0), binlog: try end(),
            gtids: try gtids())
    }
}

extension LossTests {
    @Suite("that no target has applied", .serialized) struct SurplusTests {
        /// A server, and another life of it that lacks what it has written since.
        private static func withTwoLives(
            _ family: TestServer.Family, options: [String] = [],
            _ body: (TestServer, TestServer, FaultProxy) async throws -> Void
        ) async throws {
            let options = ["--server-id=77"] + options
            try await TestServer.with(family, options: options, durable: true) { server in
                try Writing.prepare(server, "twice")
                try Writing.run(server, "twice", 3...20)
                let proxy = try FaultProxy(to: server)
                defer { proxy.close() }
                // As a crash would leave it now: what follows in this file is lost.
                server.freeze()
                let old: TestServer
                do {
                    defer { server.thaw() }
                    old = try await TestServer.start(
                        family, options: options, name: "old", data: server.datadir)
                }
                await old.kill()
                do {
                    try await body(server, old, proxy)
                } catch {
                    await old.discard()
                    throw error
                }
                await old.discard()
            }
        }

        /// Lets the other life answer, which writes other transactions.
        private static func lose(
            _ server: TestServer, _ old: TestServer, _ proxy: FaultProxy
        ) async throws {
            await server.kill()
            try await old.restart()
            try old.sql("INSERT INTO twice.t VALUES (1, 'other')")
            try old.sql("INSERT INTO twice.t VALUES (2, 'and more than before')")
            proxy.forward(to: old)
            proxy.cut()
        }

        private static func options(
            _ server: TestServer, _ scratch: Scratch, _ proxy: FaultProxy, _ targets: Targets
        ) throws -> RelayOptions {
            var options = RelayOptions(server, scratch, port: proxy.port)
            options.source.tls.mode = .disabled
            options.checkpoints = { _ in targets.all }
            return options
        }

        @Test(
            "a log goes back to where its source is, by itself, and on from there",
            arguments: Servers.families, [false, true])
        func cut(family: TestServer.Family, isRotated: Bool) async throws {
            try await Self.withTwoLives(family) { server, old, proxy in
                let (scratch, targets) = (Scratch(), Targets())
                let mark = try server.place()
                targets.set("one", [mark])
                targets.set("two", [])
                try await withRelay(Self.options(server, scratch, proxy, targets)) { log in
                    let start = StreamPlace.position(mark.binlog, of: try server.serverName())
                    let (live, files) = (
                        try await log.reader(from: start), try await log.reader(from: start)
                    )
                    try server.sql("INSERT INTO twice.t VALUES (1, 'lost')")
                    if isRotated {
                        try server.sql(
                            "FLUSH BINARY LOGS; INSERT INTO twice.t VALUES (1003, 'too')")
                    }
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    try await Self.lose(server, old, proxy)
                    // Those who read are told, wherever they are.
                    await #expect(throws: StreamError.takenBack) {
                        while true { _ = try await live.next() }
                    }
                    let goal = try old.gtids()
                    let last = try old.end()
                    try await wait(for: "the other life") {
                        let all = try log.catalog.gtids()
                        return log.status.state == .running && log.reached(last)
                            && all.isSuperset(of: goal)
                    }
                    await #expect(throws: StreamError.takenBack) {
                        while true { _ = try await files.next() }
                    }
                    let seen = Seen()
                    try await seen.read(try await log.reader(from: start), to: last)
                    let real = try truth(old, from: mark.binlog, to: last)
                    #expect(seen.order == real.order && seen.digests == real.digests)
                    #expect(log.status.warnings.contains { $0.contains("skein verify") })
                }
                try FileTests.expectEqual(
                    scratch, old, folder: FileTests.folder(old), hasCrashed: true)
                // What was cut is there to be looked at.
                let lost = try #require(Folder.names(scratch.path + "/skein/lost").first)
                let kept = Folder.names(scratch.path + "/skein/lost/\(lost)").sorted()
                #expect(kept.count == (isRotated ? 2 : 1))
                let tail = try #require(kept.last { !$0.contains("000001.") })
                let bytes = try Data(
                    contentsOf: URL(filePath: scratch.path + "/skein/lost/\(lost)/\(tail)"))
                #expect(bytes.range(of: Data("lost".utf8)) != nil)
            }
        }

        @Test(
            "a log without GTIDs goes back by position",
            arguments: Servers.families.filter { $0 == .mysql })
        func positions(family: TestServer.Family) async throws {
            let words = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]
            try await Self.withTwoLives(family, options: words) { server, old, proxy in
                let (scratch, targets) = (Scratch(), Targets())
                let mark = try server.place()
                targets.set("one", [mark])
                try await withRelay(Self.options(server, scratch, proxy, targets)) { log in
                    try server.sql("INSERT INTO twice.t VALUES (1, 'lost')")
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    try await Self.lose(server, old, proxy)
                    let last = try old.end()
                    try await wait(for: "the other life") {
                        log.status.state == .running && log.reached(last)
                    }
                }
                try FileTests.expectEqual(
                    scratch, old, folder: FileTests.folder(old), hasCrashed: true)
            }
        }

        @Test(
            "a log ends, and says what each target has applied, when one of them has some of it",
            arguments: Servers.families, [true, false])
        func applied(family: TestServer.Family, isInMark: Bool) async throws {
            try await Self.withTwoLives(family) { server, old, proxy in
                let (scratch, targets) = (Scratch(), Targets())
                let mark = try server.place()
                targets.set("innocent", [mark])
                let options = try Self.options(server, scratch, proxy, targets)
                let error = await #expect(throws: StreamError.self) {
                    try await withRelay(options) { log in
                        try server.sql("INSERT INTO twice.t VALUES (1, 'lost')")
                        let place = try server.place()
                        try await wait(for: "the relay") { log.reached(place.binlog) }
                        var others = IdentitySet()
                        if !isInMark {
                            // Above the mark: a lane has committed it, and not what is before.
                            let seen = Seen()
                            try await seen.read(
                                try await log.reader(from: .position(mark.binlog, of: nil)),
                                to: place.binlog)
                            let name = try #require(seen.order.last)
                            if let gtid = MariaDBGTID(name) {
                                others.insert(
                                    .mariadb(domain: gtid.domain, server: gtid.server),
                                    IntervalSet(gtid.sequence...gtid.sequence))
                            } else if let set = MySQLGTIDSet(name), let key = set.members.first {
                                others.insert(
                                    .mysql(key.key.uuid, tag: key.key.tag), key.value)
                            }
                            #expect(!others.isEmpty)
                        }
                        targets.set("guilty", [isInMark ? place : mark], others: others)
                        try await Self.lose(server, old, proxy)
                        try await Task.sleep(for: .seconds(60))
                    }
                }
                guard case .sourceLostEvents(let text)? = error else { return }
                #expect(
                    text.contains("guilty.example:3306") && text.contains("innocent"), "\(text)")
                // Nothing was cut: it is what tells what the target has.
                #expect(!Folder.exists(scratch.path + "/skein/lost"))
            }
        }

        @Test(
            "a log waits until runs have said what their targets hold, and lets nobody read before")
        func waits() async throws {
            let family = Servers.families[0]
            try await Self.withTwoLives(family) { server, old, proxy in
                let (scratch, targets) = (Scratch(), Targets())
                let mark = try server.place()
                targets.set("one", [mark], isReading: true)
                try await withRelay(Self.options(server, scratch, proxy, targets)) { log in
                    let start = StreamPlace.position(mark.binlog, of: nil)
                    try server.sql("INSERT INTO twice.t VALUES (1, 'lost')")
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    try await Self.lose(server, old, proxy)
                    try await wait(for: "the question") {
                        log.status.reason?.contains("targets have applied") == true
                    }
                    await #expect(throws: StreamError.takenBack) {
                        _ = try await log.reader(from: start)
                    }
                    #expect(log.reached(end))
                    // The next run says so, and can read when this returns.
                    try await log.settle(
                        HeldTransactions(
                            task: "one", target: "", positions: [mark], others: IdentitySet()))
                    let last = try old.end()
                    let seen = Seen()
                    try await seen.read(try await log.reader(from: start), to: last)
                    let real = try truth(old, from: mark.binlog, to: last)
                    #expect(seen.order == real.order && seen.digests == real.digests)
                }
            }
        }

        @Test(
            "a log goes back when the server that takes over has not got all of it, and writes by itself",
            arguments: Servers.families, [true, false])
        func lossyFailover(family: TestServer.Family, isApplied: Bool) async throws {
            try await TestServer.with(family, name: "first") { first in
                try await TestServer.with(family, name: "second") { second in
                    let (scratch, targets) = (Scratch(), Targets())
                    try await FailoverTests.follow(second, first)
                    try Writing.prepare(first, "lossy")
                    try Writing.run(first, "lossy", 102...120)
                    try await FailoverTests.caughtUp(second, first)
                    try second.sql(family == .mariadb ? "STOP SLAVE" : "STOP REPLICA")
                    let proxy = try FaultProxy(to: first)
                    defer { proxy.close() }
                    let mark = try first.place()
                    targets.set("one", [mark])
                    let options = try Self.options(first, scratch, proxy, targets)
                    do {
                        try await withRelay(options) { log in
                            try Writing.run(first, "lossy", 121...130)
                            let end = try first.end()
                            try await wait(for: "the relay") { log.reached(end) }
                            if isApplied { targets.set("two", [try first.place()]) }
                            await first.kill()
                            proxy.forward(to: second)
                            proxy.cut()
                            // It can still be the same history: nothing is cut.
                            try await wait(for: "the reason") {
                                log.status.reason?.contains("lacks transactions") == true
                            }
                            #expect(log.reached(end))
                            try Writing.run(second, "lossy", 221...240)
                            let (last, goal) = (try second.end(), try second.gtids())
                            try await wait(for: "the second folder") {
                                log.server == (try second.serverName()) && log.reached(last)
                            }
                            let seen = Seen()
                            let reader = try await log.reader(
                                from: .gtids(mark.gtids), crossesServers: true)
                            while seen.end != last || reader.server != log.server {
                                seen.take(try await reader.next())
                            }
                            #expect(seen.problems == [] && seen.order.count >= 20)
                            var all = mark.gtids
                            for name in seen.order {
                                if let gtid = MariaDBGTIDPosition(name) {
                                    all.formUnion(GTIDState.mariadb(gtid))
                                } else if let set = MySQLGTIDSet(name) {
                                    all.formUnion(GTIDState.mysql(set))
                                }
                            }
                            #expect(all == goal)
                        }
                        #expect(!isApplied)
                        try FileTests.expectEqual(
                            scratch, second, folder: FileTests.folder(second, 2))
                    } catch StreamError.sourceLostEvents(let text) {
                        #expect(isApplied && text.contains("two.example:3306"), "\(text)")
                    }
                }
            }
        }

        @Test(
            "a log waits for a replica that is late for as long as it takes, and goes on by itself",
            arguments: Servers.families)
        func late(family: TestServer.Family) async throws {
            try await TestServer.with(family, name: "first") { first in
                try await TestServer.with(family, name: "second") { second in
                    let scratch = Scratch()
                    try await FailoverTests.follow(second, first)
                    try Writing.prepare(first, "late")
                    try await FailoverTests.caughtUp(second, first)
                    let stop =
                        family == .mariadb ? "STOP SLAVE SQL_THREAD" : "STOP REPLICA SQL_THREAD"
                    try second.sql(stop)
                    let proxy = try FaultProxy(to: first)
                    defer { proxy.close() }
                    let options = try Self.options(first, scratch, proxy, Targets())
                    try await withRelay(options) { log in
                        try Writing.run(first, "late", 102...120)
                        let end = try first.end()
                        try await wait(for: "the relay") { log.reached(end) }
                        let goal = try first.gtids()
                        try await wait(for: "the replica's reception") {
                            let status = try second.sql(
                                family == .mariadb ? "SHOW SLAVE STATUS" : "SHOW REPLICA STATUS")
                            return status.contains(family == .mariadb ? "\(goal)" : ":1-")
                        }
                        try await Task.sleep(for: .seconds(1))
                        await first.kill()
                        proxy.forward(to: second)
                        proxy.cut()
                        try await wait(for: "the reason") {
                            log.status.reason?.contains("lacks transactions") == true
                        }
                        // Longer than anything here would wait for something that passes.
                        try await Task.sleep(for: .seconds(32))
                        #expect(log.status.state == .connecting && log.reached(end))
                        let start =
                            family == .mariadb
                            ? "START SLAVE SQL_THREAD" : "START REPLICA SQL_THREAD"
                        try second.sql(start)
                        try await wait(for: "the second server") {
                            let (all, name) = (try log.catalog.gtids(), try second.serverName())
                            return log.server == name && all.isSuperset(of: goal)
                        }
                    }
                }
            }
        }
    }
}
