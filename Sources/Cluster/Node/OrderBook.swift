internal import Metadata
internal import Settings
internal import Worker

/// Turns what the store says into what this worker is to run.
struct OrderBook {
    private struct Entry {
        var records: SubtaskRecords
        var settings: Result<MigrationSettings, any Error>
        var revision: Int64
    }
    private let worker: String
    private let read: @Sendable (SubtaskRecords) throws -> MigrationSettings
    /// Makes the journal of an order that was made of these revisions of its binding and its stage.
    typealias Journal =
        @Sendable (ClusterState.Subtask, _ binding: Revision, _ stage: Revision) ->
        any SubtaskJournal
    private let journal: Journal?
    /// Settings as they were read, so that they are read again only when their text changes.
    private var entries: [ClusterState.Subtask: Entry] = [:]
    private var revision: Int64 = 0

    init(
        worker: String, journal: Journal? = nil,
        read: @Sendable @escaping (SubtaskRecords) throws -> MigrationSettings
    ) {
        self.worker = worker
        self.journal = journal
        self.read = read
    }

    /// The sources that are bound to this worker, with their subtasks.
    mutating func orders(_ state: ClusterState) -> [String: SourceOrder] {
        var out: [String: SourceOrder] = [:]
        for (source, binding) in state.bindings where binding.record.worker == worker {
            // A source that was removed is unbound soon.
            guard state.sources[source] != nil else { continue }
            out[source] = SourceOrder(epoch: binding.record.epoch, subtasks: [:])
        }
        for (subtask, stage) in state.stages {
            guard out[subtask.source] != nil, let source = state.sources[subtask.source],
                let task = state.tasks[subtask.task]
            else { continue }
            let entry = entry(
                subtask,
                SubtaskRecords(
                    task: subtask.task, source: subtask.source,
                    taskSettings: task.record.settings, sourceSettings: source.record.settings))
            let asked = state.stageRevisions[subtask] ?? 0
            var order = SubtaskOrder(
                wanted: stage.wanted, settings: entry.settings, settingsRevision: entry.revision,
                requestRevision: asked)
            let key = KeyLayout.history(task: subtask.task, source: subtask.source)
            if let history = state.histories[subtask] {
                order.history = history.record
            } else if state.unreadable.contains(key) {
                // It may be over: nothing runs on a guess.
                order.settings = .failure(ClusterError.unreadable(key))
            }
            order.journal = journal?(subtask, state.bindings[subtask.source]?.revision ?? 0, asked)
            out[subtask.source]?.subtasks[subtask.task] = order
        }
        entries = entries.filter { out[$0.key.source]?.subtasks[$0.key.task] != nil }
        return out
    }

    private mutating func entry(
        _ subtask: ClusterState.Subtask, _ records: SubtaskRecords
    ) -> Entry {
        if let known = entries[subtask], known.records == records { return known }
        revision += 1
        let entry = Entry(
            records: records, settings: Result { try read(records) }, revision: revision)
        entries[subtask] = entry
        return entry
    }
}

extension Stage {
    fileprivate var wanted: SubtaskOrder.Wanted {
        switch self {
        case .running: .running
        case .paused: .paused
        case .stopped: .stopped
        }
    }
}
