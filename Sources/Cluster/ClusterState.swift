public import Metadata
public import Worker

/// Everything that the cluster keeps in the store, as of one revision: a worker's copy, which a
/// follower keeps up to date.
public struct ClusterState: Sendable {
    /// A record, and where it was found.
    public struct Stored<Record: Sendable & Hashable>: Sendable, Hashable {
        /// The record.
        public let record: Record
        /// The revision at which it was written.
        public let revision: Revision
        /// The lease that it goes with.
        public let lease: LeaseID?
    }

    /// A subtask: one task on one source.
    public struct Subtask: Sendable, Hashable {
        /// The task.
        public let task: String
        /// The source.
        public let source: String

        /// Names a subtask.
        public init(task: String, source: String) {
            self.task = task
            self.source = source
        }
    }

    /// Workers that are alive, by name.
    public private(set) var sessions: [String: Stored<WorkerSession>] = [:]
    /// Names of workers that are to be emptied.
    public private(set) var drains: Set<String> = []
    /// Sources by name.
    public private(set) var sources: [String: Stored<SourceRecord>] = [:]
    /// Tasks by name.
    public private(set) var tasks: [String: Stored<TaskRecord>] = [:]
    /// What subtasks are to do.
    public private(set) var stages: [Subtask: Stage] = [:]
    /// When it was last said what they are to do: grows with every request.
    public private(set) var stageRevisions: [Subtask: Revision] = [:]
    /// What is known of subtasks' earlier runs; a subtask that never ran has none.
    public private(set) var histories: [Subtask: Stored<SubtaskHistory>] = [:]
    /// Workers that have, or are to have, a member of the store.
    public private(set) var voters: Set<String> = []
    /// Bindings by source, those without a worker included.
    public private(set) var bindings: [String: Stored<Binding>] = [:]
    /// The workers that keep a source's relay log, by source.
    public private(set) var relays: [String: Set<String>] = [:]
    /// What each of them has said that it holds of what subtasks need, by source and worker.
    public private(set) var holdings: [String: [String: RelayHolding]] = [:]
    /// Candidates for the leader: workers, and since when, by key.
    private var candidates: [String: (worker: String, since: Revision)] = [:]
    /// The newest change that is contained.
    public private(set) var revision: Revision = 0
    /// Keys whose values are not understood: written by a newer worker, or damaged. What they said
    /// last counts, if that was understood.
    public private(set) var unreadable: Set<String> = []

    /// Makes an empty state.
    public init() {}

    /// The worker that leads: the oldest candidate.
    public var leader: String? { candidates.values.min { $0.since < $1.since }?.worker }

    /// The workers that are alive, also those whose sessions can't be read.
    public var liveWorkers: Set<String> {
        Set(sessions.keys).union(unreadable.compactMap { $0.name(under: KeyLayout.sessions) })
    }

    /// Takes what a follower of `KeyLayout.root` is told.
    public mutating func apply(_ update: KeyUpdate) {
        switch update {
        case .all(let values, let revision):
            let last = self
            self = ClusterState()
            self.revision = revision
            for value in values { put(value, after: last) }
        case .changes(let changes):
            for change in changes {
                revision = change.revision
                switch change {
                case .put(let value): put(value, after: nil)
                case .delete(let key, _): remove(key)
                }
            }
        }
    }

    /// Takes one value; where it can't be read, what the key said last.
    ///
    /// - Parameter last: where that is, if not here.
    private mutating func put(_ it: KeyValue, after last: ClusterState?) {
        let isReadable =
            if let worker = it.key.name(under: KeyLayout.sessions) {
                store(it, worker, in: \.sessions, after: last)
            } else if let source = it.key.name(under: KeyLayout.sources) {
                store(it, source, in: \.sources, after: last)
            } else if let task = it.key.name(under: KeyLayout.tasks) {
                store(it, task, in: \.tasks, after: last)
            } else if let source = it.key.name(under: KeyLayout.bindings) {
                store(it, source, in: \.bindings, after: last)
            } else if let (task, source) = it.key.names(under: KeyLayout.histories) {
                store(it, Subtask(task: task, source: source), in: \.histories, after: last)
            } else if let (task, source) = it.key.names(under: KeyLayout.stages) {
                putStage(it, Subtask(task: task, source: source), after: last)
            } else {
                putFlag(it)
            }
        if isReadable { unreadable.remove(it.key) } else { unreadable.insert(it.key) }
    }

    private mutating func putStage(
        _ it: KeyValue, _ subtask: Subtask, after last: ClusterState?
    ) -> Bool {
        let stage = Stage(rawValue: String(decoding: it.value, as: UTF8.self))
        guard let stage else {
            if let last {
                stages[subtask] = last.stages[subtask]
                stageRevisions[subtask] = last.stageRevisions[subtask]
            }
            return false
        }
        stages[subtask] = stage
        stageRevisions[subtask] = it.modRevision
        return true
    }

    private mutating func putFlag(_ it: KeyValue) -> Bool {
        if let worker = it.key.name(under: KeyLayout.drains) {
            drains.insert(worker)
        } else if let worker = it.key.name(under: KeyLayout.voters) {
            voters.insert(worker)
        } else if let (source, worker) = it.key.names(under: KeyLayout.relays) {
            relays[source, default: []].insert(worker)
            // Of most it is only said that they have some of it.
            holdings[source, default: [:]][worker] = RecordCoding.record(it.value)
        } else if it.key.hasPrefix(KeyLayout.leader) {
            candidates[it.key] = (String(decoding: it.value, as: UTF8.self), it.createRevision)
        }
        // Other keys are not of the state.
        return true
    }

    private mutating func store<Name: Hashable, Record: Sendable & Hashable & Decodable>(
        _ it: KeyValue, _ name: Name, in records: WritableKeyPath<Self, [Name: Stored<Record>]>,
        after last: ClusterState?
    ) -> Bool {
        let read: Record? = RecordCoding.record(it.value)
        // The revision is the new one: conditions are about what is in the store.
        let known =
            if let last { last[keyPath: records][name]?.record } else {
                self[keyPath: records][name]?.record
            }
        self[keyPath: records][name] = (read ?? known).map {
            Stored(record: $0, revision: it.modRevision, lease: it.lease)
        }
        return read != nil
    }

    private mutating func remove(_ key: String) {
        unreadable.remove(key)
        candidates[key] = nil
        if let worker = key.name(under: KeyLayout.sessions) { sessions[worker] = nil }
        if let worker = key.name(under: KeyLayout.drains) { drains.remove(worker) }
        if let worker = key.name(under: KeyLayout.voters) { voters.remove(worker) }
        if let source = key.name(under: KeyLayout.sources) { sources[source] = nil }
        if let task = key.name(under: KeyLayout.tasks) { tasks[task] = nil }
        if let source = key.name(under: KeyLayout.bindings) { bindings[source] = nil }
        if let (task, source) = key.names(under: KeyLayout.stages) {
            stages[Subtask(task: task, source: source)] = nil
            stageRevisions[Subtask(task: task, source: source)] = nil
        }
        if let (task, source) = key.names(under: KeyLayout.histories) {
            histories[Subtask(task: task, source: source)] = nil
        }
        if let (source, worker) = key.names(under: KeyLayout.relays) {
            relays[source]?.remove(worker)
            holdings[source]?[worker] = nil
            if relays[source]?.isEmpty == true {
                relays[source] = nil
                holdings[source] = nil
            }
        }
    }
}

extension ClusterState {
    /// Subtasks of which some record can't be read: the stage, the task's or the history. They may
    /// be there, in whatever state, and need what they needed. Keys say which these are, so that
    /// nothing else is affected.
    public var unreadSubtasks: Set<Subtask> {
        var out: Set<Subtask> = []
        for key in unreadable {
            if let (task, source) = key.names(under: KeyLayout.stages) {
                out.insert(Subtask(task: task, source: source))
            } else if let (task, source) = key.names(under: KeyLayout.histories) {
                out.insert(Subtask(task: task, source: source))
            } else if let task = key.name(under: KeyLayout.tasks) {
                out.formUnion(stages.keys.filter { $0.task == task })
            }
        }
        // What has gone, whole, is not there for what is left of it.
        return out.filter { subtask in
            let task = KeyLayout.task(subtask.task)
            let stage = KeyLayout.stage(task: subtask.task, source: subtask.source)
            return (tasks[subtask.task] != nil || unreadable.contains(task))
                && (stages[subtask] != nil || unreadable.contains(stage))
        }
    }

    /// Sources whose records can't be read, whether or not they could once.
    public var unreadSources: Set<String> {
        Set(unreadable.compactMap { $0.name(under: KeyLayout.sources) })
    }
}

extension String {
    fileprivate func name(under prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }

    fileprivate func names(under prefix: String) -> (String, String)? {
        guard let parts = name(under: prefix)?.split(separator: "/"), parts.count == 2 else {
            return nil
        }
        return (String(parts[0]), String(parts[1]))
    }
}
