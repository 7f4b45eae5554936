internal import Synchronization

/// How long something took, counted by length: what latencies are shown as. May be added to and read
/// from anywhere; costs a lock and a few comparisons.
public final class DurationHistogram: Sendable {
    /// A reading.
    public struct Reading: Sendable, Hashable {
        /// How many were as long as each of the bounds or shorter, and longer than the one before;
        /// the last number is of those that were longer than all.
        public fileprivate(set) var counts: [UInt64]
        /// All of them together, in seconds.
        public fileprivate(set) var sumSeconds = 0.0

        /// How many there were.
        public var count: UInt64 { counts.reduce(0, &+) }
    }

    /// The bounds, in seconds: from what a commit takes on a quiet server to what DDL may take.
    public static let boundsSeconds = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5, 30, 300, 3600,
    ]

    private let state: Mutex<Reading>

    /// Makes an empty one.
    public init() {
        state = Mutex(
            Reading(counts: [UInt64](repeating: 0, count: Self.boundsSeconds.count + 1)))
    }

    /// Adds one; what is negative, by clocks that differ, counts as nothing.
    public func record(seconds: Double) {
        let time = max(0, seconds)
        var place = 0
        while place < Self.boundsSeconds.count, time > Self.boundsSeconds[place] { place += 1 }
        state.withLock { state in
            state.counts[place] &+= 1
            state.sumSeconds += time
        }
    }

    /// Adds one.
    public func record(_ time: Duration) {
        let parts = time.components
        record(seconds: Double(parts.seconds) + Double(parts.attoseconds) / 1e18)
    }

    /// Adds the time since a moment.
    public func record(since start: ContinuousClock.Instant) { record(start.duration(to: .now)) }

    /// What was added.
    public var reading: Reading { state.withLock { $0 } }
}
