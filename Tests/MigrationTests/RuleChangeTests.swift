import Cluster
import Foundation
import Glibc
import Metadata
import MySQLClient
import MySQLCore
import Settings
import TestServers
import Testing

extension MigrationTests {
    /// Rules of a migration that rests may change, where that loses nothing.
    @Suite("Other rules", .serialized)
    struct RuleChangeTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE a (id INT PRIMARY KEY, v INT); CREATE TABLE b LIKE a; CREATE TABLE c LIKE a;
            INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); INSERT INTO c VALUES (1, 1);
            """

        @Test("a table may leave, and none may come that was never copied")
        func selection() async throws {
            let trial = try await Trial(.mariadb, "leave", Self.tables)
            func run(_ more: String...) async throws -> SkeinProcess.Outcome {
                try await SkeinProcess(trial.arguments(["--until", "caught-up"] + more)).end()
            }
            let (b, c) = ("\(trial.schema).b", "\(trial.schema).c")
            #expect(try await run("--exclude", c).status == 0)
            // c was never copied.
            let comes = try await run()
            #expect(comes.status == 1 && comes.text.contains("[migration.other]"))
            #expect(comes.text.contains("\(c) would come in"), "\(comes.text)")
            // b leaves, with what it gets meanwhile; a goes on.
            try trial.onSource("INSERT INTO a VALUES (2, 2); INSERT INTO b VALUES (2, 2)")
            let leaves = try await run("--exclude", c, "--exclude", b)
            #expect(leaves.status == 0, "\(leaves.text)")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM a") == "2\n")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM b") == "1\n")
            let stored = try trial.target.connect().rows(
                "SELECT table_name FROM \(trial.meta).shape ORDER BY 1"
            ).map { $0[0] ?? "" }
            #expect(stored == ["a", "marker"])
            // It has left for good.
            let back = try await run("--exclude", c)
            #expect(back.status == 1 && back.text.contains("\(b) would come in"), "\(back.text)")
            // What is created while it rests, and was wanted before, comes with its statement.
            try trial.onSource(
                "CREATE TABLE late (id INT PRIMARY KEY); INSERT INTO late VALUES (1)")
            let late = try await run("--exclude", c, "--exclude", b, "--exclude", "nowhere.*")
            #expect(late.status == 0, "\(late.text)")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM late") == "1\n")
        }

        @Test("what was applied above the mark is finished with the old ones first")
        func carried() async throws {
            let trial = try await Trial(.mariadb, "above", Self.tables)
            var skein = try trial.migrate()
            try await trial.copied(skein)
            let lock = try trial.target.connect(trial.schema)
            try lock.execute("START TRANSACTION; UPDATE a SET v=0 WHERE id=1")
            // The first waits, the second is applied: above the mark.
            try trial.onSource("UPDATE a SET v=9 WHERE id=1; INSERT INTO b VALUES (2, 2)")
            try await skein.waiting(for: "the second") {
                (try? trial.onTarget("SELECT COUNT(*) FROM b")) == "2\n"
            }
            skein.kill()
            try lock.execute("ROLLBACK")
            skein = try trial.migrate("--exclude", "\(trial.schema).c")
            let refused = try await skein.end()
            #expect(refused.status == 1 && refused.text.contains("[migration.other]"))
            #expect(refused.text.contains("not passed yet"), "\(refused.text)")
            try await trial.catchUp()
            try await trial.catchUp("--exclude", "\(trial.schema).c")
            try trial.onTarget("UPDATE a SET v=v")
            try await trial.expectEqual()
        }

        private static func task(_ schema: String, _ list: String, _ expression: String) -> String {
            """
            name: change
            task-mode: all
            target-database: TARGET
            mysql-instances:
              - source-id: one
                block-allow-list: list
                route-rules: [all]
                expression-filters: [some]
            block-allow-list: {list: {do-dbs: ["\(schema)"], ignore-tables: [\(list)]}}
            routes: {all: {schema-pattern: "\(schema)", target-schema: \(schema)_there}}
            expression-filter:
              some: {schema: \(schema), table: a, insert-value-expr: "\(expression)"}
            """
        }

        @Test(
            "filters and tables of a paused task change, routes where the rows are",
            .enabled(if: EtcdServer.isInstalled))
        func task() async throws {
            let trial = try await Trial(.mariadb, "changes", Self.tables)
            let schema = trial.schema
            let there: @Sendable (String) -> String = { sql in
                (try? trial.target.sql(sql, database: "\(schema)_there")) ?? "?"
            }
            defer { _ = try? trial.target.sql("DROP DATABASE IF EXISTS \(schema)_there") }
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                try cluster.workers[0].start()
                try await cluster.add(
                    trial, sources: ["one"], task: "change", Self.task(schema, "", "v = 13"))
                try await cluster.eventually("the copy") {
                    there(
                        "SELECT COUNT(*) FROM skein_meta.subtask WHERE task='change' AND phase='follow'"
                    )
                        == "1\n"
                }
                try trial.onSource("INSERT INTO a VALUES (2, 13), (3, 14)")
                try await cluster.eventually("the first filter") {
                    there("SELECT GROUP_CONCAT(id ORDER BY id) FROM a") == "1,3\n"
                }
                let stage = KeyLayout.stage(task: "change", source: "one")
                try await cluster.client.put(stage, Cluster.Stage.paused.bytes)
                try await cluster.eventually("its rest") {
                    cluster.workers[0].process?.text.contains("the subtask has ended") == true
                        || there(
                            "SELECT COUNT(*) FROM skein_meta.lane WHERE task='change' AND LENGTH(done)>1"
                        )
                            == "0\n"
                }
                try trial.onSource(
                    "INSERT INTO a VALUES (4, 13), (5, 14); INSERT INTO c VALUES (2, 2)")
                let list = "{db-name: \(schema), tbl-name: c}"
                try await cluster.add(
                    trial, sources: ["one"], task: "change", Self.task(schema, list, "v = 14"))
                try await cluster.eventually("the second filter") {
                    there("SELECT GROUP_CONCAT(id ORDER BY id) FROM a") == "1,3,4\n"
                }
                #expect(there("SELECT COUNT(*) FROM c") == "1\n")
            }
        }
    }
}
