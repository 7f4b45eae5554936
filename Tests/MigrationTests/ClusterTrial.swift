import Cluster
import Foundation
import Glibc
import Metadata
import MySQLClient
import MySQLCore
import Settings
import Synchronization

@testable import TestServers

/// One `skein serve`, started and killed as often as a test likes.
final class ServeProcess: Sendable {
    let name: String
    let port: Int
    let folder: String
    let keyFile: String
    private let running = Mutex<SkeinProcess?>(nil)

    init(_ name: String, in state: LocalState) {
        self.name = name
        port = Int(FreePort.next(4))
        folder = state.path + "/" + name
        keyFile = state.path + "/key"
    }

    var address: String { "127.0.0.1:\(port)" }
    var store: EtcdEndpoint { EtcdEndpoint(host: "127.0.0.1", port: port + 1) }
    var process: SkeinProcess? { running.withLock { $0 } }
    var pid: pid_t { process?.pid ?? -1 }

    func start(join: ServeProcess? = nil, _ more: String...) throws {
        let arguments =
            [
                "serve", "--name", name, "--data-dir", folder, "--listen", address,
                "--etcd-option=--unsafe-no-fsync", "--log-level", "info", "--key-file", keyFile,
            ] + (join.map { ["--join", $0.address] } ?? []) + more
        let process = try SkeinProcess(arguments)
        running.withLock { $0 = process }
    }

    /// Ends it at once, with its member of the store.
    func kill() {
        process?.kill()
        running.withLock { $0 = nil }
    }

    /// Its member of the store's process id.
    var etcd: pid_t? {
        let parent = pid
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { pid_t($0) }.first { child in
            guard
                let text = try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8),
                let end = text.lastIndex(of: ")")
            else { return false }
            let fields = text[end...].split(separator: " ")
            return text.contains("(etcd)") && fields.count > 2 && pid_t(fields[2]) == parent
        }
    }
}

/// Workers, and a client of their store.
final class ClusterTrial: Sendable {
    let state = LocalState()
    let workers: [ServeProcess]
    let client: EtcdClient

    init(_ names: String...) throws {
        let state = state
        try FileManager.default.createDirectory(
            atPath: state.path, withIntermediateDirectories: true)
        workers = names.map { ServeProcess($0, in: state) }
        var patience = EtcdClient.Patience()
        patience.call = .seconds(30)
        client = try EtcdClient(endpoints: workers.map(\.store), patience: patience)
    }

    /// Runs a test; all processes are gone when this returns.
    func running(_ body: @Sendable @escaping () async throws -> Void) async throws {
        defer { for worker in workers { worker.kill() } }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await self.client.run()
                return false
            }
            group.addTask {
                do {
                    try await body()
                } catch {
                    // What they printed tells why.
                    for worker in self.workers {
                        let text = worker.process?.text.suffix(3000) ?? ""
                        FileHandle.standardError.write(Data("--- \(worker.name)\n\(text)\n".utf8))
                    }
                    throw error
                }
                return true
            }
            defer { group.cancelAll() }
            while let done = try await group.next() { if done { return } }
        }
    }

    /// Starts all workers, the others joining the first, and waits until all are members.
    func startAll() async throws {
        try workers[0].start()
        for worker in workers.dropFirst() { try worker.start(join: workers[0]) }
        try await eventually("all workers are there") {
            try await self.cluster().sessions.count == self.workers.count
        }
        guard workers.count >= 3 else { return }
        try await eventually("three workers vote") {
            let members = try await self.client.members()
            return members.count { !$0.isLearner && $0.hasStarted } == 3
        }
    }

    func cluster() async throws -> ClusterState {
        let (values, revision) = try await client.list(.prefix(KeyLayout.root))
        var state = ClusterState()
        state.apply(.all(values, at: revision))
        return state
    }

    /// The worker that a source is bound to.
    func owner(_ source: String) async throws -> ServeProcess? {
        let name = try await cluster().bindings[source]?.record.worker
        return workers.first { $0.name == name }
    }

    func leader() async throws -> ServeProcess? {
        let key = try await client.leader(of: KeyLayout.leader)
        let name = key.map { String(decoding: $0.value, as: UTF8.self) }
        return workers.first { $0.name == name }
    }

    /// Writes sources that are all a trial's own, and a task on them.
    ///
    /// - Parameter text: the task's file, in which `TARGET` stands for where it writes to.
    func add(_ trial: Trial, sources: [String], task name: String, _ text: String) async throws {
        try await eventually("the key") { access(self.workers[0].keyFile, F_OK) == 0 }
        let secrets = try SecretCipher(file: workers[0].keyFile)
        let target =
            "{host: 127.0.0.1, port: \(trial.target.port), user: \(TestServer.user), "
            + "password: \(TestServer.password), tls: disabled}"
        let task = try TaskSettings(
            Array(text.replacing("TARGET", with: target).utf8), .yaml, file: "task", name: name)
        let taskKey = KeyLayout.task(name)
        var writes: [Metadata.Operation] = [
            .put(taskKey, try TaskRecord(settings: task.stored(secrets, key: taskKey)).bytes())
        ]
        for source in sources {
            let from = try SourceSettings(
                Array(
                    ("source: {url: '\(trial.sourceURL)', tls: disabled, "
                        + "password: \(TestServer.password)}").utf8),
                .yaml, file: "source", name: source)
            let key = KeyLayout.source(source)
            writes.append(
                .put(key, try SourceRecord(settings: from.stored(secrets, key: key)).bytes()))
            writes.append(
                .put(KeyLayout.stage(task: name, source: source), Cluster.Stage.running.bytes))
        }
        try await client.transaction(then: writes)
    }

    /// Writes a source and a task that migrates a trial's schema from it.
    func add(
        _ trial: Trial, source: String, _ more: String = "", sourceMore: String = "",
        stage: Cluster.Stage = .running
    ) async throws {
        // The first worker makes the key.
        try await eventually("the key") { access(self.workers[0].keyFile, F_OK) == 0 }
        let secrets = try SecretCipher(file: workers[0].keyFile)
        let from = try SourceSettings(
            Array(
                """
                source: {url: '\(trial.sourceURL)', tls: disabled, password: \(TestServer.password)}
                \(sourceMore)
                """.utf8), .yaml, file: "source", name: source)
        let task = try TaskSettings(
            Array(
                """
                target: {url: '\(trial.targetURL)', tls: disabled, password: \(TestServer.password)}
                sources: [\(source)]
                tables: ['\(trial.schema).*']
                meta-schema: \(trial.meta)
                chunk-rows: 500
                \(more)
                """.utf8), .yaml, file: "task", name: trial.schema)
        let (sourceKey, taskKey) = (KeyLayout.source(source), KeyLayout.task(trial.schema))
        var record = SourceRecord(settings: try from.stored(secrets, key: sourceKey))
        record.relayReplicas = from.relayReplicas
        try await client.transaction(then: [
            .put(sourceKey, try record.bytes()),
            .put(taskKey, try TaskRecord(settings: task.stored(secrets, key: taskKey)).bytes()),
            .put(KeyLayout.stage(task: trial.schema, source: source), stage.bytes),
        ])
    }

    func setStage(_ stage: Cluster.Stage, _ trial: Trial, source: String) async throws {
        try await client.put(KeyLayout.stage(task: trial.schema, source: source), stage.bytes)
    }

    func eventually(
        _ what: String, within limit: Duration = .seconds(120),
        _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while true {
            do {
                if try await condition() { return }
            } catch let error as MetadataError {
                guard error.isTransient else { throw error }
            }
            guard ContinuousClock.now < deadline else { throw Overdue("it did not come: \(what)") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Waits until everything that a trial's source has committed by now is on the target.
    func applied(_ trial: Trial) async throws {
        let value = UInt64.random(in: 1...(1 << 62))
        try trial.onSource("INSERT INTO marker VALUES (\(value))")
        try await eventually("the marker of \(trial.schema)", within: .seconds(240)) {
            (try? trial.target.connect(trial.schema).value(
                "SELECT 1 FROM marker WHERE id=\(value)")) == "1"
        }
    }

    func copied(_ trial: Trial) async throws {
        try await eventually("the copy of \(trial.schema)") { trial.phase == "follow" }
    }
}
