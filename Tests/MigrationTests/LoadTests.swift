import Foundation
import Glibc
import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// Dumps of other tools, loaded into a server.
    @Suite("Loading a dump", .serialized)
    struct LoadTests {
        static let hasMydumper =
            access("/usr/bin/mydumper", X_OK) == 0 && access("/usr/bin/myloader", X_OK) == 0

        /// Tables of every kind that a dump tool treats in its own way.
        static let tables = #"""
            CREATE TABLE many (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(60), b BLOB, d DOUBLE,
              dec1 DECIMAL(20,6), ts TIMESTAMP(6) NULL, dt DATETIME(3), bt BIT(9), y YEAR,
              e ENUM('x','y'), s SET('a','b'), g INT AS (LENGTH(t)) STORED, j JSON,
              l TEXT CHARACTER SET latin1, KEY (t));
            INSERT INTO many (t, b, d, dec1, ts, dt, bt, y, e, s, j, l)
              SELECT CONCAT('it''s "', seq, '" \\ ;', CHAR(10), 'é😀'), UNHEX(SHA2(seq, 512)),
                seq / 7, seq / 3, '2026-01-02 03:04:05.678901', '0000-00-00 00:00:00', seq % 512,
                1970 + seq % 100, 1 + seq % 2, seq % 4, CONCAT('{"n": ', seq, '}'), 'ü'
              FROM seq_1_to_3000;
            INSERT INTO many (t) VALUES (NULL), (''), (CHAR(0)), (');\n(');
            CREATE TABLE nokey (a INT, b TEXT);
            INSERT INTO nokey SELECT seq % 50, REPEAT(CHAR(65 + seq % 26), 900)
              FROM seq_1_to_20000;
            CREATE TABLE nothing (a INT);
            CREATE TABLE parent (id INT PRIMARY KEY);
            CREATE TABLE a_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id));
            INSERT INTO parent VALUES (1), (2); INSERT INTO a_child VALUES (1, 2), (2, NULL);
            CREATE TABLE mine (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=MyISAM;
            INSERT INTO mine SELECT seq, seq FROM seq_1_to_5000;
            CREATE VIEW first_view AS SELECT id, t FROM many;
            CREATE VIEW a_view AS SELECT id FROM first_view;
            CREATE TABLE log (x TEXT);
            CREATE SEQUENCE numbers START WITH 7;
            CREATE TABLE tagged (id INT PRIMARY KEY);
            DELIMITER //
            CREATE TRIGGER tagged_log AFTER INSERT ON tagged FOR EACH ROW
            BEGIN
              INSERT INTO log VALUES ('x;');
              SET @a = 1;
            END//
            CREATE PROCEDURE p() BEGIN SELECT 1; SELECT ';'; END//
            CREATE FUNCTION f(i INT) RETURNS INT DETERMINISTIC RETURN i + 1//
            CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO BEGIN SELECT 1; END//
            DELIMITER ;
            """#

        /// A folder of a test; gone with it.
        final class Folder: Sendable {
            let path = NSTemporaryDirectory() + "skein-dump-\(UUID().uuidString)"
            deinit { try? FileManager.default.removeItem(atPath: path) }

            func write(_ files: [String: String]) throws {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: true)
                for (name, text) in files {
                    try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
                }
            }
        }

        /// Runs a program to its end and expects success.
        static func run(_ program: String, _ arguments: [String]) async throws {
            let outcome = try await SkeinProcess(arguments, program: program).end()
            guard outcome.status == 0 else { throw Overdue("\(program): \(outcome.text)") }
        }

        /// Dumps a trial's schema with mydumper, of which a run that made nothing once stood still
        /// for minutes: a second one tells whether that was the program or the server.
        static func mydumper(_ trial: Trial, _ folder: Folder, _ more: [String] = []) async throws {
            let arguments =
                [
                    "-S", trial.source.socket, "-u", "root", "-B", trial.schema, "-o", folder.path,
                    "-G", "-E", "-R",
                ] + more
            let dump = try SkeinProcess(arguments, program: "mydumper")
            var status: Int32?
            do {
                try await dump.waiting(.seconds(90), for: "mydumper to end") {
                    status = dump.status
                    return status != nil
                }
            } catch let first as Overdue {
                print("\(first)\n\(try trial.source.sql("SHOW FULL PROCESSLIST"))")
                try? FileManager.default.removeItem(atPath: folder.path)
                return try await run("mydumper", arguments)
            }
            guard status == 0 else { throw Overdue("mydumper: \(dump.text)") }
        }

        static func load(
            _ trial: Trial, _ folder: Folder, _ more: [String] = []
        ) throws -> SkeinProcess {
            try SkeinProcess(
                [
                    "load", "--target", trial.targetURL, "--target-tls", "disabled", "--dir",
                    folder.path, "--meta-schema", trial.meta, "--output", "lines",
                ] + more)
        }

        /// What a schema has beside its tables.
        ///
        /// - Parameter modes: also under which `sql_mode` routines were made, of which mydumper
        ///   0.10 tells nothing.
        /// - Returns: views without their schema: whether columns are named with it depends on whether
        ///   what they are of was a view when they were made, or the table in its place, and myloader
        ///   takes files in the order in which the directory has them.
        static func objects(
            _ server: TestServer, _ schema: String, modes: Bool = true
        ) throws -> String {
            try server.sql(
                """
                SELECT TABLE_NAME, REPLACE(VIEW_DEFINITION, '`\(schema)`.', ''), DEFINER
                  FROM information_schema.VIEWS WHERE TABLE_SCHEMA='\(schema)' ORDER BY 1;
                SELECT ROUTINE_NAME, ROUTINE_TYPE, ROUTINE_DEFINITION, \(modes ? "SQL_MODE" : "1"), DEFINER
                  FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='\(schema)' ORDER BY 1;
                SELECT TRIGGER_NAME, REGEXP_REPLACE(ACTION_STATEMENT, '\\\\s+', ' '), DEFINER
                  FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='\(schema)' ORDER BY 1;
                SELECT EVENT_NAME, EVENT_DEFINITION, STATUS, DEFINER
                  FROM information_schema.EVENTS WHERE EVENT_SCHEMA='\(schema)' ORDER BY 1;
                SELECT NEXT_NOT_CACHED_VALUE FROM `\(schema)`.numbers
                """)
        }

        @Test(
            "a dump of mydumper is loaded whole", .enabled(if: hasMydumper),
            arguments: [[], ["-c"], ["-r", "500", "-c"], ["-s", "3000000"]])
        func mydumperToSkein(_ flags: [String]) async throws {
            let trial = try await Trial(.mariadb, "load_mydumper", Self.tables)
            let folder = Folder()
            try await Self.mydumper(trial, folder, flags)
            let outcome = try await Self.load(trial, folder).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            try await trial.judge.expectEqual([trial.schema])
            let theirs = try Self.objects(trial.source, trial.schema, modes: false)
            #expect(try Self.objects(trial.target, trial.schema, modes: false) == theirs)
            let again = try await Self.load(trial, folder).end()
            #expect(again.status == 0)
            #expect(again.text.contains("loaded before"))
        }

        @Test("killed at any moment, it goes on without loss or doubles", .enabled(if: hasMydumper))
        func killed() async throws {
            let trial = try await Trial(.mariadb, "load_killed", Self.tables)
            let folder = Folder()
            try await Self.mydumper(trial, folder, ["-c"])
            var kills = 0
            var delay = 40
            while true {
                let skein = try Self.load(trial, folder, ["--lanes", "2"])
                let deadline = ContinuousClock.now + .milliseconds(delay)
                while skein.status == nil, ContinuousClock.now < deadline {
                    try await Task.sleep(for: .milliseconds(5))
                }
                if skein.kill() {
                    kills += 1
                    delay = delay * 4 / 3
                    continue
                }
                #expect(skein.status == 0, "\(skein.text)")
                break
            }
            #expect(kills > 2)
            try await trial.judge.expectEqual([trial.schema])
            let theirs = try Self.objects(trial.source, trial.schema, modes: false)
            #expect(try Self.objects(trial.target, trial.schema, modes: false) == theirs)
        }

        @Test("a target that goes away and comes back is waited for", .enabled(if: hasMydumper))
        func lostTarget() async throws {
            let target = try await TestServer.start(.mariadb, name: "load-lost")
            let source = try await SharedServers.all.server(.mariadb, "source")
            let trial = try Trial(source: source, target: target, "load_lost", Self.tables)
            let folder = Folder()
            try await Self.mydumper(trial, folder)
            let skein = try Self.load(trial, folder, ["--lanes", "2"])
            try await skein.waiting(for: "rows") {
                (try? target.sql("SELECT COUNT(*) FROM `\(trial.meta)`.chunk")) != nil
            }
            await target.kill()
            try await target.restart()
            let outcome = try await skein.end()
            #expect(outcome.status == 0, "\(outcome.text)")
            try await trial.judge.expectEqual([trial.schema])
            await target.discard()
        }

        /// A dump as Dumpling writes it.
        private func dumpling(_ schema: String) -> [String: String] {
            let head = "/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40101 SET NAMES binary*/;\n"
            return [
                "metadata": "Started dump at: 2026-01-01 00:00:00\nSHOW MASTER STATUS:\n"
                    + "\tLog: bin.000001\n\tPos: 4\n\tGTID:\n\nFinished dump at: 2026-01-01 00:00:01\n",
                "\(schema)-schema-create.sql":
                    "/*!40101 SET NAMES binary*/;\nCREATE DATABASE `\(schema)` "
                    + "/*!40100 DEFAULT CHARACTER SET utf8mb4 */;\n",
                "\(schema).a%2Eb-schema.sql": head
                    + "CREATE TABLE `a.b` (\n  `id` int NOT NULL,\n  `v` varchar(20),\n"
                    + "  `at` timestamp NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB;\n",
                "\(schema).a%2Eb.000000000.sql": head
                    + "INSERT INTO `a.b` VALUES\n(1,'it\\'s','2026-01-01 00:00:00'),\n(2,NULL,NULL);\n",
                "\(schema).a%2Eb.000000001.sql": head
                    + "INSERT INTO `a.b` VALUES\n(3,'ä',NULL);\n",
                "\(schema).v-schema.sql": head + "CREATE TABLE `v`(\n`id` int\n)ENGINE=MyISAM;\n",
                "\(schema).v-schema-view.sql": "/*!40101 SET NAMES binary*/;\n"
                    + "DROP TABLE IF EXISTS `v`;\nDROP VIEW IF EXISTS `v`;\n"
                    + "SET @PREV_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT;\n"
                    + "SET character_set_client = utf8mb4;\n"
                    + "CREATE VIEW `v` (`id`) AS SELECT `id` FROM `a.b`;\n"
                    + "SET character_set_client = @PREV_CHARACTER_SET_CLIENT;\n",
            ]
        }

        @Test("a dump of Dumpling's form is loaded, with names that are encoded")
        func dumplingToSkein() async throws {
            let trial = try await Trial(.mariadb, "load_dumpling")
            let folder = Folder()
            try folder.write(dumpling(trial.schema))
            let refused = try await Self.load(trial, folder).end()
            #expect(refused.status == 1)
            #expect(refused.text.contains("--time-zone"))
            let outcome = try await Self.load(trial, folder, ["--time-zone", "+02:00"]).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(
                try trial.onTarget(
                    "SELECT id, v, at FROM `a.b` ORDER BY id; SELECT COUNT(*) FROM v")
                    == "1\tit's\t2025-12-31 22:00:00\n2\tNULL\tNULL\n3\tä\tNULL\n3\n")
        }

        @Test(
            "what is not a whole dump, or would be in the way, is refused, and nothing is touched")
        func refused() async throws {
            let trial = try await Trial(.mariadb, "load_refused")
            let schema = trial.schema
            let whole = dumpling(schema)
            var number = 0
            func refusal(_ change: (inout [String: String]) -> Void) async throws -> String {
                let folder = Folder()
                var files = whole
                // Each is a dump of its own: none goes on with another.
                number += 1
                files["metadata"] = whole["metadata"]?.replacing(
                    "2026-01-01 00:00:00\nSHOW", with: "2026-01-0\(number) 00:00:00\nSHOW")
                change(&files)
                try folder.write(files)
                let outcome = try await Self.load(
                    trial, folder, ["--time-zone", "+00:00"]
                ).end()
                #expect(outcome.status == 1)
                return outcome.text
            }
            #expect(try await refusal { $0["metadata"] = nil }.contains("not finished"))
            let started = "Started dump at: 2026-01-01 00:00:00\n"
            #expect(try await refusal { $0["metadata"] = started }.contains("never finished"))
            #expect(
                try await refusal { $0["metadata.partial"] = started }.contains("never finished"))
            #expect(try await refusal { $0["\(schema).c.csv"] = "1" }.contains("CSV"))
            let half = try await refusal { $0["\(schema).a%2Eb.000000002.sql.partial"] = "" }
            #expect(half.contains("part of a dump"), "\(half)")
            let elsewhere = try await refusal {
                $0["\(schema).a%2Eb-schema.sql"] = "CREATE TABLE mysql.`a.b` (id int);\n"
            }
            #expect(elsewhere.contains("of mysql"), "\(elsewhere)")
            let rowsOfView = try await refusal { $0["\(schema).v.000000000.sql"] = "" }
            #expect(rowsOfView.contains("is a view"), "\(rowsOfView)")
            let nothing = Folder()
            try nothing.write(whole)
            let other = try await Self.load(trial, nothing, ["--tables", "\(schema)x.*"]).end()
            #expect(other.status == 1)
            #expect(other.text.contains("nothing of what is chosen"), "\(other.text)")
            #expect(
                try await refusal {
                    $0["\(schema).a%2Eb-schema.sql"] = "DROP TABLE `a.b`;\nDROP DATABASE x;\n"
                }.contains("expected to create"))
            let databases = try trial.target.sql("SHOW DATABASES")
            #expect(!databases.split(separator: "\n").contains("\(schema)"))
            let cut = try await refusal {
                $0["\(schema).a%2Eb.000000001.sql"] = "INSERT INTO `a.b` VALUES (3,'x',NULL)"
            }
            #expect(cut.contains("ends in a statement") && cut.contains("000000001.sql"), "\(cut)")
            try trial.target.sql("DROP DATABASE \(schema); CREATE DATABASE \(schema)")
            try trial.onTarget(
                "CREATE TABLE `a.b` (id INT PRIMARY KEY, v VARCHAR(20), at TIMESTAMP NULL)")
            try trial.onTarget("CREATE VIEW v AS SELECT 1 AS id")
            #expect(try await refusal { _ in }.contains("view \(schema).v"))
            try trial.onTarget("DROP VIEW v; INSERT INTO `a.b` VALUES (9, 'mine', NULL)")
            #expect(try await refusal { _ in }.contains("did not write"))
            try trial.onTarget("DELETE FROM `a.b`; ALTER TABLE `a.b` CHANGE v w TEXT")
            #expect(try await refusal { _ in }.contains("other columns"))
            try trial.onTarget("ALTER TABLE `a.b` CHANGE w v ENUM('x','y')")
            let narrow = try await refusal { _ in }
            #expect(narrow.contains("v: enum in place of varchar"), "\(narrow)")
            try trial.onTarget("ALTER TABLE `a.b` MODIFY v VARCHAR(20) CHARACTER SET latin1")
            let latin = try await refusal { _ in }
            #expect(latin.contains("character set latin1"), "\(latin)")
            try trial.onTarget(
                "ALTER TABLE `a.b` MODIFY v VARCHAR(20) CHARACTER SET utf8mb4, "
                    + "MODIFY at TIMESTAMP(3) NULL")
            let rounded = try await refusal { _ in }
            #expect(rounded.contains("at: timestamp"), "\(rounded)")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM `a.b`") == "0\n")
        }

        @Test("what somebody makes while rows are loaded is not dropped")
        func madeMeanwhile() async throws {
            let trial = try await Trial(.mariadb, "load_meanwhile")
            let schema = trial.schema
            let folder = Folder()
            try folder.write(dumpling(schema))
            try trial.target.sql("CREATE DATABASE \(schema)")
            try trial.onTarget(
                "CREATE TABLE `a.b` (id INT PRIMARY KEY, v VARCHAR(20), at TIMESTAMP NULL) "
                    + "ENGINE=InnoDB")
            // Rows wait for a lock of the whole empty table.
            let blocker = try trial.target.connect()
            try blocker.execute("START TRANSACTION")
            _ = try blocker.rows("SELECT * FROM \(schema).`a.b` FOR UPDATE")
            let skein = try Self.load(trial, folder, ["--time-zone", "+00:00"])
            try await skein.waiting(for: "a waiting row") {
                try trial.target.sql(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                        + "WHERE INFO LIKE 'INSERT INTO `\(schema)`.`a.b`%'") != "0\n"
            }
            try trial.onTarget("CREATE VIEW v AS SELECT 7 AS mine")
            try blocker.execute("ROLLBACK")
            let outcome = try await skein.end()
            #expect(outcome.status == 1)
            #expect(outcome.text.contains("view \(schema).v"), "\(outcome.text)")
            let again = try await Self.load(trial, folder, ["--time-zone", "+00:00"]).end()
            #expect(again.status == 1)
            #expect(try trial.onTarget("SELECT mine FROM v") == "7\n")
            try trial.onTarget("DROP VIEW v")
            let last = try await Self.load(trial, folder, ["--time-zone", "+00:00"]).end()
            #expect(last.status == 0, "\(last.text)")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM v") == "3\n")
        }

        @Test("of two loads that are begun at the same moment one writes to a table")
        func atOnce() async throws {
            let trial = try await Trial(.mariadb, "load_at_once")
            let schema = trial.schema
            func folder(_ began: String) throws -> Folder {
                let folder = Folder()
                try folder.write([
                    "metadata": "Started dump at: \(began)\nFinished dump at: b\n",
                    "\(schema)-schema-create.sql": "CREATE DATABASE `\(schema)`;\n",
                    "\(schema).t-schema.sql": "CREATE TABLE t (id INT) ENGINE=InnoDB;\n",
                    "\(schema).t.sql": "INSERT INTO t VALUES (1),(1),(2);\n",
                ])
                return folder
            }
            let (one, two) = (try folder("one"), try folder("two"))
            try trial.target.sql("CREATE DATABASE \(schema)")
            try trial.onTarget("CREATE TABLE t (id INT) ENGINE=InnoDB")
            // Rows wait for a lock of the whole empty table, and nobody sees any.
            let blocker = try trial.target.connect()
            try blocker.execute("START TRANSACTION")
            _ = try blocker.rows("SELECT * FROM \(schema).t FOR UPDATE")
            let first = try Self.load(trial, one)
            try await first.waiting(for: "a waiting row") {
                try trial.target.sql(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                        + "WHERE INFO LIKE 'INSERT INTO `\(schema)`.`t`%'") != "0\n"
            }
            for name in ["load", "another"] {
                let second = try Self.load(trial, two, ["--name", name])
                try await second.waiting(for: "its end, or its rows") {
                    try second.status != nil
                        || trial.target.sql(
                            "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                                + "WHERE INFO LIKE 'INSERT INTO `\(schema)`.`t`%'") == "2\n"
                }
                #expect(second.status == 1)
                #expect(second.text.contains("is at work on it"), "\(second.text)")
                second.kill()
            }
            // The first one goes on, killed or not.
            first.kill()
            try blocker.execute("ROLLBACK")
            let outcome = try await Self.load(trial, one).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "1\n1\n2\n")
            let late = try await Self.load(trial, two).end()
            #expect(late.status == 1)
            #expect(late.text.contains("did not write"), "\(late.text)")
            // Whose rows are gone has no claim on what comes.
            try trial.onTarget("DROP TABLE t")
            let next = try await Self.load(trial, two).end()
            #expect(next.status == 0, "\(next.text)")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "3\n")
            let again = try await Self.load(trial, one).end()
            #expect(again.status == 1)
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "3\n")
        }

        @Test(
            "what has a table's name and was not made by the load is not taken for it",
            arguments: ["", "IF NOT EXISTS "])
        func madeByAnother(_ condition: String) async throws {
            // Here the server gives no notes unless a session asks for them.
            var quiet: TestServer?
            if !condition.isEmpty {
                quiet = try await TestServer.start(.mariadb, name: "load-notes")
            }
            try quiet?.sql("SET GLOBAL sql_notes=0")
            let source = try await SharedServers.all.server(.mariadb, "source")
            let shared = try await SharedServers.all.server(.mariadb, "target")
            let trial = try Trial(
                source: source, target: quiet ?? shared,
                condition.isEmpty ? "load_others" : "load_others_if")
            let schema = trial.schema
            let folder = Folder()
            try folder.write([
                "metadata": "Started dump at: a\nFinished dump at: b\n",
                "\(schema)-schema-create.sql": "CREATE DATABASE `\(schema)`;\n",
                "\(schema).t-schema.sql": "CREATE TABLE \(condition)t (id INT);\n",
                "\(schema).t.sql": "INSERT INTO t VALUES (1),(2);\n",
            ])
            try trial.target.sql("CREATE DATABASE \(schema)")
            // What looks for tables does not see it, and the server refuses another of its name.
            try trial.onTarget(
                "CREATE TABLE precious (id INT); CREATE VIEW t AS SELECT id FROM precious")
            for _ in 1...2 {
                let outcome = try await Self.load(trial, folder).end()
                #expect(outcome.status == 1)
                #expect(outcome.text.contains("has not made"), "\(outcome.text)")
                #expect(try trial.onTarget("SELECT COUNT(*) FROM precious") == "0\n")
            }
            try trial.onTarget("DROP VIEW t")
            let last = try await Self.load(trial, folder).end()
            #expect(last.status == 0, "\(last.text)")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "2\n")
            await quiet?.discard()
        }

        @Test("killed when a table is made and not recorded yet, it takes the table for its own")
        func madeByItself() async throws {
            let trial = try await Trial(.mariadb, "load_own")
            let (schema, meta) = (trial.schema, trial.meta)
            let folder = Folder()
            let head = "/*!40101 SET SQL_MODE='ANSI_QUOTES'*/;\n"
            try folder.write([
                "metadata": "Started dump at: a\nFinished dump at: b\n",
                "\(schema)-schema-create.sql": "CREATE DATABASE `\(schema)`;\n",
                "\(schema).t-schema.sql": head
                    + "CREATE TABLE \"t\" (\"id\" int, \"v w\" varchar(9)) ENGINE=InnoDB;\n",
                "\(schema).t.sql": head + "INSERT INTO \"t\" VALUES (1,'a'),(1,'a');\n",
            ])
            let whole = try await Self.load(trial, folder).end()
            #expect(whole.status == 0, "\(whole.text)")
            // What is durable at that moment.
            try trial.target.sql(
                """
                UPDATE `\(meta)`.subtask SET phase='load';
                DELETE FROM `\(meta)`.chunk;
                UPDATE `\(meta)`.object SET definition=CONCAT(x'0100', SUBSTRING(definition, 3))
                  WHERE kind='table';
                TRUNCATE `\(schema)`.t
                """)
            let outcome = try await Self.load(trial, folder).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SELECT id, `v w` FROM t") == "1\ta\n1\ta\n")
        }

        @Test("rows of which no record tells stay, and end the load")
        func rowsWithoutRecord() async throws {
            let trial = try await Trial(.mariadb, "load_unrecorded")
            let (schema, meta) = (trial.schema, trial.meta)
            let folder = Folder()
            try folder.write([
                "metadata": "Started dump at: a\nFinished dump at: b\n",
                "\(schema)-schema-create.sql": "CREATE DATABASE `\(schema)`;\n",
                "\(schema).t-schema.sql": "CREATE TABLE t (id INT);\n",
                "\(schema).t.sql": "INSERT INTO t VALUES (1),(2);\n",
            ])
            try trial.target.sql("CREATE DATABASE \(schema)")
            try trial.onTarget("CREATE VIEW t AS SELECT 1 AS id")
            let first = try await Self.load(trial, folder).end()
            #expect(first.status == 1)
            // An earlier version recorded a table before it was there.
            try trial.target.sql(
                """
                REPLACE INTO `\(meta)`.object
                  (task, source, kind, schema_name, table_name, definition)
                  SELECT task, source, 'table', '\(schema)', 't',
                    CONCAT(x'01', '\(schema).t-schema.sql') FROM `\(meta)`.subtask
                """)
            try trial.onTarget("DROP VIEW t")
            for engine in ["InnoDB", "MyISAM"] {
                try trial.onTarget(
                    "DROP TABLE IF EXISTS t; CREATE TABLE t (id INT) ENGINE=\(engine); "
                        + "INSERT INTO t VALUES (9)")
                let outcome = try await Self.load(trial, folder).end()
                #expect(outcome.status == 1)
                #expect(outcome.text.contains("did not write"), "\(outcome.text)")
                #expect(try trial.onTarget("SELECT id FROM t") == "9\n")
            }
            try trial.onTarget("DROP TABLE t")
            let last = try await Self.load(trial, folder).end()
            #expect(last.status == 0, "\(last.text)")
            #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "1\n2\n")
        }

        @Test("rows larger than a packet are refused by name; large statements are taken apart")
        func packets() async throws {
            let target = try await TestServer.start(
                .mariadb, options: ["--max-allowed-packet=1M"], name: "load-packets")
            let source = try await SharedServers.all.server(.mariadb, "source")
            let trial = try Trial(
                source: source, target: target, "load_packets",
                "CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT);"
                    + "INSERT INTO t SELECT seq, REPEAT('x', 300000) FROM seq_1_to_20")
            let folder = Folder()
            let rows = (1...20).map { "(\($0),'\(String(repeating: "x", count: 300_000))')" }
            var files = [
                "metadata": "Started dump at: a\nFinished dump at: b\n",
                "\(trial.schema)-schema-create.sql": "CREATE DATABASE `\(trial.schema)`;\n",
                "\(trial.schema).t-schema.sql":
                    "CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT);\n",
                "\(trial.schema).t.sql": "INSERT INTO t VALUES \(rows.joined(separator: ","));\n",
            ]
            try folder.write(files)
            let outcome = try await Self.load(trial, folder).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(try trial.onTarget("SELECT COUNT(*), SUM(LENGTH(v)) FROM t") == "20\t6000000\n")
            try target.sql("DROP DATABASE \(trial.schema)")
            files["\(trial.schema).t.sql"] =
                "INSERT INTO t VALUES (1,'\(String(repeating: "x", count: 2_000_000))');\n"
            let other = Folder()
            try other.write(files)
            let refused = try await Self.load(trial, other).end()
            #expect(refused.status == 1)
            #expect(refused.text.contains("max_allowed_packet"), "\(refused.text)")
            await target.discard()
        }
    }
}
