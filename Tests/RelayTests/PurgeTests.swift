import Foundation
import Glibc
import MySQLClient
import MySQLCore
import Runtime
import Stream
import Synchronization
import TestServers
import Testing

@testable import Relay

extension LossTests {
    @Suite("and files that are removed", .serialized) struct PurgeTests {
        /// A log of some files, the third of which is needed, while `body` runs.
        private static func withFiles(
            _ body: @escaping @Sendable (RelayLog, TestServer) async throws -> Void
        ) async throws {
            try await TestServer.with(.mariadb) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "asked")
                try await withRelay(RelayOptions(server, scratch)) { log in
                    for n in 1...5 {
                        try server.sql("INSERT INTO asked.t VALUES (\(n), ''); FLUSH BINARY LOGS")
                    }
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                    try log.need("task", "bin.000003", of: try server.serverName())
                    try await body(log, server)
                }
            }
        }

        private static func purge(_ path: String, before file: String) async throws -> [String] {
            try await withCheckedThrowingContinuation { continuation in
                Thread {
                    continuation.resume(
                        with: Result {
                            try RelayArchive(path: path).purge(
                                before: file, olderSeconds: nil, isForced: false, now: 0)
                        })
                }.start()
            }
        }

        @Test("a purge from another process is done by the one that writes")
        func asked() async throws {
            try await Self.withFiles { log, server in
                let path = log.options.path
                // The lock is held as if by another process: that is what a second one sees.
                let removed = try await Self.purge(path, before: "bin.000003")
                #expect(removed.count == 2)
                // Who writes knows.
                #expect(log.contents[0].files.map(\.name).first == "bin.000003")
                #expect(log.status.files == 4)
                // Its needs and readers count.
                let error = await #expect(throws: RelayError.self) {
                    try await Self.purge(path, before: "bin.000005")
                }
                #expect(error.map { "\($0)" }?.contains("needed by task") == true)
                try log.forgetNeed("task")
                let reader = try await log.reader(
                    from: .position(.init(file: "bin.000004", offset: 4), of: nil))
                _ = try await reader.next()
                #expect(try await Self.purge(path, before: "bin.000006").count == 1)
                // Nothing before the reader is left: whoever names a file is told why it stays.
                let read = await #expect(throws: RelayError.self) {
                    try await Self.purge(path, before: "bin.000006")
                }
                #expect(read.map { "\($0)" }?.contains("a reader, which is in bin.000004") == true)
                #expect(log.contents[0].files.first?.name == "bin.000004")
                reader.close()
                let unknown = await #expect(throws: RelayError.self) {
                    try await Self.purge(path, before: "bin.000099")
                }
                #expect(unknown.map { "\($0)" }?.contains("bin.000099") == true)
                #expect(Folder.names(path + "/skein/requests").isEmpty)
                try server.sql("INSERT INTO asked.t VALUES (9, '')")
                let end = try server.end()
                try await wait(for: "the relay") { log.reached(end) }
            }
        }

        /// A relay log of three files, which nobody writes.
        private static func threeFiles(
            _ scratch: Scratch
        ) throws -> (directory: RelayDirectory, folder: RelayFolder) {
            let directory = RelayDirectory(path: scratch.path)
            let folder = RelayFolder(server: "0-1", number: 1)
            try directory.add(folder)
            for n in 1...3 {
                try Data(RelayDirectory.magic).write(
                    to: URL(filePath: directory.file(folder, "bin.00000\(n)")))
            }
            return (directory, folder)
        }

        @Test("one that writes and does not answer lets nothing be removed")
        func unanswered() async throws {
            let scratch = Scratch()
            let (directory, folder) = try Self.threeFiles(scratch)
            let lock = try directory.lock()
            let error = await #expect(throws: RelayError.self) {
                try await Self.purge(scratch.path, before: "bin.000003")
            }
            guard case .inUse? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try directory.files(folder).count == 3)
            #expect(Folder.names(scratch.path + "/skein/requests").isEmpty)
            withExtendedLifetime(lock) {}
        }

        @Test("one that begins to write while somebody asks answers; what is older is forgotten")
        func askedMeanwhile() async throws {
            let scratch = Scratch()
            let (directory, _) = try Self.threeFiles(scratch)
            let lock = try directory.lock()
            let requests = scratch.path + "/skein/requests"
            try Folder.make(requests)
            for name in ["8000000000000001.purge", "8000000000000002.answer"] {
                let old = URL(filePath: requests + "/" + name)
                try Data("\n1\n1\n".utf8).write(to: old)
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -3600)],
                    ofItemAtPath: old.path)
            }
            async let removed = Self.purge(scratch.path, before: "bin.000003")
            // Whole: it has another name while it is written.
            try await wait(for: "the question") {
                Folder.names(requests).count { $0.hasSuffix(".purge") } == 2
            }
            let asked = PurgeRequests(directory)
            asked.clear()
            #expect(Folder.names(requests).count == 1)
            asked.serve { request in
                #expect(request.before == "bin.000003" && !request.isForced)
                return ["one", "two"]
            }
            #expect(try await removed == ["one", "two"])
            #expect(Folder.names(requests).isEmpty)
            withExtendedLifetime(lock) {}
        }

        @Test("the log of another program is left alone, unless told so")
        func foreign() async throws {
            let scratch = Scratch()
            let (directory, folder) = try Self.threeFiles(scratch)
            let archive = try RelayArchive(path: scratch.path)
            #expect(throws: RelayError.self) {
                try archive.purge(before: "bin.000003", olderSeconds: nil, isForced: false, now: 0)
            }
            #expect(try directory.files(folder).count == 3)
            #expect(
                try archive.purge(before: "bin.000002", olderSeconds: nil, isForced: true, now: 0)
                    .count == 1)
            // It is not ours for that.
            let again = try RelayArchive(path: scratch.path)
            #expect(throws: RelayError.self) {
                try again.purge(before: "bin.000003", olderSeconds: nil, isForced: false, now: 0)
            }
            #expect(try directory.files(folder).count == 2 && !directory.isOurs)
        }

        @Test("when it can't be read what is needed, nothing is removed, unless told so")
        func unreadableNeeds() throws {
            let scratch = Scratch()
            let (directory, folder) = try Self.threeFiles(scratch)
            _ = try directory.lock()
            let archive = try RelayArchive(path: scratch.path)
            func purge(isForced: Bool) throws -> [String] {
                try archive.purge(
                    before: "bin.000003", olderSeconds: nil, isForced: isForced, now: 0)
            }
            // What has its name can be opened, and not read.
            let need = scratch.path + "/skein/needs/task"
            try Folder.make(need)
            let error = #expect(throws: RelayError.self) { try purge(isForced: false) }
            guard case .system? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try directory.files(folder).count == 3)
            Folder.removeEmpty(need)
            try directory.setNeed("task", folder, "bin.000002")
            #expect(try purge(isForced: false) == ["\(folder)/bin.000001"])
            try directory.removeNeed("task")
            try Folder.make(need)
            #expect(try purge(isForced: true) == ["\(folder)/bin.000002"])
        }

        private static let day: Int64 = 86_400

        /// Makes it look as if something was put aside longer ago.
        private static func age(_ path: String, seconds: Int64) throws {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: TimeInterval(-seconds))],
                ofItemAtPath: path)
        }

        private static var now: Int64 { wallClockMicroseconds() / 1_000_000 }

        @Test("what was put aside is counted, and goes by its age alone, however short room is")
        func aside() throws {
            let scratch = Scratch()
            let (directory, folder) = try Self.threeFiles(scratch)
            let catalog = Catalog(directory)
            try catalog.load()
            #expect(catalog.asideBytes == 0)
            let path = try catalog.putAside(folder, ["bin.000001"])
            try catalog.load()
            #expect(catalog.asideBytes == 4 && catalog.bytes == 8)
            // The file itself is old: what counts is when it was put there.
            try Self.age("\(path)/\(folder).bin.000001", seconds: 100 * Self.day)
            var rules = PurgeRules(
                keepSeconds: nil, keepAsideSeconds: 30 * Self.day, minimumFreeBytes: .max,
                limitBytes: 1, isPressed: true)
            rules.upTo = (folder, "bin.000002")
            #expect(try Purge(catalog).run(rules, now: Self.now) == [])
            #expect(Folder.exists(path))
            try Self.age(path, seconds: 30 * Self.day - 3600)
            #expect(try Purge(catalog).run(rules, now: Self.now) == [])
            try Self.age(path, seconds: 30 * Self.day + 3600)
            var keepsAll = rules
            keepsAll.keepAsideSeconds = nil
            #expect(try Purge(catalog).run(keepsAll, now: Self.now) == [])
            #expect(
                try Purge(catalog).run(rules, now: Self.now) == ["skein/lost/bin.000001.4"])
            #expect(!Folder.exists(path) && catalog.asideBytes == 0)
            // Of the log nothing has gone.
            #expect(try directory.files(folder) == ["bin.000002", "bin.000003"])
        }

        @Test("who purges by hand removes what was put aside with an age, and is told of it")
        func asideByHand() throws {
            let scratch = Scratch()
            let (directory, folder) = try Self.threeFiles(scratch)
            _ = try directory.lock()
            let catalog = Catalog(directory)
            try catalog.load()
            let path = try catalog.putAside(folder, ["bin.000001"])
            try Self.age(path, seconds: 7200)
            let archive = try RelayArchive(path: scratch.path)
            #expect(archive.lost.map(\.path) == [path] && archive.lost.map(\.bytes) == [4])
            func purge(
                before file: String? = nil, olderSeconds: Int64?, isDry: Bool = false
            ) throws -> [String] {
                try archive.purge(
                    before: file, olderSeconds: olderSeconds, isForced: false, isDry: isDry,
                    now: Self.now)
            }
            #expect(try purge(olderSeconds: 10_000) == [])
            // It is not among the files that are before another one.
            #expect(try purge(before: "bin.000003", olderSeconds: 3600) == [])
            #expect(Folder.exists(path))
            let gone = ["skein/lost/bin.000001.4"]
            #expect(try purge(olderSeconds: 3600, isDry: true) == gone && Folder.exists(path))
            // What somebody else keeps there is not ours to remove.
            try Folder.make(path + "/notes")
            try Self.age(path, seconds: 7200)
            #expect(try purge(olderSeconds: 3600) == [])
            #expect(Folder.names(path) == ["notes"])
            Folder.removeEmpty(path + "/notes")
            try Self.age(path, seconds: 7200)
            #expect(try purge(olderSeconds: 3600) == gone)
            #expect(!Folder.exists(path) && archive.lost.isEmpty)
        }

        @Test("only what was put aside goes from there, not what others keep or where links lead")
        func asideOfOthers() throws {
            let scratch = Scratch()
            let (directory, folder) = try Self.threeFiles(scratch)
            let catalog = Catalog(directory)
            try catalog.load()
            let path = try catalog.putAside(folder, ["bin.000001"])
            try Folder.replace(path + "/readme.txt", [1])
            let others = ["notes", "backup.2024", "bin.000001.4-", "bin.000001.4-2-3"]
                .map { directory.lost + "/" + $0 }
            for other in others {
                try Folder.make(other)
                try Folder.replace(other + "/bin.000001", [1])
            }
            for old in others + [path] { try Self.age(old, seconds: 40 * Self.day) }
            let rules = PurgeRules(keepAsideSeconds: 30 * Self.day)
            #expect(try Purge(catalog).run(rules, now: Self.now) == [])
            #expect(Folder.names(path) == ["readme.txt"])
            for other in others { #expect(Folder.names(other) == ["bin.000001"], "\(other)") }
            // All of it is somewhere else.
            let elsewhere = scratch.path + "/elsewhere"
            try Folder.replace(path + "/\(folder).bin.000001", [1])
            try Self.age(path, seconds: 40 * Self.day)
            try Folder.move(directory.lost, to: elsewhere)
            try FileManager.default.createSymbolicLink(
                atPath: directory.lost, withDestinationPath: elsewhere)
            #expect(directory.aside().isEmpty)
            #expect(try Purge(catalog).run(rules, now: Self.now) == [])
            #expect(Folder.names(elsewhere + "/bin.000001.4").count == 2)
        }

        @Test(
            "what was put aside and can't be removed ends no purge, and is told of",
            .enabled(if: geteuid() != 0, "the superuser may remove everything"))
        func asideKept() throws {
            let scratch = Scratch()
            let (directory, folder) = try Self.threeFiles(scratch)
            let catalog = Catalog(directory)
            try catalog.load()
            let paths = try (1...2).map { try catalog.putAside(folder, ["bin.00000\($0)"]) }
            try catalog.load()
            for path in paths { try Self.age(path, seconds: 40 * Self.day) }
            func allow(_ permissions: Int) throws {
                try FileManager.default.setAttributes(
                    [.posixPermissions: NSNumber(value: permissions)], ofItemAtPath: paths[0])
            }
            try allow(0o500)
            defer { try? allow(0o700) }
            let warnings = Mutex<[String]>([])
            let rules = PurgeRules(keepAsideSeconds: 30 * Self.day)
            let purge = Purge(catalog) { text in warnings.withLock { $0.append(text) } }
            #expect(try purge.run(rules, now: Self.now) == ["skein/lost/bin.000002.4"])
            #expect(warnings.withLock { $0.count } == 1)
            // Who asks, and gets nothing, is told why.
            #expect(throws: RelayError.self) {
                try purge.run(
                    before: nil, olderSeconds: Self.day, isForced: false, now: Self.now)
            }
            try allow(0o700)
            #expect(try purge.run(rules, now: Self.now) == ["skein/lost/bin.000001.4"])
        }

        @Test("what was put aside before a log was opened stays as long as what is put aside then")
        func asideSince() throws {
            let scratch = Scratch()
            let path = scratch.path + "/skein/lost/bin.000007.4"
            try Folder.make(path)
            try Folder.replace(path + "/0-1.000001.bin.000007", [1])
            try Self.age(path, seconds: 400 * Self.day)
            let source = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
            func purged() throws -> [String] {
                let log = try RelayLog(
                    RelayOptions(path: scratch.path, source: source, serverID: 1))
                try log.purge(olderSeconds: Self.day)
                return log.status.warnings.filter { $0.contains("are removed") }
            }
            #expect(try purged() == [] && Folder.exists(path))
            // It was long ago that it was opened first.
            let since = scratch.path + "/skein/aside-since"
            func note(days: Int64) throws {
                try Folder.replace(since, Array("\(Self.now - days * Self.day)\n".utf8))
            }
            try note(days: 29)
            #expect(try purged() == [] && Folder.exists(path))
            try note(days: 31)
            let warnings = try purged()
            #expect(warnings.count == 1 && warnings.first?.contains("bin.000007.4") == true)
            #expect(!Folder.exists(path))
        }

        @Test("what can't be read is not taken for empty: the log does not open, and loses nothing")
        func unreadable() throws {
            let scratch = Scratch()
            let directory = RelayDirectory(path: scratch.path)
            let folders = (1...2).map { RelayFolder(server: "0-\($0)", number: $0) }
            for folder in folders {
                try directory.add(folder)
                var file = MadeFile()
                file.add(1...3)
                try Folder.replace(directory.file(folder, "bin.000001"), file.bytes)
            }
            let source = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
            func open() throws -> [RelayContents] {
                try RelayLog(
                    RelayOptions(path: scratch.path, source: source, serverID: 1)
                ).contents
            }
            let whole = try open()
            #expect(whole.map(\.folder) == folders && whole.allSatisfy { $0.files.count == 1 })
            for name in folders.map(\.description) + ["server-uuid.index"] {
                let path = scratch.path + "/" + name
                try Folder.move(path, to: path + "-away")
                // It leads to itself: the superuser can't read that either.
                try FileManager.default.createSymbolicLink(
                    atPath: path, withDestinationPath: path)
                #expect(throws: RelayError.self, "\(name)") { try open() }
                try Folder.remove(path)
                try Folder.move(path + "-away", to: path)
                #expect(try open() == whole, "\(name)")
            }
        }

        @Test("a need that can't be read is no lost one, nor one that is not there")
        func unreadableNeed() throws {
            let scratch = Scratch()
            let (directory, folder) = try Self.threeFiles(scratch)
            var file = MadeFile()
            file.add(1...3)
            try Folder.replace(directory.file(folder, "bin.000003"), file.bytes)
            let server = try #require(folder.serverName)
            let source = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
            let log = try RelayLog(RelayOptions(path: scratch.path, source: source, serverID: 1))
            try log.need("old", "bin.000001", of: server)
            try log.need("task", "bin.000002", of: server)
            try directory.setNeed("lost", folder, "bin.000000")
            let need = scratch.path + "/skein/needs/task"
            try Folder.move(need, to: need + ".tmp")
            try FileManager.default.createSymbolicLink(atPath: need, withDestinationPath: need)
            #expect(throws: RelayError.self) { try log.forgetLostNeeds() }
            #expect(throws: RelayError.self) {
                try log.need("task", "bin.000003", of: server, orOlder: true)
            }
            #expect(log.needsOlder("task", than: "bin.000003", of: server))
            try Folder.remove(need)
            // Nor one that is damaged: nothing goes, and who rests can give it up.
            try Folder.replace(need, Array("?".utf8))
            #expect(throws: RelayError.self) { try log.forgetLostNeeds() }
            try log.forgetNeed("old")
            #expect(throws: RelayError.self) {
                try log.purge(before: "bin.000002", isForced: false)
            }
            #expect(log.needers == ["task", "lost"])
            // It can be read again.
            try log.need("task", "bin.000002", of: server)
            #expect(try log.forgetLostNeeds() == ["task"])
            #expect(log.needers == ["task"])
            #expect(
                try log.purge(before: "bin.000002", isForced: false) == ["\(folder)/bin.000001"])
        }

        @Test("a log says what was put aside, in its size and a warning; its limit is for the rest")
        func asideShown() throws {
            let scratch = Scratch()
            let path = scratch.path + "/skein/lost/bin.000007.4"
            try Folder.make(path)
            try Folder.replace(path + "/0-1.000001.bin.000007", [UInt8](repeating: 1, count: 1000))
            let source = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
            let log = try RelayLog(
                RelayOptions(path: scratch.path, source: source, serverID: 1))
            #expect(log.status.putAsideBytes == 1000 && log.status.bytes == 1000)
            #expect(log.catalog.bytes == 0)
            #expect(log.status.warnings.contains { $0.contains("\(scratch.path)/skein/lost") })
            // A log that rests keeps files for a day, but not this.
            try Self.age(path, seconds: 2 * Self.day)
            try log.purge(olderSeconds: Self.day)
            #expect(log.status.putAsideBytes == 1000)
            #expect(
                try log.purge(before: nil, olderSeconds: Self.day, isForced: false)
                    == ["skein/lost/bin.000007.4"])
            #expect(log.status.bytes == 0)
        }

        @Test("a need and a removal exclude each other")
        func needWhileRemoved() async throws {
            try await Self.withFiles { log, server in
                try log.forgetNeed("task")
                let name = try server.serverName()
                try log.need("task", "bin.000001", of: name)
                let isDone = Mutex(false)
                // Somebody removes while somebody needs: what is needed is there afterwards.
                let removing = Task.detached {
                    for n in 2...5 {
                        _ = try? log.purge(before: "bin.00000\(n)", isForced: false)
                    }
                    isDone.withLock { $0 = true }
                }
                var n = 1
                while !isDone.withLock({ $0 }) {
                    try log.need("task", "bin.00000\(n % 5 + 1)", of: name)
                    n += 1
                }
                await removing.value
                let need = try #require(log.catalog.directory.needs()["task"])
                #expect(log.holds(need.file, of: name))
            }
        }

        /// Runs `body` on a thread of its own, until it has begun for certain, and for a while more.
        private static func begin(_ body: @escaping @Sendable () -> Void) -> Ended {
            let ended = Ended()
            Thread {
                ended.hasBegun.withLock { $0 = true }
                body()
                ended.isOver.withLock { $0 = true }
            }.start()
            while !ended.hasBegun.withLock({ $0 }) { Thread.sleep(forTimeInterval: 0.001) }
            Thread.sleep(forTimeInterval: 0.3)
            return ended
        }

        private final class Ended: Sendable {
            let hasBegun = Mutex(false)
            let isOver = Mutex(false)
        }

        @Test("a need that comes while files are removed does not name one that is gone")
        func needBehindRemoval() async throws {
            try await Self.withFiles { log, server in
                try log.forgetNeed("task")
                let name = try server.serverName()
                let folder = try #require(log.contents.last?.folder)
                // As a purge that has just seen that nobody needs the file.
                let needing = try log.catalog.maintained {
                    let needing = Self.begin { try? log.need("task", "bin.000001", of: name) }
                    try log.catalog.remove(folder, "bin.000001")
                    return needing
                }
                try await wait(for: "the need") { needing.isOver.withLock { $0 } }
                #expect(!log.holds("bin.000001", of: name))
                #expect(log.catalog.directory.needs()["task"] == nil)
            }
        }

        @Test("a removal that comes while a need is noted sees it")
        func removalBehindNeed() async throws {
            try await Self.withFiles { log, server in
                try log.forgetNeed("task")
                let name = try server.serverName()
                let folder = try #require(log.contents.last?.folder)
                // As a need that has just seen that the file is here.
                let removing = try log.catalog.maintained {
                    let removing = Self.begin {
                        _ = try? log.purge(before: "bin.000004", isForced: false)
                    }
                    try log.catalog.directory.setNeed("task", folder, "bin.000002")
                    return removing
                }
                try await wait(for: "the removal") { removing.isOver.withLock { $0 } }
                #expect(log.holds("bin.000002", of: name))
                #expect(!log.holds("bin.000001", of: name))
            }
        }

        @Test("a reader of files that has read all says so", arguments: Servers.families)
        func hasMore(family: TestServer.Family) async throws {
            try await TestServer.with(family) { server in
                let scratch = Scratch()
                try Writing.prepare(server, "dry")
                let start = try server.end()
                try await withRelay(RelayOptions(server, scratch)) { log in
                    try Writing.run(server, "dry", 3...60)
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                // Nothing is in memory now.
                let end = try server.end()
                try await withRelay(RelayOptions(server, scratch)) { log in
                    let reader = try await log.reader(from: .position(start, of: nil))
                    let seen = Seen()
                    #expect(reader.hasMore)
                    while seen.end != end {
                        seen.take(try await reader.next())
                        #expect(reader.hasMore == (seen.end != end))
                    }
                }
            }
        }
    }
}
