internal import MySQLCore
public import Stream

/// A subtask that the relay log is kept for, as its target shows it.
public struct RelayCheckpoint: Sendable {
    /// What the target holds. Unless the subtask reads the log that is all that it will ever hold
    /// of what was read so far: no run that read it can commit any more.
    public var held: HeldTransactions
    /// Whether the subtask reads the log, and says itself what its target holds before it reads
    /// on (``RelayLog/settle(_:)``): until then its last run may still write.
    public var isReading: Bool

    /// Makes a checkpoint.
    public init(_ held: HeldTransactions, isReading: Bool) {
        self.held = held
        self.isReading = isReading
    }
}

/// A target could not be asked; others were, and need not be asked again.
public struct UnansweredTarget: Error, CustomStringConvertible {
    /// What the others hold.
    public let answered: [RelayCheckpoint]
    /// Which one could not be asked, and why.
    public let description: String

    /// Makes an error.
    public init(answered: [RelayCheckpoint], description: String) {
        self.answered = answered
        self.description = description
    }
}

/// What the log has and the source has lost: everything behind a place.
struct Surplus {
    /// Where the two part. Everything before is the same in both.
    var place: WindowPlace
    /// The server that the place is of.
    var server: ServerUUID?
    /// What is before the place.
    var common: GTIDState
    /// What the log has.
    var all: GTIDState

    /// Whether a target holds something of it.
    func isHeld(_ held: HeldTransactions) -> Bool {
        held.positions.contains(where: reaches)
            || held.others.members.contains { holds($0.key, $0.value) }
    }

    /// Whether a position lies in it. GTIDs count where there are any: a position can lie behind
    /// the place and all that is in between be no transaction.
    private func reaches(_ position: SourcePosition) -> Bool {
        switch (position.gtids, common, all) {
        case (.mysql(let mine), .mysql(let common), .mysql(var lost)):
            lost.subtract(common)
            return !lost.intersection(mine).isEmpty
        case (.mariadb(let mine), .mariadb(let common), .mariadb(let all)):
            return all.last.contains { domain, last in
                let first = common.last[domain]?.sequence ?? 0
                return last.sequence > first && (mine.last[domain]?.sequence ?? 0) > first
            }
        case (.none, _, _):
            return position.origin.server != server || position.binlog > place.position
        // What can't be compared may be held.
        default: return true
        }
    }

    private func holds(_ stream: IdentityStream, _ numbers: IntervalSet) -> Bool {
        switch (stream, common, all) {
        case (.mysql(let uuid, let tag), .mysql(let common), .mysql(var lost)):
            lost.subtract(common)
            let key = MySQLGTIDSet.Key(uuid: uuid, tag: tag)
            guard let lost = lost.members[key] else { return false }
            // What this log has lost itself, when the machine did, is no less lost to the source.
            let end = common.members[key]?.intervals.last?.upperBound ?? 0
            return !lost.intersection(numbers).isEmpty
                || (numbers.intervals.last?.upperBound ?? 0) > end
        case (.mariadb(let domain, _), .mariadb(let common), _):
            return (numbers.intervals.last?.upperBound ?? 0)
                > (common.last[domain]?.sequence ?? 0)
        case (.file(let origin, let file), _, _):
            let last = numbers.intervals.last?.upperBound ?? 0
            return origin.server != server
                || BinlogPosition(file: file, offset: last) >= place.position
        default: return true
        }
    }
}

extension HeldTransactions {
    /// For people: what the target has.
    var words: String {
        var text = positions.map(\.description).joined(separator: " and ")
        if text.isEmpty { text = "nothing" } else { text = "everything up to \(text)" }
        if !others.isEmpty { text += " and \(others.count) transactions behind that" }
        return "target \(target) of task \(task) has applied \(text)"
    }
}
