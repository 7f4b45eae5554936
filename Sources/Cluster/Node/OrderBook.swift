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
    /// Reads a source's settings, out of its name and their text.
    typealias SourceReader = @Sendable (String, String) throws -> SourceSettings
    private let readSource: SourceReader?
    /// Settings of sources as they were read.
    private var sources: [String: KnownSource] = [:]
    private struct KnownSource {
        var text: String
        var settings: Result<SourceSettings, any Error>
        var revision: Int64
    }
    /// Settings as they were read, so that they are read again only when their text changes.
    private var entries: [ClusterState.Subtask: Entry] = [:]
    private var revision: Int64 = 0

    init(
        worker: String, journal: Journal? = nil, readSource: SourceReader? = nil,
        read: @Sendable @escaping (SubtaskRecords) throws -> MigrationSettings
    ) {
        self.worker = worker
        self.journal = journal
        self.readSource = readSource
        self.read = read
    }

    /// The sources that are bound to this worker, with their subtasks.
    mutating func orders(_ state: ClusterState) -> [String: SourceOrder] {
        var out: [String: SourceOrder] = [:]
        for (source, binding) in state.bindings where binding.record.worker == worker {
            // A source that was removed is unbound soon.
            guard state.sources[source] != nil else { continue }
            out[source] = SourceOrder(epoch: binding.record.epoch, subtasks: [:])
            out[source]?.holders = (state.relays[source] ?? []).sorted().compactMap {
                holder($0, state)
            }
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
        for subtask in state.unreadSubtasks {
            out[subtask.source]?.unreadTasks.insert(subtask.task)
        }
        entries = entries.filter { out[$0.key.source]?.subtasks[$0.key.task] != nil }
        return out
    }

    /// The sources of whose relay logs this worker keeps a copy.
    mutating func copies(_ state: ClusterState) -> [String: RelayCopyOrder] {
        guard let readSource else { return [:] }
        var out: [String: RelayCopyOrder] = [:]
        for (source, workers) in state.relayCopies() where workers.contains(worker) {
            guard let text = state.sources[source]?.record.settings,
                let bound = state.bindings[source]?.record.worker,
                let original = holder(bound, state)
            else { continue }
            if sources[source]?.text != text {
                revision += 1
                sources[source] = KnownSource(
                    text: text, settings: Result { try readSource(source, text) },
                    revision: revision)
            }
            guard let known = sources[source] else { continue }
            if case .success(let settings) = known.settings, !settings.keepsRelay { continue }
            out[source] = RelayCopyOrder(
                settings: known.settings, settingsRevision: known.revision, original: original)
        }
        sources = sources.filter { out[$0.key] != nil }
        return out
    }

    /// What is to be known of the relay logs of all sources that there are. What can't be read is
    /// not gone: such a source is there, and such a task may need what it needed; what is known of
    /// the others does not depend on that.
    func rests(_ state: ClusterState) -> [String: RelayRestOrder]? {
        guard let readSource else { return nil }
        var out: [String: RelayRestOrder] = [:]
        for source in state.unreadSources.union(state.sources.keys) {
            let text = state.sources[source]?.record.settings
            var order = RelayRestOrder(
                settings: {
                    guard let text else {
                        throw ClusterError.unreadable(KeyLayout.source(source))
                    }
                    return try readSource(source, text)
                }, tasks: [])
            // One that is not there has its disk with it.
            if let bound = state.bindings[source]?.record.worker, bound != worker,
                state.sessions[bound] != nil
            {
                order.holding = state.holdings[source]?[bound]
            }
            out[source] = order
        }
        for subtask in state.stages.keys
        where state.tasks[subtask.task] != nil && state.histories[subtask]?.record.finish == nil {
            out[subtask.source]?.tasks?.insert(subtask.task)
        }
        for subtask in state.unreadSubtasks {
            out[subtask.source]?.tasks?.insert(subtask.task)
            out[subtask.source]?.unreadTasks.insert(subtask.task)
        }
        return out
    }

    /// Another worker, where it can be asked for relay logs.
    private func holder(_ name: String, _ state: ClusterState) -> RelayHolder? {
        guard name != worker, let address = state.sessions[name]?.record.relayAddress else {
            return nil
        }
        return RelayHolder(worker: name, address: address)
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
