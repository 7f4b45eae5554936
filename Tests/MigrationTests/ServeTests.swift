import Cluster
import Glibc
import Metadata
import MySQLClient
import MySQLCore
import TestServers
import Testing

extension MigrationTests {
    /// Workers of a cluster as processes.
    @Suite("Workers", .serialized, .enabled(if: EtcdServer.isInstalled))
    struct ServeTests {
        @Test("one worker alone runs a migration, through kill -9 and a clean restart")
        func alone() async throws {
            let seed = Dice.seed("alone")
            let trial = try await Trial(.mariadb, "alone", Shop.schema())
            let cluster = try ClusterTrial("w1")
            let worker = cluster.workers[0]
            let load = Load(trial.source, schema: trial.schema, seed: seed, Shop.step)
            try await cluster.running {
                try worker.start()
                try await cluster.add(trial, source: "source")
                try await cluster.eventually("its first rows") {
                    (try? trial.onTarget("SELECT 1 FROM accounts LIMIT 1")) == "1\n"
                }
                worker.kill()
                try worker.start()
                try await cluster.copied(trial)
                try await load.more(100)
                worker.kill()
                try worker.start()
                try await cluster.applied(trial)

                worker.process?.signal(SIGTERM)
                let outcome = try await worker.process?.end(within: .seconds(60))
                #expect(outcome?.status == 0, "\(outcome?.text ?? "")")
                try await load.more(100)
                try worker.start()
                try await cluster.applied(trial)

                try await cluster.setStage(.paused, trial, source: "source")
                try await load.more(50)
                try await load.stop()
                try await cluster.setStage(.running, trial, source: "source")
                try await cluster.applied(trial)
                try await trial.expectEqual()
                let binding = try await cluster.cluster().bindings["source"]?.record
                #expect(binding?.worker == "w1")
            }
        }

        @Test(
            "three workers: every one of them may be killed or stopped, nothing is lost or doubled")
        func faults() async throws {
            let seed = Dice.seed("faults")
            var dice = Dice(seed: seed)
            var trials = [
                try await Trial(.mariadb, "trio", Shop.schema(rows: 1000)),
                try await Trial(.mariadb, "trio", Shop.schema(rows: 1000)),
                try await Trial(.mariadb, "trio", Shop.schema(rows: 1000)),
            ]
            let network = try FaultProxy(to: trials[1].target)
            defer { network.close() }
            trials[1].targetURL = network.url
            let all = trials
            let sources = ["s0", "s1", "s2"]
            let cluster = try ClusterTrial("w0", "w1", "w2")
            let loads = trials.enumerated().map { number, trial in
                Load(
                    trial.source, schema: trial.schema, threads: 1, seed: seed &+ UInt64(number),
                    pause: .milliseconds(15), Shop.step)
            }
            let faults = MigrationTests.isFull ? Fault.rounds(240, &dice) : Fault.allCases
            let rolls = dice
            try await cluster.running {
                var dice = rolls
                let trials = all
                try await cluster.startAll()
                for (trial, source) in zip(trials, sources) {
                    try await cluster.add(trial, source: source)
                }
                for trial in trials { try await cluster.copied(trial) }
                let audits = try trials.map { try CommitAudit($0) }
                for fault in faults {
                    let epochs = try await cluster.cluster().bindings.mapValues { $0.record.epoch }
                    try await fault.happen(
                        to: cluster, source: "s1", target: network, &dice)
                    for trial in trials { try await cluster.applied(trial) }
                    let state = try await cluster.cluster()
                    for source in sources {
                        let binding = try #require(state.bindings[source]?.record)
                        #expect(binding.epoch >= epochs[source] ?? 0, "after \(fault)")
                    }
                    try await cluster.eventually("all workers are back") {
                        try await cluster.cluster().sessions.count == 3
                    }
                }
                for load in loads { try await load.stop() }
                for audit in audits {
                    let (runs, commits) = try audit.check()
                    #expect(commits > 0)
                    print("commits of \(runs) runs: \(commits)")
                }
                for (trial, source) in zip(trials, sources) {
                    try await cluster.applied(trial)
                    try await trial.expectEqual(verifying: false)
                    // A source may be moved just now, to balance: its new worker takes over soon.
                    try await cluster.eventually("one writer, that of the binding") {
                        let epoch = try await cluster.cluster().bindings[source]?.record.epoch
                        let stored = try trial.target.connect().value(
                            "SELECT epoch FROM \(trial.meta).subtask")
                        return stored == epoch.map { "\($0)" }
                    }
                }
            }
        }

        @Test("a worker that is asked to end hands its sources over first")
        func leaves() async throws {
            let trial = try await Trial(.mariadb, "leaves", Shop.schema(rows: 500))
            let cluster = try ClusterTrial("w0", "w1", "w2")
            let load = Load(
                trial.source, schema: trial.schema, threads: 1, seed: Dice.seed("leaves"),
                pause: .milliseconds(5), Shop.step)
            try await cluster.running {
                try await cluster.startAll()
                try await cluster.add(trial, source: "s")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                let owner = try #require(try await cluster.owner("s"))
                let beats = Beats(trial)
                try await Task.sleep(for: .seconds(1))
                owner.process?.signal(SIGTERM)
                let outcome = try await owner.process?.end(within: .seconds(60))
                #expect(outcome?.status == 0, "\(outcome?.text ?? "")")
                // Another has it when the process ends; how long that takes is the benchmark's.
                let next = try #require(try await cluster.owner("s"))
                #expect(next.name != owner.name)
                try await cluster.applied(trial)
                try await load.stop()
                print("pause of a clean hand-over: \(try await beats.stop())")
                try await cluster.applied(trial)
                try await trial.expectEqual(verifying: false)
            }
        }

        @Test("a killed worker's sources run elsewhere long before its lease has ended")
        func quickFailover() async throws {
            let trial = try await Trial(.mariadb, "quick", Shop.schema(rows: 500))
            let cluster = try ClusterTrial("w0", "w1", "w2")
            let load = Load(
                trial.source, schema: trial.schema, threads: 1, seed: Dice.seed("quick"),
                pause: .milliseconds(5), Shop.step)
            try await cluster.running {
                try await cluster.startAll()
                try await cluster.add(trial, source: "s")
                try await cluster.copied(trial)
                for _ in 0..<3 {
                    try await cluster.applied(trial)
                    // Those that watch it have to have seen it.
                    try await Task.sleep(for: .seconds(2))
                    let owner = try #require(try await cluster.owner("s"))
                    let leads = try await cluster.leader()?.name == owner.name
                    let store = try? await cluster.client.status(of: owner.store)
                    let beats = Beats(trial)
                    try await Task.sleep(for: .seconds(1))
                    owner.kill()
                    try await cluster.applied(trial)
                    try await Task.sleep(for: .milliseconds(500))
                    let pause = try await beats.stop()
                    let leadsStore = store.map { $0.leader == $0.id } ?? false
                    print("pause after kill -9 (leads: \(leads), store: \(leadsStore)): \(pause)")
                    #expect(pause < .seconds(10))
                    try owner.start()
                    try await cluster.eventually("it is back") {
                        try await cluster.cluster().sessions.count == 3
                    }
                }
                try await load.stop()
                try await cluster.applied(trial)
                try await trial.expectEqual(verifying: false)
            }
        }

        @Test("tasks of one source share one binlog connection; an error stops one of them alone")
        func tasks() async throws {
            let first = try await Trial(.mariadb, "share", Shop.schema(rows: 300))
            let second = try await Trial(.mariadb, "share", Shop.schema(rows: 300))
            let cluster = try ClusterTrial("w0")
            let worker = cluster.workers[0]
            try await cluster.running {
                try worker.start()
                for trial in [first, second] { try await cluster.add(trial, source: "s") }
                for trial in [first, second] {
                    try await cluster.copied(trial)
                    try await cluster.applied(trial)
                }
                func dumps() throws -> Int {
                    try first.source.connect().rows(
                        "SELECT 1 FROM information_schema.PROCESSLIST WHERE COMMAND='Binlog Dump'"
                    ).count
                }
                try await cluster.eventually("one connection for both") { try dumps() == 1 }

                // What a person must resolve: the other task goes on.
                try first.onTarget("DELETE FROM accounts WHERE id=7")
                try first.onSource("UPDATE accounts SET balance=balance+1 WHERE id=7")
                try await cluster.eventually("the first task has stopped") {
                    worker.process?.text.contains("the subtask has ended") == true
                }
                try await cluster.applied(second)
                try first.onTarget(
                    "INSERT INTO accounts SELECT 7, balance, owner, changed, note FROM accounts "
                        + "WHERE id=8")
                let row = try #require(
                    try first.source.connect(first.schema).rows(
                        "SELECT balance-1, HEX(owner), note FROM accounts WHERE id=7"
                    ).first)
                try first.onTarget(
                    "UPDATE accounts SET balance=\(row[0] ?? ""), owner=UNHEX('\(row[1] ?? "")'), "
                        + "note='\(row[2] ?? "")' WHERE id=7")
                try await cluster.setStage(.running, first, source: "s")
                try await cluster.applied(first)

                // All of it once more from the checkpoints: the relay log reaches back to both.
                worker.kill()
                for trial in [first, second] {
                    try trial.onSource("UPDATE accounts SET balance=balance+1")
                }
                try worker.start()
                for trial in [first, second] {
                    try await cluster.applied(trial)
                    try await trial.expectEqual(verifying: false)
                }
                try await cluster.eventually("one connection for both") { try dumps() == 1 }
            }
        }

        @Test("with certificates, workers join each other, and nobody else gets into their store")
        func certificates() async throws {
            let cluster = try ClusterTrial("w0", "w1")
            let folder = cluster.state.path + "/certs"
            var made = try await SkeinProcess(["cert", "ca", "--folder", folder]).end()
            #expect(made.status == 0, "\(made.text)")
            for worker in cluster.workers {
                let arguments = ["cert", "node", worker.name, "--host", "127.0.0.1"]
                made = try await SkeinProcess(arguments + ["--folder", folder]).end()
                #expect(made.status == 0, "\(made.text)")
            }
            @Sendable func file(_ name: String) -> String { folder + "/" + name }
            try await cluster.running {
                let first = cluster.workers[0]
                for worker in cluster.workers {
                    try worker.start(
                        join: worker === first ? nil : first, "--tls-ca", file("ca.pem"),
                        "--tls-cert", file(worker.name + ".pem"),
                        "--tls-key", file(worker.name + ".key"))
                }
                let client = try EtcdClient(
                    endpoints: [first.store],
                    tls: EtcdTLS(
                        authorityFile: file("ca.pem"), certificateFile: file("w1.pem"),
                        keyFile: file("w1.key")))
                let running = Task { try await client.run() }
                defer { running.cancel() }
                try await cluster.eventually("both are members of the store") {
                    try await client.members().count { $0.hasStarted } == 2
                }
                // The trial's own client has no certificate.
                await #expect(throws: MetadataError.self) {
                    try await cluster.client.get(KeyLayout.cluster, within: .seconds(3))
                }
            }
        }

        @Test("all workers are restarted one after the other, and hardly anybody notices")
        func rolling() async throws {
            let trial = try await Trial(.mariadb, "rolling", Shop.schema(rows: 500))
            let cluster = try ClusterTrial("w0", "w1", "w2")
            let load = Load(
                trial.source, schema: trial.schema, threads: 1, seed: Dice.seed("rolling"),
                pause: .milliseconds(5), Shop.step)
            try await cluster.running {
                try await cluster.startAll()
                try await cluster.add(trial, source: "s")
                try await cluster.copied(trial)
                try await cluster.applied(trial)
                let beats = Beats(trial)
                for worker in cluster.workers {
                    worker.process?.signal(SIGTERM)
                    let outcome = try await worker.process?.end(within: .seconds(60))
                    #expect(outcome?.status == 0, "\(outcome?.text ?? "")")
                    #expect(outcome?.text.contains("error:") != true, "\(outcome?.text ?? "")")
                    try worker.start()
                    try await cluster.eventually("\(worker.name) is back, with its vote") {
                        let isMember = try await cluster.cluster().sessions.count == 3
                        return try await cluster.client.status(of: worker.store).leader != nil
                            && isMember
                    }
                }
                try await cluster.applied(trial)
                let pause = try await beats.stop()
                print("longest pause of a rolling restart: \(pause)")
                #expect(pause < .seconds(5))
                try await load.stop()
                try await cluster.applied(trial)
                try await trial.expectEqual(verifying: false)
            }
        }

        @Test(
            "a second process is refused: with the data folder, the name, or another cluster's folder"
        )
        func refusals() async throws {
            let cluster = try ClusterTrial("w0", "other")
            try await cluster.running {
                let (worker, other) = (cluster.workers[0], cluster.workers[1])
                try worker.start()
                try other.start()
                try await cluster.eventually("both are there") {
                    cluster.state.holds("w0/cluster") && cluster.state.holds("other/cluster")
                }
                func serve(_ name: String, _ folder: String, _ more: String...) async throws
                    -> SkeinProcess.Outcome
                {
                    let spare = ServeProcess(name, in: cluster.state)
                    let path = cluster.state.path + "/" + folder
                    return try await SkeinProcess(
                        ["serve", "--name", name, "--data-dir", path, "--listen", spare.address]
                            + more
                    ).end(within: .seconds(60))
                }
                let twice = try await serve("w0", "w0")
                #expect(twice.status == 1 && twice.text.contains("cluster.folder"), "\(twice.text)")
                let key = try await serve("w9", "keyless", "--join", worker.address)
                #expect(key.status == 1 && key.text.contains("cluster.key"), "\(key.text)")
                let name = try await serve(
                    "w0", "impostor", "--join", worker.address, "--key-file", worker.keyFile)
                #expect(name.status == 1 && name.text.contains("cluster.name"), "\(name.text)")
                let busy = try await SkeinProcess([
                    "serve", "--name", "w9", "--data-dir", cluster.state.path + "/busy",
                    "--listen", "127.0.0.1:\(worker.port - 1)",
                ]).end(within: .seconds(60))
                #expect(
                    busy.status == 1 && busy.text.contains("cluster.address")
                        && busy.text.contains("\(worker.port): Address already in use"),
                    "\(busy.text)")
                other.kill()
                let renamed = try await serve("x", "other")
                #expect(renamed.text.contains("belongs to the worker 'other'"), "\(renamed.text)")
                let foreign = try await serve("other", "other", "--join", worker.address)
                #expect(
                    foreign.status == 1 && foreign.text.contains("cluster.other"), "\(foreign.text)"
                )
                // Nobody to join: it waits, says so, and ends when it is asked to.
                let alone = try SkeinProcess([
                    "serve", "--name", "w8", "--data-dir", cluster.state.path + "/alone",
                    "--listen", ServeProcess("w8", in: cluster.state).address, "--join",
                    "127.0.0.1:1",
                ])
                try await alone.waiting(for: "its words") {
                    alone.text.contains("waiting for the cluster's store")
                }
                alone.signal(SIGTERM)
                #expect(try await alone.end(within: .seconds(30)).status == 0)
                // What was refused has left no trace.
                let first = try EtcdClient(endpoints: [worker.store])
                let running = Task { try await first.run() }
                defer { running.cancel() }
                let members = try await first.members()
                #expect(members.map(\.name) == ["w0"])
            }
        }
    }
}
