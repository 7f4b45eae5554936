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

/// The relay log of one migration: opened before anything is copied, kept running beside whatever
/// the migration does, and told what is still needed.
final class MigrationRelay: Sendable {
    private let settings: MigrationSettings
    private let board: StatusBoard
    private let serverID: UInt32
    private let logger: Logger
    private let opened = Mailbox<RelayLog>()
    private struct State {
        var log: RelayLog?
        var isDecided = false
        var needed: (file: String, server: ServerUUID)?
    }
    private let state = Mutex(State())

    init(
        settings: MigrationSettings, board: StatusBoard, serverID: UInt32, logger: Logger
    ) {
        self.settings = settings
        self.board = board
        self.serverID = serverID
        self.logger = logger
    }

    /// Where events are read from; `nil` for a connection of one's own.
    var events: (any EventSource)? { state.withLock { $0.log } }

    /// The folder of a migration's relay log.
    static func folder(_ settings: MigrationSettings) -> String {
        if let folder = settings.relayFolder { return folder }
        if let folder = settings.stateFolder { return folder + "/relay" }
        func variable(_ name: String) -> String? {
            unsafe getenv(name).map { unsafe String(cString: $0) }
        }
        let base =
            variable("XDG_STATE_HOME") ?? (variable("HOME") ?? "/var/tmp") + "/.local/state"
        let name = settings.name.map { $0.isLetter || $0.isNumber || $0 == "-" ? $0 : "_" }
        return base + "/skein/" + String(name) + "/relay"
    }

    /// Opens the relay log, unless it is open or not wanted, and waits until it is connected.
    ///
    /// - Parameter needed: what the migration has to read again at least; `nil` for one that has
    ///   copied nothing yet.
    func open(needed: SourcePosition?) async throws {
        guard settings.keepsRelay, !state.withLock({ $0.isDecided }) else { return }
        var options = RelayOptions(
            path: Self.folder(settings), source: settings.source, serverID: serverID)
        // Readers take what they need from the window into the memory budget, which counts it.
        options.windowBytes = min(64 << 20, settings.memoryBudget / 4)
        options.keepSeconds = 3600
        if let needed {
            options.start = .from(
                needed.binlog, of: needed.origin.server, gtids: needed.gtids)
        }
        let log: RelayLog
        do {
            let path = options.path
            let limit = settings.relayLimitBytes
            let start = options
            log = try await withThread("control") {
                var options = start
                options.limitBytes = try limit.map { UInt64($0) } ?? RelayLog.defaultLimit(path)
                return try RelayLog(options)
            }
        } catch let error as RelayError where !mustHaveRelay(error) {
            state.withLock { $0.isDecided = true }
            warn("no relay log is kept (\(error)); the source must keep its binlog")
            return
        }
        state.withLock { state in
            state.log = log
            state.isDecided = true
        }
        opened.send(log)
        try await log.ready()
        announce(log)
        if let needed {
            need(needed.binlog.file, of: needed.origin.server)
        } else if let end = log.end, let server = log.server {
            need(end.position.file, of: server)
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
                "folder": "\(Self.folder(settings))",
                "limit_bytes": "\(status.limitBytes ?? 0)",
            ])
    }

    private func warn(_ text: String) {
        board.update { if !$0.warnings.contains(text) { $0.warnings.append(text) } }
    }

    /// Runs the log once it is opened, until its task is cancelled.
    func run() async throws {
        let log = try await opened.next()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await log.run() }
            group.addTask {
                while true {
                    self.show(log)
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
            while try await group.next() != nil {}
        }
    }

    private func show(_ log: RelayLog) {
        let relay = log.status
        board.update { status in
            status.relay = MigrationStatus.Relay(
                state: relay.state.rawValue, reason: relay.reason, bytes: relay.bytes,
                limitBytes: relay.limitBytes, position: relay.position?.description)
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

    /// The migration is over.
    func forget() {
        try? state.withLock({ $0.log })?.forgetNeed(settings.name)
    }
}
