public import Logging
internal import MySQLClient
internal import Relay
internal import Runtime
public import Settings
internal import Synchronization

/// What a worker runs: any number of sources, each with its relay log and its subtasks.
public final class WorkerRuntime: SourceHost {
    private struct State {
        var orders: [String: SourceOrder] = [:]
        var runners: [String: SourceRunner] = [:]
        var copies: [String: RelayCopyOrder] = [:]
        var copiers: [String: RelayCopyRunner] = [:]
    }
    private let name: String
    private let dataFolder: String
    private let exchange: (any RelayExchange)?
    private let describe: @Sendable (any Error) -> SubtaskError
    private let logger: Logger
    private let changes = Watched(0)
    private let state = Mutex(State())

    /// Makes a worker that runs nothing.
    ///
    /// - Parameters:
    ///   - dataFolder: where relay logs are kept.
    ///   - exchange: gives and gets relay logs; `nil`: none are given and got.
    ///   - describe: says what operators are told about an error.
    public init(
        name: String, dataFolder: String, exchange: (any RelayExchange)? = nil,
        describe: @Sendable @escaping (any Error) -> SubtaskError, logger: Logger
    ) {
        self.name = name
        self.dataFolder = dataFolder
        self.exchange = exchange
        self.describe = describe
        self.logger = logger
    }

    /// Says what is to run, and of which sources copies of the relay log are to be kept, by the
    /// source's name; what is not named is drained, and ends.
    public func order(_ orders: [String: SourceOrder], copies: [String: RelayCopyOrder]) {
        state.withLock { state in
            state.orders = orders
            // One process writes to a relay log's folder, and once.
            state.copies = copies.filter { orders[$0.key] == nil }
        }
        changes.set(0)
    }

    /// The sources of which something still runs.
    public var activeSources: Set<String> { Set(state.withLock { $0.runners.keys }) }

    private enum Event { case ended(String), copied(String), ordered }

    /// Runs what was ordered last until the task is cancelled.
    public func run() async {
        await withTaskGroup(of: Event.self) { group in
            var version = -1
            while !Task.isCancelled {
                let newest = changes.versioned.version
                if newest > version {
                    version = newest
                    group.addTask {
                        await self.changes.change(after: newest)
                        return .ordered
                    }
                }
                for runner in prepare() {
                    group.addTask {
                        await runner.run()
                        return .ended(runner.source)
                    }
                }
                for copier in prepareCopies() {
                    group.addTask {
                        await copier.run()
                        return .copied(copier.source)
                    }
                }
                switch await group.next() {
                case .ended(let source): state.withLock { $0.runners[source] = nil }
                case .copied(let source): state.withLock { $0.copiers[source] = nil }
                case .ordered, nil: break
                }
            }
            group.cancelAll()
        }
        state.withLock { state in
            state.runners = [:]
            state.copiers = [:]
        }
    }

    private func prepareCopies() -> [RelayCopyRunner] {
        guard let exchange else { return [] }
        return state.withLock { state in
            for (source, copier) in state.copiers { copier.order(state.copies[source]) }
            // A source that still drains here has its relay log open.
            return state.copies.filter {
                state.copiers[$0.key] == nil && state.runners[$0.key] == nil
            }.map { source, order in
                let copier = RelayCopyRunner(
                    source: source, order: order, folder: "\(dataFolder)/relay/\(source)",
                    exchange: exchange, logger: logger)
                state.copiers[source] = copier
                return copier
            }
        }
    }

    private func prepare() -> [SourceRunner] {
        state.withLock { state in
            for (source, runner) in state.runners { runner.order(state.orders[source]) }
            // A copy has the relay log open until it has ended.
            return state.orders.filter {
                state.runners[$0.key] == nil && state.copiers[$0.key] == nil
            }.map { source, order in
                let runner = SourceRunner(
                    source: source, order: order, folder: "\(dataFolder)/relay/\(source)",
                    exchange: exchange, describe: describe, logger: logger)
                state.runners[source] = runner
                return runner
            }
        }
    }

    // MARK: what it does

    /// What the worker does now; answers at once.
    public func status() -> WorkerStatus {
        var status = WorkerStatus(name: name)
        for runner in state.withLock({ Array($0.runners.values) }) {
            let (subtasks, relay) = runner.status
            status.subtasks += subtasks
            if let relay { status.relays.append(relay) }
        }
        for copier in state.withLock({ Array($0.copiers.values) }) {
            status.relays.append(copier.status)
        }
        status.subtasks.sort { ($0.task, $0.source) < ($1.task, $1.source) }
        status.relays.sort { $0.source < $1.source }
        return status
    }

    /// Removes files of a source's relay log.
    public func purgeRelay(
        of source: String, before file: String, inUse: Bool
    ) async throws -> UInt64 {
        let runner = state.withLock { $0.runners[source] }
        guard runner?.relayLog != nil else { throw WorkerError.noRelay(source: source) }
        return try await withThread("purge") {
            // Not held for longer: its folder is locked as long as it lives.
            guard let log = runner?.relayLog else { throw WorkerError.noRelay(source: source) }
            let before = log.status.bytes
            _ = try log.purge(before: file, isForced: inUse)
            let after = log.status.bytes
            // It may have grown meanwhile.
            return before > after ? before - after : 0
        }
    }

    /// Runs the pre-checks of a task on a source, on a thread of their own.
    public func check(_ settings: MigrationSettings, source: String) async -> SourceCheck {
        do {
            let results = try await withThread("check") {
                try Prechecks(settings: settings).run(
                    source: Connection(settings.source), target: Connection(settings.target))
            }
            return SourceCheck(sourceName: source, results: results)
        } catch {
            return SourceCheck(sourceName: source, results: [], error: describe(error))
        }
    }

    /// Comparing a subtask's tables is not among what a worker does yet.
    public func verify(task: String, source: String) async throws {
        throw WorkerError.cannotVerify
    }
}

/// Why a worker does not do what the API asks it for.
public enum WorkerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// It keeps no relay log of the source.
    case noRelay(source: String)
    /// It does not compare tables.
    case cannotVerify

    /// One sentence, with what to do.
    public var description: String {
        switch self {
        case .noRelay(let source): "this worker keeps no relay log of the source \(source)"
        case .cannotVerify:
            "a worker does not compare tables: run `skein verify` with the same servers and tables"
        }
    }
}
