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

        /// Gives a task that rests other tables, and lets it go on.
        private static func change(
            _ cluster: ClusterTrial, _ trial: Trial, excluded: String?
        ) async throws {
            try await cluster.setStage(.paused, trial, source: "s")
            try await cluster.status("Paused", of: trial, at: cluster.workers[0])
            try await cluster.add(
                trial, source: "s", excluded.map { "exclude: [\($0)]" } ?? "")
        }

        @Test("a table may leave, and none may come that was never copied")
        func selection() async throws {
            let trial = try await Trial(.mariadb, "leave", Self.tables)
            let (b, c) = ("\(trial.schema).b", "\(trial.schema).c")
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            @Sendable func refuses(_ table: String) -> Bool {
                worker.process?.text.contains("\(table) would come in, and its rows") == true
            }
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s", "exclude: [\(c)]")
                try await cluster.copied(trial)
                // c was never copied.
                try await Self.change(cluster, trial, excluded: "nowhere.*")
                try await cluster.eventually("the refusal") { refuses(c) }
                // b leaves, with what it gets meanwhile; a goes on.
                try trial.onSource("INSERT INTO a VALUES (2, 2); INSERT INTO b VALUES (2, 2)")
                try await Self.change(cluster, trial, excluded: "\(b), \(c)")
                try await cluster.eventually("the row of a") {
                    try trial.onTarget("SELECT COUNT(*) FROM a") == "2\n"
                }
                try await cluster.applied(trial)
                #expect(try trial.onTarget("SELECT COUNT(*) FROM b") == "1\n")
                let stored = try trial.target.connect().rows(
                    "SELECT table_name FROM \(trial.meta).shape ORDER BY 1"
                ).map { $0[0] ?? "" }
                #expect(stored == ["a", "marker"])
                // It has left for good.
                try await Self.change(cluster, trial, excluded: c)
                try await cluster.eventually("the refusal") { refuses(b) }
                // What is created while it rests, and was wanted before, comes with its statement.
                try trial.onSource(
                    "CREATE TABLE late (id INT PRIMARY KEY); INSERT INTO late VALUES (1)")
                try await Self.change(cluster, trial, excluded: "\(b), \(c), nowhere.*")
                try await cluster.eventually("the row of late") {
                    (try? trial.onTarget("SELECT COUNT(*) FROM late")) == "1\n"
                }
            }
        }

        @Test("what was applied above the mark is finished with the old ones first")
        func carried() async throws {
            let trial = try await Trial(.mariadb, "above", Self.tables)
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                try await cluster.setStage(.paused, trial, source: "s")
                try await cluster.status("Paused", of: trial, at: worker)
                // What a lane that is killed leaves: a row, with its transaction above the mark.
                try trial.onSource("INSERT INTO b VALUES (2, 2)")
                let text = try trial.source.connect().value("SELECT @@gtid_binlog_pos") ?? ""
                var done = IdentitySet()
                for gtid in try #require(MariaDBGTIDPosition(text)).last.values {
                    done.insert(
                        TransactionIdentity(
                            stream: .mariadb(domain: gtid.domain, server: gtid.server),
                            number: gtid.sequence))
                }
                try trial.onTarget(
                    "START TRANSACTION; INSERT INTO b VALUES (2, 2); UPDATE \(trial.meta).lane "
                        + "SET done=\(hexLiteral(done.encoded)) WHERE lane=0; COMMIT")
                try await Self.change(cluster, trial, excluded: "\(trial.schema).c")
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("has not passed yet") == true
                }
                // As before it goes on, and then it may.
                try await Self.change(cluster, trial, excluded: nil)
                try await cluster.applied(trial)
                try await Self.change(cluster, trial, excluded: "\(trial.schema).c")
                try trial.onSource("INSERT INTO c VALUES (9, 9)")
                try await cluster.applied(trial)
                #expect(try trial.onTarget("SELECT COUNT(*) FROM c") == "1\n")
                try trial.onSource("DELETE FROM c WHERE id=9")
            }
            try await trial.expectEqual()
        }

        private static func task(_ schema: String, _ list: String, _ expression: String) -> String {
            """
            name: \(schema)
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
                    trial, sources: ["one"], task: schema, Self.task(schema, "", "v = 13"))
                try await cluster.eventually("the copy") {
                    there(
                        "SELECT COUNT(*) FROM skein_meta.subtask WHERE task='\(schema)' AND phase='follow'"
                    )
                        == "1\n"
                }
                try trial.onSource("INSERT INTO a VALUES (2, 13), (3, 14)")
                try await cluster.eventually("the first filter") {
                    there("SELECT GROUP_CONCAT(id ORDER BY id) FROM a") == "1,3\n"
                }
                let stage = KeyLayout.stage(task: schema, source: "one")
                try await cluster.client.put(stage, Cluster.Stage.paused.bytes)
                try await cluster.status("Paused", of: trial, at: cluster.workers[0])
                try trial.onSource(
                    "INSERT INTO a VALUES (4, 13), (5, 14); INSERT INTO c VALUES (2, 2)")
                let list = "{db-name: \(schema), tbl-name: c}"
                try await cluster.add(
                    trial, sources: ["one"], task: schema, Self.task(schema, list, "v = 14"))
                try await cluster.eventually("the second filter") {
                    there("SELECT GROUP_CONCAT(id ORDER BY id) FROM a") == "1,3,4\n"
                }
                #expect(there("SELECT COUNT(*) FROM c") == "1\n")
            }
        }
    }
}
