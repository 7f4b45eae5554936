import Cluster
import Foundation
import Glibc
import Metadata
import MySQLClient
import Synchronization
import TestServers
import Testing

/// Workers on machines of their own, looked at and told what to do by the command line alone.
///
/// Servers are reached by their Unix sockets: what is cut is the way between workers, and so to their
/// store.
private final class NetworkTrial: Sendable {
    let state = LocalState()
    let network: Network
    private let workers: Mutex<[SkeinProcess?]>

    init(_ count: Int) throws {
        network = try Network(count)
        workers = Mutex([SkeinProcess?](repeating: nil, count: count))
        try FileManager.default.createDirectory(
            atPath: state.path, withIntermediateDirectories: true)
    }

    deinit { for worker in workers.withLock({ $0 }) { worker?.kill() } }

    static func address(_ machine: Int) -> String { Network.address(machine) + ":8261" }
    /// Beyond loopback it would be HTTPS.
    static func endpoint(_ machine: Int) -> String { "http://" + address(machine) }

    func start(_ machine: Int) throws {
        var arguments = [
            "serve", "--name", "w\(machine)", "--data-dir", state.path + "/w\(machine)",
            "--listen", Self.address(machine), "--insecure", "--key-file", state.path + "/key",
            "--etcd-option=--unsafe-no-fsync", "--log-level", "info",
        ]
        if machine > 0 { arguments += ["--join", Self.address(0)] }
        let process = try SkeinProcess(arguments, prefix: network.prefix(machine))
        workers.withLock { $0[machine] = process }
    }

    func kill(_ machine: Int) {
        workers.withLock { $0[machine] }?.kill()
    }

    /// What all workers have printed, for when a test fails.
    var words: String {
        workers.withLock { $0 }.enumerated()
            .map { "--- w\($0.offset)\n\($0.element?.text.suffix(4000) ?? "")" }
            .joined(separator: "\n")
    }

    /// Runs a command that asks a worker; `nil`: any.
    func ask(_ machine: Int?, _ arguments: String...) async throws -> SkeinProcess.Outcome {
        let all = workers.withLock { $0.indices.map { $0 } }
        let endpoints = (machine.map { [$0] } ?? all).flatMap { ["--endpoint", Self.endpoint($0)] }
        return try await SkeinProcess(arguments + endpoints, prefix: network.prefix(nil))
            .end(within: .seconds(90))
    }

    func json(_ machine: Int?, _ arguments: String...) async throws -> [String: Any]? {
        let all = workers.withLock { $0.indices.map { $0 } }
        let endpoints = (machine.map { [$0] } ?? all).flatMap { ["--endpoint", Self.endpoint($0)] }
        let outcome = try await SkeinProcess(
            arguments + ["--output", "json"] + endpoints, prefix: network.prefix(nil)
        ).end(within: .seconds(90))
        guard outcome.status == 0, let line = outcome.text.split(separator: "\n").first else {
            return nil
        }
        return try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    }

    func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while try await !condition() {
            guard ContinuousClock.now < deadline else {
                throw Overdue("it did not come: \(what)\n\(words)")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// The workers that one of them takes for alive.
    func alive(_ machine: Int?) async throws -> Int {
        let list = try await json(machine, "worker", "list")?["data"] as? [[String: Any]] ?? []
        return list.count { $0["state"] as? String == "alive" }
    }

    func leader() async throws -> Int? {
        let info = try await json(nil, "cluster", "status")
        return (info?["leader"] as? String).flatMap { Int($0.dropFirst()) }
    }

    func binding(_ source: String, at machine: Int? = nil) async throws -> (
        worker: Int?, epoch: Int
    )? {
        guard let it = try await json(machine, "source", "show", source) else { return nil }
        return ((it["worker"] as? String).flatMap { Int($0.dropFirst()) }, it["epoch"] as? Int ?? 0)
    }

    func startAll() async throws {
        let count = workers.withLock { $0.count }
        for machine in 0..<count { try start(machine) }
        try await eventually("all workers are there, and vote") {
            let info = try await json(0, "cluster", "status")
            let voters = info?["voters"] as? [[String: Any]] ?? []
            return try await alive(0) == count
                && voters.count { $0["is_learner"] as? Bool == false } == count
        }
    }

    /// Adds a source, and a task that migrates a trial's schema from it, as a user does.
    func add(_ trial: Trial, source: String) async throws {
        func server(_ it: TestServer) -> String {
            "{socket: '\(it.socket)', user: \(TestServer.user), password: \(TestServer.password), "
                + "tls: disabled}"
        }
        let (sourceFile, taskFile) = (state.path + "/source.yaml", state.path + "/task.yaml")
        try "source-id: \(source)\nsource: \(server(trial.source))\n"
            .write(toFile: sourceFile, atomically: true, encoding: .utf8)
        try """
        name: \(trial.schema)
        target: \(server(trial.target))
        sources: [\(source)]
        tables: ['\(trial.schema).*']
        meta-schema: \(trial.meta)

        """.write(toFile: taskFile, atomically: true, encoding: .utf8)
        var outcome = try await ask(nil, "source", "add", sourceFile)
        #expect(outcome.status == 0, "\(outcome.text)")
        outcome = try await ask(nil, "task", "start", taskFile)
        #expect(outcome.status == 0, "\(outcome.text)")
        try await eventually("the copy of \(trial.schema)") { trial.phase == "follow" }
    }

    func applied(_ trial: Trial) async throws {
        let value = UInt64.random(in: 1...(1 << 62))
        try trial.onSource("INSERT INTO marker VALUES (\(value))")
        try await eventually("the marker of \(trial.schema)") {
            (try? trial.target.connect(trial.schema).value(
                "SELECT 1 FROM marker WHERE id=\(value)")) == "1"
        }
    }
}

extension MigrationTests {
    /// Workers whose networks are cut.
    @Suite(
        "Cut networks", .serialized,
        .enabled(if: EtcdServer.isInstalled && Network.isPermitted, "network namespaces"))
    struct NetworkTests {
        @Test("workers are cut off from each other and from the store, one way and both ways")
        func cuts() async throws {
            let seed = Dice.seed("cuts")
            var dice = Dice(seed: seed)
            let trials = [
                try await Trial(.mariadb, "cut", Shop.schema(rows: 300)),
                try await Trial(.mariadb, "cut", Shop.schema(rows: 300)),
                try await Trial(.mariadb, "cut", Shop.schema(rows: 300)),
            ]
            let sources = ["s0", "s1", "s2"]
            let cluster = try NetworkTrial(3)
            try await cluster.startAll()
            for (trial, source) in zip(trials, sources) {
                try await cluster.add(trial, source: source)
            }
            let audits = try trials.map { try CommitAudit($0) }
            let loads = trials.enumerated().map { number, trial in
                Load(
                    trial.source, schema: trial.schema, threads: 1, seed: seed &+ UInt64(number),
                    pause: .milliseconds(20), Shop.step)
            }
            var rounds = Network.Direction.allCases.shuffled(using: &dice)
            if MigrationTests.isFull {
                rounds += (0..<27).map { _ in Network.Direction.allCases[Int(dice.roll(3))] }
            }
            for direction in rounds {
                let before = try #require(try await cluster.binding("s1"))
                // The leader or the worker that runs the source; they may be the same.
                let isLeader = dice.roll(2) == 0
                let victim = try #require(isLeader ? try await cluster.leader() : before.worker)
                print("w\(victim) is cut: \(direction), \(isLeader ? "the leader" : "the owner")")
                var bound: Set<String> = []
                for source in sources where try await cluster.binding(source)?.worker == victim {
                    bound.insert(source)
                }
                try cluster.network.cut(victim, direction)
                let others = (0..<3).filter { $0 != victim }
                try await cluster.eventually("the others go on without w\(victim)") {
                    for source in bound {
                        let now = try await cluster.binding(source, at: others[0])?.worker
                        if now == nil || now == victim { return false }
                    }
                    return try await cluster.alive(others[0]) == 2
                }
                // Whoever runs a source, the one that was cut off or its successor: all goes on.
                for trial in trials { try await cluster.applied(trial) }
                let answer = try await cluster.ask(others[1], "cluster", "status")
                #expect(answer.text.contains("accepts changes"), "\(answer.text)")
                let refused = try await cluster.ask(victim, "source", "disable", "s0")
                #expect(refused.status != 0 && refused.text.contains("majority"), "\(refused.text)")

                try cluster.network.heal()
                try await cluster.eventually("w\(victim) is back") {
                    for machine in 0..<3 where try await cluster.alive(machine) != 3 {
                        return false
                    }
                    return true
                }
                for trial in trials { try await cluster.applied(trial) }
                let after = try #require(try await cluster.binding("s1"))
                #expect(after.epoch >= before.epoch)
            }
            for load in loads { try await load.stop() }
            for audit in audits { #expect(try audit.check().commits > 0) }
            for (trial, source) in zip(trials, sources) {
                try await cluster.applied(trial)
                try await trial.expectEqual(verifying: false)
                try await cluster.eventually("one writer, that of the binding of \(source)") {
                    let epoch = try await cluster.binding(source)?.epoch
                    let stored = try trial.target.connect().value(
                        "SELECT epoch FROM \(trial.meta).subtask")
                    return epoch != nil && stored == epoch.map { "\($0)" }
                }
            }
        }

        @Test("without a majority requests are refused in words, and replication goes on")
        func minority() async throws {
            let trial = try await Trial(.mariadb, "minority", Shop.schema(rows: 300))
            let cluster = try NetworkTrial(3)
            try await cluster.startAll()
            try await cluster.add(trial, source: "s")
            try await cluster.applied(trial)
            let before = try #require(try await cluster.binding("s"))

            // A voter is gone: nobody notices.
            let owner = try #require(before.worker)
            let spare = (0..<3).first { $0 != owner }!
            cluster.kill(spare)
            try await cluster.eventually("changes are accepted") {
                let outcome = try await cluster.ask(owner, "task", "pause", trial.schema)
                return outcome.status == 0
            }
            #expect(try await cluster.ask(owner, "task", "resume", trial.schema).status == 0)
            try await cluster.applied(trial)

            // The majority is gone: everybody is alone.
            try cluster.network.cut(owner, .both)
            try await cluster.eventually("the store is known to be away") {
                let outcome = try await cluster.ask(owner, "cluster", "status")
                return outcome.text.contains("no majority")
            }
            let refused = try await cluster.ask(owner, "task", "pause", trial.schema)
            #expect(refused.status != 0 && refused.text.contains("majority"), "\(refused.text)")
            for _ in 0..<3 {
                try await cluster.applied(trial)
                try await Task.sleep(for: .seconds(2))
            }
            let status = try await cluster.ask(owner, "task", "status", trial.schema)
            #expect(status.text.contains("Running"), "\(status.text)")

            try cluster.network.heal()
            try cluster.start(spare)
            try await cluster.eventually("all are back") { try await cluster.alive(owner) == 3 }
            try await cluster.applied(trial)
            try await trial.expectEqual(verifying: false)
        }
    }
}
