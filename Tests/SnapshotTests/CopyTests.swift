import Checkpoint
import MySQLClient
import MySQLCore
import Runtime
import TestServers
import Testing

@testable import Snapshot

@Suite struct CopyTests {
    @Test func `copies keyed, keyless and empty tables, and records where they lie`() async throws {
        let f = try await CopyFixture(
            "snap_basic",
            """
            CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), KEY (v));
            INSERT INTO a (v) SELECT CONCAT('row ', seq) FROM seq_1_to_1000;
            CREATE TABLE keyless (v INT, w VARCHAR(10));
            INSERT INTO keyless SELECT seq DIV 3, 'x' FROM seq_1_to_500;
            CREATE TABLE empty (id INT PRIMARY KEY);
            """)
        var small = f
        small.configuration.chunkRows = 100
        let result = try await small.copy()
        #expect(try f.agree("a"))
        #expect(try f.agree("keyless"))
        #expect(try f.agree("empty"))
        #expect(try f.chunks("a").count == 11)
        #expect(try f.chunks("empty").count == 1)
        #expect(result.rows == 1500)
        #expect(result.ranges.count == 3)
        #expect(result.ranges[f.table("keyless")]!.low == result.ranges[f.table("keyless")]!.high)
        #expect(f.progress.current.doneTables == 3)
        await #expect(throws: SnapshotError.notCopying(phase: "follow")) { try await f.copy() }
    }

    @Test func `goes on after it was cancelled, under a write load`() async throws {
        let f = try await CopyFixture(
            "snap_restart",
            """
            CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200), u INT UNIQUE);
            INSERT INTO a (v, u) SELECT REPEAT('v', 150), seq FROM seq_1_to_20000;
            CREATE TABLE keyless (v INT, w VARCHAR(200));
            INSERT INTO keyless SELECT seq DIV 3, REPEAT('w', 150) FROM seq_1_to_3000;
            """)
        var small = f
        small.configuration.chunkRows = 200
        // Far from the target, the copy takes seconds: it is cancelled in its middle.
        let proxy = try FaultProxy(to: f.target)
        defer { proxy.close() }
        proxy.setDelay(.milliseconds(40))
        var engine = small
        engine.configuration.target.port = proxy.port
        let slow = engine
        let first = Task { try await slow.copy() }
        while f.progress.current.rows < 3000 { try await Task.sleep(for: .milliseconds(2)) }
        first.cancel()
        let clock = ContinuousClock()
        let start = clock.now
        _ = await first.result
        // Generous: it must not wait for the copy, nor for a read that blocks for ever.
        #expect(clock.now - start < .seconds(60))
        let before = try f.chunks("a").count
        #expect(before > 0 && before < 100)
        try f.source.sql(
            "INSERT INTO a (v, u) SELECT 'new', NULL FROM seq_1_to_100", database: f.schema)
        let result = try await small.copy()
        #expect(try f.agree("a"))
        #expect(try f.agree("keyless"))
        let range = result.ranges[f.table("a")]!
        #expect(range.low.binlog < range.high.binlog)
    }

    @Test(arguments: [true, false])
    func `a unique value that moved between two views is no conflict (F1)`(load: Bool) async throws
    {
        var f = try await CopyFixture(
            "snap_moved\(load ? 1 : 2)",
            """
            CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(200), u INT UNIQUE);
            INSERT INTO a SELECT seq, REPEAT('v', 150), seq FROM seq_1_to_20000;
            """)
        f.configuration.chunkRows = 200
        f.configuration.allowsLoadData = load
        var slow = f
        let proxy = try FaultProxy(to: f.target)
        defer { proxy.close() }
        proxy.setDelay(.milliseconds(40))
        slow.configuration.target.port = proxy.port
        let engine = slow
        let first = Task { try await engine.copy() }
        while f.progress.current.rows < 2000 { try await Task.sleep(for: .milliseconds(2)) }
        first.cancel()
        _ = await first.result
        // The value of a row that is copied goes to one that is not; then the rows change places.
        try f.source.sql(
            """
            UPDATE a SET u=NULL WHERE id=1; UPDATE a SET u=1 WHERE id=20000;
            UPDATE a SET u=20000 WHERE id=1;
            """, database: f.schema)
        let result = try await f.copy()
        let range = try #require(result.ranges[f.table("a")])
        #expect(range.low.binlog < range.high.binlog)
        // Row 1 is wrong or gone until the events between the views are applied; no other is.
        let (source, target) = try f.rows("a")
        #expect(Set(target).isSubset(of: Set(source)))
        #expect(source.count - target.count <= 1)
    }
}

@Suite(.enabled(if: TestServer.isAvailable(.mysql))) struct MySQLViewTests {
    @Test(arguments: [true, false])
    func `views are opened with the global lock and without it`(mayLock: Bool) async throws {
        var f = try await CopyFixture(
            "snap_views_\(mayLock)", from: .mysql, to: .mariadb,
            """
            ALTER DATABASE COLLATE utf8mb4_bin;
            CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1);
            """)
        try f.source.sql(
            """
            CREATE USER IF NOT EXISTS modest\(mayLock ? 1 : 0)@'%' IDENTIFIED BY 'modest';
            GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT \(mayLock ? ", RELOAD" : "") ON *.*
              TO modest\(mayLock ? 1 : 0)@'%';
            """)
        f.configuration.source.user = "modest\(mayLock ? 1 : 0)"
        f.configuration.source.password = Password("modest")
        let result = try await f.copy()
        #expect(try f.agree("t"))
        let range = result.ranges[f.table("t")]!
        guard case .mysql(let low) = range.low.gtids, case .mysql(let high) = range.high.gtids
        else {
            Issue.record("no GTIDs")
            return
        }
        #expect(high.isSuperset(of: low))
        #expect(!low.isEmpty)
        #expect((range.low.binlog == range.high.binlog) == mayLock)
    }

    /// Without RELOAD: tables that need an exact position are locked while the views open.
    @Test(arguments: [true, false])
    func `tables are locked where the server can't be`(hasGTIDs: Bool) async throws {
        let options = hasGTIDs ? [] : ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]
        try await TestServer.with(.mysql, options: options, name: "locks") { server in
            var f = try await CopyFixture(
                "snap_locks\(hasGTIDs ? 1 : 0)", from: .mysql, to: .mariadb, source: server,
                """
                ALTER DATABASE COLLATE utf8mb4_bin;
                CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1);
                CREATE TABLE twins (v INT); INSERT INTO twins VALUES (1),(1),(2);
                CREATE USER modest@'%' IDENTIFIED BY 'modest';
                GRANT SELECT, LOCK TABLES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO modest@'%';
                """)
            f.configuration.source.user = "modest"
            f.configuration.source.password = Password("modest")
            let result = try await f.copy()
            #expect(try f.agree("t"))
            #expect(try f.agree("twins"))
            let exact = try #require(result.ranges[f.table("twins")])
            #expect(exact.low.gtids == exact.high.gtids)
            #expect(hasGTIDs || exact.low == exact.high)
            let other = try #require(result.ranges[f.table("t")])
            #expect((other.low == other.high) == !hasGTIDs)
            #expect(result.start.binlog <= exact.low.binlog)
        }
    }
}
