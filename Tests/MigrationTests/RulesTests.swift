import Cluster
import Metadata
import TestServers
import Testing

extension MigrationTests {
    /// Tasks in DM's words: the rules act alike on the copy, on rows of the binlog and on DDL.
    @Suite("Rules of tasks", .serialized, .enabled(if: EtcdServer.isInstalled))
    struct RulesTests {
        /// Both schemas are on one server, which is two sources.
        private static func tables(_ schema: String) -> String {
            ["a", "b"].map { name in
                """
                CREATE DATABASE \(schema)_\(name); USE \(schema)_\(name);
                CREATE TABLE orders_1 (id INT PRIMARY KEY, v VARCHAR(20));
                CREATE TABLE orders_2 LIKE orders_1;
                CREATE TABLE parent (id INT PRIMARY KEY, n INT);
                CREATE TABLE child_\(name) (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id));
                CREATE TABLE log (id INT PRIMARY KEY, what VARCHAR(20));
                CREATE TABLE skipped (id INT PRIMARY KEY);
                INSERT INTO orders_1 VALUES (1,'\(name)1'),(2,'\(name)1'); INSERT INTO orders_2 VALUES (1,'\(name)2');
                INSERT INTO parent VALUES (1,1),(2,2),(3,3),(4,NULL); INSERT INTO child_\(name) VALUES (1,1);
                INSERT INTO log VALUES (1,'kept'),(2,'kept'); INSERT INTO skipped VALUES (1);
                """
            }.joined(separator: "\n")
        }

        private static func task(_ schema: String) -> String {
            func instance(_ name: String, _ filters: String) -> String {
                """
                  - source-id: \(name)
                    block-allow-list: \(name)
                    route-rules: [orders, log, all]
                    filter-rules: [keep]
                    expression-filters: [\(filters)]
                """
            }
            return """
                name: merge
                task-mode: all
                target-database: TARGET
                mysql-instances:
                \(instance("a", "odd-a, gone-a, low-a"))
                \(instance("b", "odd-b, gone-b, low-b"))
                block-allow-list:
                  a:
                    do-dbs: ["\(schema)_[a]"]
                    ignore-tables:
                      - {db-name: "*", tbl-name: "~^skip"}
                      - {db-name: "*", tbl-name: parent}
                      - {db-name: "*", tbl-name: "?i*_a"}
                      - {db-name: "*", tbl-name: "child*"}
                  b:
                    do-dbs: ["~^\(schema)_b$"]
                    ignore-tables: [{db-name: "*", tbl-name: skipped}]
                routes:
                  orders:
                    schema-pattern: "\(schema)_?"
                    table-pattern: "orders_*"
                    target-schema: \(schema)_all
                    target-table: orders
                    extract-table: {table-regexp: "orders_(.*)", target-column: part}
                    extract-source: {source-regexp: "(.*)", target-column: origin}
                  log:
                    schema-pattern: "\(schema)_?"
                    table-pattern: log
                    target-schema: \(schema)_all
                    target-table: log
                    extract-schema: {schema-regexp: "_(.)$", target-column: shard}
                  all: {schema-pattern: "\(schema)_?", target-schema: \(schema)_all}
                filters:
                  keep:
                    schema-pattern: "\(schema)_?"
                    table-pattern: log
                    events: [delete, truncate table]
                    action: Ignore
                expression-filter:
                  odd-a:
                    schema: \(schema)_a
                    table: orders_1
                    insert-value-expr: "id % 2 = 0 and v <> 'even'"
                  odd-b: {schema: \(schema)_b, table: parent, insert-value-expr: "n is null or n > 100"}
                  gone-a: {schema: \(schema)_a, table: orders_2, delete-value-expr: "id < 10"}
                  gone-b: {schema: \(schema)_b, table: parent, delete-value-expr: "n = 3"}
                  low-a:
                    schema: \(schema)_a
                    table: orders_2
                    update-old-value-expr: "v = 'a2'"
                    update-new-value-expr: "id > 0"
                  low-b: {schema: \(schema)_b, table: parent, update-new-value-expr: "n < 0"}
                """
        }

        /// What a source does while it is followed.
        private static func changes(_ schema: String, _ name: String) -> String {
            """
            USE \(schema)_\(name);
            INSERT INTO orders_1 VALUES (3,'x'),(4,'x'),(6,'even');
            UPDATE orders_1 SET v='new' WHERE id=1; DELETE FROM orders_2 WHERE id=1;
            INSERT INTO orders_2 VALUES (20,'a2'),(21,'b'); UPDATE orders_2 SET v='up';
            INSERT INTO parent VALUES (5,500),(6,6); UPDATE parent SET n=-1 WHERE id=1;
            UPDATE parent SET n=22 WHERE id=2; DELETE FROM parent WHERE id IN (3, 6);
            ALTER TABLE child_\(name) ADD w INT DEFAULT 7;
            INSERT INTO child_\(name) VALUES (2,2,8);
            DELETE FROM log WHERE id=1; INSERT INTO log VALUES (3,'new'); TRUNCATE TABLE log;
            INSERT INTO log VALUES (9,'last'); CREATE TABLE late_\(name) (id INT PRIMARY KEY);
            INSERT INTO late_\(name) VALUES (1);
            """
        }

        /// The task's workers compare what no filter touches, each table with its part.
        private static func compares(
            _ trial: Trial, _ cluster: ClusterTrial, _ target: @Sendable (String) -> String
        ) async throws {
            let schema = trial.schema
            @Sendable func verify() async throws -> SkeinProcess.Outcome {
                try await SkeinProcess([
                    "task", "verify", "merge", "--wait", "--endpoint",
                    cluster.workers[0].address,
                ]).end()
            }
            try await cluster.eventually("a's last row") {
                target("SELECT 1 FROM late_a") == "1\n"
            }
            var outcome = try await verify()
            #expect(outcome.status == 0, "\(outcome.text)")
            for words in [
                "merge on a: compared: equal, 1 tables, 1 rows, 3 tables not compared: filters",
                "merge on b: compared: equal, 4 tables, ", ", 2 tables not compared: filters",
                "note: \(schema)_b.log is not compared: filters.keep may leave out",
                "note: \(schema)_a.orders_1 is not compared: expression-filter.odd-a may",
                // Any source may have a table of that name, which nothing tells apart.
                "note: rows that only \(schema)_all.late_b has are not looked for",
            ] {
                #expect(outcome.text.contains(words), "\(outcome.text)")
            }
            // Of a's parts nothing is known here, but that they are a's.
            _ = target(
                """
                UPDATE orders SET v='bad' WHERE origin='b' AND part='1' AND id=3;
                INSERT INTO orders VALUES ('b','9',1,'nobody');
                INSERT INTO orders VALUES ('b','2',77,'extra'), ('a','9',1,'unknown');
                """)
            outcome = try await verify()
            #expect(outcome.status == 3, "\(outcome.text)")
            for words in [
                "\(schema)_b.orders_1: different, 1 rows differ",
                "\(schema)_b.orders_2: different, 1 rows differ",
                "rows of \(schema)_all.orders that are in no table's part are not looked for",
            ] {
                #expect(outcome.text.contains(words), "\(outcome.text)")
            }
            _ = target(
                """
                UPDATE orders SET v='x' WHERE origin='b' AND part='1' AND id=3;
                DELETE FROM orders WHERE part='9' OR id=77;
                """)
        }

        @Test("two sources are merged into one schema, with routes, columns and filters")
        func merge() async throws {
            let trial = try await Trial(
                .mariadb, "merge", "CREATE TABLE marker (id BIGINT PRIMARY KEY);")
            let schema = trial.schema
            try trial.source.sql(Self.tables(schema))
            try trial.target.sql(
                """
                CREATE DATABASE \(schema)_all; USE \(schema)_all;
                CREATE TABLE orders (origin VARCHAR(10), part VARCHAR(10), id INT, v VARCHAR(20),
                    PRIMARY KEY (id, origin, part));
                CREATE TABLE log (id INT, what VARCHAR(20), shard CHAR(1), PRIMARY KEY (id, shard))
                """)
            let cluster = try ClusterTrial("w1")
            let target: @Sendable (String) -> String = { sql in
                (try? trial.target.sql(sql, database: "\(schema)_all")) ?? "?"
            }
            try await cluster.running {
                try cluster.workers[0].start()
                try await cluster.add(
                    trial, sources: ["a", "b"], task: "merge", Self.task(schema))
                try await cluster.eventually("both copies") {
                    target(
                        "SELECT COUNT(*) FROM skein_meta.subtask "
                            + "WHERE task='merge' AND phase='follow'") == "2\n"
                }
                for name in ["a", "b"] { try trial.source.sql(Self.changes(schema, name)) }
                try await cluster.eventually("the last rows") {
                    target("SELECT COUNT(*) FROM log WHERE id=9") == "2\n"
                        && target("SELECT 1 FROM late_b") == "1\n"
                }
                try await Self.compares(trial, cluster, target)
            }
            #expect(
                target("SELECT origin, part, id, v FROM orders ORDER BY 1, 2, 3") == """
                    a\t1\t1\tnew
                    a\t1\t3\tx
                    a\t1\t6\teven
                    a\t2\t1\ta2
                    a\t2\t20\ta2
                    a\t2\t21\tup
                    b\t1\t1\tnew
                    b\t1\t2\tb1
                    b\t1\t3\tx
                    b\t1\t4\tx
                    b\t1\t6\teven
                    b\t2\t20\tup
                    b\t2\t21\tup

                    """)
            #expect(
                target("SELECT id, n FROM parent ORDER BY id") == "1\t1\n2\t22\n3\t3\n",
                "the filters of b's parent")
            #expect(
                target("SELECT shard, id FROM log ORDER BY 1, 2")
                    == "a\t1\na\t2\na\t3\na\t9\nb\t1\nb\t2\nb\t3\nb\t9\n")
            #expect(target("SELECT * FROM child_b ORDER BY id") == "1\t1\t7\n2\t2\t8\n")
            for table in ["child_a", "skipped", "late_a"] {
                let found = target("SHOW TABLES LIKE '\(table)'")
                #expect(found == (table == "late_a" ? "late_a\n" : ""))
            }
        }
    }
}
