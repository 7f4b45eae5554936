internal import MySQLClient
internal import MySQLCore
internal import Replication
internal import Runtime
internal import Settings
internal import Stream

/// Why a run of replication is to end.
enum FollowEnd: Sendable {
    /// The wanted place is reached.
    case reached(String)
    /// The relay log that was given up can be read again.
    case relayIsBack
}

/// Watches replication: brings the status up to date, and tells when the wanted place is reached.
struct FollowGoal: Sendable {
    let settings: MigrationSettings
    let board: StatusBoard
    let progress: ReplicationProgress
    /// The status before this run: counts go on from it.
    let base: MigrationStatus
    /// Told what must stay.
    let relay: MigrationRelay
    /// Where the run ends in any case.
    let end: SourcePosition?
    /// Whether the mark is to be at that very place, as far as file and offset tell it: GTIDs hold
    /// it before events that are none of a transaction are read, and before transactions without one.
    var isExact = false
    /// For how long a run that has nothing to do, and gets nothing, may be short of such a place: what
    /// is left between comes in moments, or never.
    var patience = Duration.seconds(60)
    /// The relay log's when the run began.
    let generation: Int?

    /// Returns when the run is to end; never, when there is no goal.
    ///
    /// - Throws: `StreamError.takenBack` when what the run has read is not to be applied: its reader
    ///   may be busy with a lane that waits.
    func watch() async throws -> FollowEnd {
        var wanted: SourcePosition?
        var rounds = 0
        var asked: ContinuousClock.Instant?
        var floor: PreparedFloor?
        var standstill = Standstill()
        while true {
            try await Task.sleep(for: .milliseconds(100))
            show()
            if let generation, relay.generation.map({ $0 != generation }) ?? false {
                throw StreamError.takenBack
            }
            let now = progress.snapshot
            // Of a log nothing would have come in that way.
            if generation == nil, now.lastReceivedMicroseconds > 0 { relay.readsDirectly() }
            if let needed = now.needed {
                let (file, server) = (needed.position.file, needed.origin.server)
                if floor == nil {
                    floor = PreparedFloor(
                        source: settings.source,
                        isLifted: !relay.needsOlder(than: file, of: server))
                }
                if relay.isBack(for: file, of: server) { return .relayIsBack }
                if try await floor?.isPassed(by: now.mark) == true {
                    relay.need(file, of: server)
                }
            }
            guard let mark = now.mark else { continue }
            relay.hasRead(mark.binlog.file, of: mark.origin.server)
            if let end {
                let isThere =
                    isExact && mark.origin.server == end.origin.server
                    ? mark.binlog >= end.binlog : mark.reaches(end)
                if isThere { return .reached(mark.description) }
                let isIdle = isExact && now.isIdle && relay.isConnected
                if standstill.lasts(
                    patience, at: mark, read: now.read, isIdle: isIdle, now: .now)
                {
                    throw UnreachedPlace(place: end, mark: mark)
                }
                continue
            }
            let until: MigrationSettings.Until =
                settings.finish && settings.until == .stopped ? .caughtUp : settings.until
            switch until {
            case .stopped: continue
            case .position(let position):
                if mark.binlog >= position { return .reached(mark.description) }
            case .gtids(let text):
                if try holds(mark, text) { return .reached(mark.description) }
            case .caughtUp:
                // Everything up to the position read after the copy ended, then, with a lag below
                // a second, everything up to the position read once more.
                if let place = wanted {
                    guard mark.reaches(place), (lag(now) ?? 0) < 1000 else { continue }
                    rounds += 1
                    if rounds == 2 { return .reached(mark.description) }
                }
                if let asked, asked.duration(to: .now) < .milliseconds(200) { continue }
                asked = .now
                wanted = try await sourcePosition()
            }
        }
    }

    private func holds(_ mark: SourcePosition, _ text: String) throws -> Bool {
        switch mark.gtids {
        case .mysql(let set):
            guard let wanted = MySQLGTIDSet(text) else { throw MigrationError.badPosition(text) }
            return set.isSuperset(of: wanted)
        case .mariadb(let position):
            guard let wanted = MariaDBGTIDPosition(text) else {
                throw MigrationError.badPosition(text)
            }
            return position.holds(wanted)
        case .none: throw MigrationError.badPosition(text)
        }
    }

    private func sourcePosition() async throws -> SourcePosition {
        let place = try await withThread("control") {
            try SourceSession(Connection(self.settings.source)).place()
        }
        let text = place.binlog.description
        board.update { $0.sourcePosition = text }
        return place
    }

    /// Milliseconds that the target is behind: nothing when all that came is applied. Not known
    /// while nothing can come, since the relay log has lost its source.
    private func lag(_ now: ReplicationProgress.Snapshot) -> Int64? {
        if now.lastReceivedMicroseconds == 0 || !relay.isConnected { return nil }
        if now.isIdle { return 0 }
        guard now.lastCommitMicroseconds > 0 else { return nil }
        return max(0, (wallClockMicroseconds() - now.lastCommitMicroseconds) / 1000)
    }

    /// Brings the status up to date.
    func show() {
        let now = progress.snapshot
        let lag = lag(now)
        board.update { status in
            status.transactions = base.transactions + now.transactions
            status.rowChanges = base.rowChanges + now.rowChanges
            status.binlogBytes = base.binlogBytes + now.binlogBytes
            status.ddlStatements = base.ddlStatements + now.ddlStatements
            status.retries = max(status.retries, base.retries + now.retries)
            status.lagMilliseconds = lag
            if let mark = now.mark { status.position = mark.description }
            for warning in now.warnings where !status.warnings.contains(warning) {
                status.warnings.append(warning)
            }
        }
    }
}

/// A run has nothing more to do, and is not at the place where it is to end.
struct UnreachedPlace: Error, CustomStringConvertible {
    let place: SourcePosition
    let mark: SourcePosition
    var description: String {
        "everything that the source has is applied up to \(mark), and \(place) is not reached"
    }
}

/// For how long a mark has not moved in a run that has nothing to do, and gets nothing: while a large
/// transaction comes, only what is read of it shows that something does.
struct Standstill {
    private struct Place: Equatable {
        var mark: SourcePosition
        var read: BinlogPosition?
    }
    private var place: Place?
    private var since: ContinuousClock.Instant?

    /// Whether it has not for as long as that.
    ///
    /// - Parameter read: up to where the binlog was read.
    mutating func lasts(
        _ limit: Duration, at mark: SourcePosition, read: BinlogPosition?, isIdle: Bool,
        now: ContinuousClock.Instant
    ) -> Bool {
        let place = Place(mark: mark, read: read)
        guard isIdle, let since, self.place == place else {
            self.place = place
            self.since = isIdle ? now : nil
            return false
        }
        return since.duration(to: now) >= limit
    }
}
