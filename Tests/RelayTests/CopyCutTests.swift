import Foundation
import MySQLClient
import MySQLCore
import Stream
import Synchronization
import TestServers
import Testing

@testable import Relay

/// Another worker's relay log, as a copy of it is shown it: events up to somewhere inside a
/// transaction, then nothing until the source is another one.
private final class CutPeer: RelayPeer {
    let name = "cut:1"
    /// Of the first folder, up to inside a transaction; and of the second one.
    private let chunks: [[EventChunk]]
    /// Before and after.
    private let folders: [[RelayContents]]
    private let isRestored = Mutex(false)

    init(_ chunks: [[EventChunk]], _ folders: [[RelayContents]]) {
        self.chunks = chunks
        self.folders = folders
    }

    func restore() { isRestored.withLock { $0 = true } }

    func contents() async throws -> [RelayContents] {
        folders[isRestored.withLock { $0 } ? 1 : 0]
    }

    func locate(_ place: StreamPlace) async throws -> (folder: RelayFolder, file: String) {
        (folders[0][0].folder, folders[0][0].files[0].name)
    }

    func reader(
        from position: BinlogPosition, in folder: RelayFolder, behind tail: EventTail
    ) async throws -> any EventReader {
        let isFirst = folder == folders[0][0].folder
        if isFirst, isRestored.withLock({ $0 }) {
            // What follows the last whole transaction was cut here.
            throw StreamError.upstreamChanged
        }
        let rest = chunks[isFirst ? 0 : 1].compactMap { chunk in
            chunk.file == position.file
                ? chunk.filtered { $0.position >= position.offset } : chunk
        }
        return CutReader(rest, isCut: isFirst)
    }
}

private final class CutReader: EventReader {
    private let rest: Mutex<[EventChunk]>
    private let isCut: Bool

    init(_ chunks: [EventChunk], isCut: Bool) {
        rest = Mutex(chunks.reversed())
        self.isCut = isCut
    }

    var hasMore: Bool { rest.withLock { !$0.isEmpty } }
    var server: ServerUUID? { nil }

    func next() async throws -> EventChunk {
        if let chunk = rest.withLock({ $0.popLast() }) { return chunk }
        if isCut { throw RelayError.unreachable(peer: "cut:1", detail: "the link is cut") }
        try await Task.sleep(for: .seconds(600))
        throw CancellationError()
    }

    func close() {}
}

extension InTurn {
    @Suite("A copy of a relay log that is cut off", .serialized)
    struct CopyCutTests {
        @Test(
            "inside a transaction goes on in the next folder when the source has failed over meanwhile",
            arguments: Servers.families)
        func insideTransaction(family: TestServer.Family) async throws {
            try await TestServer.with(family) { server in
                let (one, two) = (Scratch(), Scratch())
                try Writing.prepare(server, "cut")
                let (name, first) = (try server.serverName(), try server.end().file)
                var options = RelayOptions(server, one)
                options.start = .from(try server.end(), of: name, gtids: .none)
                try await withRelay(options) { log in
                    try Writing.run(server, "cut", 3...9)
                    try server.sql(
                        "BEGIN; INSERT INTO cut.t VALUES (91, REPEAT('a', 99999)); "
                            + "INSERT INTO cut.t VALUES (92, REPEAT('b', 99999)); COMMIT; "
                            + "FLUSH BINARY LOGS; INSERT INTO cut.t VALUES (93, 'c')")
                    let end = try server.end()
                    try await wait(for: "the relay") { log.reached(end) }
                }
                let catalog = Catalog(RelayDirectory(path: one.path))
                try catalog.load()
                let shelf = try #require(catalog.shelves.first)
                let index = try catalog.index(shelf.folder, shelf.files[0])
                let begin = index.newest
                let second = shelf.files[1]
                func chunks(_ file: String) throws -> [EventChunk] {
                    let place = WindowPlace(
                        segment: 1, position: BinlogPosition(file: file, offset: 4))
                    let files = FileReader(
                        catalog, at: place, skipping: nil, crossesServers: false, endsQuietly: true)
                    var out: [EventChunk] = []
                    while let chunk = try files.next() {
                        if chunk.file == file { out.append(chunk) }
                    }
                    return out
                }
                // Up to behind the first rows of the large transaction.
                let cut = begin + 100_000
                let half = try chunks(first).compactMap {
                    $0.filtered { $0.endPosition < cut + 9999 }
                }
                let reached = try #require(half.last?.entries.last?.endPosition)
                #expect(reached > begin)
                let folders = [
                    shelf.folder,
                    RelayFolder(
                        server: family == .mariadb
                            ? "0-4242" : "11111111-2222-3333-4444-555555555555", number: 2),
                ]
                func contents(_ sizes: [(String, UInt64)]) -> [RelayContents] {
                    zip(folders, sizes).map { folder, file in
                        RelayContents(
                            folder: folder,
                            files: [RelayContents.File(name: file.0, size: file.1)])
                    }
                }
                let peer = CutPeer(
                    [half, try chunks(second.name)],
                    [
                        contents([(first, reached)]),
                        contents([(first, begin), (second.name, second.size)]),
                    ])
                var copying = RelayOptions(server, two)
                copying.start = options.start
                copying.original = peer
                try await withRelay(copying) { copy in
                    try await wait(for: "the cut") { copy.end?.position.offset == reached }
                    peer.restore()
                    try await wait(for: "the other folder, \(copy.status)") {
                        copy.contents.count == 2
                            && copy.reached(
                                BinlogPosition(file: second.name, offset: second.size))
                    }
                    #expect(copy.contents.map(\.end?.offset) == [begin, second.size])
                }
            }
        }
    }
}
