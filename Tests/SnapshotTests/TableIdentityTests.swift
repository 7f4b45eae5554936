import Checkpoint
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

        /// Ends the copy when `small` is whole, and `t` is not: a chunk of it waits.
        func interrupt() async throws {
            let outcome: Result<Void, any Error>
            let fixture = copy
            let run = Task { _ = try await fixture.copy() }
            while copy.progress.current.tables[copy.table("small")]?.isDone != true
                || rows(copy.progress.current, of: "t") < 200
            {
                try await Task.sleep(for: .milliseconds(5))
            }
            run.cancel()
            outcome = await run.result
            try blocker.execute("ROLLBACK")
            #expect(throws: (any Error).self) { try outcome.get() }
            #expect(try copy.chunks("t").count < 4)
        }

        /// Columns of the tables by which their rows are read from the stream, at its beginning.
        func columns() throws -> [TableName: [String]] {
            let shapes = try StoredShapes(
                meta: copy.configuration.meta, key: copy.configuration.key
            )
            .read(Connection(copy.configuration.target))
            return Dictionary(
                uniqueKeysWithValues: shapes.map { ($0.name, $0.columns.map(\.name)) })
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

    @Test(arguments: [false, true])
    func `what is whole stays as it was read when it is altered between two runs`(
        isOwn: Bool
    ) async throws {
        let stalled = try await Stalled("snap_between_\(isOwn)", .mariadb, pairs: 3, at: 250)
        let f = stalled.copy
        let small = f.table("small")
        if isOwn {
            let text =
                try Connection(f.configuration.source)
                .rows("SHOW CREATE TABLE \(small.quoted)")[0][1] ?? ""
            let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
            try Connection(f.configuration.target).execute(
                stored.storeStatement(
                    StoredObject(kind: .table, name: small, definition: Array(text.utf8))))
        }
        try await stalled.interrupt()
        let chunks = try f.chunks("small")
        try f.source.sql("ALTER TABLE small ADD w INT DEFAULT 5", database: f.schema)
        try await f.copy()
        #expect(try f.chunks("small") == chunks)
        #expect(try stalled.columns()[small] == ["id", "v"])
        #expect(try f.target.sql("SELECT * FROM small", database: f.schema) == "1\t1\n")
        #expect(try f.agree("t"))
    }

    @Test(arguments: [false, true])
    func `what is dropped between two runs leaves nothing, or stays whole for the stream`(
        intoExisting: Bool
    ) async throws {
        var stalled = try await Stalled("snap_dropped_\(intoExisting)", .mariadb, pairs: 3, at: 250)
        stalled.copy.configuration.intoExisting = intoExisting
        let f = stalled.copy
        try await stalled.interrupt()
        try f.source.sql("DROP TABLE small", database: f.schema)
        try await f.copy()
        // By its shape its last rows are read, before it is dropped.
        #expect(try stalled.columns()[f.table("small")] == (intoExisting ? ["id", "v"] : nil))
        #expect(
            try f.target.sql("SELECT * FROM small", database: f.schema)
                == (intoExisting ? "1\t1\n" : ""))
    }

    @Test(arguments: [false, true])
    func `what is dropped between two runs, and was not whole, leaves nothing or is refused`(
        intoExisting: Bool
    ) async throws {
        var stalled = try await Stalled("snap_lost_\(intoExisting)", .mariadb, pairs: 3, at: 250)
        stalled.copy.configuration.intoExisting = intoExisting
        let f = stalled.copy
        try await stalled.interrupt()
        try f.source.sql("DROP TABLE t", database: f.schema)
        if intoExisting {
            await #expect {
                try await f.copy()
            } throws: {
                "\($0)".contains("not on the source any more")
            }
        } else {
            try await f.copy()
            #expect(try f.chunks("t").isEmpty)
        }
        #expect(
            try f.target.sql("SELECT COUNT(*) FROM t", database: f.schema)
                == (intoExisting ? "200\n" : "0\n"))
    }
}
