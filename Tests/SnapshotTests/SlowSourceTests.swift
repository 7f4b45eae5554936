import Checkpoint
import MySQLClient
import MySQLCore
import Runtime
import TestServers
import Testing

@testable import Snapshot

/// Sources that think long, or that keep a view away for a while.
@Suite("Sources that let a copy wait") struct SlowSourceTests {
    /// Longer than a target keeps a session of which nothing comes.
    private static let long = Duration.seconds(35)

    @Test("a source may think for longer than the target waits", arguments: [true, false])
    func thinking(isFiltered: Bool) async throws {
        var f = try await CopyFixture(
            "snap_thinks\(isFiltered ? 1 : 2)",
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20));
            INSERT INTO t SELECT seq, 'v' FROM seq_1_to_1000;
            CREATE TABLE twins (v INT, w VARCHAR(200));
            INSERT INTO twins SELECT seq, REPEAT('w', 150) FROM seq_1_to_3000;
            INSERT INTO twins VALUES (3001, 'the newest');
            """)
        f.configuration.pairs = 1
        f.configuration.chunkRows = 400
        let proxy = try FaultProxy(to: f.source)
        defer { proxy.close() }
        f.configuration.source.port = proxy.port
        var tables = try f.plan().tables
        for i in tables.indices where isFiltered { tables[i].condition = "1=1" }
        let plan = SnapshotPlan(tables: tables)
        // A chunk's end, and a row in the middle of a table without a key, behind a filter.
        let held =
            isFiltered
            ? proxy.holdNext(.toClient, matching: "the newest", closingClient: false)
            : proxy.holdNext(.toServer, matching: "LIMIT 399,1", closingClient: false)
        let engine = SnapshotEngine(
            configuration: f.configuration, plan: plan, progress: f.progress)
        let copying = Task {
            _ = try await engine.run(epoch: .next, token: RunToken(randomToken()))
        }
        do {
            try await held.caught(within: .seconds(120))
            try await Task.sleep(for: Self.long)
        } catch {
            copying.cancel()
            throw error
        }
        held.deliver()
        try await copying.value
        #expect(try f.agree("t"))
        #expect(try f.agree("twins"))
    }

    @Test(
        "a view stays while no other is to be had in its place",
        .enabled(if: TestServer.isAvailable(.mysql)))
    func renewal() async throws {
        let options = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]
        try await TestServer.with(.mysql, options: options, name: "busy") { server in
            var f = try await CopyFixture(
                "snap_busy", from: .mysql, to: .mariadb, source: server,
                """
                ALTER DATABASE COLLATE utf8mb4_bin;
                CREATE TABLE t (id INT PRIMARY KEY, v INT);
                INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n
                    WHERE i < 900) SELECT i, i FROM n;
                CREATE USER modest@'%' IDENTIFIED BY 'modest';
                GRANT SELECT, RELOAD, PROCESS, REPLICATION SLAVE, REPLICATION CLIENT ON *.*
                    TO modest@'%';
                """)
            f.configuration.source.user = "modest"
            f.configuration.source.password = Password("modest")
            f.configuration.chunkRows = 10
            f.configuration.maxSnapshotAge = .milliseconds(500)
            let proxy = try FaultProxy(to: f.target)
            defer { proxy.close() }
            proxy.setDelay(.milliseconds(40))
            f.configuration.target.port = proxy.port
            let engine = f
            let copying = Task { _ = try await engine.copy() }
            while f.progress.current.rows < 10 { try await Task.sleep(for: .milliseconds(2)) }
            // As the query of another pair would.
            let busy = Task.detached {
                _ = try server.sql("SELECT COUNT(*), SLEEP(12) FROM t", database: "snap_busy")
            }
            try await copying.value
            try await busy.value
            #expect(try f.agree("t"))
        }
    }
}
