import MySQLClient
import MySQLCore
import Stream
import Testing

@testable import Relay

/// A worker next door, whose log is here.
private final class Neighbour: RelayPeer {
    let name: String
    private let scratch: Scratch
    private let log: RelayLog

    /// Keeps one file of a server.
    init(_ name: String, server: String = "0-1", file: String = "bin.000001", _ made: MadeFile)
        throws
    {
        self.name = name
        let scratch = Scratch()
        self.scratch = scratch
        let directory = RelayDirectory(path: scratch.path)
        let folder = RelayFolder(server: server, number: 4)
        try directory.add(folder)
        try Folder.replace(directory.file(folder, file), made.bytes)
        log = try RelayLog(
            RelayOptions(path: scratch.path, source: RepairTests.nowhere, serverID: 2))
    }

    func contents() async throws -> [RelayContents] { log.contents }

    func locate(_ place: StreamPlace) async throws -> (folder: RelayFolder, file: String) {
        try log.locate(place)
    }

    func reader(
        from position: BinlogPosition, in folder: RelayFolder, behind tail: EventTail
    ) async throws -> any EventReader {
        try log.reader(from: position, in: folder)
    }
}

@Suite("A damaged event of a relay log")
struct RepairTests {
    /// Where no server is.
    static let nowhere = ConnectionOptions(port: 1, user: "nobody", password: Password(""))

    private static func made(_ count: UInt64, before: UInt64? = 0, created: UInt64 = 1) -> MadeFile
    {
        var file = MadeFile(before: before, created: created)
        file.add(1...count)
        return file
    }

    /// What comes of a repair: the file's bytes, and the error.
    private static func mended(
        at offset: UInt64, flipping delta: UInt64, of good: MadeFile, _ peers: [Neighbour]
    ) async throws -> (bytes: [UInt8], bad: [UInt8], error: String?) {
        let scratch = Scratch()
        let directory = RelayDirectory(path: scratch.path)
        let folder = RelayFolder(server: "0-1", number: 1)
        try directory.add(folder)
        let path = directory.file(folder, "bin.000001")
        var bad = good.bytes
        bad[Int(offset + delta)] ^= 0x10
        try Folder.replace(path, bad)
        let damage = DamagedEvent(
            path: path, folder: folder, file: "bin.000001", offset: offset, detail: "changed")
        var problem: String?
        do {
            try await Repair(source: nowhere, serverID: 1, peers: peers).mend(damage)
        } catch let error as RelayError {
            guard case .damaged(path, offset, _) = error else { throw error }
            problem = error.description
        }
        return (try #require(Folder.read(path)), bad, problem)
    }

    @Test("is put in place whole, wherever in the file it is, by the first who has it")
    func placed() async throws {
        let good = Self.made(5)
        let peers = [
            try Neighbour("far", server: "0-2", good), try Neighbour("near", good),
        ]
        for (offset, delta) in [
            (4, 30), (good.starts[1], 20), (good.starts[1], 9), (good.ends[1] - 31, 20),
            (good.ends[4] - 31, 14),
        ] as [(UInt64, UInt64)] {
            let (bytes, bad, error) = try await Self.mended(
                at: offset, flipping: delta, of: good, peers)
            #expect(bytes == good.bytes && bytes != bad && error == nil, "\(offset) \(delta)")
        }
    }

    @Test("stays as it is when nobody has that very event, and says who was asked")
    func refused() async throws {
        let good = Self.made(5)
        let at = good.starts[3]
        let (bytes, bad, error) = try await Self.mended(
            at: at, flipping: 20, of: good,
            [
                try Neighbour("one", server: "0-2", good),
                try Neighbour("two", file: "bin.000002", good),
                // It ends where the event begins.
                try Neighbour("three", Self.made(3)),
                // Of another life of the server, with events at the same places.
                try Neighbour("four", Self.made(5, created: 2)),
                // Its events lie elsewhere.
                try Neighbour("five", Self.made(9, before: nil)),
            ])
        #expect(bytes == bad)
        let text = try #require(error)
        for name in ["one", "two", "three", "four", "five"] {
            #expect(text.contains("\(name) was asked"), "\(text)")
        }
        #expect(text.contains("begins differently"))
    }
}
