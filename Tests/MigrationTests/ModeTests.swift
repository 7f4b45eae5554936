import Cluster
import Foundation
import Glibc
import Metadata
import MySQLClient
import MySQLCore
import TestServers
import Testing
import Worker

extension MigrationTests {
    /// Migrations of changes alone, and of the rows alone.
    @Suite("Modes", .serialized)
    struct ModeTests {
        /// How the place is given that changes are followed from.
        enum Start: String, CaseIterable, Sendable {
            case position, gtid, time
        }

        /// Makes the target equal to the source, which rests, and says where the source is then.
        private static func seed(_ trial: Trial) async throws -> [Start: String] {
            try await trial.catchUp("--name", "\(trial.schema)_seed")
            let source = try trial.source.connect()
            let isMariaDB = source.family == .mariadb
            let statement =
                !isMariaDB && source.serverVersion.isAtLeast(8, 2)
                ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS"
            let row = try source.rows(statement)[0]
            let gtids = try source.value(
                isMariaDB ? "SELECT @@gtid_binlog_pos" : "SELECT @@gtid_executed")
            // Times have seconds only: nothing else may happen in this one or the next.
            try await Task.sleep(for: .milliseconds(1100))
            let time = try source.value("SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%dT%TZ')")
            try await Task.sleep(for: .milliseconds(1100))
            return [
                .position: "\(row[0] ?? ""):\(row[1] ?? "")",
                .gtid: (gtids ?? "").filter { !$0.isNewline }, .time: time ?? "",
            ]
        }

        private static func flag(_ start: Start, _ places: [Start: String]) -> [String] {
            ["--mode", "incremental", "--start-\(start.rawValue)", places[start] ?? ""]
        }

        @Test(
            "changes alone are applied once each, from the place given, through kills",
            arguments: Pair.sameFamily, Start.allCases)
        func incremental(_ pair: Pair, _ start: Start) async throws {
            let seed = Dice.seed("incremental")
            var dice = Dice(seed: seed)
            let trial = try await Trial(pair, "changes", Shop.schema(rows: 400))
            let places = try await Self.seed(trial)
            if start == .gtid, places[.gtid]?.isEmpty == true { return }
            let load = Load(
                trial.source, schema: trial.schema, seed: seed, pause: .milliseconds(4), Shop.step)
            try await load.more(200)
            var rounds = 0
            while rounds < 8 {
                let skein = try SkeinProcess(trial.arguments(Self.flag(start, places)))
                // At any instant: before its row, before its first checkpoint, and behind it.
                try await Task.sleep(for: .milliseconds(30 + dice.roll(900)))
                #expect(skein.kill(), "\(skein.text)")
                rounds += 1
            }
            let skein = try SkeinProcess(trial.arguments(Self.flag(start, places)))
            try await trial.copied(skein)
            try await load.more(50)
            skein.kill()
            try await load.stop()
            // Another place does not count any more.
            let later =
                try trial.source.connect().value(
                    "SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%d %TZ')") ?? ""
            try trial.onSource("INSERT INTO journal VALUES (1, 'late', NULL)")
            try await trial.catchUp("--mode", "incremental", "--start-time", later)
            try await trial.expectEqual()
        }

        @Test("from now on: what was before is not looked at", arguments: Pair.sameFamily)
        func now(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "fromnow",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1);
                """)
            try trial.target.sql("CREATE DATABASE \(trial.schema)")
            let early = try await SkeinProcess(trial.arguments(["--mode", "incremental"])).end()
            #expect(early.status == 5 && early.text.contains("target-tables"), "\(early.text)")
            try trial.onTarget(
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (7, 7);
                """)
            let skein = try trial.migrate("--mode", "incremental")
            try await trial.copied(skein)
            try trial.onSource("INSERT INTO t VALUES (2, 2)")
            try await trial.applied(skein)
            try await trial.stop(skein)
            #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "2\n7\n")
            // Away with the checkpoint, not with the tables.
            let fresh = try trial.migrate("--mode", "incremental", "--fresh", "--yes")
            try await fresh.waiting(for: "its beginning") {
                trial.phase == "follow" && fresh.text.contains("changes are followed")
            }
            try trial.onSource("INSERT INTO t VALUES (3, 3)")
            try await trial.applied(fresh)
            try await trial.stop(fresh)
            #expect(try trial.onTarget("SELECT id FROM t ORDER BY id") == "2\n3\n7\n")
        }

        @Test(
            "now is when it was started first, and each start is checked",
            arguments: Pair.sameFamily)
        func firstStart(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "firststart",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1);
                """)
            try trial.target.sql("CREATE DATABASE \(trial.schema)")
            try trial.onTarget("CREATE TABLE marker (id BIGINT PRIMARY KEY)")
            // Its row is written, and it can't begin.
            let first = try await SkeinProcess(
                trial.arguments(["--mode", "incremental", "--ignore-check", "all"])
            ).end()
            #expect(first.text.contains("[migration.target]"), "\(first.text)")
            try trial.onTarget("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
            #expect(trial.phase == "start")
            try trial.onSource(
                "INSERT INTO t VALUES (2, 2); ALTER TABLE t ADD w INT; INSERT INTO t VALUES (3, 3, 3)"
            )
            try trial.onTarget(
                "CREATE TRIGGER twice AFTER INSERT ON t FOR EACH ROW INSERT INTO marker VALUES (NEW.id)"
            )
            let refused = try await SkeinProcess(
                trial.arguments(["--mode", "incremental", "--until", "caught-up"])
            ).end()
            #expect(
                refused.status == 5 && refused.text.contains("target-triggers"), "\(refused.text)")
            try trial.onTarget("DROP TRIGGER IF EXISTS twice")
            try await trial.catchUp("--mode", "incremental")
            #expect(
                try trial.onTarget("SELECT id, v, w FROM t ORDER BY id")
                    == "2\t2\tNULL\n3\t3\t3\n")
        }

        @Test("tables that were changed since are read as they were", arguments: Pair.sameFamily)
        func changedSince(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "since",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE a (id INT PRIMARY KEY, n INT, t VARCHAR(20) CHARACTER SET latin1);
                CREATE TABLE b (id INT PRIMARY KEY, v INT); CREATE TABLE gone (id INT PRIMARY KEY);
                CREATE TABLE same (id INT PRIMARY KEY, v INT);
                INSERT INTO a VALUES (1, 1, 'é'); INSERT INTO b VALUES (1, 1);
                """)
            let places = try await Self.seed(trial)
            try trial.onSource(
                """
                INSERT INTO a VALUES (2, -5, 'ä'); INSERT INTO gone VALUES (1); UPDATE b SET v=2;
                ALTER TABLE a DROP COLUMN n, MODIFY t VARCHAR(20) CHARACTER SET utf8mb4;
                INSERT INTO a VALUES (3, 'ö€'); DROP TABLE gone; INSERT INTO same VALUES (1, 1);
                ALTER TABLE a ADD COLUMN n BIGINT UNSIGNED NOT NULL DEFAULT 9 FIRST;
                UPDATE a SET n=18446744073709551615 WHERE id=2;
                RENAME TABLE b TO c; INSERT INTO c VALUES (2, 2);
                CREATE TABLE d LIKE a; INSERT INTO d SELECT * FROM a;
                """)
            try await trial.catchUp(
                "--mode", "incremental", "--start-position", places[.position] ?? "")
            try await trial.expectEqual()
        }

        @Test("where the target has other tables than the source had, nothing is begun")
        func uncertainShapes() async throws {
            let trial = try await Trial(
                .mariadb, "unsure",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1);
                """)
            let places = try await Self.seed(trial)
            try trial.onSource(
                "INSERT INTO t VALUES (2, 2); ALTER TABLE t MODIFY v BIGINT; INSERT INTO t VALUES (3, 3)"
            )
            try trial.onTarget("ALTER TABLE t ADD COLUMN w INT")
            let flags = [
                "--mode", "incremental", "--start-position", places[.position] ?? "", "--until",
                "caught-up",
            ]
            let outcome = try await SkeinProcess(trial.arguments(flags)).end()
            #expect(outcome.status == 1 && outcome.text.contains("[apply.unsupported]"))
            #expect(outcome.text.contains("has changed \(trial.schema).t"), "\(outcome.text)")
            #expect(trial.phase == "start")
            #expect(try trial.onTarget("SELECT COUNT(*) FROM t") == "1\n")
            // Corrected, it begins where it was to begin.
            try trial.onTarget("ALTER TABLE t DROP COLUMN w")
            try await trial.catchUp(flags[0], flags[1], flags[2], flags[3])
            try await trial.expectEqual()
            // What has begun is not taken for something else.
            try trial.onTarget("DROP TABLE t")
            try trial.target.sql(
                "UPDATE \(trial.meta).subtask SET phase='start', tail='', low_water=NULL")
            let other = try await SkeinProcess(trial.arguments([])).end()
            #expect(other.status == 1 && other.text.contains("[migration.other]"), "\(other.text)")
            try trial.onSource("INSERT INTO t VALUES (4, 4)")
            let lacking = try await SkeinProcess(
                trial.arguments(["--mode", "incremental", "--ignore-check", "all"])
            ).end()
            #expect(lacking.status == 1 && lacking.text.contains("[migration.target]"))
            // Nothing is done yet: what is migrated may still be another choice.
            let others = ["--mode", "incremental", "--exclude", "\(trial.schema).t"]
            let without = try await SkeinProcess(
                trial.arguments(others + ["--until", "caught-up"])
            ).end()
            #expect(without.status == 0, "\(without.text)")
        }

        @Test("a place that the source does not have is refused", arguments: Pair.sameFamily)
        func noPlace(_ pair: Pair) async throws {
            let trial = try await Trial(
                pair, "noplace",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v INT);
                """)
            let places = try await Self.seed(trial)
            try trial.onSource("INSERT INTO t VALUES (1, 1), (2, 2)")
            let position = try #require(places[.position])
            let colon = try #require(position.lastIndex(of: ":"))
            let (file, offset) = (
                position[..<colon], Int(position[position.index(after: colon)...]) ?? 0
            )
            let set =
                pair.source == .mariadb
                ? "0-1-99999999" : "11111111-2222-3333-4444-555555555555:1-3"
            for (flag, value, words) in [
                ("position", "\(file):\(offset + 60)", "inside a transaction"),
                ("position", "\(file):4000000000", "beyond the end"),
                ("position", "no-such-file.000001:4", "no binlog file"),
                ("gtid", set, "the source has not"),
                ("time", "2037-01-01 00:00:00", "not come yet"),
            ] {
                let outcome = try await SkeinProcess(
                    trial.arguments(["--mode", "incremental", "--start-\(flag)", value])
                ).end()
                #expect(outcome.status == 5, "\(value)")
                #expect(outcome.text.contains("start-place"), "\(outcome.text)")
                #expect(outcome.text.contains(words), "\(outcome.text)")
                #expect(trial.phase == nil)
            }
        }

        @Test(
            "rows alone: whole at one place, through kills, and then nothing more",
            arguments: Pair.sameFamily)
        func full(_ pair: Pair) async throws {
            let seed = Dice.seed("full")
            var dice = Dice(seed: seed)
            var trial = try await Trial(pair, "rows", Shop.schema(rows: 4000))
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            proxy.setDelay(.milliseconds(3))
            let load = Load(
                trial.source, schema: trial.schema, seed: seed, pause: .milliseconds(10), Shop.step)
            for _ in 0..<6 {
                let skein = try trial.migrate("--mode", "full", "--chunk-rows", "200")
                try await skein.waiting(for: "its start") {
                    trial.phase != nil || skein.status != nil
                }
                try await Task.sleep(for: .milliseconds(dice.roll(900)))
                skein.kill()
            }
            proxy.setDelay(.zero)
            let ended = try await SkeinProcess(trial.arguments(["--mode", "full"])).end()
            #expect(ended.status == 0 && ended.text.contains("reached "), "\(ended.text)")
            #expect(trial.phase == "complete")
            let before = try Judge.contents(trial.target, trial.schema, "journal")
            try await load.more(100)
            let again = try await SkeinProcess(trial.arguments(["--mode", "full"])).end()
            #expect(again.status == 0, "\(again.text)")
            #expect(Self.reached(again.text) == Self.reached(ended.text))
            #expect(try Judge.contents(trial.target, trial.schema, "journal") == before)
            try await load.more(50)
            try await load.stop()
            // That the rows are those of the place is proved by going on from there, tables
            // without a key among them: by its own checkpoint, or as another migration.
            let place = try #require(Self.reached(ended.text)).prefix { $0 != " " }
            if dice.roll(2) == 0 {
                try await trial.catchUp()
            } else {
                try await trial.catchUp(
                    "--name", "\(trial.schema)_more", "--mode", "incremental", "--start-position",
                    String(place))
            }
            try await trial.expectEqual()
        }

        @Test(
            "tasks in DM's words: rows alone until they are whole, then changes from there",
            .enabled(if: EtcdServer.isInstalled))
        func tasks() async throws {
            let seed = Dice.seed("tasks")
            let trial = try await Trial(.mariadb, "modes", Shop.schema(rows: 500))
            let schema = trial.schema
            let load = Load(
                trial.source, schema: schema, seed: seed, pause: .milliseconds(10), Shop.step)
            @Sendable func task(_ name: String, _ mode: String, _ start: String) -> String {
                """
                name: \(name)
                task-mode: \(mode)
                meta-schema: \(trial.meta)
                target-database: TARGET
                mysql-instances: [{source-id: one, block-allow-list: list\(start)}]
                block-allow-list: {list: {do-dbs: ["\(schema)"]}}
                """
            }
            let cluster = try ClusterTrial("w1")
            try await cluster.running {
                let worker = cluster.workers[0]
                try worker.start()
                try await cluster.add(
                    trial, sources: ["one"], task: "rows", task("rows", "full", ""))
                @Sendable func column(_ column: String, of name: String) throws -> String {
                    try trial.target.connect().value(
                        "SELECT \(column) FROM \(trial.meta).subtask WHERE task='\(name)'") ?? ""
                }
                try await cluster.eventually("the rows") {
                    (try? column("phase", of: "rows")) == "complete"
                }
                try await cluster.eventually("its end") {
                    try await cluster.cluster().histories[.init(task: "rows", source: "one")]?
                        .record.finish != nil
                }
                let mark = try column("HEX(low_water)", of: "rows")
                let place = try SourcePosition(encoded: Self.bytes(mark))
                try await load.more(100)
                // Nothing is applied any more, whoever starts it.
                worker.kill()
                try worker.start()
                let start =
                    ", meta: {binlog-name: \(place.binlog.file), binlog-pos: \(place.binlog.offset)}"
                try await cluster.add(
                    trial, sources: ["one"], task: "more", task("more", "incremental", start))
                try await cluster.eventually("its beginning") {
                    (try? column("phase", of: "more")) == "follow"
                }
                worker.kill()
                try await load.more(50)
                try await load.stop()
                try worker.start()
                // A marker may overtake what it does not depend on: the mark does not.
                let reached = try trial.source.connect().value("SELECT @@gtid_binlog_pos") ?? ""
                let end = try #require(MariaDBGTIDPosition(reached))
                try await cluster.eventually("everything", within: .seconds(240)) {
                    let text = (try? column("HEX(low_water)", of: "more")) ?? ""
                    return (try? SourcePosition(encoded: Self.bytes(text)))?.gtids
                        .holds(.mariadb(end)) == true
                }
                #expect(try column("HEX(low_water)", of: "rows") == mark)
            }
            try await trial.expectEqual()
        }

        private static func bytes(_ hex: String) -> [UInt8] {
            let digits = Array(hex.utf8)
            return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
            }
        }

        private static func reached(_ text: String) -> String? {
            text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("reached ") }
                .map { String($0.dropFirst(8)) }
        }
    }
}
