import API
import Cluster
import Foundation
import Logging
import Metadata
import MySQLClient
import Runtime
import Settings
import Synchronization
import TestServers
import Worker

/// A worker's engines, played.
final class FakeControl: WorkerControl {
    struct Refusal: Error, CustomStringConvertible {
        let description: String
    }
    let current: Mutex<WorkerStatus>
    let calls = Mutex<[String]>([])

    init(_ name: String) { current = Mutex(WorkerStatus(name: name)) }

    func status() -> WorkerStatus { current.withLock { $0 } }

    func measures() -> [SubtaskMeasures] {
        status().subtasks.map { it in
            let times = DurationHistogram()
            for seconds in [0.0004, 0.02, 0.02, 4000] { times.record(seconds: seconds) }
            var out = SubtaskMeasures(task: it.task, source: it.source)
            out.commit = times.reading
            out.queueBytes = 100
            out.queueLimitBytes = 1000
            return out
        }
    }

    func purgeRelay(of source: String, before file: String, inUse: Bool) async throws -> RelayPurge
    {
        if file == "binlog.000001" { throw Refusal(description: "\(file) is needed by task 't'") }
        calls.withLock { $0.append("purge \(source) \(file) \(inUse)") }
        // A reader is in the sixth.
        let isRead = file == "binlog.000009" && !inUse
        return RelayPurge(freedBytes: 4096, firstFile: isRead ? "binlog.000006" : file)
    }

    func check(_ settings: MigrationSettings, source: String) async -> SourceCheck {
        calls.withLock { $0.append("check \(source) \(settings.target.password.text)") }
        var result = CheckResult(
            name: "grants", verdict: source == "bad" ? .error : .warning, message: "m", remedy: "r")
        result.isIgnored = false
        return SourceCheck(sourceName: source, results: [result])
    }

    func verify(task: String, source: String) async throws {
        if source.hasPrefix("busy") {
            throw WorkerError.isVerifying(task: task, source: source)
        }
        if source.hasPrefix("behind") { throw WorkerError.isBehind(task: task, source: source) }
        calls.withLock { $0.append("verify \(task) \(source)") }
    }

    func statement(
        _ request: StatementRequest, at position: String?, _ settings: MigrationSettings
    ) async throws -> SubtaskStatement {
        let source = settings.sourceID ?? ""
        calls.withLock { $0.append("\(request) \(settings.name) \(source)") }
        var it = SubtaskStatement(name: settings.name, sourceName: source)
        if source == "away" { throw CheckpointRefusal(.server, "the server is away", remedy: "r") }
        if source == "new" { throw CheckpointRefusal(.missing, "there is no checkpoint") }
        guard source.hasPrefix("stopped") else {
            if request != .show { throw CheckpointRefusal(.statement, "no statement has stopped") }
            return it
        }
        it.position = "binlog.000007:4711"
        guard position ?? it.position == it.position else {
            throw CheckpointRefusal(.moved, "it has stopped elsewhere", remedy: "r")
        }
        it.statement = "ALTER TABLE t ADD x INT"
        it.reason = "refused"
        switch request {
        case .show, .revert: break
        case .skip: it.decision = "skip"
        case .replace(let texts), .inject(let texts):
            it.decision = "replace"
            it.statements = texts
        }
        return it
    }

    func shapes(
        _ request: ShapeRequest, at position: String?, _ settings: MigrationSettings
    ) async throws -> SubtaskShapes {
        let source = settings.sourceID ?? ""
        calls.withLock { $0.append("\(request) \(settings.name) \(source)") }
        if case .set(let table, _, _) = request, "\(table)".hasSuffix(".wrong") {
            throw CheckpointRefusal(.shape, "the shape can't be set", remedy: "r")
        }
        if source == "many" { throw CheckpointRefusal(.busy, "too many ask", remedy: "r") }
        guard position ?? "binlog.000007:4711" == "binlog.000007:4711" else {
            throw CheckpointRefusal(.moved, "it is elsewhere", remedy: "r")
        }
        return SubtaskShapes(
            name: settings.name, sourceName: source, position: "binlog.000007:4711",
            tables: [
                .init(
                    schemaName: "shop", tableName: "t", schemaCreateSql: "CREATE TABLE t (a INT)",
                    columnCount: 1)
            ])
    }

    /// A subtask that has come far.
    static func subtask(_ task: String, _ source: String) -> SubtaskStatus {
        var it = SubtaskStatus(task: task, source: source, stage: .running, unit: .follow, epoch: 1)
        var progress = MigrationStatus()
        progress.phase = .following
        progress.transactions = 1234
        progress.lagMilliseconds = 1500
        progress.position = "binlog.000007:4711 (3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5)"
        it.progress = progress
        it.error = SubtaskError(
            code: "server.lost", message: "a \"quoted\"\nline", remedy: nil, isRetryable: true,
            time: 1_700_000_000)
        return it
    }
}

/// Log lines that tests look into.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    var logger: Logger {
        Logger(label: "api") { _ in Handler(lines: self) }
    }

    private struct Handler: LogHandler {
        let lines: LogLines
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.level) \(event.message) \(event.metadata ?? [:])"
            lines.lines.withLock { $0.append(line) }
        }
    }
}

/// A store, and workers that serve the API of it.
final class TestAPI: Sendable {
    static let isAvailable = EtcdServer.isInstalled

    let store: EtcdServer
    let client: EtcdClient
    let secrets = SecretCipher()
    let log = LogLines()

    private init() throws {
        let folder = try TestPlaces.newFolder("api")
        var settings = EtcdServerSettings(
            name: "store", folder: folder,
            clientEndpoint: EtcdEndpoint(host: "127.0.0.1", port: TestPlaces.freePort()),
            peerEndpoint: EtcdEndpoint(host: "127.0.0.1", port: TestPlaces.freePort()))
        settings.program = try TestPlaces.unprivileged(settings.program)
        settings.options = ["--unsafe-no-fsync"]
        try TestPlaces.makePrivateFolder(folder + "/data")
        store = EtcdServer(settings, log: Logger(label: "etcd") { _ in SwiftLogNoOpLogHandler() })
        client = try EtcdClient(endpoints: [settings.clientEndpoint])
    }

    /// One worker that serves.
    struct Worker: Sendable {
        let name: String
        let server: APIServer
        let control: FakeControl
        let http: RawHTTP
    }

    /// Runs `body` with workers of these names, which all are members.
    static func with(
        _ names: [String] = ["w1"],
        configure: @Sendable @escaping (inout APIConfiguration) -> Void = { _ in },
        isTLS: Bool = false, _ body: @Sendable @escaping (TestAPI, [Worker]) async throws -> Void
    ) async throws {
        let api = try TestAPI()
        let workers = try names.map { name in
            var configuration = APIConfiguration(
                worker: name, version: "test", port: 0, secrets: api.secrets)
            configure(&configuration)
            let control = FakeControl(name)
            let server = try APIServer(
                configuration: configuration, client: api.client, control: control,
                log: api.log.logger)
            return (name, server, control)
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await api.store.run(.alone); return false
            }
            group.addTask {
                try await api.client.run(); return false
            }
            for (_, server, _) in workers {
                group.addTask {
                    try await server.run(); return false
                }
            }
            group.addTask {
                var serving: [Worker] = []
                for (name, server, control) in workers {
                    try await eventually { server.port != nil }
                    let http = RawHTTP(port: server.port ?? 0)
                    if !isTLS {
                        try await eventually {
                            try await http.send("GET", "/readyz").status == 200
                        }
                    }
                    try await api.join(name, "127.0.0.1:\(http.port)")
                    serving.append(
                        Worker(name: name, server: server, control: control, http: http))
                }
                try await body(api, serving)
                return true
            }
            defer { group.cancelAll() }
            while let done = try await group.next() { if done { break } }
        }
    }

    /// Makes a worker a member, as its membership does.
    func join(_ name: String, _ address: String) async throws {
        let session = WorkerSession(name: name, identity: name, address: address)
        try await client.put(KeyLayout.session(name), session.bytes())
    }

    /// Binds a source, as the leader does.
    func bind(_ source: String, _ worker: String?, epoch: Int64 = 1) async throws {
        let binding = Binding(worker: worker, epoch: epoch)
        try await client.put(KeyLayout.binding(source), binding.bytes())
    }

    static func source(_ name: String, password: String = "pw") -> String {
        """
        {"source-id":"\(name)","source":{"host":"db1","user":"reader","password":"\(password)"}}
        """
    }

    static func task(_ name: String, _ sources: [String], password: String = "pw") -> String {
        let list = sources.map { "\"\($0)\"" }.joined(separator: ",")
        return """
            {"name":"\(name)","target":{"host":"db2","user":"writer","password":"\(password)"},\
            "sources":[\(list)],"tables":["shop.*"]}
            """
    }
}

/// Waits for something that comes to be; the limit only ends a test that would never end.
func eventually(
    within limit: Duration = .seconds(180), _ condition: () async throws -> Bool,
    at place: String = "\(#fileID):\(#line)"
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            throw FakeControl.Refusal(description: "\(place): not within \(limit)")
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}
