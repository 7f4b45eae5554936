internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Replication
internal import Runtime
internal import Settings
internal import Stream
internal import Synchronization

// A task that DM has followed is gone on with from DM's checkpoint. DM's tables are only read. What
// it may have applied behind its checkpoint is applied once more, so that rows become what the
// changes say; up to where is recorded in the transaction that begins the subtask, and every later
// run reads it from there. Before that transaction nothing has happened. From then on DM's word for
// how far it was counts no more, under whatever name: that is recorded by itself (`AdoptedTask`), and
// outlives the checkpoint.

extension Migration {
    /// Leaves DM's checkpoint alone where Skein has one of its own: that is further.
    func settleAdoption() async throws {
        guard let adoption = settings.adoption, !settings.fresh else { return }
        let phase = try await withThread("control") {
            let target = try Connection(self.settings.target)
            guard try self.meta.exists(target) else { return nil as String? }
            return try Takeover(meta: self.meta, key: self.key).peek(target)?.phase
        }
        guard let phase, phase != "start" else { return }
        given.withLock {
            $0.adoption = nil
            $0.mode = adoption.mode
        }
        let warning =
            "adopt: it goes on from its own checkpoint in \(meta.name); that of DM's task "
            + "\(adoption.task) is not looked at"
        board.update { $0.warnings.append(warning) }
        logger.warning("DM's checkpoint is not looked at", metadata: ["task": "\(adoption.task)"])
    }

    /// Where DM has stopped, and what the tables are like there.
    private struct Found {
        var task: DMTask
        var checkpoint: DMCheckpoint
        var stretch: AdoptedStretch
        var shapes: [TableShape]
        var isAnew: Bool
    }

    /// Begins where DM has stopped.
    func adopt(_ adoption: MigrationSettings.Adoption) async throws {
        let found = try await find(adoption)
        let (task, stretch) = (found.task, found.stretch)
        try await begin(
            from: stretch.start, found.shapes,
            adopting: Adoption(task: task.name, end: stretch.end), isAnew: found.isAnew
        ) {
            guard try self.read(task) == found.checkpoint else {
                throw task.isRunning("its checkpoint moves")
            }
        }
        logger.notice(
            "DM's task is continued",
            metadata: [
                "task": "\(task.name)", "from": "\(stretch.start)",
                "safe until": "\(stretch.end)",
            ])
    }

    /// Refuses, before anything is forgotten, what could not be begun anew.
    func requireAdoptable() async throws {
        if let adoption = settings.adoption { _ = try await find(adoption, waits: false) }
    }

    /// - Parameter waits: whether DM is watched for as long as it may take to write its checkpoint.
    private func find(
        _ adoption: MigrationSettings.Adoption, waits: Bool = true
    ) async throws -> Found {
        let task = adoption.dmTask(key)
        board.update {
            $0.phase = .checking
            $0.waiting =
                "looking whether DM's task \(task.name) rests, for \(adoption.wait.components.seconds) s"
        }
        defer { board.update { $0.waiting = nil } }
        let began = ContinuousClock.now
        let seen = try await look(task)
        let isAnew = try await withThread("control") { try self.isAnew() }
        let interruption = Interruption()
        let (start, shapes) = try await withTaskCancellationHandler {
            try await withThread("start") {
                let search = StartSearch(
                    self.settings.source, serverID: self.serverID, interruption: interruption)
                let start = try AdoptedStretch.start(of: seen, task, search)
                let shapes = try StartShapes(
                    source: self.settings.source, target: self.settings.target,
                    mapping: self.settings.mapping, interruption: interruption,
                    // DM writes its checkpoint behind each statement; others have not.
                    mayHaveRun: isAnew ? .all : .first
                ).read(at: start)
                try self.requireTables(shapes)
                return (start, shapes)
            }
        } onCancel: {
            interruption.interrupt()
        }
        // Once more in any case, and for as long as DM may take to write its checkpoint.
        repeat {
            let rest = adoption.wait - began.duration(to: .now)
            try await Task.sleep(for: max(.milliseconds(10), min(rest, .seconds(1))))
            guard try await look(task) == seen else {
                throw task.isRunning("its checkpoint moves")
            }
        } while waits && began.duration(to: .now) < adoption.wait
        // DM rests: what the source gets from now on it has not read.
        let search = StartSearch(
            settings.source, serverID: serverID, interruption: interruption)
        let end = try await withTaskCancellationHandler {
            let noted = try await withThread("start") {
                try AdoptedStretch.noted(in: seen, search, isAnew: isAnew)
            }
            if let noted { return noted }
            try await requireWholeSource(task, within: adoption.wait)
            return try await withThread("start") {
                try AdoptedStretch.end(search, self.settings.source)
            }
        } onCancel: {
            interruption.interrupt()
        }
        let stretch = AdoptedStretch(start: start, end: end)
        try requireRepeatable(shapes, stretch, task, isAnew: isAnew)
        return Found(
            task: task, checkpoint: seen, stretch: stretch, shapes: shapes, isAnew: isAnew)
    }

    /// A source that is a replica must have what DM can have read from the server that it follows:
    /// everything that has come to it by now.
    ///
    /// - Parameter limit: for how long it may take to apply that.
    private func requireWholeSource(_ task: DMTask, within limit: Duration) async throws {
        let began = ContinuousClock.now
        var first: ReplicaStatus?
        while true {
            let status = try await withThread("control") {
                try SourceSession(Connection(self.settings.source)).replicaStatus()
            }
            guard let status else { throw task.refused(AdoptedStretch.unknownReplica) }
            guard let doubt = status.doubt(since: first ?? status) else { return }
            first = first ?? status
            guard began.duration(to: .now) < limit else {
                throw task.refused(
                    "\(AdoptedStretch.lagging(doubt)). To do: \(AdoptedStretch.replicaRemedy)")
            }
            board.update { $0.waiting = "the source is a replica, and \(doubt)" }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// DM's task as Skein remembers it; `nil` when none is gone on with.
    var adoptedTask: AdoptedTask? {
        settings.adoption.map { AdoptedTask($0.task, source: key.source, meta: meta) }
    }

    /// Whether Skein has gone on with DM's task before, by what the target's meta schema or the user
    /// says.
    private func isAnew() throws -> Bool {
        if settings.fresh { return true }
        return try adoptedTask?.isTaken(Connection(settings.target)) ?? false
    }

    private func look(_ task: DMTask) async throws -> DMCheckpoint {
        try await withThread("control") { try self.read(task) }
    }

    private func read(_ task: DMTask) throws -> DMCheckpoint {
        let target = try Connection(settings.target)
        try task.requireSilence(target)
        let found = try task.checkpoint(target)
        try task.requireNothingOpen(target)
        return found
    }

    /// Tables whose rows would be there twice, or not be found.
    private func requireRepeatable(
        _ shapes: [TableShape], _ stretch: AdoptedStretch, _ task: DMTask, isAnew: Bool
    ) throws {
        let ignored = settings.ignoredChecks
        guard !stretch.isEmpty, !ignored.contains("adopt-tables"),
            !ignored.contains(Prechecks.every)
        else { return }
        let tables = AdoptedStretch.unrepeatable(shapes, settings.mapping)
        guard tables.isEmpty else {
            throw task.refused(AdoptedStretch.refusal(of: tables, stretch, isAnew: isAnew))
        }
    }
}

extension MigrationSettings.Adoption {
    /// The task in DM's words.
    func dmTask(_ key: SubtaskKey) -> DMTask {
        DMTask(name: task, meta: metaSchema, source: key.source)
    }
}
