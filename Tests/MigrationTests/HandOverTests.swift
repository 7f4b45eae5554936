import Cluster
import Foundation
import Metadata
import MySQLClient
import TestServers
import Testing

extension MigrationTests {
    /// What goes with a source from worker to worker, and what workers find out about it.
    @Suite("Sources that move", .serialized, .enabled(if: EtcdServer.isInstalled))
    struct HandOverTests {
        @Test(
            "what the source has purged is fetched from the worker that gave the source away, also when that was restarted while the task was paused",
            arguments: [false, true])
        func fetches(isRestarted: Bool) async throws {
            let target = try await SharedServers.all.server(.mariadb, "target")
            try await TestServer.with(.mariadb, name: "purging") { source in
                let trial = try Trial(
                    source: source, target: target, "moves", Shop.schema(rows: 200))
                let cluster = try ClusterTrial("w0", "w1")
                let (first, second) = (cluster.workers[0], cluster.workers[1])
                try await cluster.running {
                    try first.start(join: nil, "--voters", "1")
                    try await cluster.add(trial, source: "s")
                    try await cluster.copied(trial)
                    try await cluster.applied(trial)
                    try second.start(join: first, "--voters", "1")
                    try await cluster.eventually("two workers") {
                        try await cluster.cluster().sessions.count == 2
                    }
                    try await cluster.setStage(.paused, trial, source: "s")
                    try await cluster.status("Paused", of: trial, at: first)
                    for n in 0..<3 {
                        try trial.onSource("INSERT INTO marker VALUES (\(n)); FLUSH BINARY LOGS")
                    }
                    try trial.onSource("INSERT INTO marker VALUES (99)")
                    try await cluster.eventually("the relay log has all of it") {
                        let status = try source.sql("SHOW MASTER STATUS").split(separator: "\t")
                        let answer = try await cluster.skein(
                            "relay", "status", "--source", "s", "--output", "json", at: first)
                        return answer.contains("\"\(status[0]):\(status[1])\"")
                    }
                    let last = try source.sql("SHOW BINARY LOGS").split(separator: "\n").last
                    let name = try #require(last?.split(separator: "\t").first)
                    let key = KeyLayout.relay(source: "s", worker: "w0")
                    // Said once a second; who has had a source for less than that has nothing.
                    try await cluster.eventually("it is known to have files") {
                        try await cluster.client.get(key) != nil
                    }
                    let known = try #require(try await cluster.client.get(key))
                    if isRestarted { try await Self.restart(first, of: cluster, trial) }
                    try await cluster.skein("source", "transfer", "s", "--worker", "w1", at: first)
                    try await cluster.eventually("the source purges") {
                        try source.sql("PURGE BINARY LOGS TO '\(name)'")
                        return try source.sql("SHOW BINARY LOGS").split(separator: "\n").count == 1
                    }
                    try await cluster.setStage(.running, trial, source: "s")
                    try await cluster.applied(trial)
                    try await trial.expectEqual(verifying: false)
                    // Not for a moment did the first one say that it has nothing.
                    let still = try await cluster.client.get(key)
                    #expect(still?.createRevision == known.createRevision)
                    // Both have it, and it comes back to what it has left.
                    try await cluster.eventually("both are known to have files") {
                        try await cluster.cluster().relays["s"]?.count == 2
                    }
                    for worker in [first, second, first] {
                        try await cluster.skein(
                            "source", "transfer", "s", "--worker", worker.name, at: first)
                        try await cluster.applied(trial)
                    }
                    try await trial.expectEqual(verifying: false)
                }
            }
        }

        /// Ends a worker and starts it again; the source is bound to it afterwards, as before.
        private static func restart(
            _ worker: ServeProcess, of cluster: ClusterTrial, _ trial: Trial
        ) async throws {
            worker.kill()
            try worker.start(join: nil, "--voters", "1")
            try await cluster.eventually("both workers are there again") {
                try await cluster.cluster().sessions.count == 2
            }
            if try await cluster.owner("s")?.name != worker.name {
                try await cluster.skein(
                    "source", "transfer", "s", "--worker", worker.name, at: worker)
            }
            try await cluster.eventually("the source is there again") {
                try await cluster.owner("s")?.name == worker.name
            }
            try await cluster.status("Paused", of: trial, at: worker)
            // It says once a second what it has.
            try await Task.sleep(for: .seconds(3))
        }

        @Test("of three workers two are lost, and the one that is left runs every source")
        func last() async throws {
            let trials = [
                try await Trial(.mariadb, "last", Shop.schema(rows: 200)),
                try await Trial(.mariadb, "last", Shop.schema(rows: 200)),
                try await Trial(.mariadb, "last", Shop.schema(rows: 200)),
            ]
            let cluster = try ClusterTrial("w0", "w1", "w2")
            let first = cluster.workers[0]
            @Sendable func owners() async throws -> Set<String?> {
                var out: Set<String?> = []
                for n in trials.indices { out.insert(try await cluster.owner("s\(n)")?.name) }
                return out
            }
            try await cluster.running {
                // The store is the first one's alone: it needs no majority.
                try first.start(join: nil, "--voters", "1")
                for worker in cluster.workers.dropFirst() {
                    try worker.start(join: first, "--voters", "1")
                }
                try await cluster.eventually("three workers") {
                    try await cluster.cluster().sessions.count == 3
                }
                for (n, trial) in trials.enumerated() {
                    try await cluster.add(trial, source: "s\(n)")
                }
                for trial in trials { try await cluster.copied(trial) }
                try await cluster.eventually("each has one") {
                    try await owners() == ["w0", "w1", "w2"]
                }
                for worker in cluster.workers.dropFirst() { worker.kill() }
                for trial in trials { try await cluster.applied(trial) }
                #expect(try await owners() == ["w0"])
                for worker in cluster.workers.dropFirst() {
                    try worker.start(join: first, "--voters", "1")
                }
                // One goes at once; a difference of two is not worth another pause.
                try await cluster.eventually("the others are of use again") {
                    try await owners().count > 1
                }
                for trial in trials {
                    try await cluster.applied(trial)
                    try await trial.expectEqual(verifying: false)
                }
            }
        }

        @Test("a worker compares a task's tables, and its status tells what came out")
        func verifies() async throws {
            let trial = try await Trial(.mariadb, "compared", Shop.schema(rows: 300))
            let cluster = try ClusterTrial("w0")
            let worker = cluster.workers[0]
            let load = Load(
                trial.source, schema: trial.schema, threads: 1, seed: Dice.seed("verifies"),
                pause: .milliseconds(10), Shop.step)
            @Sendable func verify() async throws -> SkeinProcess.Outcome {
                try await SkeinProcess([
                    "task", "verify", trial.schema, "--wait", "--endpoint", worker.address,
                ]).end()
            }
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                // Under load, too.
                var outcome = try await verify()
                #expect(outcome.status == 0, "\(outcome.text)")
                #expect(outcome.text.contains("compared: equal, "), "\(outcome.text)")
                try await load.stop()
                try await cluster.applied(trial)
                try trial.onTarget("INSERT INTO marker VALUES (4611686018427387999)")
                outcome = try await verify()
                #expect(outcome.status == 3, "\(outcome.text)")
                let words = "\(trial.schema).marker: different, 1 rows differ"
                #expect(outcome.text.contains(words), "\(outcome.text)")
                let status = try await cluster.skein("task", "status", trial.schema, at: worker)
                #expect(status.contains("compared: different, 1 of "), "\(status)")
                #expect(status.contains("Running"), "\(status)")

                // What is written while it is paused is not there on purpose.
                try trial.onTarget("DELETE FROM marker WHERE id=4611686018427387999")
                try await cluster.setStage(.paused, trial, source: "s")
                try await cluster.status("Paused", of: trial, at: worker)
                try trial.onSource("INSERT INTO marker VALUES (4611686018427387998)")
                outcome = try await verify()
                #expect(outcome.status == 1, "\(outcome.text)")
                #expect(outcome.text.contains("does not follow its source"), "\(outcome.text)")
                #expect(outcome.text.contains("it is Paused"), "\(outcome.text)")

                // Of one that rests since the worker was started nothing is known.
                worker.process?.signal(SIGTERM)
                _ = try await worker.process?.end(within: .seconds(60))
                try worker.start()
                try await cluster.status("Paused", of: trial, at: worker)
                outcome = try await verify()
                #expect(outcome.status == 1, "\(outcome.text)")
                #expect(outcome.text.contains("has not copied all rows"), "\(outcome.text)")

                // One at a time; and nobody waits for a task that is not there.
                let unknown = try await SkeinProcess([
                    "task", "verify", "nobody", "--wait", "--endpoint", worker.address,
                ]).end()
                #expect(unknown.status == 1 && unknown.text.contains("nobody"), "\(unknown.text)")
            }
        }
    }
}
