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

        @Test("a table may leave, and comes back copied anew, where nothing is in its place")
        func selection() async throws {
            let trial = try await Trial(.mariadb, "leave", Self.tables)
            let (b, c) = ("\(trial.schema).b", "\(trial.schema).c")
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s", "exclude: [\(c)]")
                try await cluster.copied(trial)
                // c was never copied, and changes meanwhile.
                try await cluster.setStage(.paused, trial, source: "s")
                try await cluster.status("Paused", of: trial, at: worker)
                try trial.onSource(
                    "INSERT INTO c VALUES (2, 2); INSERT INTO a VALUES (2, 2); DELETE FROM c WHERE id=1"
                )
                try await Self.change(cluster, trial, excluded: "nowhere.*")
                try trial.onSource("UPDATE c SET v=3; INSERT INTO c VALUES (4, 4)")
                try await cluster.applied(trial)
                #expect(try trial.onTarget("SELECT * FROM c ORDER BY id") == "2\t3\n4\t4\n")
                // b leaves, with what it gets meanwhile; a goes on.
                try trial.onSource("INSERT INTO a VALUES (3, 3); INSERT INTO b VALUES (2, 2)")
                try await cluster.applied(trial)
                try await Self.change(cluster, trial, excluded: b)
                try trial.onSource("DELETE FROM b WHERE id=2; INSERT INTO b VALUES (3, 3)")
                try await cluster.applied(trial)
                #expect(try trial.onTarget("SELECT id FROM b ORDER BY id") == "1\n2\n")
                let stored = try trial.target.connect().rows(
                    "SELECT table_name FROM \(trial.meta).shape ORDER BY 1"
                ).map { $0[0] ?? "" }
                #expect(stored == ["a", "c", "marker"])
                // What the target has of it is nobody's: it is neither believed nor thrown away.
                try await Self.change(cluster, trial, excluded: "nowhere.*")
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("target-tables") == true
                }
                #expect(trial.phase == "follow")
                #expect(try trial.onTarget("SELECT id FROM b ORDER BY id") == "1\n2\n")
                try trial.onTarget("DROP TABLE b")
                try await Self.change(cluster, trial, excluded: "other.*")
                // What is created while it rests, and was wanted before, comes with its statement.
                try trial.onSource(
                    "CREATE TABLE late (id INT PRIMARY KEY); INSERT INTO late VALUES (1)")
                try await cluster.applied(trial)
            }
            try await trial.expectEqual()
        }

        @Test(
            "what has left is left alone, also by a copy again; what comes back is not taken as it is"
        )
        func leftAlone() async throws {
            let trial = try await Trial(
                .mariadb, "leftalone",
                Self.tables
                    + "CREATE VIEW seen AS SELECT 1 AS x; CREATE VIEW broken AS SELECT 1 AS x")
            let schema = trial.schema
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s")
                try await cluster.copied(trial)
                // The target has no such schema, and keeps the view that it has.
                try trial.source.sql(
                    """
                    DROP DATABASE IF EXISTS \(schema)_x; CREATE DATABASE \(schema)_x;
                    CREATE TABLE \(schema)_x.far (n INT);
                    """)
                try trial.onSource("CREATE OR REPLACE VIEW broken AS SELECT n FROM \(schema)_x.far")
                try await cluster.applied(trial)
                try await Self.change(cluster, trial, excluded: "\(schema).b, \(schema).seen")
                try trial.onSource(
                    "CREATE OR REPLACE VIEW seen AS SELECT 2 AS x; ALTER TABLE b ADD w INT")
                try await cluster.applied(trial)
                // As after a statement that has changed a table between the positions of its copy.
                try await cluster.setStage(.paused, trial, source: "s")
                try await cluster.status("Paused", of: trial, at: worker)
                try trial.onTarget(
                    """
                    INSERT INTO \(trial.meta).object SELECT task, source, 'restart', '\(schema)', 'a', x'01'
                        FROM \(trial.meta).subtask;
                    UPDATE \(trial.meta).subtask SET phase='copy'; INSERT INTO b VALUES (7, 7);
                    """)
                try trial.onSource("INSERT INTO a VALUES (3, 3)")
                try await cluster.setStage(.running, trial, source: "s")
                try await cluster.applied(trial)
                #expect(trial.phase == "follow")
                #expect(try trial.onTarget("SELECT id FROM a ORDER BY id") == "1\n3\n")
                #expect(try trial.onTarget("SELECT id FROM b ORDER BY id") == "1\n7\n")
                #expect(try trial.onTarget("SELECT * FROM broken") == "1\n")
                // It comes back, and nobody has told what became of it meanwhile.
                try await Self.change(cluster, trial, excluded: "\(schema).b")
                try await cluster.applied(trial)
                let stale = try trial.target.sql(
                    "SELECT table_name FROM \(trial.meta).object WHERE kind='stale.view' ORDER BY 1"
                )
                #expect(stale == "broken\nseen\n")
            }
            try trial.source.sql("DROP DATABASE \(schema)_x")
        }

        /// What the source has committed last, a server of MariaDB.
        private static func last(_ trial: Trial) throws -> IdentitySet {
            let text = try trial.source.connect().value("SELECT @@gtid_binlog_pos") ?? ""
            var done = IdentitySet()
            for gtid in try #require(MariaDBGTIDPosition(text)).last.values {
                done.insert(
                    TransactionIdentity(
                        stream: .mariadb(domain: gtid.domain, server: gtid.server),
                        number: gtid.sequence))
            }
            return done
        }

        @Test("what was applied above the mark counts where tables leave and nothing else changes")
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
                let done = try Self.last(trial)
                try trial.onTarget(
                    "START TRANSACTION; INSERT INTO b VALUES (2, 2); UPDATE \(trial.meta).lane "
                        + "SET done=\(hexLiteral(done.encoded)) WHERE lane=0; COMMIT")
                try await Self.change(cluster, trial, excluded: "\(trial.schema).c")
                try await cluster.applied(trial)
                #expect(
                    worker.process?.text.contains("finished with the rules of before") == false)
                try trial.onSource("INSERT INTO c VALUES (9, 9)")
                try await cluster.applied(trial)
                #expect(try trial.onTarget("SELECT COUNT(*) FROM c") == "1\n")
                try trial.onSource("DELETE FROM c WHERE id=9")
            }
            try await trial.expectEqual()
        }

        @Test("a table whose row can't be applied may leave, whatever else is applied already")
        func failing() async throws {
            let trial = try await Trial(.mariadb, "failing", Self.tables)
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                try await cluster.setStage(.paused, trial, source: "s")
                try await cluster.status("Paused", of: trial, at: worker)
                // A row that is not there, and what another lane has applied behind its change.
                try trial.onTarget("DELETE FROM b WHERE id=1")
                try trial.onSource("UPDATE b SET v=v+1 WHERE id=1; INSERT INTO a VALUES (77, 7)")
                let done = try Self.last(trial)
                try trial.onTarget(
                    "START TRANSACTION; INSERT INTO a VALUES (77, 7); UPDATE \(trial.meta).lane "
                        + "SET done=\(hexLiteral(done.encoded)) WHERE lane=0; COMMIT")
                try await Self.change(cluster, trial, excluded: "\(trial.schema).b")
                try await cluster.applied(trial)
                #expect(try trial.onTarget("SELECT COUNT(*) FROM a WHERE id=77") == "1\n")
                try trial.onTarget("INSERT INTO b SELECT * FROM b WHERE 0")
                try trial.onSource("DELETE FROM b WHERE id=1")
                try await cluster.applied(trial)
            }
            try await trial.expectEqual()
        }

        /// A task of two sources whose tables go to the same ones.
        private static func merged(
            _ schema: String, ignoring list: String, filters: String = ""
        ) -> String {
            """
            name: \(schema)
            task-mode: all
            target-database: TARGET
            mysql-instances:
              - {source-id: one, block-allow-list: one, route-rules: [all]\(filters.isEmpty ? "" : ", filter-rules: [f]")}
              - {source-id: two, block-allow-list: two, route-rules: [all]}
            block-allow-list:
              one: {do-dbs: ["\(schema)"], ignore-tables: [\(list)]}
              two: {do-dbs: ["\(schema)_two"]}
            routes: {all: {schema-pattern: "\(schema)*", target-schema: \(schema)_there}}
            \(filters)
            """
        }

        @Test(
            "what is finished with the old ones leaves other sources' rows alone",
            .enabled(if: EtcdServer.isInstalled))
        func carriedBesideOthers() async throws {
            let trial = try await Trial(.mariadb, "abovemerged", Self.tables)
            let schema = trial.schema
            let rows: @Sendable () -> String = {
                (try? trial.target.sql(
                    "SELECT GROUP_CONCAT(id ORDER BY id) FROM a", database: "\(schema)_there"))
                    ?? "?"
            }
            defer {
                _ = try? trial.target.sql("DROP DATABASE IF EXISTS \(schema)_there")
                _ = try? trial.source.sql("DROP DATABASE IF EXISTS \(schema)_two")
            }
            // Both schemas are on one server, which is two sources.
            try trial.source.sql(
                """
                DROP DATABASE IF EXISTS \(schema)_two; CREATE DATABASE \(schema)_two;
                USE \(schema)_two; CREATE TABLE a (id INT PRIMARY KEY, v INT);
                INSERT INTO a VALUES (101, 1);
                """)
            try trial.target.sql(
                """
                DROP DATABASE IF EXISTS \(schema)_there; CREATE DATABASE \(schema)_there;
                USE \(schema)_there; CREATE TABLE a (id INT PRIMARY KEY, v INT);
                """)
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one", "two"], task: schema,
                    Self.merged(schema, ignoring: ""))
                try await cluster.eventually("both copies") {
                    (try? trial.target.sql(
                        "SELECT COUNT(*) FROM skein_meta.subtask "
                            + "WHERE task='\(schema)' AND phase='follow'")) == "2\n"
                }
                try trial.onSource("INSERT INTO a VALUES (2, 2)")
                try await cluster.eventually("what is followed") { rows() == "1,2,101\n" }
                let stage = KeyLayout.stage(task: schema, source: "one")
                try await cluster.client.put(stage, Cluster.Stage.paused.bytes)
                try await cluster.status("Paused", of: trial, at: worker)
                // What a lane that is killed leaves, and a statement behind that.
                try trial.onSource("INSERT INTO a VALUES (3, 3)")
                let done = try Self.last(trial)
                try trial.target.sql(
                    "USE \(schema)_there; START TRANSACTION; INSERT INTO a VALUES (3, 3); "
                        + "UPDATE skein_meta.lane SET done=\(hexLiteral(done.encoded)) "
                        + "WHERE task='\(schema)' AND source='one' AND lane=0; COMMIT")
                try trial.onSource("DROP TABLE a")
                try await cluster.add(
                    trial, sources: ["one", "two"], task: schema,
                    Self.merged(
                        schema, ignoring: "{db-name: \(schema), tbl-name: c}",
                        filters: "filters: {f: {schema-pattern: \(schema), table-pattern: b, "
                            + "events: [truncate table], action: Ignore}}"))
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("holds rows of other sources") == true
                        || rows() == "?"
                }
                #expect(
                    worker.process?.text.contains("finished with the rules of before") == true)
                #expect(rows() == "1,2,3,101\n")
            }
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

        private static func routed(
            _ schema: String, to suffix: String, filtered: Bool = false
        ) -> String {
            let filters = """
                expression-filter:
                  some: {schema: \(schema), table: a, insert-value-expr: "v = 9"}
                filters:
                  keep: {schema-pattern: "\(schema)", table-pattern: b, events: [delete], action: Ignore}
                """
            let names = "expression-filters: [some], filter-rules: [keep], "
            return """
                name: \(schema)
                task-mode: all
                target-database: TARGET
                mysql-instances:
                  - {\(filtered ? names : "")source-id: one, block-allow-list: list, route-rules: [all]}
                block-allow-list: {list: {do-dbs: ["\(schema)"]}}
                routes: {all: {schema-pattern: "\(schema)", target-schema: \(schema)_\(suffix)}}
                \(filtered ? filters : "")
                """
        }

        @Test(
            "filters do not come while changes may be repeated that another tool has applied",
            .enabled(if: EtcdServer.isInstalled))
        func adopted() async throws {
            let trial = try await Trial(.mariadb, "adoptfilters", Self.tables)
            let schema = trial.schema
            defer { _ = try? trial.target.sql("DROP DATABASE IF EXISTS \(schema)_there") }
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            @Sendable func phase() throws -> String {
                try trial.target.sql("SELECT phase FROM skein_meta.subtask WHERE task='\(schema)'")
            }
            /// Says up to where it may have: a number of MariaDB's.
            @Sendable func record(_ number: UInt64) throws {
                let now = try trial.source.connect().value("SELECT @@gtid_binlog_pos") ?? ""
                var gtids = try #require(MariaDBGTIDPosition(now))
                for domain in gtids.last.keys { gtids.last[domain]?.sequence = number }
                let end = SourcePosition(
                    origin: Origin(server: ServerUUID(high: 1, low: 2), life: 3),
                    binlog: BinlogPosition(file: "elsewhere.000001", offset: 4),
                    gtids: .mariadb(gtids))
                let json = "{\"task\":\"dm\",\"end\":\(end.encoded)}"
                try trial.target.sql(
                    """
                    REPLACE INTO skein_meta.object SELECT task, source, 'adopted', '', '',
                        \(hexLiteral([1] + Array(json.utf8))) FROM skein_meta.subtask WHERE task='\(schema)'
                    """)
            }
            try await cluster.running {
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one"], task: schema, Self.routed(schema, to: "there"))
                try await cluster.eventually("the copy") { (try? phase()) == "follow\n" }
                let stage = KeyLayout.stage(task: schema, source: "one")
                func filter() async throws {
                    try await cluster.client.put(stage, Cluster.Stage.paused.bytes)
                    try await cluster.status("Paused", of: trial, at: worker)
                    try await cluster.add(
                        trial, sources: ["one"], task: schema,
                        Self.routed(schema, to: "there", filtered: true))
                }
                try record(1 << 40)
                try await filter()
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("could not be repeated any more") == true
                }
                // Another server's files say nothing, and the names are passed.
                try record(1)
                try await filter()
                try trial.onSource("INSERT INTO a VALUES (5, 9), (6, 6)")
                try await cluster.eventually("the filter") {
                    (try? trial.target.sql(
                        "SELECT GROUP_CONCAT(id ORDER BY id) FROM \(schema)_there.a")) == "1,6\n"
                }
            }
        }

        @Test(
            "rows that a filter left out stop nothing when it is gone",
            .enabled(if: EtcdServer.isInstalled))
        func removed() async throws {
            let trial = try await Trial(.mariadb, "filtergone", Self.tables)
            let schema = trial.schema
            let there: @Sendable (String) -> String = { sql in
                (try? trial.target.sql(sql, database: "\(schema)_there")) ?? "?"
            }
            @Sendable func rows(_ table: String) -> String {
                there("SELECT GROUP_CONCAT(CONCAT(id, ':', v) ORDER BY id) FROM \(table)")
            }
            defer { _ = try? trial.target.sql("DROP DATABASE IF EXISTS \(schema)_there") }
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one"], task: schema,
                    Self.routed(schema, to: "there", filtered: true))
                try await cluster.eventually("the copy") {
                    there(
                        "SELECT COUNT(*) FROM skein_meta.subtask WHERE task='\(schema)' AND phase='follow'"
                    ) == "1\n"
                }
                try trial.onSource(
                    """
                    INSERT INTO a VALUES (5, 9), (6, 6), (7, 9); INSERT INTO b VALUES (2, 2), (3, 3);
                    DELETE FROM b WHERE id > 1; INSERT INTO b VALUES (8, 8);
                    """)
                try await cluster.eventually("the filters") {
                    rows("a") == "1:1,6:6\n" && rows("b") == "1:1,2:2,3:3,8:8\n"
                }
                let stage = KeyLayout.stage(task: schema, source: "one")
                try await cluster.client.put(stage, Cluster.Stage.paused.bytes)
                try await cluster.status("Paused", of: trial, at: worker)
                try await cluster.add(
                    trial, sources: ["one"], task: schema, Self.routed(schema, to: "there"))
                try trial.onSource(
                    """
                    UPDATE a SET v=1 WHERE id=5; DELETE FROM a WHERE id=7; UPDATE a SET v=7 WHERE id=6;
                    INSERT INTO a VALUES (9, 9); INSERT INTO b VALUES (2, 22); DELETE FROM b WHERE id=8;
                    RENAME TABLE b TO d; UPDATE d SET v=2 WHERE id=1;
                    """)
                try await cluster.eventually("what passes now") {
                    rows("a") == "1:1,6:7,9:9\n" && rows("d") == "1:2,2:22,3:3\n"
                }
                // A table that has got another name, after a crash.
                worker.kill()
                try worker.start()
                try trial.onSource("INSERT INTO d VALUES (3, 33); DELETE FROM a WHERE id=5")
                try await cluster.eventually("what comes then") { rows("d") == "1:2,2:22,3:33\n" }
            }
        }

        @Test(
            "a table does not go to one with a trigger", .enabled(if: EtcdServer.isInstalled))
        func triggers() async throws {
            let trial = try await Trial(.mariadb, "totrigger", Self.tables)
            let schema = trial.schema
            let rows: @Sendable (String) -> String = { suffix in
                (try? trial.target.sql(
                    "SELECT GROUP_CONCAT(id ORDER BY id) FROM a", database: "\(schema)_\(suffix)"))
                    ?? "?"
            }
            defer {
                for suffix in ["there", "other"] {
                    _ = try? trial.target.sql("DROP DATABASE IF EXISTS \(schema)_\(suffix)")
                }
            }
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one"], task: schema, Self.routed(schema, to: "there"))
                try await cluster.eventually("the copy") {
                    (try? trial.target.sql(
                        "SELECT phase FROM skein_meta.subtask WHERE task='\(schema)'"))
                        == "follow\n"
                }
                let stage = KeyLayout.stage(task: schema, source: "one")
                func move() async throws {
                    try await cluster.client.put(stage, Cluster.Stage.paused.bytes)
                    try await cluster.status("Paused", of: trial, at: worker)
                    try await cluster.add(
                        trial, sources: ["one"], task: schema, Self.routed(schema, to: "other"))
                }
                // Their rows are moved by hand.
                try trial.target.sql(
                    """
                    CREATE DATABASE \(schema)_other; USE \(schema)_other;
                    CREATE TABLE a (id INT PRIMARY KEY, v INT); CREATE TABLE b LIKE a; CREATE TABLE c LIKE a;
                    INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); INSERT INTO c VALUES (1, 1);
                    CREATE TABLE marker (id BIGINT PRIMARY KEY);
                    CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW INSERT INTO marker VALUES (NEW.id)
                    """)
                try await move()
                try trial.onSource("INSERT INTO a VALUES (2, 2)")
                try await cluster.eventually("the refusal") {
                    worker.process?.text.contains("target-triggers") == true
                        || rows("other") == "1,2\n"
                }
                #expect(rows("other") == "1\n")
                try trial.target.sql("DROP TRIGGER \(schema)_other.tr")
                try await move()
                try await cluster.eventually("the row") { rows("other") == "1,2\n" }
                #expect(rows("there") == "1\n")
            }
        }
    }
}
