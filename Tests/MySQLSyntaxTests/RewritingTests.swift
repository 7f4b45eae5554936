import MySQLCore
import MySQLSyntax
import Testing

@Suite struct RewritingTests {
    /// Everything in `d` goes to `x`, and table `t` becomes `t2`.
    private func rewritten(
        _ sql: String, to defaultSchema: String? = "x", _ context: SyntaxContext = mariadb
    ) throws -> String {
        let statement = try parseStatement(sql, context: context)
        let bytes = statement.rewritten(
            renaming: {
                TableName(
                    schema: $0.schema == "d" ? "x" : $0.schema,
                    name: $0.name == "t" ? "t2" : $0.name)
            }, defaultSchema: defaultSchema, renamingSchema: { $0 == "d" ? "x" : $0 })
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("ALTER TABLE t ADD t INT", "ALTER TABLE `t2` ADD t INT"),
        (
            "ALTER TABLE /* t */ `d`.`t` RENAME d . u",
            "ALTER TABLE /* t */ `x`.`t2` RENAME `x` . u"
        ),
        ("ALTER TABLE u ADD a INT", "ALTER TABLE u ADD a INT"),
        ("DROP TABLE t, d.u, s.t", "DROP TABLE `t2`, `x`.u, s.`t2`"),
        (
            "CREATE TABLE c (a INT REFERENCES t (a), FOREIGN KEY (b) REFERENCES d.t (b))",
            "CREATE TABLE c (a INT REFERENCES `t2` (a), FOREIGN KEY (b) REFERENCES `x`.`t2` (b))"
        ),
        (
            "CREATE VIEW v AS SELECT t.a, d.t.b, u.c FROM t JOIN u",
            "CREATE VIEW v AS SELECT `t2`.a, `x`.`t2`.b, u.c FROM `t2` JOIN u"
        ),
        ("CREATE VIEW v AS SELECT t.a FROM u t", "CREATE VIEW v AS SELECT t.a FROM u t"),
        ("CREATE DATABASE d CHARSET latin1", "CREATE DATABASE `x` CHARSET latin1"),
        (
            "CREATE TRIGGER d.r BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
            "CREATE TRIGGER `x`.r BEFORE INSERT ON `t2` FOR EACH ROW SET NEW.a = 1"
        ),
        ("/*!50100 DROP TABLE t */", "/*!50100 DROP TABLE `t2` */"),
        // A parent without a schema is in the child's.
        (
            "ALTER TABLE s.u ADD FOREIGN KEY (a) REFERENCES p (a)",
            "ALTER TABLE s.u ADD FOREIGN KEY (a) REFERENCES p (a)"
        ),
        (
            "ALTER TABLE s.u ADD FOREIGN KEY (a) REFERENCES t (a), ADD b INT REFERENCES s.t (a)",
            "ALTER TABLE s.u ADD FOREIGN KEY (a) REFERENCES `t2` (a), "
                + "ADD b INT REFERENCES s.`t2` (a)"
        ),
        ("ALTER DATABASE CHARSET latin1", "ALTER DATABASE CHARSET latin1"),
    ])
    func namesAreReplacedInPlace(sql: String, expected: String) throws {
        #expect(try rewritten(sql) == expected)
    }

    @Test func namesAreQualifiedWhereTheDefaultSchemaIsAnother() throws {
        #expect(try rewritten("DROP TABLE u, t", to: nil) == "DROP TABLE `x`.`u`, `x`.`t2`")
        #expect(try rewritten("DROP TABLE u", to: "y") == "DROP TABLE `x`.`u`")
        for schema in [nil, "y"] {
            #expect(
                try rewritten("ALTER DATABASE CHARSET latin1", to: schema)
                    == "ALTER DATABASE `x` CHARSET latin1")
            #expect(
                try rewritten("ALTER SCHEMA/**/DEFAULT COLLATE latin1_bin", to: schema)
                    == "ALTER SCHEMA `x`/**/DEFAULT COLLATE latin1_bin")
        }
    }

    @Test("a foreign key's parent without a schema is in the child's, not in the session's")
    func parents() throws {
        for sql in [
            "ALTER TABLE g.c ADD FOREIGN KEY (a) REFERENCES p (id)",
            "ALTER TABLE g.c ADD x INT REFERENCES p (id)",
            "CREATE TABLE g.c (a INT, FOREIGN KEY (a) REFERENCES p (id))",
            "CREATE TABLE g.c (a INT REFERENCES p (id))",
        ] {
            let statement = try parseStatement(sql, context: mariadb)
            #expect(statement.tables.map(\.name.description) == ["g.c", "g.p"])
            let parents: [TableName]? =
                switch statement.ddl {
                case .createTable(let create): create.foreignKeys.map(\.parent)
                case .alterTable(let alter):
                    alter.actions.compactMap {
                        if case .addForeignKey(let key, _) = $0 { key.parent } else { nil }
                    }
                default: nil
                }
            #expect(parents == [TableName(schema: "g", name: "p")])
            func routed(_ renaming: [String: String], _ defaultSchema: String?) -> String {
                let bytes = statement.rewritten(
                    renaming: {
                        let parts = (renaming[$0.description] ?? $0.description).split(
                            separator: ".")
                        return TableName(schema: String(parts[0]), name: String(parts[1]))
                    }, defaultSchema: defaultSchema)
                return String(decoding: bytes, as: UTF8.self)
            }
            // Where the child leaves its parent, the parent's schema must be said.
            #expect(routed(["g.c": "h.c"], "g").contains("REFERENCES `g`.`p` (id)"))
            #expect(routed(["g.p": "h.q"], "g").contains("REFERENCES `h`.`q` (id)"))
            #expect(routed(["g.c": "h.c", "g.p": "h.p"], "d").contains("REFERENCES p (id)"))
            #expect(routed([:], nil).contains("REFERENCES `g`.`p` (id)"))
        }
    }

    @Test func whatIsNotRenamedStaysByteForByte() throws {
        for sql in ["ALTER TABLE s.`u` ADD `x` INT", "insert into s.a values ('\u{0}', 1)"] {
            #expect(try rewritten(sql) == sql)
        }
    }

    @Test func definersAreReplaced() throws {
        let sql = "CREATE DEFINER = `a`@`%` VIEW v AS SELECT 1"
        let statement = try parseStatement(sql, context: mysql)
        let other = String(decoding: statement.settingDefiner("`b`@`h`"), as: UTF8.self)
        #expect(other == "CREATE DEFINER=`b`@`h` VIEW v AS SELECT 1")
        let without = String(decoding: statement.settingDefiner(nil), as: UTF8.self)
        #expect(without == "CREATE  VIEW v AS SELECT 1")
    }

    @Test func definitionsKeepTheirDefiner() throws {
        let trigger = try StoredDefinition(
            showCreate: "CREATE DEFINER=`a`@`b` TRIGGER `r` AFTER DELETE ON `t` FOR EACH ROW "
                + "DELETE FROM u", context: mysql)
        #expect(trigger.kind == .trigger && trigger.definer == "`a`@`b`")
        #expect(trigger.table == TableName(schema: "d", name: "t"))
        let text = trigger.createStatement(
            renaming: { TableName(schema: "x", name: $0.name) }, defaultSchema: "x")
        #expect(
            String(decoding: text, as: UTF8.self)
                == "CREATE DEFINER=`a`@`b` TRIGGER `r` AFTER DELETE ON `t` FOR EACH ROW DELETE FROM u"
        )
        #expect(throws: SyntaxError.self) {
            try StoredDefinition(showCreate: "DROP TABLE a", context: mysql)
        }
    }

    @Test(arguments: [
        (
            "CREATE DEFINER=`a`@`b` EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01' "
                + "ON COMPLETION NOT PRESERVE ENABLE COMMENT 'x' DO SELECT 1",
            "CREATE DEFINER=`a`@`b` EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01' "
                + "ON COMPLETION NOT PRESERVE DISABLE COMMENT 'x' DO SELECT 1"
        ),
        (
            "CREATE EVENT e ON SCHEDULE AT NOW() DO SELECT 1",
            "CREATE EVENT e ON SCHEDULE AT NOW() DISABLE DO SELECT 1"
        ),
        (
            "CREATE EVENT e ON SCHEDULE AT NOW() COMMENT 'ENABLE' DO SELECT 1",
            "CREATE EVENT e ON SCHEDULE AT NOW() DISABLE COMMENT 'ENABLE' DO SELECT 1"
        ),
    ])
    func eventsAreCreatedDisabled(sql: String, expected: String) throws {
        let event = try StoredDefinition(showCreate: sql, context: mysql)
        let text = try #require(event.disabledEventStatement(context: mysql))
        #expect(String(decoding: text, as: UTF8.self) == expected)
    }
}
