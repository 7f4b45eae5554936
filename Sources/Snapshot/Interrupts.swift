internal import MySQLClient
internal import Synchronization

/// The connections of a run, so that all blocked calls can be ended at once.
final class Interrupts: Sendable {
    private struct State {
        var members: [Interrupter] = []
        var isFired = false
    }
    private let state = Mutex(State())

    /// Adds a connection.
    ///
    /// - Throws: `CancellationError` when the run has already ended.
    func add(_ interrupter: Interrupter) throws(CancellationError) {
        let fired = state.withLock { state in
            state.members.append(interrupter)
            return state.isFired
        }
        if fired {
            interrupter.interrupt()
            throw CancellationError()
        }
    }

    /// Ends every blocked call, now and later.
    func fire() {
        let members = state.withLock { state in
            state.isFired = true
            return state.members
        }
        for member in members { member.interrupt() }
    }
}

/// Shuts a connection down unless it is stopped in time.
final class Watchdog: Sendable {
    private let isStopped = Mutex(false)

    init(after delay: Duration, interrupts interrupter: Interrupter) {
        // Lives at most `delay` longer than its owner; a structured task would have to be awaited
        // on the very thread that it watches.
        Task.detached { [weak self] in
            try? await Task.sleep(for: delay)
            self?.isStopped.withLock { if !$0 { interrupter.interrupt() } }
        }
    }

    func stop() { isStopped.withLock { $0 = true } }
}
