internal import Metadata
internal import Worker

/// A subtask's history in the store, as long as one order of it counts.
struct HistoryJournal: SubtaskJournal {
    let client: EtcdClient
    let subtask: ClusterState.Subtask
    /// The revisions of the binding and the stage that the order was made of.
    let binding: Revision
    let stage: Revision

    func record(_ event: SubtaskEvent) async throws -> Bool {
        let (task, source) = (subtask.task, subtask.source)
        let key = KeyLayout.history(task: task, source: source)
        let counts: [Condition] = [
            .modRevision(KeyLayout.binding(source), binding),
            .modRevision(KeyLayout.stage(task: task, source: source), stage),
        ]
        while true {
            let old = try await client.get(key, within: Self.patience)
            var history = try old.map(Self.read) ?? SubtaskHistory()
            history.add(event)
            let written = try await client.transaction(
                if: counts + [old.map { .modRevision(key, $0.modRevision) } ?? .missing(key)],
                then: [.put(key, try history.bytes(), lease: nil)],
                otherwise: [.get(.key(key))], within: Self.patience)
            if written.succeeded { return true }
            let now = written.results.first.flatMap {
                if case .values(let values) = $0 { values.first } else { nil }
            }
            // The history is as it was: so it is the order that is not.
            if now?.modRevision == old?.modRevision { return false }
        }
    }

    private static let patience = Duration.seconds(2)

    private static func read(_ value: KeyValue) throws -> SubtaskHistory {
        guard let history = SubtaskHistory(bytes: value.value) else {
            throw ClusterError.unreadable(value.key)
        }
        return history
    }
}

extension SubtaskHistory {
    fileprivate mutating func add(_ event: SubtaskEvent) {
        switch event {
        case .started: isStarted = true
        case .dumping(let place): dump = place
        case .finished(let it):
            // A dump leaves no checkpoint in the target that had to be there later.
            if dump == nil { isStarted = true }
            finish = it
        case .fenced(let epoch): fencedBy = max(epoch, fencedBy ?? epoch)
        }
    }
}
