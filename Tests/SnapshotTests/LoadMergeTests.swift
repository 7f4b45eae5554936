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

@Suite("Merging loads") struct LoadMergeTests {
    private static func name(_ schema: String, _ name: String) -> TableName {
        TableName(schema: schema, name: name)
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
        let stand = try LoadStand(
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
        let stand = try LoadStand(
            ConnectionOptions(user: "u"), task: "t", Self.merging("mall"), files)
        let error = try #require(throws: SnapshotError.self) { _ = try stand.plan() }
        #expect("\(error)".contains("merged with shop.t_1 into mall.t"))
    }

    @Test("a table that the dump does not define is not merged")
    func undefined() throws {
        var files = Self.shards(Self.otherOrder)
        files["shop.t_2-schema.sql"] = nil
        let stand = try LoadStand(
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
        let stand = try LoadStand(
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
        let changed = try LoadStand(CopyFixture.options(server), task: task, [one], files)
        await #expect(throws: SnapshotError.self) { try await changed.load() }
        // Rows of which one key is in both: none is lost silently.
        files["shop.t_2.sql"] = "INSERT INTO `t_2` VALUES ('x',11),('y',2);\n"
        try server.sql(
            "DROP DATABASE IF EXISTS mall_\(task); DROP DATABASE IF EXISTS meta_\(task)")
        let both = try LoadStand(
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
        let stand = try LoadStand(
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
        let stand = try LoadStand(
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
        let stand = try LoadStand(
            CopyFixture.options(server), task: task, Self.merging("mall_\(task)", "part"), files)
        let result = try await stand.load()
        #expect(result.rows == 5)
        #expect(
            try server.sql("SELECT part, id, name FROM mall_\(task).t ORDER BY part, id")
                == "1\t1\ta\n1\t2\tb\n1\t3\tc\n2\t1\tx\n2\t2\ty\n")
    }

    // MARK: several sources

    private static func source(
        _ server: TestServer, _ task: String, _ source: String, _ rows: String,
        definition: String = "`id` INT PRIMARY KEY, `name` VARCHAR(20)", engine: String = "InnoDB"
    ) throws -> LoadStand {
        try LoadStand(
            CopyFixture.options(server), task: task, source: source, merging("mall_\(task)"),
            [
                "shop-schema-create.sql": "CREATE DATABASE `shop`;\n",
                "shop.t_1-schema.sql": "CREATE TABLE `t_1` (\(definition)) ENGINE=\(engine);\n",
                "shop.t_1.sql": "INSERT INTO `t_1` VALUES \(rows);\n",
            ], others: ["one", "two", "three"].filter { $0 != source })
    }

    private static func fresh(_ task: String) async throws -> TestServer {
        let server = try await SharedServers.target(.mariadb)
        try server.sql(
            "DROP DATABASE IF EXISTS mall_\(task); DROP DATABASE IF EXISTS meta_\(task)")
        return server
    }

    @Test("sources of a task that begin at one moment load one table, each row once")
    func sources() async throws {
        let task = "load_shared"
        let server = try await Self.fresh(task)
        let stands = [
            try Self.source(server, task, "one", "(1,'a'),(2,'b')"),
            try Self.source(
                server, task, "two", "('c',11),('d',12)",
                definition: "`name` VARCHAR(20), `id` INT PRIMARY KEY"),
            try Self.source(server, task, "three", "(21,'e')"),
        ]
        let results = try await withThrowingTaskGroup(of: UInt64.self) { group in
            for stand in stands { group.addTask { try await stand.load().rows } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.sorted() == [1, 2, 2])
        let rows = "SELECT GROUP_CONCAT(id, name ORDER BY id) FROM mall_\(task).t"
        #expect(try server.sql(rows) == "1a,2b,11c,12d,21e\n")
        for stand in stands { #expect(try await stand.load().wasComplete) }
        #expect(try server.sql(rows) == "1a,2b,11c,12d,21e\n")
        // Another task is none of them.
        let foreign = try Self.source(server, "load_foreign", "one", "(31,'f')")
        var configuration = foreign.configuration
        configuration.meta = stands[0].configuration.meta
        configuration.selection = stands[0].configuration.selection
        let other = LoadEngine(configuration: configuration, progress: TransferProgress())
        await #expect(throws: SnapshotError.self) {
            _ = try await other.run { RunToken(randomToken()) }
        }
        // Dropped, it would not come back whole: whoever is started says so.
        try server.sql("DROP TABLE mall_\(task).t")
        for stand in stands {
            let error = await #expect(throws: SnapshotError.self) { try await stand.load() }
            #expect("\(try #require(error))".contains("not there any more"))
        }
        try server.sql("CREATE TABLE mall_\(task).t (id INT PRIMARY KEY, name VARCHAR(20))")
        let error = await #expect(throws: SnapshotError.self) { try await stands[1].load() }
        #expect("\(try #require(error))".contains("has lost its rows"))
    }

    @Test("what another source has loaded is no table for other columns, nor for other engines")
    func unlikeSources() async throws {
        let task = "load_unlike"
        let server = try await Self.fresh(task)
        try await Self.source(server, task, "one", "(1,'a')").load()
        let wider = try Self.source(
            server, task, "two", "(2,'b')",
            definition: "`id` INT PRIMARY KEY, `name` VARCHAR(40)")
        let error = await #expect(throws: SnapshotError.self) { try await wider.load() }
        #expect("\(try #require(error))".contains("another source of the task has loaded it"))
        #expect(try server.sql("SELECT id FROM mall_\(task).t") == "1\n")

        let plain = "load_plain"
        _ = try await Self.fresh(plain)
        try await Self.source(server, plain, "one", "(1,'a')", engine: "MyISAM").load()
        let second = try Self.source(server, plain, "two", "(2,'b')", engine: "MyISAM")
        let refusal = await #expect(throws: SnapshotError.self) { try await second.load() }
        #expect("\(try #require(refusal))".contains("no transactions"))
        #expect(try server.sql("SELECT id FROM mall_\(plain).t") == "1\n")
    }

    @Test("rows that nobody of the task has loaded are in the way of each source")
    func othersRows() async throws {
        let task = "load_strange"
        let server = try await Self.fresh(task)
        try server.sql(
            "CREATE DATABASE mall_\(task); CREATE TABLE mall_\(task).t (id INT PRIMARY KEY, "
                + "name VARCHAR(20)) ENGINE=InnoDB; INSERT INTO mall_\(task).t VALUES (9,'z')")
        let stands = [
            try Self.source(server, task, "one", "(1,'a')"),
            try Self.source(server, task, "two", "(2,'b')"),
        ]
        for stand in stands + stands {
            let error = await #expect(throws: SnapshotError.self) { try await stand.load() }
            #expect("\(try #require(error))".contains("with rows"))
        }
        #expect(try server.sql("SELECT id FROM mall_\(task).t") == "9\n")
        try server.sql("DELETE FROM mall_\(task).t")
        for stand in stands { try await stand.load() }
        #expect(try server.sql("SELECT id FROM mall_\(task).t ORDER BY id") == "1\n2\n")
    }

    @Test("a task of the same name that comes later takes no rows of the earlier one for its own")
    func laterTask() async throws {
        let task = "load_later"
        let server = try await Self.fresh(task)
        let stands = [
            try Self.source(server, task, "one", "(1,'a')", definition: "`id` INT, `name` TEXT"),
            try Self.source(server, task, "two", "(2,'b')", definition: "`id` INT, `name` TEXT"),
        ]
        for stand in stands { try await stand.load() }
        // What removing a task does; the claims stay.
        for table in ["subtask", "lane", "chunk"] {
            try server.sql("DELETE FROM meta_\(task).\(table) WHERE task='\(task)'")
        }
        try server.sql("DELETE FROM meta_\(task).object WHERE task='\(task)'")
        for stand in stands {
            let error = await #expect(throws: SnapshotError.self) { try await stand.load() }
            #expect("\(try #require(error))".contains("with rows"))
        }
        #expect(try server.sql("SELECT id FROM mall_\(task).t ORDER BY id") == "1\n2\n")
        try server.sql("DROP TABLE mall_\(task).t")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for stand in stands { group.addTask { try await stand.load() } }
            try await group.waitForAll()
        }
        #expect(try server.sql("SELECT id FROM mall_\(task).t ORDER BY id") == "1\n2\n")
    }

    @Test("rows come to their columns when nobody tells any more who has made the table")
    func otherOrder() async throws {
        let task = "load_order"
        let server = try await Self.fresh(task)
        func stand(_ source: String, _ columns: String, _ files: [String], others: [String]) throws
            -> LoadStand
        {
            var all = [
                "shop-schema-create.sql": "CREATE DATABASE `shop`;\n",
                "shop.t_1-schema.sql": "CREATE TABLE `t_1` (\(columns)) ENGINE=InnoDB;\n",
            ]
            for (i, rows) in files.enumerated() {
                all["shop.t_1.\(i).sql"] = "INSERT INTO `t_1` VALUES \(rows);\n"
            }
            return try LoadStand(
                CopyFixture.options(server), task: task, source: source,
                Self.merging("mall_\(task)"), all, others: others)
        }
        let (k, v) = ("`k` VARCHAR(20) PRIMARY KEY", "`v` VARCHAR(20)")
        try await stand("one", "\(k), \(v)", ["('k1','v1')"], others: ["two"]).load()
        // The larger file comes first; the other one meets a row that is there.
        let files = ["('v2','k2'),('v3','k3')", "('v1','k1')"]
        let two = try stand("two", "\(v), \(k)", files, others: ["one"])
        await #expect(throws: SnapshotError.self) { try await two.load() }
        for table in ["subtask", "lane", "chunk", "object"] {
            try server.sql(
                "DELETE FROM meta_\(task).\(table) WHERE task='\(task)' AND source='one'")
        }
        try server.sql("DELETE FROM mall_\(task).t WHERE k='k1'")
        try await stand("two", "\(v), \(k)", files, others: []).load()
        #expect(
            try server.sql("SELECT k, v FROM mall_\(task).t ORDER BY k")
                == "k1\tv1\nk2\tv2\nk3\tv3\n")
    }
}
