import Foundation
import MySQLClient
import MySQLCore
import Stream
import TestServers
import Testing

@testable import Relay

/// Where a reader of a test starts, and what it has to see.
struct StartPoint: Sendable {
    var position: BinlogPosition
    var gtids: GTIDState
}

/// The truth: a source's events over a connection of its own.
func truth(
    _ server: TestServer, from start: BinlogPosition, to end: BinlogPosition
) throws -> Seen {
    let seen = Seen()
    if start == end { return seen }
    let stream = try DirectStream(
        Servers.options(server), from: .position(start), serverID: .random(in: 1...99999))
    while (seen.end.map { $0 < end } ?? true) {
        let chunk = try stream.next()
        let kept = chunk.filtered { chunk.file != end.file || $0.endPosition <= end.offset }
        if let kept { seen.take(kept) }
    }
    return seen
}

/// Purges a source's files; readers that have gone may hold them for a while.
func purgeSource(_ server: TestServer, to last: String) async throws {
    try await wait(for: "the purge") {
        try server.sql("PURGE BINARY LOGS TO '\(last)'")
        return try server.binlogs().count == 1
    }
}

@Suite("Readers of a relay log", .serialized)
struct ReaderTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var family: TestServer.Family
        var window: Int
        var testDescription: String { "\(family.rawValue), window of \(window >> 20) MiB" }
        static let all = Servers.families.flatMap { family in
            [1, 64].map { Case(family: family, window: $0 << 20) }
        }
    }

    @Test(
        "at any starting point, quick or slow, coming and going, see the same events",
        arguments: Case.all)
    func sameEvents(_ each: Case) async throws {
        try await TestServer.with(each.family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "many")
            let first = try server.end()
            var points: [StartPoint] = []
            try await withRelay(RelayOptions(server, scratch, window: each.window)) { log in
                var points: [StartPoint] = []
                let writing = [Writing(server, "many", seed: 1), Writing(server, "many", seed: 2)]
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for n in 0..<8 {
                        try await writing[0].more(25)
                        // Between the two answers something may be written: GTIDs first.
                        let gtids = try server.gtids()
                        let position = try server.end()
                        points.append(StartPoint(position: position, gtids: gtids))
                        let point = points[n % 3 == 0 ? 0 : n]
                        group.addTask { try await Self.read(log, n, point, first, server) }
                    }
                    try await writing[0].more(100)
                    for writing in writing { try await writing.stop() }
                    while try await group.next() != nil {}
                }
                // All of them once more, when everything is on disk.
                let end = try server.end()
                let all = try truth(server, from: first, to: end)
                for (n, point) in points.enumerated() {
                    let reader = try await log.reader(from: .gtids(point.gtids))
                    let seen = Seen()
                    try await seen.read(reader, to: end)
                    reader.close()
                    #expect(seen.problems == [])
                    #expect(seen.order == Array(all.order.suffix(seen.order.count)), "\(n)")
                    #expect(seen.digests.allSatisfy { all.digests[$0] == $1 })
                }
            }
            _ = points.popLast()
        }
    }

    /// Reads for a while, and compares with what the server says itself.
    private static func read(
        _ log: RelayLog, _ n: Int, _ point: StartPoint, _ first: BinlogPosition,
        _ server: TestServer
    ) async throws {
        let place: StreamPlace =
            n % 2 == 0
            ? .position(point.position, of: log.server) : .gtids(point.gtids)
        let reader = try await log.reader(from: place)
        defer { reader.close() }
        let seen = Seen()
        var chunks = 0
        let leaves = n % 4 == 3
        var end = try server.end()
        while (seen.end.map { $0 < end } ?? true) {
            seen.take(try await reader.next())
            chunks += 1
            // Slow ones are outrun by the window of 1 MiB.
            if n % 3 == 1 { try await Task.sleep(for: .milliseconds(5)) }
            if n % 3 == 2, chunks % 20 == 0 { try await Task.sleep(for: .milliseconds(200)) }
            if leaves, chunks > 30 { break }
            if chunks == 10 { end = try server.end() }
        }
        guard let last = seen.end else { return }
        let real = try truth(server, from: first, to: last)
        #expect(seen.problems == [], "reader \(n)")
        // The first one after the start, and then one after the other.
        let begin: Int
        if n % 2 == 0 {
            let later = try truth(server, from: point.position, to: last)
            begin = real.order.count - later.order.count
        } else {
            // Nothing may have come yet that it lacks.
            begin =
                real.order.firstIndex { !Self.contains(point.gtids, $0) } ?? real.order.count
        }
        #expect(Array(real.order[begin...]) == seen.order, "reader \(n)")
        #expect(seen.digests.allSatisfy { real.digests[$0] == $1 })
    }

    static func contains(_ state: GTIDState, _ name: String) -> Bool {
        if let gtid = MariaDBGTID(name) {
            return state.isSuperset(of: .mariadb(MariaDBGTIDPosition("\(gtid)") ?? .init()))
        }
        return state.isSuperset(of: .mysql(MySQLGTIDSet(name) ?? .init()))
    }

    @Test(
        "by GTID, that come while a file begins, start in the one before it",
        arguments: Servers.families)
    func fileBegins(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "begins")
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "begins", 102...110)
                let end = try server.end()
                try await wait(for: "the relay log") { log.reached(end) }
            }
            let known = try server.gtids()
            let end = try server.end()
            let catalog = Catalog(RelayDirectory(path: scratch.path))
            try catalog.load()
            let list = catalog.shelves[0]
            // Its head, which says what is before it, has not come yet.
            catalog.begin("bin.999999", size: 4, IndexBuilder())
            let place = try catalog.place(behind: known)
            #expect(place.position.file == end.file && place.position.offset <= end.offset)
            // One whose list of files is old is not given another file's index.
            var old = list.files[list.files.count - 1]
            let index = try catalog.index(list.folder, old)
            old.isClosed = false
            #expect(try catalog.index(list.folder, old) == index)
            #expect(try catalog.previous(list.folder, old) == index.previous)
            #expect(index.previous != .none)
        }
    }

    @Test("go on when the source has purged what they still need", arguments: Servers.families)
    func purgedUpstream(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "gone")
            let start = try server.end()
            let gtids = try server.gtids()
            try await withRelay(RelayOptions(server, scratch, window: 1 << 20)) { log in
                try Writing.run(server, "gone", 3...200)
                let end = try server.end()
                let real = try truth(server, from: start, to: end)
                try await wait(for: "the relay") { log.reached(end) }
                try server.sql("FLUSH BINARY LOGS")
                let last = try #require(try server.binlogs().last)
                try await wait(for: "the next file") { log.status.position?.file == last }
                try await Task.sleep(for: .milliseconds(200))
                try await purgeSource(server, to: last)
                for place in [StreamPlace.position(start, of: nil), .gtids(gtids)] {
                    let reader = try await log.reader(from: place)
                    let seen = Seen()
                    try await seen.read(reader, to: end)
                    #expect(seen.order == real.order && seen.digests == real.digests)
                    #expect(seen.problems == [])
                }
            }
            // And after a restart of the writer.
            try await withRelay(RelayOptions(server, scratch)) { log in
                let reader = try await log.reader(from: .gtids(gtids))
                try server.sql("INSERT INTO gone.t VALUES (1, 'last')")
                let end = try server.end()
                let seen = Seen()
                try await seen.read(reader, to: end)
                #expect(seen.problems == [] && seen.order.count > 100)
            }
        }
    }

    @Test("find GTIDs of several domains, with gaps", arguments: Servers.families)
    func gaps(family: TestServer.Family) async throws {
        try await TestServer.with(
            family, options: family == .mariadb ? ["--gtid-strict-mode=OFF"] : []
        ) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "gaps")
            let start = try server.end()
            try await withRelay(RelayOptions(server, scratch)) { log in
                let connection = try Connection(Servers.options(server))
                var states: [GTIDState] = []
                for n in 0..<60 {
                    if family == .mariadb {
                        try connection.execute(
                            "SET gtid_domain_id=\(n % 3); INSERT INTO gaps.t VALUES (\(n), 'd')")
                    } else {
                        try connection.execute("INSERT INTO gaps.t VALUES (\(n), 'd')")
                    }
                    if n % 20 == 7 { try connection.execute("FLUSH BINARY LOGS") }
                    states.append(try server.gtids())
                }
                let end = try server.end()
                let real = try truth(server, from: start, to: end)
                try await wait(for: "the relay") { log.reached(end) }
                for (n, state) in states.enumerated() where n % 7 == 0 && n < 59 {
                    var wanted = real.order.dropFirst(n + 1)
                    var state = state
                    if case .mysql(var set) = state {
                        // Two transactions from further on are there already.
                        for name in [real.order[50], real.order[57]] {
                            let more = try #require(MySQLGTIDSet(name))
                            set.formUnion(more)
                            wanted.removeAll { $0 == name }
                        }
                        state = .mysql(set)
                    }
                    let reader = try await log.reader(from: .gtids(state))
                    let seen = Seen()
                    try await seen.read(reader, to: end)
                    #expect(seen.order == Array(wanted), "behind \(state)")
                }
                // What is older than all files is an error that says so.
                let nothing: GTIDState = family == .mariadb ? .mariadb(.init()) : .mysql(.init())
                if try server.binlogs().count > 1,
                    log.catalog.shelves[0].files[0].name != "bin.000001"
                {
                    await #expect(throws: RelayError.self) {
                        _ = try await log.reader(from: .gtids(nothing))
                    }
                }
            }
        }
    }

    @Test("another process reads what is published", arguments: Servers.families)
    func archive(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let scratch = Scratch()
            try Writing.prepare(server, "look")
            let start = try server.end()
            try await withRelay(RelayOptions(server, scratch)) { log in
                try Writing.run(server, "look", 3...80)
                let end = try server.end()
                try await wait(for: "the relay to be saved") {
                    try RelayDirectory(path: scratch.path).folders().first
                        .flatMap { RelayDirectory(path: scratch.path).meta($0) }?.position
                        == end.offset
                }
                let archive = try RelayArchive(path: scratch.path)
                #expect(archive.isWritten)
                let seen = Seen()
                let events = try archive.events(from: .position(start, of: nil))
                while let chunk = try events.next() { seen.take(chunk) }
                let real = try truth(server, from: start, to: end)
                #expect(seen.order == real.order && seen.digests == real.digests)
                #expect(throws: RelayError.inUse(path: scratch.path)) {
                    _ = try RelayLog(RelayOptions(server, scratch))
                }
            }
            // A process that is being started meanwhile has the lock until it runs its program.
            try await wait(for: "nobody to write it") {
                try !RelayArchive(path: scratch.path).isWritten
            }
        }
    }
}
