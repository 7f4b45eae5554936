internal import Checkpoint
internal import Logging
internal import Relay
internal import Runtime
internal import Settings
internal import Synchronization

/// Runs the subtasks of one source, and its relay log.
final class SourceRunner: Sendable {
    private struct State {
        var subtasks: [String: SubtaskRunner] = [:]
        var relay: (options: SourceRelay.Options, relay: SourceRelay)?
        /// The relay log that lies here since before this began, and that nobody has opened yet:
        /// as long as all subtasks rest, nobody does.
        var left: SourceRelay.Options?
        /// Tasks whose records can't be read, as of the last order.
        var unread: Set<String> = []
    }
    let source: String
    private let folder: String
    private let dataFolder: String
    private let worker: String
    private let exchange: (any RelayExchange)?
    private let describe: @Sendable (any Error) -> SubtaskError
    private let logger: Logger
    private let orders: Watched<SourceOrder?>
    private let relays = Mailbox<SourceRelay>()
    private let state = Mutex(State())

    /// - Parameters:
    ///   - folder: for the source's relay log, unless its settings name one.
    ///   - dataFolder: where relative paths of tasks' files begin.
    ///   - worker: the worker's name.
    init(
        source: String, order: SourceOrder, folder: String, dataFolder: String = ".",
        worker: String = "", exchange: (any RelayExchange)?,
        describe: @Sendable @escaping (any Error) -> SubtaskError, logger: Logger
    ) {
        self.source = source
        self.folder = folder
        self.dataFolder = dataFolder
        self.worker = worker
        self.exchange = exchange
        self.describe = describe
        self.logger = logger
        orders = Watched(order)
        state.withLock { $0.left = Self.left(order, folder) }
    }

    /// The relay log that an earlier process, or hand, has left where the subtasks would open it.
    private static func left(_ order: SourceOrder, _ folder: String) -> SourceRelay.Options? {
        for subtask in order.subtasks.values {
            guard var settings = try? subtask.settings.get() else { continue }
            settings.relayFolder = settings.relayFolder ?? folder
            let options = MigrationRelay.options(settings, serverID: serverID(settings))
            if RelayArchive.isThere(options.folder) { return options }
        }
        return nil
    }

    private static func serverID(_ settings: MigrationSettings) -> UInt32 {
        settings.serverID != 0
            ? settings.serverID : UInt32.random(in: 0x4000_0000...0x7FFF_FFFF)
    }

    /// Gives another order; without one, its subtasks drain, and it ends.
    func order(_ order: SourceOrder?) { orders.set(order) }

    /// Runs until there is no order any more and all has ended, or the task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.runRelays() }
            group.addTask { await self.keepRoom() }
            await self.runSubtasks()
            group.cancelAll()
        }
    }

    private enum Event { case ended(String), ordered }

    private func runSubtasks() async {
        await withTaskGroup(of: Event.self) { group in
            var version = -1
            repeat {
                let (order, newest) = orders.versioned
                if newest > version {
                    version = newest
                    let seen = newest
                    group.addTask {
                        await self.orders.change(after: seen)
                        return .ordered
                    }
                }
                for runner in prepare(order) {
                    group.addTask {
                        await runner.runner.run()
                        return .ended(runner.task)
                    }
                }
                if order == nil, state.withLock({ $0.subtasks.isEmpty }) { break }
                if case .ended(let task) = await group.next() {
                    state.withLock { $0.subtasks[task] = nil }
                }
            } while !Task.isCancelled
            group.cancelAll()
        }
    }

    /// Passes an order on, and makes the runners that it needs beyond those that there are.
    private func prepare(_ order: SourceOrder?) -> [(task: String, runner: SubtaskRunner)] {
        let (fresh, active, readers, relay) = state.withLock { state in
            if let order, state.relay == nil, state.left == nil {
                state.left = Self.left(order, folder)
            }
            for (task, runner) in state.subtasks {
                runner.order(
                    order.flatMap { source in
                        source.subtasks[task].map { .init(epoch: source.epoch, subtask: $0) }
                    })
            }
            var fresh: [(task: String, runner: SubtaskRunner)] = []
            for (task, subtask) in order?.subtasks ?? [:] where state.subtasks[task] == nil {
                let runner = SubtaskRunner(
                    task: task, source: source,
                    order: .init(epoch: order?.epoch ?? 0, subtask: subtask),
                    dataFolder: dataFolder, worker: worker,
                    relay: { self.relay($0) }, describe: describe, logger: logger)
                state.subtasks[task] = runner
                fresh.append((task, runner))
            }
            let active = state.subtasks.filter { $0.value.isActive }.keys
            // What still drains needs the log, too.
            let readers = Set(state.subtasks.keys).union(order?.subtasks.keys.map { $0 } ?? [])
            return (fresh, Set(active), readers, state.relay?.relay)
        }
        // Without an order the source has only left this worker: it may come back for its files.
        if let order {
            warn(of: order.unreadTasks)
            relay?.expect(active, of: readers.union(order.unreadTasks))
        }
        return fresh
    }

    /// Says, once each, of which tasks it is not known whether they need something.
    private func warn(of unread: Set<String>) {
        let new = state.withLock { state in
            defer { state.unread = unread }
            return unread.subtracting(state.unread)
        }
        for task in new.sorted() {
            logger.warning(
                "a task's record can't be read: what it needs of the relay log is kept",
                metadata: ["source": "\(source)", "task": "\(task)"])
        }
    }

    // MARK: the relay log

    /// Runs one at a time: another server or folder means another log.
    private func runRelays() async {
        var next = try? await relays.next()
        while let relay = next {
            next = await withTaskGroup(of: Void.self) { group in
                group.addTask { try? await relay.run() }
                defer { group.cancelAll() }
                return try? await relays.next()
            }
        }
    }

    /// Keeps subtasks that rest, tasks of which nobody knows whether they have one, and notes that
    /// are nobody's, from holding up the others. What they need of the relay log stays for as long
    /// as there is room; when the log has to pause for want of it, what nobody else needs is given
    /// up, and they read that from the source when they go on.
    private func keepRoom() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            let (runners, relay) = state.withLock { ($0.subtasks, $0.relay?.relay) }
            guard let relay, let status = relay.log?.status, status.state == .paused,
                status.needsRoom
            else { continue }
            guard runners.contains(where: { !$0.value.isAtRest }) else { continue }
            let lost = try? await withThread("relay-needs") {
                var idle = IdleTasks()
                let tasks = try relay.giveUpNeeds { needers in
                    idle = self.idleTasks()
                    let others = idle.known.map { needers.subtracting($0) } ?? []
                    return idle.unread.union(idle.resting.keys).union(others)
                }
                return (tasks: tasks, idle: idle)
            }
            guard let lost else { continue }
            for task in lost.tasks.sorted() {
                if let runner = lost.idle.resting[task] {
                    runner.warnOfLostNeed()
                } else if !lost.idle.unread.contains(task) {
                    logger.warning(
                        """
                        the relay log has reached its limit, and has given up what was noted for a \
                        task that this source does not have
                        """,
                        metadata: ["source": "\(source)", "task": "\(task)"])
                } else {
                    logger.warning(
                        """
                        the relay log has reached its limit, and has given up what a task needs \
                        whose record can't be read: it reads that from the source, if it is there
                        """,
                        metadata: ["source": "\(source)", "task": "\(task)"])
                }
            }
        }
    }

    /// Who does not read the relay log now.
    private struct IdleTasks {
        /// Subtasks that rest.
        var resting: [String: SubtaskRunner] = [:]
        /// Tasks of which nobody knows whether they have a subtask.
        var unread: Set<String> = []
        /// All who may need the log at all; `nil` while that is not known.
        var known: Set<String>?
    }

    private func idleTasks() -> IdleTasks {
        // Before the runners: who comes by a later order has one first, or notes nothing yet.
        let order = orders.value
        let runners = state.withLock { $0.subtasks }
        let resting = runners.filter { $0.value.isAtRest }
        guard let order else { return IdleTasks(resting: resting) }
        // A task that has no runner just now may be about to get one.
        let unread = order.unreadTasks.subtracting(runners.keys).subtracting(order.subtasks.keys)
        return IdleTasks(
            resting: resting, unread: unread,
            known: order.unreadTasks.union(runners.keys).union(order.subtasks.keys))
    }

    /// The relay log for a subtask; `nil` when it is to read from the source itself.
    func relay(_ settings: MigrationSettings) -> SourceRelay? {
        guard settings.keepsRelay else { return nil }
        var settings = settings
        settings.relayFolder = settings.relayFolder ?? folder
        var options = MigrationRelay.options(settings, serverID: Self.serverID(settings))
        // Not held by the log, which is held by this: its folder is locked as long as it lives.
        options.peers = { [weak self] in self?.peers() ?? [] }
        options.checkpoints = { [weak self] in try await self?.checkpoints($0, $1) ?? [] }
        options.opened = { [exchange, source] log in
            if let log {
                exchange?.serve(log, as: source)
            } else {
                exchange?.withdraw(source)
            }
        }
        let shared = options
        let (relay, isNew) = state.withLock { state in
            if let known = state.relay, known.options.isSame(as: shared) {
                return (known.relay, false)
            }
            if let before = (state.relay?.options ?? state.left)?.folder, before != shared.folder {
                logger.warning(
                    "the relay log has another folder now; the one before stays, and is not read",
                    metadata: ["source": "\(source)", "folder": "\(before)"])
            }
            let relay = SourceRelay(shared, endsWithLog: false, logger: logger)
            var readers: Set<String>?
            if let order = orders.value { readers = order.unreadTasks.union(state.subtasks.keys) }
            relay.expect(
                Set(state.subtasks.filter { $0.value.isActive }.keys), of: readers)
            state.relay = (shared, relay)
            return (relay, true)
        }
        if isNew { relays.send(relay) }
        return relay
    }

    /// What the targets of all subtasks hold, also of those that rest: they may go on.
    private func checkpoints(
        _ isRead: Bool, _ known: Set<String>
    ) async throws -> [RelayCheckpoint] {
        guard let order = orders.value else { throw CancellationError() }
        let asked = try order.subtasks.filter {
            $0.value.history.finish == nil && !known.contains($0.key) && $0.value.files == nil
        }.map { (task: $0.key, settings: try $0.value.settings.get()) }
        // Nobody knows their targets: what these have applied is not known to be nothing.
        let unread = order.unreadTasks.subtracting(known).subtracting(order.subtasks.keys).sorted()
        return try await withThread("checkpoint") {
            var answered: [RelayCheckpoint] = []
            var failures = unread.map { "task '\($0)': a record of it can't be read" }
            for (task, settings) in asked {
                let runner = self.state.withLock { $0.subtasks[task] }
                do {
                    let answer = try RelayCheckpoint.read(
                        settings, reads: isRead && runner?.readsRelay == true,
                        fences: runner?.fences ?? RelayFences(),
                        policy: { _ in .binding(UInt64(max(0, order.epoch))) })
                    if let answer { answered.append(answer) }
                } catch {
                    failures.append("task '\(task)': \(error)")
                }
            }
            guard failures.isEmpty else {
                throw UnansweredTarget(
                    answered: answered, description: failures.joined(separator: "; "))
            }
            return answered
        }
    }

    /// Connections to the other workers that keep the source's relay log: what is needed and not
    /// here is fetched from them before the source is asked.
    private func peers() -> [any RelayConnection] {
        guard let exchange, let holders = orders.value?.holders else { return [] }
        return holders.compactMap { holder in
            do {
                return try exchange.connection(to: holder.address, source: source)
            } catch {
                logger.warning(
                    "a worker's relay log can't be read",
                    metadata: ["worker": "\(holder.worker)", "reason": "\(error)"])
                return nil
            }
        }
    }

    // MARK: what it does

    /// Its subtasks, and its relay log if it keeps one.
    var status: (subtasks: [SubtaskStatus], relay: RelayStatus?) {
        let (runners, relay) = state.withLock { ($0.subtasks.values.map { $0 }, $0.relay?.relay) }
        return (runners.map(\.status), relay?.shownStatus.map { .init(source: source, log: $0) })
    }

    /// What was measured of its subtasks.
    var measures: [SubtaskMeasures] {
        state.withLock { Array($0.subtasks.values) }.map(\.measures)
    }

    /// How its relay log is kept, or was: also one that lies here and that nobody has opened yet.
    var relayOptions: SourceRelay.Options? { state.withLock { $0.relay?.options ?? $0.left } }

    /// Its relay log; `nil` when it keeps none.
    var relayLog: RelayLog? { state.withLock { $0.relay }?.relay.log }
}

extension SourceRelay.Options {
    /// Whether one log serves both; random ids differ for nothing.
    fileprivate func isSame(as other: SourceRelay.Options) -> Bool {
        folder == other.folder && source == other.source && limitBytes == other.limitBytes
    }
}
