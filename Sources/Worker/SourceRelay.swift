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
        /// Makes the connections to other workers that keep the source's relay log.
        var peers: @Sendable () -> [any RelayConnection] = { [] }
        /// Asks the targets of all who may need the log what they have applied.
        var checkpoints:
            (@Sendable (_ isRead: Bool, _ known: Set<String>) async throws -> [RelayCheckpoint])?
        /// Told of a log that is open, and of its end.
        var opened: @Sendable (RelayLog?) -> Void = { _ in }
    }

    private struct State {
        var log: RelayLog?
        var opening: Awaited<Opening>?
        /// Who will ask, as far as is known.
        var expected: Set<String> = []
        /// Who may still need the log one day, as it was known last; `nil`: it never was.
        var readers: Set<String>?
        /// Whether that is known now: what nobody is known to need may be forgotten.
        var isReadersKnown = false
        /// Whether all is forgotten that nobody was known to need at the last look.
        var isSwept = true
        /// Who has asked since the last log was opened, and from where on they must read. What they
        /// asked for then says nothing any more: they have gone on.
        var asked: [String: SourcePosition?] = [:]
        /// Who the log was opened for.
        var reason = Reason()
        /// Who reads the source directly: that has begun to give what they need.
        var skipping: Set<String> = []
    }
    /// Who a log was opened for, and from where on.
    struct Reason: Sendable {
        fileprivate var asked: [String: SourcePosition?] = [:]
        fileprivate var lowest: SourcePosition?

        /// Whether a log that could not begin, since neither it nor the source has what is needed,
        /// has failed because of what one migration needs. The others need not share its end: the
        /// next log is opened without it.
        func isBlamed(_ name: String) -> Bool {
            guard let lowest else { return true }
            guard let position = asked[name] ?? nil else { return false }
            return position.origin.server == lowest.origin.server
                && position.binlog.file == lowest.binlog.file
        }
    }
    /// A log, and who it was opened for.
    struct Opening: Sendable {
        let log: RelayLog
        let reason: Reason
    }
    private let options: Options
    /// Whether what ends the log ends ``run()``; else the next one who asks opens it anew.
    private let endsWithLog: Bool
    private let logger: Logger
    /// A log, and the workers that it may be fetched from.
    private struct Opened: Sendable {
        let log: RelayLog
        let reason: Reason
        let peers: [any RelayConnection]
    }
    private let opened = Mailbox<Opened>()
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
    ///
    /// - Parameter readers: `nil` while that is not known: nothing is forgotten then.
    func expect(_ names: Set<String>, of readers: Set<String>?) {
        let (log, known) = state.withLock { state in
            state.expected = names
            state.asked = state.asked.filter { names.contains($0.key) }
            // One that has ended, or rests, reads nothing: its files are kept again.
            state.skipping.formIntersection(names)
            let known = state.isReadersKnown && state.isSwept ? state.readers : nil
            state.isReadersKnown = readers != nil
            state.readers = readers ?? state.readers
            return (state.log, known)
        }
        guard let readers, let log else { return }
        var isSwept = false
        do {
            // Some may have come and gone while it was not known: all needs are looked at then.
            let over = try (known ?? log.needers).subtracting(readers)
            isSwept = log.forgetNeeds(of: over) == over
        } catch {
            log.warn("it can't be read who needs what of the relay log: \(error)")
        }
        let isDone = isSwept
        state.withLock { $0.isSwept = isDone }
    }

    /// The log, opened if need be; it may not be connected yet.
    ///
    /// - Parameter needed: what the migration has to read again at least; `nil` for one that has
    ///   copied nothing yet.
    func open(for name: String, needed: SourcePosition?) async throws -> Opening {
        while true {
            let fresh = Awaited<Opening>()
            let (known, opening) = state.withLock { state in
                state.skipping.remove(name)
                if let log = state.log {
                    return (Opening(log: log, reason: state.reason), nil)
                        as (Opening?, Awaited<Opening>?)
                }
                state.asked[name] = .some(needed)
                if state.opening == nil { state.opening = fresh }
                return (nil, state.opening)
            }
            if let known { return known }
            if opening === fresh { return try await begin(fresh) }
            do {
                if let opening { return try await opening.value(meanwhile: {}) }
            } catch is CancellationError {
                // The one who opened it was stopped, not this one.
                try Task.checkCancellation()
            }
        }
    }

    /// A migration is to read the source directly, since the log can't be opened. What it needs of
    /// the files stays until ``readsDirectly(_:)``: the source may not have that any more.
    func skip(_ name: String) {
        // The next log is not to begin where this one would have.
        state.withLock { $0.asked[name] = nil }
    }

    /// The source itself has begun to give a migration what it needs, which goes on so until it asks
    /// for the log again: others may have opened that, or do so later, and nobody would say when it
    /// need not keep anything for this one any more.
    func readsDirectly(_ name: String) {
        state.withLock { state in
            state.skipping.insert(name)
            state.log?.forgetNeeds(of: [name])
        }
    }

    private func begin(_ opening: Awaited<Opening>) async throws -> Opening {
        do {
            let fresh = try await open()
            let made = state.withLock { state in
                state.log = fresh.log
                state.opening = nil
                state.reason = fresh.reason
                state.asked = [:]
                // Before the log can be had: who asks for it again notes anew what it needs.
                fresh.log.forgetNeeds(of: state.skipping)
                return Opening(log: fresh.log, reason: fresh.reason)
            }
            opening.give(.success(made))
            opened.send(fresh)
            return made
        } catch {
            state.withLock { $0.opening = nil }
            opening.give(.failure(error))
            throw error
        }
    }

    private func open() async throws -> Opened {
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
        let peers = options.peers()
        relay.peers = peers
        relay.checkpoints = options.checkpoints
        let (readers, asked) = state.withLock {
            ($0.isReadersKnown ? $0.readers : nil, $0.asked)
        }
        let lowest = Self.lowest(asked)
        if let lowest {
            relay.start = .from(lowest.binlog, of: lowest.origin.server, gtids: lowest.gtids)
        }
        let (start, limit) = (relay, options.limitBytes)
        let (log, isSwept) = try await withThread("control") {
            var options = start
            options.limitBytes = try limit.map { UInt64($0) } ?? RelayLog.defaultLimit(options.path)
            let log = try RelayLog(options)
            try Self.settle(asked, in: log)
            guard let readers else { return (log, true) }
            // Of tasks that went away while this worker did not look. When it can't be read who that
            // is the log does not open, like one whose files can't be read.
            let over = try log.needers.subtracting(readers)
            return (log, log.forgetNeeds(of: over) == over)
        }
        state.withLock { $0.isSwept = isSwept }
        return Opened(log: log, reason: Reason(asked: asked, lowest: lowest), peers: peers)
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
                log.forgetNeeds(of: [name])
            }
        }
    }

    /// Of positions that can't be compared, after a failover of the source, any: who misses
    /// something then reads it from the source.
    private static func lowest(_ asked: [String: SourcePosition?]) -> SourcePosition? {
        asked.values.compactMap { $0 }.reduce(nil) { lowest, position in
            guard let lowest else { return position }
            return (try? lowest.lower(position)) ?? lowest
        }
    }

    /// Forgets what migrations need that do not run, where that makes room; blocks.
    ///
    /// - Parameter names: as of `RelayLog.giveUpNeeds(of:)`.
    /// - Returns: those that have lost something.
    func giveUpNeeds(of names: (_ needers: Set<String>) -> Set<String>) throws -> Set<String> {
        try log?.giveUpNeeds(of: names) ?? []
    }

    private func run(_ opened: Opened) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for peer in opened.peers {
                group.addTask {
                    // Who is not there is left out.
                    try? await peer.run()
                    return false
                }
            }
            group.addTask {
                try await opened.log.run()
                return true
            }
            defer { group.cancelAll() }
            while let isOver = try await group.next() { if isOver { return } }
        }
    }

    /// Runs the log whenever there is one, until the task is cancelled.
    func run() async throws {
        while true {
            let next = try await opened.next()
            let log = next.log
            // Also when this is cancelled: the folder is locked as long as the log lives.
            defer { state.withLock { if $0.log === log { $0.log = nil } } }
            do {
                options.opened(log)
                defer { options.opened(nil) }
                try await run(next)
            } catch {
                try Task.checkCancellation()
                if endsWithLog { throw error }
                logger.error("the relay log has ended", metadata: ["reason": "\(error)"])
            }
        }
    }
}
