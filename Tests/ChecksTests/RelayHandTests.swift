import Foundation
import Logging
import MySQLClient
import MySQLCore
import Relay
import Rules
import Runtime
import Settings
import Stream
import Synchronization
import TestServers
import Testing

@testable import Worker

/// Another worker that answers nobody, and knows what is served here.
private final class Counter: RelayExchange {
    private struct Silent: RelayConnection {
        let name = "silent"
        var lost: RelayError { .unreachable(peer: name, detail: "nobody is there") }

        func contents() async throws -> [RelayContents] { throw lost }
        func locate(_ place: StreamPlace) async throws -> (folder: RelayFolder, file: String) {
            throw lost
        }
        func reader(
            from position: BinlogPosition, in folder: RelayFolder, behind tail: EventTail
        ) async throws -> any EventReader { throw lost }
        func run() async throws { try await Task.sleep(for: .seconds(3600)) }
    }
    private let logs = Mutex<[String: RelayLog]>([:])
    /// How often the worker was seen to say that it has no relay log.
    let gaps = Mutex(0)
    /// Whether who ends is held up in that, and whether somebody is.
    let isSlow = Mutex(false)
    let isWithdrawing = Mutex(false)
    /// How often a log was served.
    let services = Mutex(0)

    var served: Set<String> { Set(logs.withLock { $0.keys }) }

    func serve(_ log: RelayLog, as source: String) {
        logs.withLock { $0[source] = log }
        services.withLock { $0 += 1 }
    }
    func withdraw(_ source: String) {
        while isSlow.withLock({ $0 }) {
            isWithdrawing.withLock { $0 = true }
            Thread.sleep(forTimeInterval: 0.001)
        }
        logs.withLock { $0[source] = nil }
    }
    func connection(to address: String, source: String) throws -> any RelayConnection { Silent() }
}

/// A relay log that a subtask may need is in somebody's hands, or announced, at every moment.
@Suite("A relay log between hands", .serialized)
struct RelayHandTests {
    private struct Overdue: Error { let what: String }

    private static func wait(for what: String, _ condition: () throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try !condition() {
            guard ContinuousClock.now < deadline else { throw Overdue(what: what) }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// A worker, and what a process of it before has left: a log that a paused task needs.
    private struct Scene: Sendable {
        let worker: WorkerRuntime
        let exchange: Counter
        let data: String
        let source: ConnectionOptions
        var folder: String { data + "/relay/shop" }

        var rest: RelayRestOrder {
            let settings = SourceSettings(name: "shop", server: source)
            return RelayRestOrder(settings: { settings }, tasks: ["paused"])
        }
        var copy: RelayCopyOrder {
            RelayCopyOrder(
                settings: .success(SourceSettings(name: "shop", server: source)),
                settingsRevision: 1, original: RelayHolder(worker: "v", address: "127.0.0.1:1"))
        }
        /// The task is there, and paused.
        var order: SourceOrder {
            var settings = MigrationSettings(
                source: source, target: source, selection: TableSelection(tables: []))
            settings.name = "paused"
            settings.sourceID = "shop"
            return SourceOrder(
                epoch: 1,
                subtasks: [
                    "paused": SubtaskOrder(
                        wanted: .paused, settings: .success(settings), settingsRevision: 1,
                        requestRevision: 1)
                ])
        }

        func isServedByRest() -> Bool {
            exchange.served == ["shop"]
                && worker.status().relays.contains {
                    $0.source == "shop" && $0.log.state == "ended"
                        && $0.log.reason?.contains("paused") == true
                }
        }
    }

    private static func write(
        _ folder: String, _ server: TestServer, _ source: ConnectionOptions,
        tasks: [String] = ["paused"]
    ) async throws {
        let session = SourceSession(try Connection(source))
        let name = try session.serverName()
        try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); FLUSH BINARY LOGS")
        let log = try RelayLog(RelayOptions(path: folder, source: source, serverID: 4711))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await log.run() }
            try await log.ready()
            let file = try session.currentPosition().file
            try server.sql("INSERT INTO d.t VALUES (1)")
            let end = try session.currentPosition()
            try await wait(for: "the relay") { log.status.position.map { $0 >= end } ?? false }
            for task in tasks { try log.need(task, file, of: name) }
            group.cancelAll()
        }
    }

    /// Runs a worker while `body` does. From the moment on when it knows its orders it never says
    /// that it has no relay log.
    private static func with(
        hasLog: Bool = true, _ first: (Scene) -> Void, _ body: (Scene) async throws -> Void
    ) async throws {
        try await TestServer.with(.mariadb) { server in
            let data = NSTemporaryDirectory() + "skein-hands-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: data) }
            let source = ConnectionOptions(
                port: server.port, user: TestServer.user, password: Password(TestServer.password))
            try FileManager.default.createDirectory(
                atPath: data + "/relay/shop", withIntermediateDirectories: true)
            try await write(data + "/relay/shop", server, source)
            let exchange = Counter()
            let worker = WorkerRuntime(
                name: "w", dataFolder: data, exchange: exchange,
                describe: {
                    SubtaskError(
                        code: "", message: "\($0)", remedy: nil, isRetryable: false, time: 0)
                },
                logger: Logger(label: "test"))
            let scene = Scene(worker: worker, exchange: exchange, data: data, source: source)
            first(scene)
            worker.keep(["shop": scene.rest])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !Task.isCancelled {
                        if worker.keptRelays != ["shop"] { exchange.gaps.withLock { $0 += 1 } }
                        try? await Task.sleep(for: .microseconds(200))
                    }
                }
                // Nothing that it was told has been taken up yet.
                try await Task.sleep(for: .milliseconds(20))
                group.addTask { await worker.run() }
                defer { group.cancelAll() }
                try await body(scene)
                #expect(
                    !hasLog || exchange.gaps.withLock { $0 } == 0, "it said that it has none")
            }
        }
    }

    @Test("a worker that began while all tasks were paused serves it when the source has gone")
    func paused() async throws {
        try await Self.with {
            $0.worker.order(["shop": $0.order], copies: [:])
        } _: { scene in
            try await Self.wait(for: "the subtask") { scene.worker.status().subtasks.count == 1 }
            try await Task.sleep(for: .milliseconds(500))
            #expect(scene.exchange.served == [])
            scene.worker.order([:], copies: [:])
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
        }
    }

    @Test("the same, while it is not known yet which sources there are")
    func unknown() async throws {
        try await Self.with {
            $0.worker.order(["shop": $0.order], copies: [:])
        } _: { scene in
            try await Self.wait(for: "the subtask") { scene.worker.status().subtasks.count == 1 }
            scene.worker.keep(nil)
            scene.worker.order([:], copies: [:])
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
        }
    }

    @Test("what a task needs stays while its record can't be read, though others read the log")
    func unreadable() async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-hands-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let source = ConnectionOptions(
                port: server.port, user: TestServer.user, password: Password(TestServer.password))
            try await Self.write(folder, server, source, tasks: ["paused", "removed"])
            var settings = MigrationSettings(
                source: source, target: source, selection: TableSelection(tables: []))
            settings.name = "other"
            settings.sourceID = "shop"
            var order = SourceOrder(
                epoch: 1,
                subtasks: [
                    "other": SubtaskOrder(
                        wanted: .paused, settings: .success(settings), settingsRevision: 1,
                        requestRevision: 1)
                ])
            order.unreadTasks = ["paused"]
            let runner = SourceRunner(
                source: "shop", order: order, folder: folder, exchange: nil,
                describe: {
                    SubtaskError(
                        code: "", message: "\($0)", remedy: nil, isRetryable: false, time: 0)
                }, logger: Logger(label: "test"))
            let isNeeded = { (task: String) in
                try RelayArchive(path: folder).files().flatMap(\.neededBy).contains(task)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await runner.run() }
                defer { group.cancelAll() }
                let relay = try #require(runner.relay(settings))
                try await relay.open(for: "other", needed: nil).log.ready()
                // As often as it is ordered so.
                runner.order(order)
                try await Task.sleep(for: .milliseconds(500))
                #expect(try isNeeded("paused"))
                // Nor is it known what its target has applied: who must know has to wait.
                let ask = try #require(runner.relayOptions?.checkpoints)
                await #expect(throws: UnansweredTarget.self) { try await ask(false, ["other"]) }
                #expect(try await ask(false, ["other", "paused"]).isEmpty)
                // Of the others it is known that they have gone.
                #expect(try !isNeeded("removed"))
                // It can be read: there is no such subtask.
                order.unreadTasks = []
                runner.order(order)
                try await Self.wait(for: "its end") { try !isNeeded("paused") }
            }
        }
    }

    @Test("a task whose record can't be read does not hold up the others when the log is full")
    func unreadableAtLimit() async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-hands-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let source = ConnectionOptions(
                port: server.port, user: TestServer.user, password: Password(TestServer.password))
            try await Self.write(folder, server, source)
            // It runs, and tries for ever to reach its servers.
            func nowhere(_ port: UInt16) -> ConnectionOptions {
                ConnectionOptions(port: port, user: "nobody", password: Password(""))
            }
            var busy = MigrationSettings(
                source: nowhere(1), target: nowhere(2), selection: TableSelection(tables: []))
            busy.name = "busy"
            busy.sourceID = "shop"
            busy.keepsRelay = false
            var order = SourceOrder(
                epoch: 1,
                subtasks: [
                    "busy": SubtaskOrder(
                        wanted: .running, settings: .success(busy), settingsRevision: 1,
                        requestRevision: 1)
                ])
            order.unreadTasks = ["paused"]
            let runner = SourceRunner(
                source: "shop", order: order, folder: folder, exchange: nil,
                describe: {
                    SubtaskError(
                        code: "", message: "\($0)", remedy: nil, isRetryable: false, time: 0)
                }, logger: Logger(label: "test"))
            var settings = MigrationSettings(
                source: source, target: source, selection: TableSelection(tables: []))
            settings.name = "other"
            settings.sourceID = "shop"
            settings.relayLimitBytes = 100_000
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await runner.run() }
                defer { group.cancelAll() }
                let relay = try #require(runner.relay(settings))
                let log = try await relay.open(for: "other", needed: nil).log
                try await log.ready()
                #expect(try log.needers == ["paused"])
                // Of this one nobody knows anything at all.
                let note = folder + "/skein/needs/paused"
                try FileManager.default.copyItem(atPath: note, toPath: note + "-before")
                try server.sql("CREATE TABLE d.big (a LONGTEXT)")
                for _ in 1...6 {
                    try server.sql(
                        "INSERT INTO d.big VALUES (REPEAT('x', 60000)); FLUSH BINARY LOGS")
                }
                // The limit is looked at now and then, when something comes.
                try await Self.wait(for: "its need to be given up") {
                    try server.sql("INSERT INTO d.big VALUES ('y')")
                    return try log.needers.isEmpty
                }
                let end = try SourceSession(try Connection(source)).currentPosition()
                try await Self.wait(for: "the end of the binlog") {
                    log.status.position.map { $0 >= end } ?? false
                }
            }
        }
    }

    @Test("a copy that is wanted no more is served as it is")
    func copied() async throws {
        try await Self.with {
            $0.worker.order([:], copies: ["shop": $0.copy])
        } _: { scene in
            try await Self.wait(for: "the copy") { scene.exchange.served == ["shop"] }
            #expect(!scene.isServedByRest())
            scene.worker.order([:], copies: [:])
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
        }
    }

    @Test("a source that comes and goes within a moment leaves it served")
    func backAndForth() async throws {
        try await Self.with {
            $0.worker.order([:], copies: [:])
        } _: { scene in
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
            for n in 0..<24 {
                if n % 2 == 0 {
                    scene.worker.order(["shop": scene.order], copies: [:])
                } else {
                    scene.worker.order([:], copies: ["shop": scene.copy])
                }
                try await Task.sleep(for: .milliseconds(n))
                scene.worker.order([:], copies: [:])
                try await Task.sleep(for: .milliseconds(n % 5))
            }
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
            try await Task.sleep(for: .seconds(1))
            #expect(scene.isServedByRest())
        }
    }

    @Test("a source that has gone again before its relay log was let go leaves it served")
    func tooLate() async throws {
        try await Self.with {
            $0.worker.order([:], copies: [:])
        } _: { scene in
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
            scene.exchange.isSlow.withLock { $0 = true }
            defer { scene.exchange.isSlow.withLock { $0 = false } }
            scene.worker.order(["shop": scene.order], copies: [:])
            try await Self.wait(for: "its end") { scene.exchange.isWithdrawing.withLock { $0 } }
            scene.worker.order([:], copies: [:])
            scene.exchange.isSlow.withLock { $0 = false }
            try await Self.wait(for: "the next rest") {
                scene.exchange.services.withLock { $0 } == 2 && scene.isServedByRest()
            }
        }
    }

    @Test("what can't be served is announced, says why, and is tried again")
    func damaged() async throws {
        try await Self.with { scene in
            // Nothing can be locked there.
            let lock = scene.folder + "/skein/lock"
            try? FileManager.default.removeItem(atPath: lock)
            try? FileManager.default.createDirectory(
                atPath: lock, withIntermediateDirectories: true)
            scene.worker.order([:], copies: [:])
        } _: { scene in
            try await Self.wait(for: "the reason") {
                scene.worker.status().relays.first?.log.reason?.contains("can't be kept") == true
            }
            #expect(scene.exchange.served == [])
            try FileManager.default.removeItem(atPath: scene.folder + "/skein/lock")
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
        }
    }

    @Test("a relay log that another process writes is that one's until it ends")
    func theirs() async throws {
        let other = Mutex<RelayLog?>(nil)
        try await Self.with(hasLog: false) { scene in
            other.withLock {
                $0 = try? RelayLog(
                    RelayOptions(path: scene.folder, source: scene.source, serverID: 4712))
            }
            #expect(other.withLock { $0 != nil })
            scene.worker.order([:], copies: [:])
        } _: { scene in
            try await Self.wait(for: "a look") { scene.worker.keptRelays == [] }
            // Other things change meanwhile.
            scene.worker.keep(["shop": scene.rest])
            try await Task.sleep(for: .milliseconds(300))
            #expect(scene.worker.keptRelays == [] && scene.exchange.served == [])
            // Nothing else happens from now on.
            other.withLock { $0 = nil }
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
            #expect(scene.worker.keptRelays == ["shop"])
        }
    }

    @Test("a relay log that is not there is in nobody's hands")
    func absent() async throws {
        try await Self.with {
            $0.worker.order([:], copies: [:])
        } _: { scene in
            try await Self.wait(for: "the rest") { scene.isServedByRest() }
            scene.worker.keep(["shop": scene.rest, "other": scene.rest])
            try await Task.sleep(for: .milliseconds(300))
            #expect(scene.worker.status().relays.map(\.source) == ["shop"])
        }
    }
}
