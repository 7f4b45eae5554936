import Cluster
import Foundation
import Metadata
import MySQLClient
import TestServers
import Testing
import Worker

extension MigrationTests {
    /// What a subtask's history, its checkpoint and its neighbours mean for it, whoever runs it.
    @Suite("What outlives a worker", .serialized, .enabled(if: EtcdServer.isInstalled))
    struct HistoryTests {
        @Test("a task that has reached its goal writes nothing more, wherever it is moved")
        func finished() async throws {
            let trial = try await Trial(.mariadb, "goal", Shop.schema(rows: 200))
            let cluster = try ClusterTrial("w0", "w1")
            let (first, second) = (cluster.workers[0], cluster.workers[1])
            try await cluster.running {
                try first.start(join: nil, "--voters", "1")
                try await cluster.add(trial, source: "s", "until: caught-up")
                try await cluster.eventually("its goal") {
                    try await cluster.history(trial, "s")?.finish != nil
                }
                try trial.onSource("INSERT INTO marker VALUES (77)")
                func isThere() -> Bool {
                    (try? trial.onTarget("SELECT 1 FROM marker WHERE id=77")) == "1\n"
                }
                // Killed and started again, then moved.
                first.kill()
                try first.start(join: nil, "--voters", "1")
                try await cluster.status("Finished", of: trial, at: first)
                try second.start(join: first, "--voters", "1")
                try await cluster.eventually("both are there") {
                    try await cluster.cluster().sessions.count == 2
                }
                try await cluster.skein(
                    "source", "transfer", "s", "--worker", "w1", at: first)
                try await cluster.status("Finished", of: trial, at: second)
                try await Task.sleep(for: .seconds(3))
                #expect(!isThere(), "it ran again")

                try await cluster.skein("task", "resume", trial.schema, at: first)
                try await cluster.eventually("its goal, once more") {
                    try await cluster.history(trial, "s")?.finish != nil
                }
                #expect(isThere())
                try await trial.expectEqual(verifying: false)
            }
        }

        @Test("a checkpoint that is lost is not begun anew, however often it is tried and moved")
        func lostCheckpoint() async throws {
            let trial = try await Trial(.mariadb, "lost", Shop.schema(rows: 200))
            let cluster = try ClusterTrial("w0")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                // Nothing but the history stands in the way of a second copy.
                try await cluster.add(trial, source: "s", "into-existing: true")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                #expect(try await cluster.history(trial, "s")?.isStarted == true)
                worker.kill()
                try trial.target.sql("DELETE FROM subtask", database: trial.meta)
                try worker.start()
                for attempt in 0..<2 {
                    try await cluster.eventually("it says so") {
                        worker.process?.text.components(separatedBy: "checkpoint.missing").count
                            ?? 0 > attempt + 1
                    }
                    // As a new binding does.
                    let binding = try #require(try await cluster.cluster().bindings["s"]?.record)
                    try await cluster.client.put(
                        KeyLayout.binding("s"),
                        Binding(worker: "w0", epoch: binding.epoch + 1).bytes())
                }
                #expect(
                    try trial.target.sql("SELECT COUNT(*) FROM subtask", database: trial.meta)
                        == "0\n")
                // Removed and added again, it was never started.
                try await cluster.skein("task", "remove", trial.schema, "--force", at: worker)
                try await cluster.add(trial, source: "s", "into-existing: true")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                try await trial.expectEqual(verifying: false)
            }
        }

        @Test("after the loss of the store, resuming takes over what its targets remember")
        func lostStore() async throws {
            let trial = try await Trial(.mariadb, "epochs", Shop.schema(rows: 200))
            let cluster = try ClusterTrial("w0")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s")
                try await cluster.copied(trial)
                worker.kill()
                // Bindings of a cluster that is no more.
                try trial.target.sql("UPDATE subtask SET epoch=40", database: trial.meta)
                try worker.start()
                try await cluster.eventually("its target refuses it") {
                    try await cluster.history(trial, "s")?.fencedBy == 40
                }
                try await cluster.skein("task", "resume", trial.schema, at: worker)
                try await cluster.applied(trial)
                let binding = try #require(try await cluster.cluster().bindings["s"]?.record)
                #expect(binding.worker == "w0" && binding.epoch > 40)
                #expect(try await cluster.history(trial, "s")?.fencedBy == nil)
            }
        }

        @Test("a subtask that rests does not hold up the others at the relay log's limit")
        func restingNeed() async throws {
            let resting = try await Trial(.mariadb, "rest", Shop.schema(rows: 100))
            let busy = try await Trial(.mariadb, "rest", Shop.schema(rows: 100))
            let cluster = try ClusterTrial("w0")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                for trial in [resting, busy] {
                    try await cluster.add(trial, source: "s", sourceMore: "relay-limit: 16M")
                }
                for trial in [resting, busy] {
                    try await cluster.copied(trial)
                    try await cluster.applied(trial)
                }
                try await cluster.setStage(.paused, resting, source: "s")
                try await cluster.status("Paused", of: resting, at: worker)
                try resting.onSource("INSERT INTO marker VALUES (5)")
                try busy.onSource("CREATE TABLE large (id INT PRIMARY KEY, data LONGBLOB)")
                for n in 0..<8 {
                    try busy.onSource(
                        "INSERT INTO large VALUES (\(n), REPEAT('x', 4000000)); FLUSH BINARY LOGS")
                }
                try await cluster.applied(busy)
                // It goes on from the source, and says why.
                try await cluster.setStage(.running, resting, source: "s")
                try await cluster.applied(resting)
                let status = try await cluster.skein(
                    "task", "status", resting.schema, "--output", "json", at: worker)
                #expect(status.contains("has reached its limit while"), "\(status)")
                for trial in [resting, busy] { try await trial.expectEqual(verifying: false) }
            }
        }

        @Test("a position that is purged ends its own subtask, and none beside it")
        func purgedNeighbour() async throws {
            let target = try await SharedServers.all.server(.mariadb, "target")
            try await TestServer.with(.mariadb, name: "purging") { source in
                let late = try Trial(
                    source: source, target: target, "purge", Shop.schema(rows: 100))
                let good = try Trial(
                    source: source, target: target, "purge", Shop.schema(rows: 100))
                let cluster = try ClusterTrial("w0")
                let worker = cluster.workers[0]
                try await cluster.running {
                    try worker.start()
                    for trial in [late, good] { try await cluster.add(trial, source: "s") }
                    for trial in [late, good] {
                        try await cluster.copied(trial)
                        try await cluster.applied(trial)
                    }
                    try await cluster.setStage(.paused, late, source: "s")
                    try await cluster.status("Paused", of: late, at: worker)
                    for _ in 0..<2 {
                        try source.sql("FLUSH BINARY LOGS")
                        try await cluster.applied(good)
                    }
                    worker.process?.signal(SIGTERM)
                    _ = try await worker.process?.end(within: .seconds(60))
                    try FileManager.default.removeItem(atPath: worker.folder + "/relay")
                    let last = try source.sql("SHOW BINARY LOGS").split(separator: "\n").last
                    let name = try #require(last?.split(separator: "\t").first)
                    try await cluster.eventually("the source purges") {
                        try source.sql("PURGE BINARY LOGS TO '\(name)'")
                        return try source.sql("SHOW BINARY LOGS").split(separator: "\n").count == 1
                    }
                    try worker.start()
                    try await cluster.setStage(.running, late, source: "s")
                    try await cluster.applied(good)
                    try await cluster.eventually("the other one has ended") {
                        worker.process?.text.contains("source.binlog") == true
                    }
                    try await cluster.applied(good)
                    try await good.expectEqual(verifying: false)
                }
            }
        }

        @Test("what the source has purged and a lost machine had is in another worker's copy")
        func relayCopies() async throws {
            let target = try await SharedServers.all.server(.mariadb, "target")
            try await TestServer.with(.mariadb, name: "copied") { source in
                let trial = try Trial(
                    source: source, target: target, "copies", Shop.schema(rows: 200))
                let cluster = try ClusterTrial("w0", "w1", "w2")
                try await cluster.running {
                    try await cluster.startAll()
                    try await cluster.add(trial, source: "s", sourceMore: "relay-replicas: 2")
                    try await cluster.copied(trial)
                    try await cluster.applied(trial)
                    let owner = try #require(try await cluster.owner("s"))
                    try await cluster.eventually("a copy") {
                        try await cluster.cluster().relays["s"]?.count == 2
                    }
                    let holders = try await cluster.cluster().relays["s"] ?? []
                    let copy = try #require(holders.first { $0 != owner.name })
                    try await cluster.setStage(.paused, trial, source: "s")
                    try await cluster.status("Paused", of: trial, at: owner)
                    for n in 0..<3 {
                        try trial.onSource("INSERT INTO marker VALUES (\(n)); FLUSH BINARY LOGS")
                    }
                    try trial.onSource("INSERT INTO marker VALUES (99)")
                    try await cluster.eventually("the copy has all of it") {
                        let status = try source.sql("SHOW MASTER STATUS").split(separator: "\t")
                        let answer = try await cluster.skein(
                            "relay", "status", "--source", "s", "--output", "json", at: owner)
                        let wanted = "\"\(status[0]):\(status[1])\""
                        return answer.components(separatedBy: wanted).count == 3
                    }
                    // One dump for all of them.
                    #expect(
                        try source.sql(
                            "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                                + "WHERE COMMAND='Binlog Dump'") == "1\n")
                    let last = try source.sql("SHOW BINARY LOGS").split(separator: "\n").last
                    let name = try #require(last?.split(separator: "\t").first)
                    owner.kill()
                    try FileManager.default.removeItem(atPath: owner.folder + "/relay")
                    try await cluster.eventually("the source purges") {
                        try source.sql("PURGE BINARY LOGS TO '\(name)'")
                        return try source.sql("SHOW BINARY LOGS").split(separator: "\n").count == 1
                    }
                    try await cluster.eventually("the copy's worker runs it") {
                        try await cluster.owner("s")?.name == copy
                    }
                    try await cluster.setStage(.running, trial, source: "s")
                    try await cluster.applied(trial)
                    try await trial.expectEqual(verifying: false)

                    // A worker that is told to keeps one, too.
                    let third = try #require(
                        cluster.workers.first { $0.name != owner.name && $0.name != copy })
                    try await cluster.skein(
                        "relay", "start", "s", "--worker", third.name, at: third)
                    try await cluster.eventually("another copy") {
                        try await cluster.cluster().relays["s"]?.contains(third.name) == true
                    }
                }
            }
        }

        @Test("a source that is moved away and back goes on with the relay log that it left")
        func movedBack() async throws {
            let trial = try await Trial(.mariadb, "back", Shop.schema(rows: 100))
            let cluster = try ClusterTrial("w0", "w1")
            let (first, second) = (cluster.workers[0], cluster.workers[1])
            try await cluster.running {
                try first.start(join: nil, "--voters", "1")
                try await cluster.add(trial, source: "s", sourceMore: "relay-replicas: 2")
                try await cluster.copied(trial)
                try second.start(join: first, "--voters", "1")
                try await cluster.eventually("two workers") {
                    try await cluster.cluster().sessions.count == 2
                }
                for _ in 0..<3 {
                    for worker in [second, first] {
                        try await cluster.skein(
                            "source", "transfer", "s", "--worker", worker.name, at: first)
                        try await cluster.applied(trial)
                    }
                }
                try await trial.expectEqual(verifying: false)
            }
        }

        @Test("a worker joins through any worker, also one without a member of the store")
        func joinsAnybody() async throws {
            let cluster = try ClusterTrial("w0", "w1", "w2")
            let workers = cluster.workers
            try await cluster.running {
                try workers[0].start(join: nil, "--voters", "1")
                try workers[1].start(join: workers[0], "--voters", "1")
                try await cluster.eventually("two workers") {
                    try await cluster.cluster().sessions.count == 2
                }
                #expect(workers[1].etcd == nil)
                try workers[2].start(join: workers[1], "--voters", "1")
                try await cluster.eventually("three workers") {
                    try await cluster.cluster().sessions.count == 3
                }
            }
        }

        @Test("a task is checked by a worker: what stands against it, and what to do")
        func checks() async throws {
            let trial = try await Trial(.mariadb, "check", Shop.schema(rows: 10))
            let cluster = try ClusterTrial("w0")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "s", stage: .stopped)
                let fine = try await cluster.skein("task", "check", trial.schema, at: worker)
                #expect(fine.contains("it can run"), "\(fine)")
                try trial.target.sql("CREATE DATABASE \(trial.schema)")
                try trial.onTarget(
                    "CREATE TABLE accounts (id INT PRIMARY KEY); INSERT INTO accounts VALUES (1)")
                let refused = try await SkeinProcess([
                    "task", "check", trial.schema, "--endpoint", worker.address,
                ]).end()
                #expect(refused.status == 5, "\(refused.text)")
                #expect(refused.text.contains("target-tables"), "\(refused.text)")
                #expect(trial.phase == nil)
            }
        }
    }
}

extension ClusterTrial {
    /// What the cluster knows of a trial's earlier runs.
    func history(_ trial: Trial, _ source: String) async throws -> SubtaskHistory? {
        try await cluster().histories[.init(task: trial.schema, source: source)]?.record
    }

    /// Runs a command that asks a worker; its output.
    @discardableResult
    func skein(_ arguments: String..., at worker: ServeProcess) async throws -> String {
        // A worker serves the API a moment after it has found the store.
        try await eventually("\(worker.name) serves") {
            try await SkeinProcess(["cluster", "status", "--endpoint", worker.address]).end().status
                == 0
        }
        let outcome = try await SkeinProcess(arguments + ["--endpoint", worker.address]).end()
        guard outcome.status == 0 else {
            throw Overdue("\(arguments.joined(separator: " ")): \(outcome.text)")
        }
        return outcome.text
    }

    /// Waits until the worker that runs a trial says that it is in a stage.
    func status(_ stage: String, of trial: Trial, at worker: ServeProcess) async throws {
        try await eventually("\(trial.schema) is \(stage)") {
            let answer = try? await SkeinProcess([
                "task", "status", trial.schema, "--output", "json", "--endpoint", worker.address,
            ]).end().text
            return answer?.contains("\"stage\":\"\(stage)\",\"task\"") == true
                || answer?.contains("\"stage\":\"\(stage)\"") == true
                    && answer?.contains("\"epoch\"") == true
        }
    }
}
