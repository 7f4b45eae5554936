import TestServers
import Testing

extension MigrationTests {
    /// What tables get that name no charset, where the source is farther than the target.
    @Suite("Defaults of schemas")
    struct SchemaDefaultsTests {
        @Test(
            "tables get what their schema had when they were made, however late they are made",
            arguments: Pair.available)
        func late(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "defaults", "CREATE TABLE marker (id BIGINT PRIMARY KEY)")
            let empty = "\(trial.schema)_empty"
            let new = "\(trial.schema)_new"
            for server in [trial.source, trial.target] {
                try server.sql(
                    "DROP DATABASE IF EXISTS \(empty); DROP DATABASE IF EXISTS \(new)")
            }
            defer {
                for server in [trial.source, trial.target] {
                    _ = try? server.sql(
                        "DROP DATABASE IF EXISTS \(empty); DROP DATABASE IF EXISTS \(new)")
                }
            }
            try trial.source.sql(
                """
                CREATE DATABASE \(empty) CHARACTER SET latin1 COLLATE latin1_bin;
                ALTER DATABASE \(trial.schema) CHARACTER SET latin1;
                """)
            let tables = [
                "--tables", "\(trial.schema).*", "--tables", "\(empty).*", "--tables", "\(new).*",
            ]
            let skein = try SkeinProcess(trial.arguments(tables))
            try await trial.copied(skein)
            try await trial.applied(skein)
            try await trial.stop(skein)
            // All of it lies behind the mark, and the source has other defaults by the end.
            try trial.onSource(
                """
                CREATE TABLE before_it (a VARCHAR(9) PRIMARY KEY);
                ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
                CREATE TABLE after_it (a VARCHAR(9) PRIMARY KEY);
                SET NAMES utf8mb4;
                INSERT INTO before_it VALUES ('ä'); INSERT INTO after_it VALUES ('a'), ('A');
                CREATE TABLE \(empty).made (a VARCHAR(9) PRIMARY KEY);
                INSERT INTO \(empty).made VALUES ('a'), ('A'), ('ä');
                USE \(empty); CREATE TABLE here (a VARCHAR(9)); INSERT INTO here VALUES ('ö');
                CREATE DATABASE IF NOT EXISTS \(new) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
                CREATE TABLE \(new).t (code VARCHAR(20) PRIMARY KEY);
                INSERT INTO \(new).t VALUES ('a'), ('A');
                """)
            let outcome = try await SkeinProcess(
                trial.arguments(tables + ["--until", "caught-up"])
            ).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            try await trial.judge.expectEqual([trial.schema, empty, new])
            for (schema, table) in [
                (trial.schema, "before_it"), (trial.schema, "after_it"), (empty, "made"),
                (empty, "here"), (new, "t"),
            ] {
                let collation =
                    "SELECT COLLATION_NAME FROM information_schema.COLUMNS "
                    + "WHERE TABLE_SCHEMA='\(schema)' AND TABLE_NAME='\(table)'"
                #expect(
                    try trial.source.sql(collation) == trial.target.sql(collation),
                    "\(schema).\(table)")
            }
        }
    }
}
