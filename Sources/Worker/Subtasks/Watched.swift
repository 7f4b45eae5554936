internal import Runtime
internal import Synchronization

/// A value that one side sets and others wait for changes of; only the newest counts.
final class Watched<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var version = 0
        var change = Latch()
    }
    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    var value: Value { state.withLock { $0.value } }
    /// The value and its version, for ``change(after:)``.
    var versioned: (value: Value, version: Int) { state.withLock { ($0.value, $0.version) } }

    func set(_ value: Value) {
        let change = state.withLock { state in
            state.value = value
            state.version += 1
            defer { state.change = Latch() }
            return state.change
        }
        change.set()
    }

    /// Returns when there is a newer value than that of a version, or the task is cancelled.
    func change(after version: Int) async {
        let change = state.withLock { $0.version > version ? nil : $0.change }
        await change?.wait()
    }
}
