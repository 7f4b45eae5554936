import MySQLCore
import MySQLSyntax
import Rules
import Testing

@Suite("DDL under routed names")
struct StatementRouterTests {
    private let context: SyntaxContext = {
        var context = SyntaxContext(
            version: ServerVersion("10.11.6-MariaDB"))
        context.defaultSchema = "src"
        return context
    }()

    private func route(
        _ sql: String, ignoring: [EventSelector] = [], stopping: [EventSelector] = []
    ) throws -> RoutedStatement {
        let router = StatementRouter(
            filter: try TableFilter(
                BlockAllowList(ignoreTables: [.init(schema: "src", name: "hidden*")]),
                isCaseSensitive: true),
            router: try Router([
                RouteRule(name: "s", schemaPattern: "src", targetSchema: "dst"),
                RouteRule(
                    name: "t", schemaPattern: "src", tablePattern: "t_?", targetSchema: "dst",
                    targetTable: "a`b"),
            ]),
            events: try EventFilter([
                EventFilterRule(
                    name: "i", schemaPattern: "src", events: ignoring, action: .ignore),
                EventFilterRule(
                    name: "e", schemaPattern: "src", events: stopping, action: .error),
            ]))
        return try router.route(
            try parseStatement(sql, context: context), context: context)
    }

    private func texts(_ routed: RoutedStatement) -> [String] {
        routed.parts.map { part in
            let text = String(decoding: part.target, as: UTF8.self)
            return switch part.outcome {
            case .run: text
            case .leaveOut: "-- \(text)"
            case .stop: "!! \(text)"
            }
        }
    }

    @Test(
        "names are the target's, everything else is as it was",
        arguments: [
            ("CREATE TABLE t_1 (a INT) /* t_1 */", "CREATE TABLE `dst`.`a``b` (a INT) /* t_1 */"),
            ("CREATE TABLE `src`.`x` LIKE t_1", "CREATE TABLE `dst`.`x` LIKE `dst`.`a``b`"),
            (
                "CREATE TABLE x (a INT, FOREIGN KEY (a) REFERENCES t_1 (a))",
                "CREATE TABLE `dst`.`x` (a INT, FOREIGN KEY (a) REFERENCES `dst`.`a``b` (a))"
            ),
            ("DROP DATABASE IF EXISTS src", "DROP DATABASE IF EXISTS `dst`"),
            ("ALTER TABLE src.x ADD b INT", "ALTER TABLE `dst`.x ADD b INT"),
            ("CREATE INDEX i ON x (a)", "CREATE INDEX i ON `dst`.`x` (a)"),
            (
                "RENAME TABLE x TO y, z TO x",
                "RENAME TABLE `dst`.`x` TO `dst`.`y`, `dst`.`z` TO `dst`.`x`"
            ),
            ("DROP TABLE x, t_1", "DROP TABLE `dst`.`x`, `dst`.`a``b`"),
            ("TRUNCATE other.t", "TRUNCATE other.t"),
        ])
    func renamed(sql: String, expected: String) throws {
        #expect(texts(try route(sql)) == [expected])
    }

    @Test("tables that are not migrated are taken out of a list")
    func lists() throws {
        #expect(
            texts(try route("DROP TABLE IF EXISTS x, hidden, y"))
                == [
                    "DROP TABLE IF EXISTS `dst`.`x`", "-- DROP TABLE IF EXISTS `dst`.`hidden`",
                    "DROP TABLE IF EXISTS `dst`.`y`",
                ])
        #expect(
            texts(try route("RENAME TABLE x TO hidden, y TO x"))
                == [
                    "-- RENAME TABLE `dst`.`x` TO `dst`.`hidden`",
                    "RENAME TABLE `dst`.`y` TO `dst`.`x`",
                ])
        let alone = try route("DROP TABLE hidden1, hidden2")
        #expect(alone.parts.allSatisfy { $0.outcome != .run })
    }

    @Test("a renaming between tables that are one on the target does nothing there")
    func sameTarget() throws {
        let routed = try route("RENAME TABLE t_1 TO t_2")
        #expect(
            routed.parts.map(\.outcome)
                == [.leaveOut(.sameTarget(TableName(schema: "dst", name: "a`b")))])
    }

    @Test("patterns are searched for where the statement can't be taken apart, too")
    func patternsInComments() throws {
        let router = StatementRouter(
            filter: try TableFilter(BlockAllowList(), isCaseSensitive: true), router: try Router(),
            events: try EventFilter([
                EventFilterRule(
                    name: "i", schemaPattern: "src", sqlPatterns: ["drop\\s+column"],
                    action: .ignore)
            ]))
        for sql in [
            "ALTER TABLE x ADD b INT, DROP COLUMN a /*!50100 , COMMENT 'x' */",
            "ALTER TABLE x DROP COLUMN a, DROP COLUMN c /*!50100 , COMMENT 'x' */",
        ] {
            let routed = try router.route(
                try parseStatement(sql, context: context), context: context)
            #expect(
                routed.parts.contains { $0.outcome != .run }, "\(routed.parts.map(\.outcome))")
        }
    }

    @Test("what is not migrated does not keep a rule from leaving out the rest")
    func notSelectedAndFiltered() throws {
        let routed = try route("DROP TABLE x, hidden", ignoring: [.dropTable])
        #expect(routed.parts.count == 1)
        guard case .leaveOut(.filtered)? = routed.parts.first?.outcome else {
            Issue.record("\(routed.parts)")
            return
        }
    }

    @Test("actions that are left out are cut out of an ALTER TABLE")
    func actions() throws {
        #expect(
            texts(
                try route(
                    "ALTER TABLE x ADD (b INT, c INT), DROP COLUMN a,  ADD KEY k (b)",
                    ignoring: [.dropColumn]))
                == [
                    "-- ALTER TABLE `dst`.`x` DROP COLUMN a",
                    "ALTER TABLE `dst`.`x` ADD (b INT, c INT), ADD KEY k (b)",
                ])
        #expect(
            texts(
                try route(
                    "ALTER TABLE x ADD b INT, ENGINE=InnoDB PARTITION BY HASH (b)",
                    ignoring: [.modifyStorageEngine]))
                == [
                    "-- ALTER TABLE `dst`.`x` ENGINE=InnoDB",
                    "ALTER TABLE `dst`.`x` ADD b INT PARTITION BY HASH (b)",
                ])
        #expect(
            texts(try route("ALTER TABLE x ADD b INT, DROP a", stopping: [.dropColumn]))
                == ["!! ALTER TABLE `dst`.`x` DROP a", "ALTER TABLE `dst`.`x` ADD b INT"])
        // Nothing can be cut out of a comment that the server runs: nobody decides for the whole.
        let mixed = try route(
            "ALTER TABLE x ADD b INT /*!40000 , DROP a */", ignoring: [.dropColumn])
        #expect(!mixed.isSeparable)
        #expect(
            texts(mixed)
                == ["", "-- "].map { $0 + "ALTER TABLE `dst`.`x` ADD b INT /*!40000 , DROP a */" })
        #expect(
            texts(try route("ALTER TABLE x DROP a, DROP b", ignoring: [.dropColumn])).count == 1)
    }
}
