import Foundation
import Logging
import MySQLClient
import MySQLCore
import Relay
import Runtime
import Settings
import Stream
import Synchronization
import TestServers
import Testing

@testable import Worker

/// Workers that nobody asks anything.
private final class Silence: RelayExchange {
    func serve(_ log: RelayLog, as source: String) {}
    func withdraw(_ source: String) {}
    func connection(to address: String, source: String) throws -> any RelayConnection {
        throw CancellationError()
    }
}

@Suite("The relay log of a source that is elsewhere", .serialized)
struct RelayRestTests {
    private struct Overdue: Error { let what: String }

    private static func wait(for what: String, _ condition: () throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try !condition() {
            guard ContinuousClock.now < deadline else { throw Overdue(what: what) }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// A log of two days ago, whose third file a task needs that is paused.
    private struct Left {
        let data: String
        let options: SourceRelay.Options
        var folder: String { options.folder }

        var files: [String] {
            ((try? RelayArchive(path: folder).files()) ?? []).map(\.name)
        }
    }

    /// Keeps a log for a moment; its folder is free afterwards.
    private static func write(
        _ folder: String, _ server: TestServer, _ source: ConnectionOptions
    ) async throws {
        let session = SourceSession(try Connection(source))
        let name = try session.serverName()
        try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)")
        let log = try RelayLog(RelayOptions(path: folder, source: source, serverID: 4711))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await log.run() }
            try await log.ready()
            for n in 1...4 {
                try server.sql("INSERT INTO d.t VALUES (\(n)); FLUSH BINARY LOGS")
            }
            let end = try session.currentPosition()
            try await Self.wait(for: "the relay") { log.status.position.map { $0 >= end } ?? false }
            try log.need("paused", "bin.000003", of: name)
            group.cancelAll()
        }
    }

    private static func with(_ body: (Left) async throws -> Void) async throws {
        try await TestServer.with(.mariadb) { server in
            let data = NSTemporaryDirectory() + "skein-rest-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: data) }
            let folder = data + "/relay/shop"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            let source = ConnectionOptions(
                port: server.port, user: TestServer.user, password: Password(TestServer.password))
            try await Self.write(folder, server, source)
            let manager = FileManager.default
            for path in try manager.subpathsOfDirectory(atPath: folder) where path.contains("/bin.")
            {
                try manager.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -172_800)],
                    ofItemAtPath: folder + "/" + path)
            }
            try await body(
                Left(
                    data: data,
                    options: SourceRelay.Options(folder: folder, source: source, serverID: 4711)))
        }
    }

    private static func order(
        _ tasks: Set<String>?, _ holding: RelayHolding? = nil
    ) -> RelayRestOrder {
        RelayRestOrder(
            settings: { throw SettingsError("not read here") }, tasks: tasks, holding: holding)
    }

    /// Runs a rest while `body` does; it has to end by itself.
    private static func resting(
        _ left: Left, _ order: RelayRestOrder,
        _ body: @escaping @Sendable (RelayRest) async throws -> Void
    ) async throws {
        let rest = RelayRest(
            source: "shop", left.options, order: order, exchange: Silence(),
            logger: Logger(label: "test"), houseInterval: .milliseconds(100))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await rest.run()
                throw CancellationError()
            }
            do {
                try await Self.wait(for: "the rest") { rest.log != nil }
                try await body(rest)
            } catch {
                rest.stop()
                while let _ = try? await group.next() {}
                throw error
            }
            await #expect(throws: CancellationError.self) { try await group.next() }
        }
    }

    @Test("what a paused task needs of it stays, and what somebody reads, however old it is")
    func kept() async throws {
        try await Self.with { left in
            #expect(left.files.count >= 5)
            let newest = try #require(left.files.last)
            try await Self.resting(left, Self.order(["paused", "other"])) { rest in
                try await Self.wait(for: "the purge") { left.files.first == "bin.000003" }
                try await Task.sleep(for: .seconds(1))
                #expect(left.files.first == "bin.000003")
                #expect(rest.status?.log.reason?.contains("paused") == true)
                // It is kept on a guess: who looks is told.
                var unread = Self.order(["paused", "other"])
                unread.unreadTasks = ["paused"]
                rest.order(unread)
                try await Self.wait(for: "the reason") {
                    rest.status?.log.reason?.contains("paused (whose record can't be read)") == true
                }
                // The source's worker reads it.
                let folder = try #require(rest.log?.contents.first?.folder)
                let reader = try #require(
                    try rest.log?.reader(
                        from: BinlogPosition(file: "bin.000003", offset: 4), in: folder))
                _ = try await reader.next()
                // The task is removed.
                rest.order(Self.order(["other"]))
                try await Self.wait(for: "the need") { rest.log?.needs.isEmpty == true }
                try await Task.sleep(for: .seconds(1))
                #expect(left.files.first == "bin.000003")
                reader.close()
            }
            #expect(left.files == [newest])
        }
    }

    @Test("a need that can't be read ends nothing, is told of, and goes with its task")
    func unreadNeed() async throws {
        try await Self.with { left in
            let newest = try #require(left.files.last)
            let count = left.files.count
            let note = left.folder + "/skein/needs/paused"
            // It goes on as long as this one needs something.
            try FileManager.default.copyItem(
                atPath: note, toPath: left.folder + "/skein/needs/other")
            try Data("?".utf8).write(to: URL(filePath: note))
            try await Self.resting(left, Self.order(["paused", "other"])) { rest in
                let log = try #require(rest.log)
                try await Self.wait(for: "the reason") {
                    rest.status?.log.reason?.contains("paused (whose note can't be read") == true
                }
                try await Self.wait(for: "the purge") { !log.status.problems.isEmpty }
                try await Task.sleep(for: .seconds(1))
                #expect(rest.log === log && rest.status?.log.state == "ended")
                #expect(left.files.count == count)
                // Its task is removed, and its note can't be: it is a folder.
                try FileManager.default.removeItem(atPath: note)
                try FileManager.default.createDirectory(
                    atPath: note, withIntermediateDirectories: false)
                rest.order(Self.order(["other"]))
                try await Self.wait(for: "a try") {
                    log.status.warnings.contains { $0.contains("can't be forgotten") }
                }
                // Nobody orders anything any more.
                try FileManager.default.removeItem(atPath: note)
                try Data("?".utf8).write(to: URL(filePath: note))
                try await Self.wait(for: "another try") { try log.needers == ["other"] }
                rest.order(Self.order([]))
            }
            #expect(left.files == [newest])
        }
    }

    /// A note that can't be read may name any file: it goes when the source's worker has the newest.
    private static func coverUnread(_ left: Left, _ newest: String) throws {
        let log = try RelayLog(
            RelayOptions(path: left.folder, source: left.options.source, serverID: 4711))
        let folder = try #require(log.contents.last?.folder)
        let note = URL(filePath: left.folder + "/skein/needs/paused")
        let known = try Data(contentsOf: note)
        try Data("?".utf8).write(to: note)
        func look(_ server: String, _ last: String, of task: String = "paused") throws {
            let holding = RelayHolding(server: server, last: last, needs: [task: "bin.000001"])
            try log.forgetNeeds(order(["paused"], holding))
        }
        try look(folder.server, "bin.000003")
        try look("0-4712", newest)
        try look(folder.server, newest, of: "other")
        #expect(try log.needers == ["paused"])
        try look(folder.server, newest)
        #expect(try log.needers == [])
        try known.write(to: note)
    }

    @Test("it goes when the source's worker has what the task needs")
    func covered() async throws {
        try await Self.with { left in
            let newest = try #require(left.files.last)
            try Self.coverUnread(left, newest)
            try await Self.resting(left, Self.order(nil)) { rest in
                let server = try #require(rest.log?.needs["paused"]?.folder.server)
                // Not yet as far.
                rest.order(
                    Self.order(
                        ["paused"],
                        RelayHolding(
                            server: server, last: "bin.000002", needs: ["paused": "bin.000001"])))
                try await Task.sleep(for: .seconds(1))
                #expect(rest.log?.needs.count == 1)
                rest.order(
                    Self.order(
                        ["paused"],
                        RelayHolding(
                            server: server, last: "bin.000004", needs: ["paused": "bin.000001"])))
            }
            #expect(left.files == [newest])
        }
    }

    @Test("a worker has what a task needs when its newest folder goes on from there")
    func covers() {
        let holding = RelayHolding(
            server: "0-7", last: "bin.000010", needs: ["t": "bin.000005"])
        #expect(holding.covers("t", from: "bin.000004", of: "0-7"))
        #expect(holding.covers("t", from: "bin.000005", of: "0-7"))
        #expect(holding.covers("t", from: "bin.000010", of: "0-7"))
        // It is late, or of another server, or of another task.
        #expect(!holding.covers("t", from: "bin.000011", of: "0-7"))
        #expect(!holding.covers("t", from: "bin.000005", of: "0-8"))
        #expect(!holding.covers("u", from: "bin.000005", of: "0-7"))
    }

    @Test("who asks for files to be removed is answered")
    func asked() async throws {
        try await Self.with { left in
            try await Self.resting(left, Self.order(["paused"])) { rest in
                let folder = left.folder
                func purge(_ file: String, isForced: Bool) async throws -> [String] {
                    try await withThread("purge") {
                        try RelayArchive(path: folder).purge(
                            before: file, olderSeconds: nil, isForced: isForced, now: 0)
                    }
                }
                // Those before go.
                _ = try await purge("bin.000003", isForced: false)
                await #expect(throws: RelayError.self) {
                    try await purge("bin.000004", isForced: false)
                }
                let removed = try await purge("bin.000004", isForced: true)
                #expect(removed.contains { $0.hasSuffix("/bin.000003") })
            }
        }
    }

    @Test("one that an earlier process has left is served again, and the unknown ones stay")
    func found() async throws {
        try await Self.with { left in
            let lost = left.data + "/relay/removed"
            try FileManager.default.copyItem(atPath: left.folder, toPath: lost)
            let worker = WorkerRuntime(
                name: "w", dataFolder: left.data, exchange: Silence(),
                describe: {
                    SubtaskError(
                        code: "", message: "\($0)", remedy: nil, isRetryable: false, time: 0)
                },
                logger: Logger(label: "test"))
            let settings = SourceSettings(name: "shop", server: left.options.source)
            let order = RelayRestOrder(settings: { settings }, tasks: ["paused"])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await worker.run() }
                defer { group.cancelAll() }
                worker.order([:], copies: [:])
                try await Task.sleep(for: .milliseconds(200))
                // What is not known yet is not gone.
                #expect(worker.keptRelays == ["shop", "removed"])
                #expect(worker.status().relays.isEmpty)
                worker.keep(["shop": order, "elsewhere": order])
                try await Self.wait(for: "the log") { worker.keptRelays == ["shop"] }
                try await Self.wait(for: "the status") {
                    worker.status().relays.contains {
                        $0.source == "shop" && $0.log.reason?.contains("paused") == true
                    }
                }
                let done = try await worker.purgeRelay(
                    of: "shop", before: "bin.000002", inUse: false)
                #expect(done.freedBytes > 0 && done.firstFile == "bin.000002", "\(done)")
                #expect(try RelayArchive(path: lost).files().first?.name == "bin.000001")
                // It runs here again, or is copied.
                worker.order(
                    [:],
                    copies: [
                        "shop": RelayCopyOrder(
                            settings: .success(settings), settingsRevision: 1,
                            original: RelayHolder(worker: "v", address: "127.0.0.1:1"))
                    ])
                try await Self.wait(for: "the status") {
                    worker.status().relays.contains { $0.log.state == "connecting" }
                }
            }
        }
    }
}
