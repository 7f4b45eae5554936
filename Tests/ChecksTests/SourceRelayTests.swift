import Foundation
import Logging
import MySQLClient
import MySQLCore
import Relay
import Rules
import Runtime
import Settings
import Stream
import TestServers
import Testing

@testable import Worker

/// Another worker, whose relay log is in this process.
private struct Neighbours: RelayExchange {
    private struct Neighbour: RelayConnection {
        let name = "neighbour"
        let log: RelayLog

        func contents() async throws -> [RelayContents] { log.contents }
        func locate(_ place: StreamPlace) async throws -> (folder: RelayFolder, file: String) {
            try log.locate(place)
        }
        func reader(
            from position: BinlogPosition, in folder: RelayFolder, behind tail: EventTail
        ) async throws -> any EventReader {
            try log.reader(from: position, in: folder)
        }
        func run() async throws { try await Task.sleep(for: .seconds(3600)) }
    }
    let log: RelayLog

    func serve(_ log: RelayLog, as source: String) {}
    func withdraw(_ source: String) {}
    func connection(to address: String, source: String) throws -> any RelayConnection {
        Neighbour(log: log)
    }
}

@Suite("A source's relay log in a worker", .serialized) struct SourceRelayTests {
    private struct Overdue: Error {}

    /// Opens the log for some tasks, and looks at it when it has come to the source's end.
    private static func opened(
        _ server: TestServer, _ folder: String, _ tasks: [String: SourcePosition?],
        readers: Set<String>?, _ look: @escaping @Sendable (RelayLog) throws -> Void
    ) async throws {
        let source = options(server)
        let relay = SourceRelay(
            SourceRelay.Options(folder: folder, source: source, serverID: .random(in: 1...9999)),
            endsWithLog: true, logger: Logger(label: "test"))
        relay.expect(Set(tasks.keys), of: readers)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await relay.run()
                return false
            }
            group.addTask {
                var log: RelayLog?
                for (name, needed) in tasks {
                    log = try await relay.open(for: name, needed: needed).log
                }
                guard let log else { return false }
                try await log.ready()
                let end = try place(server)
                let deadline = ContinuousClock.now + .seconds(60)
                while log.status.position.map({ $0 < end }) ?? true {
                    guard ContinuousClock.now < deadline else { throw Overdue() }
                    try await Task.sleep(for: .milliseconds(10))
                }
                try look(log)
                return true
            }
            while let isDone = try await group.next(), !isDone {}
            group.cancelAll()
            while let _ = try? await group.next() {}
        }
    }

    private static func options(_ server: TestServer) -> ConnectionOptions {
        ConnectionOptions(
            port: server.port, user: TestServer.user, password: Password(TestServer.password))
    }

    private static func place(_ server: TestServer) throws -> BinlogPosition {
        try SourceSession(try Connection(options(server))).currentPosition()
    }

    private static func position(_ server: TestServer) throws -> SourcePosition {
        let session = SourceSession(try Connection(options(server)))
        return SourcePosition(
            origin: Origin(server: try session.serverName(), life: 0),
            binlog: try session.currentPosition(), gtids: try session.currentGTIDs())
    }

    @Test(
        "what a task needed before it was elsewhere does not count; what a paused one needs does",
        arguments: [false, true])
    func needs(hasPaused: Bool) async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)")
            let first = try Self.position(server)
            let names: Set<String> = hasPaused ? ["moved", "paused"] : ["moved"]
            try await Self.opened(server, folder, ["moved": first], readers: names) { log in
                for name in names {
                    try log.need(name, first.binlog.file, of: first.origin.server)
                }
            }
            try server.sql(
                "INSERT INTO d.t VALUES (1); FLUSH BINARY LOGS; FLUSH BINARY LOGS; "
                    + "INSERT INTO d.t VALUES (2)")
            let later = try Self.position(server)
            try await Self.opened(server, folder, ["moved": later], readers: names) { log in
                // Everything since, only for whoever can't ask.
                #expect(log.contents.count == (hasPaused ? 1 : 2))
                #expect(
                    log.holds(first.binlog.file, of: first.origin.server))
                #expect(log.holds(later.binlog.file, of: later.origin.server))
            }
        }
    }

    /// Runs a source's log while `body` uses it.
    private static func running(
        _ relay: SourceRelay, _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await relay.run()
                return false
            }
            group.addTask {
                try await body()
                return true
            }
            while let isDone = try await group.next(), !isDone {}
            group.cancelAll()
            while let _ = try? await group.next() {}
        }
    }

    @Test("what a task has asked for long ago neither drops its need nor takes the blame")
    func oldQuestions() async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)")
            let first = try Self.position(server)
            let relay = SourceRelay(
                SourceRelay.Options(
                    folder: folder, source: Self.options(server), serverID: .random(in: 1...9999)),
                endsWithLog: false, logger: Logger(label: "test"))
            let reasons = Mailbox<SourceRelay.Reason>()
            try await Self.running(relay) {
                let opening = try await relay.open(for: "first", needed: first)
                try await opening.log.ready()
                // What is not there yet can't be needed.
                let deadline = ContinuousClock.now + .seconds(60)
                while !opening.log.holds(first.binlog.file, of: first.origin.server) {
                    guard ContinuousClock.now < deadline else { throw Overdue() }
                    try await Task.sleep(for: .milliseconds(10))
                }
                // It has copied nothing yet when it asks, and then needs what is there.
                _ = try await relay.open(for: "late", needed: nil)
                try opening.log.need("late", first.binlog.file, of: first.origin.server)
                reasons.send(opening.reason)
            }
            try server.sql("INSERT INTO d.t VALUES (1); FLUSH BINARY LOGS; FLUSH BINARY LOGS")
            let later = try Self.position(server)
            try await Self.running(relay) {
                let opening = try await relay.open(for: "second", needed: later)
                try await opening.log.ready()
                let old = try await reasons.next()
                #expect(old.isBlamed("first") && !old.isBlamed("late") && !old.isBlamed("second"))
                #expect(opening.reason.isBlamed("second") && !opening.reason.isBlamed("first"))
            }
            let needed = try RelayArchive(path: folder).files().flatMap(\.neededBy)
            #expect(needed.contains("late"))
        }
    }

    @Test("as long as it is not known who may need the log, no need is forgotten")
    func unknownReaders() async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)")
            let first = try Self.position(server)
            let names: Set<String> = ["task", "resting"]
            try await Self.opened(server, folder, ["task": first], readers: names) { log in
                for name in names {
                    try log.need(name, first.binlog.file, of: first.origin.server)
                }
            }
            try server.sql("FLUSH BINARY LOGS; INSERT INTO d.t VALUES (1)")
            let later = try Self.position(server)
            let needs: @Sendable () throws -> Set<String> = {
                Set(try RelayArchive(path: folder).files().flatMap(\.neededBy))
            }
            // A worker that was started again, and can't read the records of the other one.
            let relay = SourceRelay(
                SourceRelay.Options(
                    folder: folder, source: Self.options(server), serverID: .random(in: 1...9999)),
                endsWithLog: false, logger: Logger(label: "test"))
            try await Self.running(relay) {
                relay.expect(["task"], of: nil)
                try await relay.open(for: "task", needed: later).log.ready()
                // The one that asks has said itself what it needs.
                #expect(try needs() == ["resting"])
                relay.expect(["task"], of: names)
                relay.expect(["task"], of: nil)
                #expect(try needs() == ["resting"])
                relay.expect(["task"], of: ["task"])
                #expect(try needs() == [])
            }
        }
    }

    @Test("a need whose file was removed all the same is given up, and forgotten, like any other")
    func lostNeed() async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)")
            let first = try Self.position(server)
            let relay = SourceRelay(
                SourceRelay.Options(
                    folder: folder, source: Self.options(server), serverID: .random(in: 1...9999)),
                endsWithLog: false, logger: Logger(label: "test"))
            try await Self.running(relay) {
                let log = try await relay.open(for: "task", needed: first).log
                try await log.ready()
                try server.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS; FLUSH BINARY LOGS")
                let last = try Self.position(server)
                let deadline = ContinuousClock.now + .seconds(60)
                while !log.holds(last.binlog.file, of: last.origin.server) {
                    guard ContinuousClock.now < deadline else { throw Overdue() }
                    try await Task.sleep(for: .milliseconds(10))
                }
                for name in ["resting", "gone"] {
                    try log.need(name, first.binlog.file, of: first.origin.server)
                }
                let files = try #require(log.contents.first?.files.map(\.name))
                let (second, third) = (files[1], files[2])
                #expect(try log.purge(before: second, isForced: true).count == 1)
                // It holds up what follows, and can't be seen beside a file.
                #expect(throws: RelayError.self) {
                    try log.purge(before: last.binlog.file, isForced: false)
                }
                #expect(try RelayArchive(path: folder).files().flatMap(\.neededBy) == [])
                // What another one holds as well makes no room.
                #expect(try relay.giveUpNeeds { _ in ["resting", "other"] } == [])
                #expect(try log.needers == ["resting", "gone"])
                try log.need("gone", third, of: first.origin.server)
                #expect(try relay.giveUpNeeds { _ in ["resting", "other"] } == ["resting"])
                #expect(try log.needers == ["gone"])
                #expect(try log.purge(before: last.binlog.file, isForced: true).count == 2)
            }
            // A worker that was started again, after that task was removed.
            let again = SourceRelay(
                SourceRelay.Options(
                    folder: folder, source: Self.options(server), serverID: .random(in: 1...9999)),
                endsWithLog: false, logger: Logger(label: "test"))
            try await Self.running(again) {
                again.expect(["task"], of: ["task"])
                let log = try await again.open(for: "task", needed: nil).log
                #expect(try log.needers == [])
            }
        }
    }

    @Test("a need that can't be read keeps no log from opening, and is kept in full")
    func unreadNeeds() async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)")
            let first = try Self.position(server)
            let names: Set<String> = ["task", "resting"]
            try await Self.opened(server, folder, ["task": first], readers: names) { log in
                for name in names {
                    try log.need(name, first.binlog.file, of: first.origin.server)
                }
            }
            // It leads to itself: the superuser can't read that either.
            for name in names {
                let note = folder + "/skein/needs/" + name
                try FileManager.default.removeItem(atPath: note)
                try FileManager.default.createSymbolicLink(
                    atPath: note, withDestinationPath: note)
            }
            try await Self.opened(server, folder, ["task": first], readers: names) { log in
                let noted = try log.notedNeeds()
                #expect(noted.files["task"]?.file == first.binlog.file)
                #expect(Set(noted.unread.keys) == ["resting"])
            }
            // Nobody has it any more.
            try await Self.opened(server, folder, ["task": first], readers: ["task"]) { log in
                let needers = try log.needers
                #expect(needers == ["task"])
            }
        }
    }

    /// What happens, after a log could not be opened for a task, before it is for another one.
    enum Meanwhile: CaseIterable, Sendable { case nothing, directlyRead, ended }

    @Test(
        "files of who reads the source instead of a log stay until that has given it something",
        arguments: Meanwhile.allCases)
    func skipped(meanwhile: Meanwhile) async throws {
        let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let names: Set<String> = ["task", "resting"]
        let notes = folder + "/skein/needs"
        let files = FileManager.default
        try files.createDirectory(atPath: notes, withIntermediateDirectories: true)
        for name in names {
            try Data("0-1.000001\nbin.000001\n".utf8).write(to: URL(filePath: notes + "/" + name))
        }
        let nowhere = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
        let relay = SourceRelay(
            SourceRelay.Options(folder: folder, source: nowhere, serverID: 1),
            endsWithLog: false, logger: Logger(label: "test"))
        relay.expect(["task"], of: names)
        var settings = MigrationSettings(
            source: nowhere, target: nowhere, selection: TableSelection(tables: []))
        settings.name = "task"
        settings.stateFolder = folder
        let board = StatusBoard()
        let migration = MigrationRelay(
            settings: settings, board: board, serverID: 1, shared: relay, fences: RelayFences(),
            own: OwnRuns(fences: RelayFences()), logger: Logger(label: "test"))
        // It leads to itself.
        let lock = folder + "/skein/lock"
        try files.createSymbolicLink(atPath: lock, withDestinationPath: lock)
        try await migration.open(
            needed: SourcePosition(
                origin: Origin(server: ServerUUID(high: 0, low: 1), life: 0),
                binlog: BinlogPosition(file: "bin.000001", offset: 4), gtids: .none))
        #expect(migration.events == nil && !migration.isRead)
        #expect(!board.current.warnings.isEmpty)
        try files.removeItem(atPath: lock)
        if meanwhile != .nothing { migration.readsDirectly() }
        // It ends, or rests: what it needs stays for the time when it goes on.
        if meanwhile == .ended { relay.expect([], of: names) }
        let log = try await relay.open(for: "other", needed: nil).log
        // Should the source not have it any more, this is all that is left of it.
        #expect(try log.needers == (meanwhile == .directlyRead ? ["resting"] : names))
        guard meanwhile == .nothing else { return }
        migration.readsDirectly()
        #expect(try log.needers == ["resting"])
    }

    @Test("what nobody needs is forgotten as soon as it can be, and none of it is passed over")
    func swept() async throws {
        let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let notes = folder + "/skein/needs"
        let files = FileManager.default
        try files.createDirectory(
            atPath: folder + "/skein", withIntermediateDirectories: true)
        let relay = SourceRelay(
            SourceRelay.Options(
                folder: folder,
                source: ConnectionOptions(port: 1, user: "nobody", password: Password("")),
                serverID: 1),
            endsWithLog: false, logger: Logger(label: "test"))
        relay.expect(["task"], of: ["task"])
        // It leads to itself: who needs something is not known, and not nobody.
        try files.createSymbolicLink(atPath: notes, withDestinationPath: notes)
        await #expect(throws: RelayError.self) { try await relay.open(for: "task", needed: nil) }
        try files.removeItem(atPath: notes)
        // A folder can't be removed like a file.
        try files.createDirectory(atPath: notes + "/gone", withIntermediateDirectories: true)
        let log = try await relay.open(for: "task", needed: nil).log
        #expect(try log.needers == ["gone"])
        try files.removeItem(atPath: notes + "/gone")
        try Data("?".utf8).write(to: URL(filePath: notes + "/gone"))
        relay.expect(["task"], of: ["task"])
        #expect(try log.needers == [])
    }

    @Test("a copy at its limit gives up what is needed of a file that is not there, too")
    func lostNeedOfCopy() async throws {
        try await TestServer.with(.mariadb) { server in
            let data = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: data) }
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a LONGTEXT)")
            let source = Self.options(server)
            let original = try RelayLog(
                RelayOptions(
                    path: data + "/original", source: source, serverID: .random(in: 1...9999)))
            var settings = SourceSettings(name: "shop", server: source)
            settings.relayLimitBytes = 100_000
            let copier = RelayCopyRunner(
                source: "shop",
                order: RelayCopyOrder(
                    settings: .success(settings), settingsRevision: 1,
                    original: RelayHolder(worker: "v", address: "")),
                rest: .unknown, folder: data + "/copy", exchange: Neighbours(log: original),
                logger: Logger(label: "test"))
            func files() -> [RelayArchive.File] {
                (try? RelayArchive(path: data + "/copy"))?.files() ?? []
            }
            func wait(_ condition: () throws -> Bool) async throws {
                let deadline = ContinuousClock.now + .seconds(60)
                while try !condition() {
                    guard ContinuousClock.now < deadline else { throw Overdue() }
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await original.run() }
                group.addTask { await copier.run() }
                defer { group.cancelAll() }
                try await wait { !files().isEmpty }
                let folder = try #require(files().first?.folder)
                let first = try #require(files().first?.name)
                let needs = data + "/copy/skein/needs"
                try FileManager.default.createDirectory(
                    atPath: needs, withIntermediateDirectories: true)
                try Data("\(folder)\nbin.000000\n".utf8).write(
                    to: URL(filePath: needs + "/gone"))
                for _ in 1...6 {
                    try server.sql("INSERT INTO d.t VALUES (REPEAT('x', 60000)); FLUSH BINARY LOGS")
                }
                let end = try Self.place(server)
                try await wait { files().last?.name == end.file }
                // Until it is given up nothing goes; the limit is looked at when something comes.
                try await wait {
                    try server.sql("INSERT INTO d.t VALUES ('more')")
                    return !FileManager.default.fileExists(atPath: needs + "/gone")
                }
                try await wait { files().first?.name != first }
            }
        }
    }

    @Test("a log that lacked something is read again as soon as it has what is needed")
    func bypassed() async throws {
        try await TestServer.with(.mariadb) { server in
            let folder = NSTemporaryDirectory() + "skein-source-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)")
            let old = try Self.position(server)
            try server.sql("FLUSH BINARY LOGS; INSERT INTO d.t VALUES (1)")
            let now = try Self.position(server)
            let relay = SourceRelay(
                SourceRelay.Options(
                    folder: folder, source: Self.options(server), serverID: .random(in: 1...9999)),
                endsWithLog: false, logger: Logger(label: "test"))
            var settings = MigrationSettings(
                source: Self.options(server), target: Self.options(server),
                selection: TableSelection(tables: []))
            settings.name = "task"
            settings.relayFolder = folder
            let (mine, board) = (settings, StatusBoard())
            try await Self.running(relay) {
                // Another task has let it begin here.
                try await relay.open(for: "other", needed: nil).log.ready()
                let migration = MigrationRelay(
                    settings: mine, board: board, serverID: 1, shared: relay,
                    fences: RelayFences(), own: OwnRuns(fences: RelayFences()),
                    logger: Logger(label: "test"))
                try await migration.open(needed: old)
                #expect(migration.events != nil && migration.isRead)
                // A reader finds that it does not have that.
                #expect(migration.bypass())
                #expect(migration.events == nil && !migration.isRead)
                #expect(!migration.isBack(for: now.binlog.file, of: now.origin.server))
                let deadline = ContinuousClock.now + .seconds(60)
                while !migration.isBack(for: now.binlog.file, of: now.origin.server) {
                    guard ContinuousClock.now < deadline else { throw Overdue() }
                    try await Task.sleep(for: .milliseconds(50))
                }
                // It is the log that has changed nothing; the task has gone on.
                #expect(!migration.isBack(for: old.binlog.file, of: old.origin.server))
                #expect(!board.current.warnings.isEmpty)
                migration.reopen()
                try await migration.open(needed: now)
                #expect(migration.events != nil && board.current.warnings.isEmpty)
            }
            #expect(try RelayArchive(path: folder).files().flatMap(\.neededBy).contains("task"))
        }
    }
}
