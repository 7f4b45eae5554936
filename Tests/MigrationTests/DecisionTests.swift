import Foundation
import TestServers
import Testing

extension MigrationTests {
    /// A statement that the target refuses, and what an operator says about it.
    @Suite("Decisions about statements", .serialized)
    struct DecisionTests {
        /// Runs `skein task ddl`, and returns what it prints.
        private func ddl(
            _ trial: Trial, _ arguments: String..., status: Int32 = 0,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> String {
            try await ddl(trial, arguments, status: status, sourceLocation: sourceLocation)
        }

        private func ddl(
            _ trial: Trial, _ arguments: [String], status: Int32 = 0,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> String {
            let command =
                ["task", "ddl"] + arguments + [
                    "--target", trial.targetURL, "--target-tls", "disabled", "--name",
                    trial.schema, "--source-id", "source", "--meta-schema", trial.meta, "--json",
                ]
            let outcome = try await SkeinProcess(command).end()
            #expect(outcome.status == status, "\(outcome.text)", sourceLocation: sourceLocation)
            return outcome.text
        }

        /// A migration that follows, and has stopped at a statement that the target refuses.
        private func stopped(_ label: String, _ sql: String, target: String) async throws -> Trial {
            let trial = try await Trial(
                .mariadb, label,
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE items (id INT PRIMARY KEY, a INT);
                INSERT INTO items VALUES (1,1),(2,2),(3,3)
                """)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            try trial.onTarget(target)
            try trial.onSource(sql)
            try trial.onSource("INSERT INTO items (id, a) VALUES (4,4)")
            try await expectStop(skein)
            return trial
        }

        private func expectStop(_ skein: SkeinProcess) async throws {
            let outcome = try await skein.end()
            #expect(outcome.status == 1)
            #expect(outcome.text.contains("apply.ddl-refused"), "\(outcome.text)")
            #expect(outcome.text.contains("The statement: ALTER TABLE items"), "\(outcome.text)")
        }

        /// Goes on, with a few kills at any instant, until all is applied.
        private func goOn(_ trial: Trial, _ label: String) async throws {
            var dice = Dice(seed: Dice.seed(label))
            for _ in 0..<5 {
                let skein = try trial.migrate()
                try await Task.sleep(for: .milliseconds(100 + dice.roll(700)))
                skein.kill()
            }
            let skein = try trial.migrate()
            try await trial.applied(skein)
            try await trial.stop(skein)
            let left = try await ddl(trial, "list")
            #expect(left.contains("\"position\":null"), "\(left)")
        }

        @Test("a statement that the target refuses is skipped, once, through kills")
        func skip() async throws {
            let trial = try await stopped(
                "ddlskip", "ALTER TABLE items ADD COLUMN c INT DEFAULT 5",
                target: "ALTER TABLE items ADD COLUMN c INT DEFAULT 5")
            let shown = try await ddl(trial, "list")
            #expect(shown.contains("ADD COLUMN c INT") && shown.contains("1060"), "\(shown)")
            #expect(shown.contains("\"decision\":null"))
            // A decision that is taken back is none.
            _ = try await ddl(trial, "skip")
            #expect(try await ddl(trial, "list").contains("\"decision\":\"skip\""))
            _ = try await ddl(trial, "revert")
            try await expectStop(try trial.migrate())
            _ = try await ddl(trial, "skip")
            try await goOn(trial, "ddlskip")
            try await trial.expectEqual()
            _ = try await ddl(trial, "skip", status: 1)
        }

        @Test("other statements run in its place, once, through kills")
        func replace() async throws {
            let trial = try await stopped(
                "ddlreplace", "ALTER TABLE items ADD COLUMN c INT DEFAULT 5, ADD COLUMN d INT",
                target: "ALTER TABLE items ADD COLUMN c INT DEFAULT 5")
            _ = try await ddl(
                trial, "replace", "ALTER TABLE \(trial.schema).items ADD COLUMN d INT",
                "ALTER TABLE \(trial.schema).items ADD COLUMN own INT DEFAULT 9")
            try await goOn(trial, "ddlreplace")
            let columns = try trial.onTarget("SHOW COLUMNS FROM items")
            #expect(
                columns.split(separator: "\n").map { $0.split(separator: "\t")[0] }
                    == ["id", "a", "c", "d", "own"], "\(columns)")
            #expect(try trial.onTarget("SELECT c, own FROM items WHERE id=4") == "5\t9\n")
        }

        @Test("what has run can't be decided about, however it came out")
        func hasRun() async throws {
            let trial = try await Trial(
                .mariadb, "ddlhasrun",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE items (id INT PRIMARY KEY, a INT);
                INSERT INTO items VALUES (1,1),(2,2),(3,3)
                """)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            // The statement runs and changes nothing: the tables are not equal behind it.
            try trial.onTarget("ALTER TABLE items ADD COLUMN c VARCHAR(9) DEFAULT '5'")
            try trial.onSource(
                """
                ALTER TABLE items ADD COLUMN IF NOT EXISTS c INT DEFAULT 5;
                INSERT INTO items (id, a) VALUES (4,4)
                """)
            func expectStop(_ skein: SkeinProcess) async throws {
                let outcome = try await skein.end()
                #expect(outcome.status == 1)
                #expect(outcome.text.contains("another table on the target"), "\(outcome.text)")
            }
            try await expectStop(skein)
            let drop = "ALTER TABLE \(trial.schema).items DROP COLUMN c"
            for arguments in [["skip"], ["replace", drop], ["inject", drop]] {
                let said = try await ddl(trial, arguments, status: 1)
                #expect(said.contains("has run"), "\(said)")
            }
            try await expectStop(try trial.migrate())
            _ = try await ddl(trial, ["skip"], status: 1)
            try trial.onTarget("ALTER TABLE items MODIFY COLUMN c INT DEFAULT 5")
            try await goOn(trial, "ddlhasrun")
            try await trial.expectEqual()
        }

        @Test("other statements run behind it, once, through kills")
        func inject() async throws {
            let trial = try await stopped(
                "ddlinject", "ALTER TABLE items ADD COLUMN c INT DEFAULT 5",
                target: "ALTER TABLE items ADD COLUMN c INT DEFAULT 7")
            _ = try await ddl(
                trial, "inject", "ALTER TABLE \(trial.schema).items ADD COLUMN own INT DEFAULT 9")
            // It is still refused; then the reason goes.
            try await expectStop(try trial.migrate())
            try trial.onTarget("ALTER TABLE items DROP COLUMN c")
            try await goOn(trial, "ddlinject")
            let columns = try trial.onTarget("SHOW COLUMNS FROM items")
            #expect(
                columns.split(separator: "\n").map { $0.split(separator: "\t")[0] }
                    == ["id", "a", "c", "own"], "\(columns)")
            #expect(try trial.onTarget("SELECT c, own FROM items WHERE id=4") == "5\t9\n")
        }

        /// A migration that follows, of tables that a statement with rows is made of.
        private func following(_ label: String) async throws -> (Trial, SkeinProcess) {
            let trial = try await Trial(
                .mariadb, label,
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE items (id INT PRIMARY KEY, a INT);
                INSERT INTO items VALUES (1,1),(2,2)
                """)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            return (trial, skein)
        }

        @Test("what runs in the place of CREATE TABLE .. SELECT may make another table of its rows")
        func createSelect() async throws {
            let (trial, skein) = try await following("ddlselect")
            try trial.onTarget("CREATE TABLE made (id INT PRIMARY KEY)")
            try trial.onSource(
                "CREATE TABLE made SELECT id, a FROM items; INSERT INTO made VALUES (9,9)")
            #expect(try await skein.end().text.contains("apply.ddl-refused"))
            _ = try await ddl(
                trial, "replace", "ALTER TABLE \(trial.schema).made ADD COLUMN a INT",
                "ALTER TABLE \(trial.schema).made ADD COLUMN own INT DEFAULT 9")
            try await goOn(trial, "ddlselect")
            let rows = try trial.onTarget("SELECT id, a, own FROM made ORDER BY id")
            #expect(rows == "1\t1\t9\n2\t2\t9\n9\t9\t9\n")
            #expect(try trial.target.sql("SELECT COUNT(*) FROM \(trial.meta).ddl") == "0\n")
        }

        @Test("CREATE TABLE .. SELECT that can't be replicated can be decided about")
        func refusedSelect() async throws {
            let (trial, skein) = try await following("ddlnoselect")
            let other = "\(trial.schema)_other"
            try trial.onSource(
                """
                CREATE OR REPLACE DATABASE \(other); CREATE TABLE \(other).p (id INT PRIMARY KEY);
                CREATE TABLE made (id INT, p INT,
                    FOREIGN KEY (p) REFERENCES \(other).p (id) ON DELETE CASCADE)
                    SELECT id, NULL AS p FROM items
                """)
            #expect(try await skein.end().text.contains("apply.unsupported"))
            let shown = try await ddl(trial, "list")
            #expect(shown.contains("CREATE TABLE") && shown.contains("cascades"), "\(shown)")
            _ = try await ddl(
                trial, "replace", "CREATE TABLE \(trial.schema).made (id INT, p INT)")
            try await goOn(trial, "ddlnoselect")
            let rows = try trial.onTarget("SELECT id, p FROM made ORDER BY id")
            #expect(rows == "1\tNULL\n2\tNULL\n")
            try trial.source.sql("DROP TABLE \(trial.schema).made; DROP DATABASE \(other)")
        }

        @Test("a run can be seen before it has taken over")
        func takingOver() async throws {
            var trial = try await Trial(
                .mariadb, "ddltaking", "CREATE TABLE marker (id BIGINT PRIMARY KEY)")
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            func token() throws -> String {
                try trial.target.sql("SELECT HEX(run) FROM \(trial.meta).subtask")
            }
            // First of the copy, then of what follows.
            var last = String(repeating: "0", count: 32) + "\n"
            for _ in 0..<2 {
                let held = proxy.holdNext(.toServer, matching: ":c', 0)", closingClient: false)
                let skein = try trial.migrate()
                try await held.caught()
                #expect(try token() == last)
                held.deliver()
                try await trial.copied(skein)
                try await trial.applied(skein)
                try await trial.stop(skein)
                last = try token()
            }
        }
    }
}
