import Foundation
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
            let wrong = try await run("status", trial.state.path)
            #expect(wrong.status == 1 && wrong.text.contains("relay.unusable"))
        }
    }
}
