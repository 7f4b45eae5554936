import Checkpoint
import MySQLClient
import MySQLCore
import Rules
import Runtime
import TestServers
import Testing

@testable import Snapshot

/// Tables that start over behind a statement which their shapes do not show.
@Suite struct HiddenChangeTests {
    enum Change: String, CaseIterable, Sendable {
        case computed, check, standard, partitions

        var sql: String {
            switch self {
            case .computed: "ALTER TABLE a MODIFY g INT AS (v*3)"
            case .check: "ALTER TABLE a ADD CONSTRAINT small CHECK (v < 100)"
            case .standard: "ALTER TABLE a MODIFY v INT DEFAULT 5"
            case .partitions: "ALTER TABLE a PARTITION BY HASH (id) PARTITIONS 2"
            }
        }

        /// What the refusal says of it.
        var reason: String {
            switch self {
            case .computed: "column `g` is computed in another way"
            case .check: "CHECKs"
            case .standard: "the default of its column `v`"
            case .partitions: "partitions"
            }
        }
    }

    /// A migration that follows `a`, and has to copy it again behind a change.
    private func followed(_ name: String, _ change: Change) async throws -> CopyFixture {
        let f = try await CopyFixture(
            name, meta: "\(name)_meta",
            """
            CREATE TABLE a (id INT PRIMARY KEY, v INT, g INT AS (v*2));
            INSERT INTO a (id, v) VALUES (1,1),(2,2);
            """)
        try await f.copy()
        try startOver(f, "a")
        try f.source.sql(
            "\(change.sql); INSERT INTO a (id, v) VALUES (3,3)", database: f.schema)
        return f
    }

    /// Has the next run copy a table that is followed again.
    private func startOver(_ f: CopyFixture, _ table: String) throws {
        let connection = try Connection(f.configuration.target)
        try connection.execute("UPDATE \(f.configuration.meta.name).subtask SET phase='copy'")
        try connection.execute(
            StoredObjects(meta: f.configuration.meta, key: f.configuration.key).storeStatement(
                StoredObject(kind: .restart, name: f.table(table), definition: [])))
    }

    private func run(_ f: CopyFixture, isShared: Bool) async throws {
        let pattern = try #require(TablePattern("\(quoteIdentifier(f.schema)).*"))
        let selection = TableSelection(tables: [pattern])
        var mapping = TableMapping(selection)
        if isShared { mapping.share(with: ["other": TableMapping(selection)]) }
        try await run(f, mapping)
    }

    private func run(_ f: CopyFixture, _ mapping: TableMapping) async throws {
        let plan = try SnapshotPlan.read(Connection(f.configuration.source), mapping)
        _ = try await SnapshotEngine(
            configuration: f.configuration, plan: plan, progress: f.progress
        ).run(epoch: .next, token: RunToken(randomToken()))
    }

    private func isSame(_ f: CopyFixture) throws -> Bool {
        let query = "SHOW CREATE TABLE a"
        return try f.source.sql(query, database: f.schema)
            == f.target.sql(query, database: f.schema)
    }

    @Test(arguments: Change.allCases)
    func `what others may write to is not emptied by another definition`(
        change: Change
    ) async throws {
        let f = try await followed("snap_hidden_\(change)", change)
        await #expect {
            try await run(f, isShared: true)
        } throws: { error in
            guard case SnapshotError.targetExists(f.table("a"), let detail) = error else {
                return false
            }
            return detail.contains(change.reason)
        }
        // Nothing of it has gone.
        #expect(try f.target.sql("SELECT COUNT(*) FROM a", database: f.schema) == "2\n")
        #expect(try !f.chunks("a").isEmpty)
        // Somebody gives it what the source has.
        try f.target.sql(change.sql, database: f.schema)
        try await run(f, isShared: true)
        #expect(try f.agree("a"))
        #expect(try isSame(f))
    }

    /// - Parameter isRecorded: whether this subtask is known to have created it.
    @Test(arguments: Change.allCases, [true, false])
    func `what is nobody else's is made anew`(change: Change, isRecorded: Bool) async throws {
        let f = try await followed("snap_hidden_\(change)_\(isRecorded)", change)
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        let connection = try Connection(f.configuration.target)
        if isRecorded {
            // It was made by what the source has again.
            let rows = try Connection(f.configuration.source).rows(
                "SHOW CREATE TABLE \(f.table("a").quoted)")
            let text = try #require(rows.first?[1])
            try connection.execute(
                stored.storeStatement(
                    StoredObject(
                        kind: .table, name: f.table("a"), definition: Array(text.utf8))))
        } else {
            // As if the stream had created it.
            try connection.execute(stored.removeStatement(.table, f.table("a")))
        }
        try await run(f, isShared: false)
        #expect(try f.agree("a"))
        #expect(try isSame(f))
    }

    @Test(arguments: Change.allCases)
    func `what it has made in a migration into existing tables is made anew, too`(
        change: Change
    ) async throws {
        var f = try await followed("snap_hidden_into_\(change)", change)
        f.configuration.intoExisting = true
        let rows = try Connection(f.configuration.source).rows(
            "SHOW CREATE TABLE \(f.table("a").quoted)")
        let text = try #require(rows.first?[1])
        // It was made by what the source has again, and the stream has made something else of it.
        try Connection(f.configuration.target).execute(
            StoredObjects(meta: f.configuration.meta, key: f.configuration.key).storeStatement(
                StoredObject(kind: .table, name: f.table("a"), definition: Array(text.utf8))))
        try await run(f, isShared: false)
        #expect(try f.agree("a"))
        #expect(try isSame(f))
    }

    @Test(
        .enabled(if: TestServer.isAvailable(.mysql)),
        arguments: [
            [TestServer.Family.mysql, TestServer.Family.mariadb],
            [TestServer.Family.mariadb, TestServer.Family.mysql],
        ])
    func `servers that write one definition in two ways have the same table`(
        families: [TestServer.Family]
    ) async throws {
        let name = "snap_hidden_\(families[0])"
        let f = try await CopyFixture(
            name, from: families[0], to: families[1], meta: "\(name)_meta",
            """
            CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40), n INT DEFAULT 7, t TEXT DEFAULT ('x'),
              l VARCHAR(40) AS (LOWER(v)), u VARCHAR(40) AS (UPPER(CONCAT(v, 'y'))) STORED,
              m INT AS ((n + 1) % 5), d DATETIME DEFAULT (NOW()), j JSON, CHECK (n + 1 > MOD(id, 3)))
              PARTITION BY HASH (id + 1) PARTITIONS 2;
            INSERT INTO a (id, v) VALUES (1, 'One'), (2, 'Two');
            """)
        try await f.copy()
        for _ in 0..<2 {
            try startOver(f, "a")
            try await run(f, isShared: true)
        }
        #expect(try f.agree("a"))
        try startOver(f, "a")
        // Parentheses alone make another value of it.
        try f.source.sql("ALTER TABLE a MODIFY m INT AS (n + 1 % 5)", database: f.schema)
        await #expect {
            try await run(f, isShared: true)
        } throws: { error in
            guard case SnapshotError.targetExists(f.table("a"), let detail) = error else {
                return false
            }
            return detail.contains("column `m` is computed in another way")
        }
        // Nothing that was looked at by the way is left.
        let tables = try f.target.sql("SHOW TABLES FROM \(f.configuration.meta.name)")
        #expect(!tables.contains("look"))
    }

    @Test func `of merged tables each may have a definition of its own`() async throws {
        let f = try await CopyFixture(
            "snap_hidden_merged", meta: "snap_hidden_merged_meta",
            """
            CREATE TABLE a0 (id INT PRIMARY KEY, v INT DEFAULT 1, g INT AS (v*2));
            CREATE TABLE a1 (id INT PRIMARY KEY, v INT DEFAULT 2, g INT AS (v*2));
            INSERT INTO a0 (id) VALUES (1),(2); INSERT INTO a1 (id) VALUES (11),(12);
            """)
        try f.target.sql("DROP DATABASE IF EXISTS snap_hidden_one")
        let rules = SourceRules(
            tables: BlockAllowList(doSchemas: [f.schema]),
            routes: [
                RouteRule(
                    name: "r", schemaPattern: f.schema, tablePattern: "a*",
                    targetSchema: "snap_hidden_one", targetTable: "a")
            ])
        var mapping = try TableMapping(rules)
        mapping.share(with: ["other": try TableMapping(rules)])
        try await run(f, mapping)
        try startOver(f, "a0")
        try await run(f, mapping)
        #expect(
            try f.target.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM snap_hidden_one.a")
                == "1,2,11,12\n")
        // What neither of them has is another thing.
        try startOver(f, "a0")
        try f.source.sql(
            "ALTER TABLE a0 MODIFY g INT AS (v*3); ALTER TABLE a1 MODIFY g INT AS (v*4)",
            database: f.schema)
        await #expect(throws: SnapshotError.self) { try await run(f, mapping) }
        #expect(try f.target.sql("SELECT COUNT(*) FROM snap_hidden_one.a") == "4\n")
    }

    @Test func `what a user has given a table stays where it says the same`() async throws {
        let f = try await followed("snap_hidden_same", .computed)
        try f.target.sql(
            "\(Change.computed.sql); ALTER TABLE a COMMENT='theirs', ADD KEY more (v)",
            database: f.schema)
        let stored = StoredObjects(meta: f.configuration.meta, key: f.configuration.key)
        try Connection(f.configuration.target).execute(
            stored.removeStatement(.table, f.table("a")))
        try await run(f, isShared: false)
        #expect(try f.agree("a"))
        #expect(
            try f.target.sql("SHOW CREATE TABLE a", database: f.schema).contains("theirs"))
    }

    private func difference(
        _ there: String, _ source: String, isExact: Bool = true, isOwn: Bool = true,
        hasChecks: Bool = true, isShared: Bool = false
    ) throws -> String? {
        func details(_ text: String) throws -> DefinitionDetails {
            DefinitionDetails(try #require(CreateTableText(text)), isExact: isExact)
        }
        return try details(there).difference(
            from: details(source), hasChecks: hasChecks, isOwn: isOwn, isShared: isShared)
    }

    @Test func `families write one definition in two ways`() throws {
        let mysql = """
            CREATE TABLE `t` (
              `a` int NOT NULL DEFAULT '-1',
              `b` timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
              `c` int GENERATED ALWAYS AS ((`a` * 2)) VIRTUAL,
              `d` text COLLATE utf8mb4_bin,
              PRIMARY KEY (`a`),
              CONSTRAINT `t_chk_1` CHECK ((`a` < 9))
            ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
            /*!50100 PARTITION BY RANGE (`a`)
            (PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB) */
            """
        let mariadb = """
            CREATE TABLE `t` (
              `a` int(11) NOT NULL DEFAULT -1,
              `b` timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
              `c` int(11) GENERATED ALWAYS AS (`a` * 2) VIRTUAL COMMENT 'AS (3)',
              `d` text DEFAULT NULL,
              PRIMARY KEY (`a`),
              CONSTRAINT `other` CHECK (`a` < 9)
            ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='PARTITION'
             PARTITION BY RANGE (`a`)
            (PARTITION `p0` VALUES LESS THAN (10) ENGINE = InnoDB)
            """
        #expect(try difference(mariadb, mysql, isExact: false) == nil)
        #expect(try difference(mysql, mariadb, isExact: false) == nil)
    }

    @Test func `what is another thing is told`() throws {
        let plain = "CREATE TABLE `t` (\n  `a` int(11) DEFAULT 1,\n  `b` int(11)\n) ENGINE=InnoDB"
        let more = "CREATE TABLE `t` (\n  `a` int(11) DEFAULT 1,\n  `b` int(11)"
        #expect(try difference(plain, plain) == nil)
        let updated = "CREATE TABLE `t` (`a` int(11) DEFAULT 1 ON UPDATE current_timestamp())"
        #expect(try difference(plain, updated)?.contains("`a`") == true)
        let other = "CREATE TABLE `t` (`a` int(11) DEFAULT 2 COMMENT 'DEFAULT 1')"
        #expect(try difference(plain, other)?.contains("`a`") == true)
        // Parentheses count within a family.
        let sums = ["`a` + 1 * 2", "(`a` + 1) * 2"].map {
            "CREATE TABLE `t` (`b` int(11) GENERATED ALWAYS AS (\($0)) VIRTUAL)"
        }
        #expect(try difference(sums[0], sums[1])?.contains("computed") == true)
        let checked = more + ",\n  CONSTRAINT `c` CHECK (`a` > 0)\n) ENGINE=InnoDB"
        #expect(try difference(plain, checked)?.contains("CHECKs") == true)
        #expect(try difference(checked, plain)?.contains("CHECKs") == true)
        #expect(try difference(plain, checked, hasChecks: false) == nil)
        let parted = more + "\n) ENGINE=InnoDB PARTITION BY HASH (`a`) PARTITIONS 2"
        #expect(try difference(plain, parted)?.contains("partitions") == true)
        #expect(try difference(parted, plain)?.contains("partitions") == true)
        // Its users may have it so.
        #expect(try difference(parted, plain, isOwn: false) == nil)
        #expect(try difference(plain, parted, isOwn: false)?.contains("partitions") == true)
        #expect(try difference(plain, parted, isOwn: false, isShared: true) == nil)
    }
}
