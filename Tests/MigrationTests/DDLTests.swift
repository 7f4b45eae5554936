import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// Tables that change their shape while they are migrated.
    @Suite("DDL", .serialized)
    struct DDLTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(40), c INT DEFAULT 5);
            CREATE TABLE items_new LIKE items;
            CREATE TABLE events (at INT, what VARCHAR(20));
            CREATE TABLE scratch (id INT AUTO_INCREMENT PRIMARY KEY, v INT);
            INSERT INTO items (a, b) VALUES (1,'x'),(2,'y'),(3,'z');
            INSERT INTO events VALUES (1,'e'),(1,'e');
            """

        /// Changes of rows that do not care which other columns there are.
        private static let step: Load.Step = { connection, dice in
            switch dice.roll(6) {
            case 0, 1: try connection.execute("INSERT INTO items (a) VALUES (\(dice.roll(1000)))")
            case 2:
                try connection.execute(
                    "UPDATE items SET a=a+1 WHERE a=\(dice.roll(1000)) ORDER BY id LIMIT 3")
            case 3: try connection.execute("DELETE FROM items WHERE a=\(dice.roll(1000)) LIMIT 1")
            case 4: try connection.execute("INSERT INTO scratch (v) VALUES (1),(2)")
            default: try connection.execute("INSERT INTO events (at) VALUES (\(dice.roll(9)))")
            }
        }

        /// Statements that change shapes; each set runs in order and leaves the tables as before.
        private static let changes: [[String]] = [
            [
                "ALTER TABLE items ADD COLUMN d INT NOT NULL DEFAULT 7",
                "ALTER TABLE items ADD COLUMN e VARCHAR(10) FIRST, ADD COLUMN f DATETIME NULL AFTER a",
                "INSERT INTO items (a, d, e, f) VALUES (9, 9, 'é', '2024-01-01')",
                "ALTER TABLE items DROP COLUMN e, DROP COLUMN f", "ALTER TABLE items DROP COLUMN d",
            ],
            [
                "ALTER TABLE items MODIFY COLUMN b VARCHAR(80) NULL AFTER c",
                "ALTER TABLE items MODIFY COLUMN c BIGINT DEFAULT 5",
                "INSERT INTO items (a, b, c) VALUES (8, 'wide', 5000000000)",
                "DELETE FROM items WHERE c > 2147483647",
                "ALTER TABLE items MODIFY COLUMN c INT DEFAULT 5, MODIFY COLUMN b VARCHAR(40) AFTER a",
            ],
            [
                "ALTER TABLE items RENAME COLUMN b TO bb", "UPDATE items SET bb='renamed' LIMIT 2",
                "ALTER TABLE items CHANGE COLUMN bb b VARCHAR(40)",
            ],
            [
                "CREATE INDEX by_a ON items (a, b(3))", "ALTER TABLE items ADD INDEX by_c (c)",
                "ALTER TABLE items DROP INDEX by_a, DROP INDEX by_c",
            ],
            [
                "RENAME TABLE items TO items_old, items_new TO items",
                "INSERT INTO items (a) VALUES (1),(2)",
                "RENAME TABLE items TO items_new, items_old TO items",
            ],
            ["TRUNCATE TABLE scratch", "INSERT INTO scratch (v) VALUES (100)"],
            [
                "CREATE TABLE made (id INT PRIMARY KEY, v JSON)",
                "INSERT INTO made VALUES (1, '[]')",
                "CREATE TABLE made2 LIKE made", "INSERT INTO made2 SELECT * FROM made",
                "RENAME TABLE made TO made3", "INSERT INTO made3 VALUES (2, NULL)",
                "DROP TABLE made2, made3",
            ],
            [
                "CREATE TABLE IF NOT EXISTS kept (id INT PRIMARY KEY)",
                "REPLACE INTO kept VALUES (1),(2)",
            ],
            ["ALTER TABLE events ADD COLUMN more INT", "ALTER TABLE events DROP COLUMN more"],
            ["CREATE OR REPLACE VIEW seen AS SELECT id, a FROM items", "DROP VIEW seen"],
            ["ALTER TABLE items COMMENT 'x'", "ALTER TABLE items ENGINE=InnoDB"],
            [
                "CREATE TEMPORARY TABLE passing (id INT)", "INSERT INTO passing VALUES (1)",
                "DROP TEMPORARY TABLE passing",
            ],
        ]

        /// DDL on a schema that nobody migrates, dialect that is hard to read included.
        private func elsewhere(_ trial: Trial) throws {
            try trial.source.sql(
                """
                CREATE DATABASE IF NOT EXISTS elsewhere; USE elsewhere;
                CREATE TABLE IF NOT EXISTS other (id INT PRIMARY KEY, v INT);
                ALTER TABLE other ADD COLUMN IF NOT EXISTS w INT; REPLACE INTO other VALUES (1,1,1);
                CREATE OR REPLACE TABLE other2 (x POINT NOT NULL, SPATIAL INDEX (x)) ENGINE=Aria;
                DROP TABLE other2; TRUNCATE other;
                """)
        }

        private func session(_ trial: Trial) throws -> Connection {
            let connection = try trial.source.connect(trial.schema)
            try connection.execute("SET lock_wait_timeout=30")
            return connection
        }

        @Test("each kind of change under load while it follows", arguments: Pair.sameFamily)
        func following(_ pair: Pair) async throws {
            let seed = Dice.seed("following")
            let trial = try await Trial(pair, "ddl", Self.tables)
            let load = Load(trial.source, schema: trial.schema, seed: seed, Self.step)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            let connection = try session(trial)
            for set in Self.changes {
                for statement in set {
                    try connection.execute(statement)
                    try await load.more(5)
                }
                if pair.source == .mariadb { try elsewhere(trial) }
                #expect(skein.status == nil, "after \(set): \(skein.text)")
                if skein.status != nil { break }
            }
            // What comes behind the marker may be read, or not, before it stops.
            try await load.stop()
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        @Test("kill -9 at any instant while DDL runs")
        func killed() async throws {
            let seed = Dice.seed("killed")
            var dice = Dice(seed: seed)
            let trial = try await Trial(.mariadb, "ddlkill", Self.tables)
            let load = Load(trial.source, schema: trial.schema, seed: seed, Self.step)
            var skein = try trial.migrate()
            try await trial.copied(skein)
            let connection = try session(trial)
            for _ in 0..<12 {
                for _ in 0..<3 {
                    for statement in Self.changes[dice.roll(Self.changes.count)] {
                        try connection.execute(statement)
                    }
                }
                try await Task.sleep(for: .milliseconds(dice.roll(1500)))
                #expect(skein.kill(), "\(skein.text)")
                skein = try trial.migrate()
            }
            try await trial.applied(skein)
            try await load.stop()
            try await trial.stop(skein)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("a kill right after the statement, before it is recorded", arguments: 0..<3)
        func unrecorded(_ round: Int) async throws {
            // Each of these must run exactly once: a swap that runs twice swaps back.
            let statements = [
                "RENAME TABLE items TO items_old, items_new TO items, items_old TO items_new",
                "ALTER TABLE items ADD COLUMN extra INT DEFAULT 3",
                "TRUNCATE TABLE items",
            ]
            var trial = try await Trial(.mariadb, "unrecorded", Self.tables)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            var skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            let before = try trial.source.sql("SHOW CREATE TABLE items", database: trial.schema)
            // The record of the statement's end never arrives.
            let held = proxy.holdNext(
                .toServer, matching: "DELETE FROM `\(trial.meta)`.`ddl`", closingClient: false)
            try trial.onSource(statements[round])
            try trial.onSource("INSERT INTO items (a) VALUES (4711)")
            try await held.caught()
            skein.kill()
            held.drop()
            #expect(try trial.target.sql("SELECT COUNT(*) FROM \(trial.meta).ddl") == "1\n")
            skein = try trial.migrate()
            try await trial.applied(skein)
            #expect(try trial.target.sql("SELECT COUNT(*) FROM \(trial.meta).ddl") == "0\n")
            try await trial.stop(skein)
            try await trial.expectEqual()
            #expect(!before.isEmpty)
        }

        @Test("a statement that arrives after its connection is gone runs once", arguments: 0..<2)
        func late(_ round: Int) async throws {
            let statements = [
                "RENAME TABLE items TO items_old, items_new TO items, items_old TO items_new",
                "TRUNCATE TABLE items",
            ]
            var trial = try await Trial(.mariadb, "latedll", Self.tables)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            let held = proxy.holdNext(.toServer, matching: String(statements[round].prefix(15)))
            try trial.onSource("INSERT INTO items (a) VALUES (1)")
            try trial.onSource(statements[round])
            try trial.onSource("INSERT INTO items (a) VALUES (4711)")
            try await held.caught()
            try await Task.sleep(for: .milliseconds(500))
            held.deliver()
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        @Test("tables change while they are copied")
        func copying() async throws {
            let seed = Dice.seed("copying")
            let trial = try await Trial(
                .mariadb, "ddlcopy",
                Self.tables + "INSERT INTO items (a, b) SELECT seq, seq FROM seq_1_to_20000;")
            let load = Load(trial.source, schema: trial.schema, seed: seed, Self.step)
            let skein = try trial.migrate("--chunk-rows", "100")
            try await skein.waiting(for: "its first rows") {
                (try? trial.onTarget("SELECT 1 FROM items LIMIT 1")) == "1\n"
            }
            let connection = try session(trial)
            for statement in [
                "ALTER TABLE items ADD COLUMN d INT NOT NULL DEFAULT 7", "TRUNCATE TABLE scratch",
                "CREATE TABLE made (id INT PRIMARY KEY)", "INSERT INTO made VALUES (1)",
                "ALTER TABLE events ADD COLUMN more INT", "DROP TABLE items_new",
                "ALTER TABLE items ADD INDEX (b)",
            ] {
                try connection.execute(statement)
                try await load.more(5)
            }
            try await trial.copied(skein)
            try await trial.applied(skein)
            try await load.stop()
            try await trial.stop(skein)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("tables that come and go all the time do not keep a copy from its rows")
        func churn() async throws {
            let seed = Dice.seed("churn")
            let trial = try await Trial(
                .mariadb, "churn",
                Self.tables + "INSERT INTO items (a, b) SELECT seq, seq FROM seq_1_to_5000;")
            let load = Load(
                trial.source, schema: trial.schema, threads: 1, seed: seed,
                pause: .milliseconds(50)
            ) { connection, dice in
                let name = "work_\(dice.roll(1_000_000))"
                try connection.execute("CREATE TABLE \(name) (id INT PRIMARY KEY, v INT)")
                try connection.execute("INSERT INTO \(name) VALUES (1,1),(2,2)")
                switch dice.roll(4) {
                case 0: try connection.execute("RENAME TABLE \(name) TO kept_\(name)")
                case 1: try connection.execute("TRUNCATE TABLE \(name)")
                default: break
                }
                try connection.execute("DROP TABLE IF EXISTS \(name)")
            }
            try await load.more(5)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            try await load.stop()
            try await trial.stop(skein)
            try await trial.catchUp()
            try await trial.expectEqual()
        }
    }
}
