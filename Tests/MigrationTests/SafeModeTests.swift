import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// `--safe-mode`: a target that is not as the source was at the start.
    @Suite("Safe mode", .serialized)
    struct SafeModeTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, v VARCHAR(20));
            CREATE TABLE log (v INT);
            CREATE TABLE parent (id INT PRIMARY KEY);
            CREATE TABLE child (id INT PRIMARY KEY, p INT,
                FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE);
            """

        /// Rows that are deleted, made anew, moved to other keys in both directions, and that swap a
        /// unique value, and keyless rows and rows that foreign keys act on beside them.
        private static let changes = """
            UPDATE t SET v=CONCAT(v,'+') WHERE id%3=0;
            UPDATE t SET id=id-200 WHERE id BETWEEN 80 AND 89;
            UPDATE t SET id=id+400, v='moved' WHERE id BETWEEN 20 AND 29;
            DELETE FROM t WHERE id%7=0;
            START TRANSACTION; UPDATE t SET u=-1 WHERE id=10; UPDATE t SET u=100 WHERE id=60;
            UPDATE t SET u=600 WHERE id=10; COMMIT;
            INSERT INTO t VALUES (7,70,'again'),(77,770,'again'),(300,3000,'new');
            DELETE FROM t WHERE id=300; INSERT INTO t VALUES (301,3000,'other');
            INSERT INTO log VALUES (2); DELETE FROM log WHERE v=1 LIMIT 1;
            INSERT INTO parent VALUES (3); INSERT INTO child VALUES (30,3),(31,3);
            DELETE FROM parent WHERE id=1;
            """

        @Test(
            "what was read in part before and in part after the changes becomes the source's",
            arguments: Pair.sameFamily)
        func converges(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "safe", Self.tables)
            let rows = (1...100).map { "(\($0),\($0 * 10),'r\($0)')" }.joined(separator: ",")
            try trial.onSource(
                """
                INSERT INTO t VALUES \(rows); INSERT INTO log VALUES (1),(1);
                INSERT INTO parent VALUES (1),(2); INSERT INTO child VALUES (10,1),(20,2);
                """)
            func read(_ part: String) throws -> [String] {
                try trial.onSource(
                    "SELECT CONCAT('(',id,',',u,',\\'',v,'\\')') FROM t WHERE \(part)"
                )
                .split(separator: "\n").map(String.init)
            }
            let place = try trial.source.connect().firstRow(
                trial.source.family == .mysql ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS")
            let start = try #require(place.map { "\($0["File"]! ?? ""):\($0["Position"]! ?? "")" })
            let before = try read("id < 50")
            try trial.onSource(Self.changes)
            let after = try read("id >= 50")
            // Eight rows were on neither side when they were read.
            #expect(try read("id < 0").count == 8)
            try trial.target.sql("CREATE DATABASE \(trial.schema)")
            try trial.onTarget(
                Self.tables + """
                    INSERT IGNORE INTO t VALUES \((before + after).joined(separator: ","));
                    INSERT INTO log VALUES (1),(1);
                    INSERT INTO parent VALUES (1),(2); INSERT INTO child VALUES (10,1),(20,2);
                    """)
            let mode = ["--mode", "incremental", "--start-position", start]
            let strict = try await SkeinProcess(
                trial.arguments(mode + ["--until", "caught-up"])
            ).end(within: .seconds(120))
            #expect(strict.status == 1 && strict.text.contains("apply."), "\(strict.text)")
            let safe = try await SkeinProcess(
                trial.arguments(mode + ["--safe-mode", "--until", "caught-up"])
            ).end(within: .seconds(120))
            #expect(safe.status == 0, "\(safe.text)")
            try await trial.expectEqual()
            // And what is made unequal now stops it, without it.
            try trial.onTarget("DELETE FROM t WHERE id=60")
            try trial.onSource("UPDATE t SET v='last' WHERE id=60")
            let exact = try await SkeinProcess(
                trial.arguments(mode + ["--until", "caught-up"])
            ).end(within: .seconds(120))
            #expect(exact.status == 1 && exact.text.contains("apply."), "\(exact.text)")
            try await trial.catchUp("--mode", "incremental", "--safe-mode")
            try await trial.expectEqual()
        }
    }
}
