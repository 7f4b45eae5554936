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
/// asks for it, or, in the latter case, before there is a newer epoch.
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
            if isReplaced { return order.epoch <= self.order.epoch }
            let isSame =
                order.subtask.settingsRevision == self.order.subtask.settingsRevision
                && order.subtask.requestRevision == self.order.subtask.requestRevision
            return isSame && (isFinished || order.epoch == self.order.epoch)
        }
    }

    private struct State {
        var stage = SubtaskStatus.Stage.new
        var epoch: Int64 = 0
        var migration: Migration?
        var progress: MigrationStatus?
        var error: SubtaskError?
        var ending: Ending?
    }

    private let task: String
    private let source: String
    private let relay: @Sendable (MigrationSettings) -> SourceRelay?
    private let describe: @Sendable (any Error) -> SubtaskError
    private let logger: Logger
    private let orders: Watched<Order?>
    private let state = Mutex(State())

    /// How long a run may take to drain; then it is broken off, and its checkpoint is what counts.
    private static let drainLimit = Duration.seconds(20)

    init(
        task: String, source: String, order: Order,
        relay: @Sendable @escaping (MigrationSettings) -> SourceRelay?,
        describe: @Sendable @escaping (any Error) -> SubtaskError, logger: Logger
    ) {
        self.task = task
        self.source = source
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

    /// Whether it reads, or will read, its source.
    var isActive: Bool {
        guard let order = orders.value else { return state.withLock { $0.migration != nil } }
        return order.subtask.wanted == .running && !isSettled(order)
    }

    private func isSettled(_ order: Order) -> Bool {
        state.withLock { $0.ending?.settles(order) ?? false }
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
            state.withLock { state in
                switch order.subtask.wanted {
                case .running: state.stage = state.ending?.isFinished == true ? .finished : .paused
                case .paused:
                    // What is asked for is done: the error was another matter.
                    state.stage = state.ending?.isFinished == true ? .finished : .paused
                case .stopped: state.stage = .stopped
                }
            }
            await orders.change(after: version)
        }
    }

    private func attempt(_ order: Order) async {
        let settings: MigrationSettings
        do {
            settings = try order.subtask.settings.get()
        } catch {
            end(order, .failure(error))
            return
        }
        let migration = Migration(
            settings: settings, epoch: UInt64(max(0, order.epoch)), relay: relay(settings),
            logger: logger)
        state.withLock { state in
            state.migration = migration
            state.stage = .running
            state.epoch = order.epoch
            state.error = nil
        }
        logger.info("the subtask runs", metadata: ["epoch": "\(order.epoch)"])
        let outcome = await run(migration, while: order)
        end(order, outcome)
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

    private func end(_ order: Order, _ outcome: Result<MigrationOutcome, any Error>) {
        var error: (any Error)?
        var isFinished = false
        switch outcome {
        case .success(.reached), .success(.finished): isFinished = true
        case .success(.stopped): break
        case .failure(MigrationError.alreadyFinished): isFinished = true
        case .failure(is CancellationError): break
        case .failure(let it): error = it
        }
        let described = error.map(describe)
        var isReplaced = false
        if case .some(CheckpointError.fenced) = error { isReplaced = true }
        state.withLock { state in
            state.progress = state.migration?.board.current ?? state.progress
            state.migration = nil
            if var described {
                described.isRetryable = false
                described.position = described.position ?? state.progress?.position
                state.error = described
            }
            if isFinished || error != nil {
                state.ending = Ending(
                    order: order, isFinished: isFinished, isReplaced: isReplaced)
            }
        }
        if let described {
            logger.error(
                "the subtask has ended",
                metadata: ["code": "\(described.code)", "reason": "\(described.message)"])
        }
    }

    /// What it does now.
    var status: SubtaskStatus {
        let (now, order) = (state.withLock { $0 }, orders.value)
        let progress = now.migration?.board.current ?? now.progress
        var status = SubtaskStatus(
            task: task, source: source, stage: now.stage,
            unit: progress?.phase.unit ?? .check,
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

extension MigrationStatus.Phase {
    fileprivate var unit: SubtaskStatus.Unit {
        switch self {
        case .starting, .checking: .check
        case .schema, .copying, .indexing: .copy
        case .following, .draining, .finishing, .done: .follow
        }
    }
}
