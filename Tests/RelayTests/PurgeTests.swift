import Foundation
import MySQLCore
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
            #expect(directory.files(folder).count == 3)
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
            #expect(directory.files(folder).count == 3)
            #expect(
                try archive.purge(before: "bin.000002", olderSeconds: nil, isForced: true, now: 0)
                    .count == 1)
            // It is not ours for that.
            let again = try RelayArchive(path: scratch.path)
            #expect(throws: RelayError.self) {
                try again.purge(before: "bin.000003", olderSeconds: nil, isForced: false, now: 0)
            }
            #expect(directory.files(folder).count == 2 && !directory.isOurs)
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
