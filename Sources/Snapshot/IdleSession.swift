internal import MySQLClient
internal import Synchronization

/// A target session while its thread waits for another one: the target ends sessions of which
/// nothing came for 30 s, and a source that has to sort a large table thinks for longer; so does a
/// target that reads thousands of definitions, or waits for a lock of a table.
final class IdleSession: Sendable {
    private struct State: @unchecked Sendable {
        // SAFETY: `connection` is used by its own thread while `isIdle` is false, and by whoever
        // holds the lock while it is true.
        var connection: Connection?
        var isIdle = false
    }
    private let state = Mutex(State())

    /// Names the session; without one nothing is kept open.
    func set(_ connection: Connection?) {
        let next = State(connection: connection)
        state.withLock { $0 = next }
    }

    /// Runs `body`, which does not use the session, and keeps it open meanwhile.
    func during<R, Failure: Error>(_ body: () throws(Failure) -> R) throws(Failure) -> R {
        state.withLock { $0.isIdle = true }
        // Waits for a ping that is under way.
        defer { state.withLock { $0.isIdle = false } }
        return try body()
    }

    /// Shows the target that the session lives, if its thread waits; blocks. Its thread meets
    /// by itself what becomes of a session that is lost.
    func ping() {
        state.withLock { state in
            guard state.isIdle, let connection = state.connection else { return }
            try? connection.ping()
        }
    }
}
