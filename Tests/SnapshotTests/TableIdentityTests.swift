import Foundation
import MySQLClient
import MySQLCore
import Runtime
import TestServers
import Testing

@testable import Snapshot

/// Tables that are altered, or take another one's name, while tables are copied.
@Suite struct TableIdentityTests {
    /// A copy of `small` and of `t`, 300 rows in three chunks, of which one finds a row of somebody
    /// else on the target, not committed yet, and waits.
    private struct Stalled {
        var copy: CopyFixture
        let blocker: Connection

        init(
            _ name: String, _ family: TestServer.Family, pairs: Int, at row: Int
        ) async throws {
            let ids = (1...300).map { "(\($0),\($0))" }.joined(separator: ",")
            copy = try await CopyFixture(
                "\(name)_\(family)", from: family,
                """
                CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE small LIKE t;
                INSERT INTO t VALUES \(ids); INSERT INTO small VALUES (1,1);
                """)
            copy.configuration.pairs = pairs
            copy.configuration.chunkRows = 100
            try copy.target.sql(
                """
                CREATE DATABASE \(copy.schema); USE \(copy.schema);
                CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE small LIKE t;
                """)
            blocker = try Connection(copy.configuration.target)
            try blocker.execute("START TRANSACTION")
            try blocker.execute("INSERT INTO \(copy.schema).t VALUES (\(row), 0)")
            // Servers tell times of tables in seconds.
            try await Task.sleep(for: .milliseconds(1100))
        }

        /// Runs `body` while the copy waits, and then the copy to its end.
        func run(
            once isReady: (SnapshotProgress.State) -> Bool, _ body: () async throws -> Void
        ) async throws -> Result<Void, any Error> {
            let fixture = copy
            let run = Task { _ = try await fixture.copy() }
            while !isReady(copy.progress.current) { try await Task.sleep(for: .milliseconds(5)) }
            try await body()
            try blocker.execute("ROLLBACK")
            return await run.result
        }

        func rows(_ state: SnapshotProgress.State, of table: String) -> UInt64 {
            state.tables[copy.table(table)]?.rows ?? 0
        }
    }

    @Test(arguments: [TestServer.Family.mariadb, .mysql])
    func `a table that is altered when its rows are copied is left as it is`(
        family: TestServer.Family
    ) async throws {
        let stalled = try await Stalled("snap_altered", family, pairs: 3, at: 250)
        let f = stalled.copy
        let outcome = try await stalled.run { state in
            state.tables[f.table("small")]?.isDone == true && stalled.rows(state, of: "t") == 200
        } _: {
            try f.source.sql(
                "OPTIMIZE TABLE small; ALTER TABLE small ADD w INT DEFAULT 5, COMMENT='x'",
                database: f.schema)
        }
        try outcome.get()
        #expect(try f.agree("t"))
        // By the shape that its rows were read by: the stream brings the statement.
        #expect(try f.target.sql("SELECT * FROM small", database: f.schema) == "1\t1\n")
    }

    @Test(arguments: [TestServer.Family.mariadb, .mysql])
    func `a table that takes another one's name is noticed at the next chunk`(
        family: TestServer.Family
    ) async throws {
        let stalled = try await Stalled("snap_replaced", family, pairs: 1, at: 150)
        let f = stalled.copy
        let other = "\(f.schema)_other"
        try f.source.sql(
            """
            DROP DATABASE IF EXISTS \(other); CREATE DATABASE \(other);
            CREATE TABLE \(other).t LIKE t; INSERT INTO \(other).t SELECT id, v+1000 FROM t;
            """, database: f.schema)
        try await Task.sleep(for: .milliseconds(1100))
        let renamed = Latch()
        let outcome = try await stalled.run { state in
            stalled.rows(state, of: "t") == 100
        } _: {
            Thread.detachNewThread {
                _ = try? f.source.sql(
                    "RENAME TABLE t TO \(other).old, \(other).t TO t", database: f.schema)
                renamed.set()
            }
            // It waits for the chunk that is being read, and the next one waits for it.
            let waiting =
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'RENAME TABLE t %' "
                + "AND STATE LIKE 'Waiting for table metadata lock'"
            while try f.source.sql(waiting) == "0\n" {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        #expect {
            try outcome.get()
        } throws: {
            if case SnapshotError.startsOver([f.table("t")], let detail) = $0 {
                detail.contains("altered or replaced")
            } else {
                false
            }
        }
        await renamed.wait()
        #expect(try f.chunks("t").count == 2)
        try await f.copy()
        #expect(try f.rows("t").target.first == "1,1001")
        #expect(try f.agree("t"))
    }
}
