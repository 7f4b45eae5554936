import Foundation
import Metadata
import TestServers
import Testing

extension MigrationTests {
    /// What stops a task of the cluster and is resolved in its checkpoint, by commands that know
    /// nothing but a worker.
    @Suite("Checkpoints by commands", .serialized, .enabled(if: EtcdServer.isInstalled))
    struct CheckpointCommandTests {
        private static func run(
            _ cluster: ClusterTrial, _ arguments: [String], status: Int32 = 0,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> String {
            let command =
                arguments + ["--endpoint", cluster.workers[0].address, "--timeout", "60s"]
            let outcome = try await SkeinProcess(command).end()
            #expect(
                outcome.status == status, "\(arguments): \(outcome.text)",
                sourceLocation: sourceLocation)
            return outcome.text
        }

        /// Waits until the task's only subtask has ended with an error.
        private static func failed(
            _ cluster: ClusterTrial, _ task: String, _ code: String, _ words: String = ""
        ) async throws {
            // Before it there are others, and none.
            var said = ""
            do {
                try await cluster.eventually("the error \(code)") {
                    said = try await SkeinProcess([
                        "task", "errors", task, "--output", "json", "--endpoint",
                        cluster.workers[0].address,
                    ]).end().text
                    return ["\"\(code)\"", "\"lasting\"", words].allSatisfy {
                        $0.isEmpty || said.contains($0)
                    }
                }
            } catch let error as Overdue {
                throw Overdue("\(error): \(said)")
            }
        }

        private static func file(_ trial: Trial, _ text: String) throws -> String {
            try FileManager.default.createDirectory(
                atPath: trial.state.path, withIntermediateDirectories: true)
            let path = trial.state.path + "/table.sql"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }

        @Test("a shape is set while the task rests, and wrong ones stop it or are refused")
        func schema() async throws {
            let trial = try await Trial(
                .mariadb, "shapeset",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE items (id INT PRIMARY KEY, a INT, b VARCHAR(20));
                INSERT INTO items VALUES (1,1,'x'),(2,2,'y')
                """)
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                try await cluster.startAll()
                try await cluster.add(trial, source: "s1")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                let (task, table) = (trial.schema, "\(trial.schema).items")
                func set(
                    _ more: [String], table name: String = table, status: Int32 = 1,
                    sourceLocation: SourceLocation = #_sourceLocation
                ) async throws -> String {
                    try await Self.run(
                        cluster, ["task", "schema", "set", task, "--table", name] + more,
                        status: status, sourceLocation: sourceLocation)
                }
                let shown = try await Self.run(
                    cluster, ["task", "schema", "show", task, "--table", table])
                #expect(
                    shown.contains("CREATE TABLE `\(trial.schema)`.`items`")
                        && shown.contains("`b` varchar(20)"), "\(shown)")
                #expect(!shown.contains("marker"))
                #expect(try await set(["--from-source"]).contains("is running"))
                _ = try await Self.run(cluster, ["task", "pause", task])
                try await cluster.eventually("that it rests") {
                    try await Self.run(cluster, ["task", "status", task]).contains("Paused")
                }
                // Each is refused, with what to do.
                for (text, words) in [
                    ("SELECT 1", "exactly one CREATE TABLE"),
                    ("-- nothing\n", "exactly one CREATE TABLE"),
                    ("CREATE TABLE items LIKE marker", "exactly one CREATE TABLE"),
                    ("CREATE TABLE items SELECT 1 AS id", "exactly one CREATE TABLE"),
                    ("CREATE TEMPORARY TABLE items (id INT)", "exactly one CREATE TABLE"),
                    ("CREATE TABLE items (id INT); DROP TABLE items", "one CREATE TABLE"),
                    ("CREATE TABLE items (id INT", "one CREATE TABLE"),
                    ("CREATE TABLE marker (id INT)", "not \(table)"),
                    ("CREATE TABLE items (id INT, id INT)", "not understood"),
                    ("CREATE TABLE items (id INT, other INT)", "has no column other"),
                ] {
                    let said = try await set([Self.file(trial, text)])
                    #expect(said.contains(words), "\(text): \(said)")
                    #expect(
                        said.contains("what to do") || said.contains("not understood"), "\(said)")
                }
                let foreign = try await set(["--from-source"], table: "elsewhere.items")
                #expect(foreign.contains("none of the tables"), "\(foreign)")
                let absent = try await set(["--from-source"], table: "\(task).absent")
                #expect(absent.contains("no table"), "\(absent)")
                let moved = try await set(["--from-source", "--position", "bin.000001:4"])
                #expect(moved.contains("[record.changed]"), "\(moved)")
                let same = try await Self.run(
                    cluster, ["task", "schema", "show", task, "--table", table])
                #expect(
                    same.split(separator: "\n").dropFirst()
                        == shown.split(separator: "\n").dropFirst())
                // What is shown can be given back.
                _ = try await set([Self.file(trial, same)], status: 0)
                // Fewer columns than rows have: nothing is applied.
                _ = try await set(
                    [Self.file(trial, "CREATE TABLE items (id INT PRIMARY KEY, a INT);\n")],
                    status: 0)
                try trial.onSource("INSERT INTO items VALUES (3,3,'z')")
                cluster.workers[0].kill()
                try cluster.workers[0].start()
                try await cluster.eventually("the worker") {
                    try await SkeinProcess([
                        "task", "resume", task, "--endpoint", cluster.workers[0].address,
                    ]).end().status == 0
                }
                try await Self.failed(
                    cluster, task, "apply.shape", "3 columns in the binlog, 2 known")
                // As many as they have, in another order: texts are not read as numbers.
                _ = try await set(
                    [Self.file(trial, "CREATE TABLE items (id INT PRIMARY KEY, b TEXT, a INT)")],
                    status: 0)
                _ = try await Self.run(cluster, ["task", "resume", task])
                try await Self.failed(cluster, task, "apply.shape", "column 2 is of type")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM items") == "2\n")
                // Of one that an error has ended it can be set, too.
                let back = try await set(["--from-target"], status: 0)
                #expect(back.contains("`b` varchar(20)"), "\(back)")
                _ = try await Self.run(cluster, ["task", "resume", task])
                try await cluster.applied(trial)
                #expect(
                    cluster.workers[0].process?.text.contains("a table's shape was set") == true)
            }
            try await trial.expectEqual()
        }

        @Test("a statement that the target refuses is decided about through the API")
        func decision() async throws {
            let trial = try await Trial(
                .mariadb, "apiddl",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE items (id INT PRIMARY KEY, a INT);
                INSERT INTO items VALUES (1,1),(2,2)
                """)
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                try await cluster.startAll()
                try await cluster.add(trial, source: "s1")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                let task = trial.schema
                let nothing = try await Self.run(cluster, ["task", "ddl", "list", task])
                #expect(nothing.contains("no statement has stopped it"), "\(nothing)")
                _ = try await Self.run(cluster, ["task", "ddl", "skip", task], status: 1)
                try trial.onTarget("ALTER TABLE items ADD COLUMN c INT DEFAULT 5")
                try trial.onSource("ALTER TABLE items ADD COLUMN c INT DEFAULT 5, ADD COLUMN d INT")
                try trial.onSource("INSERT INTO items VALUES (3,3,3,3)")
                try await Self.failed(cluster, task, "apply.ddl-refused")
                let shown = try await Self.run(
                    cluster, ["task", "ddl", "list", task, "--source", "s1"])
                #expect(shown.contains("ADD COLUMN c INT") && shown.contains("none"), "\(shown)")
                let place = shown.split(separator: "\n").first { $0.hasPrefix("position   ") }
                    .map { String($0.dropFirst(11)) }
                let seen = ["--position", try #require(place)]
                let moved = try await Self.run(
                    cluster, ["task", "ddl", "skip", task, "--position", "bin.000001:4"], status: 1)
                #expect(moved.contains("[record.changed]"), "\(moved)")
                // The text is in no log.
                let statement = "ALTER TABLE \(task).items ADD COLUMN d INT COMMENT 'hush-7'"
                let decided = try await Self.run(
                    cluster, ["task", "ddl", "replace", task, statement] + seen)
                #expect(decided.contains("hush-7") && decided.contains("replace"), "\(decided)")
                _ = try await Self.run(cluster, ["task", "ddl", "revert", task])
                let reverted = try await Self.run(
                    cluster, ["task", "ddl", "list", task, "--output", "json"])
                #expect(!reverted.contains("decision"), "\(reverted)")
                _ = try await Self.run(cluster, ["task", "ddl", "replace", task, statement])
                #expect(cluster.workers[0].process?.text.contains("hush-7") == false)
                cluster.workers[0].kill()
                try cluster.workers[0].start()
                try await cluster.eventually("the worker") {
                    try await SkeinProcess([
                        "task", "resume", task, "--endpoint", cluster.workers[0].address,
                    ]).end().status == 0
                }
                try await cluster.applied(trial)
            }
            #expect(try trial.onTarget("SELECT c, d FROM items WHERE id=3") == "3\t3\n")
            try trial.onTarget("ALTER TABLE items MODIFY d INT")
            try await trial.expectEqual()
        }

        @Test("a shape that is shown can be given back, of every type", arguments: Pair.sameFamily)
        func everyType(pair: Pair) async throws {
            let trial = try await Trial(
                pair, "shapetypes",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE parent (id INT, n INT, PRIMARY KEY (id), KEY (n)) COMMENT='it''s';
                CREATE TABLE wide (
                    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, `a``b c` TINYINT NOT NULL DEFAULT 1,
                    c CHAR(10) CHARACTER SET latin1, v VARCHAR(300) COLLATE utf8mb4_bin NOT NULL,
                    e ENUM('a','b''c','d\\\\e', 'é') CHARACTER SET utf8mb4, s SET('x','y'),
                    d DECIMAL(12,3) UNSIGNED, de DECIMAL(5), ts TIMESTAMP(3) NULL,
                    dt DATETIME(6) NOT NULL, ti TIME(2), da DATE, f FLOAT, db DOUBLE UNSIGNED,
                    b BIT(9), y YEAR, bl BLOB, mb MEDIUMBLOB, tx MEDIUMTEXT, j JSON,
                    g INT AS (de + 1) VIRTUAL, st INT AS (de + 2) STORED, p POINT,
                    bi BINARY(16), vb VARBINARY(9), par INT,
                    PRIMARY KEY (id), UNIQUE KEY u (v(20), c), KEY k (d, bl(10)),
                    CONSTRAINT fk FOREIGN KEY (par) REFERENCES parent (id)
                        ON DELETE SET NULL ON UPDATE CASCADE);
                INSERT INTO wide (v, dt) VALUES ('x', '2020-01-01')
                """)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            let place = [
                "--target", trial.targetURL, "--target-tls", "disabled", "--source",
                trial.sourceURL, "--source-tls", "disabled", "--name", trial.schema, "--source-id",
                "source", "--meta-schema", trial.meta,
            ]
            func schema(_ arguments: [String], status: Int32 = 0) async throws -> String {
                let outcome = try await SkeinProcess(["task", "schema"] + arguments + place).end()
                #expect(outcome.status == status, "\(arguments): \(outcome.text)")
                return outcome.text
            }
            func lines(_ text: String) -> [Substring] {
                Array(text.split(separator: "\n").dropFirst())
            }
            #expect(
                try await schema(
                    ["set", "--table", "\(trial.schema).wide", "--from-source"], status: 1
                ).contains("is running"))
            try await trial.stop(skein)
            for name in ["wide", "parent"] {
                let table = "\(trial.schema).\(name)"
                let shown = try await schema(["show", "--table", table])
                let given = try await schema(
                    ["set", "--table", table, try Self.file(trial, shown)])
                #expect(lines(given) == lines(shown))
                // Servers tell the same, in their own words.
                let told = try await schema(["set", "--table", table, "--from-source"])
                #expect(lines(told) == lines(shown))
                let there = try await schema(["set", "--table", table, "--from-target"])
                #expect(lines(there) == lines(shown))
                _ = try await schema(["set", "--table", table, try Self.file(trial, shown)])
            }
            try trial.onSource("INSERT INTO wide (v, dt, e) VALUES ('y', '2021-01-01', 'é')")
            let again = try trial.migrate()
            try await trial.applied(again)
            try await trial.stop(again)
            try await trial.expectEqual()
        }
    }
}
