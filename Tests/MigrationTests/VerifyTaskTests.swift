import Foundation
import TestServers
import Testing

extension MigrationTests {
    /// `skein verify` with the files of a task and of one of its sources.
    @Suite("Verification of a task's file", .serialized)
    struct VerifyTaskTests {
        private static func task(_ trial: Trial) -> String {
            """
            name: shards
            task-mode: all
            target-database: {host: 127.0.0.1, port: \(trial.target.port), user: \(TestServer.user), tls: disabled}
            mysql-instances:
              - source-id: a
                block-allow-list: own
                route-rules: [orders]
                filter-rules: [keep]
                expression-filters: [odd]
            block-allow-list:
              own: {do-dbs: ["\(trial.schema)"]}
            routes:
              orders:
                schema-pattern: "\(trial.schema)"
                table-pattern: "orders_*"
                target-schema: "\(trial.schema)"
                target-table: orders
                extract-table: {table-regexp: "orders_(.*)", target-column: part}
            filters:
              keep: {schema-pattern: "\(trial.schema)", table-pattern: log, events: [delete], action: Ignore}
            expression-filter:
              odd: {schema: "\(trial.schema)", table: odd, insert-value-expr: "id % 2 = 1"}
            """
        }

        @Test("merged tables are compared by their parts, those of filters are left out by name")
        func parts() async throws {
            let trial = try await Trial(
                .mariadb, "shards",
                """
                CREATE TABLE orders_1 (id INT PRIMARY KEY, v VARCHAR(20)); CREATE TABLE orders_2 LIKE orders_1;
                CREATE TABLE log (id INT PRIMARY KEY); CREATE TABLE odd LIKE log;
                CREATE TABLE plain LIKE log;
                INSERT INTO orders_1 VALUES (1,'a'),(2,'b'); INSERT INTO orders_2 VALUES (1,'c');
                INSERT INTO odd VALUES (1); INSERT INTO plain VALUES (1);
                """)
            try trial.target.sql("CREATE DATABASE \(trial.schema)")
            try trial.onTarget(
                """
                CREATE TABLE orders (part VARCHAR(9), id INT, v VARCHAR(20), PRIMARY KEY (part, id));
                CREATE TABLE log (id INT PRIMARY KEY); CREATE TABLE odd LIKE log;
                CREATE TABLE plain LIKE log;
                INSERT INTO orders VALUES ('1',1,'a'),('1',2,'b'),('2',1,'c');
                INSERT INTO log VALUES (7); INSERT INTO plain VALUES (1);
                """)
            let folder = FileManager.default.temporaryDirectory
                .appending(path: "skein-parts-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let (task, source, fix) = (
                folder.appending(path: "task.yaml").path,
                folder.appending(path: "source.yaml").path, folder.appending(path: "fix.sql").path
            )
            try Data(Self.task(trial).utf8).write(to: URL(filePath: task))
            let text = "source-id: a\nsource: {url: '\(trial.sourceURL)', tls: disabled}\n"
            try Data(text.utf8).write(to: URL(filePath: source))
            func verify(_ more: String...) async throws -> SkeinProcess.Outcome {
                try await SkeinProcess(
                    ["verify", "--config", task, "--source-file", source, "--settle", "1s"] + more
                ).end()
            }
            let schema = trial.schema
            var outcome = try await verify()
            #expect(outcome.status == 0, "\(outcome.text)")
            let words = "verdict: equal, 2 tables not compared: filters"
            #expect(outcome.text.contains(words), "\(outcome.text)")
            for (table, rule) in [("log", "filters.keep"), ("odd", "expression-filter.odd")] {
                let words = "left out  \(schema).\(table) is not compared: \(rule) "
                #expect(outcome.text.contains(words), "\(outcome.text)")
            }
            try trial.onTarget(
                """
                UPDATE orders SET v='bad' WHERE part='1' AND id=2; DELETE FROM orders WHERE part='2';
                INSERT INTO orders VALUES ('9',1,'nobody');
                """)
            outcome = try await verify("--fix-sql", fix)
            #expect(outcome.status == 3, "\(outcome.text)")
            for words in [
                "\(schema).orders_1 id=2: column v differs",
                "\(schema).orders_2 id=1: missing on the target",
                "\(schema).orders part=9: 1 row that belongs to none of the tables",
                "2 tables not compared: filters",
            ] {
                #expect(outcome.text.contains(words), "\(outcome.text)")
            }
            // A part of which nothing was there: what belongs to nobody is deleted when it is back.
            try trial.target.sql(try String(contentsOfFile: fix, encoding: .utf8))
            outcome = try await verify("--fix-sql", fix)
            #expect(outcome.status == 3, "\(outcome.text)")
            let left = "verdict: different: 1 row, in 1 of 4"
            #expect(outcome.text.contains(left), "\(outcome.text)")
            try trial.target.sql(try String(contentsOfFile: fix, encoding: .utf8))
            outcome = try await verify()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(
                try trial.onTarget("SELECT part, id, v FROM orders ORDER BY 1, 2")
                    == "1\t1\ta\n1\t2\tb\n2\t1\tc\n")
            #expect(try trial.onTarget("SELECT id FROM log") == "7\n")

            // The files say what is compared.
            outcome = try await verify("--tables", "x.*")
            #expect(outcome.status == 2, "\(outcome.text)")
            let alone = try await SkeinProcess(["verify", "--source-file", source]).end()
            #expect(alone.status == 2 && alone.text.contains("--config"), "\(alone.text)")
        }
    }
}
