import Foundation
import Glibc
import TestServers
import Testing

extension MigrationTests {
    /// gh-ost and pt-online-schema-change: a table is changed when its copy takes its place.
    @Suite("Online schema changes", .serialized)
    struct OnlineChangeTests {
        /// The tool of Debian's percona-toolkit; said loudly where it is missing.
        private static let tool: String? = {
            let path = "/usr/bin/pt-online-schema-change"
            if access(path, X_OK) == 0 { return path }
            FileHandle.standardError.write(
                Data(
                    "SKIPPED: pt-online-schema-change is missing (scripts/setup test)\n".utf8))
            return nil
        }()

        private static let alters = [
            "ADD COLUMN extra INT NOT NULL DEFAULT 7",
            "MODIFY total DECIMAL(22,5), ADD KEY (placed)",
            "DROP COLUMN extra, ADD COLUMN note VARCHAR(20) DEFAULT 'é' AFTER account",
            "ENGINE=InnoDB", "DROP COLUMN note, MODIFY total DECIMAL(20,4)",
        ]

        /// Starts the tool on the table `orders`.
        private func change(_ trial: Trial, _ alter: String) throws -> SkeinProcess {
            try SkeinProcess(
                [
                    "--no-version-check", "--recursion-method", "none", "--max-load",
                    "Threads_running=1000", "--critical-load", "Threads_running=10000",
                    "--set-vars", "lock_wait_timeout=5,innodb_lock_wait_timeout=5",
                    "--chunk-size", "100", "--chunk-time", "0", "--sleep", "0.01", "--tries",
                    "create_triggers:100:0.2,drop_triggers:100:0.2,copy_rows:1000:0.05,"
                        + "swap_tables:100:0.2",
                    "--no-check-unique-key-change", "--no-check-alter", "--alter", alter,
                    "--execute",
                    "h=127.0.0.1,P=\(trial.source.port),u=\(TestServer.user),"
                        + "p=\(TestServer.password),D=\(trial.schema),t=orders",
                ], program: try #require(Self.tool))
        }

        /// What a run that was killed leaves on the source: its triggers write the copy on.
        private func clear(_ trial: Trial) throws {
            for event in ["ins", "upd", "del"] {
                try trial.onSource(
                    "DROP TRIGGER IF EXISTS pt_osc_\(trial.schema)_orders_\(event)")
            }
        }

        private func drop(_ trial: Trial) throws {
            let tables = try trial.source.sql(
                "SHOW TABLES LIKE '\\_%orders\\_%'", database: trial.schema)
            for table in tables.split(separator: "\n") { try trial.onSource("DROP TABLE \(table)") }
        }

        /// That no table of a tool came to the target, and the changes did.
        private func expectFollowed(_ trial: Trial) throws {
            let tables = try trial.target.sql("SHOW TABLES", database: trial.schema)
            #expect(!tables.contains("_orders"), "\(tables)")
        }

        @Test(
            "pt-online-schema-change under load, killed and started again, and skein too",
            .enabled(if: OnlineChangeTests.tool != nil))
        func percona() async throws {
            let seed = Dice.seed("percona")
            var dice = Dice(seed: seed)
            let trial = try await Trial(.mariadb, "ptosc", Shop.schema())
            var skein = try trial.migrate("--online-ddl")
            try await trial.copied(skein)
            let load = Load(
                trial.source, schema: trial.schema, seed: seed, pause: .milliseconds(4), Shop.step)
            for (round, alter) in Self.alters.enumerated() {
                // The first tries are killed at any instant.
                for _ in 0..<(round < 2 ? 2 : 0) {
                    let broken = try change(trial, alter)
                    try await Task.sleep(for: .milliseconds(300 + dice.roll(700)))
                    let wasRunning = broken.kill()
                    if !wasRunning { break }
                    try clear(trial)
                    skein.kill()
                    skein = try trial.migrate("--online-ddl")
                }
                let whole = try change(trial, alter)
                var kills = 0
                let deadline = ContinuousClock.now + .seconds(120)
                while whole.status == nil {
                    guard ContinuousClock.now < deadline else {
                        throw Overdue("the tool: \(whole.text)")
                    }
                    try await Task.sleep(for: .milliseconds(100 + dice.roll(900)))
                    guard kills < 3 else { continue }
                    kills += 1
                    #expect(skein.kill(), "\(skein.text)")
                    skein = try trial.migrate("--online-ddl")
                }
                // A killed try may have come to its end after all.
                let isDone =
                    whole.status == 0 || whole.text.contains("Duplicate column")
                    || whole.text.contains("Can't DROP")
                #expect(isDone, "\(whole.text)")
                try await load.more(30)
            }
            try await load.stop()
            try clear(trial)
            try drop(trial)
            try await trial.applied(skein)
            try expectFollowed(trial)
            skein.kill()
            try await trial.catchUp("--online-ddl")
            try await trial.expectEqual()
            let shown = try trial.target.sql("SHOW CREATE TABLE orders", database: trial.schema)
            #expect(shown.contains("KEY `placed`"), "\(shown)")
        }

        /// What gh-ost writes: its copy is filled by its own statements, not by triggers.
        private func ghost(_ trial: Trial, _ alter: String, atomic: Bool) throws {
            let columns = "id, account, total, state, placed"
            try trial.onSource(
                """
                DROP TABLE IF EXISTS `\(trial.schema)`.`_orders_gho`;
                DROP TABLE IF EXISTS `\(trial.schema)`.`_orders_del`;
                DROP TABLE IF EXISTS `\(trial.schema)`.`_orders_ghc`;
                create /* gh-ost */ table `\(trial.schema)`.`_orders_ghc` (
                    id bigint auto_increment, last_update timestamp not null
                        DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
                    hint varchar(64) charset ascii not null, value varchar(4096) charset ascii not null,
                    primary key(id), unique key hint_uidx(hint)) auto_increment=256;
                create /* gh-ost */ table `\(trial.schema)`.`_orders_gho` like `\(trial.schema)`.`orders`;
                alter /* gh-ost */ table `\(trial.schema)`.`_orders_gho` \(alter);
                insert /* gh-ost */ into `\(trial.schema)`.`_orders_ghc` (id, hint, value)
                    values (NULLIF(2, 0), 'state', 'GhostTableMigrated');
                """)
            try trial.onSource(
                """
                LOCK TABLES orders WRITE, _orders_gho WRITE;
                insert ignore into _orders_gho (\(columns)) select \(columns) from orders;
                UNLOCK TABLES
                """)
            let swap =
                atomic
                ? """
                create /* gh-ost */ table _orders_del (id int auto_increment primary key);
                drop /* gh-ost */ table if exists _orders_del;
                rename /* gh-ost */ table orders to _orders_del, _orders_gho to orders;
                """
                : """
                alter /* gh-ost */ table orders rename _orders_del;
                alter /* gh-ost */ table _orders_gho rename orders;
                """
            try trial.onSource(
                "\(swap) drop /* gh-ost */ table if exists _orders_ghc, _orders_del;")
        }

        @Test("gh-ost's statements, with either of its swaps, and skein killed between them")
        func ghost() async throws {
            let trial = try await Trial(.mariadb, "ghost", Shop.schema())
            var skein = try trial.migrate("--online-ddl")
            try await trial.copied(skein)
            for (i, alter) in Self.alters.enumerated() {
                try ghost(trial, alter, atomic: i % 2 == 0)
                skein.kill()
                skein = try trial.migrate("--online-ddl")
                try trial.onSource(
                    "INSERT INTO orders (account, total) VALUES (\(i), 5), (\(i), 6);"
                        + "UPDATE orders SET total=total+1 WHERE id%7=\(i)")
            }
            // One that is given up, and one whose table comes back.
            try trial.onSource(
                """
                CREATE TABLE _orders_gho LIKE orders; ALTER TABLE _orders_gho DROP COLUMN total;
                DROP TABLE _orders_gho; RENAME TABLE orders TO _orders_del;
                RENAME TABLE _orders_del TO orders; DELETE FROM orders WHERE id%5=0
                """)
            try await trial.applied(skein)
            try expectFollowed(trial)
            skein.kill()
            try await trial.catchUp("--online-ddl")
            try await trial.expectEqual()
        }

        @Test("a swap while the table is copied has it copied again, and never in part")
        func duringCopy() async throws {
            var trial = try await Trial(.mariadb, "swapcopy", Shop.schema(rows: 5000))
            // The copy of the table has half of its rows when the copy of all begins.
            try trial.onSource(
                """
                CREATE TABLE _orders_gho LIKE orders;
                INSERT INTO _orders_gho SELECT * FROM orders WHERE id%2=0
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            proxy.setDelay(.milliseconds(10))
            let skein = try trial.migrate("--online-ddl", "--chunk-rows", "50", "--readers", "1")
            try await skein.waiting(for: "some chunks") {
                let chunks = try? trial.target.sql(
                    "SELECT COUNT(*) FROM \(trial.meta).chunk WHERE table_name='orders'")
                return (chunks.flatMap { Int($0.dropLast()) } ?? 0) >= 2
            }
            try trial.onSource(
                """
                INSERT INTO _orders_gho SELECT * FROM orders WHERE id%2=1;
                RENAME TABLE orders TO _orders_del, _orders_gho TO orders; DROP TABLE _orders_del;
                INSERT INTO orders (account) VALUES (1)
                """)
            #expect(trial.phase == "copy", "the swap came too late for this test")
            proxy.setDelay(.zero)
            try await trial.applied(skein)
            skein.kill()
            try await trial.catchUp("--online-ddl")
            try await trial.expectEqual()
        }

        @Test("a swap that began before the migration stops it with a code and what to do")
        func unknown() async throws {
            let trial = try await Trial(.mariadb, "oscunknown", Shop.schema(rows: 100))
            try trial.onSource("CREATE TABLE _orders_gho LIKE orders")
            let skein = try trial.migrate("--online-ddl")
            try await trial.copied(skein)
            try trial.onSource(
                """
                ALTER TABLE _orders_gho ADD x INT;
                RENAME TABLE orders TO _orders_del, _orders_gho TO orders
                """)
            let outcome = try await skein.end()
            #expect(outcome.status != 0)
            #expect(outcome.text.contains("apply.online-ddl"), "\(outcome.text)")
            #expect(outcome.text.contains("--fresh"))
        }
    }
}
