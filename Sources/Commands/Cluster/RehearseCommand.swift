internal import API
internal import ArgumentParser
internal import Cluster
internal import Foundation
internal import Logging
internal import Metadata
internal import Settings
internal import Synchronization
internal import Worker

/// `skein cluster rehearse`: three workers with played engines in this process, and as many sources as
/// one likes, for `make bench`. Everything else is as in `skein serve`: each worker has its own member
/// of the store and serves the API.
struct ClusterRehearseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rehearse", abstract: "Measure a cluster with played engines.",
        shouldDisplay: false)

    @Option(help: "An empty folder.")
    var folder: String

    @Option(help: "The first of three ports in a row, for each of three workers.")
    var port: [Int]

    @Option(help: "How many sources there are.")
    var sources = 1000

    @Option(help: "How many requests are measured.")
    var changes = 300

    /// Prints lines of a word and milliseconds: `status`, of all subtasks, asked for at one worker;
    /// `change`, from the request that pauses a subtask to its arrival at its worker's engines.
    func run() async throws {
        let secrets = SecretCipher()
        let workers = try port.enumerated().map { number, port in
            try PlayedWorker(
                "w\(number)", folder: "\(folder)/w\(number)", port: port,
                join: number == 0 ? nil : self.port[0], secrets)
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for worker in workers {
                group.addTask {
                    try await worker.run()
                    return false
                }
            }
            group.addTask {
                let client = try APIClient(
                    endpoints: workers.map { "127.0.0.1:\($0.port)" }, token: nil,
                    authorityFile: nil, limit: .seconds(30))
                do {
                    try await self.measure(client, workers)
                } catch {
                    await client.shutdown()
                    throw error
                }
                await client.shutdown()
                return true
            }
            defer { group.cancelAll() }
            while let isOver = try await group.next() { if isOver { return } }
        }
    }

    private func measure(_ client: APIClient, _ workers: [PlayedWorker]) async throws {
        try await until {
            let list = try await client.send("GET", "/api/v1/cluster/workers")
                .value(ListAnswer<WorkerAnswer>.self)
            return list.data.count { $0.state == "alive" } == workers.count
        }
        let names = (0..<sources).map { "s\($0)" }
        for name in names { try await add(name, client) }
        let tasks = stride(from: 0, to: sources, by: Self.sourcesOfTask).map {
            ("t\($0)", Array(names[$0..<min($0 + Self.sourcesOfTask, sources)]))
        }
        for (name, sources) in tasks { try await start(name, on: sources, client) }
        try await until {
            let counts = workers.map { $0.engines.count }
            return counts.reduce(0, +) == sources
                && counts.allSatisfy { $0 >= sources / (workers.count + 1) }
        }
        for _ in 0..<10 {
            let begun = ContinuousClock.now
            let answer = try await client.send("GET", "/api/v1/tasks?with_status=true")
            let took = begun.duration(to: .now)
            let known = try answer.value(ListAnswer<TaskAnswer>.self).data
                .flatMap { $0.statusList ?? [] }
            guard known.count(where: { $0.status != nil }) == sources else {
                throw SettingsError("a worker did not tell of its subtasks")
            }
            report("status", took)
        }
        for number in 0..<changes {
            let source = names[number * sources / changes]
            guard let task = tasks.first(where: { $0.1.contains(source) })?.0 else { continue }
            let begun = ContinuousClock.now
            _ = try await client.send(
                "POST", "/api/v1/tasks/\(task)/pause",
                body: .json(SourceListRequest(sourceNameList: [source])))
            var arrival: ContinuousClock.Instant?
            try await until {
                arrival = workers.compactMap { $0.engines.paused(task, source) }.first
                return arrival != nil
            }
            if let arrival { report("change", begun.duration(to: arrival)) }
        }
    }

    private static let sourcesOfTask = 20

    private func report(_ what: String, _ time: Duration) {
        let parts = time.components
        printData("\(what) \(Double(parts.seconds) * 1e3 + Double(parts.attoseconds) / 1e15)")
    }

    private func add(_ source: String, _ client: APIClient) async throws {
        let text = "{\"source-id\":\"\(source)\",\"source\":{\"host\":\"db\",\"user\":\"u\"}}"
        let settings = try SourceSettings(Array(text.utf8), .json, file: "rehearsal")
        _ = try await client.send("POST", "/api/v1/sources", body: .settings(settings.sent()))
    }

    private func start(
        _ task: String, on sources: [String], _ client: APIClient
    ) async throws {
        let list = sources.map { "\"\($0)\"" }.joined(separator: ",")
        let text =
            "{\"name\":\"\(task)\",\"target\":{\"host\":\"db\",\"user\":\"u\"},"
            + "\"sources\":[\(list)],\"tables\":[\"shop.*\"]}"
        let settings = try TaskSettings(Array(text.utf8), .json, file: "rehearsal")
        _ = try await client.send(
            "POST", "/api/v1/tasks?start=true", body: .settings(settings.sent()))
    }

    private func until(_ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while true {
            do {
                if try await condition() { return }
            } catch is APIClientError where ContinuousClock.now < deadline {}
            guard ContinuousClock.now < deadline else { throw SettingsError("it did not come") }
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}

/// A worker of which only the engines are not real.
private struct PlayedWorker: Sendable {
    let port: Int
    let engines: PlayedEngines
    private let node: Node
    private let configuration: APIConfiguration
    private let log = Logger(label: "rehearsal") { _ in SwiftLogNoOpLogHandler() }

    init(
        _ name: String, folder: String, port: Int, join: Int?, _ secrets: SecretCipher
    ) throws {
        self.port = port
        engines = PlayedEngines(name)
        func endpoint(_ port: Int) -> EtcdEndpoint { EtcdEndpoint(host: "127.0.0.1", port: port) }
        var own = NodeSettings.OwnStore(
            clientEndpoint: endpoint(port + 1), peerEndpoint: endpoint(port + 2))
        own.join = join.map { [endpoint($0 + 1)] } ?? []
        let settings = NodeSettings(
            name: name, dataFolder: folder, address: "127.0.0.1:\(port)", store: .own(own),
            read: { try MigrationSettings($0, secrets) })
        node = try Node(settings, host: engines, log: log)
        configuration = APIConfiguration(
            worker: name, version: Version.text, port: port, secrets: secrets)
    }

    func run() async throws {
        try await node.run {
            try await APIServer(
                configuration: configuration, client: node.client, control: engines, log: log
            ).run()
        }
    }
}

/// Engines that do at once what they are told, and say that they run.
private final class PlayedEngines: SourceHost {
    private struct State {
        var orders: [String: SourceOrder] = [:]
        var paused: [String: ContinuousClock.Instant] = [:]
    }
    private let name: String
    private let state = Mutex(State())

    init(_ name: String) { self.name = name }

    var count: Int { state.withLock { $0.orders.count } }

    /// When it was first told to pause a subtask.
    func paused(_ task: String, _ source: String) -> ContinuousClock.Instant? {
        state.withLock { $0.paused["\(task)/\(source)"] }
    }

    func order(_ orders: [String: SourceOrder], copies: [String: RelayCopyOrder]) {
        let now = ContinuousClock.now
        state.withLock { state in
            state.orders = orders
            for (source, order) in orders {
                for (task, subtask) in order.subtasks where subtask.wanted == .paused {
                    state.paused["\(task)/\(source)"] = state.paused["\(task)/\(source)"] ?? now
                }
            }
        }
    }

    var activeSources: Set<String> { Set(state.withLock { $0.orders.keys }) }
    var keptRelays: Set<String> { [] }

    func run() async {
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }

    func status() -> WorkerStatus {
        var status = WorkerStatus(name: name)
        for (source, order) in state.withLock({ $0.orders }) {
            for (task, subtask) in order.subtasks {
                var it = SubtaskStatus(
                    task: task, source: source,
                    stage: subtask.wanted == .running ? .running : .paused, unit: .follow,
                    epoch: order.epoch)
                var progress = MigrationStatus()
                progress.phase = .following
                progress.transactions = 4711
                progress.lagMilliseconds = 12
                progress.position = "binlog.000007:4711 (0-1-123456)"
                it.progress = progress
                status.subtasks.append(it)
            }
        }
        status.subtasks.sort { ($0.task, $0.source) < ($1.task, $1.source) }
        return status
    }

    func measures() -> [SubtaskMeasures] { [] }

    func purgeRelay(of source: String, before file: String, inUse: Bool) async throws -> RelayPurge
    {
        RelayPurge(freedBytes: 0, firstFile: nil)
    }

    func check(_ settings: MigrationSettings, source: String) async -> SourceCheck {
        SourceCheck(sourceName: source, results: [])
    }

    func verify(task: String, source: String) async throws {}
}
