internal import Runtime
internal import Synchronization

/// Lets a few do something at a time, in the order in which they come, and sends away who would
/// have to wait for long.
final class Turns: Sendable {
    private struct State {
        var free: Int
        var waiting: [Latch] = []
    }

    private let state: Mutex<State>
    private let patience: Duration

    /// - Parameter patience: how long one waits.
    init(atOnce count: Int, patience: Duration) {
        state = Mutex(State(free: count))
        self.patience = patience
    }

    /// Takes a turn, which ``giveBack()`` ends.
    ///
    /// - Returns: whether there was one in time.
    /// - Throws: `CancellationError`; then none was taken.
    func take() async throws -> Bool {
        let latch = Latch()
        let isFirst = state.withLock { state in
            if state.free > 0 {
                state.free -= 1
                return true
            }
            state.waiting.append(latch)
            return false
        }
        if isFirst { return true }
        _ = await latch.wait(upTo: patience)
        // Who gives a turn sets the latch behind the lock: it has one, or leaves the row.
        let hasTurn = state.withLock { state in
            if latch.isSet { return true }
            state.waiting.removeAll { $0 === latch }
            return false
        }
        if Task.isCancelled {
            if hasTurn { giveBack() }
            throw CancellationError()
        }
        return hasTurn
    }

    /// Ends a turn: it goes to who has waited longest.
    func giveBack() {
        state.withLock { state in
            if state.waiting.isEmpty {
                state.free += 1
            } else {
                state.waiting.removeFirst().set()
            }
        }
    }
}
