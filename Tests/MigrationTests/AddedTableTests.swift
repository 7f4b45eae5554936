import Foundation
import Glibc
import Metadata
import MySQLClient
import MySQLCore
import TestServers
import Testing

extension MigrationTests {
    /// Tables that come to a migration that follows.
    @Suite("Added tables", .serialized)
    struct AddedTableTests {
        /// `p`, `q` and `g` are followed; `n`, `c`, `k` and `seen` come later.
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE p (id INT PRIMARY KEY, v INT, u INT UNIQUE);
            CREATE TABLE q (id INT PRIMARY KEY, v INT);
            CREATE TABLE g (id INT PRIMARY KEY, p INT,
                FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL);
            CREATE TABLE n (id INT PRIMARY KEY, p INT, t VARCHAR(40), FOREIGN KEY (p) REFERENCES q (id));
            CREATE TABLE c (id INT PRIMARY KEY, q INT, u INT UNIQUE,
                FOREIGN KEY (q) REFERENCES q (id) ON DELETE CASCADE);
            CREATE TABLE k (a INT, t VARCHAR(30));
            CREATE VIEW seen AS SELECT id, v FROM p;
            """

        private static func fill(_ trial: Trial) throws {
            func rows(_ table: String, _ count: Int, _ row: (Int) -> String) throws {
                for start in stride(from: 1, through: count, by: 1000) {
                    let part = (start...min(start + 999, count)).map { "(\(row($0)))" }
                    try trial.onSource(
                        "INSERT INTO \(table) VALUES \(part.joined(separator: ","))")
                }
            }
            try rows("p", 300) { "\($0),0,\($0)" }
            try rows("q", 300) { "\($0),0" }
            try rows("g", 300) { "\($0),\($0)" }
            try rows("n", 4000) { "\($0),\($0 % 300 + 1),REPEAT('x',\($0 % 40))" }
            try rows("c", 2000) { "\($0),\($0 % 300 + 1),\($0)" }
            try rows("k", 2000) { "\($0 % 700),'row'" }
        }

        private static let step: Load.Step = { connection, dice in
            let id = 1 + dice.roll(300)
            let other = 1 + dice.roll(300)
            switch dice.roll(12) {
            case 0:
                // The row goes with its children, and comes again.
                for sql in [
                    "START TRANSACTION", "DELETE FROM n WHERE p=\(id)",
                    "DELETE FROM q WHERE id=\(id)",
                    "COMMIT",
                    "INSERT INTO q VALUES (\(id), 1)",
                    "INSERT INTO n VALUES (\(100_000 + dice.roll(1_000_000)), \(id), 'new')",
                ] { try connection.execute(sql) }
            case 1: try connection.execute("DELETE FROM p WHERE id=\(id)")
            case 2: try connection.execute("INSERT INTO p VALUES (\(id), 2, \(id))")
            case 3: try connection.execute("UPDATE g SET p=\(other) WHERE id=\(id)")
            case 4: try connection.execute("UPDATE q SET v=v+1 WHERE id=\(id)")
            case 5:
                try connection.execute(
                    "INSERT INTO c VALUES (\(100_000 + dice.roll(1_000_000)), \(id), NULL)")
            case 6: try connection.execute("UPDATE c SET u=NULL WHERE id=\(id)")
            case 7: try connection.execute("DELETE FROM c WHERE id=\(id)")
            case 8: try connection.execute("INSERT INTO k VALUES (\(id), 'row')")
            case 9: try connection.execute("DELETE FROM k WHERE a=\(id) LIMIT 1")
            case 10: try connection.execute("UPDATE n SET t='changed', p=\(other) WHERE id=\(id)")
            default:
                for sql in [
                    "START TRANSACTION", "UPDATE p SET v=v+1 WHERE id=\(id)",
                    "UPDATE n SET t=CONCAT(t, 'y') WHERE id=\(id) AND CHAR_LENGTH(t)<39",
                    "INSERT INTO k VALUES (\(other), 'both')", "COMMIT",
                ] { try connection.execute(sql) }
            }
        }

        @Test(
            "their rows are copied under load, through kills, and each is followed from where it was read",
            arguments: Pair.sameFamily)
        func underLoad(_ pair: Pair) async throws {
            let seed = Dice.seed("underLoad")
            var dice = Dice(seed: seed)
            var trial = try await Trial(pair, "added", Self.tables)
            try Self.fill(trial)
            let schema = trial.schema
            let out = ["n", "c", "k", "seen"].flatMap { ["--exclude", "\(schema).\($0)"] }
            let load = Load(
                trial.source, schema: schema, threads: 2, seed: seed, pause: .milliseconds(10),
                Self.step)
            // Far away: the copy lasts long enough to be killed in the middle.
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let first = try SkeinProcess(trial.arguments(out))
            try await trial.copied(first)
            try await trial.applied(first)
            try await load.more(100)
            try await trial.stop(first)
            proxy.setDelay(.milliseconds(25))
            // A flag that is forgotten is no change.
            let refused = try await trial.migrate("--until", "caught-up").end()
            #expect(refused.status != 0 && refused.text.contains("--change-rules"))
            #expect(trial.phase == "follow")
            var kills = 0
            for _ in 0..<8 {
                let skein = try trial.migrate("--change-rules", "--chunk-rows", "100")
                try await skein.waiting(.seconds(120), for: "the copy") {
                    trial.phase == "copy" || kills > 0 || skein.status != nil
                }
                // The first ones soon, so that they come before the end however fast machines are.
                try await Task.sleep(for: .milliseconds(dice.roll(kills < 2 ? 700 : 2500)))
                let isCopying = trial.phase == "copy"
                #expect(skein.kill(), "\(skein.text)")
                guard isCopying else { break }
                kills += 1
                if kills == 2 { proxy.setDelay(.milliseconds(5)) }
            }
            #expect(kills > 1)
            proxy.setDelay(.zero)
            let last = try trial.migrate()
            try await trial.copied(last)
            try await trial.applied(last)
            try await load.stop()
            try await trial.stop(last)
            // What was followed was not copied again, but for what an action of the source changes.
            let copied = try trial.target.sql(
                "SELECT table_name FROM \(trial.meta).chunk WHERE copied_rows>0 GROUP BY 1 ORDER BY 1"
            )
            #expect(copied == "c\nk\nn\n")
            try await trial.catchUp("--finish")
            try await trial.expectEqual()
            #expect(
                try trial.onTarget("SELECT COUNT(*), SUM(v) FROM seen")
                    == trial.onSource("SELECT COUNT(*), SUM(v) FROM seen"))
        }

        @Test(
            "a task that runs gets tables, and loses some, through kills of its worker",
            .enabled(if: EtcdServer.isInstalled))
        func running() async throws {
            let seed = Dice.seed("running")
            let trial = try await Trial(.mariadb, "addedrun", Self.tables)
            try Self.fill(trial)
            @Sendable func out(_ names: String...) -> String {
                "exclude: [\(names.map { "\(trial.schema).\($0)" }.joined(separator: ", "))]"
            }
            let load = Load(
                trial.source, schema: trial.schema, threads: 2, seed: seed,
                pause: .milliseconds(10), Self.step)
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            let (first, second) = (out("n", "c", "k", "seen"), out("c", "seen"))
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s", first)
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                try await cluster.add(trial, source: "s", second)
                for _ in 0..<3 {
                    try await load.more(20)
                    worker.kill()
                    try worker.start()
                }
                try await cluster.applied(trial)
                // One leaves, and another one comes: nobody pauses anything.
                try await cluster.add(trial, source: "s", out("k", "seen"))
                try await load.more(20)
                try await cluster.applied(trial)
                try trial.onTarget("DROP TABLE k")
                try await cluster.add(trial, source: "s", out("seen"))
                try await load.more(20)
                try await cluster.applied(trial)
                try await load.stop()
                try await cluster.applied(trial)
            }
            try await trial.expectEqual()
        }

        @Test("statements that come while rows are copied are followed", arguments: Pair.sameFamily)
        func statements(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedddl",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE a (id INT PRIMARY KEY, v INT); CREATE TABLE b LIKE a;
                CREATE TABLE gone LIKE a; CREATE TABLE swap LIKE a; CREATE TABLE n LIKE a;
                INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); INSERT INTO n VALUES (1, 1);
                INSERT INTO gone VALUES (1, 1); INSERT INTO swap VALUES (1, 1);
                """)
            try await trial.catchUp("--exclude", "\(trial.schema).n")
            // Made by the stream: there is no copy of it.
            try trial.onSource("CREATE TABLE made LIKE a; INSERT INTO made VALUES (1, 1)")
            try await trial.catchUp("--exclude", "\(trial.schema).n")
            // Between the mark and the new views.
            try trial.onSource(
                """
                ALTER TABLE a ADD w INT DEFAULT 5; INSERT INTO a VALUES (2, 2, 2);
                DROP TABLE made; CREATE TABLE made (id INT PRIMARY KEY, t VARCHAR(9));
                INSERT INTO made VALUES (7, 'new');
                DROP TABLE gone; RENAME TABLE swap TO swapped; INSERT INTO swapped VALUES (2, 2);
                CREATE TABLE young (id INT PRIMARY KEY); INSERT INTO young VALUES (1);
                ALTER TABLE n ADD w INT; INSERT INTO n VALUES (2, 2, 2); DELETE FROM b;
                """)
            try await trial.catchUp("--change-rules")
            try trial.onSource(
                """
                INSERT INTO made VALUES (8, 'more'); UPDATE swapped SET v=9; INSERT INTO b VALUES (3, 3);
                ALTER TABLE n DROP w; INSERT INTO n VALUES (3, 3); INSERT INTO young VALUES (2);
                DROP TABLE a; CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1);
                """)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "tables that actions change are copied again together, whoever comes to them",
            arguments: Pair.sameFamily)
        func actions(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "addedacts",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE a (id INT PRIMARY KEY, v INT);
                CREATE TABLE b (id INT PRIMARY KEY, a INT,
                    FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE);
                CREATE TABLE n (id INT PRIMARY KEY, b INT,
                    FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE);
                INSERT INTO a VALUES (1, 1), (2, 2), (3, 3); INSERT INTO b VALUES (1, 1), (2, 2), (3, 3);
                INSERT INTO n VALUES (1, 1), (2, 2), (3, 3);
                """)
            let out = ["--exclude", "\(trial.schema).n"]
            try await trial.catchUp(out[0], out[1])
            try trial.onSource("ALTER TABLE b ADD w INT")
            try await trial.catchUp(out[0], out[1])
            try trial.onSource(
                """
                DELETE FROM a WHERE id=1; INSERT INTO a VALUES (1, 5); INSERT INTO b VALUES (1, 1, 5);
                INSERT INTO n VALUES (1, 1); ALTER TABLE b ADD x INT; DELETE FROM a WHERE id=2;
                """)
            try await trial.catchUp("--change-rules")
            try trial.onSource("DELETE FROM a WHERE id=3; INSERT INTO n VALUES (8, 1)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("a table whose copy can't end is taken out again, and the others go on")
        func takenOut() async throws {
            let trial = try await Trial(
                .mariadb, "addedout",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY); CREATE TABLE a (id INT PRIMARY KEY, v INT);
                CREATE TABLE n (id INT PRIMARY KEY, t VARCHAR(20)); INSERT INTO a VALUES (1, 1);
                INSERT INTO n SELECT seq, 'x' FROM seq_1_to_3000;
                """)
            let n = "\(trial.schema).n"
            var far = trial
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            far.targetURL = proxy.url
            try await far.catchUp("--exclude", n)
            proxy.setDelay(.milliseconds(10))
            let skein = try far.migrate("--change-rules", "--chunk-rows", "10", "--readers", "1")
            try await skein.waiting(.seconds(120), for: "rows of n") {
                (try? trial.target.connect().value(
                    "SELECT 1 FROM \(trial.meta).chunk WHERE table_name='n' LIMIT 1")) == "1"
            }
            // It says what it waits for.
            try await skein.waiting(.seconds(60), for: "the reason") {
                skein.text.contains("changes wait until the rows of \(n) are copied")
            }
            skein.kill()
            #expect(trial.phase == "copy")
            proxy.setDelay(.zero)
            try trial.onSource("INSERT INTO a VALUES (2, 2); INSERT INTO n VALUES (9000, 'y')")
            try await far.catchUp("--change-rules", "--exclude", n)
            #expect(try trial.onTarget("SELECT COUNT(*) FROM a") == "2\n")
            // What is there of it is not continued.
            let again = try await far.migrate("--change-rules", "--until", "caught-up").end()
            #expect(again.status != 0 && again.text.contains("target tables are not empty"))
            #expect(trial.phase == "follow")
            try trial.onTarget("DROP TABLE n")
            try await far.catchUp("--change-rules")
            try await trial.expectEqual()
        }

        @Test("what can't be copied is refused before anything changes")
        func refused() async throws {
            let trial = try await Trial(
                .mariadb, "addedno",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY); CREATE TABLE a (id INT PRIMARY KEY);
                CREATE TABLE n (id INT PRIMARY KEY); INSERT INTO n VALUES (1);
                CREATE TABLE m (id INT PRIMARY KEY) ENGINE=MyISAM; INSERT INTO m VALUES (1);
                CREATE TABLE child (id INT PRIMARY KEY, a INT,
                    FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE);
                """)
            let (n, m) = ("\(trial.schema).n", "\(trial.schema).m")
            func expectRefusal(_ text: String, _ more: String...) async throws {
                let out = try await SkeinProcess(
                    trial.arguments(["--change-rules", "--until", "caught-up"] + more)
                ).end()
                #expect(out.status != 0 && out.text.contains(text), "\(out.text)")
                #expect(trial.phase == "follow")
            }
            try await trial.catchUp("--exclude", n, "--exclude", m)
            // What goes with rows of a parent that nobody follows the binlog does not tell.
            try await expectRefusal(
                "foreign-keys", "--exclude", n, "--exclude", m, "--exclude", "\(trial.schema).a")
            try await expectRefusal("engines", "--exclude", n)
            try await expectRefusal("no rows are copied", "--exclude", m, "--mode", "incremental")
            try trial.onTarget("CREATE TABLE n (id INT PRIMARY KEY, other INT)")
            try await expectRefusal("target-tables", "--exclude", m)
            try trial.onTarget("DROP TABLE n; CREATE TABLE n (id INT PRIMARY KEY)")
            try trial.onTarget("INSERT INTO n VALUES (1)")
            try await expectRefusal("target-tables", "--exclude", m)
            // One that left may have rows of before among those that were there.
            try trial.onTarget("TRUNCATE n")
            try await trial.catchUp("--change-rules", "--exclude", m)
            try await trial.catchUp("--change-rules", "--exclude", m, "--exclude", n)
            try trial.onSource("DELETE FROM n")
            try await expectRefusal("rows of before", "--exclude", m, "--into-existing")
            try trial.onTarget("TRUNCATE n")
            try await trial.catchUp("--change-rules", "--exclude", m)
            try trial.onSource("INSERT INTO n VALUES (5)")
            try await trial.catchUp("--exclude", m)
            #expect(try trial.onTarget("SELECT id FROM n") == "5\n")
            // A row that stays behind would keep its parent from going.
            let child = "\(trial.schema).child"
            try trial.onSource("INSERT INTO a VALUES (1); INSERT INTO child VALUES (1, 1)")
            try await trial.catchUp("--exclude", m)
            try await expectRefusal(
                "ties it to what is followed", "--exclude", m, "--exclude", child)
            try trial.onTarget("ALTER TABLE child DROP FOREIGN KEY child_ibfk_1")
            try await trial.catchUp("--change-rules", "--exclude", m, "--exclude", child)
            // Nor is one that is created later gone on with over what lies there.
            try trial.onSource("DROP TABLE child; DELETE FROM a")
            try await expectRefusal("when it is created", "--exclude", m)
            try trial.onTarget("DROP TABLE child")
            try await trial.catchUp("--change-rules", "--exclude", m)
            try trial.onSource(
                "CREATE TABLE child (id INT PRIMARY KEY); INSERT INTO child VALUES (7)")
            try await trial.catchUp("--exclude", m)
            #expect(try trial.onTarget("SELECT id FROM child") == "7\n")
        }
    }
}
