public import MySQLClient
internal import Synchronization

/// Ends whatever a thread waits for on connections that are made one after the other: connecting
/// to a source is many questions, and a stop must not wait for the longest.
public final class Interruption: Sendable {
    private struct State {
        var current: Interrupter?
        var isOver = false
    }
    private let state = Mutex(State())

    /// Makes one that watches nothing yet.
    public init() {}

    /// The connection that is waited for from now on; it ends at once after ``interrupt()``.
    public func watch(_ interrupter: Interrupter) {
        let isOver = state.withLock { state in
            state.current = interrupter
            return state.isOver
        }
        if isOver { interrupter.interrupt() }
    }

    /// Ends what is waited for now, and later; from any thread.
    public func interrupt() {
        let current = state.withLock { state in
            state.isOver = true
            return state.current
        }
        current?.interrupt()
    }
}
