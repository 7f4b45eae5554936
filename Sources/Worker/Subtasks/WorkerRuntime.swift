public import Logging
internal import MySQLClient
internal import Relay
internal import Runtime
public import Settings
internal import Synchronization

/// What a worker runs: any number of sources, each with its relay log and its subtasks.
public final class WorkerRuntime: SourceHost {
    private let name: String
    private let dataFolder: String
    private let exchange: (any RelayExchange)?
    let describe: @Sendable (any Error) -> SubtaskError
    let logger: Logger
    private let changes = Watched(0)
    private let desk: VerificationDesk
    private let state: Mutex<WorkerHands>
    /// Who may look at a checkpoint for an operator.
    let checkpointTurns = Turns(atOnce: 4, patience: .seconds(5))

    /// Makes a worker that runs nothing.
    ///
    /// - Parameters:
    ///   - dataFolder: where relay logs are kept, and where relative paths of tasks' files begin.
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
        state = Mutex(WorkerHands(dataFolder: dataFolder, logger: logger))
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
    /// name: of all sources that there are, also of those whose records can't be read; `nil` while
    /// nothing is known, and then nothing is taken for removed. The first time, those that an earlier
    /// process has left in the data folder are served again.
    public func keep(_ rests: [String: RelayRestOrder]?) {
        state.withLock { $0.keep(rests) }
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
    public var keptRelays: Set<String> { state.withLock { $0.kept } }

    private enum Event { case ended(Hand), ordered, compared, waited }

    /// Runs what was ordered last until the task is cancelled.
    public func run() async {
        await withTaskGroup(of: Event.self) { group in
            var version = -1
            group.addTask {
                await self.desk.run()
                return .compared
            }
            var ended: Hand?
            var isWaiting = false
            while !Task.isCancelled {
                let newest = changes.versioned.version
                if newest > version {
                    version = newest
                    group.addTask {
                        await self.changes.change(after: newest)
                        return .ordered
                    }
                }
                for hand in pass(after: ended) {
                    group.addTask {
                        await hand.run()
                        return .ended(hand)
                    }
                }
                if !isWaiting, state.withLock({ $0.awaitsOthers }) {
                    isWaiting = true
                    group.addTask {
                        try? await Task.sleep(for: .seconds(3))
                        return .waited
                    }
                }
                ended = nil
                switch await group.next() {
                case .ended(let hand): ended = hand
                case .waited: isWaiting = false
                case .ordered, .compared, nil: break
                }
            }
            group.cancelAll()
        }
        state.withLock { $0.clear() }
    }

    /// Gives sources that are in no hand to new ones.
    private func pass(after ended: Hand?) -> [Hand] {
        state.withLock { hands in
            hands.pass(
                after: ended,
                WorkerHands.Makers(
                    runner: { source, order, folder in
                        SourceRunner(
                            source: source, order: order, folder: folder,
                            dataFolder: self.dataFolder, worker: self.name,
                            exchange: self.exchange, describe: self.describe, logger: self.logger)
                    },
                    copier: self.exchange.map { exchange in
                        { source, order, rest, folder in
                            RelayCopyRunner(
                                source: source, order: order, rest: rest, folder: folder,
                                exchange: exchange, logger: self.logger)
                        }
                    },
                    rest: self.exchange.map { exchange in
                        { source, options, order in
                            RelayRest(
                                source: source, options, order: order, exchange: exchange,
                                logger: self.logger)
                        }
                    }))
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
    ) async throws -> RelayPurge {
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
            return RelayPurge(
                freedBytes: before > after ? before - after : 0,
                firstFile: log.contents.lazy.compactMap { $0.files.first?.name }.first)
        }
    }

    /// Runs the pre-checks of a task on a source, on a thread of their own.
    public func check(_ settings: MigrationSettings, source: String) async -> SourceCheck {
        do {
            let results = try await withThread("check") {
                if settings.files != nil { return try Prechecks(settings: settings).runForFiles() }
                return try Prechecks(settings: settings).run(
                    source: Connection(settings.source), target: Connection(settings.target))
            }
            return SourceCheck(sourceName: source, results: results)
        } catch {
            return SourceCheck(sourceName: source, results: [], error: describe(error))
        }
    }

    /// Compares a subtask's tables, in the background.
    public func verify(task: String, source: String) async throws {
        guard let order = state.withLock({ $0.orders[source]?.subtasks[task] }) else {
            throw WorkerError.notHere(task: task, source: source)
        }
        if let files = order.files {
            throw WorkerError.cannotVerify(
                "task '\(task)' is a \(files.kind.rawValue), with files on one side")
        }
        _ = try lag(task: task, source: source)
        let subtask = VerificationDesk.Subtask(task: task, source: source)
        try desk.begin(subtask, order.settings.get()) { [weak self] () throws(WorkerError) in
            guard let self else { throw .notHere(task: task, source: source) }
            return try self.lag(task: task, source: source)
        }
    }

    /// How far a subtask's target is behind its source now.
    ///
    /// - Throws: ``WorkerError`` where it is not followed, so that what differs says nothing.
    private func lag(task: String, source: String) throws(WorkerError) -> Duration {
        guard let runner = state.withLock({ $0.runners[source] }) else {
            throw .notHere(task: task, source: source)
        }
        guard let status = runner.status.subtasks.first(where: { $0.task == task }) else {
            throw .notHere(task: task, source: source)
        }
        return try status.lag()
    }
}

extension SubtaskStatus {
    /// How far the target is behind, where it can be compared with its source.
    func lag() throws(WorkerError) -> Duration {
        // Of one that rests since this worker was started nothing is known.
        guard let progress, progress.phase.isCopied else {
            throw .isCopying(task: task, source: source)
        }
        // One that has ended where it was to end is not behind.
        if progress.phase == .done { return .zero }
        if stage != .running {
            throw .isResting(task: task, source: source, reason: "it is \(stage.rawValue)")
        }
        if let reason = progress.waiting ?? error?.message {
            throw .isResting(task: task, source: source, reason: reason)
        }
        guard let lag = progress.lagMilliseconds.map({ Duration.milliseconds($0) }),
            lag <= VerificationDesk.greatestLag
        else { throw .isBehind(task: task, source: source) }
        return lag
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
    /// It does not follow its source now, and why.
    case isResting(task: String, source: String, reason: String)
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
        case .isResting(let task, let source, let reason):
            "task '\(task)' on source '\(source)' does not follow its source (\(reason)): what "
                + "the source has had since then would be taken for a difference"
        case .notHere(let task, let source):
            "this worker does not run task '\(task)' on source '\(source)' (any more)"
        }
    }
}
