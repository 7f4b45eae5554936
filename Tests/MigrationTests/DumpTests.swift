import Foundation
import Glibc
import TestServers
import Testing

extension MigrationTests {
    /// Dumps by Skein, loaded by it and by others.
    @Suite("Dumping", .serialized)
    struct DumpTests {
        typealias Folder = LoadTests.Folder

        /// What a dump holds as of one place: no table without transactions.
        static let tables = LoadTests.tables
            .replacing(#/CREATE TABLE mine[^;]*;\s*INSERT INTO mine[^;]*;/#, with: "")

        static func dump(
            _ trial: Trial, _ folder: Folder, _ more: [String] = []
        ) throws -> SkeinProcess {
            try SkeinProcess(
                [
                    "dump", "--source", trial.sourceURL, "--source-tls", "disabled", "--dir",
                    folder.path, "--tables", "\(trial.schema).*", "--output", "lines",
                ] + more)
        }

        private func files(_ folder: Folder) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        }

        @Test(
            "a dump is loaded whole by skein load",
            arguments: [
                [], ["--compress", "zstd", "--file-size", "1M"],
                ["--compress", "gzip", "--rows-per-file", "700", "--readers", "1"],
            ])
        func skeinToSkein(_ flags: [String]) async throws {
            let trial = try await Trial(.mariadb, "dump_skein", Self.tables)
            try trial.onSource(
                #"""
                CREATE TABLE `we.ird/-schema%41 ``` (`a``b` INT PRIMARY KEY, f FLOAT, u UUID,
                  i INET6, e ENUM('', 'x'), g POINT, v VARCHAR(10) INVISIBLE DEFAULT 'h');
                INSERT INTO `we.ird/-schema%41 ``` (`a``b`, f, u, i, e, g, v) VALUES
                  (1, 0.1, '550e8400-e29b-41d4-a716-446655440000', '::1', 'x', POINT(1, 2), 'a'),
                  (2, 16777217, NULL, 'fe80::', '', NULL, NULL);
                SET sql_mode='';
                INSERT INTO `we.ird/-schema%41 ``` (`a``b`, e) VALUES (3, 'no such');
                INSERT INTO many (e) VALUES ('no such');
                """#)
            let folder = Folder()
            let dumped = try await Self.dump(trial, folder, flags).end()
            #expect(dumped.status == 0, "\(dumped.text)")
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            try await trial.judge.expectEqual([trial.schema])
            let theirs = try LoadTests.objects(trial.source, trial.schema)
            #expect(try LoadTests.objects(trial.target, trial.schema) == theirs)
            let again = try await Self.dump(trial, folder, flags).end()
            #expect(again.status == 1)
            #expect(again.text.contains("whole dump already"))
        }

        @Test(
            "a dump is loaded whole by myloader", .enabled(if: LoadTests.hasMydumper),
            arguments: [[], ["--compress", "gzip", "--rows-per-file", "1000"]])
        func skeinToMyloader(_ flags: [String]) async throws {
            let trial = try await Trial(.mariadb, "dump_myloader", Self.tables)
            let folder = Folder()
            let dumped = try await Self.dump(trial, folder, flags).end()
            #expect(dumped.status == 0, "\(dumped.text)")
            try await LoadTests.run(
                "myloader", ["-S", trial.target.socket, "-u", "root", "-d", folder.path])
            try await trial.judge.expectEqual([trial.schema])
            let theirs = try LoadTests.objects(trial.source, trial.schema)
            let ours = try LoadTests.objects(trial.target, trial.schema)
            #expect(ours == theirs, "\(ours)\nfor\n\(theirs)")
        }

        @Test("a condition leaves rows out, and one that a table can't be asked names it")
        func condition() async throws {
            let trial = try await Trial(
                .mariadb, "dump_where",
                """
                CREATE TABLE a (id INT PRIMARY KEY, n INT, KEY (n)); CREATE TABLE b (n INT);
                INSERT INTO a SELECT seq, seq % 10 FROM seq_1_to_3000;
                INSERT INTO b SELECT seq FROM seq_1_to_30;
                """)
            let folder = Folder()
            // An OR and a comment at its end are the condition's own.
            let dumped = try await Self.dump(
                trial, folder, ["--where", "n = 3 OR n = 7 -- the odd ones"]
            ).end()
            #expect(dumped.status == 0, "\(dumped.text)")
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            let rows = try trial.onTarget(
                "SELECT (SELECT COUNT(*) FROM a), (SELECT COUNT(*) FROM a WHERE n IN (3, 7)), "
                    + "(SELECT GROUP_CONCAT(n) FROM b)")
            #expect(rows == "600\t600\t3,7\n")
            for condition in ["id > 5", "n >", "n IN (SELECT n FROM nowhere.x)"] {
                let refused = try await Self.dump(
                    trial, Folder(), ["--where", condition, "--readers", "1"]
                ).end()
                #expect(refused.status == 1)
                #expect(refused.text.contains("dump.condition"), "\(refused.text)")
                let table = condition == "id > 5" ? "b" : "a"
                #expect(
                    refused.text.contains("\(trial.schema).\(table): its rows can't be chosen"))
            }
            let empty = try await Self.dump(trial, Folder(), ["--where", " "]).end()
            #expect(empty.status == 2 && empty.text.contains("must be a condition"))
        }

        @Test("a dump that goes on has the rows of one condition")
        func otherCondition() async throws {
            let trial = try await Trial(
                .mariadb, "dump_other",
                """
                CREATE TABLE a (n INT, x INT); INSERT INTO a SELECT seq, 0 FROM seq_1_to_10;
                CREATE TABLE b (n INT); INSERT INTO b SELECT seq FROM seq_1_to_10;
                """)
            let folder = Folder()
            // The second table ends the dump when the first one is whole.
            let first = try await Self.dump(
                trial, folder, ["--readers", "1", "--where", "n < 4 AND (n < 9 OR x = 1)"]
            ).end()
            #expect(first.status == 1, "\(first.text)")
            #expect(try files(folder).contains("\(trial.schema).a.000000000.sql"))
            let second = try await Self.dump(
                trial, folder, ["--readers", "1", "--where", "n > 4"]
            ).end()
            #expect(second.status == 0, "\(second.text)")
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            let least = try trial.onTarget(
                "SELECT (SELECT MIN(n) FROM a), (SELECT MIN(n) FROM b)")
            #expect(least == "5\t5\n")
        }

        @Test("rows are of the place that the dump names, while the source is written to")
        func consistent() async throws {
            let trial = try await Trial(
                .mariadb, "dump_busy",
                """
                CREATE TABLE a (id INT PRIMARY KEY, n INT); CREATE TABLE b LIKE a;
                INSERT INTO a SELECT seq, 0 FROM seq_1_to_20000; INSERT INTO b SELECT * FROM a;
                """)
            let busy = Task {
                var n = 0
                while !Task.isCancelled {
                    n += 1
                    // One transaction: the sums of both are the same at every place.
                    try trial.onSource(
                        """
                        BEGIN; UPDATE a SET n=n+1 WHERE id=\(n % 20000 + 1);
                        UPDATE b SET n=n+1 WHERE id=\((n * 7) % 20000 + 1); COMMIT
                        """)
                }
            }
            defer { busy.cancel() }
            let folder = Folder()
            let dumped = try await Self.dump(trial, folder, ["--readers", "3"]).end()
            #expect(dumped.status == 0, "\(dumped.text)")
            let metadata = try String(
                contentsOf: URL(filePath: "\(folder.path)/metadata"), encoding: .utf8)
            let parts = metadata.split(separator: "\n").map { $0.split(separator: " ").last ?? "" }
            let place = "\(parts[2]):\(parts[3])"
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            let sums = try trial.onTarget(
                "SELECT (SELECT SUM(n) FROM a) = (SELECT SUM(n) FROM b)")
            #expect(sums == "1\n")
            busy.cancel()
            _ = try? await busy.value
            // What was written since is what the binlog has from there.
            let follow = try await trial.migrate(
                "--mode", "incremental", "--start-position", place, "--until", "caught-up"
            ).end()
            #expect(follow.status == 0, "\(follow.text)")
            try await trial.judge.expectEqual([trial.schema])
        }

        @Test("killed, it keeps the tables that have not changed, and dumps the others again")
        func resumed() async throws {
            let trial = try await Trial(
                .mariadb, "dump_killed",
                """
                CREATE TABLE big (id INT PRIMARY KEY, t TEXT);
                INSERT INTO big SELECT seq, REPEAT('x', 400) FROM seq_1_to_60000;
                """
                    + (1...12).map {
                        "CREATE TABLE t\($0) (id INT); INSERT INTO t\($0) VALUES (\($0));"
                    }.joined())
            let folder = Folder()
            var kept = 0
            for round in 1... {
                // The table that is dumped first is the largest: with two readers the others pass.
                let skein = try Self.dump(
                    trial, folder, ["--readers", "2", "--compress", "gzip"])
                let journal = "\(folder.path)/.skein-dump"
                try await skein.waiting(for: "tables") {
                    let text = (try? String(contentsOfFile: journal, encoding: .utf8)) ?? ""
                    return text.split(separator: "\n").count > 4 || skein.status != nil
                }
                guard round < 4, skein.kill() else {
                    let outcome = try await skein.end()
                    #expect(outcome.status == 0, "\(outcome.text)")
                    if round > 1 {
                        #expect(outcome.text.contains("have not changed since"), "\(outcome.text)")
                        kept = round
                    }
                    break
                }
                #expect(try !files(folder).contains("metadata"))
                let early = try await LoadTests.load(trial, folder).end()
                #expect(early.status == 1 && early.text.contains("not finished"))
                // One of the whole tables changes, and the others do not.
                try trial.onSource("INSERT INTO t1 VALUES (\(100 + round))")
            }
            #expect(kept > 1)
            #expect(try files(folder).allSatisfy { !$0.hasSuffix(".partial") && $0.first != "." })
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            try await trial.judge.expectEqual([trial.schema])
        }

        @Test("a table that a foreign key has changed is dumped again")
        func cascaded() async throws {
            let trial = try await Trial(
                .mariadb, "dump_cascade",
                """
                CREATE TABLE big (id INT PRIMARY KEY, t TEXT);
                INSERT INTO big SELECT seq, REPEAT('x', 400) FROM seq_1_to_60000;
                CREATE TABLE p (id INT PRIMARY KEY);
                CREATE TABLE c (id INT, FOREIGN KEY (id) REFERENCES p (id) ON DELETE CASCADE);
                INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1), (2);
                """)
            let folder = Folder()
            let flags = ["--readers", "2", "--compress", "gzip"]
            let skein = try Self.dump(trial, folder, flags)
            try await skein.waiting(for: "tables") {
                let text =
                    (try? String(contentsOfFile: "\(folder.path)/.skein-dump", encoding: .utf8))
                    ?? ""
                return text.split(separator: "\n").count > 2 || skein.status != nil
            }
            guard skein.kill() else { return }
            try trial.onSource("DELETE FROM p WHERE id=1")
            let outcome = try await Self.dump(trial, folder, flags).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(outcome.text.contains("have not changed since"), "\(outcome.text)")
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            try await trial.judge.expectEqual([trial.schema])
        }

        @Test("a table that is altered in a moment, behind the views, is noticed")
        func alteredMeanwhile() async throws {
            let trial = try await Trial(
                .mariadb, "dump_altered",
                """
                CREATE TABLE big (id INT PRIMARY KEY, t TEXT); CREATE TABLE t1 (id INT);
                INSERT INTO big SELECT seq, REPEAT('x', 400) FROM seq_1_to_60000;
                INSERT INTO t1 VALUES (1);
                """)
            let folder = Folder()
            let skein = try Self.dump(trial, folder, ["--readers", "1", "--compress", "gzip"])
            try await skein.waiting(for: "the views") {
                access("\(folder.path)/.skein-dump", F_OK) == 0
            }
            try trial.onSource("ALTER TABLE t1 ADD COLUMN n INT DEFAULT 5, ALGORITHM=INSTANT")
            let outcome = try await skein.end()
            #expect(outcome.status == 1)
            #expect(outcome.text.contains("t1: its definition changed"), "\(outcome.text)")
            let again = try await Self.dump(trial, folder, ["--readers", "1"]).end()
            #expect(again.status == 0, "\(again.text)")
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            try await trial.judge.expectEqual([trial.schema])
        }

        @Test("tables that change names behind the views are noticed")
        func renamedMeanwhile() async throws {
            let trial = try await Trial(
                .mariadb, "dump_renamed",
                """
                CREATE TABLE big (id INT PRIMARY KEY, t TEXT);
                INSERT INTO big SELECT seq, REPEAT('x', 400) FROM seq_1_to_60000;
                CREATE TABLE a (id INT); CREATE TABLE b LIKE a;
                INSERT INTO a VALUES (1); INSERT INTO b VALUES (2);
                """)
            let folder = Folder()
            let skein = try Self.dump(trial, folder, ["--readers", "1", "--compress", "gzip"])
            try await skein.waiting(for: "the views") {
                access("\(folder.path)/.skein-dump", F_OK) == 0
            }
            // Statements about other tables are nothing to stop for.
            try trial.onSource(
                "CREATE TABLE later (id INT); RENAME TABLE a TO x, b TO a, x TO b")
            let outcome = try await skein.end()
            #expect(outcome.status == 1)
            #expect(outcome.text.contains("its definition changed"), "\(outcome.text)")
            #expect(try !files(folder).contains("metadata"))
            let again = try await Self.dump(
                trial, folder, ["--readers", "1", "--compress", "gzip"]
            ).end()
            #expect(again.status == 0, "\(again.text)")
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            try await trial.judge.expectEqual([trial.schema])
        }

        @Test("after a statement in the binlog it begins again")
        func beginsAgain() async throws {
            let trial = try await Trial(
                .mariadb, "dump_again",
                """
                CREATE TABLE big (id INT PRIMARY KEY, t TEXT); CREATE TABLE t1 (id INT);
                INSERT INTO big SELECT seq, REPEAT('x', 400) FROM seq_1_to_60000;
                INSERT INTO t1 VALUES (1);
                """)
            let folder = Folder()
            let skein = try Self.dump(trial, folder, ["--readers", "2", "--compress", "gzip"])
            try await skein.waiting(for: "a table") {
                let text =
                    (try? String(contentsOfFile: "\(folder.path)/.skein-dump", encoding: .utf8))
                    ?? ""
                return text.split(separator: "\n").count > 1
            }
            let wasRunning = skein.kill()
            try trial.onSource("ALTER TABLE t1 ADD COLUMN n INT DEFAULT 5")
            guard wasRunning else { return }
            let outcome = try await Self.dump(
                trial, folder, ["--readers", "2", "--compress", "gzip"]
            ).end()
            #expect(outcome.status == 0, "\(outcome.text)")
            #expect(outcome.text.contains("begins again"), "\(outcome.text)")
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            try await trial.judge.expectEqual([trial.schema])
        }

        @Test("a replica that does not log what it replicates is refused")
        func silentReplica() async throws {
            let trial = try await Trial(
                source: TestServer.start(
                    .mariadb, options: ["--log-slave-updates=OFF"], name: "silent"),
                target: SharedServers.all.server(.mariadb, "target"), "dump_silent",
                "CREATE TABLE a (id INT); INSERT INTO a VALUES (1)")
            let alone = Folder()
            let passes = try await Self.dump(trial, alone).end()
            #expect(passes.status == 0, "\(passes.text)")
            try trial.source.sql(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='nobody'")
            let folder = Folder()
            let refused = try await Self.dump(trial, folder).end()
            #expect(refused.status == 1)
            #expect(refused.text.contains("does not log what it replicates"), "\(refused.text)")
        }

        @Test("objects that were written in another charset than UTF-8 stay what they are")
        func charsets() async throws {
            let trial = try await Trial(.mariadb, "dump_charsets", Self.tables)
            // Each of the letter's two bytes is a letter for such a session.
            try trial.onSource(
                """
                SET NAMES latin1;
                CREATE PROCEDURE latin() SELECT 'é';
                CREATE FUNCTION latinf() RETURNS TEXT DETERMINISTIC RETURN 'é';
                CREATE TRIGGER latint BEFORE INSERT ON nothing FOR EACH ROW SET @a = 'é';
                CREATE EVENT latine ON SCHEDULE EVERY 1 DAY DISABLE DO SET @a = 'é';
                """)
            let folder = Folder()
            let dumped = try await Self.dump(trial, folder).end()
            #expect(dumped.status == 0, "\(dumped.text)")
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            let letters = try trial.onTarget(
                "SELECT ROUTINE_DEFINITION LIKE '%Ã©%' FROM information_schema.ROUTINES "
                    + "WHERE ROUTINE_SCHEMA='\(trial.schema)' AND ROUTINE_NAME='latin'")
            #expect(letters == "1\n")
            let theirs = try LoadTests.objects(trial.source, trial.schema)
            #expect(try LoadTests.objects(trial.target, trial.schema) == theirs)
        }

        @Test("two dumps do not share a directory, and what others remove is missed")
        func alone() async throws {
            let trial = try await Trial(
                .mariadb, "dump_alone",
                """
                CREATE TABLE big (id INT PRIMARY KEY, t TEXT); CREATE TABLE t1 (id INT);
                INSERT INTO big SELECT seq, REPEAT('x', 400) FROM seq_1_to_60000;
                INSERT INTO t1 VALUES (1);
                """)
            let folder = Folder()
            let flags = ["--readers", "2", "--compress", "gzip"]
            let first = try Self.dump(trial, folder, flags)
            try await first.waiting(for: "a table") {
                let text =
                    (try? String(contentsOfFile: "\(folder.path)/.skein-dump", encoding: .utf8))
                    ?? ""
                return text.split(separator: "\n").count > 1 || first.status != nil
            }
            // Held while the second one looks.
            first.signal(SIGSTOP)
            let second = try await Self.dump(trial, folder, flags).end()
            #expect(second.status == 1)
            #expect(second.text.contains("another skein dump"), "\(second.text)")
            let lost = "\(trial.schema).t1-schema.sql.gz"
            let wasThere =
                (try? FileManager.default.removeItem(atPath: "\(folder.path)/\(lost)")) != nil
            first.signal(SIGCONT)
            let outcome = try await first.end()
            if wasThere {
                #expect(outcome.status == 1)
                #expect(outcome.text.contains("removed or changed"), "\(outcome.text)")
                let again = try await Self.dump(trial, folder, flags).end()
                #expect(again.status == 0, "\(again.text)")
            }
            let loaded = try await LoadTests.load(trial, folder).end()
            #expect(loaded.status == 0, "\(loaded.text)")
            try await trial.judge.expectEqual([trial.schema])
        }

        @Test("what a dump can't hold is refused by name, and so are directories of others")
        func refused() async throws {
            let trial = try await Trial(
                .mariadb, "dump_refused", "CREATE TABLE m (id INT) ENGINE=MyISAM")
            let folder = Folder()
            let engine = try await Self.dump(trial, folder).end()
            #expect(engine.status == 1)
            #expect(engine.text.contains("\(trial.schema).m") && engine.text.contains("MyISAM"))
            let other = Folder()
            try other.write(["precious.sql": "keep me"])
            let refused = try await Self.dump(trial, other, ["--exclude", "\(trial.schema).m"])
                .end()
            #expect(refused.status == 1)
            #expect(refused.text.contains("not empty"))
            #expect(try files(other) == ["precious.sql"])
        }
    }
}
