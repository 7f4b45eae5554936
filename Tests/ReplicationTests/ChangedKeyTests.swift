import MySQLClient
import MySQLCore
import Stream
import TestServers
import Testing

@testable import Replication

/// Which rows a stretch of a binlog has changed, as a reader of its own tells it.
@Suite("Keys of changed rows")
struct ChangedKeyTests {
    /// A schema on a shared server, and a reader from where the binlog is when it is made.
    private struct Rig {
        let server: TestServer
        let schema: String
        let start: BinlogPosition
        let identity: ServerUUID
        let options: ConnectionOptions

        init(_ family: TestServer.Family, _ name: String, _ statements: String) async throws {
            server = try await Servers.shared(family)
            schema = "keys_\(name)"
            options = TargetRig.options(server.port)
            try server.sql("DROP DATABASE IF EXISTS \(schema); CREATE DATABASE \(schema)")
            try server.sql(statements, database: schema)
            let session = SourceSession(try Connection(options))
            start = try session.currentPosition()
            identity = try session.serverName()
        }

        var end: BinlogPosition {
            get throws { try SourceSession(Connection(options)).currentPosition() }
        }

        func name(_ table: String) -> TableName { TableName(schema: schema, name: table) }

        func shape(_ table: String) throws -> TableShape {
            let connection = try Connection(options)
            let name = name(table)
            return try #require(try SchemaReader(connection).shape(of: name))
        }

        func key(_ table: String) throws -> ChangedKeys.Key {
            let shape = try shape(table)
            let primary = try #require(shape.keys.first { $0.isPrimary })
            return ChangedKeys.Key(
                shape: shape,
                columns: primary.parts.compactMap { $0.column.flatMap { shape.columnIndex($0) } })
        }

        /// Reads up to the end of the binlog as it is now; tables of other tests are not wanted.
        func read(
            _ reader: ChangeReader, _ tables: String..., limit: Int = 100_000
        ) async throws -> ChangedKeys {
            let end = try end
            let wanted = Dictionary(
                uniqueKeysWithValues: try tables.map { (name($0), try key($0)) })
            var (keys, others): ([TableName: ChangedKeys.Key], Set<TableName>) = ([:], [])
            var all = ChangedKeys()
            while true {
                let found = try await reader.read(
                    to: end, limit: limit, keys: keys, others: others, stopsAtStatements: false)
                for (table, rows) in found.rows {
                    all.rows[table, default: []].formUnion(rows)
                }
                all.untold += found.untold
                all.hasOtherShapes = all.hasOtherShapes || found.hasOtherShapes
                for table in found.unknown {
                    if let key = wanted[table] { keys[table] = key } else { others.insert(table) }
                }
                if found.isComplete { return all }
            }
        }

        func reader(from place: BinlogPosition? = nil) -> ChangeReader {
            ChangeReader(options, from: place ?? start, of: identity)
        }
    }

    private static let types: [(type: String, values: [String])] = [
        ("TINYINT UNSIGNED", ["0", "255"]), ("BIGINT", ["-9223372036854775808", "7"]),
        ("BIGINT UNSIGNED", ["18446744073709551615"]), ("DECIMAL(20,5)", ["-1.5", "12345.67890"]),
        ("DOUBLE", ["1e-300", "0.1", "-3"]), ("YEAR", ["1999"]), ("BIT(9)", ["b'100000001'"]),
        ("DATE", ["'0001-01-01'", "'2024-02-29'"]), ("DATETIME(3)", ["'2024-01-02 03:04:05.678'"]),
        ("TIMESTAMP", ["'2024-07-01 12:00:00'"]), ("TIME(6)", ["'-100:00:00.000001'"]),
        ("VARCHAR(20) CHARACTER SET latin1", ["'caf\u{e9}'", "'a''b'", "'\\\\'", "''"]),
        ("VARCHAR(20) CHARACTER SET utf8mb4", ["'\u{1F600}'", "'\u{4e2d}'", "'x; DROP'"]),
        ("CHAR(5) CHARACTER SET utf16", ["'ab'"]), ("BINARY(4)", ["x'0100'", "x'00000000'"]),
        ("VARBINARY(9)", ["x'00'", "x'27'", "x''"]), ("ENUM('a','b')", ["'b'"]),
        ("SET('a','b','c')", ["'a,c'", "''"]),
    ]

    @Test(
        "rows are found by what is told of them, whatever type their key has",
        arguments: Servers.families)
    func types(family: TestServer.Family) async throws {
        let tables = Self.types.enumerated().map { number, it in
            "CREATE TABLE k\(number) (v INT, id \(it.type) NOT NULL, PRIMARY KEY (id));"
        }
        let rig = try await Rig(family, "types", tables.joined())
        let reader = rig.reader()
        for (number, it) in Self.types.enumerated() {
            for value in it.values {
                try rig.server.sql(
                    "SET NAMES utf8mb4; SET time_zone='+00:00'; INSERT INTO k\(number) VALUES (1, \(value))",
                    database: rig.schema)
            }
        }
        let connection = try Connection(rig.options)
        try connection.execute("SET NAMES utf8mb4")
        try connection.execute("SET time_zone='+00:00'")
        for (number, it) in Self.types.enumerated() {
            let table = "k\(number)"
            let fresh = rig.reader()
            let found = try await rig.read(fresh, table)
            await fresh.close()
            let rows = found.rows[rig.name(table)] ?? []
            #expect(rows.count == it.values.count, "\(it.type): \(rows)")
            for row in rows {
                let literal = try #require(row.first)
                #expect(literal.utf8.allSatisfy { $0 < 0x80 })
                let count = try connection.value(
                    "SELECT COUNT(*) FROM \(rig.name(table).quoted) WHERE id IN (\(literal))")
                #expect(count == "1", "\(it.type): \(literal)")
            }
            #expect(found.untold == 0)
        }
        await reader.close()
    }

    @Test("old and new keys are told, of keys of several columns too", arguments: Servers.families)
    func updates(family: TestServer.Family) async throws {
        let rig = try await Rig(
            family, "updates",
            "CREATE TABLE t (a INT, v INT, b INT, PRIMARY KEY (b, a)); INSERT INTO t VALUES (1,1,1),(2,2,2)"
        )
        try rig.server.sql(
            "UPDATE t SET a=9 WHERE a=1; UPDATE t SET v=5 WHERE a=2; DELETE FROM t WHERE a=9",
            database: rig.schema)
        let reader = rig.reader()
        let found = try await rig.read(reader, "t")
        #expect(found.rows[rig.name("t")] == [["1", "1"], ["1", "9"], ["2", "2"]])
        await reader.close()
    }

    @Test("a large transaction comes in parts", arguments: Servers.families)
    func parts(family: TestServer.Family) async throws {
        let rig = try await Rig(family, "parts", "CREATE TABLE t (id INT PRIMARY KEY)")
        let values = (1...3000).map { "(\($0))" }.joined(separator: ",")
        try rig.server.sql(
            "INSERT INTO t VALUES \(values); INSERT INTO t VALUES (5000)", database: rig.schema)
        let reader = rig.reader()
        let end = try rig.end
        let keys = [rig.name("t"): try rig.key("t")]
        var all: Set<[String]> = []
        var parts = 0
        var others: Set<TableName> = []
        while true {
            let found = try await reader.read(
                to: end, limit: 500, keys: keys, others: others, stopsAtStatements: true)
            others.formUnion(found.unknown)
            all.formUnion(found.rows[rig.name("t")] ?? [])
            if found.count > 0 { parts += 1 }
            if found.isComplete { break }
            // A reader that is made anew now would begin with the transaction.
            let needed = await reader.needed
            if all.count < 3000 { #expect(needed <= end && needed >= rig.start) }
        }
        #expect(all.count == 3001)
        #expect(parts > 1)
        let needed = await reader.needed
        #expect(needed == end)
        await reader.close()
    }

    @Test("rows of a prepared transaction come when it is decided", arguments: Servers.families)
    func prepared(family: TestServer.Family) async throws {
        let rig = try await Rig(family, "prepared", "CREATE TABLE t (id INT PRIMARY KEY)")
        let connection = try Connection(rig.options)
        try connection.execute("USE \(rig.schema)")
        func prepare(_ name: String, _ id: Int) throws {
            for statement in [
                "XA START '\(name)'", "INSERT INTO t VALUES (\(id))", "XA END '\(name)'",
                "XA PREPARE '\(name)'",
            ] {
                try connection.execute(statement)
            }
        }
        try prepare("changed-keys-1", 1)
        let reader = rig.reader()
        var found = try await rig.read(reader, "t")
        #expect(found.rows.isEmpty)
        // Whoever goes on in its place must meet the rows.
        let needed = await reader.needed
        try connection.execute("XA COMMIT 'changed-keys-1'")
        found = try await rig.read(reader, "t")
        #expect(found.rows[rig.name("t")] == [["1"]])
        let passed = await reader.needed
        #expect(passed > needed)
        let other = rig.reader(from: needed)
        found = try await rig.read(other, "t")
        #expect(found.rows[rig.name("t")] == [["1"]])
        await other.close()
        try prepare("changed-keys-2", 2)
        found = try await rig.read(reader, "t")
        try connection.execute("XA ROLLBACK 'changed-keys-2'")
        found = try await rig.read(reader, "t")
        #expect(found.rows.isEmpty)
        await reader.close()
    }

    @Test("rows of another shape are not told, and counted", arguments: Servers.families)
    func shapes(family: TestServer.Family) async throws {
        let rig = try await Rig(family, "shapes", "CREATE TABLE t (id INT PRIMARY KEY)")
        try rig.server.sql(
            """
            INSERT INTO t VALUES (1); ALTER TABLE t ADD COLUMN v INT; INSERT INTO t VALUES (2,2);
            INSERT INTO t VALUES (3,3)
            """, database: rig.schema)
        // The shape is read when all this is over.
        let reader = rig.reader()
        let found = try await rig.read(reader, "t")
        #expect(found.rows[rig.name("t")] == [["2"], ["3"]])
        #expect(found.untold == 1)
        #expect(found.hasOtherShapes)
        await reader.close()
    }

    @Test("it ends behind a statement that may change tables, where that is wanted")
    func statements() async throws {
        // On a server of its own: others run statements, too.
        try await TestServer.with(.mariadb) { server in
            let options = TargetRig.options(server.port)
            try server.sql(
                "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); CREATE TABLE d.u (id INT)"
            )
            let session = SourceSession(try Connection(options))
            let start = try session.currentPosition()
            try server.sql(
                """
                BEGIN; INSERT INTO t VALUES (1); SAVEPOINT s; INSERT INTO t VALUES (2);
                ROLLBACK TO s; COMMIT; ALTER TABLE u ADD v INT; INSERT INTO t VALUES (3)
                """, database: "d")
            let end = try session.currentPosition()
            let name = TableName(schema: "d", name: "t")
            let connection = try Connection(options)
            let shape = try #require(try SchemaReader(connection).shape(of: name))
            let keys = [name: ChangedKeys.Key(shape: shape, columns: [0])]
            let reader = ChangeReader(options, from: start, of: try session.serverName())
            var found = try await reader.read(
                to: end, limit: 1000, keys: keys, others: [], stopsAtStatements: true)
            #expect(found.hasStatements && !found.isComplete)
            #expect(found.rows[name]?.contains(["1"]) == true)
            #expect(found.rows[name]?.contains(["3"]) == false)
            found = try await reader.read(
                to: end, limit: 1000, keys: keys, others: [], stopsAtStatements: true)
            #expect(!found.hasStatements && found.isComplete)
            #expect(found.rows[name] == [["3"]])
            await reader.close()

            // Another server says nothing of the place.
            let stranger = ChangeReader(options, from: start, of: ServerUUID(high: 1, low: 2))
            await #expect(throws: StreamError.self) {
                _ = try await stranger.read(
                    to: end, limit: 10, keys: keys, others: [], stopsAtStatements: true)
            }
            await stranger.close()
            // One that has purged its binlog says so, and nothing is passed over.
            try server.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
            let now = try session.currentPosition()
            // Not while a connection reads it, which takes a moment to be gone.
            for _ in 0..<600 where try session.files().first?.name != now.file {
                try server.sql("PURGE BINARY LOGS TO '\(now.file)'")
                try await Task.sleep(for: .milliseconds(100))
            }
            let late = ChangeReader(options, from: start, of: try session.serverName())
            await #expect(throws: MySQLError.self) {
                _ = try await late.read(
                    to: now, limit: 10, keys: keys, others: [], stopsAtStatements: true)
            }
            let needed = await late.needed
            #expect(needed == start)
            await late.close()
        }
    }
}
