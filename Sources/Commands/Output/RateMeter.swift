internal import Worker

/// Speeds, and what they promise, from successive statuses of a migration.
///
/// Speeds are means over the last ten seconds: long enough not to jump with every chunk, short
/// enough to show a stall. Time comes from the caller, in nanoseconds of any steady clock.
struct RateMeter: Sendable {
    /// Speeds now.
    struct Rates: Sendable, Equatable {
        /// Rows copied a second.
        var rows = 0.0
        /// Bytes copied a second.
        var bytes = 0.0
        /// Source transactions applied a second.
        var transactions = 0.0
        /// Row changes applied a second.
        var rowChanges = 0.0
        /// Bytes of binlog read a second.
        var binlogBytes = 0.0
    }

    /// How long it may still take.
    enum TimeLeft: Sendable, Equatable {
        /// Nothing can be said yet, or nothing is left.
        case unknown
        /// Nothing moves: no speed to divide by.
        case stalled
        /// About so many seconds, if the estimates and the speed hold.
        case about(seconds: Int64)
        /// At least so many seconds: some tables have more rows than was estimated.
        case atLeast(seconds: Int64)
        /// The lag grows: at this rate the target never catches up.
        case fallingBehind
    }

    private struct Sample {
        var time: UInt64
        var rows: UInt64
        var bytes: UInt64
        var transactions: UInt64
        var rowChanges: UInt64
        var binlogBytes: UInt64
        var lagMilliseconds: Int64?
        var phase: MigrationStatus.Phase
    }

    private static let window: UInt64 = 10_000_000_000
    private var samples: [Sample] = []
    private var copyBegan: UInt64?
    private var last: MigrationStatus?

    /// Makes a meter that has seen nothing.
    init() {}

    /// Takes the status at a time that is not before the last one's.
    mutating func add(_ status: MigrationStatus, at time: UInt64) {
        if status.phase == .copying, copyBegan == nil { copyBegan = time }
        // Another phase has other speeds; a counter that shrinks began anew (a copy started over).
        let sample = Sample(
            time: time, rows: status.copiedRows, bytes: status.copiedBytes,
            transactions: status.transactions, rowChanges: status.rowChanges,
            binlogBytes: status.binlogBytes, lagMilliseconds: status.lagMilliseconds,
            phase: status.phase)
        if let previous = samples.last,
            previous.phase != sample.phase || previous.rows > sample.rows
                || previous.bytes > sample.bytes || previous.transactions > sample.transactions
        {
            samples.removeAll()
        }
        samples.append(sample)
        // One sample older than the window stays, so that the window is always covered.
        while samples.count > 2, time - samples[1].time >= Self.window { samples.removeFirst() }
        last = status
    }

    /// The speeds over the window.
    var rates: Rates {
        guard let first = samples.first, let last = samples.last, last.time > first.time else {
            return Rates()
        }
        let seconds = Double(last.time - first.time) / 1e9
        func rate(_ key: KeyPath<Sample, UInt64>) -> Double {
            last[keyPath: key] > first[keyPath: key]
                ? Double(last[keyPath: key] - first[keyPath: key]) / seconds : 0
        }
        return Rates(
            rows: rate(\.rows), bytes: rate(\.bytes), transactions: rate(\.transactions),
            rowChanges: rate(\.rowChanges), binlogBytes: rate(\.binlogBytes))
    }

    /// How long the present phase may still take: the copy by rows, the catching up by how the
    /// lag shrinks. Nothing is said in the first five seconds and below one percent.
    var timeLeft: TimeLeft {
        guard let status = last, let newest = samples.last else { return .unknown }
        switch status.phase {
        case .copying: return copyTimeLeft(status, newest.time)
        case .following, .draining: return catchUpTimeLeft(newest)
        default: return .unknown
        }
    }

    private func copyTimeLeft(_ status: MigrationStatus, _ now: UInt64) -> TimeLeft {
        guard let copyBegan, now - copyBegan >= 5_000_000_000 else { return .unknown }
        var left: UInt64 = 0
        var exceeded = false
        for table in status.tables where !table.isDone {
            if table.rows >= table.estimatedRows {
                exceeded = exceeded || table.rows > 0
            } else {
                left += table.estimatedRows - table.rows
            }
        }
        guard left > 0, status.copiedRows > (status.copiedRows + left) / 100 else {
            return .unknown
        }
        let speed = rates.rows
        guard speed > 0 else { return .stalled }
        let seconds = Int64((Double(left) / speed).rounded(.up))
        return exceeded ? .atLeast(seconds: seconds) : .about(seconds: seconds)
    }

    private func catchUpTimeLeft(_ newest: Sample) -> TimeLeft {
        guard let oldest = samples.first(where: { $0.lagMilliseconds != nil }),
            let before = oldest.lagMilliseconds, let now = newest.lagMilliseconds, now > 1000,
            newest.time - oldest.time >= 5_000_000_000
        else { return .unknown }
        let seconds = Double(newest.time - oldest.time) / 1e9
        let gained = Double(before - now) / 1000
        if gained <= -0.2 * seconds { return .fallingBehind }
        guard gained > 0.02 * seconds else { return .stalled }
        return .about(seconds: Int64((Double(now) / 1000 / (gained / seconds)).rounded(.up)))
    }
}

extension MigrationStatus {
    /// Rows copied, over all tables.
    var copiedRows: UInt64 { tables.reduce(0) { $0 + $1.rows } }
    /// Bytes copied, over all tables.
    var copiedBytes: UInt64 { tables.reduce(0) { $0 + $1.bytes } }
    /// Rows of the copy by the best knowledge: exact for tables that are done, else the larger
    /// one of estimate and what was already seen.
    var expectedRows: UInt64 {
        tables.reduce(0) { $0 + ($1.isDone ? $1.rows : max($1.rows, $1.estimatedRows)) }
    }
    /// Tables whose rows are complete.
    var tablesDone: Int { tables.count { $0.isDone } }
}
