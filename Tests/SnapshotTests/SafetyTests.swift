import Checkpoint
import MySQLClient
import MySQLCore
import Runtime
import TestServers
import Testing

@testable import Snapshot

@Suite struct SafetyTests {
    @Test(arguments: [true, false])
    func `a target that would change values is an error`(load: Bool) async throws {
        var f = try await CopyFixture(
            "snap_narrow\(load ? 1 : 2)",
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20));
            INSERT INTO t VALUES (1,'abc'),(2,'abcdef');
            """)
        f.configuration.allowsLoadData = load
        f.configuration.intoExisting = true
        try f.target.sql(
            """
            CREATE DATABASE \(f.schema);
            CREATE TABLE \(f.schema).t (id INT PRIMARY KEY, v VARCHAR(3));
            """)
        await #expect {
            try await f.copy()
        } throws: {
            if case SnapshotError.rowsChanged(f.table("t"), _) = $0 { true } else { false }
        }
        #expect(try f.target.sql("SELECT COUNT(*) FROM t", database: f.schema) == "0\n")
    }

    @Test func `a duplicate on the target is an error`() async throws {
        var f = try await CopyFixture(
            "snap_duplicate",
            "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1),(2,2);")
        f.configuration.intoExisting = true
        try f.target.sql(
            """
            CREATE DATABASE \(f.schema);
            CREATE TABLE \(f.schema).t (id INT PRIMARY KEY, v INT);
            INSERT INTO \(f.schema).t VALUES (2, 5);
            """)
        await #expect(throws: SnapshotError.self) { try await f.copy() }
        #expect(try f.target.sql("SELECT v FROM t", database: f.schema) == "5\n")
    }

    @Test func `existing tables are refused, empty ones of the same shape are used`() async throws {
        let f = try await CopyFixture(
            "snap_existing",
            "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1);")
        try f.target.sql(
            """
            CREATE DATABASE \(f.schema); CREATE TABLE \(f.schema).t (id INT PRIMARY KEY, v INT);
            INSERT INTO \(f.schema).t VALUES (9, 9);
            """)
        await #expect(throws: SnapshotError.targetExists(f.table("t"), detail: "and holds rows")) {
            try await f.copy()
        }
        try f.target.sql("DELETE FROM t; ALTER TABLE t MODIFY v BIGINT", database: f.schema)
        await #expect {
            try await f.copy()
        } throws: {
            "\($0)".contains("column v differs")
        }
        try f.target.sql("ALTER TABLE t MODIFY v INT", database: f.schema)
        try await f.copy()
        #expect(try f.agree("t"))
    }

    @Test func `a newer run fences an older one out`() async throws {
        let f = try await CopyFixture(
            "snap_fence",
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200));
            INSERT INTO t SELECT seq, REPEAT('v', 150) FROM seq_1_to_30000;
            """)
        var small = f
        small.configuration.chunkRows = 100
        let engine = small
        let first = Task { try await engine.copy() }
        while f.progress.current.rows < 1000 { try await Task.sleep(for: .milliseconds(2)) }
        try await small.copy()
        await #expect(throws: CheckpointError.self) { try await first.value }
        #expect(try f.agree("t"))
    }

    @Test func `a table that changes during its copy starts over`() async throws {
        // The statement waits for the table's lock, so it can also come when the copy has ended.
        for attempt in 0..<8 {
            if try await changesDuringCopy("snap_ddl\(attempt)", rows: 20_000 << attempt) { return }
        }
        Issue.record("no statement came before its copy had ended")
    }

    /// Whether the statement came while the copy ran.
    private func changesDuringCopy(_ schema: String, rows: Int) async throws -> Bool {
        let f = try await CopyFixture(
            schema,
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200));
            INSERT INTO t SELECT seq, REPEAT('v', 150) FROM seq_1_to_\(rows);
            """)
        var small = f
        small.configuration.chunkRows = 100
        let engine = small
        let first = Task { try await engine.copy() }
        while f.progress.current.rows < 1000 { try await Task.sleep(for: .milliseconds(2)) }
        try f.source.sql(
            "ALTER TABLE t ADD COLUMN n INT DEFAULT 5, ALGORITHM=COPY, LOCK=EXCLUSIVE",
            database: f.schema)
        do {
            _ = try await first.value
            return false
        } catch let error as SnapshotError {
            #expect(error == SnapshotError.tableChanged(f.table("t")))
        }
        try await small.copy()
        #expect(try f.agree("t"))
        let sum = try f.target.sql("SELECT SUM(n) FROM t", database: f.schema)
        #expect(sum == "\(rows * 5)\n")
        return true
    }

    @Test func `a fresh start drops what was copied and copies again`() async throws {
        let f = try await CopyFixture(
            "snap_fresh",
            """
            CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1);
            CREATE VIEW w AS SELECT v FROM t;
            """)
        try await f.copy()
        try f.source.sql("INSERT INTO t VALUES (2,2)", database: f.schema)
        let fresh = FreshStart(configuration: f.configuration)
        try await fresh.run(
            epoch: .next, token: RunToken(randomToken()), plan: try f.plan())
        #expect(try f.target.sql("SHOW TABLES", database: f.schema) == "")
        try await f.copy()
        #expect(try f.agree("t"))
    }

    @Test func `a table that is created while views are renewed is not left out`() async throws {
        let f = try await CopyFixture(
            "snap_appeared",
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200));
            INSERT INTO t SELECT seq, REPEAT('v', 150) FROM seq_1_to_40000;
            """)
        var small = f
        small.configuration.chunkRows = 50
        small.configuration.maxSnapshotAge = .milliseconds(50)
        let engine = small
        let first = Task { try await engine.copy() }
        while f.progress.current.rows < 200 { try await Task.sleep(for: .milliseconds(2)) }
        try f.source.sql("CREATE TABLE late (id INT PRIMARY KEY)", database: f.schema)
        await #expect(throws: SnapshotError.tableAppeared(f.table("late"))) {
            try await first.value
        }
        try await small.copy()
        #expect(try f.agree("t"))
        #expect(try f.agree("late"))
    }

    @Test("rows are not read in views that lie before what was applied already (U7)")
    func behindTheMark() async throws {
        let f = try await CopyFixture(
            "behind_mark", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2);")
        let target = try Connection(f.configuration.target)
        let row = try #require(
            try Connection(f.configuration.source).firstRow("SHOW MASTER STATUS"))
        let (file, end) = ((row["File"] ?? nil) ?? "", (row["Position"] ?? nil) ?? "")
        let now = BinlogPosition(file: file, offset: try #require(UInt64(end)))
        func mark(_ offset: UInt64) throws {
            let mark = SourcePosition(
                origin: f.configuration.origin,
                binlog: BinlogPosition(file: now.file, offset: offset), gtids: .none)
            try target.execute(
                "UPDATE \(f.configuration.meta.name).subtask SET low_water=\(hexLiteral(mark.encoded)) "
                    + "WHERE task='\(f.schema)'")
        }
        // As if a commit could be read of the binlog, and not seen yet.
        try mark(now.offset + (1 << 32))
        do {
            try await f.copy()
            Issue.record("views were taken")
        } catch let error as SnapshotError {
            #expect(error.isRetryable, "\(error)")
        }
        #expect(try f.chunks("t").isEmpty)
        try mark(now.offset)
        try await f.copy()
        #expect(try f.agree("t"))
    }
}
