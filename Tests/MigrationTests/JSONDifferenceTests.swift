import TestServers
import Testing

extension MigrationTests {
    /// `binlog_row_value_options=PARTIAL_JSON`: updates carry what has changed in a JSON value, and
    /// nothing at all for one that has not.
    @Suite("Differences of JSON values", .serialized, .enabled(if: TestServer.isAvailable(.mysql)))
    struct JSONDifferenceTests {
        private static let tables = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE docs (id INT PRIMARY KEY, a JSON, n INT, b JSON, u INT UNIQUE);
            CREATE TABLE twins (n INT, doc JSON);
            CREATE TABLE parent (id INT PRIMARY KEY, doc JSON);
            CREATE TABLE child (id INT PRIMARY KEY, p INT, doc JSON,
                FOREIGN KEY (p) REFERENCES parent (id));
            INSERT INTO docs SELECT n, d, n, d, n FROM (
                WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 400)
                SELECT n, JSON_OBJECT('k', n, 'text', REPEAT('x', 200), 'list', JSON_ARRAY(1, 2, 3)) d
                FROM s) x;
            INSERT INTO twins SELECT 1, a FROM docs WHERE id <= 3;
            INSERT INTO twins SELECT 1, a FROM docs WHERE id <= 3;
            INSERT INTO parent SELECT id, a FROM docs WHERE id < 5;
            INSERT INTO child SELECT id, id, a FROM docs WHERE id < 5;
            """
        private static let changes = """
            SET SESSION binlog_row_value_options=PARTIAL_JSON;
            UPDATE docs SET n = n + 1 WHERE id < 10;
            UPDATE docs SET a = JSON_SET(a, '$.k', 'new'), n = 7 WHERE id BETWEEN 5 AND 15;
            UPDATE docs SET b = JSON_REMOVE(b, '$.list[1]') WHERE id BETWEEN 10 AND 20;
            UPDATE docs SET a = JSON_REPLACE(a, '$.list[0]', 9), b = JSON_SET(b, '$.k', NULL)
                WHERE id = 12;
            START TRANSACTION;
            UPDATE docs SET a = JSON_SET(a, '$.k', 1) WHERE id = 30;
            UPDATE docs SET a = JSON_SET(a, '$.k', 2) WHERE id = 30;
            UPDATE docs SET id = 1030 WHERE id = 30;
            UPDATE docs SET a = JSON_SET(a, '$.k', 3) WHERE id = 1030;
            UPDATE docs SET a = '{"k": "a whole new value"}', n = 8 WHERE id = 1030;
            UPDATE docs SET a = JSON_SET(a, '$.k', 4) WHERE id = 1030;
            UPDATE docs SET a = JSON_SET(a, '$.k', 'it''s "5" ') WHERE id = 1030;
            COMMIT;
            UPDATE docs SET a = NULL WHERE id = 40;
            UPDATE docs SET a = '{"back": 1}' WHERE id = 40;
            UPDATE docs SET u = NULL WHERE id = 41;
            UPDATE twins SET doc = JSON_SET(doc, '$.k', 5) WHERE doc->'$.k' = 2 LIMIT 1;
            UPDATE twins SET n = 2 WHERE doc->'$.k' = 3 LIMIT 1;
            UPDATE parent SET doc = JSON_SET(doc, '$.k', 6) WHERE id = 2;
            UPDATE child SET doc = JSON_SET(doc, '$.k', 7), p = 3 WHERE id = 2;
            DELETE FROM twins WHERE doc->'$.k' = 5;
            """

        @Test(
            "arrive as values, and leave what they do not name as it is",
            arguments: [Pair.mysql, Pair(source: .mysql, target: .mariadb)])
        func follow(_ pair: Pair) async throws {
            let trial = try await Trial(pair, "differences", Self.tables)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try trial.onSource(Self.changes)
            try await trial.applied(skein)
            try await trial.stop(skein)
            // The source did write differences.
            let nulls = try trial.onTarget(
                "SELECT COUNT(*) FROM docs WHERE a IS NULL OR b IS NULL OR a = 'null' OR b = 'null'"
            )
            #expect(nulls == "0\n")
            try await trial.expectEqual()
        }

        @Test("arrive between the positions of a table's copy")
        func duringCopy() async throws {
            var trial = try await Trial(.mysql, "differences", Self.tables)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            proxy.setDelay(.milliseconds(10))
            // Two runs of the copy: the table lies between two positions.
            var skein = try trial.migrate("--chunk-rows", "20")
            try await skein.waiting(for: "its middle") {
                (try? trial.target.sql(
                    "SELECT COUNT(*) > 3 FROM \(trial.meta).chunk WHERE table_name='docs'"))
                    == "1\n"
            }
            skein.kill()
            #expect(trial.phase == "copy")
            try trial.onSource(Self.changes)
            proxy.setDelay(.zero)
            skein = try trial.migrate("--chunk-rows", "20")
            try await trial.copied(skein)
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }

        @Test("a document that is saved again as it is, with another image")
        func sameText() async throws {
            let trial = try await Trial(
                .mysql, "sametext",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE plain (id INT PRIMARY KEY, d JSON);
                CREATE TABLE top (id INT PRIMARY KEY);
                CREATE TABLE tied (id INT PRIMARY KEY, p INT, d JSON, FOREIGN KEY (p) REFERENCES top (id)
                    ON DELETE CASCADE);
                INSERT INTO top VALUES (1);
                INSERT INTO plain VALUES (1,'{"a": 1, "b": "long enough"}'),(2,'{"a": 2, "b": "x"}'),(3,'{"a": 2}');
                INSERT INTO tied SELECT id, 1, d FROM plain;
                """)
            let skein = try trial.migrate()
            try await trial.copied(skein)
            try trial.onSource(
                "UPDATE plain SET d=JSON_REMOVE(d,'$.b'); UPDATE tied SET d=JSON_REMOVE(d,'$.b')")
            try await trial.applied(skein)
            // The same text: UPDATE would see that, these do not.
            try trial.onSource(
                """
                START TRANSACTION; REPLACE INTO plain VALUES (1,'{"a": 1}'),(2,'{"a": 2}'),(3,'{}');
                DELETE FROM tied; INSERT INTO tied SELECT id, 1, CAST(d AS CHAR) FROM plain; COMMIT
                """)
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }
    }
}
