import TestServers
import Testing

extension MigrationTests {
    /// DDL whose meaning depends on the session, the server or the time it ran at.
    @Suite("Sessions of statements", .serialized)
    struct SessionTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE items (id INT PRIMARY KEY, a VARCHAR(20));
            INSERT INTO items VALUES (1, 'a'), (2, NULL);
            """

        /// A schema that comes while it follows is what the source's server makes of it.
        @Test("a schema and its tables created while it follows", arguments: Pair.available)
        func newSchema(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "session", Self.tables)
            let made = "made_\(trial.schema)"
            for server in [trial.source, trial.target] {
                try server.sql("DROP DATABASE IF EXISTS \(made)")
            }
            let skein = try trial.migrate("--tables", "\(made).*")
            try await trial.copied(skein)
            try trial.onSource(
                """
                CREATE DATABASE \(made); USE \(made);
                CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(50), w VARCHAR(50) CHARACTER SET latin1);
                INSERT INTO t VALUES (1, 'é€', 'ü'), (2, '😀', '€');
                ALTER DATABASE \(made) CHARACTER SET latin1; CREATE TABLE l (id INT PRIMARY KEY, v TEXT);
                INSERT INTO l VALUES (1, 'é');
                ALTER TABLE l ADD COLUMN u VARCHAR(9), ADD COLUMN x VARCHAR(9) CHARACTER SET utf8mb4;
                INSERT INTO l VALUES (2, 'ö', 'ß', '中');
                """)
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.judge.expectEqual([trial.schema, made], verifying: false)
        }

        @Test(
            "values that existing rows get, in the session's dialect and at the statement's time",
            arguments: Pair.available)
        func values(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "values", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try trial.onSource(
                """
                ALTER TABLE items ADD COLUMN at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6);
                ALTER TABLE items ADD COLUMN ms TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3);
                ALTER TABLE items ADD COLUMN s DATETIME DEFAULT CURRENT_TIMESTAMP;
                SET timestamp=1700000000.75; SET sql_mode='PIPES_AS_CONCAT,ANSI_QUOTES';
                ALTER TABLE "items" ADD COLUMN c VARCHAR(40) AS ("a" || '!') STORED,
                  ADD COLUMN r DATETIME(1) DEFAULT '2024-01-01 00:00:00.97';
                ALTER TABLE items MODIFY at DATETIME(2) NOT NULL;
                INSERT INTO items (id, a, r) VALUES (3, 'x', NULL);
                """)
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual(verifying: false)
        }

        @Test("TIMESTAMP columns that get their own defaults", arguments: Pair.available)
        func implicitTimestamps(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "stamps", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            for explicit in [0, 1] {
                try trial.onSource(
                    """
                    SET SESSION explicit_defaults_for_timestamp=\(explicit);
                    CREATE TABLE s\(explicit) (id INT PRIMARY KEY, a TIMESTAMP, b TIMESTAMP NULL);
                    INSERT INTO s\(explicit) (id, b) VALUES (1, NULL);
                    ALTER TABLE items ADD COLUMN t\(explicit) TIMESTAMP;
                    """)
            }
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual(verifying: false)
        }

        @Test("ALTER TABLE in two phases runs once")
        func twoPhases() async throws {
            let trial = try await Trial(.mariadb, "phases", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try trial.onSource(
                """
                SET SESSION binlog_alter_two_phase=1;
                ALTER TABLE items ADD COLUMN c INT DEFAULT 4; INSERT INTO items VALUES (7, 'x', 7);
                ALTER TABLE items DROP COLUMN c, ALGORITHM=COPY; INSERT INTO items VALUES (8, 'y');
                INSERT INTO items VALUES (9, 'y');
                """)
            // It fails behind its announcement.
            _ = try? trial.onSource(
                "SET SESSION binlog_alter_two_phase=1; ALTER TABLE items ADD UNIQUE (a), DROP COLUMN id"
            )
            try trial.onSource("INSERT INTO items VALUES (10, 'z')")
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        @Test("schemas and tables that are dropped in unusual ways", arguments: Pair.sameFamily)
        func drops(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "drops",
                Self.tables + "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1);")
            let skein = try trial.migrate()
            try await trial.copied(skein)
            // Some servers drop what is there, and log the statement with its error.
            _ = try? trial.onSource("DROP TABLE a, missing")
            try trial.onSource(
                """
                DROP TABLE IF EXISTS a; CREATE TABLE a (id INT PRIMARY KEY, b INT);
                INSERT INTO a VALUES (1, 2);
                """)
            if pair.source == .mariadb {
                try trial.onSource(
                    """
                    CREATE OR REPLACE DATABASE \(trial.schema) CHARACTER SET latin1; USE \(trial.schema);
                    CREATE TABLE marker (id BIGINT PRIMARY KEY);
                    CREATE TABLE items (id INT PRIMARY KEY, v VARCHAR(9), w TEXT CHARACTER SET utf8mb4);
                    INSERT INTO items VALUES (5, 'é', 'é');
                    """)
            }
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual(verifying: false)
        }

        @Test("servers that store names in lower case")
        func lowerCase() async throws {
            let options = ["--lower-case-table-names=1"]
            let source = try await TestServer.start(.mariadb, options: options, name: "lower")
            let target = try await TestServer.start(.mariadb, options: options, name: "lowertarget")
            let trial = try Trial(source: source, target: target, "lower", Self.tables)
            let skein = try trial.migrate(
                "--exclude", "\(trial.schema).other", "--tables", "\(trial.schema).i*")
            try await trial.copied(skein)
            try trial.onSource(
                """
                TRUNCATE TABLE ITEMS; INSERT INTO Items VALUES (3, 'x');
                ALTER TABLE Items ADD COLUMN b INT; INSERT INTO iTems VALUES (4, 'y', 5);
                RENAME TABLE Items TO Items2; INSERT INTO items2 VALUES (5, 'z', 6);
                """)
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        @Test("a table whose shape no text tells, through a kill before the mark")
        func untold() async throws {
            var trial = try await Trial(.mariadb, "untold", Self.tables)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            let other = "other_\(trial.schema)"
            for server in [trial.source, trial.target] {
                try server.sql(
                    """
                    DROP DATABASE IF EXISTS \(other); CREATE DATABASE \(other);
                    CREATE TABLE \(other).x (id INT PRIMARY KEY, v VARCHAR(9));
                    """)
            }
            var skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            // The statement is done and recorded; the mark does not pass it.
            let statement = proxy.holdNext(.toServer, matching: "LIKE", closingClient: false)
            try trial.onSource(
                "CREATE TABLE likex LIKE \(other).x; INSERT INTO likex VALUES (1,'a')")
            try await statement.caught()
            let mark = proxy.holdNext(
                .toServer, matching: "`subtask` SET low_water", closingClient: false)
            statement.deliver()
            try await mark.caught()
            skein.kill()
            mark.drop()
            skein = try trial.migrate()
            try trial.onSource("INSERT INTO likex VALUES (2,'b')")
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }
    }
}
