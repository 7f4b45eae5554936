internal import MySQLClient
internal import Synchronization

/// A pair's target session while its thread waits for the source: the target ends sessions of which
/// nothing came for 30 s, and a source that has to sort a large table thinks for longer.
final class IdleSession: Sendable {
    private struct State: @unchecked Sendable {
        // SAFETY: `connection` is used by the pair's thread while `isIdle` is false, and by whoever
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
    func during<R>(_ body: () throws -> R) rethrows -> R {
        state.withLock { $0.isIdle = true }
        // Waits for a ping that is under way.
        defer { state.withLock { $0.isIdle = false } }
        return try body()
    }

    /// Shows the target that the session lives, if it waits for the source; blocks. Its thread meets
    /// by itself what becomes of a session that is lost.
    func ping() {
        state.withLock { state in
            guard state.isIdle, let connection = state.connection else { return }
            try? connection.ping()
        }
    }
}
