internal import Logging
internal import Relay
internal import Runtime
internal import Settings
internal import Synchronization

/// Keeps a copy of the relay log of a source that another worker runs: it reads from that worker,
/// not from the source, so that neither a lost machine nor a purge at the source loses binlog.
final class RelayCopyRunner: Sendable {
    private struct State {
        var log: RelayLog?
        var problem: String?
        /// The copy that is here, also when it is not open.
        var here: SourceRelay.Options?
    }
    let source: String
    private let folder: String
    private let exchange: any RelayExchange
    private let logger: Logger
    private let orders: Watched<RelayCopyOrder?>
    private let rests: Watched<RelayRestOrder>
    private let state = Mutex(State())

    /// Files that were closed longer ago go; what subtasks need of them is only known of the time
    /// when the source ran here.
    private static let keepSeconds: Int64 = 86_400

    /// - Parameters:
    ///   - rest: what is known of those who needed something of it when the source ran here.
    ///   - folder: for the copy, unless the source's settings name one.
    init(
        source: String, order: RelayCopyOrder, rest: RelayRestOrder, folder: String,
        exchange: any RelayExchange, logger: Logger
    ) {
        self.source = source
        self.folder = folder
        self.exchange = exchange
        var logger = logger
        logger[metadataKey: "source"] = "\(source)"
        self.logger = logger
        orders = Watched(order)
        rests = Watched(rest)
        let here = (try? order.settings.get()).map { Self.place($0, folder) }
        if let here, RelayArchive.isThere(here.folder) { state.withLock { $0.here = here } }
    }

    /// Where a copy is, or will be.
    private static func place(_ settings: SourceSettings, _ folder: String) -> SourceRelay.Options {
        SourceRelay.Options(
            folder: settings.relayFolder ?? folder, source: settings.server,
            serverID: settings.serverID != 0
                ? settings.serverID : UInt32.random(in: 0x4000_0000...0x7FFF_FFFF))
    }

    /// The copy that it leaves to whoever has the source in hand next; `nil`: it has none.
    var relayOptions: SourceRelay.Options? { state.withLock { $0.here } }

    /// Gives another order; without one, it ends.
    func order(_ order: RelayCopyOrder?) { orders.set(order) }

    /// Says what else is known of the source.
    func keep(_ rest: RelayRestOrder) { rests.set(rest) }

    /// Copies until there is no order any more, or the task is cancelled.
    func run() async {
        var backoff = Backoff(first: .milliseconds(200), limit: .seconds(15))
        while !Task.isCancelled {
            let (order, version) = orders.versioned
            guard let order else { return }
            do {
                try await copy(order) { backoff.reset() }
            } catch is CancellationError {
                // Another order, or none.
                continue
            } catch {
                state.withLock { $0.problem = "\(error)" }
                logger.warning("the relay log can't be copied", metadata: ["reason": "\(error)"])
            }
            await waiting(for: backoff.delay(), unlessAfter: version)
        }
    }

    /// Sleeps, but not through another order.
    private func waiting(for delay: Duration, unlessAfter version: Int) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await Task.sleep(for: delay) }
            group.addTask { await self.orders.change(after: version) }
            await group.next()
            group.cancelAll()
        }
    }

    private func copy(_ order: RelayCopyOrder, _ succeeded: () -> Void) async throws {
        let settings = try order.settings.get()
        let original = try exchange.connection(to: order.original.address, source: source)
        let place = Self.place(settings, folder)
        var options = RelayOptions(
            path: place.folder, source: place.source, serverID: place.serverID)
        options.original = original
        options.keepSeconds = Self.keepSeconds
        // No target is written from it: it goes back with its source.
        options.checkpoints = { _, _ in [] }
        // It has no readers of its own but those that catch up.
        options.windowBytes = 8 << 20
        let (base, limit) = (options, settings.relayLimitBytes)
        let log = try await withThread("control") {
            var options = base
            options.limitBytes = try limit.map { UInt64($0) } ?? RelayLog.defaultLimit(options.path)
            return try RelayLog(options)
        }
        let before = state.withLock { state in
            defer { state = State(log: log, problem: nil, here: place) }
            return state.here
        }
        if let before, before.folder != place.folder {
            logger.warning(
                "the copy of the relay log has another folder now; the one before is not read",
                metadata: ["folder": "\(before.folder)"])
        }
        exchange.serve(log, as: source)
        defer {
            exchange.withdraw(source)
            state.withLock { $0.log = nil }
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await original.run()
                return false
            }
            group.addTask {
                try await log.run()
                return false
            }
            group.addTask {
                try await log.ready()
                return true
            }
            group.addTask { try await self.keepRoom(log) }
            group.addTask {
                while true {
                    let (now, version) = self.orders.versioned
                    guard now?.continues(order) == true else { throw CancellationError() }
                    await self.orders.change(after: version)
                    try Task.checkCancellation()
                }
            }
            defer { group.cancelAll() }
            while let isReady = try await group.next() {
                guard isReady else { continue }
                succeeded()
                logger.info(
                    "the relay log is copied", metadata: ["from": "\(order.original.worker)"])
            }
        }
    }

    /// Lets go what subtasks needed when the source ran here, once nobody needs it of this copy; and
    /// when the copy has to pause at its limit: to be no copy any more helps nobody.
    private func keepRoom(_ log: RelayLog) async throws -> Bool {
        var warned: Set<String> = []
        while true {
            try await Task.sleep(for: .seconds(1))
            // Nobody else looks.
            for warning in log.status.warnings where warned.insert(warning).inserted {
                logger.warning("the relay log warns", metadata: ["reason": "\(warning)"])
            }
            do {
                guard !(try log.needers.isEmpty) else { continue }
                try log.forgetNeeds(rests.value)
                let status = log.status
                guard status.state == .paused, status.needsRoom else { continue }
                // Also one of a file that was removed by force, or that can't be read: it holds up
                // all that follows.
                for task in try log.giveUpNeeds(of: { $0 }).sorted() {
                    logger.warning(
                        "the relay log's copy is at its limit, and gives up what a task needs",
                        metadata: ["task": "\(task)"])
                }
            } catch {
                // Perhaps it is known at the next look.
                log.warn("it can't be read who needs what of the relay log's copy: \(error)")
            }
        }
    }

    /// How the copy is.
    var status: RelayStatus {
        let (log, problem) = state.withLock { ($0.log, $0.problem) }
        var shown =
            log?.shown
            ?? MigrationStatus.Relay(
                state: "connecting", reason: problem, bytes: 0, limitBytes: nil, position: nil)
        shown.isCopy = true
        return RelayStatus(source: source, log: shown)
    }
}
