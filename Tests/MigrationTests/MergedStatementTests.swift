import Cluster
import Metadata
import TestServers
import Testing

extension MigrationTests {
    /// Statements on tables that are merged into one, of one source and of several.
    @Suite("Statements on merged tables", .serialized, .enabled(if: EtcdServer.isInstalled))
    struct MergedStatementTests {
        /// Both schemas are on one server, which is two sources.
        private static func tables(_ schema: String) -> String {
            ["a", "b"].map { name in
                """
                CREATE DATABASE \(schema)_\(name); USE \(schema)_\(name);
                CREATE TABLE o_1 (id INT PRIMARY KEY, v VARCHAR(20), w INT NOT NULL, KEY w (w));
                CREATE TABLE o_2 LIKE o_1; CREATE TABLE mark_\(name) (id INT PRIMARY KEY);
                INSERT INTO o_1 VALUES (1,'\(name)1',1),(2,'\(name)1',2);
                INSERT INTO o_2 VALUES (1,'\(name)2',1);
                """
            }.joined(separator: "\n")
        }

        private static func task(_ schema: String, _ mode: String) -> String {
            """
            name: \(schema)
            task-mode: all
            shard-mode: \(mode)
            target-database: TARGET
            mysql-instances:
              - {source-id: a, block-allow-list: a, route-rules: [orders, all]}
              - {source-id: b, block-allow-list: b, route-rules: [orders, all]}
            block-allow-list:
              a: {do-dbs: ["\(schema)_a"]}
              b: {do-dbs: ["\(schema)_b"]}
            routes:
              orders:
                schema-pattern: "\(schema)_?"
                table-pattern: "o_*"
                target-schema: \(schema)_all
                target-table: orders
                extract-table: {table-regexp: "o_(.*)", target-column: part}
                extract-source: {source-regexp: "(.*)", target-column: origin}
              all: {schema-pattern: "\(schema)_?", target-schema: \(schema)_all}
            """
        }

        /// A cluster that follows both sources.
        private static func following(
            _ label: String, _ mode: String,
            _ body: @Sendable @escaping (Trial, ClusterTrial) async throws -> Void
        ) async throws {
            let trial = try await Trial(.mariadb, label)
            let schema = trial.schema
            try trial.source.sql(tables(schema))
            try trial.target.sql(
                """
                DROP DATABASE IF EXISTS \(schema)_all; CREATE DATABASE \(schema)_all;
                CREATE TABLE \(schema)_all.orders (origin VARCHAR(10), part VARCHAR(10), id INT,
                    v VARCHAR(20), w INT NOT NULL, PRIMARY KEY (id, origin, part), KEY w (w));
                """)
            defer {
                _ = try? trial.target.sql("DROP DATABASE IF EXISTS \(schema)_all")
                _ = try? trial.source.sql(
                    "DROP DATABASE IF EXISTS \(schema)_a; DROP DATABASE IF EXISTS \(schema)_b")
            }
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                try cluster.workers[0].start()
                try await cluster.add(
                    trial, sources: ["a", "b"], task: schema, task(schema, mode))
                try await cluster.eventually("both copies") {
                    there(
                        trial,
                        "SELECT COUNT(*) FROM skein_meta.subtask "
                            + "WHERE task='\(schema)' AND phase='follow'") == "2\n"
                }
                try await body(trial, cluster)
            }
        }

        private static func there(_ trial: Trial, _ sql: String) -> String {
            (try? trial.target.sql(sql, database: "\(trial.schema)_all")) ?? "?"
        }

        /// Waits until all that both sources have done is on the target.
        private static func applied(
            _ trial: Trial, _ cluster: ClusterTrial, _ number: Int
        ) async throws {
            for name in ["a", "b"] {
                try trial.source.sql(
                    "INSERT INTO \(trial.schema)_\(name).mark_\(name) VALUES (\(number))")
            }
            try await cluster.eventually("mark \(number)") {
                ["a", "b"].allSatisfy {
                    there(trial, "SELECT 1 FROM mark_\($0) WHERE id=\(number)") == "1\n"
                }
            }
        }

        /// The rows of all tables, as the target should have them.
        private static func expectEqual(
            _ trial: Trial, _ columns: String, _ tables: [(String, String)]
        ) throws {
            let parts = tables.map { name, part in
                "SELECT '\(name)' origin, '\(part)' part, \(columns) "
                    + "FROM \(trial.schema)_\(name).o_\(part)"
            }
            let wanted = try trial.source.sql(
                parts.joined(separator: " UNION ALL ") + " ORDER BY 1, 2, 3")
            let found = there(
                trial, "SELECT origin, part, \(columns) FROM orders ORDER BY 1, 2, 3")
            #expect(found == wanted)
        }

        private static let all = [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]

        /// What each table goes through, at its own pace.
        private static let statements = [
            "ADD COLUMN n INT NOT NULL AFTER id, ADD KEY n (n)",
            "ADD COLUMN c VARCHAR(5) DEFAULT 'q'", "MODIFY v VARCHAR(60)", "DROP KEY w",
            "DROP COLUMN w", "ADD COLUMN x DECIMAL(8,2) NOT NULL DEFAULT 1.5, DROP KEY n",
            "MODIFY c VARCHAR(9) DEFAULT 'q'", "MODIFY v VARCHAR(40)",
            "ADD COLUMN k INT NOT NULL DEFAULT 5, ADD COLUMN f BIT(1) NOT NULL DEFAULT 0, "
                + "ADD COLUMN d DATETIME NOT NULL DEFAULT '2020-01-01', "
                + "ADD COLUMN g INT AS (k + 1)",
            "ALTER COLUMN k DROP DEFAULT, ADD UNIQUE KEY u (k, id)", "DROP KEY u, ADD KEY u (k)",
        ]

        @Test(
            "each at its own pace, through kills: the target holds all rows, and is what all are",
            arguments: ["optimistic", "pessimistic"])
        func paces(_ mode: String) async throws {
            try await Self.following("paces", mode) { trial, cluster in
                let schema = trial.schema
                var random = Dice(seed: Dice.seed("paces"))
                var places = Self.all.map { _ in 0 }
                var id = 10
                var steps = 0
                while let i = places.indices.filter({ places[$0] < Self.statements.count })
                    .randomElement(using: &random)
                {
                    let (name, part) = Self.all[i]
                    let table = "\(schema)_\(name).o_\(part)"
                    try trial.source.sql("ALTER TABLE \(table) \(Self.statements[places[i]])")
                    places[i] += 1
                    // Rows of all of them, in the shapes that they have now.
                    for (j, (name, part)) in Self.all.enumerated() {
                        id += 1
                        let table = "\(schema)_\(name).o_\(part)"
                        let w = places[j] < 5 ? ", w=\(id)" : ""
                        let n = places[j] > 0 ? ", n=\(id)" : ""
                        let k = places[j] > 9 ? ", k=\(id)" : ""
                        try trial.source.sql(
                            "INSERT INTO \(table) SET id=\(id), v='\(id)'\(w)\(n)\(k); "
                                + "UPDATE \(table) SET v='new' WHERE id=\(id - 4)")
                    }
                    steps += 1
                    if steps % 9 == 0 {
                        cluster.workers[0].kill()
                        try cluster.workers[0].start()
                    }
                }
                try await Self.applied(trial, cluster, 1)
                try Self.expectEqual(trial, "id, n, v, c, x, k, f + 0, d, g", Self.all)
                let columns = Self.there(
                    trial,
                    "SELECT GROUP_CONCAT(column_name, ' ', column_type ORDER BY 1) "
                        + "FROM information_schema.columns "
                        + "WHERE table_schema='\(schema)_all' AND table_name='orders'")
                #expect(
                    columns == "c varchar(9),d datetime,f bit(1),g int(11),id int(11),k int(11),"
                        + "n int(11),origin varchar(10),"
                        + "part varchar(10),v varchar(40),x decimal(8,2)\n")
                #expect(
                    Self.there(
                        trial,
                        "SELECT GROUP_CONCAT(index_name, ' ', column_name) "
                            + "FROM information_schema.statistics WHERE table_schema='\(schema)_all' "
                            + "AND table_name='orders' AND index_name<>'PRIMARY'") == "u k\n")
                // Its default was for those that did not have it yet.
                let definition = Self.there(trial, "SHOW CREATE TABLE orders")
                for column in ["n", "k"] {
                    #expect(definition.contains("`\(column)` int(11) NOT NULL,"), "\(definition)")
                }
                var outcome: SkeinProcess.Outcome?
                try await cluster.eventually("a comparison") {
                    let ended = try await SkeinProcess([
                        "task", "verify", schema, "--wait", "--endpoint",
                        cluster.workers[0].address,
                    ]).end()
                    outcome = ended
                    // It was killed just now.
                    return !ended.text.contains("has just begun to follow")
                }
                #expect(outcome?.status == 0, "\(outcome?.text ?? "")")
            }
        }

        @Test("tables come and go: rows stay, and what others need is refused by name")
        func comeAndGo() async throws {
            try await Self.following("comeandgo", "optimistic") { trial, cluster in
                let schema = trial.schema
                try trial.source.sql(
                    """
                    USE \(schema)_a; CREATE TABLE o_3 LIKE o_1; INSERT INTO o_3 VALUES (7,'c',7);
                    DROP TABLE o_2; TRUNCATE TABLE o_1; INSERT INTO o_1 VALUES (5,'d',5);
                    ALTER TABLE o_1 DROP COLUMN w; INSERT INTO o_1 VALUES (6,'e');
                    """)
                try await Self.applied(trial, cluster, 1)
                #expect(
                    Self.there(
                        trial, "SELECT part, id, v, w FROM orders WHERE origin='a' ORDER BY 1, 2")
                        == "1\t1\ta1\t1\n1\t2\ta1\t2\n1\t5\td\t5\n1\t6\te\t0\n2\t1\ta2\t1\n3\t7\tc\t7\n"
                )
                try await cluster.eventually("the warning in the status") {
                    try await SkeinProcess([
                        "task", "status", schema, "--output", "json", "--endpoint",
                        cluster.workers[0].address,
                    ]).end().text.contains("o_2, which the source has dropped")
                }
                // What it has dropped comes back, which the target still has for the others.
                try trial.source.sql(
                    "ALTER TABLE \(schema)_a.o_1 ADD COLUMN w INT NOT NULL; "
                        + "ALTER TABLE \(schema)_b.o_1 RENAME COLUMN v TO z")
                try await cluster.eventually("both refusals") {
                    let text = cluster.workers[0].process?.text ?? ""
                    return text.contains("has dropped a column w before")
                        && text.contains("rows of the other tables still come with v")
                }
                #expect(
                    Self.there(trial, "SELECT COUNT(*), MIN(v IS NULL) FROM orders") == "9\t0\n")
            }
        }
    }
}
