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
