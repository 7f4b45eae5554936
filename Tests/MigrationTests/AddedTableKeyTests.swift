import Foundation
import MySQLClient
import MySQLCore
import TestServers
import Testing

extension MigrationTests {
    /// Tables that come to a migration that follows, and what ties them to others between its mark
    /// and their copy.
    @Suite("Added tables and what they are tied to", .serialized)
    struct AddedTableKeyTests {
        /// Tables of which rows were copied since others came.
        private static func copied(_ trial: Trial) throws -> String {
            try trial.target.sql(
                "SELECT table_name FROM \(trial.meta).chunk WHERE copied_rows>0 GROUP BY 1 ORDER BY 1"
            )
        }

        @Test(
            "a foreign key that ties a followed table to one that comes is made before its parents agree",
            arguments: Pair.sameFamily)
        func madeBetween(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedfk",
                """
                CREATE TABLE f (id INT PRIMARY KEY, n INT); CREATE TABLE c (id INT PRIMARY KEY);
                INSERT INTO f VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1), (2);
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).c")
            // Parents that the copy does not find any more.
            try trial.onSource(
                """
                ALTER TABLE f ADD CONSTRAINT fc FOREIGN KEY (n) REFERENCES c (id);
                INSERT INTO c VALUES (3); INSERT INTO f VALUES (3, 3);
                DELETE FROM f WHERE id>1; DELETE FROM c WHERE id>1;
                """)
            try await trial.catchUp("--change-rules")
            #expect(try Self.copied(trial) == "c\n")
            try trial.onSource(
                "INSERT INTO c VALUES (5); INSERT INTO f VALUES (5, 5); DELETE FROM f WHERE id=1")
            try await trial.catchUp()
            try await trial.expectEqual()
            #expect(throws: (any Error).self) { try trial.onTarget("DELETE FROM c WHERE id=5") }
        }

        @Test(
            "what an action did to a followed table while its parent was not followed is not lost",
            arguments: Pair.sameFamily)
        func actedBetween(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedact",
                """
                CREATE TABLE f (id INT PRIMARY KEY, n INT); CREATE TABLE c (id INT PRIMARY KEY);
                INSERT INTO f VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1), (2);
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).c")
            try trial.onSource(
                """
                ALTER TABLE f ADD CONSTRAINT fc FOREIGN KEY (n) REFERENCES c (id) ON DELETE CASCADE;
                DELETE FROM c WHERE id=1; ALTER TABLE f DROP FOREIGN KEY fc;
                """)
            try await trial.catchUp("--change-rules")
            #expect(try trial.onTarget("SELECT id FROM f") == "2\n")
            try trial.onSource("INSERT INTO f VALUES (7, 7); DELETE FROM c WHERE id=2")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "an action that the source has dropped since does not reach rows of a table that came",
            arguments: Pair.sameFamily)
        func droppedAction(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedwas",
                """
                CREATE TABLE p (id INT PRIMARY KEY);
                CREATE TABLE a (id INT PRIMARY KEY, p INT,
                    CONSTRAINT ap FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE);
                CREATE TABLE b (id INT PRIMARY KEY, p INT,
                    CONSTRAINT bp FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE);
                INSERT INTO p VALUES (1), (2); INSERT INTO a VALUES (1, 1), (2, 2);
                INSERT INTO b VALUES (1, 1), (2, 2);
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).b")
            // The row of b goes, and comes again before it is copied.
            try trial.onSource(
                """
                DELETE FROM p WHERE id=1; INSERT INTO p VALUES (1); INSERT INTO b VALUES (1, 1);
                ALTER TABLE a DROP FOREIGN KEY ap;
                """)
            try await trial.catchUp("--change-rules")
            #expect(try trial.onTarget("SELECT id FROM b ORDER BY id") == "1\n2\n")
            #expect(try Self.copied(trial) == "a\nb\np\n")
            try trial.onSource("DELETE FROM p WHERE id=2; INSERT INTO a VALUES (9, 9)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "a table that its users have made is copied again as they made it",
            arguments: Pair.sameFamily)
        func preparedAgain(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedmine",
                """
                CREATE TABLE p (id INT PRIMARY KEY);
                CREATE TABLE a (id INT PRIMARY KEY, p INT, q INT,
                    CONSTRAINT ap FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE,
                    CONSTRAINT aq FOREIGN KEY (q) REFERENCES p (id));
                CREATE TABLE b (id INT PRIMARY KEY, p INT,
                    CONSTRAINT bp FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE);
                INSERT INTO p VALUES (1), (2); INSERT INTO a VALUES (1, 1, 2), (2, 2, 2);
                INSERT INTO b VALUES (1, 1), (2, 2);
                """)
            try trial.target.sql("CREATE DATABASE \(trial.schema)")
            // One foreign key less.
            try trial.onTarget(
                """
                CREATE TABLE p (id INT PRIMARY KEY);
                CREATE TABLE a (id INT PRIMARY KEY, p INT, q INT, KEY aq (q),
                    CONSTRAINT ap FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)
                    COMMENT='mine';
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).b")
            try trial.onSource(
                """
                DELETE FROM p WHERE id=1; INSERT INTO p VALUES (1); INSERT INTO b VALUES (1, 1);
                """)
            try await trial.catchUp("--change-rules")
            #expect(try Self.copied(trial) == "a\nb\np\n")
            try trial.onSource("INSERT INTO a VALUES (9, 1, 2); DELETE FROM p WHERE id=1")
            try await trial.catchUp()
            #expect(try trial.onTarget("SELECT id, p FROM a ORDER BY id") == "2\t2\n")
            #expect(
                try trial.target.sql(
                    "SELECT TABLE_COMMENT FROM information_schema.TABLES "
                        + "WHERE TABLE_SCHEMA='\(trial.schema)' AND TABLE_NAME='a'") == "mine\n")
            #expect(
                try trial.target.sql(
                    "SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS "
                        + "WHERE CONSTRAINT_SCHEMA='\(trial.schema)' ORDER BY 1") == "ap\nbp\n")
        }

        @Test(
            "a child of a parent that is renamed before its copy refers to it by its new name",
            arguments: Pair.sameFamily)
        func renamedParent(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedname",
                """
                CREATE TABLE f (id INT PRIMARY KEY, n INT); CREATE TABLE c (id INT PRIMARY KEY);
                INSERT INTO f VALUES (1, 1); INSERT INTO c VALUES (1), (2);
                """)
            try await trial.catchUp(
                "--exclude", "\(trial.schema).c", "--exclude", "\(trial.schema).d")
            try trial.onSource(
                """
                ALTER TABLE f ADD CONSTRAINT fc FOREIGN KEY (n) REFERENCES c (id);
                RENAME TABLE c TO d; INSERT INTO f VALUES (2, 2);
                """)
            try await trial.catchUp("--change-rules")
            try trial.onSource("INSERT INTO d VALUES (3); INSERT INTO f VALUES (3, 3)")
            try await trial.catchUp()
            try await trial.expectEqual()
            #expect(throws: (any Error).self) { try trial.onTarget("DELETE FROM d WHERE id=3") }
        }

        @Test(
            "a table that comes and refers to what its followed parent has got since is created",
            arguments: Pair.sameFamily)
        func outgrownParent(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedmore",
                """
                CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1), (2);
                CREATE TABLE n (id INT PRIMARY KEY); INSERT INTO n VALUES (1);
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).n")
            try trial.onSource(
                """
                ALTER TABLE a ADD u INT, ADD UNIQUE KEY u (u); UPDATE a SET u=id;
                ALTER TABLE n ADD r INT, ADD CONSTRAINT nr FOREIGN KEY (r) REFERENCES a (u);
                INSERT INTO n VALUES (2, 2);
                """)
            try await trial.catchUp("--change-rules")
            #expect(try Self.copied(trial) == "a\nn\n")
            try trial.onSource("INSERT INTO a VALUES (3, 3); INSERT INTO n VALUES (3, 3)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "a parent that is created again with other types takes its followed child along",
            arguments: Pair.sameFamily)
        func outgrownChild(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedwide",
                """
                CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (1), (2);
                CREATE TABLE c (id INT PRIMARY KEY, p INT,
                    CONSTRAINT cp FOREIGN KEY (p) REFERENCES p (id));
                INSERT INTO c VALUES (1, 1);
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).n")
            try trial.onSource(
                """
                ALTER TABLE c DROP FOREIGN KEY cp; ALTER TABLE p MODIFY id BIGINT NOT NULL;
                ALTER TABLE c MODIFY p BIGINT;
                ALTER TABLE c ADD CONSTRAINT cp FOREIGN KEY (p) REFERENCES p (id);
                CREATE TABLE n (id INT PRIMARY KEY, p BIGINT,
                    CONSTRAINT np FOREIGN KEY (p) REFERENCES p (id));
                INSERT INTO n VALUES (1, 2);
                """)
            try await trial.catchUp("--change-rules")
            #expect(try Self.copied(trial) == "c\nn\np\n")
            try trial.onSource("INSERT INTO p VALUES (3); INSERT INTO c VALUES (3, 3)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "what was done to a parent before it had the child that comes is not refused",
            arguments: Pair.sameFamily,
            ["TRUNCATE TABLE p", "DROP TABLE p; CREATE TABLE p (id INT PRIMARY KEY, u INT)"])
        func emptiedParent(_ pair: Pair, _ sql: String) async throws {
            let trial = try await Trial(
                pair, sql.hasPrefix("DROP") ? "addeddrop" : "addedempty",
                """
                CREATE TABLE p (id INT PRIMARY KEY, u INT); INSERT INTO p VALUES (1, 1), (2, 2);
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).n")
            try trial.onSource(
                """
                \(sql); INSERT INTO p VALUES (2, 20), (3, 30);
                CREATE TABLE n (id INT PRIMARY KEY, p INT,
                    CONSTRAINT np FOREIGN KEY (p) REFERENCES p (id));
                INSERT INTO n VALUES (1, 3);
                """)
            try await trial.catchUp("--change-rules")
            #expect(try Self.copied(trial) == "n\n")
            #expect(try trial.onTarget("SELECT u FROM p ORDER BY u") == "20\n30\n")
            try trial.onSource("INSERT INTO p VALUES (4, 40); INSERT INTO n VALUES (2, 4)")
            try await trial.catchUp()
            try await trial.expectEqual()
            #expect(throws: (any Error).self) { try trial.onTarget("DELETE FROM p WHERE id=4") }
        }

        @Test("a parent that was there before, and is renamed, is not copied again")
        func renamedIntoExisting() async throws {
            let trial = try await Trial(
                .mariadb, "addedkept",
                "CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (1);")
            let child = "\(trial.schema).n"
            try trial.target.sql("CREATE DATABASE \(trial.schema)")
            try trial.onTarget("CREATE TABLE p (id INT PRIMARY KEY)")
            try await trial.catchUp("--into-existing", "--exclude", child)
            try trial.onSource(
                """
                RENAME TABLE p TO q; DROP TABLE q; CREATE TABLE p (id INT PRIMARY KEY);
                INSERT INTO p VALUES (2);
                CREATE TABLE n (id INT PRIMARY KEY, p INT,
                    CONSTRAINT np FOREIGN KEY (p) REFERENCES p (id));
                INSERT INTO n VALUES (1, 2);
                """)
            let refused = try await trial.migrate(
                "--into-existing", "--change-rules", "--until", "caught-up"
            ).end()
            #expect(
                refused.status != 0 && refused.text.contains("rows that were there before"),
                "\(refused.text)")
            #expect(trial.phase == "follow")
            #expect(try trial.onTarget("SELECT id FROM p") == "1\n")
            // What the message says.
            try trial.onTarget("DROP TABLE n")
            try await trial.catchUp("--into-existing", "--change-rules", "--exclude", child)
            #expect(try trial.onTarget("SELECT id FROM p") == "2\n")
            try await trial.catchUp("--into-existing", "--change-rules")
            try await trial.expectEqual()
        }

        @Test("a table does not come by the change that leaves out what it refers to")
        func parentLeaves() async throws {
            let trial = try await Trial(
                .mariadb, "addedleft",
                """
                CREATE TABLE l (id INT PRIMARY KEY); INSERT INTO l VALUES (1);
                CREATE TABLE n (id INT PRIMARY KEY, l INT,
                    CONSTRAINT nl FOREIGN KEY (l) REFERENCES l (id));
                INSERT INTO n VALUES (1, 1);
                CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1);
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).n")
            let refused = try await trial.migrate(
                "--change-rules", "--exclude", "\(trial.schema).l", "--until", "caught-up"
            ).end()
            #expect(
                refused.status != 0 && refused.text.contains("which comes, refers to it"),
                "\(refused.text)")
            #expect(trial.phase == "follow")
            try trial.onSource("INSERT INTO l VALUES (2); INSERT INTO n VALUES (2, 2)")
            try await trial.catchUp("--change-rules")
            try await trial.expectEqual()
        }

        @Test("views of a database that is dropped while others come go with it")
        func droppedDatabase() async throws {
            let trial = try await Trial(
                .mariadb, "addedviews",
                """
                CREATE TABLE f (id INT PRIMARY KEY, v INT); CREATE TABLE n LIKE f;
                INSERT INTO f VALUES (1, 1); INSERT INTO n VALUES (1, 1);
                CREATE VIEW seen AS SELECT v FROM f; CREATE VIEW gone AS SELECT id FROM f;
                CREATE PROCEDURE todo() SELECT 1;
                """)
            let name = quoteIdentifier(trial.schema)
            try await trial.catchUp("--exclude", "\(trial.schema).n")
            try trial.source.sql(
                """
                DROP DATABASE \(name); CREATE DATABASE \(name); USE \(name);
                CREATE TABLE f (id INT PRIMARY KEY, w INT); INSERT INTO f VALUES (1, 9);
                CREATE VIEW seen AS SELECT w FROM f;
                CREATE TABLE n (id INT PRIMARY KEY); INSERT INTO n VALUES (7);
                """)
            try await trial.catchUp("--change-rules")
            #expect(
                try trial.target.sql(
                    "SELECT TABLE_NAME FROM information_schema.VIEWS "
                        + "WHERE TABLE_SCHEMA='\(trial.schema)'") == "seen\n")
            #expect(
                try trial.target.sql(
                    "SELECT ROUTINE_NAME FROM information_schema.ROUTINES "
                        + "WHERE ROUTINE_SCHEMA='\(trial.schema)'") == "")
            #expect(try trial.onTarget("SELECT * FROM seen") == "9\n")
            try await trial.expectEqual()
        }

        /// A table that comes, `n` of 3,000 rows, is copied half when the process is killed.
        private static func half(_ trial: Trial, _ proxy: FaultProxy) async throws {
            try await trial.catchUp("--exclude", "\(trial.schema).n")
            proxy.setDelay(.milliseconds(10))
            let skein = try trial.migrate("--change-rules", "--chunk-rows", "10", "--readers", "1")
            try await skein.waiting(.seconds(120), for: "rows of n") {
                (try? trial.target.connect().value(
                    "SELECT 1 FROM \(trial.meta).chunk WHERE table_name='n' LIMIT 1")) == "1"
            }
            skein.kill()
            proxy.setDelay(.zero)
            try #require(trial.phase == "copy")
        }

        @Test(
            "half a copy of a table that is gone is not left behind",
            arguments: ["DROP TABLE n", "RENAME TABLE n TO m"])
        func halfGone(_ sql: String) async throws {
            var trial = try await Trial(
                .mariadb, "addedhalf",
                """
                CREATE TABLE a (id INT PRIMARY KEY, v INT); INSERT INTO a VALUES (1, 1);
                CREATE TABLE n (id INT PRIMARY KEY, t VARCHAR(20));
                INSERT INTO n SELECT seq, 'x' FROM seq_1_to_3000;
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            try await Self.half(trial, proxy)
            // What comes behind its half copy.
            try trial.onSource(
                "INSERT INTO n VALUES (9000, 'y'); INSERT INTO a VALUES (2, 2); \(sql)")
            try await trial.catchUp()
            #expect(try trial.onTarget("SHOW TABLES LIKE 'n'") == "")
            try await trial.expectEqual()
        }

        @Test("a table that is tied to what is followed is not taken out in the middle of its copy")
        func tiedHalf() async throws {
            var trial = try await Trial(
                .mariadb, "addedtied",
                """
                CREATE TABLE a (id INT PRIMARY KEY, v INT); INSERT INTO a VALUES (1, 1), (2, 2);
                CREATE TABLE n (id INT PRIMARY KEY, a INT,
                    CONSTRAINT na FOREIGN KEY (a) REFERENCES a (id));
                INSERT INTO n SELECT seq, 1 FROM seq_1_to_3000;
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let n = "\(trial.schema).n"
            try await Self.half(trial, proxy)
            let refused = try await trial.migrate(
                "--change-rules", "--exclude", n, "--until", "caught-up"
            ).end()
            #expect(
                refused.status != 0 && refused.text.contains("ties it to what is followed"),
                "\(refused.text)")
            #expect(trial.phase == "copy")
            try trial.onTarget("ALTER TABLE n DROP FOREIGN KEY na")
            try await trial.catchUp("--change-rules", "--exclude", n)
            // The rows that stay behind keep none from going.
            try trial.onSource("DELETE FROM n; DELETE FROM a WHERE id=1")
            try await trial.catchUp("--exclude", n)
            #expect(try trial.onTarget("SELECT id FROM a") == "2\n")
        }
    }
}
