import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Runtime
import TestServers
import Testing

@testable import Snapshot

/// A table that comes refers to what a followed one has got since, in a migration into tables that
/// exist.
@Suite struct OutgrownTableTests {
    /// A migration that follows `p`, and to which `n` comes.
    private func followed(_ name: String, target statements: String) async throws -> CopyFixture {
        var f = try await CopyFixture(
            name, meta: "\(name)_meta",
            "CREATE TABLE p (id INT PRIMARY KEY, v INT); INSERT INTO p VALUES (1,1),(2,2);")
        f.configuration.intoExisting = true
        try f.target.sql("CREATE DATABASE \(name); USE \(name); \(statements)")
        try await f.copy()
        try f.source.sql(
            """
            ALTER TABLE p ADD u INT, ADD UNIQUE KEY u (u); UPDATE p SET u=id;
            CREATE TABLE n (id INT PRIMARY KEY, r INT, FOREIGN KEY (r) REFERENCES p (u));
            INSERT INTO n VALUES (1,1);
            """, database: name)
        try Connection(f.configuration.target).execute(
            "UPDATE \(f.configuration.meta.name).subtask SET phase='copy'")
        return f
    }

    private func restarts(_ f: CopyFixture) throws -> String {
        try f.target.sql(
            "SELECT table_name FROM \(f.configuration.meta.name).object WHERE kind='restart'")
    }

    @Test func `one that was created here is copied again, so that the other one can come`()
        async throws
    {
        let f = try await followed("snap_outgrown_own", target: "DO 0")
        await #expect {
            try await f.copy()
        } throws: { error in
            (error as? SnapshotError)?.isRetryable == true
        }
        #expect(try restarts(f) == "p\n")
        try await f.copy()
        #expect(try f.agree("p"))
        #expect(try f.agree("n"))
        #expect(try restarts(f) == "")
    }

    @Test func `one that was there before keeps the other one out, and nothing is begun`()
        async throws
    {
        let f = try await followed(
            "snap_outgrown_there",
            target: "CREATE TABLE p (id INT PRIMARY KEY, v INT); INSERT INTO p VALUES (100,100)")
        await #expect {
            try await f.copy()
        } throws: { error in
            "\(error)".contains("take the table that comes out again")
        }
        #expect(try restarts(f) == "")
        #expect(
            try f.target.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM p", database: f.schema)
                == "1,2,100\n")
        #expect(try f.target.sql("SHOW TABLES LIKE 'n'", database: f.schema) == "")
    }

    @Test func `one that comes to a table of its users needs nothing of those beside it`()
        async throws
    {
        let f = try await followed(
            "snap_outgrown_made",
            target: """
                CREATE TABLE p (id INT PRIMARY KEY, v INT); INSERT INTO p VALUES (100,100);
                CREATE TABLE n (id INT PRIMARY KEY, r INT);
                """)
        try await f.copy()
        #expect(try f.agree("n"))
        #expect(
            try f.target.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM p", database: f.schema)
                == "1,2,100\n")
    }

    @Test func `what is copied again with it must have been created here, too`() throws {
        func name(_ table: String) -> TableName { TableName(schema: "s", name: table) }
        func shape(_ table: String, to parent: String? = nil) -> TableShape {
            TableShape(
                name: name(table),
                columns: [ColumnShape(name: "id", type: ColumnType(.int), isNullable: false)],
                keys: [KeyShape(name: "PRIMARY", parts: [KeyPart(column: "id")], isUnique: true)],
                foreignKeys: parent.map {
                    [
                        ForeignKeyShape(
                            name: "f", columns: ["id"], parent: name($0), parentColumns: ["id"],
                            onDelete: .cascade)
                    ]
                } ?? [])
        }
        let shapes = [shape("p"), shape("c", to: "p"), shape("other")]
        let plan = SnapshotPlan(
            tables: shapes.map {
                PlannedTable(
                    shape: $0, estimatedRows: 1, estimatedBytes: 1, needsExactView: false)
            })
        func refusal(_ own: [String]?) throws -> SnapshotError? {
            try plan.refusal(
                [name("p")], startOverWith: Set(shapes.map(\.name)), at: shapes,
                ownTargets: own.map { Set($0.map(name)) })
        }
        #expect(try refusal(nil) == nil)
        #expect(try refusal(["c", "p"]) == nil)
        guard case .targetExists(name("c"), let detail)? = try refusal(["p", "other"]) else {
            Issue.record("it is not refused")
            return
        }
        #expect(detail.contains("can't be copied again with"))
        guard case .targetExists(name("p"), _)? = try refusal(["c"]) else {
            Issue.record("it is not refused")
            return
        }
    }
}
