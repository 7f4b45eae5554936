import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Runtime
import TestServers
import Testing

@testable import Snapshot

/// Copies of tables that get other names on the target.
@Suite(.serialized) struct RouteTests {
    /// Everything of `schema` goes to `schema`_new; tables `part_N` go to one table, which says of
    /// each row where it is from.
    private static func mapping(_ schema: String, _ patterns: [String]) throws -> TableMapping {
        try TableMapping(
            SourceRules(
                tables: BlockAllowList(
                    doTables: patterns.map { BlockAllowList.Table(schema: schema, name: $0) }),
                routes: [
                    RouteRule(
                        name: "parts", schemaPattern: schema, tablePattern: "part_*",
                        targetSchema: "\(schema)_new", targetTable: "parts",
                        extractTable: RouteRule.Extraction(pattern: "(.*)", column: "c t")),
                    RouteRule(name: "all", schemaPattern: schema, targetSchema: "\(schema)_new"),
                ]))
    }

    private static let tables = """
        CREATE TABLE parent (id INT PRIMARY KEY, v VARCHAR(9), KEY v (v));
        CREATE TABLE child (id INT PRIMARY KEY, p INT, KEY p (p),
            CONSTRAINT f FOREIGN KEY (p) REFERENCES parent (id));
        INSERT INTO parent VALUES (1,'a'),(2,'b');
        INSERT INTO child VALUES (1,1),(2,2),(3,NULL);
        CREATE VIEW seen AS SELECT * FROM parent;
        CREATE TRIGGER t BEFORE INSERT ON child FOR EACH ROW SET NEW.p = NULL;
        CREATE TABLE part_1 (id INT PRIMARY KEY, e ENUM('x','y'));
        CREATE TABLE part_2 LIKE part_1;
        INSERT INTO part_1 VALUES (1,'x'),(2,'y');
        INSERT INTO part_2 VALUES (1,'y'),(7,NULL);
        """

    private func copy(_ f: CopyFixture, _ patterns: [String]) async throws -> SnapshotResult {
        let plan = try SnapshotPlan.read(
            Connection(f.configuration.source), Self.mapping(f.schema, patterns))
        return try await SnapshotEngine(
            configuration: f.configuration, plan: plan, progress: f.progress
        ).run(epoch: .next, token: RunToken(randomToken()))
    }

    private func fixture(_ name: String) async throws -> CopyFixture {
        let f = try await CopyFixture(name, Self.tables)
        try f.target.sql("DROP DATABASE IF EXISTS \(name)_new")
        return f
    }

    @Test(arguments: [true, false])
    func `tables get other names, foreign keys included`(loads: Bool) async throws {
        var f = try await fixture("snap_route_\(loads ? "load" : "insert")")
        f.configuration.allowsLoadData = loads
        f.configuration.deferredIndexRows = 0
        _ = try await copy(f, ["parent", "child", "seen"])
        let new = "\(f.schema)_new"
        #expect(
            try f.target.sql("SELECT * FROM child ORDER BY id", database: new)
                == "1\t1\n2\t2\n3\tNULL\n")
        #expect(
            try f.target.sql("SELECT * FROM parent ORDER BY id", database: new) == "1\ta\n2\tb\n")
        #expect(
            try f.target.sql(
                """
                SELECT CONSTRAINT_SCHEMA, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME
                FROM information_schema.KEY_COLUMN_USAGE
                WHERE TABLE_SCHEMA='\(new)' AND REFERENCED_TABLE_NAME IS NOT NULL
                """) == "\(new)\t\(new)\tparent\n")
        #expect(try f.target.sql("SHOW INDEX FROM parent WHERE Key_name='v'", database: new) != "")
        // Their text names the tables of the source.
        #expect(try f.target.sql("SHOW FULL TABLES WHERE Table_type='VIEW'", database: new) == "")
        #expect(try f.target.sql("SHOW DATABASES LIKE '\(f.schema)'") == "")
        let session = try TargetSession(f.configuration.target, role: .coordinator)
        let switchOver = SwitchOver(meta: f.configuration.meta, key: f.configuration.key)
        try switchOver.create(on: session, isResumed: false)
        #expect(try f.target.sql("SHOW TRIGGERS", database: new) == "")
    }

    @Test(arguments: [true, false])
    func `tables are merged, and rows say where they are from`(loads: Bool) async throws {
        var f = try await fixture("snap_merge_\(loads ? "load" : "insert")")
        f.configuration.allowsLoadData = loads
        let new = "\(f.schema)_new"
        try f.target.sql(
            """
            CREATE DATABASE \(new); USE \(new);
            CREATE TABLE parts (id INT, e ENUM('x','y'), `c t` VARCHAR(30), PRIMARY KEY (id, `c t`))
            """)
        _ = try await copy(f, ["part_*"])
        #expect(
            try f.target.sql("SELECT `c t`, id, e FROM parts ORDER BY 1, 2", database: new) == """
                part_1\t1\tx
                part_1\t2\ty
                part_2\t1\ty
                part_2\t7\tNULL

                """)
    }

    @Test func `a column to be filled must be there`() async throws {
        let f = try await fixture("snap_route_column")
        await #expect {
            _ = try await copy(f, ["part_*"])
        } throws: {
            "\($0)".contains("fills its column c t")
        }
        let new = "\(f.schema)_new"
        try f.target.sql(
            """
            CREATE DATABASE IF NOT EXISTS \(new);
            CREATE TABLE \(new).parts (id INT PRIMARY KEY, e ENUM('x','y'))
            """)
        await #expect {
            _ = try await copy(f, ["part_*"])
        } throws: {
            "\($0)".contains("without the column c t")
        }
    }

    @Test func `merged tables must have the same columns`() async throws {
        let f = try await fixture("snap_merge_columns")
        try f.source.sql("ALTER TABLE part_2 ADD x INT", database: f.schema)
        await #expect {
            _ = try await copy(f, ["part_*"])
        } throws: {
            "\($0)".contains("to be merged with")
        }
    }

    @Test(arguments: [
        "e ENUM('y','x')", "e VARCHAR(9) CHARACTER SET latin1",
    ])
    func `merged tables must hold the same values`(column: String) async throws {
        let f = try await fixture("snap_merge_values")
        try f.source.sql("ALTER TABLE part_2 MODIFY \(column)", database: f.schema)
        await #expect {
            _ = try await copy(f, ["part_*"])
        } throws: {
            "\($0)".contains("to be merged with") && "\($0)".contains("column e:")
        }
    }

    @Test func `merged tables start over together`() async throws {
        let f = try await fixture("snap_merge_again")
        let new = "\(f.schema)_new"
        try f.target.sql(
            """
            CREATE DATABASE IF NOT EXISTS \(new);
            CREATE TABLE \(new).parts (id INT, e ENUM('x','y'), `c t` VARCHAR(30), PRIMARY KEY (id, `c t`))
            """)
        _ = try await copy(f, ["part_*"])
        // As an interrupted run leaves it that saw one of the tables change.
        let connection = try Connection(f.configuration.target)
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        try connection.execute(
            stored.storeStatement(
                StoredObject(kind: .restart, name: f.table("part_1"), definition: [])))
        try connection.execute(
            "UPDATE skein_meta.subtask SET phase='copy' WHERE task='\(f.schema)'")
        try f.source.sql("DELETE FROM part_2 WHERE id=7", database: f.schema)
        _ = try await copy(f, ["part_*"])
        #expect(
            try f.target.sql("SELECT `c t`, id FROM parts ORDER BY 1, 2", database: new) == """
                part_1\t1
                part_1\t2
                part_2\t1

                """)
    }

    @Test func `a merged table that goes takes nothing of the others along`() async throws {
        let f = try await fixture("snap_merge_gone")
        let mapping = try TableMapping(
            SourceRules(
                tables: BlockAllowList(
                    doTables: [BlockAllowList.Table(schema: f.schema, name: "part_*")]),
                routes: [
                    RouteRule(
                        name: "parts", schemaPattern: f.schema, tablePattern: "part_*",
                        targetSchema: "\(f.schema)_new", targetTable: "parts")
                ]))
        try f.source.sql(
            "DELETE FROM part_2; INSERT INTO part_2 VALUES (7,'x'); CREATE TABLE part_3 LIKE part_2",
            database: f.schema)
        func copy() async throws {
            let plan = try SnapshotPlan.read(Connection(f.configuration.source), mapping)
            _ = try await SnapshotEngine(
                configuration: f.configuration, plan: plan, progress: f.progress
            ).run(epoch: .next, token: RunToken(randomToken()))
        }
        func rows() throws -> String {
            try f.target.sql("SELECT id FROM parts ORDER BY 1", database: "\(f.schema)_new")
        }
        try await copy()
        #expect(try rows() == "1\n2\n7\n")
        for (gone, left) in [("part_1", "7\n"), ("part_3", "7\n")] {
            // As an interrupted run leaves it: no change has been applied yet.
            try Connection(f.configuration.target).execute(
                "UPDATE skein_meta.subtask SET phase='copy', low_water=NULL "
                    + "WHERE task='\(f.schema)'")
            try f.source.sql("DROP TABLE \(gone)", database: f.schema)
            try await copy()
            #expect(try rows() == left)
        }
    }

    /// Copies tables by their names; those of `part_*` go to one.
    private func copy(_ f: CopyFixture, parts patterns: [String]) async throws {
        let new = "\(f.schema)_new"
        let mapping = try TableMapping(
            SourceRules(
                tables: BlockAllowList(
                    doTables: patterns.map {
                        BlockAllowList.Table(schema: f.schema, name: $0)
                    }),
                routes: [
                    RouteRule(
                        name: "parts", schemaPattern: f.schema, tablePattern: "part_*",
                        targetSchema: new, targetTable: "parts"),
                    RouteRule(name: "all", schemaPattern: f.schema, targetSchema: new),
                ]))
        let plan = try SnapshotPlan.read(Connection(f.configuration.source), mapping)
        _ = try await SnapshotEngine(
            configuration: f.configuration, plan: plan, progress: f.progress
        ).run(epoch: .next, token: RunToken(randomToken()))
    }

    @Test(arguments: [false, true])
    func `half a copy that goes takes along what it was merged with and has gone, too`(
        hasThird: Bool
    ) async throws {
        let f = try await fixture("snap_merge_half_\(hasThird)")
        let new = "\(f.schema)_new"
        if hasThird {
            try f.source.sql(
                "CREATE TABLE part_3 LIKE part_1; INSERT INTO part_3 VALUES (9,'x')",
                database: f.schema)
        }
        try await copy(f, parts: ["part_1", "part_3", "parent"])
        // As it is when part_2 has come since, and a run was ended in the middle of its copy.
        let reader = SchemaReader(try Connection(f.configuration.source))
        let shape = try #require(try reader.shape(of: f.table("part_2")))
        let connection = try Connection(f.configuration.target)
        try connection.execute(
            try CopyLedger(meta: f.configuration.meta, key: f.configuration.key).insertStatement(
                ChunkRecord(
                    table: shape.name, chunk: 0, snapshot: 1, from: nil, to: ["5"], rows: 1)))
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        try connection.execute(
            stored.storeStatement(
                StoredObject(
                    kind: .identity, name: shape.name, encoding: TableIdentity(shape: shape))))
        try connection.execute(
            "UPDATE skein_meta.subtask SET phase='copy' WHERE task='\(f.schema)'")
        try f.target.sql("INSERT INTO parts VALUES (4,'x')", database: new)
        // The first one was followed: the stream has its DROP, and what was done to it before.
        try f.source.sql("DROP TABLE part_1, part_2", database: f.schema)
        try await copy(f, parts: ["part_*", "parent"])
        #expect(
            try f.target.sql("SHOW TABLES", database: new)
                == (hasThird ? "parent\nparts\n" : "parent\n"))
        if hasThird { #expect(try f.target.sql("SELECT id FROM parts", database: new) == "9\n") }
        // Of what went with it no change is applied any more.
        #expect(try f.chunks("part_1").isEmpty)
        #expect(
            try f.target.sql(
                "SELECT table_name FROM skein_meta.shape WHERE task='\(f.schema)' ORDER BY 1")
                == (hasThird ? "parent\npart_3\n" : "parent\n"))
    }

    @Test func `a merged table of its users stays when what went there goes, also after a kill`()
        async throws
    {
        let f = try await fixture("snap_merge_users")
        let new = "\(f.schema)_new"
        try f.target.sql(
            "CREATE DATABASE IF NOT EXISTS \(new); USE \(new); "
                + "CREATE TABLE parts (id INT PRIMARY KEY, e ENUM('x','y'))")
        try f.source.sql(
            "CREATE TABLE part_3 LIKE part_1; INSERT INTO part_3 VALUES (9,'x')",
            database: f.schema)
        let tables = ["part_1", "part_3", "parent"]
        try await copy(f, parts: tables)
        #expect(
            try f.target.sql("SELECT id FROM parts ORDER BY id", database: new) == "1\n2\n9\n")
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        let connection = try Connection(f.configuration.target)
        // As a run leaves it that was killed when it had emptied the table.
        for table in ["part_1", "part_3"] {
            try connection.execute(
                stored.storeStatement(
                    StoredObject(kind: .restart, name: f.table(table), definition: [])))
        }
        try connection.execute(
            "UPDATE skein_meta.subtask SET phase='copy' WHERE task='\(f.schema)'")
        try f.source.sql("DROP TABLE part_1, part_3", database: f.schema)
        try await copy(f, parts: tables)
        #expect(try f.target.sql("SHOW TABLES", database: new) == "parent\nparts\n")
        #expect(try f.target.sql("SELECT id FROM parts", database: new) == "")
        #expect(try f.chunks("part_1").isEmpty)
    }

    /// Another source's chunk, as its copy records it with its rows.
    private func otherSource(_ f: CopyFixture, _ table: String) throws {
        try f.target.sql(
            """
            INSERT INTO skein_meta.chunk (task, source, schema_name, table_name, snapshot_id, chunk,
                copied_rows) VALUES ('\(f.configuration.key.task)','other','\(f.schema)','\(table)',1,0,1)
            """)
    }

    @Test(arguments: [false, true])
    func `what another source has written stays when a copy starts over`(
        isDropped: Bool
    ) async throws {
        var f = try await fixture("snap_shared_\(isDropped)")
        f.configuration.sharesTargets = true
        var mapping = try TableMapping(
            SourceRules(
                tables: BlockAllowList(
                    doTables: [BlockAllowList.Table(schema: f.schema, name: "part_1")])))
        // The other source's table has another name there.
        mapping.share(with: [
            "other": try TableMapping(
                SourceRules(
                    tables: BlockAllowList(doSchemas: [f.schema]),
                    routes: [
                        RouteRule(
                            name: "r", schemaPattern: f.schema, tablePattern: "theirs",
                            targetSchema: f.schema, targetTable: "part_1")
                    ]))
        ])
        let shared = mapping
        func copy() async throws {
            let plan = try SnapshotPlan.read(Connection(f.configuration.source), shared)
            _ = try await SnapshotEngine(
                configuration: f.configuration, plan: plan, progress: f.progress
            ).run(epoch: .next, token: RunToken(randomToken()))
        }
        try await copy()
        try otherSource(f, "theirs")
        try f.target.sql("INSERT INTO part_1 VALUES (77,'x')", database: f.schema)
        let connection = try Connection(f.configuration.target)
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        try connection.execute(
            stored.storeStatement(
                StoredObject(kind: .restart, name: f.table("part_1"), definition: [])))
        try connection.execute(
            "UPDATE skein_meta.subtask SET phase='copy', low_water=NULL WHERE task='\(f.schema)'")
        if isDropped { try f.source.sql("DROP TABLE part_1", database: f.schema) }
        await #expect { try await copy() } throws: { "\($0)".contains("rows of other sources") }
        #expect(
            try f.target.sql("SELECT id FROM part_1 ORDER BY 1", database: f.schema)
                == "1\n2\n77\n")
    }
}
