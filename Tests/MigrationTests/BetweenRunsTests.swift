import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// Statements of the source between two runs of a copy, of which the first was killed.
    @Suite("Statements between two runs of a copy", .serialized)
    struct BetweenRunsTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE altered (id INT PRIMARY KEY, v INT);
            CREATE TABLE dropped LIKE altered; CREATE TABLE renamed LIKE altered;
            CREATE TABLE made_again LIKE altered;
            CREATE TABLE large (id INT PRIMARY KEY, v VARCHAR(200));
            """
        private static let rows = """
            INSERT INTO altered VALUES (1, 1); INSERT INTO dropped VALUES (1, 1);
            INSERT INTO renamed VALUES (1, 1); INSERT INTO made_again VALUES (1, 1);
            INSERT INTO large WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
                SELECT i, REPEAT('v', 150) FROM n;
            """

        /// Kills a copy when so many tables are whole, and another is not.
        private static func interrupt(
            _ trial: Trial, _ proxy: FaultProxy, whole count: Int, _ condition: String = ""
        ) async throws {
            proxy.setDelay(.milliseconds(8))
            let skein = try trial.migrate("--chunk-rows", "5")
            let target = try trial.target.connect()
            try await skein.waiting(for: "what is whole") {
                let done = try? target.rows(
                    "SELECT 1 FROM \(trial.meta).chunk WHERE to_key IS NULL \(condition)")
                return done?.count == count || skein.status != nil
            }
            #expect(skein.kill(), "\(skein.text)")
            #expect(trial.phase == "copy")
            proxy.setDelay(.zero)
        }

        @Test(
            "what was whole is followed from there, whoever created it",
            arguments: Pair.sameFamily, [false, true])
        func whole(_ pair: Pair, isThere: Bool) async throws {
            var trial = try await Trial(pair, "between", Self.tables + Self.rows)
            if isThere {
                try trial.target.sql("CREATE DATABASE \(trial.schema)")
                try trial.onTarget(Self.tables)
            }
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            try await Self.interrupt(trial, proxy, whole: 5)
            try trial.onSource(
                """
                INSERT INTO altered VALUES (2, 2); ALTER TABLE altered ADD w INT DEFAULT 7;
                UPDATE altered SET v = 3 WHERE id = 1; INSERT INTO altered VALUES (3, 3, 3);
                INSERT INTO dropped VALUES (2, 2); DROP TABLE dropped;
                INSERT INTO renamed VALUES (2, 2); RENAME TABLE renamed TO other_name;
                INSERT INTO other_name VALUES (3, 3);
                INSERT INTO made_again VALUES (2, 2); DROP TABLE made_again; FLUSH BINARY LOGS;
                CREATE TABLE made_again (id INT PRIMARY KEY, t TEXT); INSERT INTO made_again VALUES (5, 'x');
                """)
            try await trial.catchUp()
            if isThere {
                // They were there before, and are as they were.
                for table in ["dropped", "renamed"] {
                    #expect(try trial.onTarget("SELECT COUNT(*) FROM \(table)") == "0\n")
                    try trial.onTarget("DROP TABLE \(table)")
                }
            }
            try await trial.expectEqual()
        }

        @Test(
            "what was whole, and starts over with those that foreign keys tie to it, is as it is now",
            arguments: Pair.sameFamily)
        func tied(_ pair: Pair) async throws {
            var trial = try await Trial(
                pair, "tied",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE a_parent (id INT PRIMARY KEY, e ENUM('a','b'), gone INT, KEY (gone));
                CREATE TABLE b_child (id INT PRIMARY KEY, p INT, v VARCHAR(200),
                    FOREIGN KEY (p) REFERENCES a_parent (id) ON DELETE CASCADE);
                INSERT INTO a_parent VALUES (1, 'a', 1), (2, 'b', 2);
                INSERT INTO b_child WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
                    SELECT i, 1 + i % 2, REPEAT('v', 150) FROM n;
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            try await Self.interrupt(trial, proxy, whole: 1, "AND table_name='a_parent'")
            try trial.onSource(
                "ALTER TABLE a_parent MODIFY e ENUM('b','a'), DROP COLUMN gone, ADD KEY k (e)")
            try await trial.catchUp()
            let definition = "SHOW CREATE TABLE a_parent"
            #expect(try trial.onTarget(definition) == trial.onSource(definition))
            try trial.onSource("UPDATE a_parent SET e='a' WHERE id=2")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "what was whole, and takes the name of what was not, is told from it",
            arguments: Pair.sameFamily,
            [
                "DROP TABLE small; RENAME TABLE large TO small; CREATE TABLE large LIKE small",
                "RENAME TABLE small TO third, large TO small, third TO large",
                "RENAME TABLE small TO third; RENAME TABLE large TO small; RENAME TABLE third TO large",
            ])
        func shifted(_ pair: Pair, _ statements: String) async throws {
            var trial = try await Trial(
                pair, "shifted",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE small (id INT PRIMARY KEY, v VARCHAR(200));
                CREATE TABLE large LIKE small;
                INSERT INTO small VALUES (1, 'small'), (2, 'small');
                INSERT INTO large WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
                    SELECT i, REPEAT('v', 150) FROM n;
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            try await Self.interrupt(trial, proxy, whole: 1, "AND table_name='small'")
            try trial.onSource(
                """
                INSERT INTO small VALUES (-3, 'small');
                \(statements);
                INSERT INTO large VALUES (-4, 'new'); INSERT INTO small VALUES (-5, 'new');
                """)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        /// A flush ends what is read at a time: the mark may have passed the copy by then.
        @Test(
            "what was whole, and has gone before the copy's end was stored, or was made again",
            arguments: Pair.sameFamily,
            [
                "",
                "FLUSH BINARY LOGS; CREATE TABLE goes (id INT PRIMARY KEY, t TEXT); INSERT INTO goes VALUES (5, 'x')",
                """
                CREATE TABLE again LIKE stays; INSERT INTO again VALUES (7); FLUSH BINARY LOGS;
                RENAME TABLE again TO goes; INSERT INTO goes VALUES (8)
                """,
                """
                CREATE TABLE again LIKE stays; INSERT INTO again VALUES (7); FLUSH BINARY LOGS;
                RENAME TABLE stays TO goes, again TO stays; INSERT INTO goes VALUES (8); INSERT INTO stays VALUES (9)
                """,
            ])
        func goneAtTheEnd(_ pair: Pair, _ statements: String) async throws {
            var trial = try await Trial(
                pair, "gone",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE stays (id INT PRIMARY KEY); CREATE TABLE goes LIKE stays;
                INSERT INTO stays VALUES (1); INSERT INTO goes VALUES (1);
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let held = proxy.holdNext(
                .toServer, matching: "phase='follow'", closingClient: false)
            let skein = try trial.migrate()
            try await held.caught()
            skein.kill()
            held.drop()
            try trial.onSource(
                """
                INSERT INTO goes VALUES (2); ALTER TABLE goes ADD v INT;
                INSERT INTO goes VALUES (3, 3); DROP TABLE goes; INSERT INTO stays VALUES (2);
                \(statements)
                """)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("a sequence that was made before the copy's end was stored is told of")
        func sequence() async throws {
            var trial = try await Trial(
                .mariadb, "sequence",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY);
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let held = proxy.holdNext(.toServer, matching: "phase='follow'", closingClient: false)
            let skein = try trial.migrate()
            try await held.caught()
            skein.kill()
            held.drop()
            try trial.onSource("CREATE SEQUENCE numbers; INSERT INTO t VALUES (1)")
            let outcome = try await trial.migrate("--until", "caught-up").end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(
                outcome.text.contains("sequence \(trial.schema).numbers"), "\(outcome.text)")
        }
    }
}
