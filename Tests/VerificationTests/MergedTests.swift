import MySQLCore
import TestServers
import Testing
import Verification

/// Tables of the source whose rows are in one table of the target.
@Suite struct MergedTests {
    /// Rows of `orders_1` and `orders_2` in `orders`, with the number in `part`.
    private func merged(
        _ pair: Trial.Pair = .mariadbToMariaDB, part: String = "VARCHAR(10)",
        key: String = "part, id"
    ) async throws -> Trial {
        let trial = try await Trial(pair)
        try trial.onTarget(
            "CREATE TABLE orders (part \(part), id INT, v VARCHAR(40), PRIMARY KEY (\(key)));")
        for (number, count) in [(1, 500), (2, 300)] {
            let rows = "n, CONCAT('row \(number) ', n) FROM (\(RowTests.numbers(count))) s"
            try trial.onSource(
                """
                CREATE TABLE orders_\(number) (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(40));
                INSERT INTO orders_\(number) SELECT \(rows);
                """)
            try trial.onTarget("INSERT INTO orders SELECT '\(number)', \(rows)")
        }
        return trial
    }

    private func table(
        _ trial: Trial, _ source: String, in target: String, _ filled: [String: String] = [:]
    ) -> ComparedTable {
        ComparedTable(
            source: TableName(schema: trial.schema, name: source),
            target: TableName(schema: trial.schema, name: target),
            filled: filled.sorted { $0.key < $1.key }
                .map { FilledColumn(name: $0.key, value: $0.value) })
    }

    private func options(_ trial: Trial, _ tables: [ComparedTable]) -> VerificationOptions {
        var options = trial.options([])
        options.tables = tables
        options.chunkRows = 70
        return options
    }

    private func orders(_ trial: Trial) -> VerificationOptions {
        options(
            trial, ["1", "2"].map { table(trial, "orders_\($0)", in: "orders", ["part": $0]) })
    }

    /// Compares, runs the statements that should make the target equal, and compares again.
    private func fix(
        _ trial: Trial, _ options: VerificationOptions
    ) async throws -> (before: VerificationReport, after: VerificationReport, text: String) {
        let statements = Statements()
        var options = options
        options.fixSQL = { statements.add($0) }
        let before = try await trial.run(options)
        try trial.target.sql(statements.text, database: trial.schema)
        options.fixSQL = nil
        return (before, try await trial.run(options), statements.text)
    }

    private func onTarget(_ trial: Trial, _ query: String) throws -> String {
        try trial.target.sql(query, database: trial.schema)
    }

    /// The filled column first in the key, which is then an index for a part, and last.
    @Test(arguments: Trial.Pair.available, ["VARCHAR(10)", "INT"])
    func eachTableIsComparedWithItsPart(_ pair: Trial.Pair, part: String) async throws {
        let trial = try await merged(
            pair, part: part, key: part == "INT" ? "id, part" : "part, id")
        let options = orders(trial)
        let equal = try await trial.run(options)
        #expect(equal.verdict == .equal, "\(equal.tables)")
        #expect(equal.tables.map(\.rows) == [500, 300])
        #expect(equal.tables.allSatisfy { !$0.isKeyless && $0.notes.isEmpty })
        // The target may have the column, and a key with it, and need not number rows.
        #expect(equal.tables.allSatisfy { !$0.structure.contains { $0.isDifference } })
        #expect(equal.tables.allSatisfy { !$0.structure.contains { $0.kind == .columnExtra } })
        try trial.onTarget(
            """
            UPDATE orders SET v='changed' WHERE part='1' AND id=40;
            DELETE FROM orders WHERE part='2' AND id=77;
            INSERT INTO orders VALUES ('2',9000,'extra'),('3',1,'nobody'),('3',40,'nobody');
            """)
        let result = try await fix(trial, options)
        #expect(
            result.before.found
                == [
                    "orders part=3: 2 rows that belong to none of the tables",
                    "orders_1 id=40: column v differs",
                    "orders_2 id=77: missing on the target",
                    "orders_2 id=9000: extra on the target",
                ].sorted())
        #expect(result.before.verdict == .different)
        #expect(result.before.differingRows == 5)
        #expect(result.after.verdict == .equal, "\(result.text)")
        #expect(
            try onTarget(trial, "SELECT part, COUNT(*) FROM orders GROUP BY part ORDER BY part")
                == "1\t500\n2\t300\n")
    }

    /// BINARY keeps a value with zero bytes behind it.
    @Test(arguments: Trial.Pair.available)
    func partsOfABinaryColumnAreFound(_ pair: Trial.Pair) async throws {
        let trial = try await merged(pair, part: "BINARY(4)")
        let options = orders(trial)
        let equal = try await trial.run(options)
        #expect(equal.verdict == .equal, "\(equal.found)")
        #expect(equal.tables.map(\.rows) == [500, 300])
        try trial.onTarget(
            """
            UPDATE orders SET v='changed' WHERE id=40 AND part=x'31000000';
            DELETE FROM orders WHERE id=77 AND part=x'32000000';
            INSERT INTO orders VALUES ('3',1,'nobody');
            """)
        let result = try await fix(trial, options)
        #expect(
            result.before.found
                == [
                    "orders part=0x33000000: 1 row that belongs to none of the tables",
                    "orders_1 id=40: column v differs", "orders_2 id=77: missing on the target",
                ].sorted())
        #expect(result.after.verdict == .equal, "\(result.text)")
        #expect(try onTarget(trial, "SELECT COUNT(*) FROM orders") == "800\n")
    }

    /// Where nothing is found of a table, what finds its rows may be wrong.
    @Test func rowsOfNoTableStayWhereATableHasNone() async throws {
        let trial = try await merged()
        try trial.onTarget("UPDATE orders SET part='x' WHERE part='2'")
        let result = try await fix(trial, orders(trial))
        let stray = "orders part=x: 300 rows that belong to none of the tables"
        #expect(result.before.found.contains(stray))
        #expect(result.before.differingRows == 600)
        #expect(result.text.contains("-- may be rows of \(trial.schema).orders_2: DELETE"))
        #expect(result.after.found == [stray])
        // By now there are rows in that part.
        let again = try await fix(trial, orders(trial))
        #expect(again.after.verdict == .equal, "\(again.text)")
    }

    @Test func rowsThatMoveToAnotherPartAreMissingAndExtra() async throws {
        let trial = try await merged()
        try trial.onTarget(
            """
            UPDATE orders SET part='x' WHERE part='1' AND id=450;
            UPDATE orders SET part='1', id=9300 WHERE part='2' AND id=300;
            """)
        let result = try await fix(trial, orders(trial))
        #expect(
            result.before.found
                == [
                    "orders part=x: 1 row that belongs to none of the tables",
                    "orders_1 id=450: missing on the target",
                    "orders_1 id=9300: extra on the target",
                    "orders_2 id=300: missing on the target",
                ].sorted())
        #expect(result.after.verdict == .equal, "\(result.text)")
    }

    @Test func rowsOfATableThatComesMeanwhileAreItsOwn() async throws {
        let trial = try await merged()
        try trial.onTarget("INSERT INTO orders VALUES ('3',1,'new')")
        var options = orders(trial)
        let target = TableName(schema: trial.schema, name: "orders")
        let parts = options.tables.map { TablePart(table: $0.source, filled: $0.filled) }
        let newer = TablePart(table: nil, filled: [FilledColumn(name: "part", value: "3")])
        let all = [target: parts + [newer]]
        options.readParts = { all }
        let known = try await trial.run(options)
        #expect(known.verdict == .equal, "\(known.found)")
        // It is none of these.
        let old = [target: parts]
        options.readParts = { old }
        let stray = try await trial.run(options)
        #expect(stray.found == ["orders part=3: 1 row that belongs to none of the tables"])
        #expect(stray.tables.map(\.verdict) == [.equal, .equal, .different])
    }

    @Test func rowsOfATableThatComesMeanwhileToAPartAreNotExtra() async throws {
        let trial = try await merged()
        try trial.onTarget(
            "INSERT INTO orders VALUES ('1',9000,'new'); DELETE FROM orders WHERE part='1' AND id=4"
        )
        var options = orders(trial)
        let target = TableName(schema: trial.schema, name: "orders")
        let newer = TablePart(
            table: TableName(schema: trial.schema, name: "orders_01"),
            filled: [FilledColumn(name: "part", value: "1")])
        let all = options.tables.map { TablePart(table: $0.source, filled: $0.filled) } + [newer]
        let parts = [target: all]
        options.readParts = { parts }
        let result = try await fix(trial, options)
        #expect(result.before.found == ["orders_1 id=4: missing on the target"])
        let notes = result.before.tables.map { $0.notes.joined() }
        #expect(notes[0].contains("not looked for") && notes[1].isEmpty, "\(notes)")
        #expect(result.after.verdict == .equal, "\(result.text)")
        #expect(try onTarget(trial, "SELECT v FROM orders WHERE id=9000") == "new\n")
    }

    @Test func copiesOfATableThatComesMeanwhileAreNotExtra() async throws {
        let trial = try await Trial()
        try trial.onSource("CREATE TABLE k_1 (a INT); INSERT INTO k_1 VALUES (1),(2),(2)")
        try trial.onTarget("CREATE TABLE k (a INT); INSERT INTO k VALUES (1),(1),(2),(7)")
        var options = options(trial, [table(trial, "k_1", in: "k")])
        let target = TableName(schema: trial.schema, name: "k")
        let all = ["k_1", "k_2"].map {
            TablePart(table: TableName(schema: trial.schema, name: $0), filled: [])
        }
        let parts = [target: all]
        options.readParts = { parts }
        let result = try await fix(trial, options)
        #expect(result.before.found == ["k_1 a=2: 2 copies on the source, 1 on the target"])
        #expect(result.before.tables[0].notes.contains { $0.contains("not looked for") })
        #expect(result.after.verdict == .equal, "\(result.text)")
        #expect(try onTarget(trial, "SELECT a FROM k ORDER BY a") == "1\n1\n2\n2\n7\n")
    }

    /// Another source's rows may have any values where it fills in nothing: then a row that only
    /// the target has may be its.
    @Test func nothingIsSaidOfRowsThatMayBeAnothers() async throws {
        let trial = try await merged()
        try trial.onTarget("INSERT INTO orders VALUES ('3',1,'x'),('1',9000,'x')")
        var options = orders(trial)
        let target = TableName(schema: trial.schema, name: "orders")
        let parts = options.tables.map { TablePart(table: $0.source, filled: $0.filled) }
        options.parts = [target: parts + [TablePart(table: nil, filled: [])]]
        let unknown = try await trial.run(options)
        #expect(unknown.verdict == .equal, "\(unknown.found)")
        #expect(unknown.tables.allSatisfy { $0.notes.first?.contains("not looked for") == true })
        // What it has to have is found all the same.
        try trial.onTarget("DELETE FROM orders WHERE part='2' AND id=150")
        let lacking = try await trial.run(options)
        #expect(lacking.found == ["orders_2 id=150: missing on the target"])
        // One that is told apart takes nothing away.
        options.parts = [
            target: parts
                + [TablePart(table: nil, filled: [FilledColumn(name: "part", value: "9")])]
        ]
        let apart = try await trial.run(options)
        #expect(
            apart.found
                == [
                    "orders part=3: 1 row that belongs to none of the tables",
                    "orders_1 id=9000: extra on the target",
                    "orders_2 id=150: missing on the target",
                ].sorted())
    }

    /// Where other sources fill something in, a rule for whole schemas beside it hides no extra row;
    /// but the row may be that rule's, and nobody deletes it unasked. Any other rule may well lead
    /// there.
    @Test(arguments: [true, false])
    func extraRowsThatMayBeAnothersAreNotDeleted(needsSameName: Bool) async throws {
        let trial = try await merged()
        try trial.onTarget(
            "INSERT INTO orders VALUES ('1',9000,'x'); DELETE FROM orders WHERE part='2' AND id=7")
        var options = orders(trial)
        let target = TableName(schema: trial.schema, name: "orders")
        options.parts = [
            target: options.tables.map { TablePart(table: $0.source, filled: $0.filled) } + [
                TablePart(table: nil, filled: [FilledColumn(name: "part", value: "9")]),
                TablePart(table: nil, filled: [], needsSameName: needsSameName),
            ]
        ]
        let result = try await fix(trial, options)
        let extra = needsSameName ? ["orders_1 id=9000: extra on the target"] : []
        #expect(result.before.found == extra + ["orders_2 id=7: missing on the target"])
        #expect(result.after.found == extra, "\(result.text)")
        #expect(result.text.contains("-- may be another source's: DELETE") == needsSameName)
        let note = needsSameName ? "may be another source's" : "not looked for: rows of other"
        #expect(result.before.tables.allSatisfy { $0.notes.first?.contains(note) == true })
        #expect(try onTarget(trial, "SELECT COUNT(*) FROM orders WHERE id=9000") == "1\n")
    }

    /// A client stops at the first error: what could not be written for a row that a comment leaves
    /// there is a comment, too, and its own row stays.
    @Test func rowsThatAnExtraOneIsInTheWayOfAreLeftToAPerson() async throws {
        let trial = try await merged()
        try trial.onTarget(
            """
            ALTER TABLE orders ADD UNIQUE (v);
            DELETE FROM orders WHERE part='1' AND id=7;
            UPDATE orders SET v='other' WHERE part='1' AND id=8;
            UPDATE orders SET v='changed' WHERE part='1' AND id=9;
            INSERT INTO orders VALUES ('1',9000,'row 1 7'),('1',9001,'row 1 8');
            DELETE FROM orders WHERE part='2' AND id=7;
            """)
        var options = orders(trial)
        options.comparesStructure = false
        let target = TableName(schema: trial.schema, name: "orders")
        options.parts = [
            target: options.tables.map { TablePart(table: $0.source, filled: $0.filled) } + [
                TablePart(table: nil, filled: [FilledColumn(name: "part", value: "9")]),
                TablePart(table: nil, filled: [], needsSameName: true),
            ]
        ]
        let result = try await fix(trial, options)
        let left = [
            "orders_1 id=7: missing on the target", "orders_1 id=8: column v differs",
            "orders_1 id=9000: extra on the target", "orders_1 id=9001: extra on the target",
        ]
        #expect(
            result.before.found
                == (left + [
                    "orders_1 id=9: column v differs", "orders_2 id=7: missing on the target",
                ]).sorted())
        #expect(result.after.found == left.sorted(), "\(result.text)")
        #expect(
            try onTarget(trial, "SELECT v FROM orders WHERE part='1' AND id=8") == "other\n")
        let comment = "-- a row that stays has its values of a unique key: "
        let waiting = result.text.split(separator: "\n").filter { $0.hasPrefix(comment) }
        #expect(waiting.count { $0.contains(": DELETE FROM") } == 1, "\(result.text)")
        #expect(waiting.count { $0.contains(": INSERT INTO") } == 2, "\(result.text)")
        // Decided, in their order, they do the rest.
        let extra = "-- may be another source's: "
        let decided = result.text.split(separator: "\n").compactMap { line in
            [comment, extra].first { line.hasPrefix($0) }.map { line.dropFirst($0.count) }
        }
        try trial.onTarget(decided.joined(separator: "\n"))
        #expect(try await trial.run(options).verdict == .equal, "\(result.text)")
    }

    /// Nothing is filled in, or something that the column takes for equal.
    @Test(arguments: Trial.Pair.available, [false, true])
    func tablesThatNothingTellsApart(_ pair: Trial.Pair, isFilled: Bool) async throws {
        let trial = try await Trial(pair)
        let columns = "id INT PRIMARY KEY, k VARCHAR(20), v VARCHAR(40)"
        let rows = { (from: Int, count: Int) in
            "n + \(from), CONCAT('k', n), 'v' FROM (\(RowTests.numbers(count))) s"
        }
        try trial.onSource(
            """
            CREATE TABLE a (\(columns)); CREATE TABLE b (\(columns));
            INSERT INTO a SELECT \(rows(0, 300)); INSERT INTO b SELECT \(rows(1000, 200));
            """)
        let part = isFilled ? "part VARCHAR(9) COLLATE utf8mb4_general_ci, " : ""
        let (x, y) = isFilled ? ("'x', ", "'X', ") : ("", "")
        try trial.onTarget(
            """
            CREATE TABLE t (\(part)\(columns)) CHARSET utf8mb4;
            INSERT INTO t SELECT \(x)\(rows(0, 300)); INSERT INTO t SELECT \(y)\(rows(1000, 200));
            """)
        var options = options(
            trial,
            [
                table(trial, "a", in: "t", isFilled ? ["part": "x"] : [:]),
                table(trial, "b", in: "t", isFilled ? ["part": "X"] : [:]),
            ])
        options.comparesStructure = false
        let equal = try await trial.run(options)
        #expect(equal.verdict == .equal, "\(equal.tables)")
        #expect(equal.tables.map(\.rows) == [300, 200])
        try trial.onTarget(
            """
            DELETE FROM t WHERE id IN (5, 300); UPDATE t SET v='bad' WHERE id=1005;
            INSERT INTO t SELECT \(y)9000, 'k', 'extra';
            """)
        let result = try await fix(trial, options)
        #expect(
            result.before.found == [
                "a id=300: missing on the target", "a id=5: missing on the target",
                "b id=1005: column v differs",
            ])
        for table in result.before.tables {
            #expect(table.notes.first?.contains("not looked for") == true, "\(table)")
        }
        // The row with that key may be the other table's: a person has to look first.
        #expect(result.after.found == ["b id=1005: column v differs"], "\(result.text)")
        let comment = "-- replaces what may be another table's row: "
        let commented = result.text.split(separator: "\n").filter { $0.hasPrefix(comment) }
        #expect(commented.count == 2, "\(result.text)")
        try trial.onTarget(
            commented.map { String($0.dropFirst(comment.count)) }.joined(separator: "\n"))
        #expect(try await trial.run(options).verdict == .equal, "\(result.text)")
        // Nobody knows whose that one is.
        #expect(try onTarget(trial, "SELECT COUNT(*) FROM t WHERE id=9000") == "1\n")
        if isFilled {
            let found = try onTarget(trial, "SELECT part FROM t WHERE id IN (5, 1005) ORDER BY id")
            #expect(found == "x\nX\n")
        }
    }

    @Test func aKeyOfOtherLettersInASharedTableIsTheSameRow() async throws {
        let trial = try await Trial()
        let table = "(k VARCHAR(9) PRIMARY KEY, v INT) CHARSET utf8mb4 COLLATE utf8mb4_general_ci"
        try trial.onSource(
            """
            CREATE TABLE a \(table); CREATE TABLE b \(table);
            INSERT INTO a VALUES ('a',1),('b',2); INSERT INTO b VALUES ('c',3);
            """)
        try trial.onTarget("CREATE TABLE t \(table); INSERT INTO t VALUES ('A',1),('b',2),('c',3)")
        let result = try await fix(
            trial, options(trial, ["a", "b"].map { self.table(trial, $0, in: "t") }))
        #expect(result.before.found == ["a k=a: column k differs"])
        #expect(result.after.found == result.before.found, "\(result.text)")
        #expect(result.text.contains("-- replaces what may be another table's row: DELETE"))
    }

    @Test func copiesOfRowsWithoutAKeyAreThoseOfAPart() async throws {
        let trial = try await Trial()
        try trial.onSource(
            """
            CREATE TABLE k_1 (a INT); CREATE TABLE k_2 (a INT);
            INSERT INTO k_1 VALUES (1),(1),(1),(2); INSERT INTO k_2 VALUES (1);
            """)
        try trial.onTarget(
            """
            CREATE TABLE k (a INT, part INT);
            INSERT INTO k VALUES (1,1),(1,1),(2,1),(1,2),(1,2),(7,NULL),(7,3);
            """)
        let options = options(
            trial, ["1", "2"].map { table(trial, "k_\($0)", in: "k", ["part": $0]) })
        let result = try await fix(trial, options)
        #expect(
            result.before.found
                == [
                    "k part=3: 1 row that belongs to none of the tables",
                    "k part=NULL: 1 row that belongs to none of the tables",
                    "k_1 a=1: 3 copies on the source, 2 on the target",
                    "k_2 a=1: 1 copy on the source, 2 on the target",
                ].sorted())
        #expect(result.after.verdict == .equal, "\(result.text)")
        #expect(
            try onTarget(trial, "SELECT part, a FROM k ORDER BY 1, 2")
                == "1\t1\n1\t1\n1\t1\n1\t2\n2\t1\n")
    }

    @Test func copiesThatASharedTableLacksAreFound() async throws {
        let trial = try await Trial()
        try trial.onSource(
            """
            CREATE TABLE a (a INT); CREATE TABLE b (a INT);
            INSERT INTO a VALUES (1),(1),(2); INSERT INTO b VALUES (5),(5);
            """)
        try trial.onTarget("CREATE TABLE t (a INT); INSERT INTO t VALUES (1),(2),(5),(5),(9),(9)")
        let result = try await fix(
            trial, options(trial, ["a", "b"].map { table(trial, $0, in: "t") }))
        #expect(result.before.found == ["a a=1: 2 copies on the source, 1 on the target"])
        #expect(result.after.verdict == .equal, "\(result.text)")
        #expect(try onTarget(trial, "SELECT COUNT(*) FROM t") == "7\n")
    }

    /// Each of the tables finds as many copies as it has.
    @Test func copiesThatOtherTablesHaveDoNotHideMissingOnes() async throws {
        let trial = try await Trial()
        try trial.onSource(
            """
            CREATE TABLE a (a INT); CREATE TABLE b (a INT);
            INSERT INTO a VALUES (1),(1); INSERT INTO b VALUES (1),(2);
            """)
        try trial.onTarget("CREATE TABLE t (a INT); INSERT INTO t VALUES (1),(1),(2)")
        var options = options(trial, ["a", "b"].map { table(trial, $0, in: "t") })
        let lacking = try await trial.run(options)
        #expect(lacking.found.isEmpty)
        #expect(lacking.tables.map(\.verdict) == [.undecided, .undecided])
        for table in lacking.tables {
            #expect(table.undecidedReason?.contains("3 rows, and its tables have 4") == true)
            #expect(table.notes.contains { $0.contains("may stand for missing ones") })
        }
        // Of another source's rows the number is not known.
        let target = TableName(schema: trial.schema, name: "t")
        let parts = options.tables.map { TablePart(table: $0.source, filled: $0.filled) }
        options.parts = [target: parts + [TablePart(table: nil, filled: [])]]
        #expect(try await trial.run(options).verdict == .equal)
        options.parts = [:]
        try trial.onTarget("INSERT INTO t VALUES (1)")
        #expect(try await trial.run(options).verdict == .equal)
    }

    @Test func aTableThatCanNotBeCountedLeavesTheOthersAlone() async throws {
        let trial = try await Trial()
        try trial.onSource(
            """
            CREATE TABLE a (a INT); CREATE TABLE b (a INT); CREATE TABLE c (a INT);
            INSERT INTO a VALUES (1),(1); INSERT INTO b VALUES (1),(2); INSERT INTO c VALUES (4);
            """)
        try trial.onTarget("CREATE TABLE t (a INT); INSERT INTO t VALUES (1),(1),(2),(1),(4)")
        var options = options(trial, ["a", "b", "c"].map { table(trial, $0, in: "t") })
        let target = TableName(schema: trial.schema, name: "t")
        let parts = options.tables.map { TablePart(table: $0.source, filled: $0.filled) }
        // Asked for behind the comparisons, right before rows are counted.
        options.readParts = {
            try trial.onSource("DROP TABLE IF EXISTS a")
            return [target: parts]
        }
        let gone = try await trial.run(options)
        #expect(gone.tables.map(\.verdict) == [.undecided, .equal, .equal], "\(gone.tables)")
        #expect(gone.tables[0].undecidedReason?.contains("1146") == true)
        // What the others have together must be there all the same.
        try trial.onSource(
            """
            CREATE TABLE a (a INT); DELETE FROM c; INSERT INTO c VALUES (1);
            """)
        try trial.onTarget("DELETE FROM t; INSERT INTO t VALUES (1),(2)")
        let lacking = try await trial.run(options)
        #expect(lacking.tables.allSatisfy { $0.verdict == .undecided }, "\(lacking.tables)")
        let reasons = lacking.tables.map { $0.undecidedReason ?? "" }
        #expect(reasons[0].contains("1146"), "\(reasons)")
        #expect(reasons[1].contains("2 rows, and its tables have 3 together"), "\(reasons)")
    }

    @Test func aColumnThatIsToBeFilledAndIsNotThereIsADifference() async throws {
        let trial = try await merged()
        let tables = [table(trial, "orders_1", in: "orders", ["origin": "a"])]
        let report = try await trial.run(options(trial, tables))
        #expect(report.verdict == .different)
        #expect(
            report.tables[0].structure.contains {
                $0.kind == .columnMissing && $0.description.contains("origin")
            })
    }
}
