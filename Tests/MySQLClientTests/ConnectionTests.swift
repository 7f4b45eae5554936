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
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE loads.t CHARACTER SET utf8mb4 (a,b)"

    private func table(_ family: TestServer.Family) async throws -> Connection {
        let connection = try await connect(family)
        try connection.execute(
            "CREATE DATABASE IF NOT EXISTS loads; DROP TABLE IF EXISTS loads.t; "
                + "CREATE TABLE loads.t (a INT PRIMARY KEY, b VARCHAR(100) NOT NULL)")
        return connection
    }

    private struct Failed: Error {}

    @Test("an error of the source of rows reaches the caller, and nothing stays after ROLLBACK")
    func loadFails() async throws {
        for family in Servers.families {
            let connection = try await table(family)
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
            #expect(try connection.value("SELECT COUNT(*) FROM loads.t") == "0")
            // The handler is gone: a file name from elsewhere reads nothing.
            let error = #expect(throws: MySQLError.self) {
                try connection.load("nonsense") { _ in false }
            }
            #expect(error?.code == 1064)
        }
    }

    // MARK: shapes

}
