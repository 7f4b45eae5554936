import TestServers
import Testing

extension MigrationTests {
    /// Views and routines of which the target refuses a statement while it is followed.
    @Suite("What the target refuses of views and routines", .serialized)
    struct RefusedObjectTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE t (id INT PRIMARY KEY, v INT);
            INSERT INTO t VALUES (1,10),(2,20);
            CREATE VIEW seen AS SELECT v FROM t;
            CREATE VIEW other AS SELECT v FROM t;
            CREATE VIEW above AS SELECT v FROM seen;
            CREATE PROCEDURE p() SELECT 1;
            """

        /// A trial whose source also has `far` in a schema that is not migrated.
        private func trial(_ pair: Pair, _ label: String) async throws -> Trial {
            let trial = try await Trial(pair, label, Self.tables)
            try trial.source.sql(Self.far(trial))
            try trial.target.sql("DROP DATABASE IF EXISTS \(trial.schema)_x")
            return trial
        }

        private static func far(_ trial: Trial) -> String {
            """
            DROP DATABASE IF EXISTS \(trial.schema)_x; CREATE DATABASE \(trial.schema)_x;
            CREATE TABLE \(trial.schema)_x.far (n INT); INSERT INTO \(trial.schema)_x.far VALUES (7);
            """
        }

        private func records(_ trial: Trial) throws -> String {
            try trial.target.sql(
                "SELECT kind, table_name FROM \(trial.meta).object WHERE kind LIKE 'stale.%' "
                    + "ORDER BY 1, 2")
        }

        private func finish(_ trial: Trial) async throws -> SkeinProcess.Outcome {
            try await trial.migrate("--finish", "--until", "caught-up").end()
        }

        @Test("a view is what it is on the source, or the switch-over says which is not")
        func view() async throws {
            let trial = try await trial(.mariadb, "stale")
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try trial.onSource(
                """
                CREATE OR REPLACE VIEW seen AS SELECT n AS v FROM \(trial.schema)_x.far;
                ALTER VIEW other AS SELECT n AS v FROM \(trial.schema)_x.far
                """)
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(try records(trial) == "stale.view\tother\nstale.view\tseen\n")
            var outcome = try await finish(trial)
            #expect(outcome.status == 1)
            #expect(outcome.text.contains("[migration.object]"), "\(outcome.text)")
            #expect(outcome.text.contains("view \(trial.schema).other"), "\(outcome.text)")
            #expect(outcome.text.contains("2 in all"), "\(outcome.text)")
            // Nothing was begun, and nothing is worse than it was.
            #expect(trial.phase == "follow")
            #expect(try trial.onTarget("SELECT * FROM seen") == "10\n20\n")
            try trial.onSource("INSERT INTO t VALUES (3,30)")
            try await trial.catchUp()
            #expect(try trial.onTarget("SELECT COUNT(*) FROM seen") == "3\n")
            // The reason goes for one, and somebody makes the other one by hand.
            try trial.target.sql(Self.far(trial))
            try trial.onTarget("CREATE OR REPLACE VIEW other AS SELECT 8 AS v")
            outcome = try await finish(trial)
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SELECT * FROM seen") == "7\n")
            #expect(try trial.onTarget("SELECT * FROM above") == "7\n")
            #expect(try trial.onTarget("SELECT * FROM other") == "8\n")
            #expect(try records(trial) == "")
        }

        @Test(
            "a procedure that the other family's words make is created in its own",
            arguments: [Pair(source: .mariadb, target: .mysql)].filter(\.isAvailable))
        func procedure(_ pair: Pair) async throws {
            let trial = try await trial(pair, "staleproc")
            let skein = try trial.migrate()
            try await trial.copied(skein)
            // MySQL has no OR REPLACE for routines; COMMENT leaves the body as it is.
            try trial.onSource(
                "CREATE OR REPLACE PROCEDURE p() SELECT 2; ALTER PROCEDURE p COMMENT 'two'")
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(try trial.onTarget("CALL p()") == "1\n")
            #expect(try records(trial) == "stale.procedure\tp\n")
            let outcome = try await finish(trial)
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("CALL p()") == "2\n")
        }

        @Test(
            "rules that select a routine by its case know it as the source spells it",
            arguments: [Pair(source: .mariadb, target: .mysql)].filter(\.isAvailable))
        func spelled(_ pair: Pair) async throws {
            let trial = try await trial(pair, "stalecase")
            try trial.onSource("CREATE PROCEDURE GetOne() SELECT 1")
            func run(_ more: String...) async throws -> SkeinProcess.Outcome {
                var arguments = trial.arguments(["--until", "caught-up"] + more)
                let selection = try #require(arguments.firstIndex(of: "\(trial.schema).*"))
                arguments.replaceSubrange(
                    selection...selection,
                    with: ["\(trial.schema).t", "--tables", "\(trial.schema).Get*"])
                return try await SkeinProcess(arguments).end()
            }
            #expect(try await run().status == 0)
            #expect(try trial.onTarget("CALL GetOne()") == "1\n")
            try trial.onSource(
                "CREATE OR REPLACE PROCEDURE GetOne() SELECT 2; INSERT INTO t VALUES (9,9)")
            #expect(try await run().status == 0)
            #expect(try trial.onTarget("CALL GetOne()") == "1\n")
            let outcome = try await run("--finish")
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("CALL GetOne()") == "2\n")
        }

        @Test("what is refused is known after a kill before it was, and until it is taken")
        func killed() async throws {
            let trial = try await trial(.mariadb, "stalekill")
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            var slow = trial
            slow.targetURL = proxy.url
            let skein = try slow.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            let held = proxy.holdNext(
                .toServer, matching: "DELETE FROM `\(trial.meta)`.`ddl`", closingClient: false)
            try trial.onSource(
                "CREATE OR REPLACE VIEW seen AS SELECT n AS v FROM \(trial.schema)_x.far")
            try await held.caught()
            skein.kill()
            held.drop()
            #expect(try records(trial) == "")
            #expect(
                try trial.target.sql("SELECT COUNT(*) FROM \(trial.meta).ddl") == "1\n")
            try await trial.catchUp()
            #expect(try records(trial) == "stale.view\tseen\n")
            // It is told again by every run, and gone when a statement for it has run.
            let next = try trial.migrate()
            try await next.waiting(for: "the warning") {
                next.text.contains("view \(trial.schema).seen need")
            }
            try trial.onSource("CREATE OR REPLACE VIEW seen AS SELECT v + 1 AS v FROM t")
            try await trial.applied(next)
            try await trial.stop(next)
            #expect(try records(trial) == "")
            #expect(try trial.onTarget("SELECT * FROM seen") == "11\n21\n")
        }

        @Test("a view that gets another name is known by that one")
        func renamed() async throws {
            let trial = try await trial(.mariadb, "stalename")
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try trial.onSource(
                """
                DROP VIEW above;
                CREATE OR REPLACE VIEW seen AS SELECT n AS v FROM \(trial.schema)_x.far;
                RENAME TABLE seen TO viewed
                """)
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(try trial.onTarget("SELECT * FROM viewed") == "10\n20\n")
            #expect(try records(trial) == "stale.view\tviewed\n")
            try trial.target.sql(Self.far(trial))
            let outcome = try await finish(trial)
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SELECT * FROM viewed") == "7\n")
        }

        @Test("what the source has dropped goes from the target, too")
        func dropped() async throws {
            let trial = try await trial(.mariadb, "staledrop")
            let skein = try trial.migrate()
            try await trial.copied(skein)
            // The target's other does not exist, so that its DROP is refused.
            try trial.onTarget("DROP VIEW other; CREATE TABLE other (id INT)")
            try trial.onSource(
                """
                CREATE OR REPLACE VIEW seen AS SELECT n AS v FROM \(trial.schema)_x.far;
                DROP VIEW other
                """)
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(try records(trial) == "stale.view\tother\nstale.view\tseen\n")
            try trial.onSource("DROP VIEW above")
            try trial.source.sql("DROP VIEW \(trial.schema).seen")
            try await trial.catchUp()
            let outcome = try await finish(trial)
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(
                try trial.onTarget("SHOW FULL TABLES WHERE Table_type='VIEW'") == "")
            #expect(try trial.onTarget("SHOW TABLES LIKE 'other'") == "other\n")
        }
    }
}
