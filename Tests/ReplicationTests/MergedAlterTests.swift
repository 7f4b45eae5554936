import Checkpoint
import MySQLCore
import MySQLSyntax
import Testing

@testable import Replication

/// What statements on merged tables are for the table that they are merged into.
struct MergedAlterTests {
    static let context = SyntaxContext(
        version: ServerVersion("8.0.30"), defaultSchema: "s")

    private static let columns =
        "id INT PRIMARY KEY, v VARCHAR(10) NOT NULL DEFAULT 'x', w INT, KEY k (w)"

    private func model(_ names: [String] = ["a", "b", "c"]) throws -> Model {
        try Model(names, Self.columns)
    }

    private func expectConflict(
        _ words: String, _ model: inout Model, _ name: String, _ actions: String
    ) {
        do {
            try model.alter(name, actions)
            Issue.record("\(actions) was followed")
        } catch let conflict as MergeConflict {
            #expect(conflict.description.contains(words), "\(conflict)")
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test("a column comes with the first table that gets it")
    func addColumn() throws {
        var it = try model()
        try it.alter("b", "ADD COLUMN n INT DEFAULT 5 AFTER id, ADD KEY n (n)")
        #expect(it.last == "ADD COLUMN n INT DEFAULT 5 AFTER id, ADD KEY n (n)")
        it.check("first")
        try it.alter("a", "ADD COLUMN n INT DEFAULT 5 AFTER id, ADD KEY n (n)")
        try it.alter("c", "ADD COLUMN n INT DEFAULT '5', ADD KEY n (n)")
        #expect(it.run.count == 1)
        it.check("last")
    }

    @Test("a column without a default has one for as long as a table lacks it")
    func impliedDefault() throws {
        var it = try model()
        try it.alter(
            "a",
            "ADD COLUMN n INT NOT NULL COMMENT 'AFTER' AFTER `id`, ADD z CHAR(2) NOT NULL FIRST")
        #expect(
            it.last
                == "ADD COLUMN n INT NOT NULL COMMENT 'AFTER' DEFAULT 0 AFTER `id`, "
                + "ADD z CHAR(2) NOT NULL DEFAULT '' FIRST")
        it.check("first")
        try it.alter("c", "ADD COLUMN n INT NOT NULL, ADD z CHAR(2) NOT NULL")
        #expect(it.run.count == 1)
        try it.alter("b", "ADD COLUMN n INT NOT NULL, ADD z CHAR(2) NOT NULL")
        #expect(it.last == "ALTER COLUMN `n` DROP DEFAULT, ALTER COLUMN `z` DROP DEFAULT")
        it.check("last")
        expectConflict("takes no NULL", &it, "a", "ADD j JSON NOT NULL")
    }

    @Test("a column goes with the last table that has it")
    func dropColumn() throws {
        var it = try Model(["a", "b"], "id INT PRIMARY KEY, v VARCHAR(10) NOT NULL, w INT")
        try it.alter("a", "DROP COLUMN v, DROP w")
        #expect(it.last == "ALTER COLUMN `v` SET DEFAULT ''")
        it.check("first")
        #expect(it.members["a"]?.dropped == ["v", "w"])
        expectConflict("has dropped a column w before", &it, "a", "ADD w INT")
        try it.alter("b", "DROP COLUMN v")
        #expect(it.last == "DROP COLUMN v")
        try it.alter("b", "DROP COLUMN w")
        #expect(it.last == "DROP COLUMN w")
        it.check("last")
        // It is nobody's any more.
        try it.alter("a", "ADD w INT")
        #expect(it.last == "ADD w INT")
        it = try model()
        expectConflict("rows are found by column id", &it, "b", "DROP COLUMN id")
    }

    @Test("a column is as wide as the widest")
    func modify() throws {
        var it = try model(["a", "b"])
        try it.alter("a", "MODIFY v VARCHAR(20) NOT NULL DEFAULT 'x'")
        #expect(it.last == "MODIFY v VARCHAR(20) NOT NULL DEFAULT 'x'")
        it.check("wider")
        try it.alter("b", "MODIFY v VARCHAR(15) NOT NULL DEFAULT 'x'")
        #expect(it.run.count == 1)
        try it.alter("a", "MODIFY v VARCHAR(5) NOT NULL DEFAULT 'x'")
        #expect(it.last == "MODIFY v VARCHAR(5) NOT NULL DEFAULT 'x'" || it.run.count == 1)
        it.check("narrower")
        expectConflict("holds less", &it, "b", "MODIFY v TEXT CHARACTER SET latin1")
    }

    @Test("a key that forbids rows comes with the last table, and goes with the first")
    func uniqueKeys() throws {
        var it = try model(["a", "b"])
        try it.alter("a", "ADD UNIQUE KEY u (v)")
        #expect(it.run.isEmpty)
        it.check("first")
        try it.alter("b", "ADD UNIQUE KEY u (v)")
        #expect(it.last == "ADD UNIQUE KEY u (v)")
        try it.alter("b", "DROP KEY u, ALGORITHM=INPLACE")
        #expect(it.last == "DROP KEY u, ALGORITHM=INPLACE")
        it.check("gone")
        try it.alter("a", "DROP KEY u, LOCK=NONE")
        #expect(it.run.count == 2)
        // One that forbids nothing is the other way around.
        try it.alter("a", "DROP KEY k")
        #expect(it.run.count == 2)
        try it.alter("b", "DROP KEY k")
        #expect(it.last == "DROP KEY k")
    }

    private static let refused = [
        ("RENAME COLUMN v TO x", "rows of the other tables still come with v"),
        ("CHANGE v x VARCHAR(10)", "rows of the other tables still come with v"),
        ("DROP PRIMARY KEY", "primary key"),
        ("TRUNCATE PARTITION p0", "partitions"), ("PARTITION BY HASH (id)", ""),
        ("ADD COLUMN r INT", "a route fills"), ("ALTER v SET DEFAULT 'y', ADD r INT", "route"),
        ("ADD FOREIGN KEY (w) REFERENCES p (id) ON DELETE CASCADE", "CASCADE"),
        ("ADD z SERIAL", ""), ("MODIFY w VARCHAR(10)", "holds less"),
        ("EXCHANGE PARTITION p0 WITH TABLE s.z", ""),
        ("DROP w, ADD w INT", "drops column w and adds"),
        ("ADD w VARCHAR(9), DROP COLUMN w", "drops column w and adds"),
        ("WITH SYSTEM VERSIONING", ""), ("IMPORT TABLESPACE", "not known"),
    ]

    @Test("what the others' rows don't allow is left to a person", arguments: refused)
    func conflicts(_ actions: String, _ words: String) throws {
        var it = try Model(["a", "b"], Self.columns, filled: ["r"])
        expectConflict(words, &it, "a", actions)
        #expect(it.run.isEmpty)
    }

    @Test("the last one left may do what it wants")
    func alone() throws {
        var it = try model(["a"])
        try it.alter("a", "RENAME COLUMN v TO x, DROP KEY k")
        #expect(it.last == "RENAME COLUMN v TO x, DROP KEY k")
    }

    @Test("a column that the target sets by itself is not what the next table gets")
    func clocks() throws {
        var it = try model(["a", "b", "c"])
        try it.alter("a", "ADD COLUMN t DATETIME NULL")
        try it.alter("b", "ADD COLUMN t DATETIME NULL")
        #expect(it.run.count == 1)
        try it.alter("a", "ADD COLUMN u DATETIME NULL ON UPDATE CURRENT_TIMESTAMP")
        #expect(it.run.count == 2)
        expectConflict(
            "with every change", &it, "b",
            "ADD COLUMN u DATETIME NULL ON UPDATE CURRENT_TIMESTAMP")
        expectConflict("with every change", &it, "b", "ADD COLUMN u DATETIME NULL")
    }

    @Test("a table keeps its default for those that lack the column, whatever the first one does")
    func laterDefaults() throws {
        // What Django sends.
        var it = try model(["a", "b"])
        try it.alter("a", "ADD COLUMN n INT DEFAULT 5 NOT NULL")
        try it.alter("a", "ALTER COLUMN n DROP DEFAULT")
        #expect(it.run.count == 1)
        it.check("without")
        expectConflict("another default", &it, "a", "MODIFY n BIGINT NOT NULL")
        try it.alter("b", "ADD COLUMN n INT DEFAULT 5 NOT NULL")
        try it.alter("b", "ALTER COLUMN n DROP DEFAULT")
        #expect(it.last == "ALTER COLUMN n DROP DEFAULT")
        // Where the default is the type's own, a longer type keeps it.
        it = try model(["a", "b"])
        try it.alter("a", "ADD n INT NOT NULL")
        try it.alter("a", "MODIFY n BIGINT NOT NULL AFTER id")
        #expect(it.last == "MODIFY n BIGINT NOT NULL DEFAULT 0 AFTER id")
        it.check("wider")
        try it.alter("a", "CHANGE n n DECIMAL(30) NOT NULL FIRST")
        #expect(it.last == "MODIFY n BIGINT NOT NULL DEFAULT 0 AFTER id" || it.run.count == 3)
        it.check("another one")
        // A list of one column.
        it = try model(["a", "b"])
        try it.alter("a", "ADD COLUMN (n INT NOT NULL), ADD (`z` CHAR(2) NOT NULL)")
        #expect(
            it.last
                == "ADD COLUMN (n INT NOT NULL DEFAULT 0 ), ADD (`z` CHAR(2) NOT NULL DEFAULT '' )")
        it.check("lists")
    }

    private static let sameDefaults = [
        ("BIT(1) NOT NULL DEFAULT 0", "BIT(1) NOT NULL DEFAULT b'0'"),
        ("BIT(8) DEFAULT 0x05", "BIT(8) DEFAULT b'101'"),
        ("BOOLEAN DEFAULT TRUE", "TINYINT(1) DEFAULT '1'"),
        ("DATETIME DEFAULT '2020-01-01'", "DATETIME DEFAULT '2020-01-01 00:00:00'"),
        ("DATETIME(3) DEFAULT '2020-01-01 10:00'", "DATETIME(3) DEFAULT '2020-01-01 10:00:00.000'"),
        ("TIME DEFAULT '10:00'", "TIME DEFAULT '10:00:00'"),
        ("DATE DEFAULT DATE'2020-01-01'", "DATE DEFAULT '2020-01-01'"),
        ("DATETIME DEFAULT 0", "DATETIME DEFAULT '0000-00-00 00:00:00'"),
        ("VARCHAR(9) DEFAULT 'it\\'s'", "VARCHAR(9) DEFAULT 'it''s'"),
        ("VARCHAR(9) DEFAULT x'41'", "VARCHAR(9) DEFAULT 'A'"),
        ("VARCHAR(9) DEFAULT 5", "VARCHAR(9) DEFAULT '5'"),
        ("VARCHAR(9) DEFAULT ('abc')", "VARCHAR(9) DEFAULT (_utf8mb3'abc')"),
        ("BINARY(4) DEFAULT 'ab'", "BINARY(4) DEFAULT 'ab\\0\\0'"),
        ("BINARY(4) DEFAULT 'ab'", "BINARY(4) DEFAULT 0x61620000"),
        ("DECIMAL(5,2) DEFAULT 1.5", "DECIMAL(5,2) DEFAULT '1.50'"),
        ("DOUBLE DEFAULT 1e10", "DOUBLE DEFAULT '10000000000'"),
        ("INT DEFAULT -5", "INT DEFAULT '-5'"),
        ("JSON DEFAULT ('{}')", "JSON DEFAULT (_utf8mb3'{}')"),
        ("JSON DEFAULT (JSON_OBJECT())", "JSON DEFAULT (json_object())"),
        ("INT DEFAULT (1+2)", "INT DEFAULT ((1 + 2))"),
        ("INT AS (w+1)", "INT GENERATED ALWAYS AS ((`w` + 1)) VIRTUAL"),
        ("VARCHAR(20) AS (CONCAT(v, 'X'))", "VARCHAR(20) AS (concat(`v`,_utf8mb4'X'))"),
    ]

    @Test("defaults and expressions are the same in whatever words", arguments: sameDefaults)
    func defaults(_ mine: String, _ there: String) throws {
        var it = try model(["a", "b"])
        try it.alter("a", "ADD c \(mine)")
        #expect(it.run.count == 1)
        let told = try parseStatement("ALTER TABLE s.x ADD c \(there)", context: Self.context)
        guard case .alterTable(let alter)? = told.ddl,
            case .addColumn(let column, _, _)? = alter.actions.first
        else {
            Issue.record("\(there)")
            return
        }
        it.target.definitions["c"] = column
        it.members["a"]?.expressions = [:]
        try it.alter("b", "ADD c \(mine)")
        #expect(it.run.count == 1)
    }

    private static let otherDefaults = [
        ("BIT(8) DEFAULT b'11'", "BIT(8) DEFAULT 11"),
        ("BIGINT DEFAULT 9007199254740993", "BIGINT DEFAULT 9007199254740992"),
        ("VARCHAR(9) DEFAULT 'uuid()'", "VARCHAR(9) DEFAULT (uuid())"),
        ("VARCHAR(9) DEFAULT 'a'", "VARCHAR(9) DEFAULT 'A'"),
        ("DATETIME DEFAULT NOW()", "DATETIME DEFAULT NOW()"),
        ("INT DEFAULT (RAND())", "INT DEFAULT (RAND())"),
        ("INT DEFAULT (w)", "INT DEFAULT (`w`)"),
        ("VARCHAR(9) DEFAULT NULL", "VARCHAR(9) DEFAULT 'NULL'"),
        ("INT AS (w+1)", "INT AS (w+2)"), ("INT AS ((w+1)*2)", "INT AS (w+1*2)"),
        ("VARCHAR(9) AS (CONCAT(v,'x'))", "VARCHAR(9) AS (CONCAT(v,'X'))"),
    ]

    @Test("rows get no other value than their own statement gives them", arguments: otherDefaults)
    func differentDefaults(_ first: String, _ second: String) throws {
        var it = try model(["a", "b"])
        try it.alter("a", "ADD c \(first)")
        expectConflict("", &it, "b", "ADD c \(second)")
        #expect(it.run.count == 1)
    }

    @Test("what an ended run may have done is its own, as long as nobody else has the column")
    func repeated() throws {
        for isRepeated in [true, false] {
            for hasOther in [true, false] {
                var it = try model(["a", "b"])
                try it.alter("a", "ADD c DATETIME DEFAULT NOW()")
                // Its record is lost.
                let after = try #require(it.members["a"]?.shape)
                let before = try #require(try model(["a", "b"]).members["a"])
                if hasOther { it.members["b"]?.shape.columns.append(after.columns[3]) }
                let sql = "ALTER TABLE s.a ADD c DATETIME DEFAULT NOW()"
                guard
                    case .alterTable(let alter)? = try parseStatement(sql, context: Self.context)
                        .ddl
                else { return }
                let again = MergedAlter(
                    mine: before, after: after, others: [try #require(it.members["b"])],
                    target: it.target, isRepeated: isRepeated)
                let plan = try? again.plan(alter)
                #expect((plan?.clauses.isEmpty == true) == (isRepeated && !hasOther))
            }
        }
    }

    @Test("rows without a key are found by all columns: all tables have the same ones")
    func keyless() throws {
        var it = try Model(["a", "b"], "v VARCHAR(10) NOT NULL DEFAULT 'x', w INT")
        for actions in ["ADD n INT", "DROP w", "ADD n INT, DROP w"] {
            expectConflict("has no key", &it, "a", actions)
        }
        try it.alter("a", "ADD KEY k (v), MODIFY v VARCHAR(20) NOT NULL DEFAULT 'x'")
        it.check("wider")
        // A table with a key beside such as have none has rows of its own, too.
        it = try Model(["a", "b"], "id INT PRIMARY KEY, w INT, g INT AS (w + 1)")
        it.members["b"]?.shape.keys = []
        expectConflict("rows of s.b, which has no key", &it, "a", "ADD n INT")
        expectConflict("rows of s.b, which has no key", &it, "b", "ADD n INT")
        // Numbers of the target's own are nobody's.
        it.target.shape.columns.append(
            ColumnShape(
                name: "number", type: ColumnType(.bigint), isNullable: false, isAutoIncrement: true)
        )
        try it.alter("a", "ADD KEY w (w)")
        #expect(it.last == "ADD KEY w (w)")
        // What is left of a table that has gone is there as well; what the target has besides is not.
        it.target.shape.columns.append(ColumnShape(name: "more", type: ColumnType(.int)))
        try it.alter("a", "ADD KEY w2 (w)")
        it.gone = [try #require(it.members["b"])]
        it.gone[0].shape.columns.append(ColumnShape(name: "more", type: ColumnType(.int)))
        expectConflict("has no key", &it, "a", "ADD KEY w3 (id, w)")
    }

    @Test("columns that are computed stay as they are beside others")
    func computed() throws {
        var it = try Model(["a", "b"], "id INT PRIMARY KEY, w INT, g INT AS (w + 1) STORED")
        expectConflict("is computed", &it, "a", "MODIFY g INT AS (w + 2) STORED")
        expectConflict("is computed", &it, "a", "MODIFY g INT")
        try it.alter("a", "ADD h INT AS (w * 2)")
        // The server has worded it anew.
        it.target.definitions["h"]?.expression = "(cast(`w` as signed) * 2)"
        try it.alter("b", "ADD h INT AS (w*2)")
        #expect(it.run.count == 1)
    }

    @Test("only columns that a table has are converted by its statement")
    func convert() throws {
        let columns = "id INT PRIMARY KEY, v VARCHAR(10) CHARACTER SET utf8mb4"
        var it = try Model(["a", "b"], columns)
        try it.alter("b", "CONVERT TO CHARACTER SET utf8mb3")
        try it.alter("b", "ADD x VARCHAR(50) CHARACTER SET utf8mb4")
        #expect(it.run.count == 1)
        expectConflict("character set of column x", &it, "a", "CONVERT TO CHARACTER SET utf8mb3")
        it = try Model(["a", "b"], columns)
        try it.alter("a", "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        #expect(it.last == "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        // What names no character set gets the target's.
        it = try Model(["a", "b"], columns)
        it.target.shape.charset = "latin1"
        expectConflict("default character set, latin1", &it, "a", "ADD x VARCHAR(9)")
        expectConflict("default character set, latin1", &it, "a", "MODIFY v VARCHAR(19)")
        try it.alter("a", "ADD x VARCHAR(9) CHARACTER SET utf8mb4")
        // The table's own default becomes the target's where that holds the others', or with the last.
        it.target.shape.charset = "utf8mb4"
        try it.alter("a", "DEFAULT CHARSET=latin1")
        #expect(it.run.count == 1)
        try it.alter("b", "DEFAULT CHARSET=latin1")
        #expect(it.last == "DEFAULT CHARSET=latin1")
        try it.alter("a", "DEFAULT CHARSET=utf8mb4")
        try it.alter("b", "DEFAULT CHARSET=utf8mb4")
        #expect(it.last == "DEFAULT CHARSET=utf8mb4" && it.run.count == 3)
    }

    @Test(
        "a collation that tells more apart comes with the first, one that does less with the last")
    func collations() throws {
        let columns =
            "id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, "
            + "UNIQUE KEY u (v)"
        func modify(_ collation: String, _ length: Int = 9) -> String {
            "MODIFY v VARCHAR(\(length)) CHARACTER SET utf8mb4 COLLATE \(collation)"
        }
        var it = try Model(["a", "b"], columns)
        try it.alter("a", modify("utf8mb4_bin"))
        #expect(it.last == modify("utf8mb4_bin"))
        try it.alter("b", modify("utf8mb4_bin"))
        #expect(it.run.count == 1)
        try it.alter("a", modify("utf8mb4_general_ci"))
        #expect(it.run.count == 1)
        try it.alter("b", modify("utf8mb4_general_ci"))
        #expect(it.last == modify("utf8mb4_general_ci"))
        for collation in ["utf8mb4_bin", "utf8mb4_general_ci"] {
            let count = it.run.count
            for name in ["a", "b"] {
                try it.alter(name, "CONVERT TO CHARACTER SET utf8mb4 COLLATE \(collation)")
                let isFirst = collation == "utf8mb4_bin"
                #expect(it.run.count == (name == "a" && !isFirst ? count : count + 1))
            }
        }
    }

    @Test("keys are told apart by their columns, not by their names")
    func keyNames() throws {
        var it = try model(["a", "b"])
        try it.alter("a", "ADD UNIQUE KEY ua (v)")
        try it.alter("b", "ADD UNIQUE KEY ub (v)")
        #expect(it.last == "ADD UNIQUE KEY ub (v)")
        try it.alter("a", "DROP KEY ua")
        #expect(it.last == "DROP KEY `ub`")
        it.check("gone")
        try it.alter("b", "DROP INDEX ub")
        #expect(it.run.count == 2)
        // It is still needed by another name.
        try it.alter("a", "RENAME KEY k TO k2")
        try it.alter("b", "DROP KEY k")
        #expect(it.last == "RENAME KEY k TO k2")
        try it.alter("a", "DROP KEY k2")
        #expect(it.last == "DROP KEY k2")
        // One that is made anew of other columns is done with the last.
        it = try model(["a", "b"])
        try it.alter("a", "DROP KEY k, ADD KEY k (v), ALGORITHM=INPLACE")
        #expect(it.run.isEmpty)
        try it.alter("b", "DROP KEY k, ADD KEY k (v)")
        #expect(it.last == "DROP KEY k, ADD KEY k (v)")
        it.check("anew")
        // Of one that others still have by that name, a person decides.
        try it.alter("a", "DROP KEY k")
        expectConflict("another key k", &it, "a", "ADD KEY k (id, v)")
        // A column that goes takes parts of keys along, of which the others' keys are more.
        it = try Model(["a", "b"], "id INT PRIMARY KEY, v INT, w INT, UNIQUE KEY u (v, w)")
        try it.alter("a", "ADD UNIQUE KEY x (w), ADD KEY y (w, v)")
        try it.alter("b", "ADD UNIQUE KEY x (w)")
        #expect(it.last == "ADD UNIQUE KEY x (w)")
        try it.alter("a", "DROP COLUMN w")
        #expect(it.last == "DROP KEY `x`")
        it.check("shorter")
        try it.alter("a", "DROP KEY u")
        #expect(it.last == "DROP KEY `u`")
        it.check("looser")
        // Two of the same columns are two.
        it = try model(["a", "b"])
        for name in ["a", "b"] { try it.alter(name, "ADD KEY k2 (w)") }
        #expect(it.run.count == 1)
        for name in ["a", "b"] { try it.alter(name, "DROP KEY k") }
        #expect(it.last == "DROP KEY k" && it.run.count == 2)
    }

    @Test("a unique key is no key of rows that filled columns tell apart")
    func filledKeys() throws {
        var it = try Model(["a", "b"], "id INT, v INT, r INT, PRIMARY KEY (id, r)", filled: ["r"])
        for name in ["a", "b"] {
            it.members[name]?.shape.columns.removeLast()
            it.members[name]?.shape.keys[0].parts.removeLast()
        }
        for name in ["a", "b"] { try it.alter(name, "ADD UNIQUE KEY u (v), ADD KEY w (v)") }
        #expect(it.run.count == 1 && it.last == "ADD KEY w (v)")
        for name in ["a", "b"] { try it.alter(name, "DROP KEY u") }
        #expect(it.run.count == 1)
    }

    @Test("a table that comes has the keys that the target forbids rows by")
    func comers() throws {
        let it = try Model(
            ["a"], "id INT PRIMARY KEY, v INT, w INT, UNIQUE KEY u (v, w)", filled: ["w"])
        func comes(_ columns: String) throws -> Bool {
            let shape = try #require(try Model(["n"], columns).members["n"]?.shape)
            do {
                try MergedAlter.requireUnique(shape, in: it.target)
                return true
            } catch { return false }
        }
        #expect(try comes("id INT PRIMARY KEY, v INT UNIQUE"))
        #expect(try comes("id INT PRIMARY KEY, w INT, v INT, UNIQUE (w, v)"))
        #expect(try !comes("id INT PRIMARY KEY, v INT"))
        #expect(try !comes("v INT PRIMARY KEY, id INT"))
    }

    private static let statements = [
        "ADD n INT", "ADD n INT NOT NULL", "ADD n INT NOT NULL DEFAULT 7", "DROP COLUMN n",
        "ADD m VARCHAR(10)", "DROP COLUMN m", "MODIFY m VARCHAR(20)", "MODIFY m VARCHAR(5)",
        "MODIFY v VARCHAR(20) NOT NULL DEFAULT 'x'",
        "MODIFY v VARCHAR(5) NOT NULL DEFAULT 'x'", "MODIFY m TEXT", "MODIFY w BIGINT",
        "MODIFY w INT",
        "ADD KEY x (v)", "DROP KEY x", "ADD UNIQUE KEY u (id, w)", "DROP KEY u", "DROP COLUMN w",
        "ADD w INT, ADD KEY k (w)", "ALTER v SET DEFAULT 'y'", "COMMENT 'c'", "ENGINE=InnoDB",
        "ALTER n DROP DEFAULT", "ALTER n SET DEFAULT 7", "MODIFY n BIGINT NOT NULL",
        "MODIFY n BIGINT NOT NULL DEFAULT 7", "DROP KEY k, ADD KEY k (v)",
        "DROP KEY u, ADD KEY u (v)",
        "DROP KEY x, ADD UNIQUE KEY x (id, v)", "DROP n, ADD n INT", "RENAME KEY k TO k2",
        "ALTER v DROP DEFAULT", "MODIFY n BIGINT NOT NULL FIRST",
    ]

    @Test("whatever the order, the target holds all rows, and is what all are in the end")
    func anyOrder() throws {
        var random = SplitMix(20_261_123)
        var ends = 0
        for round in 0..<600 {
            var it = try model()
            // One list for all of them, each at its own pace.
            var list: [String] = []
            var valid = try model(["a"])
            while list.count < 5 {
                let next = Self.statements.randomElement(using: &random)!
                if (try? valid.alter("a", next)) != nil { list.append(next) }
            }
            var places = ["a": 0, "b": 0, "c": 0]
            var isStopped = false
            while !isStopped,
                let name = places.filter({ $0.value < list.count }).keys.sorted()
                    .randomElement(using: &random)
            {
                let actions = list[places[name]!]
                do {
                    try it.alter(name, actions)
                } catch is MergeConflict {
                    isStopped = true
                }
                places[name]! += 1
                it.check("round \(round), \(list), \(name): \(actions)")
            }
            guard !isStopped else { continue }
            ends += 1
            let member = try #require(it.members["a"]?.shape)
            let columns = it.target.shape.columns.map(\.name).sorted()
            #expect(columns == member.columns.map(\.name).sorted(), "round \(round): \(list)")
            for column in member.columns {
                let place = try #require(it.target.column(column.name))
                #expect(
                    place.hasSameValues(as: column), "round \(round): \(list), \(column.name)")
            }
            func keys(_ shape: TableShape) -> [String] {
                shape.keys.map { "\($0.name) \($0.isUnique) \($0.parts.map(\.column))" }.sorted()
            }
            #expect(keys(it.target.shape) == keys(member), "round \(round): \(list), \(it.run)")
        }
        #expect(ends > 100)
    }
}
