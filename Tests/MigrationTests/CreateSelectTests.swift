import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// Statements and rows under one identity.
    @Suite("CREATE TABLE .. SELECT", .serialized)
    struct CreateSelectTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO t VALUES (1,'a'),(2,'é');
            CREATE TABLE twins (a INT); INSERT INTO twins VALUES (1),(1);
            """

        @Test("table and rows arrive, each once", arguments: Pair.sameFamily)
        func kinds(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "ctas", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            try trial.onSource(
                """
                CREATE TABLE made SELECT * FROM t;
                CREATE TABLE keyed (id INT PRIMARY KEY, extra INT DEFAULT 7) AS SELECT id FROM t;
                CREATE TABLE none SELECT * FROM t WHERE id > 100;
                CREATE TABLE IF NOT EXISTS made SELECT 5 AS id, 'five' AS v;
                INSERT INTO made VALUES (3,'c'); INSERT INTO none VALUES (9,'n');
                CREATE TEMPORARY TABLE passing SELECT * FROM t;
                CREATE TABLE kept SELECT * FROM passing;
                START TRANSACTION; INSERT INTO kept VALUES (8,'k'); DROP TEMPORARY TABLE passing; COMMIT;
                ALTER TABLE made ADD COLUMN more INT; INSERT INTO made VALUES (4,'d',4);
                """)
            if pair.source == .mariadb {
                try trial.onSource("CREATE OR REPLACE TABLE none SELECT a FROM twins")
            }
            try await trial.applied(skein)
            #expect(
                try trial.target.sql("SELECT COUNT(*) FROM \(trial.meta).ddl") == "0\n")
            try await trial.stop(skein)
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "a crash between the statement and its rows, and between the rows and their record",
            arguments: Pair.sameFamily,
            ["SET step=2", "INSERT INTO `%s`.`made`", "DELETE FROM `%m`.`ddl`"])
        func crash(_ pair: Pair, at text: String) async throws {
            var trial = try await Trial(pair, "ctascrash", Self.tables)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            var skein = try trial.migrate()
            try await trial.copied(skein)
            try await trial.applied(skein)
            let words = text.replacing("%s", with: trial.schema).replacing("%m", with: trial.meta)
            let held = proxy.holdNext(.toServer, matching: words, closingClient: false)
            try trial.onSource("CREATE TABLE made SELECT a, a+1 AS b FROM twins")
            try trial.onSource("INSERT INTO made VALUES (7,7)")
            try await held.caught()
            skein.kill()
            held.drop()
            #expect(try trial.target.sql("SELECT COUNT(*) FROM \(trial.meta).ddl") == "1\n")
            skein = try trial.migrate()
            try await trial.applied(skein)
            #expect(try trial.target.sql("SELECT COUNT(*) FROM \(trial.meta).ddl") == "0\n")
            try await trial.stop(skein)
            #expect(try trial.onTarget("SELECT COUNT(*) FROM made") == "3\n")
            try await trial.expectEqual()
        }
    }
}
