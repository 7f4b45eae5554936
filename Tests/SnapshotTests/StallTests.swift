import Checkpoint
import Foundation
import MySQLClient
import MySQLCore
import Runtime
import TestServers
import Testing

@testable import Snapshot

/// A transaction that is in the binlog and not yet readable: semi-synchronous replication without
/// a replica holds commits there. A position that counts it in, with a view that does not have
/// it, would lose it; the other way round it would be applied twice.
@Suite struct StallTests {
    private static let variables: [TestServer.Family: (load: String, on: String, off: String)] = [
        .mariadb: (
            "SET GLOBAL rpl_semi_sync_master_wait_point=AFTER_SYNC, rpl_semi_sync_master_timeout=300000",
            "SET GLOBAL rpl_semi_sync_master_enabled=ON",
            "SET GLOBAL rpl_semi_sync_master_enabled=OFF"
        ),
        .mysql: (
            "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'; "
                + "SET GLOBAL rpl_semi_sync_source_timeout=300000",
            "SET GLOBAL rpl_semi_sync_source_enabled=ON",
            "SET GLOBAL rpl_semi_sync_source_enabled=OFF"
        ),
    ]

    private static let tables = """
        CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1);
        CREATE TABLE keyless (v INT); INSERT INTO keyless VALUES (1),(1);
        """

    /// Everything that the server's binlog holds.
    private func written(_ server: TestServer) throws -> SourcePosition {
        let connection = try server.connection()
        let gtids: GTIDState
        if server.family == .mariadb {
            let text = try connection.value("SELECT @@gtid_binlog_pos") ?? ""
            gtids = .mariadb(try #require(MariaDBGTIDPosition(text)))
        } else {
            let text = try connection.value("SELECT @@gtid_executed") ?? ""
            gtids = .mysql(try #require(MySQLGTIDSet(text)))
        }
        return SourcePosition(
            origin: Origin(server: ServerUUID(high: 1, low: 2), life: 3),
            binlog: BinlogPosition(file: "", offset: 0), gtids: gtids)
    }

    /// Runs `body` while `statement` stalls between the binlog and the engine.
    private func stalling<R>(
        _ server: TestServer, _ statement: String, in schema: String,
        _ body: () async throws -> R
    ) async throws -> R {
        let words = Self.variables[server.family]!
        try server.sql(words.load)
        try server.sql(words.on)
        let ended = Latch()
        Thread.detachNewThread {
            _ = try? server.sql(statement, database: schema)
            ended.set()
        }
        let state =
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE '%semi-sync%ACK%'"
        var tries = 0
        while try server.sql(state) == "0\n", tries < 500 {
            tries += 1
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try server.sql(state) == "1\n", "nothing stalls")
        let result: Result<R, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        try server.sql(words.off)
        await ended.wait()
        return try result.get()
    }

    @Test(
        "a transaction that can't be read yet is behind every exact position (F6, F9)",
        .enabled(if: TestServer.isAvailable(.mariadb)))
    func mariadb() async throws {
        try await TestServer.with(.mariadb, name: "stall") { server in
            let f = try await CopyFixture("snap_stall", source: server, Self.tables)
            let before = try written(server)
            let result = try await stalling(
                server, "INSERT INTO t VALUES (2,2)", in: f.schema
            ) { try await f.copy() }
            for table in ["t", "keyless"] {
                let range = try #require(result.ranges[f.table(table)])
                #expect(range.low == range.high)
                #expect(range.low.gtids == before.gtids)
            }
            #expect(try f.rows("t").target == ["1,1"])
            #expect(try written(server).gtids != before.gtids)
        }
    }

    @Test(
        "without a lock the stalled transaction lies between low and high (F6, F7)",
        .enabled(if: TestServer.isAvailable(.mysql)))
    func between() async throws {
        try await TestServer.with(.mysql, name: "stall") { server in
            let own = try await CopyFixture(
                "snap_stall2", from: .mysql, to: .mysql, source: server,
                "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1);")
            try own.target.sql("SET GLOBAL local_infile=1")
            let before = try written(server)
            // The global read lock waits for the commit, gives up, and leaves writers alone.
            let result = try await stalling(
                server, "INSERT INTO t VALUES (2,2)", in: own.schema
            ) { try await own.copy() }
            let range = try #require(result.ranges[own.table("t")])
            let after = try written(server)
            #expect(range.low.gtids == before.gtids)
            #expect(range.high.gtids == after.gtids)
            #expect(after.gtids != before.gtids)
            let copied = try own.rows("t").target
            #expect(copied == ["1,1"] || copied == ["1,1", "2,2"])
        }
    }
}

extension TestServer {
    fileprivate func connection() throws -> Connection {
        try Connection(CopyFixture.options(self))
    }
}
