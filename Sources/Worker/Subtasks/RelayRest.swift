internal import Logging
internal import Relay
internal import Runtime
internal import Synchronization

/// The relay log of a source that has gone to another worker, or that nobody runs: it grows no more,
/// and is served, so that the other one gets what it lacks even where the source has purged it.
///
/// Files go a day after they were written, but for what somebody reads, or a subtask may have to read
/// again: that may rest for a week, and nobody else has it. It is kept until the source's worker
/// has it too, the subtask has gone on there, or is over. With the last file that anybody can want
/// this ends.
final class RelayRest: Sendable {
    let source: String
    private let options: SourceRelay.Options
    private let exchange: any RelayExchange
    private let logger: Logger
    private let houseInterval: Duration
    private let isOver = Latch()
    private let orders: Watched<RelayRestOrder>
    private struct State {
        var shown: MigrationStatus.Relay?
        var log: RelayLog?
        /// What the log has warned of, and was said: nobody else looks.
        var warned: Set<String> = []
        /// Whether it has ended since nothing is left that anybody can want.
        var isUseless = false
    }
    private let state = Mutex(State())

    /// The same as copies keep files.
    private static let keepSeconds: Int64 = 86_400

    /// - Parameter houseInterval: how often it is looked whether files can go, if no order comes.
    init(
        source: String, _ options: SourceRelay.Options, order: RelayRestOrder,
        exchange: any RelayExchange, logger: Logger, houseInterval: Duration = .seconds(600)
    ) {
        self.source = source
        self.options = options
        self.exchange = exchange
        self.houseInterval = houseInterval
        orders = Watched(order)
        var logger = logger
        logger[metadataKey: "source"] = "\(source)"
        self.logger = logger
    }

    /// Says what else is known of the source.
    func order(_ order: RelayRestOrder) { orders.set(order) }

    /// Ends it: the source is back, or a copy is to be kept.
    func stop() { isOver.set() }

    /// The relay log that it leaves to whoever has the source in hand next; `nil` when nothing is
    /// left that anybody can want.
    var relayOptions: SourceRelay.Options? { state.withLock { $0.isUseless } ? nil : options }

    /// Serves until ``stop()``, or nothing is left that anybody can want, or the task is cancelled.
    /// What can't be served, the status says so, and it is tried again: subtasks may need it.
    func run() async {
        var backoff = Backoff(first: .milliseconds(200), limit: .seconds(15))
        var known: String?
        while !isOver.isSet, !Task.isCancelled {
            do {
                if try await serve() {
                    state.withLock { $0.isUseless = true }
                    return
                }
            } catch is CancellationError {
                return
            } catch {
                let reason = "\(error)"
                if known != reason {
                    logger.warning(
                        "the relay log can't be kept for others", metadata: ["reason": "\(reason)"])
                }
                known = reason
                showProblem(reason)
                _ = await isOver.wait(upTo: backoff.delay())
            }
        }
    }

    /// Serves the log.
    ///
    /// - Returns: whether nothing is left that anybody can want; else it was stopped.
    private func serve() async throws -> Bool {
        // What the runner had is closed with the last reader of it.
        if RelayArchive.isGone(options.folder) { return true }
        guard let log = try await open() else { return false }
        guard log.contents.contains(where: { !$0.files.isEmpty }) else { return true }
        state.withLock { $0.log = log }
        show(log)
        // Its folder is locked as long as it lives.
        defer { state.withLock { $0.log = nil } }
        exchange.serve(log, as: source)
        defer { exchange.withdraw(source) }
        logger.info(
            "the relay log is kept for others", metadata: ["folder": "\(options.folder)"])
        return try await keepHouse(log)
    }

    /// - Returns: whether nothing is left that anybody can want.
    private func keepHouse(_ log: RelayLog) async throws -> Bool {
        var version = -1
        var next = ContinuousClock.now + min(houseInterval, .seconds(10))
        while !(await isOver.wait(upTo: .milliseconds(500))), !Task.isCancelled {
            let (order, newest) = orders.versioned
            let isDue = ContinuousClock.now >= next
            // Also without another order: what could not be read, or forgotten, may be by now.
            let isAsked = order.tasks != nil && (isDue || newest != version)
            let goesOn = try await withThread("relay-house") {
                log.answerRequests()
                if isAsked {
                    do {
                        try log.forgetNeeds(order)
                    } catch {
                        log.warn("it can't be read who needs what of the relay log: \(error)")
                    }
                    self.show(log)
                }
                return isDue ? self.purge(log) : true
            }
            version = newest
            guard goesOn else { return true }
            if isDue { next = .now + houseInterval }
        }
        return false
    }

    /// - Returns: `nil` when it was stopped before it could be opened.
    private func open() async throws -> RelayLog? {
        var relay = RelayOptions(
            path: options.folder, source: options.source, serverID: options.serverID)
        // Nobody writes.
        relay.windowBytes = 1 << 20
        let wanted = relay
        var delay = Backoff(first: .milliseconds(50), limit: .seconds(1))
        var tries = 0
        while !isOver.isSet, !Task.isCancelled {
            do {
                return try await withThread("control") { try RelayLog(wanted) }
            } catch RelayError.inUse {
                tries += 1
                if tries == 10 {
                    logger.warning(
                        "a relay log that is to be served is written by another process: it waits",
                        metadata: ["folder": "\(options.folder)"])
                }
                _ = await isOver.wait(upTo: delay.delay())
            }
        }
        return nil
    }

    /// Removes old files that nobody needs or reads. What can't be removed, or looked at, is no
    /// reason to serve nobody: it stays until the next look.
    ///
    /// - Returns: whether there is still something that anybody can want.
    private func purge(_ log: RelayLog) -> Bool {
        defer { show(log) }
        do {
            let needers = try log.forgetLostNeeds()
            try log.purge(olderSeconds: Self.keepSeconds)
            if log.isRead || !needers.isEmpty { return true }
            let now = wallClockMicroseconds() / 1_000_000
            return try RelayArchive(path: options.folder).files()
                .contains { $0.changedSeconds + Self.keepSeconds > now }
        } catch RelayError.unusable {
            // Somebody has removed it.
            return false
        } catch {
            log.warn("old files of the relay log can't be removed: \(error)")
            return true
        }
    }

    private func show(_ log: RelayLog) {
        var shown = log.shown
        let unread = orders.value.unreadTasks
        let kept: String
        do {
            let noted = try log.notedNeeds()
            let tasks = Set(noted.files.keys).union(noted.unread.keys).sorted().map { task in
                if let error = noted.unread[task] {
                    return "\(task) (whose note can't be read: \(error))"
                }
                return unread.contains(task) ? "\(task) (whose record can't be read)" : task
            }
            kept = tasks.isEmpty ? "others, for a day" : tasks.joined(separator: ", ")
        } catch {
            kept = "whoever needs them, which can't be read: \(error)"
        }
        shown.state = "ended"
        shown.reason = "this worker does not run the source; files are kept for " + kept
        shown.isCopy = true
        let new = shown
        let warnings = log.status.warnings
        let unsaid = state.withLock { state in
            defer { state.warned.formUnion(warnings) }
            state.shown = new
            return warnings.filter { !state.warned.contains($0) }
        }
        for warning in unsaid {
            logger.warning("the relay log warns", metadata: ["reason": "\(warning)"])
        }
    }

    private func showProblem(_ reason: String) {
        state.withLock { state in
            var shown =
                state.shown
                ?? MigrationStatus.Relay(
                    state: "", reason: nil, bytes: 0, limitBytes: nil, position: nil)
            shown.state = "paused"
            shown.reason = "it can't be kept for others: \(reason)"
            shown.isCopy = true
            state.shown = shown
        }
    }

    /// The log; `nil` before it is served, and afterwards.
    var log: RelayLog? { state.withLock { $0.log } }

    /// How the log is; `nil` before it is served.
    var status: RelayStatus? {
        state.withLock { $0.shown }.map { RelayStatus(source: source, log: $0) }
    }
}

extension RelayLog {
    /// Forgets what nobody needs of this log any more, which is not the one of the source's worker.
    ///
    /// A need that can't be read may name any file that is here, of whichever server: the other one
    /// must have what each of them would need.
    ///
    /// - Throws: when it can't be read who needs what: then nothing is forgotten.
    func forgetNeeds(_ order: RelayRestOrder) throws {
        let noted = try notedNeeds()
        let newest = contents.compactMap { shelf in
            shelf.files.last.map { (server: shelf.folder.server, file: $0.name) }
        }
        let over = try needers.filter { task in
            if let tasks = order.tasks, !tasks.contains(task) { return true }
            guard let holding = order.holding else { return false }
            if let need = noted.files[task] {
                return holding.covers(task, from: need.file, of: need.folder.server)
            }
            guard noted.unread[task] != nil else { return false }
            return newest.allSatisfy { holding.covers(task, from: $0.file, of: $0.server) }
        }
        forgetNeeds(of: over)
    }
}
