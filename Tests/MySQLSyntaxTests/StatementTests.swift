import MySQLCore
import MySQLSyntax
import Testing

let mariadb = SyntaxContext(version: ServerVersion("10.11.6-MariaDB"), defaultSchema: "d")
let mysql = SyntaxContext(version: ServerVersion("8.4.0"), defaultSchema: "d")

/// A statement in a few words: kind, tables with roles, schemas.
func summary(_ sql: String, _ context: SyntaxContext = mariadb) -> String {
    do {
        let statement = try parseStatement(sql, context: context)
        let tables = statement.tables.map { "\($0.name)" + mark($0.role) }
        let schemas = statement.schemas.map { "\($0.name)/" }
        return ([kind(statement)] + tables + schemas).joined(separator: " ")
    } catch {
        return "error at \(error.offset): "
            + error.tables.map { "\($0.name)" }.joined(separator: " ")
    }
}

private func mark(_ role: TableRole) -> String {
    switch role {
    case .target: ""
    case .renamedTo: ">"
    case .parent: "^"
    case .source: "<"
    case .exchanged: "="
    case .owner: "@"
    case .columnQualifier: "."
    }
}

private func kind(_ statement: Statement) -> String {
    switch statement.classification {
    case .ddl(let ddl):
        switch ddl {
        case .createSchema: return "createSchema"
        case .alterSchema: return "alterSchema"
        case .dropSchema: return "dropSchema"
        case .createTable: return "createTable"
        case .dropTables: return "dropTables"
        case .renameTables: return "renameTables"
        case .truncateTable: return "truncateTable"
        case .alterTable: return "alterTable"
        case .createIndex: return "createIndex"
        case .dropIndex: return "dropIndex"
        case .createObject(let d): return "create \(d.kind) \(d.name)"
        case .alterObject(let d): return "alter \(d.kind) \(d.name)"
        case .dropObject(let d):
            return "drop \(d.kind) \(d.names.map(\.description).joined(separator: ","))"
        }
    case .transactionControl(let control): return "\(control)"
    case .dml(let kind): return "\(kind)"
    case .administrative(let kind): return "admin \(kind)"
    case .empty: return "empty"
    case .unknown(let words): return "unknown \(words)"
    }
}

@Suite struct StatementTests {
    @Test(arguments: [
        ("", "empty"),
        (" ;", "empty"),
        ("# Dum", "empty"),
        ("-- x\n/* y */", "empty"),
        ("BEGIN", "begin"),
        ("begin work;", "begin"),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT", "begin"),
        ("COMMIT /* x */", "commit"),
        ("commit and chain", "commit"),
        ("ROLLBACK", "rollback"),
        ("ROLLBACK WORK", "rollback"),
        ("SAVEPOINT `a b`", "savepoint(\"a b\")"),
        ("ROLLBACK TO x", "rollbackTo(\"x\")"),
        ("rollback work to savepoint `savepoint`", "rollbackTo(\"savepoint\")"),
        ("RELEASE SAVEPOINT x", "release(\"x\")"),
        ("BEGIN NOT ATOMIC SELECT 1; END", "admin execution"),
    ])
    func readsTransactionControl(sql: String, expected: String) {
        #expect(summary(sql) == expected)
        #expect(summary(sql, mysql) == expected)
    }

    @Test func readsXA() throws {
        func control(_ sql: String) throws -> TransactionControl? {
            let statement = try parseStatement(sql, context: mysql)
            guard case .transactionControl(let control) = statement.classification else {
                return nil
            }
            return control
        }
        let xid = XID(globalID: Array("ab".utf8), branch: [1], format: 7)
        #expect(try control("XA START X'6162',X'01',7") == .xaStart(xid))
        #expect(try control("xa begin 'ab', 0x01, 7 join") == .xaStart(xid))
        #expect(try control("XA END X'6162',X'01',7") == .xaEnd(xid))
        #expect(try control("XA END 'ab'") == .xaEnd(XID(globalID: Array("ab".utf8))))
        #expect(try control("XA PREPARE X'6162',X'01',7") == .xaPrepare(xid))
        #expect(try control("XA COMMIT X'6162',X'01',7") == .xaCommit(xid, onePhase: false))
        #expect(
            try control("XA COMMIT X'6162',X'01',7 ONE PHASE") == .xaCommit(xid, onePhase: true))
        #expect(
            try control("XA ROLLBACK X'6162',X'',1")
                == .xaRollback(XID(globalID: Array("ab".utf8))))
        #expect(try control("XA RECOVER CONVERT XID") == .xaRecover)
        #expect(throws: SyntaxError.self) { try control("XA FOO 'x'") }
    }

    @Test(arguments: [
        ("CREATE DATABASE x", "createSchema x/"),
        (
            "create schema if not exists `x y` default character set = utf8mb4 collate utf8mb4_bin",
            "createSchema x y/"
        ),
        (
            "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `x` /*!40100 DEFAULT CHARACTER SET latin1 */",
            "createSchema x/"
        ),
        ("ALTER DATABASE x CHARSET latin1", "alterSchema x/"),
        ("ALTER DATABASE DEFAULT CHARACTER SET latin1", "alterSchema d/"),
        ("DROP SCHEMA IF EXISTS x", "dropSchema x/"),
        ("CREATE TABLE t (a int)", "createTable d.t"),
        ("CREATE TABLE s.t LIKE u", "createTable s.t d.u<"),
        ("CREATE TABLE t (LIKE s.u)", "createTable d.t s.u<"),
        ("CREATE TABLE t AS SELECT * FROM a JOIN b.c x USING (id)", "createTable d.t d.a< b.c<"),
        ("CREATE TABLE t (id int) ENGINE=InnoDB IGNORE SELECT 1 FROM a", "createTable d.t d.a<"),
        ("CREATE TABLE t (SELECT 1 FROM a)", "createTable d.t d.a<"),
        ("CREATE TABLE t WITH c AS (SELECT 1 FROM b) SELECT * FROM c", "createTable d.t d.b<"),
        (
            "CREATE TABLE t (a int) PARTITION BY HASH (a) PARTITIONS 2 AS SELECT 1 FROM b",
            "createTable d.t d.b<"
        ),
        (
            "create table t (a int references p (id), foreign key (a) references s.q (id))",
            "createTable d.t d.p^ s.q^"
        ),
        ("CREATE TABLE `a``b` . `c.d` (a int)", "createTable a`b.c.d"),
        ("DROP TABLE a, s.b, `c`", "dropTables d.a s.b d.c"),
        ("DROP TABLES IF EXISTS `a` /* generated by server */", "dropTables d.a"),
        ("DROP /*!40005 TEMPORARY */ TABLE IF EXISTS a", "dropTables d.a"),
        ("DROP TABLE a RESTRICT;", "dropTables d.a"),
        ("RENAME TABLE a TO b, s.c TO d.e", "renameTables d.a d.b> s.c d.e>"),
        ("RENAME TABLES a TO b", "renameTables d.a d.b>"),
        ("TRUNCATE a", "truncateTable d.a"),
        ("TRUNCATE TABLE s . a", "truncateTable s.a"),
        ("TRUNCATE TABLE table1", "truncateTable d.table1"),
        ("ALTER TABLE a ADD x int", "alterTable d.a"),
        ("ALTER TABLE a RENAME b", "alterTable d.a d.b>"),
        ("ALTER TABLE a RENAME AS s.b, ADD c int", "alterTable d.a s.b>"),
        (
            "ALTER TABLE a EXCHANGE PARTITION p WITH TABLE b WITHOUT VALIDATION",
            "alterTable d.a d.b="
        ),
        ("ALTER TABLE a", "alterTable d.a"),
        ("CREATE INDEX i ON t (a)", "createIndex d.t@"),
        (
            "create unique index i using btree on s.t (a(10) desc, b) comment 'x' lock=none",
            "createIndex s.t@"
        ),
        (
            "CREATE FULLTEXT INDEX i ON t (a) WITH PARSER ngram ALGORITHM=INPLACE",
            "createIndex d.t@"
        ),
        ("DROP INDEX i ON t", "dropIndex d.t@"),
        ("drop index `PRIMARY` on s.t algorithm = copy", "dropIndex s.t@"),
    ])
    func readsTableDDL(sql: String, expected: String) {
        #expect(summary(sql) == expected)
        #expect(summary(sql, mysql) == expected)
    }

    @Test(arguments: [
        ("CREATE OR REPLACE TABLE t (a int)", "createTable d.t"),
        ("CREATE OR REPLACE DATABASE x COMMENT 'c'", "createSchema x/"),
        ("DROP TABLE a, b WAIT 10", "dropTables d.a d.b"),
        ("TRUNCATE a NOWAIT", "truncateTable d.a"),
        ("RENAME TABLE IF EXISTS a NOWAIT TO b", "renameTables d.a d.b>"),
        ("ALTER ONLINE IGNORE TABLE IF EXISTS a WAIT 5 ADD x int", "alterTable d.a"),
        ("ALTER TABLE a CONVERT PARTITION p TO TABLE b", "alterTable d.a d.b>"),
        (
            "ALTER TABLE a CONVERT TABLE b TO PARTITION p VALUES LESS THAN (5)",
            "alterTable d.a d.b="
        ),
        ("CREATE OR REPLACE INDEX IF NOT EXISTS i ON t (a)", "createIndex d.t@"),
        ("DROP INDEX IF EXISTS i ON t WAIT 1", "dropIndex d.t@"),
        (
            "CREATE OR REPLACE SEQUENCE s.q START WITH 1 INCREMENT BY 2",
            "create sequence s.q s.q"
        ),
        ("CREATE TEMPORARY SEQUENCE q", "create sequence d.q d.q"),
        ("ALTER SEQUENCE IF EXISTS q RESTART 5", "alter sequence d.q d.q"),
        ("DROP SEQUENCE q, s.r", "drop sequence d.q,s.r d.q s.r"),
        ("CREATE PACKAGE p AS PROCEDURE x; END", "create package d.p"),
        ("CREATE OR REPLACE PACKAGE BODY s.p AS BEGIN END", "create packageBody s.p s/"),
        ("DROP PACKAGE IF EXISTS p", "drop package d.p"),
        ("DROP PACKAGE BODY p", "drop packageBody d.p"),
        (
            "SET STATEMENT max_statement_time=1, x=(2) FOR ALTER TABLE a ADD x int",
            "alterTable d.a"
        ),
        ("SET STATEMENT a=1 FOR SET STATEMENT b=2 FOR DROP TABLE a", "dropTables d.a"),
    ])
    func readsWhatOnlyMariaDBHas(sql: String, expected: String) {
        #expect(summary(sql) == expected)
    }

    @Test(arguments: [
        (
            "CREATE VIEW v AS SELECT a.x, t.y FROM s.a, t WHERE EXISTS (SELECT 1 FROM u)",
            "create view d.v d.v s.a. d.t. s.a< d.t< d.u<"
        ),
        (
            "CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`r`@`%` SQL SECURITY INVOKER VIEW s.v (a) AS "
                + "(SELECT 1 FROM b) WITH LOCAL CHECK OPTION", "create view s.v s.v d.b<"
        ),
        ("ALTER DEFINER = root@localhost VIEW v AS SELECT 1 FROM a", "alter view d.v d.v d.a<"),
        ("DROP VIEW IF EXISTS v, s.w CASCADE", "drop view d.v,s.w d.v s.w"),
        (
            "CREATE DEFINER='r'@'10.0.0.%' TRIGGER s.tr BEFORE INSERT ON s.t FOR EACH ROW "
                + "FOLLOWS x INSERT INTO log VALUES (NEW.a)", "create trigger s.tr s.t@ d.log s/"
        ),
        (
            "CREATE TRIGGER tr AFTER UPDATE ON t FOR EACH ROW BEGIN UPDATE u SET a=1; "
                + "DELETE FROM w WHERE x=OLD.y; REPLACE INTO z SELECT * FROM q; END",
            "create trigger d.tr d.t@ d.u< d.w< d.z d.q<"
        ),
        ("DROP TRIGGER IF EXISTS s.tr", "drop trigger s.tr s/"),
        ("CREATE PROCEDURE p (IN a INT) BEGIN SELECT 1 FROM t; END", "create procedure d.p d.t<"),
        (
            "CREATE DEFINER=CURRENT_USER() FUNCTION s.f () RETURNS INT DETERMINISTIC RETURN 1",
            "create function s.f s/"
        ),
        ("CREATE FUNCTION f RETURNS STRING SONAME 'x.so'", "create function d.f"),
        ("CREATE AGGREGATE FUNCTION f RETURNS INTEGER SONAME 'x.so'", "create function d.f"),
        ("ALTER PROCEDURE p COMMENT 'x'", "alter procedure d.p"),
        ("DROP FUNCTION IF EXISTS s.f", "drop function s.f s/"),
        (
            "CREATE EVENT IF NOT EXISTS e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
            "create event d.e d.t<"
        ),
        ("ALTER EVENT s.e RENAME TO s.f", "alter event s.e s/ s/"),
        ("ALTER DEFINER=a@b EVENT e DISABLE ON SLAVE", "alter event d.e"),
        ("DROP EVENT e", "drop event d.e"),
    ])
    func readsStoredObjects(sql: String, expected: String) {
        #expect(summary(sql) == expected)
        #expect(summary(sql, mysql) == expected)
    }

    @Test(arguments: [
        ("INSERT INTO t VALUES (1,'a')", "insert d.t"),
        ("INSERT IGNORE s.t (a) SELECT b FROM u ON DUPLICATE KEY UPDATE a=1", "insert s.t d.u<"),
        ("REPLACE DELAYED INTO t SET a = 1", "replace d.t"),
        ("UPDATE t SET a = 1", "update d.t<"),
        (
            "UPDATE LOW_PRIORITY t a, s.u AS b SET a.x = b.x WHERE a.id IN (SELECT id FROM w)",
            "update d.t< s.u< d.w<"
        ),
        ("DELETE FROM t WHERE a = (SELECT max(x) FROM u)", "delete d.t< d.u<"),
        ("DELETE a FROM t a LEFT JOIN (u, v) ON a.id = u.id", "delete d.t< d.u< d.v< d.u."),
        ("DELETE FROM `s`.`t`", "delete s.t<"),
        ("LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE s.t FIELDS TERMINATED BY ','", "load s.t"),
        ("SELECT TRIM(BOTH 'x' FROM y), EXTRACT(DAY FROM z) FROM t", "select d.t<"),
        (
            "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "
                + "DELETE FROM t WHERE x IN (SELECT n FROM c)", "delete d.t<"
        ),
        ("(SELECT 1 FROM a) UNION (SELECT 2 FROM b)", "select d.a< d.b<"),
        ("TABLE t", "select d.t"),
        ("SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (x INT PATH '$')) j, t", "select d.t<"),
        ("SELECT 1 FROM dual", "select"),
    ])
    func findsTablesOfDML(sql: String, expected: String) {
        #expect(summary(sql) == expected)
        #expect(summary(sql, mysql) == expected)
    }

    @Test(arguments: [
        ("GRANT ALL ON *.* TO a@b", "admin account"),
        ("CREATE USER IF NOT EXISTS 'a'@'%' IDENTIFIED BY 'x'", "admin account"),
        ("CREATE OR REPLACE USER a", "admin account"),
        ("ALTER USER a ACCOUNT LOCK", "admin account"),
        ("DROP ROLE r", "admin account"),
        ("RENAME USER a TO b", "admin account"),
        ("SET PASSWORD FOR a = 'x'", "admin set"),
        ("SET @a = 1, GLOBAL x = 2", "admin set"),
        ("FLUSH TABLES", "admin server"),
        ("ANALYZE NO_WRITE_TO_BINLOG TABLE a, s.b", "admin tableMaintenance d.a s.b"),
        ("OPTIMIZE LOCAL TABLE a", "admin tableMaintenance d.a"),
        ("REPAIR TABLE a QUICK", "admin tableMaintenance d.a"),
        ("CHECK TABLE a", "admin tableMaintenance d.a"),
        ("INSTALL PLUGIN x SONAME 'y'", "admin plugin"),
        ("CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'x')", "admin storage"),
        ("CREATE TABLESPACE t ADD DATAFILE 'x'", "admin storage"),
        ("CREATE UNDO TABLESPACE t ADD DATAFILE 'x'", "admin storage"),
        ("ALTER INSTANCE ROTATE INNODB MASTER KEY", "admin storage"),
        ("CREATE RESOURCE GROUP g TYPE = USER", "admin storage"),
        ("DROP SPATIAL REFERENCE SYSTEM 5", "admin storage"),
        ("CALL s.p(1)", "admin execution"),
        ("DO SLEEP(1)", "admin execution"),
        ("BINLOG 'x'", "admin execution"),
        ("CHANGE MASTER TO x = 1", "admin replication"),
        ("STOP SLAVE", "admin replication"),
        ("LOCK TABLES a READ", "admin locking"),
        ("USE d", "admin information"),
        ("EXPLAIN SELECT 1", "admin information"),
        ("FROBNICATE TABLE s.a", "unknown FROBNICATE TABLE s.a"),
        ("42", "unknown "),
        ("CREATE FROB x", "error at 7: "),
        ("CREATE TABLE s.a (b unknowntype)", "error at 20: s.a"),
        ("ALTER TABLE s.a ADD", "error at 19: s.a"),
        ("ALTER TABLE a ADD x int 'oops", "error at 24: d.a"),
        ("DROP TABLE IF EXISTS a b", "error at 23: d.a"),
        ("CREATE TABLE a (b int", "error at 21: d.a"),
    ])
    func neverRefusesWhatIsNoDDL(sql: String, expected: String) {
        #expect(summary(sql) == expected)
    }
}
