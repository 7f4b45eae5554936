import Checkpoint
import DumpFiles
import Foundation
import MySQLClient
import MySQLCore
import MySQLSyntax
import Rules
import Runtime
import TestServers
import Testing

@testable import Snapshot

@Suite("Routes of a load") struct LoadRouteTests {
    /// A dump of files that a test writes, and what it is loaded by.
    private final class Stand: Sendable {
        let path = NSTemporaryDirectory() + "skein-routes-\(UUID().uuidString)"
        let configuration: LoadConfiguration

        /// - Parameter options: the target, which pure tests do not ask.
        init(
            _ options: ConnectionOptions, task: String, source: String = "one",
            _ routes: [RouteRule], _ files: [String: String]
        ) throws {
            let mapping = try TableMapping(
                SourceRules(source: source, isCaseSensitive: true, routes: routes))
            var configuration = LoadConfiguration(
                target: options, directory: path, selection: ObjectSelection(mapping))
            configuration.meta = MetaSchema(name: "meta_\(task)")
            configuration.name = task
            configuration.source = source
            configuration.lanes = 1
            self.configuration = configuration
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
            var all = files
            all["metadata"] = "Started dump at: a\nFinished dump at: b\n"
            for (name, text) in all {
                try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
            }
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func plan() throws -> LoadPlan {
            try LoadPlan(configuration, SyntaxContext(version: ServerVersion("8.0.36")))
        }

        @discardableResult
        func load(
            _ duplicates: LoadConfiguration.Duplicates = .error
        ) async throws -> LoadResult {
            var configuration = configuration
            configuration.duplicates = duplicates
            let engine = LoadEngine(configuration: configuration, progress: TransferProgress())
            return try await engine.run { RunToken(randomToken()) }
        }
    }

    private static let files = [
        "shop-schema-create.sql": "CREATE DATABASE `shop`;\n",
        "shop.a-schema.sql": "CREATE TABLE `a` (`id` INT PRIMARY KEY) ENGINE=InnoDB;\n",
        "shop.a.sql": "INSERT INTO `a` VALUES (1),(2);\n",
        "shop.b-schema.sql":
            "CREATE TABLE `b` (`id` INT PRIMARY KEY, `a` INT, "
            + "CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `a` (`id`)) ENGINE=InnoDB;\n",
        "shop.b.sql": "INSERT INTO `b` VALUES (7,2);\n",
        "shop.v-schema-view.sql": "CREATE VIEW `v` AS SELECT 1 AS `one`;\n",
    ]

    private static func name(_ schema: String, _ name: String) -> TableName {
        TableName(schema: schema, name: name)
    }

    @Test("tables, parents and databases get the names that routes lead to")
    func names() throws {
        let stand = try Stand(
            ConnectionOptions(user: "u"), task: "t",
            [
                RouteRule(name: "all", schemaPattern: "shop", targetSchema: "mall"),
                RouteRule(
                    name: "a", schemaPattern: "shop", tablePattern: "a", targetSchema: "base",
                    targetTable: "first"),
            ], Self.files)
        let plan = try stand.plan()
        #expect(
            plan.tables.map(\.name) == [Self.name("base", "first"), Self.name("mall", "b")])
        #expect(plan.tables.map(\.source) == [Self.name("shop", "a"), Self.name("shop", "b")])
        #expect(plan.databases.map(\.name) == ["base", "mall"])
        // A view's text may name anything: it stays behind.
        #expect(plan.objects.isEmpty)
        let texts = plan.tables.compactMap { $0.create?.text }
        #expect(texts.count == 2)
        #expect(texts[0].contains("`base`.`first`"))
        #expect(texts[1].contains("`mall`.`b`") && texts[1].contains("REFERENCES `base`.`first`"))
        let context = SyntaxContext(version: ServerVersion("8.0.36"))
        let file = try #require(plan.databases[0].source.definition)
        let statements = try plan.directory.statements(of: file, context)
        let create = try #require(statements.first)
        let renamed = try plan.renamed(create, plan.databases[0], context)
        #expect(renamed.text.contains("`base`") && !renamed.text.contains("shop"))
    }

    private static func merging(_ target: String, _ column: String? = nil) -> [RouteRule] {
        var rule = RouteRule(
            name: "r", schemaPattern: "shop", tablePattern: "*", targetSchema: target,
            targetTable: "t")
        if let column { rule.extractTable = .init(pattern: "t_(.*)", column: column) }
        return [rule]
    }

    private static func shards(_ second: String) -> [String: String] {
        [
            "shop-schema-create.sql": "CREATE DATABASE `shop`;\n",
            "shop.t_1-schema.sql":
                "CREATE TABLE `t_1` (`id` INT PRIMARY KEY, `name` VARCHAR(20)) ENGINE=InnoDB;\n",
            "shop.t_1.1.sql": "INSERT INTO `t_1` VALUES (1,'a'),(2,'b');\n",
            "shop.t_1.2.sql": "INSERT INTO `t_1` VALUES (3,'c');\n",
            "shop.t_2-schema.sql": "CREATE TABLE `t_2` (\(second)) ENGINE=InnoDB;\n",
            "shop.t_2.sql": "INSERT INTO `t_2` VALUES ('x',11),('y',12);\n",
        ]
    }
    private static let otherOrder = "`name` VARCHAR(10) NOT NULL, `id` INT PRIMARY KEY"

    @Test("tables that routes lead to one are one, with the files of all")
    func merged() throws {
        let user = ConnectionOptions(user: "u")
        let stand = try Stand(
            user, task: "t", Self.merging("mall"), Self.shards(Self.otherOrder))
        let plan = try stand.plan()
        #expect(plan.tables.map(\.name) == [Self.name("mall", "t")])
        let table = try #require(plan.tables.first)
        #expect(table.sources == [Self.name("shop", "t_1"), Self.name("shop", "t_2")])
        #expect(table.rows.map(\.columns) == [["id", "name"], ["id", "name"], ["name", "id"]])
        #expect(plan.databases.map(\.name) == ["mall"])
    }

    @Test(
        "tables that have other columns are not merged",
        arguments: [
            "`name` VARCHAR(30), `id` INT PRIMARY KEY", "`name` INT, `id` INT PRIMARY KEY",
            "`id` INT PRIMARY KEY", "`name` VARCHAR(20), `id` INT PRIMARY KEY, `more` INT",
            "`name` VARCHAR(20), `id` INT UNSIGNED PRIMARY KEY",
            "`name` VARCHAR(20) CHARACTER SET latin1, `id` INT PRIMARY KEY",
        ])
    func unlike(second: String) throws {
        var files = Self.shards(second)
        files["shop.t_1-schema.sql"] =
            "CREATE TABLE `t_1` (`id` INT PRIMARY KEY, `name` VARCHAR(20)) ENGINE=InnoDB "
            + "DEFAULT CHARSET=utf8mb4;\n"
        let stand = try Stand(
            ConnectionOptions(user: "u"), task: "t", Self.merging("mall"), files)
        let error = try #require(throws: SnapshotError.self) { _ = try stand.plan() }
        #expect("\(error)".contains("merged with shop.t_1 into mall.t"))
    }

    @Test("a table that the dump does not define is not merged")
    func undefined() throws {
        var files = Self.shards(Self.otherOrder)
        files["shop.t_2-schema.sql"] = nil
        let stand = try Stand(
            ConnectionOptions(user: "u"), task: "t", Self.merging("mall"), files)
        let error = try #require(throws: SnapshotError.self) { _ = try stand.plan() }
        #expect("\(error)".contains("does not define both"))
    }

    @Test("rows of several tables come to one, each once, by the names of their columns")
    func mergedRows() async throws {
        let server = try await SharedServers.target(.mariadb)
        let task = "load_merged"
        try server.sql(
            "DROP DATABASE IF EXISTS mall_\(task); DROP DATABASE IF EXISTS meta_\(task)")
        var files = Self.shards(Self.otherOrder)
        let stand = try Stand(
            CopyFixture.options(server), task: task, Self.merging("mall_\(task)"), files)
        let first = try await stand.load()
        #expect(first.rows == 5 && first.tables == 1)
        let again = try await stand.load()
        #expect(again.wasComplete && again.rows == 5)
        let rows = "SELECT id, name FROM mall_\(task).t ORDER BY id"
        #expect(try server.sql(rows) == "1\ta\n2\tb\n3\tc\n11\tx\n12\ty\n")
        // Dropped, all of it is loaded again; with rules that lead another table there, nothing is.
        try server.sql("DROP TABLE mall_\(task).t")
        #expect(try await stand.load().rows == 5)
        #expect(try server.sql(rows) == "1\ta\n2\tb\n3\tc\n11\tx\n12\ty\n")
        let one = RouteRule(
            name: "r", schemaPattern: "shop", tablePattern: "t_2", targetSchema: "mall_\(task)",
            targetTable: "t")
        let changed = try Stand(CopyFixture.options(server), task: task, [one], files)
        await #expect(throws: SnapshotError.self) { try await changed.load() }
        // Rows of which one key is in both: none is lost silently.
        files["shop.t_2.sql"] = "INSERT INTO `t_2` VALUES ('x',11),('y',2);\n"
        try server.sql(
            "DROP DATABASE IF EXISTS mall_\(task); DROP DATABASE IF EXISTS meta_\(task)")
        let both = try Stand(
            CopyFixture.options(server), task: task, Self.merging("mall_\(task)"), files)
        let error = await #expect(throws: SnapshotError.self) { try await both.load() }
        let told = "\(try #require(error))"
        #expect(told.contains("shop.t_1.1.sql") && told.contains("Duplicate entry"), "\(told)")
    }

    @Test(
        "of rows that have one key that one stays which is asked for",
        arguments: [LoadConfiguration.Duplicates.replace, .ignore])
    func duplicates(which: LoadConfiguration.Duplicates) async throws {
        let server = try await SharedServers.target(.mariadb)
        let task = "load_twice_\(which)"
        try server.sql(
            "DROP DATABASE IF EXISTS mall_\(task); DROP DATABASE IF EXISTS meta_\(task)")
        var files = Self.shards("`name` VARCHAR(10) NOT NULL, `id` INT PRIMARY KEY")
        // The larger file comes first; a column of the server's own shows whether a row is touched.
        let old = "'2001-02-03 04:05:06'"
        let more = "`at` TIMESTAMP NOT NULL DEFAULT \(old) ON UPDATE CURRENT_TIMESTAMP"
        for table in ["t_1", "t_2"] {
            files["shop.\(table)-schema.sql"] =
                "CREATE TABLE `\(table)` (`id` INT PRIMARY KEY, `name` VARCHAR(20), \(more)) "
                + "ENGINE=InnoDB;\n"
        }
        files["shop.t_1.1.sql"] =
            "SET TIME_ZONE='+00:00';\n"
            + "INSERT INTO `t_1` (`id`,`name`) VALUES (1,'a'),(2,'b'),(3,'c'),(4,'dddddd');\n"
        files["shop.t_1.2.sql"] = nil
        files["shop.t_2.sql"] =
            "SET TIME_ZONE='+00:00';\nINSERT INTO `t_2` (`id`,`name`) VALUES (2,'B'),(5,'E');\n"
        let stand = try Stand(
            CopyFixture.options(server), task: task, Self.merging("mall_\(task)"), files)
        await #expect(throws: SnapshotError.self) { try await stand.load() }
        // The same load goes on where it stopped.
        let result = try await stand.load(which)
        #expect(result.rows == 6)
        let second = which == .replace ? "B" : "b"
        #expect(
            try server.sql(
                "SELECT GROUP_CONCAT(id, name ORDER BY id), SUM(at<>\(old)) "
                    + "FROM mall_\(task).t") == "1a,2\(second),3c,4dddddd,5E\t0\n")
        #expect(try await stand.load(which).wasComplete)
    }

    @Test("a value that does not fit ends a load that passes over keys")
    func misfits() async throws {
        let server = try await SharedServers.target(.mariadb)
        let task = "load_misfit"
        try server.sql(
            "DROP DATABASE IF EXISTS mall_\(task); DROP DATABASE IF EXISTS meta_\(task)")
        var files = Self.shards(Self.otherOrder)
        files["shop.t_2.sql"] =
            "INSERT INTO `t_2` VALUES ('\(String(repeating: "x", count: 30))',9);\n"
        let stand = try Stand(
            CopyFixture.options(server), task: task, Self.merging("mall_\(task)"), files)
        await #expect(throws: SnapshotError.self) { try await stand.load(.ignore) }
    }

    @Test("a column that a route fills tells merged rows apart")
    func mergedFilled() async throws {
        let server = try await SharedServers.target(.mariadb)
        let task = "load_apart"
        try server.sql(
            "DROP DATABASE IF EXISTS mall_\(task); DROP DATABASE IF EXISTS meta_\(task); "
                + "CREATE DATABASE mall_\(task); CREATE TABLE mall_\(task).t "
                + "(part VARCHAR(20), name VARCHAR(40), id INT, PRIMARY KEY (part, id)) "
                + "ENGINE=InnoDB")
        var files = Self.shards(Self.otherOrder)
        files["shop.t_2.sql"] =
            "INSERT INTO `t_2` VALUES ('x',1);\nINSERT INTO `t_2` (`id`,`name`) VALUES (2,'y');\n"
        let stand = try Stand(
            CopyFixture.options(server), task: task, Self.merging("mall_\(task)", "part"), files)
        let result = try await stand.load()
        #expect(result.rows == 5)
        #expect(
            try server.sql("SELECT part, id, name FROM mall_\(task).t ORDER BY part, id")
                == "1\t1\ta\n1\t2\tb\n1\t3\tc\n2\t1\tx\n2\t2\ty\n")
    }

    @Test("records of another table's files are none of this one's")
    func otherFiles() throws {
        let stand = try Stand(
            ConnectionOptions(user: "u"), task: "t",
            [
                RouteRule(
                    name: "r", schemaPattern: "shop", tablePattern: "b", targetSchema: "shop",
                    targetTable: "x")
            ], Self.files)
        let plan = try stand.plan()
        func record(_ file: String) -> ChunkRecord {
            ChunkRecord(
                table: Self.name("shop", "x"), chunk: 1, snapshot: 0, from: [file, "9"],
                to: ["9", "done"], rows: 1)
        }
        try plan.requireSameFiles([record("shop.b.sql")], [])
        let other = record("shop.a.sql")
        #expect(throws: SnapshotError.self) { try plan.requireSameFiles([other], []) }
        var valued = record("shop.b.sql")
        valued.from = ["shop.b.sql", "9", "origin", "one"]
        let filled = valued
        #expect(throws: SnapshotError.self) { try plan.requireSameFiles([filled], []) }
        let table = try #require(plan.tables.first { $0.name.name == "x" })
        var made = OwnTables.record(table, isMade: true)
        try plan.requireSameFiles([], [made])
        made.definition = [1] + Array("shop.a-schema.sql".utf8)
        let others = made
        #expect(throws: SnapshotError.self) { try plan.requireSameFiles([], [others]) }
    }

    @Test("rows come under the routed name, with filled columns, once")
    func filled() async throws {
        let server = try await SharedServers.target(.mariadb)
        let task = "load_routed"
        try server.sql(
            "DROP DATABASE IF EXISTS mall_\(task); DROP DATABASE IF EXISTS meta_\(task); "
                + "CREATE DATABASE mall_\(task); CREATE TABLE mall_\(task).first "
                + "(origin VARCHAR(20), id INT, name VARCHAR(20), PRIMARY KEY (origin, id)) "
                + "ENGINE=InnoDB")
        let stand = try Stand(
            CopyFixture.options(server), task: task,
            [
                RouteRule(
                    name: "a", schemaPattern: "shop", tablePattern: "a",
                    targetSchema: "mall_\(task)", targetTable: "first",
                    extractSource: .init(pattern: "(.*)", column: "origin")),
                RouteRule(name: "s", schemaPattern: "shop", targetSchema: "mall_\(task)"),
            ],
            [
                "shop-schema-create.sql": "CREATE DATABASE `shop`;\n",
                "shop.a-schema.sql":
                    "CREATE TABLE `a` (`id` INT NOT NULL, `name` VARCHAR(20), "
                    + "PRIMARY KEY (`id`)) ENGINE=InnoDB;\n",
                "shop.a.1.sql": "INSERT INTO `a` VALUES (1,'x'),(2,')');\n",
                "shop.a.2.sql": "INSERT INTO `a` (`name`,`id`) VALUES ('y',3);\n",
                "shop.b-schema.sql": "CREATE TABLE `b` (`id` INT PRIMARY KEY) ENGINE=InnoDB;\n",
                "shop.b.sql": "INSERT INTO `b` VALUES (5);\n",
            ])
        let first = try await stand.load()
        #expect(!first.wasComplete && first.rows == 4 && first.tables == 2)
        // What is loaded already is known by the routed name, too.
        _ = try await stand.load()
        #expect(
            try server.sql("SELECT origin, id, name FROM mall_\(task).first ORDER BY id")
                == "one\t1\tx\none\t2\t)\none\t3\ty\n")
        #expect(try server.sql("SELECT id FROM mall_\(task).b") == "5\n")
    }

    @Test("sources of a task load their own tables; one that meets another's is refused")
    func sources() async throws {
        let server = try await SharedServers.target(.mariadb)
        let task = "load_sources"
        try server.sql(
            "DROP DATABASE IF EXISTS both_\(task); DROP DATABASE IF EXISTS meta_\(task)")
        func stand(_ source: String, _ table: String, to target: String) throws -> Stand {
            try Stand(
                CopyFixture.options(server), task: task, source: source,
                [
                    RouteRule(
                        name: "r", schemaPattern: "shop", tablePattern: table,
                        targetSchema: "both_\(task)", targetTable: target)
                ],
                [
                    "shop-schema-create.sql": "CREATE DATABASE `shop`;\n",
                    "shop.\(table)-schema.sql":
                        "CREATE TABLE `\(table)` (`id` INT) ENGINE=InnoDB;\n",
                    "shop.\(table).sql": "INSERT INTO `\(table)` VALUES (1),(1);\n",
                ])
        }
        let (one, two) = (try stand("one", "t", to: "t1"), try stand("two", "t", to: "t2"))
        async let first = one.load()
        async let second = two.load()
        let rows = [try await first.rows, try await second.rows]
        #expect(rows == [2, 2])
        let three = try stand("three", "t", to: "t1")
        await #expect(throws: SnapshotError.self) { _ = try await three.load() }
        #expect(
            try server.sql(
                "SELECT (SELECT COUNT(*) FROM both_\(task).t1), "
                    + "(SELECT COUNT(*) FROM both_\(task).t2)") == "2\t2\n")
    }
}
