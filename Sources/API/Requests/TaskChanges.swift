internal import Cluster
internal import Metadata
internal import MySQLClient
internal import Settings
internal import Worker

// Changes of tasks.

/// What a request wants a task's subtasks to do.
enum StageChange: String, Sendable {
    case start, stop, pause, resume

    var wanted: Stage {
        switch self {
        case .start, .resume: .running
        case .stop: .stopped
        case .pause: .paused
        }
    }
    /// Whether it only makes sense for a subtask that was started.
    var needsStart: Bool { self == .pause || self == .resume }
}

/// What came of such a request.
struct StageOutcome: Sendable {
    /// The sources that it was for.
    var sources: [String]
    /// Those of them whose subtasks have reached their goal, and stay over.
    var finished: [String]
}

extension ClusterStore {
    /// Creates a task; its subtasks are stopped, or run at once.
    func createTask(_ settings: TaskSettings, starting: Bool) async throws {
        try checkCount(settings)
        try ClusterStore.checkSupport(settings.unsupported)
        let key = KeyLayout.task(settings.name)
        let bytes = try record(settings).bytes()
        try await untilUnchanged("task '\(settings.name)'") { () -> Void? in
            let isDone = try await commit(
                if: [.missing(key)] + settings.sources.map { .exists(KeyLayout.source($0)) },
                [.put(key, bytes, lease: nil)]
                    + settings.sources.flatMap {
                        begin($0, of: settings.name, starting ? .running : .stopped)
                    })
            if isDone { return () }
            if try await value(key) != nil {
                throw APIProblem(
                    .taskExists, "there is a task '\(settings.name)' already",
                    remedy: "update it, or take another name")
            }
            for name in settings.sources { _ = try await source(name) }
            return nil
        }
    }

    /// Replaces the settings of a task; of one that runs, where they choose other tables or say how
    /// fast. Without a password the one that is there stays. A subtask that has reached its goal has
    /// another one now where that was changed.
    func updateTask(_ settings: TaskSettings, seen: Revision?) async throws {
        try checkCount(settings)
        try ClusterStore.checkSupport(settings.unsupported)
        let name = settings.name
        try await untilUnchanged("task '\(name)'") { () -> Void? in
            let value = try await task(name)
            try check(seen, is: value, "task '\(name)'")
            let stages = try await self.stages(name)
            var settings = settings
            let before = try self.settings(task: value)
            try keepPassword(
                of: before.target, in: &settings.target, "the target of task '\(name)'")
            if let running = stages.first(where: { $0.stage == .running }),
                !settings.mayReplaceRunning(before)
            {
                throw APIProblem(
                    .taskRunning,
                    "task '\(name)' runs on source '\(running.source)', and more is to change than "
                        + "its tables, lanes, readers and memory",
                    remedy: "pause or stop it first")
            }
            let old = Set(stages.map(\.source))
            let added = settings.sources.filter { !old.contains($0) }
            let removed = stages.filter { !settings.sources.contains($0.source) }
            if let paused = removed.first(where: { $0.stage != .stopped }) {
                throw APIProblem(
                    .taskRunning,
                    "task '\(name)' is not stopped on source '\(paused.source)', which the new "
                        + "settings leave out", remedy: "stop it there first")
            }
            let reopened = try await reopened(
                by: settings, task: value, among: old.subtracting(removed.map(\.source)))
            let isDone = try await commit(
                if: [.modRevision(value.key, value.modRevision)]
                    + stages.map { .modRevision($0.key, $0.revision) }
                    + reopened.map { .modRevision($0.key, $0.revision) }
                    + added.map { .exists(KeyLayout.source($0)) },
                [.put(value.key, try record(settings).bytes(), lease: nil)]
                    + reopened.map { .put($0.key, try $0.history.bytes(), lease: nil) }
                    + removed.flatMap {
                        [.delete(.key($0.key)), .delete(history(name, $0.source))]
                    }
                    + added.flatMap { begin($0, of: name, .stopped) })
            if isDone { return () }
            for name in added { _ = try await source(name) }
            return nil
        }
    }

    /// The histories of subtasks that new settings give another goal than the one that they have
    /// reached: another end, another mode, other files, a dump of other tables, or another target.
    private func reopened(
        by new: TaskSettings, task value: KeyValue, among sources: Set<String>
    ) async throws -> [StoredHistory] {
        let old = try settings(task: value)
        var reopened: [StoredHistory] = []
        for (source, stored) in try await histories(old.name).sorted(by: { $0.key < $1.key })
        where sources.contains(source) && stored.history.finish != nil {
            let server = try settings(await self.source(source))
            // What the engines can't act on any more says nothing of a goal.
            guard let was = try? old.migrationSettings(server),
                let wanted = try? new.migrationSettings(server),
                was.until != wanted.until || was.mode != wanted.mode
                    || was.files?.kind != wanted.files?.kind
                    || was.files?.directory != wanted.files?.directory
                    || choosesOthers(was, wanted)
                    || was.target.server != wanted.target.server
                    || was.metaSchema != wanted.metaSchema
            else { continue }
            var next = stored
            next.history.finish = nil
            reopened.append(next)
        }
        return reopened
    }

    /// Whether new settings choose other tables for a dump: the one that is there lacks them.
    private func choosesOthers(_ was: MigrationSettings, _ wanted: MigrationSettings) -> Bool {
        guard wanted.files?.kind == .dump else { return false }
        return (try? was.dumpRules().digest) != (try? wanted.dumpRules().digest)
    }

    /// Removes a task that is stopped, or any with `force`. What it wrote stays in the target.
    func removeTask(_ name: String, force: Bool) async throws {
        try await untilUnchanged("task '\(name)'") { () -> Void? in
            let value = try await task(name)
            let stages = try await self.stages(name)
            if !force, let active = stages.first(where: { $0.stage != .stopped }) {
                throw APIProblem(
                    .taskRunning,
                    "task '\(name)' is not stopped on source '\(active.source)'",
                    remedy: "stop it first")
            }
            return try await commit(
                if: [.modRevision(value.key, value.modRevision)]
                    + stages.map { .modRevision($0.key, $0.revision) },
                [
                    .delete(.key(value.key)),
                    .delete(.prefix(KeyLayout.stages + name + "/")),
                    .delete(.prefix(KeyLayout.histories + name + "/")),
                ]) ? () : nil
        }
    }

    /// Changes what subtasks are to do. A stage that is wanted already is written again: a worker
    /// whose subtask waits after an error takes that as the word to try now.
    ///
    /// One that has reached its goal is over. A request to run lets it run again only when it
    /// names its source, or when all of the task are over: what somebody asks for another one must
    /// not write to a target that has been handed over.
    func change(
        _ name: String, _ change: StageChange, sources wanted: [String]?
    ) async throws -> StageOutcome {
        try await untilUnchanged("task '\(name)'") {
            let value = try await task(name)
            let all = try sources(value)
            let sources = wanted.map { unique($0) } ?? all
            if sources.isEmpty {
                throw APIProblem(.malformed, "the list of sources is empty")
            }
            for source in sources where !all.contains(source) {
                throw APIProblem(
                    .unknownSource, "source '\(source)' is none of task '\(name)'",
                    remedy: "it has \(all.joined(separator: ", "))")
            }
            let stages = try await self.stages(name)
            var conditions: [Condition] = [.createRevision(value.key, value.createRevision)]
            for source in sources {
                let old = stages.first { $0.source == source }
                if change.needsStart, old?.stage ?? .stopped == .stopped {
                    throw APIProblem(
                        .taskStopped, "task '\(name)' is stopped on source '\(source)'",
                        remedy: "start it instead")
                }
                let key = KeyLayout.stage(task: name, source: source)
                conditions.append(old.map { .modRevision(key, $0.revision) } ?? .missing(key))
            }
            var puts = sources.map {
                Operation.put(
                    KeyLayout.stage(task: name, source: $0), change.wanted.bytes, lease: nil)
            }
            var outcome = StageOutcome(sources: sources, finished: [])
            if change.wanted == .running {
                let histories = try await self.histories(name).filter { sources.contains($0.key) }
                guard try await raiseEpochs(histories) else { return nil }
                let isOver = sources.allSatisfy { histories[$0]?.history.finish != nil }
                for (source, old) in histories.sorted(by: { $0.key < $1.key })
                where old.history.finish != nil {
                    guard wanted != nil || isOver else {
                        outcome.finished.append(source)
                        continue
                    }
                    var history = old.history
                    history.finish = nil
                    conditions.append(.modRevision(old.key, old.revision))
                    puts.append(.put(old.key, try history.bytes(), lease: nil))
                }
            }
            return try await commit(if: conditions, puts) ? outcome : nil
        }
    }

    /// Gives the bindings of subtasks whose targets hold a greater epoch one that is greater still:
    /// whoever asks for them to run means to take them over.
    ///
    /// - Returns: false when something has changed meanwhile.
    private func raiseEpochs(_ histories: [String: StoredHistory]) async throws -> Bool {
        for (source, old) in histories.sorted(by: { $0.key < $1.key }) {
            guard let stored = old.history.fencedBy else { continue }
            var history = old.history
            history.fencedBy = nil
            let key = KeyLayout.binding(source)
            let value = try await self.value(key)
            var binding = try value.map(self.binding) ?? Binding(worker: nil, epoch: 0)
            if binding.epoch <= stored {
                let (next, isOver) = stored.addingReportingOverflow(1)
                guard !isOver else {
                    throw APIProblem(
                        .taskFenced, "the target holds the greatest epoch that there is",
                        remedy: "correct the subtask's row in the meta schema")
                }
                binding.epoch = next
            }
            let isDone = try await commit(
                if: [
                    .modRevision(old.key, old.revision),
                    value.map { .modRevision(key, $0.modRevision) } ?? .missing(key),
                ],
                [
                    .put(old.key, try history.bytes(), lease: nil),
                    .put(key, try binding.bytes(), lease: nil),
                ])
            guard isDone else { return false }
        }
        return true
    }

    private func binding(_ value: KeyValue) throws -> Binding {
        guard let binding = decoded(Binding.self, value) else { throw unreadable(value) }
        return binding
    }

    private func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    // MARK: Records

    /// A task's record; one that is not there is the caller's mistake.
    func task(_ name: String) async throws -> KeyValue {
        guard let value = try await value(KeyLayout.task(name)) else {
            throw APIProblem.unknownTask(name)
        }
        return value
    }

    private struct StoredStage {
        let key: String
        let source: String
        let stage: Stage?
        let revision: Revision
    }

    private func stages(_ task: String) async throws -> [StoredStage] {
        let prefix = KeyLayout.stages + task + "/"
        return try await client.list(.prefix(prefix)).values.map {
            StoredStage(
                key: $0.key, source: String($0.key.dropFirst(prefix.count)),
                stage: Stage(rawValue: String(decoding: $0.value, as: UTF8.self)),
                revision: $0.modRevision)
        }
    }

    private struct StoredHistory {
        let key: String
        var history: SubtaskHistory
        let revision: Revision
    }

    private func histories(_ task: String) async throws -> [String: StoredHistory] {
        let prefix = KeyLayout.histories + task + "/"
        var out: [String: StoredHistory] = [:]
        for value in try await client.list(.prefix(prefix)).values {
            guard let history = SubtaskHistory(bytes: value.value) else { throw unreadable(value) }
            out[String(value.key.dropFirst(prefix.count))] = StoredHistory(
                key: value.key, history: history, revision: value.modRevision)
        }
        return out
    }

    private func history(_ task: String, _ source: String) -> KeyRange {
        .key(KeyLayout.history(task: task, source: source))
    }

    private func begin(
        _ source: String, of task: String, _ stage: Stage
    ) -> [Metadata.Operation] {
        [
            .put(KeyLayout.stage(task: task, source: source), stage.bytes, lease: nil),
            .put(KeyLayout.use(source), Array(task.utf8), lease: nil),
        ]
    }

    /// The names of the tasks that have a source.
    func tasks(using source: String) async throws -> [String] {
        try await client.list(.prefix(KeyLayout.tasks)).values.filter { value in
            try sources(value).contains(source)
        }.map { String($0.key.dropFirst(KeyLayout.tasks.count)) }
    }

    /// The sources of a task, out of its record.
    private func sources(_ value: KeyValue) throws -> [String] {
        guard let record = decoded(TaskRecord.self, value), let sources = record.sources else {
            throw unreadable(value)
        }
        return sources
    }

    /// A task's settings with the password, out of its record.
    func settings(task value: KeyValue) throws -> TaskSettings {
        guard let record = decoded(TaskRecord.self, value) else { throw unreadable(value) }
        return try TaskSettings(stored: record.settings, secrets, key: value.key)
    }

    private func record(_ settings: TaskSettings) throws(SettingsError) -> TaskRecord {
        TaskRecord(settings: try settings.stored(secrets, key: KeyLayout.task(settings.name)))
    }

    /// Refuses settings that the engines can't act on: they would be passed over in silence.
    static func checkSupport(_ unsupported: [UnsupportedSetting]) throws(APIProblem) {
        guard let first = unsupported.first else { return }
        throw APIProblem(.settings, first.description, remedy: "correct it; nothing was changed")
    }

    private func checkCount(_ settings: TaskSettings) throws(APIProblem) {
        guard settings.sources.count <= Self.sourcesPerTask else {
            throw APIProblem(
                .settings, "a task has at most \(Self.sourcesPerTask) sources",
                remedy: "split it into several tasks")
        }
    }
}

extension TaskRecord {
    /// The sources that the settings name; nothing is decrypted for it.
    var sources: [String]? { TaskSettings.sources(stored: settings) }
}
