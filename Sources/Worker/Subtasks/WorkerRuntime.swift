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
        /// Relay logs of sources that have left, for as long as they are here.
        var rests: [String: RelayRest] = [:]
        /// What is known of all sources; `nil`: nothing yet.
        var restOrders: [String: RelayRestOrder]?
        /// Whether it was looked for relay logs that an earlier process has left.
        var hasLooked = false

        func restOrder(_ source: String) -> RelayRestOrder {
            restOrders.map { $0[source] ?? .removed } ?? .unknown
        }
    }
    private let name: String
    private let dataFolder: String
    private let exchange: (any RelayExchange)?
    let describe: @Sendable (any Error) -> SubtaskError
    let logger: Logger
    private let changes = Watched(0)
    private let desk: VerificationDesk
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
        desk = VerificationDesk(describe: describe)
    }

    /// Says what is to run, and of which sources copies of the relay log are to be kept, by the
    /// source's name; what is not named is drained, and ends.
    public func order(_ orders: [String: SourceOrder], copies: [String: RelayCopyOrder]) {
        state.withLock { state in
            state.orders = orders
            // One process writes to a relay log's folder, and once.
            state.copies = copies.filter { orders[$0.key] == nil }
        }
        desk.keep { orders[$0.source]?.subtasks[$0.task] != nil }
        changes.set(0)
    }

    /// Says what is to be known of relay logs that nothing runs and nothing copies, by the source's
    /// name: of all sources that there are; `nil` while some of it can't be known, and then nothing
    /// is taken for removed. The first time, those that an earlier process has left
    /// in the data folder are served again.
    public func keep(_ rests: [String: RelayRestOrder]?) {
        state.withLock { state in
            state.restOrders = rests
            for (source, rest) in state.rests { rest.order(state.restOrder(source)) }
            for (source, copier) in state.copiers { copier.keep(state.restOrder(source)) }
        }
        changes.set(0)
    }

    /// What the relay logs of sources that run here hold of what subtasks need.
    public var relayHoldings: [String: RelayHolding] {
        state.withLock { $0.runners }.compactMapValues { runner in
            runner.relayLog.flatMap { RelayHolding($0) }
        }
    }

    /// The sources of which something still runs.
    public var activeSources: Set<String> { Set(state.withLock { $0.runners.keys }) }

    /// The sources whose relay logs are here, also where one is not open just now.
    public var keptRelays: Set<String> {
        state.withLock { state in
            Set(state.runners.filter { $0.value.relayOptions != nil }.keys)
                .union(state.copiers.keys).union(state.rests.keys)
        }
    }

    private enum Event { case ended(String), copied(String), rested(String), ordered, compared }

    /// Runs what was ordered last until the task is cancelled.
    public func run() async {
        await withTaskGroup(of: Event.self) { group in
            var version = -1
            group.addTask {
                await self.desk.run()
                return .compared
            }
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
                stopRests()
                for rest in findRests() {
                    group.addTask {
                        await rest.run()
                        return .rested(rest.source)
                    }
                }
                for copier in prepareCopies() {
                    group.addTask {
                        await copier.run()
                        return .copied(copier.source)
                    }
                }
                switch await group.next() {
                case .ended(let source):
                    if let rest = finish(source) {
                        group.addTask {
                            await rest.run()
                            return .rested(source)
                        }
                    }
                case .rested(let source): state.withLock { $0.rests[source] = nil }
                case .copied(let source): state.withLock { $0.copiers[source] = nil }
                case .ordered, .compared, nil: break
                }
            }
            group.cancelAll()
        }
        state.withLock { state in
            state.runners = [:]
            state.copiers = [:]
            state.rests = [:]
        }
    }

    /// Forgets a source's runner.
    ///
    /// - Returns: what serves its relay log from now on, where the source has gone elsewhere.
    private func finish(_ source: String) -> RelayRest? {
        state.withLock { state in
            let runner = state.runners.removeValue(forKey: source)
            guard let exchange, let options = runner?.relayOptions,
                state.orders[source] == nil, state.copies[source] == nil
            else { return nil }
            let rest = RelayRest(
                source: source, options, order: state.restOrder(source), exchange: exchange,
                logger: logger)
            state.rests[source] = rest
            return rest
        }
    }

    /// What serves the relay logs that an earlier process of this worker has left, of sources that
    /// are elsewhere now, or nowhere. Those that others wrote down in the settings are only found
    /// while the source is still known.
    private func findRests() -> [RelayRest] {
        guard let exchange else { return [] }
        return state.withLock { state in
            guard !state.hasLooked, let orders = state.restOrders else { return [] }
            state.hasLooked = true
            var rests: [RelayRest] = []
            for (source, order) in orders {
                let isBusy =
                    state.orders[source] != nil || state.copies[source] != nil
                    || state.runners[source] != nil || state.copiers[source] != nil
                    || state.rests[source] != nil
                guard !isBusy, let settings = try? order.settings() else { continue }
                let folder = settings.relayFolder ?? "\(dataFolder)/relay/\(source)"
                // One that somebody else writes is theirs.
                guard let archive = try? RelayArchive(path: folder), !archive.isWritten
                else { continue }
                let options = SourceRelay.Options(
                    folder: folder, source: settings.server,
                    serverID: settings.serverID != 0
                        ? settings.serverID : UInt32.random(in: 0x4000_0000...0x7FFF_FFFF))
                let rest = RelayRest(
                    source: source, options, order: order, exchange: exchange, logger: logger)
                state.rests[source] = rest
                rests.append(rest)
            }
            warnOfLeftLogs(orders)
            return rests
        }
    }

    /// Says which relay logs in the data folder are of no source that the cluster has. They stay:
    /// a cluster may have been formed anew, and its sources not be there yet.
    private func warnOfLeftLogs(_ orders: [String: RelayRestOrder]) {
        for folder in RelayArchive.folders(in: "\(dataFolder)/relay")
        where orders[folder.name] == nil {
            logger.warning(
                "a relay log is left of a source that is unknown: remove it when nobody needs it",
                metadata: ["source": "\(folder.name)", "folder": "\(folder.path)"])
        }
    }

    private func stopRests() {
        state.withLock { state in
            for (source, rest) in state.rests
            where state.orders[source] != nil || state.copies[source] != nil {
                rest.stop()
            }
        }
    }

    private func prepareCopies() -> [RelayCopyRunner] {
        guard let exchange else { return [] }
        return state.withLock { state in
            for (source, copier) in state.copiers { copier.order(state.copies[source]) }
            // A source that still drains here has its relay log open.
            return state.copies.filter {
                state.copiers[$0.key] == nil && state.runners[$0.key] == nil
                    && state.rests[$0.key] == nil
            }.map { source, order in
                let copier = RelayCopyRunner(
                    source: source, order: order, rest: state.restOrder(source),
                    folder: "\(dataFolder)/relay/\(source)", exchange: exchange, logger: logger)
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
                    && state.rests[$0.key] == nil
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
            status.subtasks += subtasks.map { it in
                var it = it
                it.verification = desk.result(.init(task: it.task, source: it.source))
                return it
            }
            if let relay { status.relays.append(relay) }
        }
        for copier in state.withLock({ Array($0.copiers.values) }) {
            status.relays.append(copier.status)
        }
        for rest in state.withLock({ Array($0.rests.values) }) {
            if let relay = rest.status { status.relays.append(relay) }
        }
        status.subtasks.sort { ($0.task, $0.source) < ($1.task, $1.source) }
        status.relays.sort { $0.source < $1.source }
        return status
    }

    /// What was measured of its subtasks.
    public func measures() -> [SubtaskMeasures] {
        state.withLock { Array($0.runners.values) }.flatMap(\.measures)
            .sorted { ($0.task, $0.source) < ($1.task, $1.source) }
    }

    /// Removes files of a source's relay log.
    public func purgeRelay(
        of source: String, before file: String, inUse: Bool
    ) async throws -> UInt64 {
        let (runner, rest) = state.withLock { ($0.runners[source], $0.rests[source]) }
        guard runner?.relayLog ?? rest?.log != nil else {
            throw WorkerError.noRelay(source: source)
        }
        return try await withThread("purge") {
            // Not held for longer: its folder is locked as long as it lives.
            guard let log = runner?.relayLog ?? rest?.log else {
                throw WorkerError.noRelay(source: source)
            }
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

    /// Compares a subtask's tables, in the background.
    public func verify(task: String, source: String) async throws {
        let (order, runner) = state.withLock { state in
            (state.orders[source]?.subtasks[task], state.runners[source])
        }
        guard let order, let runner else {
            throw WorkerError.notHere(task: task, source: source)
        }
        // Of one that rests since this worker was started nothing is known.
        guard let progress = runner.status.subtasks.first(where: { $0.task == task })?.progress,
            progress.phase.isCopied
        else {
            throw WorkerError.isCopying(task: task, source: source)
        }
        // One that has ended where it was to end is not behind.
        guard
            let lag = progress.phase == .done
                ? .zero : progress.lagMilliseconds.map({ Duration.milliseconds($0) }),
            lag <= VerificationDesk.greatestLag
        else {
            throw WorkerError.isBehind(task: task, source: source)
        }
        try desk.begin(.init(task: task, source: source), order.settings.get(), lag: lag)
    }
}

/// Why a worker does not do what the API asks it for.
public enum WorkerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// It keeps no relay log of the source.
    case noRelay(source: String)
    /// The subtask's tables can't be compared, and why.
    case cannotVerify(String)
    /// They are being compared.
    case isVerifying(task: String, source: String)
    /// Its copy is not complete.
    case isCopying(task: String, source: String)
    /// Its target is too far behind the source, or it is not known yet how far.
    case isBehind(task: String, source: String)
    /// The worker does not have it.
    case notHere(task: String, source: String)

    /// One sentence, with what to do.
    public var description: String {
        switch self {
        case .noRelay(let source): "this worker keeps no relay log of the source \(source)"
        case .cannotVerify(let reason):
            "\(reason): what the source has is not what the target is to have, row by row"
        case .isVerifying(let task, let source):
            "the tables of task '\(task)' on source '\(source)' are being compared already"
        case .isCopying(let task, let source):
            "task '\(task)' on source '\(source)' has not copied all rows, or is just starting"
        case .isBehind(let task, let source):
            "task '\(task)' on source '\(source)' is behind by more than 20 s, or has just begun to "
                + "follow: what is on its way would be taken for a difference"
        case .notHere(let task, let source):
            "this worker does not run task '\(task)' on source '\(source)' (any more)"
        }
    }
}
