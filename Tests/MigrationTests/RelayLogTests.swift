import Foundation
import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// The relay log that a migration keeps.
    @Suite("Relay log", .serialized)
    struct RelayLogTests {
        /// Purges everything but the newest file of a source, as retention would.
        private func purge(_ trial: Trial) async throws {
            try trial.onSource("FLUSH BINARY LOGS")
            let last = try trial.onSource("SHOW BINARY LOGS").split(separator: "\n").last!
                .split(separator: "\t")[0]
            for _ in 0..<200 {
                try trial.onSource("PURGE BINARY LOGS TO '\(last)'")
                if try trial.onSource("SHOW BINARY LOGS").split(separator: "\n").count == 1 {
                    return
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("the source keeps its files")
        }

        @Test(
            "what the source purges during the copy, and while skein is gone, is there all the same",
            arguments: Pair.sameFamily)
        func purged(_ pair: Pair) async throws {
            let target = try await SharedServers.all.server(pair.target, "target")
            try await TestServer.with(pair.source, name: "retention") { source in
                var trial = try Trial(
                    source: source, target: target, "retention", Shop.schema(rows: 6000))
                let proxy = try FaultProxy(to: target)
                defer { proxy.close() }
                trial.targetURL = proxy.url
                proxy.setDelay(.milliseconds(6))
                let skein = try trial.migrate("--chunk-rows", "100")
                try await skein.waiting(for: "the copy") { trial.phase == "copy" }
                let load = Load(
                    source, schema: trial.schema, seed: 5, pause: .milliseconds(10), Shop.step)
                for _ in 0..<3 {
                    try await load.more(30)
                    try await purge(trial)
                }
                #expect(trial.phase == "copy")
                // Killed in the middle; what was relayed stays.
                try await Task.sleep(for: .milliseconds(300))
                skein.kill()
                proxy.setDelay(.zero)
                let again = try trial.migrate()
                try await trial.copied(again)
                try await load.more(30)
                try await load.stop()
                try await trial.applied(again)
                try await trial.stop(again)
                try await trial.catchUp()
                try await trial.expectEqual()
                // One connection reads the binlog, whoever follows.
                let names = try FileManager.default.contentsOfDirectory(
                    atPath: trial.state.path + "/relay")
                #expect(names.contains("server-uuid.index"))
            }
        }

        @Test("without one, nothing is kept, and everything arrives")
        func none() async throws {
            let trial = try await Trial(.mariadb, "norelay", Shop.schema(rows: 500))
            let skein = try trial.migrate("--no-relay")
            try await trial.copied(skein)
            let load = Load(trial.source, schema: trial.schema, seed: 7, Shop.step)
            try await load.more(100)
            try await load.stop()
            try await trial.applied(skein)
            try await trial.stop(skein)
            try await trial.expectEqual()
            #expect(!FileManager.default.fileExists(atPath: trial.state.path + "/relay"))
        }

        /// Whether some file of the relay log has a text.
        private static func holds(_ trial: Trial, _ text: String) -> Bool {
            let folder = trial.state.path + "/relay"
            let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
            return names.contains { name in
                guard let data = FileManager.default.contents(atPath: folder + "/" + name) else {
                    return false
                }
                return data.range(of: Data(text.utf8)) != nil
            }
        }

        @Test(
            "what the source has lost is given up when the target has not applied it; else it stops",
            arguments: Pair.sameFamily, [false, true])
        func lost(_ pair: Pair, isApplied: Bool) async throws {
            let target = try await SharedServers.all.server(pair.target, "target")
            try await TestServer.with(pair.source, durable: true, name: "original") { original in
                var trial = try Trial(
                    source: original, target: target, "givenup",
                    """
                    CREATE TABLE t (id INT PRIMARY KEY, w TEXT); INSERT INTO t VALUES (1,'a'),(2,'b');
                    CREATE TABLE marker (id BIGINT UNSIGNED PRIMARY KEY)
                    """)
                try await trial.catchUp()
                try await original.stop()
                let copy = try await TestServer.start(
                    pair.source, name: "copy", data: original.datadir)
                await copy.kill()
                try await original.restart()
                let proxy = try FaultProxy(to: original)
                defer { proxy.close() }
                trial.sourceURL = proxy.url
                // Somebody else holds what is to be written.
                let holder = try target.connect(trial.schema)
                try holder.execute("START TRANSACTION")
                _ = try holder.rows("SELECT * FROM t WHERE id >= 2 FOR UPDATE")
                let skein = try trial.migrate()
                try trial.onSource("INSERT INTO t VALUES (10,'lostlostlost')")
                try await skein.waiting(for: "the relay log") {
                    Self.holds(trial, "lostlostlost")
                }
                // A lane has it by now, and waits with it.
                try await skein.waiting(for: "a lane") {
                    try target.connect().rows("SHOW FULL PROCESSLIST").contains { row in
                        row.contains { $0?.contains("lostlostlost") == true }
                            || row.contains { $0?.contains("6C6F73746C6F7374") == true }
                    }
                }
                await original.kill()
                try await copy.restart()
                try copy.sql("INSERT INTO t VALUES (10,'other')", database: trial.schema)
                try copy.sql("INSERT INTO t VALUES (11,'more')", database: trial.schema)
                proxy.forward(to: copy)
                proxy.cut()
                if isApplied {
                    // What was sent is executed although nobody is there any more.
                    try holder.execute("ROLLBACK")
                    let outcome = try await skein.end(within: .seconds(120))
                    #expect(outcome.status == 1, "\(outcome.text)")
                    #expect(
                        outcome.text.contains("source.lost")
                            && outcome.text.contains("of task \(trial.schema) has applied"),
                        "\(outcome.text)")
                    #expect(
                        try trial.onTarget("SELECT GROUP_CONCAT(w) FROM t")
                            == "a,b,lostlostlost\n")
                    await copy.discard()
                    return
                }
                let lost = trial.state.path + "/relay/skein/lost"
                try await skein.waiting(for: "the cut") {
                    FileManager.default.fileExists(atPath: lost)
                }
                try holder.execute("ROLLBACK")
                let now = Trial(trial, source: copy)
                try await now.applied(skein)
                skein.signal(SIGTERM)
                let outcome = try await skein.end()
                #expect(outcome.status == 0, "\(outcome.text)")
                #expect(outcome.text.contains("skein verify"), "\(outcome.text)")
                #expect(try trial.onTarget("SELECT w FROM t WHERE id=10") == "other\n")
                try await now.expectEqual()
                await copy.discard()
            }
        }

        @Test("skein relay shows, reads and purges it")
        func commands() async throws {
            let trial = try await Trial(.mariadb, "showrelay", Shop.schema(rows: 200))
            try await trial.catchUp()
            try trial.onSource("INSERT INTO words VALUES ('last', 1)")
            try await trial.catchUp()
            let folder = trial.state.path + "/relay"
            func run(_ words: String...) async throws -> SkeinProcess.Outcome {
                try await SkeinProcess(["relay"] + words).end()
            }
            let status = try await run("status", folder, "--output", "json")
            #expect(
                status.status == 0 && status.text.contains("\"needed_by\":[\"\(trial.schema)\"]"))
            let read = try await run("read", folder, "--output", "json")
            #expect(read.status == 0)
            let rows = "\"schema\":\"\(trial.schema)\",\"table\":\"words\",\"rows\":1"
            #expect(read.text.contains(rows), "\(read.text.suffix(600))")
            let gtids = read.text.matches(of: /"gtid":"(\d+-\d+-\d+)"/).map { String($0.1) }
            let tail = try await run("read", folder, "--from", gtids[gtids.count - 2])
            #expect(tail.text.contains(gtids[gtids.count - 1]))
            #expect(!tail.text.contains(gtids[gtids.count - 2] + " "))
            let purge = try await run("purge", folder, "--before", "nothing.000001")
            #expect(purge.status == 1 && purge.text.contains("relay.missing"))
            // Where one may look by mistake.
            for (path, word) in [
                (trial.state.path, "/relay"), (folder + "/skein", "a part of the one in"),
                (folder + "/nowhere/else", "no such folder"),
            ] {
                let wrong = try await run("status", path)
                #expect(
                    wrong.status == 1 && wrong.text.contains("relay.unusable")
                        && wrong.text.contains(word), "\(wrong.text)")
            }
            let file = try #require(status.text.firstMatch(of: /"name":"([^"]+)"/)).1
            let whole = try await run("read", folder, "--from", String(file), "--limit", "1")
            #expect(
                whole.status == 0 && whole.text.contains("FORMAT_DESCRIPTION")
                    && !whole.text.contains("not readable"), "\(whole.text)")
            let inside = try await run("read", folder, "--from", "\(file):5")
            #expect(inside.status == 1 && inside.text.contains("not where an event begins"))
            let behind = try await run("read", folder, "--from", "\(file):4000000000")
            #expect(behind.status == 1 && behind.text.contains("relay.missing"))
            // What a statement sets stays secret.
            try trial.onSource(
                "CREATE OR REPLACE USER nobody@localhost IDENTIFIED BY 'opensesame'; "
                    + "INSERT INTO words VALUES ('after', 1)")
            try await trial.catchUp()
            let secret = try await run("read", folder)
            #expect(secret.text.contains("***") && !secret.text.contains("opensesame"))
            try trial.onSource("DROP USER nobody@localhost; FLUSH BINARY LOGS")
            try trial.onSource("INSERT INTO words VALUES ('last of all', 1)")
            try await trial.catchUp()
            let newest = try #require(
                try await run("status", folder, "--output", "json").text
                    .matches(of: /"name":"([^"]+)"/).last
            ).1
            let dry = try await run(
                "purge", folder, "--before", String(newest), "--force", "--dry-run")
            #expect(dry.status == 0 && dry.text.contains("would remove"), "\(dry.text)")
            #expect(try await run("status", folder).text.contains(file))
            let done = try await run("purge", folder, "--before", String(newest), "--force")
            #expect(done.status == 0 && done.text.contains("removed"), "\(done.text)")
            #expect(try await !run("status", folder).text.contains("  \(file) "))
        }
    }
}
