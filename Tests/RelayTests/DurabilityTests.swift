import MySQLClient
import MySQLCore
import Synchronization
import Testing

@testable import Relay

@Suite("What of a relay log is on the disk, and when")
struct DurabilityTests {
    /// What there was when something had become durable.
    private struct Step: Equatable, Sendable {
        /// Below the log's folder; empty for that itself.
        let path: String
        let hasFolder: Bool
        let hasLine: Bool
        /// Folders that readers know of.
        let known: Int

        init(_ path: String, hasFolder: Bool, hasLine: Bool, known: Int) {
            self.path = path
            self.hasFolder = hasFolder
            self.hasLine = hasLine
            self.known = known
        }
    }

    /// What becomes durable, in this order, while a folder is begun.
    private static func steps(
        _ writer: RelayWriter, _ folder: RelayFolder
    ) throws -> [Step] {
        let log = writer.log
        let path = log.options.path
        let steps = Mutex<[Step]>([])
        let record: @Sendable (String) -> Void = { synced in
            let index = Folder.text(path + "/server-uuid.index") ?? ""
            let step = Step(
                String(synced.dropFirst(path.count).drop { $0 == "/" }),
                hasFolder: Folder.exists(path + "/\(folder)"),
                hasLine: index.contains("\(folder)\n"), known: log.contents.count)
            steps.withLock { $0.append(step) }
        }
        try Durability.$recorder.withValue(record) {
            try writer.beginFolder(server: folder.server, file: "bin.000001")
        }
        return steps.withLock { $0 }
    }

    @Test("a new folder, then its line in the index, before anybody is given anything of it")
    func folders() throws {
        let scratch = Scratch()
        let source = ConnectionOptions(port: 1, user: "nobody", password: Password(""))
        let log = try RelayLog(RelayOptions(path: scratch.path, source: source, serverID: 1))
        let writer = RelayWriter(log)
        let (one, two) = (
            RelayFolder(server: "0-1", number: 1), RelayFolder(server: "0-2", number: 2)
        )
        let index = "server-uuid.index.tmp"
        let first = try Self.steps(writer, one)
        #expect(
            first == [
                Step("", hasFolder: true, hasLine: false, known: 0),
                Step(index, hasFolder: true, hasLine: false, known: 0),
                Step("", hasFolder: true, hasLine: true, known: 0),
            ])
        #expect(log.contents.map(\.folder) == [one])
        // What ends is on the disk before anything names what follows it.
        let second = try Self.steps(writer, two)
        #expect(
            Array(second.prefix(4)) == [
                Step("\(one)/bin.000001", hasFolder: false, hasLine: false, known: 1),
                Step("", hasFolder: true, hasLine: false, known: 1),
                Step(index, hasFolder: true, hasLine: false, known: 1),
                Step("", hasFolder: true, hasLine: true, known: 1),
            ])
        #expect(second.allSatisfy { $0.known == 1 })
        #expect(log.contents.map(\.folder) == [one, two])
    }
}
