import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Runtime
import TestServers
import Testing

@testable import Snapshot

/// Copies that start over, and end in the middle of it.
@Suite(.serialized) struct StartOverTests {
    /// Tables `part_1` and `part_2`, which go to one table.
    private struct Merged {
        var copy: CopyFixture
        let mapping: TableMapping
        let meta: String

        /// - Parameter more: further statements for the source.
        init(_ schema: String, _ more: String = "") async throws {
            meta = "\(schema)_meta"
            copy = try await CopyFixture(
                schema, meta: meta,
                """
                CREATE TABLE part_1 (id INT PRIMARY KEY, v INT);
                CREATE TABLE part_2 LIKE part_1;
                INSERT INTO part_1 VALUES (1,1),(2,2); INSERT INTO part_2 VALUES (7,7),(8,8);
                \(more)
                """)
            copy.configuration.chunkRows = 1
            try copy.target.sql("DROP DATABASE IF EXISTS \(schema)_new")
            mapping = try TableMapping(
                SourceRules(
                    tables: BlockAllowList(
                        doTables: ["part_*", "child"].map {
                            BlockAllowList.Table(schema: schema, name: $0)
                        }),
                    routes: [
                        RouteRule(
                            name: "parts", schemaPattern: schema, tablePattern: "part_*",
                            targetSchema: "\(schema)_new", targetTable: "parts")
                    ]))
        }

        func plan() throws -> SnapshotPlan {
            try SnapshotPlan.read(Connection(copy.configuration.source), mapping)
        }

        func run() async throws {
            let plan = try plan()
            _ = try await SnapshotEngine(
                configuration: copy.configuration, plan: plan, progress: copy.progress
            ).run(epoch: .next, token: RunToken(randomToken()))
        }

        func ids() throws -> String {
            try copy.target.sql(
                "SELECT GROUP_CONCAT(id ORDER BY id) FROM parts",
                database: "\(copy.schema)_new")
        }

        /// As an interrupted run leaves it: no change has been applied yet.
        func interrupt(_ statements: String...) throws {
            let connection = try Connection(copy.configuration.target)
            try connection.execute("UPDATE \(meta).subtask SET phase='copy', low_water=NULL")
            for statement in statements { try connection.execute(statement) }
        }

        /// Starts over, and ends when the chunks of a table are to be forgotten: what was
        /// committed until then is what a kill leaves.
        func runIntoKill(forgetting table: String) async throws {
            let connection = try Connection(copy.configuration.target)
            try connection.execute(
                """
                CREATE TRIGGER \(meta).killed BEFORE DELETE ON \(meta).chunk FOR EACH ROW \
                IF OLD.table_name='\(table)' THEN \
                SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='killed'; END IF
                """)
            await #expect { try await run() } throws: { "\($0)".contains("killed") }
            try connection.execute("DROP TRIGGER \(meta).killed")
        }
    }

    @Test func `what starts over with what it is merged with takes along what actions tie to it`()
        async throws
    {
        let merged = try await Merged(
            "snap_anew_tied",
            """
            CREATE TABLE child (id INT PRIMARY KEY, p INT,
                FOREIGN KEY (p) REFERENCES part_2 (id) ON DELETE CASCADE);
            INSERT INTO child VALUES (70,7),(80,8);
            """)
        let f = merged.copy
        try await merged.run()
        // All of them are followed; then one must be copied again.
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        let connection = try Connection(f.configuration.target)
        try connection.execute("UPDATE \(merged.meta).subtask SET phase='copy'")
        try connection.execute(
            stored.storeStatement(
                StoredObject(kind: .restart, name: f.table("part_1"), definition: [])))
        // What the action does to the child no binlog tells.
        try f.source.sql("DELETE FROM part_2 WHERE id=7", database: f.schema)
        await #expect {
            try await merged.run()
        } throws: { error in
            (error as? SnapshotError)?.isRetryable == true
        }
        // Nothing has gone as yet.
        #expect(try merged.ids() == "1,2,7,8\n")
        try await merged.run()
        #expect(try merged.ids() == "1,2,8\n")
        #expect(
            try f.target.sql("SELECT id FROM child ORDER BY id", database: f.schema) == "80\n")
        let views = try (f.chunks("part_2") + f.chunks("child")).map(\.snapshot)
        #expect(Set(views).count == 1)
    }

    enum Reason: String, CaseIterable, Sendable {
        case recorded, changed, changedForAMoment, replaced
    }

    @Test(arguments: Reason.allCases, ["part_1", "part_2"])
    func `a kill while merged tables start over loses no rows`(
        reason: Reason, killed: String
    ) async throws {
        let merged = try await Merged("snap_anew_\(reason)_\(killed)".lowercased())
        let f = merged.copy
        try await merged.run()
        #expect(try merged.ids() == "1,2,7,8\n")
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        switch reason {
        case .recorded:
            try merged.interrupt(
                stored.storeStatement(
                    StoredObject(kind: .restart, name: f.table("part_1"), definition: [])))
        case .changed, .changedForAMoment:
            try merged.interrupt()
            try f.source.sql(
                "ALTER TABLE part_1 ADD w INT; ALTER TABLE part_2 ADD w INT", database: f.schema)
        case .replaced:
            // What was begun was another table.
            var identity = try #require(
                TableIdentities(merged.plan(), made: [:])[f.table("part_1")])
            identity.made = "then"
            try merged.interrupt(
                stored.storeStatement(
                    StoredObject(kind: .identity, name: f.table("part_1"), encoding: identity)),
                "DELETE FROM \(merged.meta).chunk WHERE table_name='part_1' AND to_key IS NULL")
        }
        try await merged.runIntoKill(forgetting: killed)
        if reason == .changedForAMoment {
            try f.source.sql(
                "ALTER TABLE part_1 DROP w; ALTER TABLE part_2 DROP w", database: f.schema)
        }
        try await merged.run()
        #expect(try merged.ids() == "1,2,7,8\n")
    }

    @Test(arguments: ["p", "c"])
    func `a whole table that starts over takes along what is read in one view with it`(
        _ first: String
    ) async throws {
        let f = try await CopyFixture(
            "snap_anew_group_\(first)", meta: "meta_anew_group_\(first)",
            """
            CREATE TABLE p (id INT PRIMARY KEY);
            CREATE TABLE c (id INT PRIMARY KEY, p INT,
                FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE);
            CREATE TABLE other (id INT PRIMARY KEY);
            INSERT INTO p VALUES (1),(2); INSERT INTO c VALUES (1,1),(2,2);
            INSERT INTO other VALUES (1);
            """)
        let exact: Set<TableName> = [f.table("p"), f.table("c")]
        try await f.copy(exact: exact)
        let meta = f.configuration.meta
        let stored = StoredObjects(meta: meta, key: f.configuration.key)
        let connection = try Connection(f.configuration.target)
        try connection.execute("UPDATE \(meta.name).subtask SET phase='copy', low_water=NULL")
        try connection.execute(
            stored.storeStatement(
                StoredObject(kind: .restart, name: f.table(first), definition: [])))
        // What the action does to the child no binlog tells.
        try f.source.sql(
            "DELETE FROM p WHERE id=1; INSERT INTO p VALUES (3); INSERT INTO c VALUES (3,3); "
                + "INSERT INTO other VALUES (2)", database: f.schema)
        try await f.copy(exact: exact)
        #expect(try f.agree("p"))
        #expect(try f.agree("c"))
        let views = try (f.chunks("p") + f.chunks("c")).map(\.snapshot)
        #expect(Set(views).count == 1)
        // What is not tied to it stays as it was read.
        #expect(try f.rows("other").target.count == 1)
    }

    @Test(arguments: [true, false])
    func `what others may write to is emptied where the stream has changed it before`(
        isRecorded: Bool
    ) async throws {
        let f = try await CopyFixture(
            "snap_anew_shared_\(isRecorded)", meta: "meta_anew_shared_\(isRecorded)",
            """
            CREATE TABLE a (id INT PRIMARY KEY, v INT); INSERT INTO a VALUES (1,1),(2,2);
            CREATE TABLE b (id INT PRIMARY KEY); INSERT INTO b VALUES (1);
            """)
        try await f.copy()
        let meta = f.configuration.meta
        let stored = StoredObjects(meta: meta, key: f.configuration.key)
        let connection = try Connection(f.configuration.target)
        // As if the stream had altered or created it since.
        let made = """
            CREATE TABLE `a` (
              `id` int(11) NOT NULL,
              `gone` int(11) DEFAULT NULL,
              PRIMARY KEY (`id`),
              KEY `i1` (`gone`)
            )
            """
        try connection.execute(
            isRecorded
                ? stored.storeStatement(
                    StoredObject(
                        kind: .table, name: f.table("a"), definition: Array(made.utf8)))
                : stored.removeStatement(.table, f.table("a")))
        if !isRecorded {
            try connection.execute("DELETE FROM \(meta.name).chunk WHERE table_name='a'")
        }
        try connection.execute("UPDATE \(meta.name).subtask SET phase='copy'")
        try connection.execute(
            stored.storeStatement(
                StoredObject(kind: .restart, name: f.table("a"), definition: [])))
        try f.source.sql(
            "DELETE FROM a WHERE id=1; INSERT INTO a VALUES (3,3)", database: f.schema)
        try f.target.sql("ALTER TABLE a COMMENT='there'", database: f.schema)
        let pattern = try #require(TablePattern("\(quoteIdentifier(f.schema)).*"))
        let selection = TableSelection(tables: [pattern])
        var mapping = TableMapping(selection)
        mapping.share(with: ["other": TableMapping(selection)])
        let plan = try SnapshotPlan.read(Connection(f.configuration.source), mapping)
        _ = try await SnapshotEngine(
            configuration: f.configuration, plan: plan, progress: f.progress
        ).run(epoch: .next, token: RunToken(randomToken()))
        #expect(try f.agree("a"))
        // It was never dropped.
        #expect(
            try f.target.sql(
                "SELECT TABLE_COMMENT FROM information_schema.TABLES "
                    + "WHERE TABLE_SCHEMA='\(f.schema)' AND TABLE_NAME='a'") == "there\n")
        // Nor did it get back what the stream has taken from it.
        #expect(
            try f.target.sql(
                "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS "
                    + "WHERE TABLE_SCHEMA='\(f.schema)' AND TABLE_NAME='a'") == "PRIMARY\n")
    }

    @Test(arguments: ["copy", "follow"])
    func `a fresh start that ends in the middle loses no rows`(phase: String) async throws {
        let f = try await CopyFixture(
            "snap_fresh_\(phase)", meta: "meta_fresh_\(phase)",
            """
            CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1),(2);
            CREATE TABLE b (id INT); INSERT INTO b VALUES (3),(3);
            """)
        try await f.copy()
        let connection = try Connection(f.configuration.target)
        if phase == "copy" {
            try connection.execute(
                "UPDATE \(f.configuration.meta.name).subtask SET phase='copy', low_water=NULL")
        }
        let proxy = try FaultProxy(to: f.target)
        defer { proxy.close() }
        proxy.cutNext(.toServer, matching: Array("DROP TABLE IF EXISTS `\(f.schema)`.`b`".utf8))
        var cut = f.configuration
        cut.target.port = proxy.port
        let fresh = FreshStart(configuration: cut)
        let plan = try f.plan()
        await #expect(throws: MySQLError.self) {
            try await fresh.run(epoch: .next, token: RunToken(randomToken()), plan: plan)
        }
        #expect(try f.target.sql("SHOW TABLES", database: f.schema) == "b\n")
        try await f.copy()
        #expect(try f.agree("a"))
        #expect(try f.agree("b"))
    }

    @Test func `a table that is dropped on the target while it is copied is copied again`()
        async throws
    {
        let f = try await CopyFixture(
            "snap_dropped_there", meta: "meta_dropped_there",
            """
            CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1),(2);
            CREATE TABLE b (id INT); INSERT INTO b VALUES (3),(3);
            """)
        try await f.copy()
        let connection = try Connection(f.configuration.target)
        try connection.execute(
            "UPDATE \(f.configuration.meta.name).subtask SET phase='copy', low_water=NULL")
        try f.target.sql("DROP TABLE a", database: f.schema)
        await #expect {
            try await f.copy()
        } throws: { error in
            (error as? SnapshotError)?.isRetryable == true
        }
        try await f.copy()
        #expect(try f.agree("a"))
        #expect(try f.agree("b"))
    }

    @Test func `a kill while a merged table that has gone is forgotten refuses nothing`()
        async throws
    {
        var merged = try await Merged("snap_gone_kill")
        merged.copy.configuration.intoExisting = true
        try await merged.run()
        try merged.interrupt()
        try merged.copy.source.sql("DROP TABLE part_1", database: merged.copy.schema)
        try await merged.runIntoKill(forgetting: "part_2")
        try await merged.run()
        #expect(try merged.ids() == "7,8\n")
    }

    @Test(.timeLimit(.minutes(2))) func `what is merged is found in time among many tables`() throws
    {
        let tables = (0..<30_000).map { i in
            PlannedTable(
                shape: TableShape(
                    name: TableName(schema: "s", name: "t\(i)"), columns: [], keys: []),
                estimatedRows: 1, estimatedBytes: 1, needsExactView: false)
        }
        let plan = SnapshotPlan(tables: tables)
        for table in tables {
            try Task.checkCancellation()
            #expect(try plan.merged(with: table.name) == [table.name])
        }
    }
}
