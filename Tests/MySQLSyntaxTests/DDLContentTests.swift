import MySQLCore
import MySQLSyntax
import Testing

@Suite struct DDLContentTests {
    private func ddl(_ sql: String, _ context: SyntaxContext = mariadb) throws -> DDL {
        try #require(try parseStatement(sql, context: context).ddl)
    }

    private func alter(
        _ actions: String, _ context: SyntaxContext = mariadb
    ) throws -> [AlterAction] {
        guard case .alterTable(let alter) = try ddl("ALTER TABLE t \(actions)", context) else {
            return []
        }
        return alter.actions
    }

    @Test func createTableIsReadWhole() throws {
        let sql = """
            CREATE TABLE IF NOT EXISTS t (
              id INT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'a''b',
              v VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_bin NULL DEFAULT 'x',
              g INT GENERATED ALWAYS AS (id + 1) STORED,
              ts TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
              i INT INVISIBLE DEFAULT (1 + 2) CHECK (i > 0),
              PRIMARY KEY (id), UNIQUE KEY u (v(3), g), KEY (ts),
              CONSTRAINT fk FOREIGN KEY ix (g) REFERENCES s.p (a) ON DELETE CASCADE ON UPDATE SET NULL,
              CONSTRAINT ck CHECK (id <> 5)
            ) ENGINE=Aria AUTO_INCREMENT=7 DEFAULT CHARSET=utf8 COLLATE=utf8_bin COMMENT='c'
              ROW_FORMAT=DYNAMIC WITH SYSTEM VERSIONING PARTITION BY HASH (id) PARTITIONS 4
            """
        guard case .createTable(let d) = try ddl(sql) else { return }
        #expect(d.ifNotExists && !d.orReplace && !d.isTemporary && !d.isFromSelect)
        #expect(d.columns.map(\.name) == ["id", "v", "g", "ts", "i"])
        #expect(d.columns[0].comment == "a'b" && d.columns[0].isAutoIncrement)
        #expect(d.columns[0].isNullable == false && d.columns[1].isNullable == true)
        #expect(d.columns[1].defaultValue == .literal("'x'"))
        #expect(d.columns[1].dataType?.charset == .named("latin1"))
        #expect(d.columns[1].dataType?.collation == "latin1_bin")
        #expect(d.columns[2].generation == .stored && d.columns[2].expression == "id + 1")
        #expect(d.columns[3].defaultValue == .now && d.columns[3].updatesToNow)
        #expect(d.columns[3].dataType?.type == ColumnType(.timestamp, decimals: 3))
        #expect(d.columns[4].isInvisible == true && d.columns[4].checks.count == 1)
        #expect(d.columns[4].defaultValue == .expression("1 + 2"))
        #expect(d.keys.map(\.name) == ["PRIMARY", "u", nil, "fk"])
        #expect(d.keys.map(\.isGenerated) == [false, false, false, true])
        #expect(d.foreignKeys[0].parent == TableName(schema: "s", name: "p"))
        #expect(d.foreignKeys[0].onDelete == .cascade && d.foreignKeys[0].onUpdate == .setNull)
        #expect(d.checks.map(\.expression) == ["id <> 5"] && d.checks[0].name == "ck")
        #expect(d.options.engine == "Aria" && d.options.autoIncrement == 7)
        #expect(d.options.charset == .named("utf8mb3") && d.options.collation == "utf8mb3_bin")
        #expect(d.options.comment == "c" && d.options.others == ["ROW_FORMAT"])
        #expect(d.options.hasSystemVersioning && d.options.isPartitioned)
    }

    @Test func rowsFollowACreateTableOfMySQL() throws {
        guard case .createTable(let d) = try ddl("CREATE TABLE t (a int) START TRANSACTION", mysql)
        else { return }
        #expect(d.options.startsTransaction && !d.isFromSelect)
    }

    @Test func alterActionsAreRead() throws {
        let int = DataType(ColumnType(.int))
        let a = ColumnDefinition(name: "a", dataType: int)
        #expect(try alter("ADD COLUMN a INT FIRST") == [.addColumn(a, .first, ifNotExists: false)])
        #expect(
            try alter("ADD IF NOT EXISTS a INT AFTER `b c`")
                == [.addColumn(a, .after("b c"), ifNotExists: true)])
        #expect(
            try alter("DROP a, DROP COLUMN IF EXISTS b CASCADE, DROP PRIMARY KEY, DROP KEY k") == [
                .dropColumn("a", ifExists: false), .dropColumn("b", ifExists: true),
                .dropPrimaryKey(ifExists: false), .dropKey("k", ifExists: false),
            ])
        #expect(
            try alter("CHANGE x a INT, MODIFY a INT FIRST, RENAME COLUMN a TO b") == [
                .changeColumn("x", a, .unchanged, ifExists: false),
                .modifyColumn(a, .first, ifExists: false),
                .renameColumn(from: "a", to: "b", ifExists: false),
            ])
        #expect(
            try alter("ALTER a SET DEFAULT 5, ALTER COLUMN b DROP DEFAULT, ALTER c SET INVISIBLE")
                == [
                    .alterColumnDefault("a", .literal("5"), ifExists: false),
                    .alterColumnDefault("b", nil, ifExists: false),
                    .alterColumnVisibility("c", isInvisible: true),
                ])
        #expect(
            try alter("RENAME INDEX a TO b, ALTER INDEX b INVISIBLE, ALTER INDEX c NOT IGNORED")
                == [
                    .renameKey(from: "a", to: "b", ifExists: false),
                    .alterKeyVisibility("b", isInvisible: true),
                    .alterKeyVisibility("c", isInvisible: false),
                ])
        #expect(
            try alter("CONVERT TO CHARACTER SET utf8 COLLATE utf8_bin, FORCE, ORDER BY a DESC, b")
                == [
                    .convertCharset(.named("utf8mb3"), collation: "utf8mb3_bin"), .force,
                    .orderBy(["a", "b"]),
                ])
        #expect(
            try alter("DROP FOREIGN KEY f, DROP CONSTRAINT IF EXISTS c, DROP CHECK d") == [
                .dropForeignKey("f", ifExists: false), .dropConstraint("c", ifExists: true),
                .dropCheck("d"),
            ])
        let check = CheckDefinition(name: "c", expression: "a > (1)")
        #expect(
            try alter("ADD CONSTRAINT IF NOT EXISTS c CHECK (a > (1)), ADD CHECK (b)") == [
                .addCheck(check, ifNotExists: true),
                .addCheck(CheckDefinition(name: nil, expression: "b"), ifNotExists: false),
            ])
        #expect(
            try alter("DISABLE KEYS, ENABLE KEYS, ALGORITHM=INPLACE, LOCK = NONE") == [
                .disableKeys, .enableKeys, .algorithm("INPLACE"), .lock("NONE"),
            ])
        #expect(
            try alter("ADD SYSTEM VERSIONING, ADD PERIOD FOR p (a, b), DROP PERIOD FOR p") == [
                .addSystemVersioning,
                .addPeriod(PeriodDefinition(name: "p", start: "a", end: "b")), .dropPeriod("p"),
            ])
        #expect(
            try alter("FROB THE TABLE (1, 2), FORCE") == [.other("FROB THE TABLE (1, 2)"), .force])
    }

    @Test(arguments: [
        ("ADD PARTITION (PARTITION p VALUES LESS THAN (1))", PartitionOperation.add),
        ("DROP PARTITION a, b", .drop), ("TRUNCATE PARTITION ALL", .truncate),
        ("COALESCE PARTITION 2", .coalesce), ("REBUILD PARTITION a", .rebuild),
        ("REORGANIZE PARTITION a INTO (PARTITION b VALUES IN (1,2))", .reorganize),
        ("ANALYZE PARTITION ALL", .analyze), ("OPTIMIZE PARTITION a", .optimize),
        ("DISCARD PARTITION a TABLESPACE", .discardTablespace), ("REMOVE PARTITIONING", .remove),
        ("PARTITION BY KEY () PARTITIONS 3", .partitionBy),
    ])
    func partitionsAreManaged(action: String, operation: PartitionOperation) throws {
        #expect(try alter(action) == [.partition(operation)])
    }

    @Test(arguments: [
        ("ALTER TABLE t ADD id INT AUTO_INCREMENT PRIMARY KEY", true),
        ("ALTER TABLE t ADD u CHAR(36) DEFAULT (UUID())", true),
        ("ALTER TABLE t ADD u DOUBLE DEFAULT (1 + rand())", true),
        ("ALTER TABLE t ALTER u SET DEFAULT (uuid_short())", false),
        ("ALTER TABLE t MODIFY u CHAR(36) NOT NULL DEFAULT (UUID())", false),
        ("ALTER TABLE t CHANGE u v CHAR(36) DEFAULT uuid() FIRST", false),
        ("ALTER TABLE t MODIFY u CHAR(36) DEFAULT (UUID()), ADD v DOUBLE DEFAULT (rand())", true),
        ("ALTER TABLE t ADD v DOUBLE DEFAULT (rand()), MODIFY u CHAR(36) DEFAULT (UUID())", true),
        ("ALTER TABLE t ADD u INT DEFAULT (NEXT VALUE FOR s)", true),
        ("ALTER TABLE t ADD u INT DEFAULT NEXT VALUE FOR s", true),
        ("ALTER IGNORE TABLE t ADD UNIQUE (a)", true),
        ("CREATE TABLE t (a CHAR(36) DEFAULT uuid())", true),
        ("ALTER TABLE t ADD u DATETIME DEFAULT NOW()", false),
        ("ALTER TABLE t ADD u CHAR(36) DEFAULT 'uuid()' COMMENT 'rand()'", false),
        ("ALTER TABLE t ADD rand INT, ADD `uuid` INT", false),
    ])
    func nondeterminismIsNamed(sql: String, isNondeterministic: Bool) throws {
        let statement = try parseStatement(sql, context: mariadb)
        #expect((statement.nondeterministicReason != nil) == isNondeterministic)
    }

    @Test(arguments: [
        ("TRUNCATE t", false, true), ("ALTER TABLE t FORCE", false, true),
        ("ALTER TABLE t AUTO_INCREMENT = 5", false, true),
        ("ALTER TABLE t COMMENT 'x'", false, true), ("ALTER TABLE t ENGINE=InnoDB", true, true),
        ("ALTER TABLE t ADD a INT", true, false),
        ("ALTER TABLE t ADD IF NOT EXISTS a INT", true, true),
        ("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", false, false),
        ("RENAME TABLE a TO b, b TO c", true, false), ("DROP TABLE IF EXISTS t", true, true),
        ("CREATE TABLE t (a INT)", true, false), ("CREATE OR REPLACE TABLE t (a INT)", true, true),
        ("ALTER TABLE t DROP PARTITION p", false, false), ("DROP DATABASE d", true, false),
        ("CREATE TEMPORARY TABLE t (a INT)", false, false),
        ("ALTER TABLE t ALTER a SET DEFAULT 1", false, true),
    ])
    func effectsAreKnown(sql: String, changesShape: Bool, isIdempotent: Bool) throws {
        let ddl = try ddl(sql)
        #expect(ddl.changesShape == changesShape)
        #expect(ddl.isIdempotentWhileDrained == isIdempotent)
    }

    @Test(arguments: [
        ("ALTER TABLE t ADD a INT", true), ("TRUNCATE t", true), ("CREATE TABLE t (a INT)", true),
        ("DROP TABLE t", true), ("CREATE INDEX i ON t (a)", true), ("RENAME TABLE a TO b", true),
        ("RENAME TABLE a TO x, b TO a, x TO b", false),
        ("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", false),
        ("ALTER TABLE t DROP PARTITION p", true), ("ALTER TABLE t TRUNCATE PARTITION p", true),
        ("ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a", true),
        ("ALTER TABLE t DISCARD TABLESPACE", false), ("CREATE VIEW v AS SELECT 1", false),
    ])
    func runsUnseen(sql: String, isSafe: Bool) throws {
        #expect(try ddl(sql).isSafeToRunIfUnseen == isSafe)
    }

    @Test(arguments: [
        ("ALTER TABLE t ADD INDEX (a)", true), ("ALTER TABLE t ADD UNIQUE (a)", true),
        ("ALTER TABLE t ADD INDEX i (a)", false), ("ALTER TABLE t ADD PRIMARY KEY (a)", false),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p (id)", true),
        ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id)", false),
        ("ALTER TABLE t ADD CHECK (a > 0)", true), ("CREATE INDEX i ON t (a)", false),
        ("ALTER TABLE t ADD b INT, ADD KEY (b)", false), ("ALTER TABLE t ADD b INT UNIQUE", false),
        ("ALTER TABLE t ADD IF NOT EXISTS b INT, ADD KEY (b)", true), ("DROP TABLE t", false),
        ("ALTER TABLE t DROP b, ADD b INT, ADD KEY (a)", true),
        ("ALTER TABLE t DROP b, ADD c INT, ADD KEY (a)", false),
        ("ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a, ADD CHECK (a > 0)", true),
        ("ALTER TABLE t CHANGE a b INT, ADD KEY (b)", false),
        ("ALTER TABLE t MODIFY a INT CHECK (a > 0)", true), ("ALTER TABLE t MODIFY a INT", false),
    ])
    func addsUnnamed(sql: String, isUnnamed: Bool) throws {
        #expect(try ddl(sql).addsUnnamed == isUnnamed)
    }

    @Test(arguments: [
        ("CREATE TABLE t (a INT) ENGINE=MyISAM", "MyISAM"), ("CREATE TABLE t (a INT)", nil),
        ("CREATE TABLE t (a INT) ENGINE = innodb", nil), ("ALTER TABLE t ENGINE=Aria", "Aria"),
        ("ALTER TABLE t ADD b INT, ENGINE=InnoDB", nil), ("DROP TABLE t", nil),
        ("CREATE TABLE t (a INT) ENGINE=HEAP", "HEAP"),
    ])
    func enginesWithoutTransactions(sql: String, engine: String?) throws {
        #expect(try ddl(sql).engineWithoutTransactions == engine)
    }

    @Test func tablesBeforeAndAfter() throws {
        let rename = try ddl("RENAME TABLE a TO b, s.c TO s.d")
        #expect(rename.tablesBefore.map(\.description) == ["d.a", "s.c"])
        #expect(rename.tablesAfter.map(\.description) == ["d.b", "s.d"])
        let swap = try ddl("RENAME TABLE a TO old, b TO a, old TO b")
        #expect(swap.tablesBefore.map(\.description) == ["d.a", "d.b"])
        #expect(swap.tablesAfter.map(\.description) == ["d.a", "d.b"])
        let alter = try ddl("ALTER TABLE a ADD x INT, RENAME TO s.b")
        #expect(alter.tablesBefore.map(\.description) == ["d.a"])
        #expect(alter.tablesAfter.map(\.description) == ["s.b"])
        #expect(try ddl("DROP TABLE a, b").tablesAfter == [])
        #expect(try ddl("CREATE DATABASE x").schema == "x")
    }

    @Test func lowerCaseTableNamesFoldNames() throws {
        var context = mysql
        context.lowerCaseTableNames = 1
        let statement = try parseStatement("DROP TABLE `S`.`ÄB`", context: context)
        #expect(statement.tables.map(\.name.description) == ["s.äb"])
    }
}
