internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Relay
internal import Runtime
internal import Synchronization

/// A source's relay log in this process: one, however many migrations read it.
///
/// It is opened by the first migration that asks, from the lowest position that any of those that
/// are expected needs.
final class SourceRelay: Sendable {
    /// Where and how large.
    struct Options: Sendable {
        var folder: String
        var source: ConnectionOptions
        var serverID: UInt32
        var limitBytes: Int?
        var windowBytes = 64 << 20
    }

    private struct State {
        var log: RelayLog?
        var opening: Awaited<RelayLog>?
        /// Who will ask, as far as is known.
        var expected: Set<String> = []
        /// Who may still need the log one day; `nil`: that is not known.
        var readers: Set<String>?
        /// Who has asked, and from where on they must read.
        var asked: [String: SourcePosition?] = [:]
    }
    private let options: Options
    /// Whether what ends the log ends ``run()``; else the next one who asks opens it anew.
    private let endsWithLog: Bool
    private let logger: Logger
    private let opened = Mailbox<RelayLog>()
    private let state = Mutex(State())

    /// How long the first one waits for the others that are expected.
    private static let gathering = Duration.seconds(1)

    init(_ options: Options, endsWithLog: Bool, logger: Logger) {
        self.options = options
        self.endsWithLog = endsWithLog
        self.logger = logger
    }

    var folder: String { options.folder }
    /// The log, when it is open.
    var log: RelayLog? { state.withLock { $0.log } }

    /// Says who will ask for the log, so that it is opened from the lowest position, and who may
    /// need it at all: what others have needed is forgotten.
    func expect(_ names: Set<String>, of readers: Set<String>) {
        let (log, gone) = state.withLock { state in
            let gone = state.readers?.subtracting(readers) ?? []
            state.expected = names
            state.readers = readers
            return (state.log, gone)
        }
        for name in gone { try? log?.forgetNeed(name) }
    }

    /// The log, opened if need be; it may not be connected yet.
    ///
    /// - Parameter needed: what the migration has to read again at least; `nil` for one that has
    ///   copied nothing yet.
    func open(for name: String, needed: SourcePosition?) async throws -> RelayLog {
        let fresh = Awaited<RelayLog>()
        let (log, opening) = state.withLock { state in
            state.asked[name] = .some(needed)
            if state.log == nil, state.opening == nil {
                state.opening = fresh
                return (nil, fresh) as (RelayLog?, Awaited<RelayLog>?)
            }
            return (state.log, state.opening)
        }
        if let log { return log }
        guard let opening, opening === fresh else {
            if let opening { return try await opening.value(meanwhile: {}) }
            return try await open(for: name, needed: needed)
        }
        do {
            let log = try await open()
            state.withLock { state in
                state.log = log
                state.opening = nil
                state.asked = [:]
            }
            opening.give(.success(log))
            opened.send(log)
            return log
        } catch {
            state.withLock { $0.opening = nil }
            opening.give(.failure(error))
            throw error
        }
    }

    private func open() async throws -> RelayLog {
        let deadline = ContinuousClock.now + Self.gathering
        while !state.withLock({ $0.expected.isSubset(of: $0.asked.keys) }),
            ContinuousClock.now < deadline
        {
            try await Task.sleep(for: .milliseconds(10))
        }
        var relay = RelayOptions(
            path: options.folder, source: options.source, serverID: options.serverID)
        relay.windowBytes = options.windowBytes
        relay.keepSeconds = 3600
        if let lowest = lowest() {
            relay.start = .from(lowest.binlog, of: lowest.origin.server, gtids: lowest.gtids)
        }
        let (start, limit) = (relay, options.limitBytes)
        let (readers, asked) = state.withLock { ($0.readers, $0.asked) }
        return try await withThread("control") {
            var options = start
            options.limitBytes = try limit.map { UInt64($0) } ?? RelayLog.defaultLimit(options.path)
            let log = try RelayLog(options)
            try Self.settle(asked, in: log)
            if let readers, let files = try? RelayArchive(path: options.path).files() {
                // Of tasks that went away while this worker did not look.
                let needs = Set(files.flatMap(\.neededBy))
                for name in needs.subtracting(readers) { try log.forgetNeed(name) }
            }
            return log
        }
    }

    /// Those who ask know better than what they once wrote down: a need of the time before the source
    /// was somewhere else would keep, and fetch, everything since. Needs of those who do not ask,
    /// because they are paused, stay, and the log goes on from them.
    private static func settle(_ asked: [String: SourcePosition?], in log: RelayLog) throws {
        for (name, position) in asked {
            if let position, log.holds(position.binlog.file, of: position.origin.server) {
                try log.need(
                    name, position.binlog.file, of: position.origin.server, orOlder: true)
            } else {
                try log.forgetNeed(name)
            }
        }
    }

    /// Of positions that can't be compared, after a failover of the source, any: who misses
    /// something then reads it from the source.
    private func lowest() -> SourcePosition? {
        state.withLock { $0.asked.values.compactMap { $0 } }.reduce(nil) { lowest, position in
            guard let lowest else { return position }
            return (try? lowest.lower(position)) ?? lowest
        }
    }

    /// Runs the log whenever there is one, until the task is cancelled.
    func run() async throws {
        while true {
            let log = try await opened.next()
            do {
                try await log.run()
            } catch {
                try Task.checkCancellation()
                if endsWithLog { throw error }
                logger.error("the relay log has ended", metadata: ["reason": "\(error)"])
            }
            state.withLock { if $0.log === log { $0.log = nil } }
        }
    }
}
