internal import Runtime

extension Migration {
    /// What the newest try has ended with, while it is tried again.
    struct Trouble: Sendable {
        var error: any Error
        var attempts = 1
        /// How many tries in a row have reached different servers.
        var apart = 0
        /// In seconds since 1970.
        var time = Double(wallClockMicroseconds()) / 1e6
        /// Whether the last try has gone well so far.
        var isOver = false
    }

    /// What a cluster says about a migration.
    struct Bound: Sendable {
        /// The binding's.
        var epoch: UInt64
        /// Whether it has begun before, so that its checkpoint must be in the target.
        var isStarted: Bool
        /// Makes it durable that it has begun; returns when that is done. Must do no harm when it
        /// is called again.
        ///
        /// - Parameter insists: tries until it is done.
        var begun: @Sendable (_ insists: Bool) async throws -> Void
        /// Where its dump was begun, if it was.
        var dump: SubtaskHistory.DumpPlace?
        /// The worker's name.
        var worker = ""
        /// Makes it durable where its dump is; returns when that is done, and may be called again.
        var dumping: @Sendable (SubtaskHistory.DumpPlace) async throws -> Void = { _ in }
    }
}
