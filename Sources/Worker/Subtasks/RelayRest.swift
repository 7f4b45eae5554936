internal import Logging
internal import Relay
internal import Runtime
internal import Synchronization

/// The relay log of a source that has gone to another worker: it grows no more, and is served, so that
/// the other one gets what it lacks even where the source has purged it. Files go a day after they
/// were written; with the last one this ends.
final class RelayRest: Sendable {
    let source: String
    private let options: SourceRelay.Options
    private let exchange: any RelayExchange
    private let logger: Logger
    private let isOver = Latch()
    private let shown = Mutex<MigrationStatus.Relay?>(nil)

    /// The same as copies keep files.
    private static let keepSeconds: Int64 = 86_400
    private static let houseInterval = Duration.seconds(600)

    init(
        source: String, _ options: SourceRelay.Options, exchange: any RelayExchange, logger: Logger
    ) {
        self.source = source
        self.options = options
        self.exchange = exchange
        var logger = logger
        logger[metadataKey: "source"] = "\(source)"
        self.logger = logger
    }

    /// Ends it: the source is back, or a copy is to be kept.
    func stop() { isOver.set() }

    /// Serves until ``stop()``, or nothing is left, or the task is cancelled.
    func run() async {
        do {
            // What the runner had is closed with the last reader of it.
            guard let log = try await open() else { return }
            shown.withLock { $0 = log.shown }
            exchange.serve(log, as: source)
            defer { exchange.withdraw(source) }
            logger.info(
                "the relay log is kept for others", metadata: ["folder": "\(options.folder)"])
            while await !isOver.isSet(within: Self.houseInterval), !Task.isCancelled {
                guard try await purge() else { return }
            }
        } catch {
            logger.warning(
                "the relay log can't be kept for others", metadata: ["reason": "\(error)"])
        }
    }

    private func open() async throws -> RelayLog? {
        var relay = RelayOptions(
            path: options.folder, source: options.source, serverID: options.serverID)
        // Nobody writes.
        relay.windowBytes = 1 << 20
        let wanted = relay
        while !isOver.isSet, !Task.isCancelled {
            do {
                let log = try await withThread("control") { try RelayLog(wanted) }
                return log.contents.contains { !$0.files.isEmpty } ? log : nil
            } catch RelayError.inUse {
                _ = await isOver.isSet(within: .milliseconds(50))
            }
        }
        return nil
    }

    /// Removes old files.
    ///
    /// - Returns: whether any is left that is not old.
    private func purge() async throws -> Bool {
        try await withThread("relay-house") {
            let archive = try RelayArchive(path: self.options.folder)
            let now = wallClockMicroseconds() / 1_000_000
            // Needs are those of subtasks that write them down elsewhere now.
            _ = try archive.purge(
                before: nil, olderSeconds: Self.keepSeconds, isForced: true, now: now)
            return archive.files().contains { $0.changedSeconds + Self.keepSeconds > now }
        }
    }

    /// How the log is; `nil` before it is served.
    var status: RelayStatus? {
        guard var relay = shown.withLock({ $0 }) else { return nil }
        relay.state = "ended"
        relay.reason = "the source has gone to another worker"
        relay.isCopy = true
        return RelayStatus(source: source, log: relay)
    }
}

extension Latch {
    /// Returns when it is set, or after a while.
    ///
    /// - Returns: whether it is set.
    fileprivate func isSet(within limit: Duration) async -> Bool {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
        return isSet
    }
}
