import Foundation
import MySQLBinlog
import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Stream

@Suite("A source's events", .serialized)
struct DirectStreamTests {
    private struct Place: Hashable {
        var file: String
        var start: UInt64
        var end: UInt64
    }

    /// Reads until the stream is at `end`, and gives the places of the events that are in files.
    private static func read(
        _ options: ConnectionOptions, from start: BinlogDumpStart, to end: BinlogPosition,
        chunkBytes: Int = 256 << 10, offsetLimit: UInt64 = UInt64(UInt32.max),
        each: (EventChunk) -> Void = { _ in }
    ) throws -> [Place] {
        let stream = try DirectStream(
            options, from: start, serverID: .random(in: 1000...0x7FFF_FFFF), chunkBytes: chunkBytes,
            offsetLimit: offsetLimit)
        var places: [Place] = []
        while true {
            let chunk = try stream.next()
            each(chunk)
            for entry in chunk.entries {
                if entry.endPosition > entry.position {
                    places.append(
                        Place(file: chunk.file, start: entry.position, end: entry.endPosition))
                }
                if chunk.file == end.file, entry.endPosition >= end.offset { return places }
            }
        }
    }

    /// What the server itself says.
    private static func expected(_ connection: Connection, _ files: [String]) throws -> [Place] {
        try files.flatMap { file in
            try connection.rows("SHOW BINLOG EVENTS IN '\(file)'").map { row in
                Place(file: file, start: UInt64(row[1] ?? "") ?? 0, end: UInt64(row[4] ?? "") ?? 0)
            }
        }
    }

    private static func fill(_ server: TestServer, _ schema: String) throws {
        try server.sql(
            """
            CREATE DATABASE \(schema); USE \(schema);
            CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT);
            INSERT INTO t (v) VALUES ('a'), ('b');
            FLUSH BINARY LOGS;
            INSERT INTO t (v) VALUES (REPEAT('x', 700000));
            BEGIN; UPDATE t SET v='c' WHERE id=1; DELETE FROM t WHERE id=2; COMMIT;
            FLUSH BINARY LOGS;
            INSERT INTO t (v) VALUES ('d');
            """)
    }

    @Test(
        "positions are the server's, in every file, whatever a chunk holds",
        arguments: Servers.families)
    func positions(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            try Self.fill(server, "positions")
            let options = Servers.options(server)
            let connection = try Connection(options)
            let session = SourceSession(connection)
            let end = try session.currentPosition()
            let files = try session.files().map(\.name)
            #expect(files.count >= 3)
            let expected = try Self.expected(connection, files)
            for chunkBytes in [1, 300, 4096, 256 << 10] {
                var largest = 0
                let places = try Self.read(
                    options, from: .position(BinlogPosition(file: files[0], offset: 4)), to: end,
                    chunkBytes: chunkBytes
                ) { chunk in
                    largest = max(largest, chunk.byteCount)
                    if chunk.entries.count > 1 { #expect(chunk.byteCount <= chunkBytes) }
                    #expect(chunk.byteCount == chunk.entries.reduce(0) { $0 + $1.size })
                    #expect(chunk.hasChecksums)
                }
                #expect(places == expected, "chunks of \(chunkBytes)")
                #expect(largest > 700_000 || family == .mysql)
            }
            // From every event on.
            for (n, place) in expected.enumerated() where n % 5 == 0 {
                let start = BinlogPosition(file: place.file, offset: place.start)
                #expect(
                    try Self.read(options, from: .position(start), to: end)
                        == Array(expected[n...]))
                // As if the place was too far inside the file to be asked for.
                let passed = try Self.read(
                    options, from: .position(start), to: end, offsetLimit: 4)
                #expect(passed.filter { $0.start > 4 } == expected[n...].filter { $0.start > 4 })
            }
        }
    }

    /// How bytes come over a connection.
    enum Transport: String, CaseIterable {
        case plain, compressed, tls
    }

    /// Sizes around those of the library's read-ahead, of this one's and of packets' parts.
    private static let sizes = [
        1, 2_040, 2_048, 4_000, 8_100, 16_000, 16_384, 16_390, 33_000, 65_400, 65_536, 130_900,
        131_000,
        131_072, 131_200, 262_144, 400_000, 16_777_000, 16_777_215, 17_000_000,
    ]

    @Test(
        "events of every size come as they are in the file, over every kind of connection",
        arguments: Servers.families)
    func sizes(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            try server.sql(
                """
                CREATE DATABASE sizes; USE sizes;
                CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT);
                SET GLOBAL max_allowed_packet=64000000;
                """)
            var options = Servers.options(server)
            options.tls.mode = .disabled
            let connection = try Connection(options)
            try connection.execute("USE sizes")
            let session = SourceSession(connection)
            let start = try session.currentPosition()
            for (n, size) in Self.sizes.enumerated() {
                // Small ones between them, so that large ones begin anywhere in what is read.
                for small in 0...(n % 4) {
                    try connection.execute("INSERT INTO t (v) VALUES (REPEAT('s', \(small * 700)))")
                }
                try connection.execute("INSERT INTO t (v) VALUES (REPEAT('v', \(size)))")
            }
            let end = try session.currentPosition()
            let file = try Data(contentsOf: URL(filePath: "\(server.datadir)/\(start.file)"))
            let expected = file[Int(start.offset)..<Int(end.offset)]
            for transport in Transport.allCases {
                var options = options
                options.compresses = transport == .compressed
                options.tls.mode = transport == .tls ? .required : .disabled
                if transport == .tls, (try? Connection(options)) == nil { continue }
                var came = Data()
                let places = try Self.read(options, from: .position(start), to: end) { chunk in
                    for entry in chunk.entries where entry.endPosition > entry.position {
                        // The format event at the head was before the start.
                        guard entry.position >= start.offset else { continue }
                        came.append(
                            contentsOf: chunk.wholeEvent(entry).withUnsafeBytes { Array($0) })
                    }
                }
                #expect(came == expected, "\(transport)")
                #expect(places.count > 2 * Self.sizes.count)
            }
        }
    }

    @Test("a start behind GTIDs brings the rest", arguments: Servers.families)
    func gtids(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            try Self.fill(server, "gtids")
            let options = Servers.options(server)
            let connection = try Connection(options)
            let session = SourceSession(connection)
            let before = try session.currentGTIDs()
            let middle = try session.currentPosition()
            try server.sql("INSERT INTO gtids.t (v) VALUES ('e')")
            let end = try session.currentPosition()
            let start: BinlogDumpStart =
                switch before {
                case .mysql(let set): .mysql(set)
                case .mariadb(let position): .mariadb(position)
                case .none: .position(middle)
                }
            let expected = try Self.expected(connection, [end.file])
                .filter { $0.start >= middle.offset }
            let places = try Self.read(options, from: start, to: end)
            #expect(places.suffix(expected.count) == expected[...])
        }
    }

    @Test("a blocked read ends when it is interrupted", arguments: Servers.families)
    func interrupt(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        let options = Servers.options(server)
        let end = try SourceSession(try Connection(options)).currentPosition()
        let stream = try DirectStream(options, from: .position(end), serverID: 77)
        let interrupter = stream.interrupter
        Thread.detachNewThread {
            Thread.sleep(forTimeInterval: 0.3)
            interrupter.interrupt()
        }
        let start = ContinuousClock.now
        #expect(throws: MySQLError.self) { while true { _ = try stream.next() } }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test("a position inside an event, or beyond the end, is refused", arguments: Servers.families)
    func wrongPosition(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        let options = Servers.options(server)
        var end = try SourceSession(try Connection(options)).currentPosition()
        end.offset += 1000
        #expect(throws: (any Error).self) {
            let stream = try DirectStream(options, from: .position(end), serverID: 78)
            for _ in 0..<3 { _ = try stream.next() }
        }
        end.file = "bin.999999"
        #expect(throws: MySQLError.self) {
            let stream = try DirectStream(options, from: .position(end), serverID: 79)
            _ = try stream.next()
        }
    }

    @Test(
        "the source may change how events are checked while, or before, it is read",
        arguments: Servers.families)
    func checksumChanges(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let options = Servers.options(server)
            let connection = try Connection(options)
            let session = SourceSession(connection)
            try server.sql("CREATE DATABASE sums; CREATE TABLE sums.t (a INT PRIMARY KEY)")
            let start = try session.files()[0].name
            try server.sql("INSERT INTO sums.t VALUES (1); SET GLOBAL binlog_checksum=NONE")
            try server.sql("INSERT INTO sums.t VALUES (2); SET GLOBAL binlog_checksum=CRC32")
            try server.sql("INSERT INTO sums.t VALUES (3)")
            for last in ["CRC32", "NONE"] {
                try server.sql(
                    "SET GLOBAL binlog_checksum=\(last); INSERT INTO sums.t VALUES ("
                        + "\(last == "NONE" ? 4 : 5))")
                let end = try session.currentPosition()
                let expected = try Self.expected(connection, try session.files().map(\.name))
                var commits = 0
                let places = try Self.read(
                    options, from: .position(BinlogPosition(file: start, offset: 4)), to: end
                ) { chunk in
                    for entry in chunk.entries where entry.type == EventType.query.rawValue {
                        guard let query = try? QueryEvent(chunk.event(entry)) else { continue }
                        let text = String(decoding: query.sql, as: UTF8.self)
                        if text == "BEGIN" { commits += 1 }
                        if text.hasPrefix("CREATE DATABASE") {
                            #expect(text == "CREATE DATABASE sums")
                        }
                    }
                    for entry in chunk.entries where entry.type == EventType.xid.rawValue {
                        if family == .mariadb { commits += 1 }
                        #expect(chunk.event(entry).byteCount == 27)
                    }
                }
                #expect(places == expected)
                #expect(commits == (last == "NONE" ? 5 : 4))
            }
        }
    }

    @Test("an event that was changed on its way is found", arguments: Servers.families)
    func checksum(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            try server.sql(
                "CREATE DATABASE broken; CREATE TABLE broken.t (a VARCHAR(50) PRIMARY KEY); "
                    + "INSERT INTO broken.t VALUES ('a very particular text')")
            try await server.stop()
            let file = server.datadir + "/bin.000001"
            var bytes = try Data(contentsOf: URL(filePath: file))
            let range = try #require(bytes.range(of: Data("a very particular text".utf8)))
            bytes[range.lowerBound] ^= 1
            try bytes.write(to: URL(filePath: file))
            try await server.restart()
            let options = Servers.options(server)
            let session = SourceSession(try Connection(options))
            let first = try session.files()[0].name
            let end = try session.currentPosition()
            #expect(throws: StreamError.self) {
                _ = try Self.read(
                    options, from: .position(BinlogPosition(file: first, offset: 4)), to: end)
            }
        }
    }

    @Test(
        "an origin outlives a restart, and not a reset of the binlog", arguments: Servers.families)
    func origin(family: TestServer.Family) async throws {
        try await TestServer.with(family) { server in
            let options = Servers.options(server)
            func read() throws -> Origin {
                let file = try SourceSession(try Connection(options)).files()[0].name
                return try Origin.read(options, file: file, serverID: 99)
            }
            let before = try read()
            try server.sql("CREATE DATABASE origins")
            #expect(try read() == before)
            try await server.restart()
            #expect(try read() == before)
            try await Task.sleep(for: .milliseconds(1100))
            try server.sql(family == .mysql ? "RESET BINARY LOGS AND GTIDS" : "RESET MASTER")
            let after = try read()
            #expect(after != before && after.server == before.server)
        }
    }
}
