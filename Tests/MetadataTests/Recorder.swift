import Metadata
import Synchronization

/// What a follower was told, and what it concludes is there.
final class Recorder: Sendable {
    private struct State {
        var revisions: [Revision] = []
        var values: [String: String] = [:]
        var changes: [String: [String]] = [:]
        var lists = 0
    }
    private let state = Mutex(State())

    func take(_ update: KeyUpdate) {
        switch update {
        case .all(let all, _):
            state.withLock { state in
                state.lists += 1
                state.values = [:]
                for it in all { state.values[it.key] = String(decoding: it.value, as: UTF8.self) }
            }
        case .changes(let changes): take(changes)
        }
    }

    func take(_ changes: [KeyChange]) {
        state.withLock { state in
            for change in changes {
                state.revisions.append(change.revision)
                switch change {
                case .put(let it):
                    let value = String(decoding: it.value, as: UTF8.self)
                    state.values[it.key] = value
                    state.changes[it.key, default: []].append(value)
                case .delete(let key, _): state.values[key] = nil
                }
            }
        }
    }

    var revisions: [Revision] { state.withLock { $0.revisions } }
    var values: [String: String] { state.withLock { $0.values } }
    var lists: Int { state.withLock { $0.lists } }

    /// The values that were written to a key, in the order told.
    func history(of key: String) -> [String] { state.withLock { $0.changes[key] ?? [] } }
}
