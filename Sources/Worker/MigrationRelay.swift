internal import Checkpoint
internal import Glibc
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Relay
internal import Replication
internal import Runtime
internal import Settings
internal import Stream
internal import Synchronization

/// The relay log as one migration sees it: opened before anything is copied, kept running beside
/// whatever the migration does, and told what is still needed.
final class MigrationRelay: Sendable {
    private let settings: MigrationSettings
    private let board: StatusBoard
    private let logger: Logger
    private let relay: SourceRelay
    private let isShared: Bool
    /// What the relay log has done to runs.
    let fences: RelayFences
    private struct State {
        var log: RelayLog?
        var isDecided = false
        var needed: (file: String, server: ServerUUID)?
        var read: (file: String, server: ServerUUID)?
        /// When the log was given up, because it lacked something.
        var bypassed: ContinuousClock.Instant?
        /// How often that was.
        var bypasses = 0
        /// Whether the source has begun to give what is needed, since the log was asked for last.
        var isSourceRead = false
    }
    private let state = Mutex(State())

    /// - Parameters:
    ///   - shared: the source's log, which others read and run too; `nil`: one of its own.
    ///   - fences: told when the log takes the migration over, to see what its target holds.
    ///   - own: the migration's runs, which a log of its own takes over from.
    init(
        settings: MigrationSettings, board: StatusBoard, serverID: UInt32,
        shared: SourceRelay?, fences: RelayFences, own: OwnRuns, logger: Logger
    ) {
        self.settings = settings
        self.fences = fences
        self.board = board
        self.logger = logger
        isShared = shared != nil
        var options = Self.options(settings, serverID: serverID)
        options.checkpoints = { isRead, known in
            guard !known.contains(settings.name) else { return [] }
            return try await withThread("checkpoint") {
                try RelayCheckpoint.read(
                    settings, reads: isRead, fences: fences, policy: { own.policy(over: $0) }
                ).map { [$0] } ?? []
            }
        }
        relay = shared ?? SourceRelay(options, endsWithLog: true, logger: logger)
    }

    /// How a migration's relay log is kept.
    static func options(_ settings: MigrationSettings, serverID: UInt32) -> SourceRelay.Options {
        SourceRelay.Options(
            folder: folder(settings) ?? "", source: settings.source, serverID: serverID,
            limitBytes: settings.relayLimitBytes,
            // Readers take what they need from the window into the memory budget, which counts it.
            windowBytes: min(64 << 20, settings.memoryBudget / 4))
    }

    /// Where events are read from; `nil` for a connection of one's own.
    var events: (any EventSource)? { state.withLock { $0.log } }

    /// Of the log that events are read from: another number means that they are taken back.
    var generation: Int? { state.withLock { $0.log }?.generation }

    /// Whether the log that events are read from gets what its source writes, as far as is known;
    /// a connection of one's own ends the run when it is lost.
    var isConnected: Bool {
        guard let log = state.withLock({ $0.log }) else { return true }
        return log.status.state == .running
    }

    /// Whether events are read from it, or will be.
    var isRead: Bool {
        settings.keepsRelay && state.withLock { !$0.isDecided || $0.log != nil }
    }

    /// Whether the log, open or not, has a file of the source.
    func hasFile(_ name: String) throws -> Bool {
        guard settings.keepsRelay, !relay.folder.isEmpty, RelayArchive.isThere(relay.folder) else {
            return false
        }
        return try RelayArchive(path: relay.folder).files().contains { $0.name == name }
    }

    /// The folder of a migration's relay log; `nil` when none was given and the user has no home:
    /// rows are not written where others could have made the folder first.
    static func folder(
        _ settings: MigrationSettings,
        variable: (String) -> String? = { name in
            unsafe getenv(name).map { unsafe String(cString: $0) }
        }
    ) -> String? {
        if let folder = settings.relayFolder { return folder }
        if let folder = settings.stateFolder { return folder + "/relay" }
        // The XDG base directory specification: relative paths are to be ignored.
        func place(_ name: String) -> String? {
            variable(name).flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        guard let base = place("XDG_STATE_HOME") ?? place("HOME").map({ $0 + "/.local/state" })
        else { return nil }
        let name = settings.name.map { $0.isLetter || $0.isNumber || $0 == "-" ? $0 : "_" }
        return base + "/skein/" + String(name) + "/relay"
    }

    /// Opens the relay log, unless it is open or not wanted, and waits until it is connected.
    ///
    /// - Parameter needed: what the migration has to read again at least; `nil` for one that has
    ///   copied nothing yet.
    func open(needed: SourcePosition?) async throws {
        guard settings.keepsRelay, !state.withLock({ $0.isDecided }) else { return }
        guard Self.folder(settings) != nil else {
            state.withLock { $0.isDecided = true }
            warn(
                "no relay log is kept: HOME is not set, and no --state-dir was given; the source "
                    + "must keep its binlog")
            return
        }
        while try await !isOpened(needed: needed) {
            // What another migration needs is gone. The log that has failed is put away soon.
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Tries to open the relay log.
    ///
    /// - Returns: false when it was opened from a position that another migration needs, and that is
    ///   nowhere.
    private func isOpened(needed: SourcePosition?) async throws -> Bool {
        let opening: SourceRelay.Opening
        state.withLock { $0.isSourceRead = false }
        do {
            opening = try await relay.open(for: settings.name, needed: needed)
        } catch let error as RelayError where !mustHaveRelay(error) {
            // Another migration's readers may hold on to a log that has ended.
            if isShared, case .inUse = error { throw error }
            if isShared, error.isMomentary { throw error }
            // Of one's own, nobody else opens it.
            if isShared { relay.skip(settings.name) }
            state.withLock { $0.isDecided = true }
            warn("no relay log is kept (\(error)); the source must keep its binlog")
            return true
        }
        let log = opening.log
        state.withLock { state in
            state.log = log
            state.read = nil
        }
        show(log)
        do {
            try await log.ready()
        } catch {
            state.withLock { $0.log = nil }
            guard isShared, Self.isMissing(error), !opening.reason.isBlamed(settings.name) else {
                throw error
            }
            return false
        }
        state.withLock { $0.isDecided = true }
        announce(log)
        if let needed {
            do {
                // What an earlier run has noted may be older, and stays for a while.
                try log.need(
                    settings.name, needed.binlog.file, of: needed.origin.server, orOlder: true)
            } catch {
                warn("\(error)")
            }
        } else if let end = log.end, let server = log.server {
            need(end.position.file, of: server)
        }
        return true
    }

    /// Whether neither the log nor the source has what is needed.
    private static func isMissing(_ error: any Error) -> Bool {
        switch error {
        case StreamError.purged, RelayError.missing: true
        default: false
        }
    }

    /// Whether going on without is no choice: the user has named the folder.
    private func mustHaveRelay(_ error: RelayError) -> Bool {
        if case .inUse = error { return false }
        return settings.relayFolder != nil
    }

    private func announce(_ log: RelayLog) {
        let status = log.status
        logger.notice(
            "relay log",
            metadata: [
                "folder": "\(relay.folder)",
                "limit_bytes": "\(status.limitBytes ?? 0)",
            ])
    }

    private func warn(_ text: String) {
        board.update { if !$0.warnings.contains(text) { $0.warnings.append(text) } }
    }

    /// What is not in the shared log is read from the source by a connection of one's own.
    ///
    /// - Returns: whether that is possible.
    func bypass() -> Bool {
        guard isShared, events != nil else { return false }
        // What it has of that stays until the source has begun to give it: see readsDirectly().
        state.withLock { state in
            state.log = nil
            (state.needed, state.read) = (nil, nil)
            state.isSourceRead = false
            state.bypassed = .now
            state.bypasses += 1
        }
        warn(Self.bypassWarning)
        return true
    }

    /// A run that reads the source directly was given something by it. From here on the shared log
    /// need not keep anything for that; before, the source may have been without what is needed,
    /// and the log's files all that is left of it.
    func readsDirectly() {
        let isNew = state.withLock { state in
            guard state.log == nil, !state.isSourceRead else { return false }
            state.isSourceRead = true
            return true
        }
        if isShared, isNew { relay.readsDirectly(settings.name) }
    }

    private static let bypassWarning =
        "the relay log does not reach back far enough: the source is read directly"
    /// How long the source is read directly at least; each time twice as long.
    private static let bypassTime = Duration.seconds(2)

    /// Whether a log that was given up has what is needed by now, or is gone and can begin anew
    /// where that is.
    func isBack(for file: String, of server: ServerUUID) -> Bool {
        let (since, count) = state.withLock { ($0.bypassed, $0.bypasses) }
        guard let since, since.duration(to: .now) > Self.bypassTime * (1 << min(count, 9)) else {
            return false
        }
        guard let log = relay.log else { return true }
        return log.status.state == .running && log.goesOn(from: file, of: server)
    }

    /// Lets the next ``open(needed:)`` try the log again that was given up.
    func reopen() {
        state.withLock { state in
            state.bypassed = nil
            state.isDecided = false
        }
        board.update { status in status.warnings.removeAll { $0 == Self.bypassWarning } }
    }

    /// Runs a log of one's own, and shows how it is, until the task is cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if !isShared { group.addTask { try await self.relay.run() } }
            group.addTask {
                // What it says last is shown too.
                defer { if let log = self.relay.log { self.show(log) } }
                while true {
                    if let log = self.relay.log { self.show(log) }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
            while try await group.next() != nil {}
        }
    }

    private func show(_ log: RelayLog) {
        let relay = log.status
        board.update { status in
            status.relay = relay.shown
            for warning in relay.warnings where !status.warnings.contains(warning) {
                status.warnings.append(warning)
            }
        }
    }

    /// Says what must stay: the file, and all after it.
    func need(_ file: String, of server: ServerUUID) {
        let log = state.withLock { state -> RelayLog? in
            guard state.needed?.file != file || state.needed?.server != server else { return nil }
            state.needed = (file, server)
            return state.log
        }
        do {
            try log?.need(settings.name, file, of: server)
        } catch {
            warn("\(error)")
        }
    }

    /// Says which file everything before is applied: what is needed may be older.
    func hasRead(_ file: String, of server: ServerUUID) {
        let log = state.withLock { state -> RelayLog? in
            guard state.read?.file != file || state.read?.server != server else { return nil }
            state.read = (file, server)
            return state.log
        }
        log?.hasRead(settings.name, file, of: server)
    }

    /// Whether an earlier run has said that it needs an older file, which is still here.
    func needsOlder(than file: String, of server: ServerUUID) -> Bool {
        state.withLock { $0.log }?.needsOlder(settings.name, than: file, of: server) ?? false
    }

    /// The migration is over.
    func forget() {
        state.withLock { $0.log }?.forgetNeeds(of: [settings.name])
    }
}

extension Relay.RelayStatus {
    /// For the status of whoever reads it.
    var shown: MigrationStatus.Relay {
        MigrationStatus.Relay(
            state: state.rawValue, reason: reason, bytes: bytes, limitBytes: limitBytes,
            position: position?.description)
    }
}

extension RelayLog {
    /// For the status of whoever keeps it: with what can't be read of it, which hinders nothing, and
    /// is not to look as if it were not there.
    var shown: MigrationStatus.Relay {
        let status = status
        var shown = status.shown
        if shown.reason == nil, !status.problems.isEmpty {
            shown.reason = status.problems.joined(separator: "; ")
        }
        return shown
    }
}

extension SourceRelay {
    /// How the log is, when there is one.
    var shownStatus: MigrationStatus.Relay? { log?.shown }
}
