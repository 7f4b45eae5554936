import Foundation
import Snapshot
import Testing

@Suite("Directories of tasks that dump")
struct DumpClaimTests {
    private static func folder() -> String {
        NSTemporaryDirectory() + "skein-claim-\(UUID().uuidString)"
    }

    private static func write(_ text: String, _ path: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
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
        let token = try claim.take(owner: "task one", suffix: "a")
        #expect(token == "task one a")
        // It was killed before anybody had written that down.
        #expect(try claim.take(owner: "task one", suffix: "b") == token)
        let stolen = Self.refusal { _ = try claim.take(owner: "task on", suffix: "c") }
        #expect(stolen.contains("another task"), "\(stolen)")
        #expect(try claim.whole(token: token, begun: "here") == nil)
        let other = Self.refusal { _ = try claim.whole(token: "task one b", begun: "on w1 in /d") }
        #expect(other.contains("begun on w1 in /d"), "\(other)")

        try Self.write(
            "Started dump at: 2026-05-01 10:00:00\nSHOW MASTER STATUS:\n\tLog: bin.000001\n"
                + "\tPos: 4\n\tGTID:\n\nFinished dump at: 2026-05-01 10:00:01\n",
            path + "/metadata")
        let whole = try #require(try claim.whole(token: token, begun: "here"))
        #expect(whole.position == "bin.000001:4")
        let again = Self.refusal { _ = try claim.take(owner: "task one", suffix: "d") }
        #expect(again.contains("whole dump already"), "\(again)")
    }

    @Test("a directory that is not there is no reason to begin again, and is not made")
    func missing() {
        let path = Self.folder()
        let text = Self.refusal {
            _ = try DumpClaim(directory: path).whole(token: "t s a", begun: "on w1 in \(path)")
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
