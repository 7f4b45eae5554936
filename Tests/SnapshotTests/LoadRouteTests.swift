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
        let stand = try LoadStand(
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

    @Test("records of another table's files are none of this one's")
    func otherFiles() throws {
        let stand = try LoadStand(
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
        let stand = try LoadStand(
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
        func stand(_ source: String, _ table: String, to target: String) throws -> LoadStand {
            try LoadStand(
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
