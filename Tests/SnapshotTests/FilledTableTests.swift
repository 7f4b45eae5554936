import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Runtime
import TestServers
import Testing

@testable import Snapshot

/// Tables with columns that routes fill. Their users make them, and no copy can make them again:
/// where it would have to, it is refused before anything is changed.
@Suite struct FilledTableTests {
    private static let key = "CONSTRAINT pp FOREIGN KEY (p) REFERENCES parent (id)"

    /// Copies tables of the schema; rows of `part_1` go to a table with a column more.
    private func copy(_ f: CopyFixture, _ tables: String...) async throws {
        let mapping = try TableMapping(
            SourceRules(
                tables: BlockAllowList(
                    doTables: tables.map { BlockAllowList.Table(schema: f.schema, name: $0) }),
                routes: [
                    RouteRule(
                        name: "parts", schemaPattern: f.schema, tablePattern: "part_*",
                        targetSchema: "\(f.schema)_new", targetTable: "parts",
                        extractTable: RouteRule.Extraction(pattern: "(.*)", column: "origin")),
                    RouteRule(
                        name: "all", schemaPattern: f.schema, targetSchema: "\(f.schema)_new"),
                ]))
        let plan = try SnapshotPlan.read(Connection(f.configuration.source), mapping)
        _ = try await SnapshotEngine(
            configuration: f.configuration, plan: plan, progress: f.progress
        ).run(epoch: .next, token: RunToken(randomToken()))
    }

    /// A migration that follows `parent` and `part_1`, which refers to it by these keys, and whose
    /// table on the target has those.
    private func followed(
        _ name: String, keys: String = "", targetKeys: String = ""
    ) async throws -> CopyFixture {
        let parent = "CREATE TABLE parent (id INT PRIMARY KEY)"
        let f = try await CopyFixture(
            name,
            """
            \(parent); CREATE TABLE part_1 (id INT PRIMARY KEY, p INT, KEY pp (p)\(keys));
            INSERT INTO parent VALUES (1),(2); INSERT INTO part_1 VALUES (1,1),(2,2);
            """)
        try f.target.sql(
            """
            DROP DATABASE IF EXISTS \(name)_new; CREATE DATABASE \(name)_new; USE \(name)_new;
            \(parent);
            CREATE TABLE parts (id INT, p INT, origin VARCHAR(30), PRIMARY KEY (id, origin),
                KEY pp (p)\(targetKeys));
            """)
        try await copy(f, "parent", "part_1")
        #expect(try rows(f) == Self.rows)
        return f
    }

    private static let rows = "1\t1\tpart_1\n2\t2\tpart_1\n"

    private func rows(_ f: CopyFixture) throws -> String {
        try f.target.sql("SELECT * FROM parts ORDER BY id", database: "\(f.schema)_new")
    }

    /// The migration copies again, its mark as it is.
    private func resume(_ f: CopyFixture, copyingAgain tables: String...) throws {
        let connection = try Connection(f.configuration.target)
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        for table in tables {
            try connection.execute(
                stored.storeStatement(
                    StoredObject(kind: .restart, name: f.table(table), definition: [])))
        }
        try connection.execute(
            "UPDATE skein_meta.subtask SET phase='copy' WHERE task='\(f.schema)'")
    }

    private func restarts(_ f: CopyFixture) throws -> String {
        try f.target.sql(
            "SELECT table_name FROM skein_meta.object "
                + "WHERE task='\(f.schema)' AND kind='restart' ORDER BY 1")
    }

    /// - Parameter isDropped: the source has a foreign key no more that the target has; else it got
    ///   one that takes rows along.
    @Test(arguments: [true, false])
    func `one whose foreign keys have changed is not copied again`(isDropped: Bool) async throws {
        let keys = isDropped ? ", \(Self.key)" : ""
        let f = try await followed("snap_filled_\(isDropped)", keys: keys, targetKeys: keys)
        try f.source.sql(
            isDropped
                ? "ALTER TABLE part_1 DROP FOREIGN KEY pp"
                : "ALTER TABLE part_1 ADD \(Self.key) ON DELETE CASCADE", database: f.schema)
        try resume(f, copyingAgain: "part_1")
        await #expect {
            try await copy(f, "parent", "part_1")
        } throws: {
            "\($0)".contains("its foreign keys on the source have changed")
        }
        #expect(try rows(f) == Self.rows)
        #expect(try !f.chunks("part_1").isEmpty)
        // Somebody makes the table what it is to be.
        try f.target.sql(
            isDropped
                ? "ALTER TABLE parts DROP FOREIGN KEY pp"
                : "ALTER TABLE parts ADD \(Self.key) ON DELETE CASCADE",
            database: "\(f.schema)_new")
        try f.source.sql("INSERT INTO part_1 VALUES (3,1)", database: f.schema)
        try await copy(f, "parent", "part_1")
        #expect(try rows(f) == Self.rows + "3\t1\tpart_1\n")
        #expect(try restarts(f) == "")
    }

    @Test func `one that restricts what is done to its parent is copied again without the key`()
        async throws
    {
        let f = try await followed("snap_filled_new")
        try f.source.sql(
            "ALTER TABLE part_1 ADD \(Self.key); INSERT INTO part_1 VALUES (3,1)",
            database: f.schema)
        try resume(f, copyingAgain: "part_1")
        try await copy(f, "parent", "part_1")
        #expect(try rows(f) == Self.rows + "3\t1\tpart_1\n")
    }

    @Test func `one that lacks what a table that comes refers to keeps that out`() async throws {
        let f = try await followed("snap_filled_comes")
        try f.source.sql(
            """
            ALTER TABLE part_1 ADD u INT, ADD UNIQUE KEY u (u); UPDATE part_1 SET u=id;
            CREATE TABLE n (id INT PRIMARY KEY, r INT, FOREIGN KEY (r) REFERENCES part_1 (u));
            INSERT INTO n VALUES (1,1);
            """, database: f.schema)
        try resume(f)
        await #expect {
            try await copy(f, "parent", "part_1", "n")
        } throws: {
            "\($0)".contains("take the table that comes out again")
        }
        #expect(try rows(f) == Self.rows)
        #expect(try restarts(f) == "")
        #expect(
            try f.target.sql("SHOW TABLES LIKE 'n'", database: "\(f.schema)_new") == "")
        // Without it, what is followed is gone on with.
        try await copy(f, "parent", "part_1")
        #expect(try rows(f) == Self.rows)
    }
}
