internal import Checkpoint
internal import Foundation
internal import Logging
internal import Runtime
internal import Settings
internal import Synchronization

/// Runs one subtask as it is ordered, one run after the other.
///
/// A run goes on for ever through errors that may pass. Any other error ends it, and so does the
/// target when it says that another has taken over: then nothing is tried again before somebody
/// asks for it or there is a newer epoch. What has reached its goal is over for all workers, as
/// the subtask's history says.
final class SubtaskRunner: Sendable {
    /// An order, and the epoch of the binding that it comes with.
    struct Order: Sendable {
        var epoch: Int64
        var subtask: SubtaskOrder

        /// Whether a run that was begun for another order can go on under this one.
        func continues(_ other: Order) -> Bool {
            subtask.wanted == .running && epoch == other.epoch
                && subtask.settingsRevision == other.subtask.settingsRevision
        }
    }

    /// How the last run has ended by itself.
    private struct Ending: Sendable {
        let order: Order
        let isFinished: Bool
        let isReplaced: Bool

        /// Whether an order asks for nothing that was not tried.
        func settles(_ order: Order) -> Bool {
            let (old, new) = (self.order.subtask, order.subtask)
            guard old.requestRevision == new.requestRevision else { return false }
            if isFinished { return true }
            if isReplaced { return order.epoch <= self.order.epoch }
            return old.settingsRevision == new.settingsRevision
                && order.epoch == self.order.epoch
        }
    }

    private struct State {
        var stage = SubtaskStatus.Stage.new
        var epoch: Int64 = 0
        var migration: Migration?
        var progress: MigrationStatus?
        var error: SubtaskError?
        var ending: Ending?
        /// What the operator must know about the next run.
        var warnings: [String] = []
    }

    private let task: String
    private let source: String
    /// Where files of tasks are, unless their settings name a whole path.
    private let dataFolder: String
    private let worker: String
    private let relay: @Sendable (MigrationSettings) -> SourceRelay?
    private let describe: @Sendable (any Error) -> SubtaskError
    private let logger: Logger
    private let orders: Watched<Order?>
    /// What the source's relay log has done to its runs.
    let fences = RelayFences()
    private let engines = EngineMeasures()
    private let state = Mutex(State())

    /// How long a run may take to drain; then it is broken off, and its checkpoint is what counts.
    private static let drainLimit = Duration.seconds(20)

    init(
        task: String, source: String, order: Order, dataFolder: String, worker: String,
        relay: @Sendable @escaping (MigrationSettings) -> SourceRelay?,
        describe: @Sendable @escaping (any Error) -> SubtaskError, logger: Logger
    ) {
        self.task = task
        self.source = source
        self.dataFolder = dataFolder
        self.worker = worker
        self.relay = relay
        self.describe = describe
        var logger = logger
        logger[metadataKey: "task"] = "\(task)"
        logger[metadataKey: "source"] = "\(source)"
        self.logger = logger
        orders = Watched(order)
    }

    /// Gives another order; without one, it drains and ends.
    func order(_ order: Order?) { orders.set(order) }

    /// Whether it reads, or will read, its source's binlog.
    var isActive: Bool {
        guard let order = orders.value else {
            return state.withLock { $0.migration }.map { $0.settings.files == nil } ?? false
        }
        return order.subtask.wanted == .running && order.subtask.files == nil && !isSettled(order)
    }

    /// Whether a run of it reads the source's relay log, or will; also one that still drains.
    var readsRelay: Bool { state.withLock { $0.migration }?.readsRelay ?? isActive }

    /// Whether nothing of it runs, or is about to.
    var isAtRest: Bool { !isActive && state.withLock { $0.migration == nil } }

    /// Says that the relay log has given up what this subtask, which rests, would need of it.
    func warnOfLostNeed() {
        let text =
            "the relay log has reached its limit while this subtask rested, and has given up "
            + "the files that it needs: it reads them from the source, as long as that has them"
        state.withLock { state in
            guard !state.warnings.contains(text) else { return }
            state.warnings.append(text)
            state.progress?.warnings.append(text)
        }
        logger.warning("\(text)")
    }

    private func isSettled(_ order: Order) -> Bool {
        order.subtask.history.finish != nil
            || state.withLock { $0.ending?.settles(order) ?? false }
    }

    /// Runs until there is no order any more, or the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let (order, version) = orders.versioned
            guard let order else { return }
            if order.subtask.wanted == .running, !isSettled(order) {
                await attempt(order)
                continue
            }
            rest(order)
            await orders.change(after: version)
        }
    }

    /// Shows what an order asks for that lets nothing run.
    private func rest(_ order: Order) {
        let finish = order.subtask.history.finish
        state.withLock { state in
            let isFinished = finish != nil || state.ending?.isFinished == true
            if let finish {
                // It may have been another worker that has finished it.
                if state.progress == nil { state.progress = MigrationStatus() }
                state.progress?.phase = .done
                if let position = finish.position { state.progress?.position = position }
                state.error = nil
            }
            switch order.subtask.wanted {
            case .running, .paused: state.stage = isFinished ? .finished : .paused
            case .stopped: state.stage = .stopped
            }
        }
    }

    private func attempt(_ order: Order) async {
        var settings: MigrationSettings
        do {
            settings = try order.subtask.settings.get()
        } catch {
            await end(order, .failure(error))
            return
        }
        settings.files?.resolve(in: dataFolder)
        let binding = Migration.Bound(
            epoch: UInt64(max(0, order.epoch)), isStarted: order.subtask.history.isStarted,
            begun: { try await self.begun(.started, order, insists: $0) },
            dump: order.subtask.history.dump, worker: worker,
            dumping: { try await self.begun(.dumping($0), order, insists: true) })
        let migration = Migration(
            settings: settings, binding: binding, relay: relay(settings), fences: fences,
            measures: engines, logger: logger)
        state.withLock { state in
            let warnings = state.warnings
            if !warnings.isEmpty { migration.board.update { $0.warnings += warnings } }
            state.warnings = []
            state.migration = migration
            state.stage = .running
            state.epoch = order.epoch
            state.error = nil
            state.ending = nil
        }
        logger.info("the subtask runs", metadata: ["epoch": "\(order.epoch)"])
        let outcome = await run(migration, while: order)
        await end(order, outcome)
        if case .success(.stopped) = outcome, orders.value?.continues(order) == true {
            // Nobody has asked for that: not in a tight circle, at least.
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Runs a migration until it ends, or its order does.
    private func run(
        _ migration: Migration, while order: Order
    ) async -> Result<MigrationOutcome, any Error> {
        await withTaskGroup(of: Result<MigrationOutcome, any Error>?.self) { group in
            group.addTask {
                do {
                    return .success(try await migration.run())
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    let (now, version) = self.orders.versioned
                    guard now?.continues(order) == true else { break }
                    await self.orders.change(after: version)
                }
                guard !Task.isCancelled else { return nil }
                self.state.withLock { if $0.stage == .running { $0.stage = .pausing } }
                migration.stop()
                try? await Task.sleep(for: Self.drainLimit)
                return nil
            }
            defer { group.cancelAll() }
            while let ended = await group.next() {
                if let ended { return ended }
                // Draining has taken too long.
                group.cancelAll()
            }
            return .failure(CancellationError())
        }
    }

    /// Notes how a run has ended. That its goal is reached is durable before it is shown: whoever
    /// sees it may let others write to the target.
    private func end(_ order: Order, _ outcome: Result<MigrationOutcome, any Error>) async {
        var error: (any Error)?
        var finish: SubtaskHistory.Finish?
        let now = Double(wallClockMicroseconds()) / 1e6
        switch outcome {
        case .success(.reached(let position)): finish = .init(position: position, time: now)
        case .success(.finished), .failure(MigrationError.alreadyFinished):
            let position = state.withLock { $0.migration?.board.current.position }
            finish = .init(position: position, time: now)
        case .success(.stopped), .failure(is CancellationError): break
        case .failure(let it): error = it
        }
        if let finish {
            let isDurable =
                (try? await record(.finished(finish), for: order, insists: true)) ?? false
            // Otherwise another order counts now: it begins where this one has ended.
            if !isDurable { return forget(order) }
        }
        var isReplaced = false
        if case .some(CheckpointError.fenced) = error {
            isReplaced = true
            await reportFence(order)
        }
        note(
            Ending(order: order, isFinished: finish != nil, isReplaced: isReplaced),
            error.map(describe))
    }

    /// Ends a run that says nothing about the next one.
    private func forget(_ order: Order) {
        state.withLock { state in
            state.progress = state.migration?.board.current ?? state.progress
            // From here on nobody knows, but of one that has reached its goal.
            if state.progress?.phase != .done { state.progress?.lagMilliseconds = nil }
            state.migration = nil
        }
    }

    private func note(_ ending: Ending, _ described: SubtaskError?) {
        forget(ending.order)
        state.withLock { state in
            if var described {
                described.isRetryable = false
                described.position = described.position ?? state.progress?.position
                state.error = described
            }
            if ending.isFinished || described != nil { state.ending = ending }
        }
        if let described {
            logger.error(
                "the subtask has ended",
                metadata: ["code": "\(described.code)", "reason": "\(described.message)"])
        }
    }

    // MARK: its history

    /// Makes it durable that the subtask has begun.
    private func begun(_ event: SubtaskEvent, _ order: Order, insists: Bool) async throws {
        if try await record(event, for: order, insists: insists) || !insists { return }
        // Another order counts, and this run is over.
        throw CancellationError()
    }

    /// Says which epoch the target has, so that a request to go on can be given a greater one.
    private func reportFence(_ order: Order) async {
        let migration = state.withLock { $0.migration }
        guard let stored = try? await migration?.storedEpoch(),
            let epoch = Int64(exactly: stored), epoch > order.epoch
        else { return }
        _ = try? await record(.fenced(by: epoch), for: order, insists: false)
    }

    /// Adds to the subtask's history.
    ///
    /// - Parameter insists: tries as long as the order counts.
    /// - Returns: whether it is durable; where it is not, another order counts, or it was not
    ///   insisted on.
    private func record(
        _ event: SubtaskEvent, for order: Order, insists: Bool
    ) async throws -> Bool {
        var backoff = Backoff(first: .milliseconds(50), limit: .seconds(2))
        while true {
            try Task.checkCancellation()
            // The newest one's journal: after a request that changes nothing for this run the
            // older one's is void.
            guard let now = orders.value, now.continues(order) else { return false }
            guard let journal = now.subtask.journal else { return true }
            do {
                if try await journal.record(event) {
                    showWaiting(nil)
                    return true
                }
            } catch {
                try Task.checkCancellation()
                showWaiting("the cluster's store has to take note first: \(error)")
            }
            if !insists { return false }
            try await Task.sleep(for: backoff.delay())
        }
    }

    private func showWaiting(_ text: String?) {
        state.withLock { $0.migration }?.board.update { $0.waiting = text }
    }

    /// What was measured of it.
    var measures: SubtaskMeasures { SubtaskMeasures(task: task, source: source, engines) }

    /// What it does now.
    var status: SubtaskStatus {
        let (now, order) = (state.withLock { $0 }, orders.value)
        let progress = now.migration?.board.current ?? now.progress
        var status = SubtaskStatus(
            task: task, source: source, stage: now.stage,
            unit: order?.subtask.files?.kind.unit ?? progress?.phase.unit ?? .check,
            epoch: now.migration == nil ? order?.epoch ?? now.epoch : now.epoch)
        status.progress = progress
        status.error = now.error
        if let trouble = now.migration?.currentTrouble {
            status.attempts = trouble.attempts
            if !trouble.isOver {
                var error = describe(trouble.error)
                error.isRetryable = true
                error.time = trouble.time
                error.position = error.position ?? progress?.position
                status.error = error
            }
        }
        return status
    }
}

extension FileTransfer.Kind {
    fileprivate var unit: SubtaskStatus.Unit {
        switch self {
        case .dump: .dump
        case .load: .load
        }
    }
}

extension MigrationStatus.Phase {
    fileprivate var unit: SubtaskStatus.Unit {
        switch self {
        case .starting, .checking: .check
        case .schema, .copying, .indexing: .copy
        case .following, .draining, .finishing, .done: .follow
        }
    }
}
