import TestServers
import Testing

extension MigrationTests {
    /// What servers do, and log, without being asked.
    @Suite("What servers do by themselves", .serialized)
    struct ServerHabitTests {
        @Test(
            "a time that follows the clock stays what the source has, however late it is written",
            arguments: Pair.available)
        func clocks(_ pair: Pair) async throws {
            let clock =
                "upd TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
            let trial = try await Trial(
                pair, "clocks",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(9) UNIQUE, v INT, \(clock),
                    d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3));
                CREATE TABLE child (id INT PRIMARY KEY, p INT, v INT, \(clock),
                    FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE);
                CREATE TABLE plain (id INT PRIMARY KEY, v INT, \(clock));
                CREATE TABLE keyless (a INT, v INT, \(clock));
                CREATE TABLE keyed (id INT, \(clock), v INT, PRIMARY KEY (id, upd));
                INSERT INTO parent (id, name, v) VALUES (1,'a',1),(2,'b',2);
                INSERT INTO child (id, p, v) VALUES (1,1,1),(2,2,2);
                INSERT INTO plain (id, v) VALUES (1,1); INSERT INTO keyless (a, v) VALUES (1,1),(1,1);
                INSERT INTO keyed (id, v) VALUES (1,1);
                """)
            try await trial.catchUp()
            let tables = ["parent", "child", "plain", "keyless", "keyed"]
            // One by one, and all in one transaction; with all columns in the images, and without.
            try trial.onSource(
                tables.map { "UPDATE \($0) SET v = v + 10, upd = upd" }.joined(separator: ";"))
            try trial.onSource(
                "UPDATE parent SET v = 7, upd = upd, d = d WHERE id = 1; SET binlog_row_image=MINIMAL;"
                    + tables.map { "UPDATE \($0) SET v = v + 100, upd = upd" }
                    .joined(separator: ";"))
            try await Task.sleep(for: .milliseconds(1100))
            try await trial.catchUp()
            try await trial.expectEqual()
            try trial.onSource(
                "START TRANSACTION; "
                    + tables.map { "UPDATE \($0) SET v = v + 1, upd = upd" }
                    .joined(separator: ";") + "; COMMIT")
            try await Task.sleep(for: .milliseconds(1100))
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test(
            "a value that a row without all columns gives free is taken behind it",
            arguments: Pair.available)
        func valuesGivenFree(_ pair: Pair) async throws {
            let count = 400
            let trial = try await Trial(
                pair, "freed",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, v INT);
                CREATE TABLE parent (id INT PRIMARY KEY, u INT UNIQUE);
                CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (u));
                """)
            func each(_ body: (Int) -> String) -> String {
                (1...count).map { body($0) }.joined(separator: ";") + ";"
            }
            try trial.onSource(
                each {
                    "INSERT INTO t VALUES (\($0), \($0), 0); INSERT INTO parent VALUES (\($0), \($0))"
                }
                    + each { "INSERT INTO child VALUES (\($0), \($0))" })
            try await trial.catchUp("--lanes", "8")
            try trial.onSource(
                "SET binlog_row_image=MINIMAL;"
                    + each { "DELETE FROM t WHERE id = \($0); DELETE FROM child WHERE id = \($0)" }
                    + "SET binlog_row_image=FULL;"
                    + each {
                        "INSERT INTO t VALUES (\($0 + 1000), \($0), 1); DELETE FROM parent WHERE id = \($0)"
                    } + "SET binlog_row_image=MINIMAL;"
                    + each { "UPDATE t SET u = NULL, v = 2 WHERE id = \($0 + 1000)" }
                    + "SET binlog_row_image=FULL;"
                    + each { "INSERT INTO t VALUES (\($0 + 2000), \($0), 3)" })
            try await trial.catchUp("--lanes", "8")
            try await trial.expectEqual()
        }

        @Test(
            "what a transaction takes back to a savepoint is not written, also where it is logged")
        func savepoints() async throws {
            let trial = try await Trial(
                .mariadb, "savepoints",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY);
                CREATE DATABASE IF NOT EXISTS elsewhere;
                CREATE OR REPLACE TABLE elsewhere.notes (id INT) ENGINE=MyISAM;
                """)
            try await trial.catchUp()
            try trial.onSource(
                """
                START TRANSACTION; INSERT INTO t VALUES (1); INSERT INTO elsewhere.notes VALUES (1);
                SAVEPOINT s; INSERT INTO t VALUES (2); SAVEPOINT u; INSERT INTO t VALUES (3);
                ROLLBACK TO SAVEPOINT U; INSERT INTO t VALUES (4); ROLLBACK TO s; INSERT INTO t VALUES (5);
                ROLLBACK TO s; INSERT INTO t VALUES (6); RELEASE SAVEPOINT s; COMMIT;
                INSERT INTO t VALUES (2);
                """)
            try await trial.catchUp()
            #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "1\n2\n6\n")
            try await trial.expectEqual()
        }

        @Test(
            "GTIDs of a source that does not rely on them name nothing",
            .enabled(if: TestServer.isAvailable(.mysql)),
            arguments: ["OFF_PERMISSIVE", "ON_PERMISSIVE"])
        func permissive(_ mode: String) async throws {
            try await TestServer.with(.mysql, name: "permissive") { source in
                let steps = ["ON_PERMISSIVE", "OFF_PERMISSIVE"]
                for step in steps.prefix(mode == steps[0] ? 1 : 2) {
                    try source.sql("SET GLOBAL gtid_mode=\(step)")
                }
                let target = try await SharedServers.all.server(.mysql, "target")
                let trial = try Trial(
                    source: source, target: target, "permissive",
                    """
                    CREATE TABLE marker (id BIGINT PRIMARY KEY); CREATE TABLE twins (a INT);
                    INSERT INTO twins VALUES (1);
                    """)
                try await trial.catchUp()
                try trial.onSource("INSERT INTO twins VALUES (2)")
                // The newest one is read again at each start.
                for _ in 0..<3 {
                    let outcome = try await trial.migrate("--until", "caught-up").end()
                    #expect(outcome.status == 0, "\(outcome.text)")
                    #expect(try trial.onTarget("SELECT COUNT(*) FROM twins") == "2\n")
                }
                try trial.onSource("INSERT INTO twins VALUES (3)")
                try await trial.catchUp()
                try await trial.expectEqual()
            }
        }

        @Test(
            "what goes between a look at the list and one at itself ends nothing",
            arguments: Pair.sameFamily,
            [
                ("VIEW", "VIEW gone AS SELECT 1 AS x"), ("PROCEDURE", "PROCEDURE gone() SELECT 1"),
                ("TRIGGER", "TRIGGER gone BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id"),
                ("EVENT", "EVENT gone ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id < 0"),
            ])
        func gone(_ pair: Pair, _ object: (kind: String, definition: String)) async throws {
            var trial = try await Trial(
                pair, "gone",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY);
                INSERT INTO t VALUES (1); CREATE \(object.definition);
                """)
            let proxy = try FaultProxy(to: trial.source)
            defer { proxy.close() }
            trial.sourceURL = proxy.url
            let held = proxy.holdNext(
                .toServer, matching: "SHOW CREATE \(object.kind)", closingClient: false)
            let skein = try trial.migrate("--until", "caught-up")
            try await held.caught()
            try trial.onSource("DROP \(object.kind) gone")
            held.deliver()
            let outcome = try await skein.end()
            #expect(outcome.status == 0, "\(outcome.text)")
            try await trial.expectEqual()
        }

        @Test("a limit that a server puts on every result cuts nothing", arguments: Pair.sameFamily)
        func limit(_ pair: Pair) async throws {
            try await TestServer.with(pair.source, name: "limited") { source in
                try source.sql("SET GLOBAL sql_select_limit=5")
                let target = try await SharedServers.all.server(pair.target, "target")
                let values = (1...40).map { "(\($0),\($0))" }.joined(separator: ",")
                let trial = try Trial(
                    source: source, target: target, "limited",
                    """
                    CREATE TABLE marker (id BIGINT PRIMARY KEY);
                    CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE twins (a INT, b INT);
                    CREATE TABLE a1 (i INT PRIMARY KEY); CREATE TABLE a2 LIKE a1; CREATE TABLE a3 LIKE a1;
                    CREATE TABLE a4 LIKE a1; CREATE TABLE a5 LIKE a1; CREATE TABLE a6 LIKE a1;
                    INSERT INTO t VALUES \(values); INSERT INTO twins VALUES \(values);
                    """)
                let outcome = try await trial.migrate("--chunk-rows", "7", "--until", "caught-up")
                    .end()
                #expect(outcome.status == 0, "\(outcome.text)")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "40\n")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM twins") == "40\n")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM a6") == "0\n")
            }
        }

        @Test("ENUM's invalid member is not the empty one", arguments: Pair.sameFamily)
        func enums(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "enums",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE e (id INT PRIMARY KEY, v ENUM('','Y','N'));
                CREATE TABLE twins (v ENUM('','Y','N'));
                SET sql_mode=''; INSERT IGNORE INTO e VALUES (1,'x'),(2,''),(3,'Y'),(4,NULL);
                INSERT IGNORE INTO twins VALUES ('x'),(''),('N');
                """)
            try await trial.catchUp()
            for table in ["e", "twins"] {
                let numbers = "SELECT v+0 FROM \(table) ORDER BY 1"
                #expect(try trial.onTarget(numbers) == trial.onSource(numbers))
            }
            try trial.onSource("UPDATE twins SET v='Y' WHERE v=0; DELETE FROM e WHERE id=1")
            try await trial.catchUp()
            try await trial.expectEqual()
        }

        @Test("LOAD DATA that is logged as a statement is not passed over")
        func load() async throws {
            let trial = try await Trial(
                .mariadb, "loaded",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY, v INT);
                CREATE DATABASE IF NOT EXISTS elsewhere;
                CREATE OR REPLACE TABLE elsewhere.loaded (id INT, v INT);
                INSERT INTO t VALUES (1,1);
                """)
            try await trial.catchUp()
            try trial.onSource("SELECT 5, 5 INTO OUTFILE 'rows.txt'")
            func load(_ table: String) throws {
                try trial.onSource(
                    "SET binlog_format=STATEMENT; LOAD DATA INFILE 'rows.txt' INTO TABLE \(table)")
            }
            // Of a table that nobody migrates it stops nothing.
            try load("elsewhere.loaded")
            try trial.onSource("INSERT INTO t VALUES (2,2)")
            try await trial.catchUp()
            try await trial.expectEqual()
            try load("t")
            let outcome = try await trial.migrate("--until", "caught-up").end()
            #expect(outcome.status == 1, "\(outcome.text)")
            #expect(outcome.text.contains("LOAD DATA"), "\(outcome.text)")
        }
    }
}
