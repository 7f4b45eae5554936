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
    }
}
