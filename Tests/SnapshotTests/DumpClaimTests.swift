import Foundation
import MySQLClient
import MySQLCore
import Rules
import Testing

@testable import Snapshot

@Suite("Directories of tasks that dump")
struct DumpClaimTests {
    private static func folder() -> String {
        NSTemporaryDirectory() + "skein-claim-\(UUID().uuidString)"
    }

    private static func write(_ text: String, _ path: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
    }

    private static let position = SourcePosition(
        origin: Origin(server: ServerUUID(high: 1, low: 2), life: 3),
        binlog: BinlogPosition(file: "bin.000001", offset: 4), gtids: .none)

    private static let metadata =
        "Started dump at: 2026-05-01 10:00:00\nSHOW MASTER STATUS:\n\tLog: bin.000001\n\tPos: 4\n"
        + "\tGTID:\n\nFinished dump at: 2026-05-01 10:00:01\n"

    private static func text(_ path: String) -> String? {
        try? String(contentsOfFile: path, encoding: .utf8)
    }

    /// Makes a dump of one table in a directory that a task has taken.
    private static func dump(_ path: String, _ token: String, rules: String) throws {
        let folder = try DumpFolder(path, for: .owner(token))
        try folder.begin(at: position, options: "o", rules: rules, keeping: [])
        try folder.write("s.t-schema.sql", "CREATE TABLE t (id INT);\n")
        try folder.record(
            DumpedTable(schema: "s", name: "t", files: ["s.t-schema.sql": 25], rows: 0))
        try folder.write("metadata", metadata)
    }

    private static func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test("a task's directory is known by its token, and nobody else's is taken")
    func tokens() throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let claim = DumpClaim(directory: path)
        #expect(try claim.take(owner: "task one", suffix: "a") == "task one a")
        // It was killed before anybody had written that down; or that was in another cluster.
        let token = try claim.take(owner: "task one", suffix: "b")
        #expect(token == "task one b")
        let stolen = Self.refusal { _ = try claim.take(owner: "task on", suffix: "c") }
        #expect(stolen.contains("another task"), "\(stolen)")
        #expect(try claim.whole(token: token, begun: "here", rules: "r") == nil)
        let other = Self.refusal {
            _ = try claim.whole(token: "task one a", begun: "on w1 in /d", rules: "r")
        }
        #expect(other.contains("begun on w1 in /d"), "\(other)")

        try Self.dump(path, token, rules: "r")
        let whole = try #require(try claim.whole(token: token, begun: "here", rules: "r"))
        #expect(whole.position == "bin.000001:4")
        let again = Self.refusal { _ = try claim.take(owner: "task one", suffix: "d") }
        #expect(again.contains("whole dump already"), "\(again)")
    }

    @Test("a whole dump is that of its rules, with all files")
    func whole() throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let claim = DumpClaim(directory: path)
        let token = try claim.take(owner: "t s", suffix: "a")
        try Self.dump(path, token, rules: "r")
        let rules = Self.refusal {
            _ = try claim.whole(token: token, begun: "here", rules: "more")
        }
        #expect(rules.contains("other rules"), "\(rules)")
        #expect(try claim.whole(token: token, begun: "here", rules: "r") != nil)
        // One of a version that wrote the same rules in another way.
        #expect(
            try claim.whole(token: token, begun: "here", rules: "now", earlierRules: "r") != nil)
        let table = path + "/s.t-schema.sql"
        let made = try #require(Self.text(table))
        try Self.write(made + "\n", table)
        let longer = Self.refusal { _ = try claim.whole(token: token, begun: "here", rules: "r") }
        #expect(longer.contains("s.t-schema.sql"), "\(longer)")
        try FileManager.default.removeItem(atPath: table)
        let gone = Self.refusal { _ = try claim.whole(token: token, begun: "here", rules: "r") }
        #expect(gone.contains("s.t-schema.sql"), "\(gone)")
        try Self.write(made, table)
        #expect(try claim.whole(token: token, begun: "here", rules: "r") != nil)
    }

    @Test("a task's directory is for its own runs")
    func strangers() async throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let token = try DumpClaim(directory: path).take(owner: "t s", suffix: "a")
        try Self.write("x", path + "/s.t-schema.sql")
        let journal = Self.text(path + "/.skein-dump")
        // No server is asked.
        var configuration = DumpConfiguration(
            source: ConnectionOptions(port: 1, user: "u"), origin: Self.position.origin,
            directory: path, selection: ObjectSelection(TableSelection(tables: [])))
        let cases: [(String?, String)] = [
            (nil, "a task has begun"), ("t s b", "is not the one"),
        ]
        for (other, words) in cases {
            configuration.token = other
            let engine = DumpEngine(configuration: configuration, progress: TransferProgress())
            do {
                _ = try await engine.run { _ in }
                Issue.record("accepted for \(other ?? "no task")")
            } catch {
                #expect("\(error)".contains(words), "\(error)")
            }
        }
        #expect(Self.text(path + "/s.t-schema.sql") == "x")
        #expect(Self.text(path + "/.skein-dump") == journal)
        #expect(try DumpFolder(path, for: .owner(token)).token == token)
    }

    @Test("where no lock tells them apart, the run that has begun last is the only one")
    func later() throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        func folder() throws -> DumpFolder {
            try DumpFolder(path, for: .owner(nil), locking: false)
        }
        let first = try folder()
        try first.begin(at: Self.position, options: "o", rules: nil, keeping: [])
        try first.write("s.t-schema.sql", "first")
        let idle = try folder()
        let second = try folder()
        try second.begin(at: Self.position, options: "o", rules: nil, keeping: [])
        #expect(Self.text(path + "/s.t-schema.sql") == nil)
        try second.write("s.t-schema.sql", "second")
        for name in ["s.t-schema.sql", "s.u-schema.sql", "metadata"] {
            let late = Self.refusal { try first.write(name, "first") }
            #expect(late.contains("another process has begun"), "\(name): \(late)")
        }
        let journal = Self.text(path + "/.skein-dump")
        let begun = Self.refusal {
            try idle.begin(at: Self.position, options: "o", rules: nil, keeping: [])
        }
        #expect(begun.contains("another process has begun"), "\(begun)")
        #expect(Self.text(path + "/.skein-dump") == journal)
        #expect(Self.text(path + "/s.t-schema.sql") == "second")
        #expect(!FileManager.default.fileExists(atPath: path + "/metadata"))
        // One that was being written when its machine was lost: loads would refuse the dump.
        try Self.write("half", path + "/s.v-schema.sql.\(first.run).partial")
        try second.finish(Self.metadata)
        #expect(Self.text(path + "/metadata") == Self.metadata)
        let left = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        #expect(left == ["metadata", "s.t-schema.sql"])
    }

    @Test("a directory that another process has is told from one that is refused for good")
    func inUse() throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        func error(_ owner: String) -> (any Error)? {
            do {
                _ = try DumpClaim(directory: path).take(owner: owner, suffix: "a")
                return nil
            } catch {
                return error
            }
        }
        let held = try DumpFolder(path, for: .anybody)
        try withExtendedLifetime(held) {
            let refused = try #require(error("t s"))
            #expect(DumpClaim.isInUse(refused), "\(refused)")
        }
    }

    @Test("the lock goes with the process that had it")
    func released() throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        do { _ = try DumpFolder(path, for: .anybody) }
        #expect(try DumpClaim(directory: path).take(owner: "t s", suffix: "a") == "t s a")
        do {
            _ = try DumpClaim(directory: path).take(owner: "u s", suffix: "a")
            Issue.record("another task's directory was taken")
        } catch {
            #expect(!DumpClaim.isInUse(error), "\(error)")
        }
    }

    @Test("what a child process still has of the lock holds nobody up")
    func inherited() throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        var copies: [Int32] = []
        defer { for copy in copies { close(copy) } }
        do {
            let held = try DumpFolder(path, for: .anybody)
            try withExtendedLifetime(held) {
                let lock = URL(filePath: path).resolvingSymlinksInPath().path
                for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
                    let link = try? FileManager.default.destinationOfSymbolicLink(
                        atPath: "/proc/self/fd/\(name)")
                    guard link?.hasPrefix(lock + "/") == true, let number = Int32(name) else {
                        continue
                    }
                    copies.append(dup(number))
                }
            }
        }
        #expect(!copies.isEmpty)
        #expect(try DumpClaim(directory: path).take(owner: "t s", suffix: "a") == "t s a")
    }

    @Test("beside a dump that begins again, nothing goes that no dump of skein's has written")
    func others() throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        func begin() throws {
            let folder = try DumpFolder(path, for: .owner(nil))
            try folder.begin(at: Self.position, options: "o", rules: nil, keeping: [])
        }
        try begin()
        let own = [
            "s.t.000000000.sql", "s.t.000000001.sql.gz", "s%2Ex.t-schema.sql.zst",
            "s-schema-create.sql", "s.t-schema.sql.0123abcz.partial", ".skein-dump.partial",
            "metadata.0123abcz.partial",
        ]
        for name in own { try Self.write("x", "\(path)/\(name)") }
        let theirs = [
            "fix.sql", "s.t.sql", "s.t.00000.sql", "s.t.csv", "a.b.c-schema.sql", "notes.partial",
            "s%zz.t%2e-schema.sql", "s-metadata",
        ]
        for name in theirs {
            try Self.write("x", "\(path)/\(name)")
            let text = Self.refusal { try begin() }
            #expect(text.contains("(\(name))"), "\(text)")
            #expect(Self.text("\(path)/\(name)") == "x")
            #expect(own.allSatisfy { Self.text("\(path)/\($0)") == "x" })
            try FileManager.default.removeItem(atPath: "\(path)/\(name)")
        }
        try begin()
        let left = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        #expect(left == [".skein-dump", ".skein-dump.lock"])
    }

    @Test("a directory that is not there is no reason to begin again, and is not made")
    func missing() {
        let path = Self.folder()
        let text = Self.refusal {
            _ = try DumpClaim(directory: path).whole(
                token: "t s a", begun: "on w1 in \(path)", rules: "r")
        }
        #expect(text.contains("the dump was begun on w1"), "\(text)")
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("what an interrupted dump has left stays, and files of others are not touched")
    func left() throws {
        let path = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        let journal = path + "/.skein-dump"
        let line = #"{"files":{},"name":"t","rows":1,"schema":"s"}"#
        try Self.write(
            #"{"format":1,"options":"none 1 0 1","position":"00"}"# + "\n\(line)\n", journal)
        _ = try DumpClaim(directory: path).take(owner: "t s", suffix: "a")
        let lines = try String(contentsOfFile: journal, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 2 && lines[1] == line[...])
        #expect(lines[0].contains(#""token":"t s a""#) && lines[0].contains("none 1 0 1"))

        let theirs = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: theirs) }
        try FileManager.default.createDirectory(
            atPath: theirs, withIntermediateDirectories: true)
        try Self.write("keep me", theirs + "/precious.sql")
        let text = Self.refusal {
            _ = try DumpClaim(directory: theirs).take(owner: "t s", suffix: "a")
        }
        #expect(text.contains("not empty"), "\(text)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: theirs) == ["precious.sql"])
    }
}
