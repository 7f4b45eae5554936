import MySQLBinlog
import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Stream

@Suite("Readers that share a connection", .serialized)
struct DirectSourceTests {
    private static func dumps(_ server: TestServer) throws -> Int {
        Int(
            try server.sql(
                "SELECT COUNT(*) FROM information_schema.processlist "
                    + "WHERE command LIKE 'Binlog Dump%'"
            ).filter(\.isNumber)) ?? 0
    }

    @Test(
        "ten of them read over one; one that is left behind gets another",
        arguments: Servers.families)
    func sharing(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v LONGTEXT)")
            let start = try SourceSession(try Connection(Servers.options(server))).currentPosition()
            let source = DirectSource(
                Servers.options(server), serverID: 4000, windowBytes: 1 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await source.run() }
                var readers: [any EventReader] = []
                for _ in 0..<10 {
                    readers.append(try await source.reader(from: .position(start, of: nil)))
                }
                #expect(try Self.dumps(server) == 1)
                try server.sql(
                    "INSERT INTO d.t VALUES (0, 'x'); SET @n = 0;"
                        + (1...40).map { "INSERT INTO d.t VALUES (\($0), REPEAT('y', 200000));" }
                        .joined())
                let end = try SourceSession(try Connection(Servers.options(server)))
                    .currentPosition()
                /// Reads to the end, and gives what was read.
                @Sendable func read(_ reader: any EventReader) async throws -> [UInt64] {
                    var positions: [UInt64] = []
                    while true {
                        let chunk = try await reader.next()
                        for entry in chunk.entries where EventChunk.isInFile(entry) {
                            positions.append(entry.position)
                            if entry.endPosition >= end.offset { return positions }
                        }
                    }
                }
                let first = try await read(readers[0])
                #expect(first.first == start.offset && first.count > 80)
                // The others are far behind by now.
                for reader in readers.dropFirst().prefix(3) {
                    #expect(try await read(reader) == first)
                }
                for reader in readers { reader.close() }
                group.cancelAll()
                while let _ = try? await group.next() {}
            }
        }
    }

    @Test(
        "one that is left behind just behind a very large transaction gets nothing of it again",
        arguments: Servers.families)
    func large(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v LONGTEXT)")
            func place() throws -> BinlogPosition {
                try SourceSession(try Connection(Servers.options(server))).currentPosition()
            }
            let start = try place()
            let source = DirectSource(
                Servers.options(server), serverID: 4300, windowBytes: 1 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await source.run() }
                let quick = try await source.reader(from: .position(start, of: nil))
                let slow = try await source.reader(from: .position(start, of: nil))
                try server.sql(
                    "BEGIN;"
                        + (1...30).map { "INSERT INTO d.t VALUES (\($0), REPEAT('y', 200000));" }
                        .joined() + "COMMIT; FLUSH BINARY LOGS")
                let middle = try place()
                try server.sql(
                    (101...140).map { "INSERT INTO d.t VALUES (\($0), REPEAT('z', 200000));" }
                        .joined())
                let end = try place()
                /// Reads up to a place; every event must lie behind the one before.
                @Sendable func read(
                    _ reader: any EventReader, _ from: BinlogPosition, to end: BinlogPosition
                ) async throws -> BinlogPosition {
                    var last = from
                    while last < end {
                        let chunk = try await reader.next()
                        for entry in chunk.entries where EventChunk.isInFile(entry) {
                            let begin = BinlogPosition(file: chunk.file, offset: entry.position)
                            #expect(last.file == begin.file ? last == begin : last < begin)
                            last = BinlogPosition(file: chunk.file, offset: entry.endPosition)
                        }
                    }
                    return last
                }
                // The slow one first, so that it is fed; then it stands still in the new file.
                async let ahead = read(quick, start, to: middle)
                let reached = try await read(slow, start, to: middle)
                #expect(reached.file == middle.file)
                _ = try await read(quick, try await ahead, to: end)
                _ = try await read(slow, reached, to: end)
                for reader in [quick, slow] { reader.close() }
                group.cancelAll()
                while let _ = try? await group.next() {}
            }
        }
    }

    @Test(
        "a position of one server is not read on another that answers in its place",
        arguments: Servers.families)
    func otherServer(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        let position = try SourceSession(try Connection(Servers.options(server))).currentPosition()
        let source = DirectSource(Servers.options(server), serverID: 4100)
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await source.run() }
            let other = ServerUUID(high: 1, low: 2)
            await #expect(throws: StreamError.upstreamChanged) {
                _ = try await source.reader(from: .position(position, of: other))
            }
            group.cancelAll()
            while let _ = try? await group.next() {}
        }
    }

    @Test(
        "one that is left behind looks at its newest transaction again, and notices another one",
        arguments: Servers.families)
    func rewritten(family: TestServer.Family) async throws {
        try await TestServer.with(family, options: ["--server-id=77"], name: "one") { server in
            try server.sql("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v LONGTEXT)")
            try await server.stop()
            // The same server twice, from here on with lives of their own.
            let twin = try await TestServer.start(
                family, options: ["--server-id=77"], name: "twin", data: server.datadir)
            try await server.restart()
            let start = try SourceSession(try Connection(Servers.options(server))).currentPosition()
            let twins = try SourceSession(try Connection(Servers.options(twin))).currentPosition()
            #expect(start == twins)
            try twin.sql("INSERT INTO d.t VALUES (1, 'other')")
            let proxy = try FaultProxy(to: server)
            defer { proxy.close() }
            let source = DirectSource(
                Servers.plain(server, proxy), serverID: 4200, windowBytes: 1 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { try await source.run() }
                let quick = try await source.reader(from: .position(start, of: nil))
                let slow = try await source.reader(from: .position(start, of: nil))
                try server.sql("INSERT INTO d.t VALUES (1, 'first')")
                @Sendable func read(_ reader: any EventReader, _ bytes: Int) async throws {
                    var seen = 0
                    while seen < bytes { seen += try await reader.next().byteCount }
                }
                // All of the transaction.
                var end = start.offset
                let goal = try SourceSession(try Connection(Servers.options(server)))
                    .currentPosition()
                while end < goal.offset { end = try await slow.next().range.end }
                try server.sql(
                    (2...40).map { "INSERT INTO d.t VALUES (\($0), REPEAT('y', 200000));" }
                        .joined())
                try twin.sql(
                    (2...40).map { "INSERT INTO d.t VALUES (\($0), REPEAT('y', 200000));" }
                        .joined())
                try await read(quick, 6_000_000)
                proxy.forward(to: twin)
                let error = await #expect(throws: StreamError.self) {
                    try await read(slow, 6_000_000)
                }
                guard case .sourceLostEvents? = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                for reader in [quick, slow] { reader.close() }
                group.cancelAll()
                while let _ = try? await group.next() {}
            }
            await twin.discard()
        }
    }
}
