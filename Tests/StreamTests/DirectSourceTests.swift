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
}
