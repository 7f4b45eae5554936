import MySQLClient
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

        private func eventually(_ what: String, _ condition: () throws -> Bool) async throws {
            let deadline = ContinuousClock.now + .seconds(60)
            while try !condition() {
                try #require(ContinuousClock.now < deadline, "it did not come: \(what)")
                try await Task.sleep(for: .milliseconds(50))
            }
        }

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

        @Test(
            "what is refused is taken back before an event has run, and the migration can go on",
            arguments: Pair.sameFamily)
        func refused(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "refused",
                Self.tables + """
                    CREATE TABLE ticks (id INT AUTO_INCREMENT PRIMARY KEY);
                    CREATE TRIGGER twice AFTER INSERT ON t FOR EACH ROW SET @n = 1;
                    CREATE EVENT a_tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO ticks VALUES ();
                    CREATE EVENT b_off ON SCHEDULE EVERY 1 SECOND DISABLE DO DELETE FROM t;
                    CREATE EVENT was ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id=0;
                    CREATE EVENT zero ON SCHEDULE AT '2038-01-01 00:00:00' DO DELETE FROM t;
                    """)
            // What the source does by them is not what is tested.
            try trial.source.sql("SET GLOBAL event_scheduler=OFF")
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.stop(skein)
            // Somebody's own, which the pre-check asks to be disabled.
            try trial.onTarget(
                """
                SET GLOBAL event_scheduler=ON;
                SET SESSION sql_mode='ANSI_QUOTES';
                CREATE DEFINER=own@localhost EVENT was ON SCHEDULE EVERY 1 DAY DISABLE DO SET @n = 1;
                """)
            defer { _ = try? trial.target.sql("SET GLOBAL event_scheduler=OFF") }
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            var refusing = trial
            refusing.targetURL = proxy.url
            // "zero" comes when all others are there, and takes the name while it is created.
            let held = proxy.holdNext(.toServer, matching: "EVENT `zero`", closingClient: false)
            let finishing = try refusing.migrate("--finish", "--until", "caught-up")
            try await held.caught()
            try trial.onTarget(
                "CREATE EVENT zero ON SCHEDULE AT '2038-01-01 00:00:00' DISABLE DO SET @n = 1")
            // Time enough for an event to run, were it enabled.
            try await Task.sleep(for: .seconds(2))
            held.deliver()
            var outcome = try await finishing.end()
            #expect(outcome.status != 0)
            #expect(outcome.text.contains("event"), "\(outcome.text)")
            #expect(trial.phase == "follow")
            #expect(try trial.onTarget("SHOW TRIGGERS") == "")
            let count = "SELECT COUNT(*) FROM ticks"
            #expect(try trial.onTarget(count) == trial.onSource(count))
            let left = try trial.onTarget(
                "SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS "
                    + "WHERE EVENT_SCHEMA=DATABASE() ORDER BY 1")
            #expect(left == "was\tDISABLED\nzero\tDISABLED\n")
            // Doubled once, by the source.
            try trial.onSource("INSERT INTO t (v) VALUES (50)")
            try await trial.catchUp()
            #expect(try trial.onTarget("SELECT v FROM t ORDER BY id DESC LIMIT 1") == "100\n")
            outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SHOW TRIGGERS").contains("twice"))
            let enabled = try trial.onTarget(
                "SELECT EVENT_NAME, STATUS, EVENT_NAME='was' AND DEFINER='own@localhost' "
                    + "AND SQL_MODE='ANSI_QUOTES' FROM information_schema.EVENTS "
                    + "WHERE EVENT_SCHEMA=DATABASE() ORDER BY 1")
            #expect(
                enabled == "a_tick\tENABLED\t0\nb_off\tDISABLED\t0\nwas\tENABLED\t1\n"
                    + "zero\tENABLED\t0\n")
            try await eventually("the event runs") {
                try trial.onTarget(count) != trial.onSource(count)
            }
        }

        @Test("two that finish at once do not undo each other")
        func twice() async throws {
            let trial = try await Trial(.mariadb, "both", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.stop(skein)
            // The first one's CREATE TRIGGER waits for the table.
            let holder = try trial.target.connect(trial.schema)
            try holder.execute("LOCK TABLES t READ")
            let first = try trial.migrate("--finish", "--until", "caught-up")
            try await eventually("the trigger waits") {
                try trial.target.sql(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                        + "WHERE INFO LIKE '%TRIGGER doubled%' AND STATE LIKE 'Waiting%'") == "1\n"
            }
            let second = try trial.migrate("--finish", "--until", "caught-up", "--no-relay")
            try await eventually("the second one waits, too") {
                try trial.target.sql(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                        + "WHERE INFO LIKE 'SELECT GET_LOCK%'") == "1\n"
            }
            try holder.execute("UNLOCK TABLES")
            #expect(try await first.end().status == 4)
            let outcome = try await second.end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(trial.phase == "finished")
            #expect(try trial.onTarget("SHOW TRIGGERS").contains("doubled"))
        }

        @Test("another trigger of that name is named, and stays")
        func another() async throws {
            let trial = try await Trial(.mariadb, "another", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.stop(skein)
            try trial.onTarget(
                """
                CREATE TABLE other (id INT PRIMARY KEY);
                CREATE TRIGGER doubled BEFORE INSERT ON other FOR EACH ROW SET @n = 2;
                """)
            var outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status == 1)
            #expect(
                outcome.text.contains("trigger \(trial.schema).doubled")
                    && outcome.text.contains(
                        "before insert on \(trial.schema).other"),
                "\(outcome.text)")
            #expect(trial.phase == "follow")
            #expect(try trial.onTarget("SHOW TRIGGERS").contains("other"))
            try trial.onTarget("DROP TRIGGER doubled")
            outcome = try await trial.migrate("--finish", "--until", "caught-up").end()
            #expect(outcome.status == 0, "\(outcome.text)")
        }

        @Test(
            "nothing is applied once a trigger may be there; --finish goes on",
            arguments: [("finishing", "enabling"), ("enabling", "finished")])
        func interrupted(phase: String, next: String) async throws {
            var trial = try await Trial(
                .mariadb, "interrupted",
                Self.tables + "CREATE TRIGGER mine AFTER INSERT ON t FOR EACH ROW SET @n = 1;")
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.stop(skein)
            // Somebody's own where the source has one: it is not to be taken back.
            try trial.onTarget("CREATE TRIGGER mine AFTER INSERT ON t FOR EACH ROW SET @n = 2")
            func ours() throws -> String {
                try trial.target.sql(
                    "SELECT table_name FROM \(trial.meta).object WHERE kind='trigger'")
            }
            trial.targetURL = proxy.url
            let word = next.utf8.map { String($0, radix: 16, uppercase: true) }.joined()
            let held = proxy.holdNext(.toServer, matching: word, closingClient: false)
            let finishing = try trial.migrate("--finish", "--until", "caught-up")
            try await held.caught()
            finishing.kill()
            held.drop()
            #expect(trial.phase == phase)
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

        @Test("what another process has finished is not begun again")
        func stale() async throws {
            var trial = try await Trial(.mariadb, "stale", Self.tables)
            let first = try FaultProxy(to: trial.target)
            defer { first.close() }
            let second = try FaultProxy(to: trial.target)
            defer { second.close() }
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.stop(skein)
            let direct = trial
            trial.targetURL = first.url
            let word = "enabling".utf8.map { String($0, radix: 16, uppercase: true) }.joined()
            var held = first.holdNext(.toServer, matching: word, closingClient: false)
            let interrupted = try trial.migrate("--finish", "--until", "caught-up")
            try await held.caught()
            interrupted.kill()
            held.drop()
            #expect(trial.phase == "finishing")
            // It has looked, and takes over when another one is through.
            trial.targetURL = second.url
            held = second.holdNext(.toServer, matching: "FOR UPDATE", closingClient: false)
            let late = try trial.migrate("--finish", "--until", "caught-up", "--no-relay")
            try await held.caught()
            let done = try await direct.migrate("--finish", "--until", "caught-up").end()
            #expect(done.status == 0, "\(done.text)")
            try trial.onTarget("DROP TRIGGER doubled")
            held.deliver()
            let outcome = try await late.end()
            #expect(outcome.status == 1)
            #expect(outcome.text.contains("[migration.finished]"), "\(outcome.text)")
            #expect(trial.phase == "finished")
            #expect(try trial.onTarget("SHOW TRIGGERS") == "")
        }
    }
}
