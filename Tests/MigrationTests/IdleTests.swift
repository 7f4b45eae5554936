import TestServers
import Testing

extension MigrationTests {
    /// Sources whose newest transaction is long ago, and copies that have to be made again.
    @Suite("Long pauses", .serialized)
    struct IdleTests {
        @Test(
            "an idle source without GTIDs purges the newest transaction",
            .enabled(if: TestServer.isAvailable(.mysql)))
        func purged() async throws {
            let source = try await TestServer.start(
                .mysql, options: ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"],
                name: "idle")
            let trial = try Trial(
                source: source, target: try await SharedServers.all.server(.mysql, "target"),
                "idle",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE twins (a INT, b INT); INSERT INTO twins VALUES (1,1);
                """)
            var skein = try trial.migrate()
            try await trial.copied(skein)
            try trial.onSource("INSERT INTO twins VALUES (1,1)")
            try await trial.applied(skein)
            try trial.onSource("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
            let newest = try trial.onSource("SHOW BINARY LOGS").split(separator: "\n").last?
                .split(separator: "\t").first.map(String.init)
            let file = try #require(newest)
            // The mark follows into the newest file.
            try await skein.waiting(for: "the mark") {
                try trial.target.sql(
                    "SELECT COUNT(*) FROM \(trial.meta).subtask "
                        + "WHERE INSTR(low_water, '\(file)') > 0") == "1\n"
            }
            try await trial.stop(skein)
            try trial.onSource(
                "INSERT INTO twins VALUES (1,1); PURGE BINARY LOGS TO '\(file)'")
            skein = try trial.migrate()
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
            // With the mark's own file what came behind it is gone too.
            try trial.onSource(
                "INSERT INTO twins VALUES (2,2); FLUSH BINARY LOGS; FLUSH BINARY LOGS")
            let last = try trial.onSource("SHOW BINARY LOGS").split(separator: "\n").last?
                .split(separator: "\t").first.map(String.init)
            try trial.onSource("PURGE BINARY LOGS TO '\(try #require(last))'")
            let outcome = try await trial.migrate().end()
            #expect(outcome.status != 0)
            #expect(outcome.text.contains("source.binlog"), "\(outcome.text)")
        }

        @Test(
            "a source without GTIDs begins new files, and restarts, while it is copied (A6)",
            .enabled(if: TestServer.isAvailable(.mysql)))
        func rotated() async throws {
            try await TestServer.with(
                .mysql, options: ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"],
                name: "rotated"
            ) { source in
                var trial = try Trial(
                    source: source, target: try await SharedServers.all.server(.mysql, "target"),
                    "rotated",
                    """
                    CREATE TABLE marker (id BIGINT PRIMARY KEY);
                    CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v INT);
                    INSERT INTO a (v) SELECT n FROM (
                        WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 900)
                        SELECT n FROM s) x;
                    CREATE TABLE twins (a INT, b INT);
                    INSERT INTO twins SELECT v % 9, 1 FROM a;
                    """)
                let proxy = try FaultProxy(to: trial.target)
                defer { proxy.close() }
                trial.targetURL = proxy.url
                proxy.setDelay(.milliseconds(10))
                var skein = try trial.migrate(
                    "--chunk-rows", "20", "--no-relay", "--readers", "1")
                try await skein.waiting(for: "its middle") {
                    (try? trial.target.sql(
                        "SELECT COUNT(*) > 3 FROM \(trial.meta).chunk WHERE table_name='a'"))
                        == "1\n"
                }
                skein.kill()
                let begun = try trial.target.sql(
                    "SELECT COUNT(*) FROM \(trial.meta).chunk WHERE table_name='twins'")
                #expect(begun == "0\n" && trial.phase == "copy")
                // From here on the keyless table's view is exact in another file's life.
                try trial.onSource("INSERT INTO twins VALUES (1,1); FLUSH BINARY LOGS")
                try await source.restart()
                try trial.onSource("INSERT INTO twins VALUES (1,1); UPDATE a SET v=0 WHERE id<5")
                proxy.setDelay(.zero)
                skein = try trial.migrate("--chunk-rows", "20", "--no-relay", "--readers", "1")
                try await trial.copied(skein)
                try await trial.applied(skein)
                try await trial.stop(skein)
                try await trial.expectEqual()
            }
        }

        @Test(
            "a source that begins its binlog anew while it is copied is refused",
            arguments: Pair.sameFamily)
        func reset(_ pair: Pair) async throws {
            try await TestServer.with(pair.source, name: "reset") { source in
                var trial = try Trial(
                    source: source,
                    target: try await SharedServers.all.server(pair.target, "target"), "reset",
                    """
                    CREATE TABLE a (id INT PRIMARY KEY, v INT);
                    INSERT INTO a VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,6),(7,7),(8,8),(9,9);
                    INSERT INTO a SELECT id + 10, v FROM a; INSERT INTO a SELECT id + 20, v FROM a;
                    INSERT INTO a SELECT id + 40, v FROM a; INSERT INTO a SELECT id + 80, v FROM a;
                    """)
                let proxy = try FaultProxy(to: trial.target)
                defer { proxy.close() }
                trial.targetURL = proxy.url
                proxy.setDelay(.milliseconds(20))
                let skein = try trial.migrate("--chunk-rows", "10", "--no-relay")
                try await skein.waiting(for: "its middle") {
                    (try? trial.target.sql(
                        "SELECT COUNT(*) > 3 FROM \(trial.meta).chunk WHERE table_name='a'"))
                        == "1\n"
                }
                skein.kill()
                #expect(trial.phase == "copy")
                try trial.onSource(
                    pair.source == .mariadb ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS")
                try trial.onSource("INSERT INTO a VALUES (1000,1)")
                proxy.setDelay(.zero)
                let outcome = try await trial.migrate("--until", "caught-up", "--no-relay").end()
                #expect(outcome.status == 1, "\(outcome.text)")
                #expect(outcome.text.contains("--fresh"), "\(outcome.text)")
            }
        }

        @Test("a table that must be copied again is, although the target goes away just then")
        func again() async throws {
            var trial = try await Trial(
                .mariadb, "again",
                """
                CREATE TABLE marker (id BIGINT PRIMARY KEY);
                CREATE TABLE t (id INT PRIMARY KEY, v INT);
                INSERT INTO t SELECT seq, seq FROM seq_1_to_4000;
                """)
            let proxy = try FaultProxy(to: trial.target)
            defer { proxy.close() }
            trial.targetURL = proxy.url
            proxy.setDelay(.milliseconds(5))
            var skein = try trial.migrate("--chunk-rows", "100")
            try await skein.waiting(for: "its middle") {
                (try? trial.target.sql(
                    "SELECT COUNT(*) > 2 FROM \(trial.meta).chunk WHERE table_name='t'")) == "1\n"
            }
            skein.kill()
            proxy.setDelay(.zero)
            #expect(trial.phase == "copy")
            // Some chunks were read before it, some will be behind it.
            try trial.onSource("TRUNCATE t; INSERT INTO t VALUES (1,1),(4000,2)")
            let held = proxy.holdNext(.toServer, matching: "'restart',")
            skein = try trial.migrate("--chunk-rows", "100")
            try await held.caught()
            held.drop()
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
        }
    }
}
