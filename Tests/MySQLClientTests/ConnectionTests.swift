import MySQLCore
import Foundation
import TestServers
import Testing

@testable import MySQLClient

@Suite("A connection")
struct ConnectionTests {
    private func connect(_ family: TestServer.Family) async throws -> Connection {
        try Connection(Servers.options(try await Servers.shared(family)))
    }

    @Test("a session has the variables that were asked for", arguments: Servers.families)
    func sessionVariables(family: TestServer.Family) async throws {
        var options = Servers.options(try await Servers.shared(family))
        options.session = [
            "auto_increment_increment": "7", "group_concat_max_len": "2048",
            "default_storage_engine": "InnoDB", "sql_warnings": "ON",
        ]
        let connection = try Connection(options)
        let row = try connection.rows(
            "SELECT @@session.auto_increment_increment, @@session.group_concat_max_len, "
                + "@@session.default_storage_engine, @@session.sql_warnings")[0]
        #expect(row == ["7", "2048", "InnoDB", "1"])
        for (name, code) in [("no_such_variable", 1193), ("x`; DROP TABLE t; --", 1193)] {
            options.session = [name: "1"]
            #expect {
                try Connection(options)
            } throws: {
                ($0 as? MySQLError)?.code == UInt32(code)
            }
        }
    }

    @Test("several statements at once can be forbidden", arguments: Servers.families)
    func multiStatements(family: TestServer.Family) async throws {
        let connection = try await connect(family)
        try connection.execute("SET @a=1; SET @a=2")
        try connection.setMultiStatements(false)
        let error = #expect(throws: MySQLError.self) {
            try connection.execute("SET @a=3; SET @a=4")
        }
        #expect(error?.code == 1064)
        #expect(try connection.value("SELECT @a") == "2")
        try connection.setMultiStatements(true)
        try connection.execute("SET @a=5; SET @a=6")
        #expect(try connection.value("SELECT @a") == "6")
    }

    @Test("rows come as they arrive, and what is left is dropped", arguments: Servers.families)
    func streaming(family: TestServer.Family) async throws {
        let connection = try await connect(family)
        let digits = (0...9).map { "SELECT \($0) n" }.joined(separator: " UNION ALL ")
        let many =
            "SELECT a.n+10*b.n+100*c.n+1000*d.n, REPEAT('x',100), NULL FROM (\(digits)) a, "
            + "(\(digits)) b, (\(digits)) c, (\(digits)) d"
        var sum = 0
        var length = 0
        var nulls = 0
        try connection.forEachRow(many) { row in
            sum += row.int(0) ?? 0
            length += row.bytes(1).byteCount
            nulls += row.isNull(2) && row.string(2) == nil && row.copy(2) == nil ? 1 : 0
        }
        #expect(sum == 49_995_000 && length == 1_000_000 && nulls == 10_000)
        let cursor = try connection.open(many)
        var columns = 0
        let isThere = try cursor.next { (row: borrowing ResultRow) in columns = row.count }
        #expect(isThere && columns == 3)
        cursor.finish()
        #expect(try connection.value("SELECT 5") == "5")
        let row = try connection.firstRow("SELECT 1 AS a, NULL AS b, '' AS c")
        #expect(row?.keys.sorted() == ["a", "b", "c"])
        #expect(row?["a"] == "1" && row?["b"] == .some(.none) && row?["c"] == "")
        let none = try connection.firstRow("SELECT 1 AS a FROM DUAL WHERE 1=0")
        #expect(none?.count == nil)
    }

    @Test("every statement of a packet has its reply", arguments: Servers.families)
    func packets(family: TestServer.Family) async throws {
        let connection = try await connect(family)
        try connection.execute(
            "CREATE DATABASE IF NOT EXISTS packets; USE packets; DROP TABLE IF EXISTS t; "
                + "CREATE TABLE t (a INT PRIMARY KEY)")
        var sql = ByteBuffer(capacity: 64)
        sql.append("INSERT INTO t VALUES (1),(2);SELECT a FROM t;DELETE FROM t WHERE a=1;SET @a=1")
        var affected: [UInt64] = []
        try connection.execute(sql) { affected.append($0.affectedRows) }
        #expect(affected.count == 4 && affected[0] == 2 && affected[2] == 1)
        // An error in the middle: what stands before it was run, what stands behind it was not.
        sql.removeAll()
        sql.append("INSERT INTO t VALUES (3);INSERT INTO t VALUES (2);INSERT INTO t VALUES (4)")
        var replies = 0
        let error = #expect(throws: MySQLError.self) {
            try connection.execute(sql) { _ in replies += 1 }
        }
        #expect(error?.code == MySQLErrorCode.duplicateEntry && replies == 1)
        #expect(try connection.rows("SELECT a FROM t ORDER BY a").map { $0[0] } == ["2", "3"])
        #expect(throws: MySQLError.self) { try connection.execute("SELECT 1; nonsense") }
        #expect(try connection.value("SELECT 6") == "6")
    }

    @Test("matched rows are counted where that is asked for", arguments: Servers.families)
    func foundRows(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        try server.sql(
            "CREATE DATABASE IF NOT EXISTS found; CREATE TABLE found.t (a INT PRIMARY KEY, b INT); "
                + "INSERT INTO found.t VALUES (1,1)")
        let same = "UPDATE found.t SET b=1"
        #expect(try Connection(Servers.options(server)).execute(same) == 0)
        #expect(try Connection(Servers.options(server), foundRows: true).execute(same) == 1)
    }

    @Test(
        "an interrupted query ends at once, and the connection is lost", arguments: Servers.families
    )
    func interrupt(family: TestServer.Family) async throws {
        let connection = try await connect(family)
        let interrupter = connection.interrupter
        Thread.detachNewThread {
            Thread.sleep(forTimeInterval: 0.2)
            interrupter.interrupt()
        }
        let start = ContinuousClock.now
        let error = #expect(throws: MySQLError.self) { try connection.value("SELECT SLEEP(60)") }
        #expect(error?.isConnectionLost == true)
        #expect(ContinuousClock.now - start < .seconds(30))
        #expect(throws: MySQLError.self) { try connection.ping() }
    }

    @Test("an interrupter outlives its connection and does nothing then")
    func lateInterrupt() async throws {
        var connection: Connection? = try await connect(.mariadb)
        let interrupter = connection?.interrupter
        connection = nil
        let next = try await connect(.mariadb)
        interrupter?.interrupt()
        try next.ping()
    }

    @Test("an interrupter of a lost connection leaves those alone that come after it")
    func interruptedTwice() async throws {
        let lost = try await connect(.mariadb)
        let socket = lost.socket
        lost.interrupter.interrupt()
        #expect(throws: MySQLError.self) { try lost.ping() }
        // The library has closed its socket: one of these gets its number.
        var others: [Connection] = []
        for _ in 0..<8 {
            others.append(try await connect(.mariadb))
            if others.last?.socket == socket { break }
        }
        lost.interrupter.interrupt()
        for other in others { try other.ping() }
    }

    @Test("a server's errors are told apart", arguments: Servers.families)
    func errors(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        var wrong = Servers.options(server)
        wrong.password = Password("wrong-Pw1")
        let denied = #expect(throws: MySQLError.self) { try Connection(wrong) }
        #expect(denied?.code == 1045 && denied?.retry == .no)
        #expect(denied?.description.contains("wrong-Pw1") == false)
        let connection = try await connect(family)
        let missing = #expect(throws: MySQLError.self) {
            try connection.value("SELECT 1 FROM no.t")
        }
        #expect([1146, 1049].contains(missing?.code))
        let syntax = #expect(throws: MySQLError.self) { try connection.execute("nonsense") }
        #expect(syntax?.code == 1064 && syntax?.server == "127.0.0.1:\(server.port)")
        try server.sql("KILL \(connection.id)")
        try await Task.sleep(for: .milliseconds(100))
        let killed = #expect(throws: MySQLError.self) { try connection.value("SELECT 1") }
        #expect(killed?.isConnectionLost == true && killed?.retry == .connection)
    }

    @Test("a server that answers nothing, or is not there, is given up")
    func timeouts() async throws {
        let server = try await Servers.shared(.mariadb)
        let proxy = try FaultProxy(to: server)
        defer { proxy.close() }
        var options = Servers.plain(server, proxy)
        options.connectTimeoutSeconds = 1
        options.readTimeoutSeconds = 1
        let connection = try Connection(options)
        proxy.freeze(.toClient)
        let start = ContinuousClock.now
        let silent = #expect(throws: MySQLError.self) { try connection.value("SELECT 1") }
        #expect(silent?.isConnectionLost == true)
        let refused = #expect(throws: MySQLError.self) { try Connection(options) }
        #expect(refused?.retry == .connection)
        proxy.resume()
        proxy.refuseConnections()
        let gone = #expect(throws: MySQLError.self) { try Connection(options) }
        #expect(gone?.retry == .connection)
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    // MARK: LOAD DATA

    private static let load =
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE t CHARACTER SET utf8mb4 (a,b)"

    /// A connection to a schema of the test's own, with an empty table `t`.
    private func table(
        _ family: TestServer.Family, schema: String
    ) async throws -> Connection {
        let connection = try await connect(family)
        try connection.execute(
            "CREATE DATABASE \(schema); USE \(schema); "
                + "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(100) NOT NULL)")
        return connection
    }

    private struct Failed: Error {}

    @Test("rows are loaded from memory: many, none, wrong ones", arguments: Servers.families)
    func loading(family: TestServer.Family) async throws {
        let connection = try await table(family, schema: "loads")
        var n: UInt64 = 0
        let big = try connection.load(Self.load) { buffer in
            guard n < 60_000 else { return false }
            for _ in 0..<777 where n < 60_000 {
                n += 1
                buffer.appendDecimal(n)
                buffer.append("\tsome text that is long enough to fill packets\n")
            }
            return true
        }
        #expect(big == LoadReply(affectedRows: 60_000, warnings: 0, records: 60_000, skipped: 0))
        #expect(try connection.value("SELECT SUM(a) FROM t") == "1800030000")
        let empty = try connection.load(Self.load) { _ in false }
        #expect(empty == LoadReply(affectedRows: 0, warnings: 0, records: 0, skipped: 0))
        // A duplicate and a value that is no number: LOCAL makes warnings of both.
        var sent = false
        let bad = try connection.load(Self.load) { buffer in
            guard !sent else { return false }
            sent = true
            buffer.append("1\tagain\n70000x\tnumber\n")
            return true
        }
        #expect(bad.records == 2 && bad.skipped == 1 && bad.warnings == 2)
        #expect(try connection.warnings().count == 2)
        // One row much larger than a packet.
        try connection.execute("ALTER TABLE t MODIFY b LONGTEXT")
        var parts = 0
        let wide = try connection.load(Self.load) { buffer in
            guard parts < 2 else { return false }
            parts += 1
            buffer.append(parts == 1 ? "80000\t" : "")
            buffer.append([UInt8](repeating: 0x78, count: 20 << 20))
            return true
        }
        #expect(wide.records == 1 && wide.warnings == 0)
        #expect(try connection.value("SELECT LENGTH(b) FROM t WHERE a=80000") == "41943040")
    }

    @Test("an error of the source of rows reaches the caller, and nothing stays after ROLLBACK")
    func loadFails() async throws {
        for family in Servers.families {
            let connection = try await table(family, schema: "load_fails")
            try connection.execute("START TRANSACTION")
            var calls = 0
            #expect(throws: Failed.self) {
                try connection.load(Self.load) { buffer in
                    calls += 1
                    if calls > 3 { throw Failed() }
                    for i in 0..<2000 {
                        buffer.appendDecimal(UInt64(calls * 10_000 + i))
                        buffer.append("\ttext\n")
                    }
                    return true
                }
            }
            try connection.execute("ROLLBACK")
            #expect(try connection.value("SELECT COUNT(*) FROM t") == "0")
            // The handler is gone: a file name from elsewhere reads nothing.
            let error = #expect(throws: MySQLError.self) {
                try connection.load("nonsense") { _ in false }
            }
            #expect(error?.code == 1064)
        }
    }

    // MARK: shapes

    @Test("shapes are what the table was made with", arguments: Servers.families)
    func shapes(family: TestServer.Family) async throws {
        let server = try await Servers.shared(family)
        try server.sql(
            """
            CREATE DATABASE shapes; USE shapes;
            CREATE TABLE p (id INT PRIMARY KEY, a INT, b INT, KEY ab (a, b));
            CREATE TABLE c (
              id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
              Name VARCHAR(30) CHARACTER SET latin1 COLLATE latin1_swedish_ci,
              d DECIMAL(10,2) NOT NULL, e ENUM('x','y'), t TIMESTAMP(6) NULL,
              bin VARBINARY(20), p INT,
              g INT GENERATED ALWAYS AS (d+1) VIRTUAL, s INT GENERATED ALWAYS AS (d+2) STORED,
              PRIMARY KEY (id), UNIQUE KEY u (name(5), d), KEY (p),
              CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE SET NULL);
            CREATE VIEW v AS SELECT 1 AS a;
            CREATE TABLE `od``d näme` (a INT);
            """)
        let reader = SchemaReader(try await connect(family))
        #expect(try reader.schemas().contains("shapes"))
        #expect(try !reader.schemas().contains("mysql"))
        #expect(try reader.tables(in: "shapes").map(\.name.name) == ["c", "od`d näme", "p"])
        let name = TableName(schema: "shapes", name: "c")
        let found = try reader.shapes(of: [
            name, TableName(schema: "shapes", name: "missing"), TableName(schema: "no", name: "c"),
            TableName(schema: "shapes", name: "v"), TableName(schema: "shapes", name: "od`d näme"),
        ])
        #expect(found.count == 2)
        let shape = try #require(found[name])
        #expect(
            shape.columns.map(\.name) == ["id", "Name", "d", "e", "t", "bin", "p", "g", "s"])
        #expect(
            shape.columns[0].type == ColumnType(.bigint, isUnsigned: true) || family == .mariadb)
        #expect(shape.columns[0].isAutoIncrement && !shape.columns[0].isNullable)
        #expect(shape.columns[1].charset == "latin1")
        #expect(shape.columns[1].collation == "latin1_swedish_ci")
        #expect(shape.columns[3].type.elements == ["x", "y"])
        #expect(shape.columns[4].type.decimals == 6 && shape.columns[4].isNullable)
        #expect(shape.columns[7].generation == .virtual && shape.columns[8].generation == .stored)
        #expect(shape.keys.first?.isPrimary == true)
        let unique = try #require(shape.keys.first { $0.name == "u" })
        #expect(unique.isUnique && unique.parts.map(\.prefixLength) == [5, nil])
        #expect(shape.foreignKeys.count == 1)
        #expect(shape.foreignKeys[0].parent == TableName(schema: "shapes", name: "p"))
        #expect(shape.foreignKeys[0].onDelete == .cascade)
        #expect(shape.foreignKeys[0].onUpdate == .setNull)
        #expect(shape.engine == "InnoDB" && shape.charset == "utf8mb4")
    }
}
