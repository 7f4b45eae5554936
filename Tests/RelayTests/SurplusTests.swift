import Foundation
import Glibc
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
    private let questions = Mutex<[String: Int]>([:])
    private let missed = Mutex<[String: Int]>([:])

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

    /// Lets a target be away for so many questions.
    func miss(_ task: String, times: Int) { missed.withLock { $0[task] = times } }

    /// What those say who have not been heard.
    func asked(_ known: Set<String>) throws -> [RelayCheckpoint] {
        var asked = state.withLock { $0.filter { !known.contains($0.held.task) } }
        let away = missed.withLock { missed in
            let away = asked.map(\.held.task).filter { missed[$0, default: 0] > 0 }
            for task in away { missed[task, default: 0] -= 1 }
            return away
        }
        asked.removeAll { away.contains($0.held.task) }
        questions.withLock { for it in asked { $0[it.held.task, default: 0] += 1 } }
        guard away.isEmpty else {
            throw UnansweredTarget(answered: asked, description: "\(away) can't be asked")
        }
        return asked
    }

    /// How often a target was asked.
    func questions(_ task: String) -> Int { questions.withLock { $0[task] ?? 0 } }
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
            options.checkpoints = { _, known in try targets.asked(known) }
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
                targets.miss("two", times: 2)
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
                    // Each question ends a run: it was asked once although another one was away.
                    #expect(targets.questions("one") == 1)
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
            "what was lost while nobody kept the log is given up before anything else begins",
            arguments: Servers.families, [true, false])
        func lostMeanwhile(family: TestServer.Family, isNeeded: Bool) async throws {
            try await Self.withTwoLives(family) { server, old, proxy in
                let (scratch, targets) = (Scratch(), Targets())
                let mark = try server.place()
                targets.set("paused", [mark])
                let start = StreamPlace.position(mark.binlog, of: try server.serverName())
                var options = try Self.options(server, scratch, proxy, targets)
                try await withRelay(options) { log in
                    try server.sql("INSERT INTO twice.t VALUES (1, 'lost')")
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    if isNeeded {
                        try log.need("paused", mark.binlog.file, of: mark.origin.server)
                    }
                }
                try await Self.lose(server, old, proxy)
                // A task that has copied nothing yet asks for the source's newest file.
                if isNeeded { try old.sql("FLUSH BINARY LOGS") }
                options.start = .now
                try await withRelay(options) { log in
                    let last = try old.end()
                    try await wait(for: "the other life") { log.reached(last) }
                    // Whoever comes back, and has noted nothing, could read it as well.
                    let manager = FileManager.default
                    for path in try manager.subpathsOfDirectory(atPath: scratch.path)
                    where path.contains("/bin.") && !path.contains("skein/") {
                        let bytes = manager.contents(atPath: "\(scratch.path)/\(path)")
                        #expect(bytes?.range(of: Data("lost".utf8)) == nil)
                    }
                    #expect(log.contents.count == (isNeeded ? 1 : 2))
                    if isNeeded {
                        let seen = Seen()
                        try await seen.read(try await log.reader(from: start), to: last)
                        let real = try truth(old, from: mark.binlog, to: last)
                        #expect(seen.order == real.order && seen.digests == real.digests)
                    }
                    #expect(targets.questions("paused") == 1)
                }
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
                targets.set("rests", [mark])
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
                    // Whose runs have ended for good is asked once: what its target gets from now
                    // on is not of what was read before.
                    try await wait(for: "more questions") { targets.questions("one") > 3 }
                    #expect(targets.questions("rests") == 1)
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

        @Test("a cut that can't go on leaves a log that knows what it has, and is made again")
        func interrupted() async throws {
            try await TestServer.with(Servers.families[0]) { server in
                let whole = Scratch()
                try Writing.prepare(server, "cutting")
                let mark = try server.end()
                try await withRelay(RelayOptions(server, whole)) { log in
                    for n in 1...3 {
                        try server.sql("INSERT INTO cutting.t VALUES (\(n), 'lost')")
                        try server.sql("FLUSH BINARY LOGS")
                    }
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                // Another server was read after that.
                let first = try #require(try RelayDirectory(path: whole.path).folders().first)
                let next = RelayFolder(server: first.server, number: first.number + 1)
                try RelayDirectory(path: whole.path).add(next)
                for name in try RelayDirectory(path: whole.path).files(first).suffix(2) {
                    try FileManager.default.copyItem(
                        atPath: "\(whole.path)/\(first)/\(name)",
                        toPath: "\(whole.path)/\(next)/\(name)")
                }
                let place = WindowPlace(segment: first.number, position: mark)
                var seen: Set<CutStep> = []
                for failing in 0..<100 {
                    let scratch = Scratch()
                    try FileManager.default.copyItem(atPath: whole.path, toPath: scratch.path)
                    let catalog = Catalog(RelayDirectory(path: scratch.path))
                    try catalog.load()
                    _ = try Recovery(catalog).run()
                    var steps = 0
                    var last: CutStep?
                    do {
                        _ = try catalog.cut(to: place) { step in
                            last = step
                            defer { steps += 1 }
                            if steps == failing {
                                throw RelayError.system("write", path: "", errno: ENOSPC)
                            }
                        }
                        #expect(failing == steps && seen.count == 5)
                        return
                    } catch RelayError.system(_, _, ENOSPC) {
                        seen.insert(try #require(last))
                    }
                    // What the catalog says is what is there.
                    let fresh = Catalog(RelayDirectory(path: scratch.path))
                    try fresh.load()
                    #expect(
                        catalog.shelves.map { "\($0.folder) \($0.files.map(\.name))" }
                            == fresh.shelves.map { "\($0.folder) \($0.files.map(\.name))" })
                    #expect(try #require(catalog.shelves.last?.end) >= place)
                    // Nothing is kept twice, and a disk that is full stays as full as it was.
                    func kept() -> [String] {
                        Folder.names(scratch.path + "/skein/lost").flatMap {
                            Folder.names(scratch.path + "/skein/lost/\($0)")
                        }
                    }
                    #expect(!kept().contains(mark.file))
                    if last == .copy || last == .copyMore {
                        #expect(Folder.names(scratch.path + "/skein/lost").isEmpty)
                    }
                    _ = try catalog.cut(to: place)
                    #expect(catalog.shelves.last?.end == place)
                    #expect(Set(kept()).count == 6 && kept().count == 6)
                }
                Issue.record("it never ends")
            }
        }

        @Test("what a target holds behind all that the log has left of a server is held, too")
        func beyond() throws {
            func set(_ text: String) throws -> GTIDState {
                .mysql(try #require(MySQLGTIDSet(text)))
            }
            let (server, other) = (
                "3e11fa47-71ca-11e1-9e33-c80aa9429562", "3e11fa47-71ca-11e1-9e33-c80aa9429563"
            )
            let surplus = Surplus(
                place: WindowPlace(
                    segment: 1, position: BinlogPosition(file: "bin.000001", offset: 4)),
                server: ServerUUID(server), common: try set("\(server):1-10,\(other):1-5"),
                all: try set("\(server):1-12,\(other):1-5"))
            func isHeld(_ server: String, _ numbers: ClosedRange<UInt64>) throws -> Bool {
                var others = IdentitySet()
                others.insert(
                    .mysql(try #require(ServerUUID(server)), tag: ""), IntervalSet(numbers))
                return surplus.isHeld(
                    HeldTransactions(task: "", target: "", positions: [], others: others))
            }
            #expect(try isHeld(server, 12...12))
            #expect(try isHeld(server, 9...10) == false)
            // The relay's machine has lost its power too: 13 was here once.
            #expect(try isHeld(server, 13...13))
            // Of a server of which nothing is lost, it is what is still to be read.
            #expect(try isHeld(other, 6...6) == false)
        }

        @Test("a copy waits as long as its original asks, and goes back with it")
        func copies() async throws {
            let family = Servers.families[0]
            try await Self.withTwoLives(family) { server, old, proxy in
                let (scratch, copied, targets) = (Scratch(), Scratch(), Targets())
                let mark = try server.place()
                targets.set("one", [mark], isReading: true)
                let options = try Self.options(server, scratch, proxy, targets)
                try await withRelay(options) { log in
                    try await serving(log) { port in
                        try await asking(port) { remote in
                            var options = options
                            options.path = copied.path
                            options.original = remote
                            options.serverID += 1
                            options.checkpoints = { _, _ in [] }
                            try await withRelay(options) { copy in
                                try server.sql("INSERT INTO twice.t VALUES (1, 'lost')")
                                let end = try server.end()
                                try await wait(for: "the copy") { copy.reached(end) }
                                try await Self.lose(server, old, proxy)
                                try await wait(for: "the question") {
                                    targets.questions("one") > 3
                                }
                                // It has been told by now.
                                try await wait(for: "the reason") {
                                    copy.status.reason?.contains("lets nobody read") == true
                                }
                                try await log.settle(
                                    HeldTransactions(
                                        task: "one", target: "", positions: [mark],
                                        others: IdentitySet()))
                                let last = try old.end()
                                try await wait(for: "the copy") { copy.reached(last) }
                                #expect(copy.status.state == .running)
                            }
                        }
                    }
                }
                #expect(try differences(scratch, copied) == [])
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
