import TestServers
import Testing

extension MigrationTests {
    /// `--finish`: what the target has, or lacks, when applications move.
    @Suite("The switch-over", .serialized)
    struct FinishTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT);
            INSERT INTO t (v) VALUES (1),(2),(3);
            CREATE TRIGGER doubled BEFORE INSERT ON t FOR EACH ROW SET NEW.v = NEW.v * 2;
            CREATE VIEW seen AS SELECT v FROM t;
            """

        @Test("ids are not given twice", arguments: Pair.sameFamily)
        func counters(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "counters", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try trial.onSource(
                "START TRANSACTION; INSERT INTO t (v) VALUES (4),(5),(6),(7); "
                    + "DELETE FROM t WHERE id > 3; COMMIT")
            try await trial.applied(skein)
            try await trial.stop(skein)
            let outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status == 0, "\(outcome.text)")
            try trial.target.sql("INSERT INTO t (v) VALUES (10)", database: trial.schema)
            #expect(try trial.onTarget("SELECT id, v FROM t ORDER BY id DESC LIMIT 1") == "8\t20\n")
        }

        @Test("a user that does not see triggers can't finish")
        func hiddenTriggers() async throws {
            var trial = try await Trial(.mariadb, "hidden", Self.tables)
            try trial.source.sql(
                """
                CREATE OR REPLACE USER half@'%' IDENTIFIED BY '\(TestServer.password)';
                GRANT REPLICATION SLAVE, BINLOG MONITOR, REPLICATION SLAVE ADMIN, RELOAD ON *.* TO half@'%';
                GRANT SELECT, SHOW VIEW ON `\(trial.schema)`.* TO half@'%';
                """)
            trial.sourceURL = "mysql://half@127.0.0.1:\(trial.source.port)"
            var outcome = try await trial.migrate("--until", "caught-up").end()
            #expect(outcome.status == 0, "\(outcome.text)")
            outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status != 0)
            #expect(outcome.text.contains("trigger-privileges"), "\(outcome.text)")
            try trial.source.sql("GRANT TRIGGER, EVENT ON `\(trial.schema)`.* TO half@'%'")
            outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SHOW TRIGGERS").hasPrefix("doubled"))
        }

        @Test("a view that the target lacks is named, and a schema's views go with it")
        func views() async throws {
            let trial = try await Trial(.mariadb, "views", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            try await trial.stop(skein)
            try trial.onTarget("DROP VIEW seen")
            let outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status != 0)
            #expect(outcome.text.contains("\(trial.schema).seen"), "\(outcome.text)")
        }

        @Test("DROP DATABASE takes views and routines along, and they come again as they are then")
        func dropSchema() async throws {
            let trial = try await Trial(.mariadb, "dropped", Self.tables)
            let name = "`\(trial.schema)`"
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            try trial.source.sql(
                """
                DROP DATABASE \(name); CREATE DATABASE \(name); USE \(name);
                CREATE TABLE marker (id BIGINT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY, w INT);
                INSERT INTO t VALUES (1,9); CREATE VIEW seen AS SELECT w FROM t;
                """)
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(try trial.onTarget("SELECT * FROM seen") == "9\n")
            try await trial.expectEqual()
        }

        @Test("a table that goes while it is copied is not left behind")
        func orphans() async throws {
            var trial = try await Trial(
                .mariadb, "orphans",
                Self.tables + "CREATE TABLE gone (id INT PRIMARY KEY); INSERT INTO gone VALUES (1);"
            )
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            proxy.setDelay(.milliseconds(10))
            let skein = try trial.migrate()
            try await skein.waiting(for: "the table") {
                (try? trial.onTarget("SHOW TABLES LIKE 'gone'")) == "gone\n"
            }
            skein.kill()
            guard trial.phase == "copy" else { return }
            try trial.onSource("DROP TABLE gone")
            proxy.setDelay(.zero)
            try await trial.catchUp()
            #expect(try trial.onTarget("SHOW TABLES LIKE 'gone'") == "")
            try trial.onSource("CREATE TABLE gone (id INT PRIMARY KEY, v INT)")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("what is refused is taken back, and the migration can go on")
        func refused() async throws {
            let trial = try await Trial(
                .mariadb, "refused",
                Self.tables + """
                    CREATE TRIGGER twice AFTER INSERT ON t FOR EACH ROW SET @n = 1;
                    CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id=0;
                    """)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.stop(skein)
            // Somebody's own trigger on another table has the second one's name.
            try trial.onTarget(
                """
                CREATE TABLE other (id INT PRIMARY KEY);
                SET GLOBAL log_bin_trust_function_creators=1;
                """)
            try trial.target.sql(
                """
                CREATE OR REPLACE USER few@'%' IDENTIFIED BY '\(TestServer.password)';
                GRANT ALL ON `\(trial.schema)`.* TO few@'%'; GRANT ALL ON `\(trial.meta)`.* TO few@'%';
                REVOKE EVENT ON `\(trial.schema)`.* FROM few@'%';
                GRANT CONNECTION ADMIN, SET USER, PROCESS, BINLOG ADMIN ON *.* TO few@'%';
                """)
            var weak = trial
            weak.targetURL = "mysql://few@127.0.0.1:\(trial.target.port)"
            var outcome = try await weak.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status != 0)
            #expect(outcome.text.contains("event"), "\(outcome.text)")
            #expect(trial.phase == "follow")
            #expect(try trial.onTarget("SHOW TRIGGERS") == "")
            // Doubled once, by the source.
            try trial.onSource("INSERT INTO t (v) VALUES (50)")
            try await trial.catchUp()
            #expect(try trial.onTarget("SELECT v FROM t ORDER BY id DESC LIMIT 1") == "100\n")
            outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SHOW TRIGGERS").contains("twice"))
        }

        @Test("nothing is applied once a trigger may be there; --finish goes on")
        func interrupted() async throws {
            var trial = try await Trial(
                .mariadb, "interrupted",
                Self.tables + "CREATE TRIGGER mine AFTER INSERT ON t FOR EACH ROW SET @n = 1;")
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.stop(skein)
            // Somebody's own under the name of one of the source's: it is not to be taken back.
            try trial.onTarget(
                """
                CREATE TABLE other (id INT PRIMARY KEY);
                CREATE TRIGGER mine BEFORE INSERT ON other FOR EACH ROW SET @n = 2;
                """)
            func ours() throws -> String {
                try trial.target.sql(
                    "SELECT table_name FROM \(trial.meta).object WHERE kind='trigger'")
            }
            trial.targetURL = proxy.url
            let held = proxy.holdNext(.toServer, matching: "66696E6973686564", closingClient: false)
            let finishing = try trial.migrate("--finish", "--until", "caught-up")
            try await held.caught()
            finishing.kill()
            held.drop()
            #expect(trial.phase == "finishing")
            #expect(try trial.onTarget("SHOW TRIGGERS").contains("doubled"))
            #expect(try ours() == "doubled\n")
            try trial.onSource("INSERT INTO t (v) VALUES (50)")
            var outcome = try await trial.migrate("--until", "caught-up").end()
            #expect(outcome.status == 1)
            #expect(outcome.text.contains("migration.finishing"), "\(outcome.text)")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "3\n")
            outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(trial.phase == "finished")
            #expect(try ours() == "doubled\n")
        }
    }
}
