internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime
internal import Settings
internal import Snapshot
internal import Stream

// Tasks of files, DM's modes `dump` and `load`. They follow nothing and keep no relay log. A dump is
// known by its directory, whose token the cluster remembers; a load by its row in the target, as a
// migration is.

extension Migration {
    /// Dumps or loads, until all is done or an error that no retry can help.
    func transfer(_ files: FileTransfer) async throws -> MigrationOutcome {
        var backoff = Backoff(first: .milliseconds(200), limit: .seconds(15))
        var place = binding?.dump
        while true {
            let progress = TransferProgress()
            do {
                board.update { $0.phase = .checking }
                switch files.kind {
                case .dump: try await writeFiles(files, progress, &place)
                case .load: try await loadFiles(files, progress)
                }
                board.update {
                    $0.phase = .done
                    $0.waiting = nil
                }
                return .finished
            } catch {
                try Task.checkCancellation()
                guard let reason = retryReason(error) else { throw error }
                // It had begun: servers that are there again need not be waited for as long. What
                // changes on the source all the time would let a dump begin again without a pause.
                if progress.current.stage != .starting, !(error is SnapshotError) {
                    backoff.reset()
                }
                try await wait(backoff.delay(), after: error, because: reason)
            }
        }
    }

    // MARK: into files

    /// - Parameter place: where the dump is, as soon as it is anywhere.
    private func writeFiles(
        _ files: FileTransfer, _ progress: TransferProgress,
        _ place: inout SubtaskHistory.DumpPlace?
    ) async throws {
        let rules = try self.settings.dumpRules()
        if let whole = try await wholeDump(files, rules, &place) {
            board.update { $0.position = whole.position }
            return
        }
        try await prepareRules()
        let settings = settings
        let serverID = serverID
        let origin = try await withThread("control") {
            let session = SourceSession(try Connection(settings.source))
            return try Origin.read(
                settings.source, file: session.currentPosition().file, serverID: serverID)
        }
        var configuration = DumpConfiguration(
            source: settings.source, origin: origin, directory: files.directory,
            selection: ObjectSelection(settings.mapping))
        configuration.token = place?.token
        configuration.rules = rules.digest
        configuration.readers = files.connections
        configuration.fileBytes = files.fileBytes
        configuration.rowsPerFile = files.rowsPerFile.map { UInt64($0) }
        configuration.condition = files.condition
        configuration.rowRules = rules.rowDigest
        if let bytes = files.statementBytes { configuration.statementBytes = bytes }
        let changes = ChangedTables(source: settings.source)
        configuration.changes = { from, to in try changes.between(from, to) }
        configuration.statements = { from, take in try changes.statements(since: from, take) }
        let engine = DumpEngine(configuration: configuration, progress: progress)
        let logger = logger
        let result = try await showing(progress) {
            try await engine.run { note in
                logger.notice("about the dump", metadata: ["note": "\(note)"])
            }
        }
        let position = result.position.description
        board.update { $0.position = position }
    }

    /// The dump, if it is whole already; else the directory is the task's when this returns, and the
    /// cluster knows: a worker that has another directory begins nothing in it.
    private func wholeDump(
        _ files: FileTransfer, _ rules: DumpRules, _ place: inout SubtaskHistory.DumpPlace?
    ) async throws -> DumpClaim.Whole? {
        let claim = DumpClaim(directory: files.directory)
        if let known = place {
            let begun = "on worker \(known.worker) in \(known.directory)"
            return try await withThread("dump-folder") {
                try claim.whole(
                    token: known.token, begun: begun, rules: rules.digest,
                    earlierRules: rules.earlierDigest)
            }
        }
        let owner = "\(key.task) \(key.source)"
        let suffix = randomToken().map { String($0, radix: 16) }.joined()
        let token = try await withThread("dump-folder") {
            try claim.take(owner: owner, suffix: suffix)
        }
        let taken = SubtaskHistory.DumpPlace(
            token: token, worker: binding?.worker ?? "", directory: files.directory)
        if let binding { try await binding.dumping(taken) }
        place = taken
        return nil
    }

    // MARK: from files

    private func loadFiles(_ files: FileTransfer, _ progress: TransferProgress) async throws {
        let settings = settings
        // The source, which would say how names are compared, need not be there.
        var folded: TableMapping?
        if settings.comparesNamesAsServer, let rules = settings.rules {
            folded = try TableMapping(rules)
        }
        var configuration = LoadConfiguration(
            target: settings.target, directory: files.directory,
            selection: ObjectSelection(settings.mapping, folded: folded))
        configuration.meta = meta
        configuration.name = key.task
        configuration.source = key.source
        configuration.lanes = files.connections
        configuration.timeZone = files.timeZone
        switch files.duplicates {
        case .error: configuration.duplicates = .error
        case .replace: configuration.duplicates = .replace
        case .ignore: configuration.duplicates = .ignore
        }
        configuration.epoch = binding?.epoch
        configuration.isBegun = binding?.isStarted ?? false
        let isNoted = Latch()
        configuration.begun = { [binding] in
            // Once: later tries of the same run need no store of the cluster.
            guard let binding, !binding.isStarted, !isNoted.isSet else { return }
            try await binding.begun(true)
            isNoted.set()
        }
        let engine = LoadEngine(configuration: configuration, progress: progress)
        let result = try await showing(progress) {
            try await engine.run { RunToken(randomToken()) }
        }
        board.update { $0.position = result.position }
    }

    // MARK: what it does

    /// Runs an engine, and shows how far it is.
    private func showing<Result: Sendable>(
        _ progress: TransferProgress, _ body: @Sendable @escaping () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                var waiting: String?
                while true {
                    try await Task.sleep(for: .milliseconds(200))
                    waiting = self.show(progress, instead: waiting)
                }
            }
            defer {
                group.cancelAll()
                _ = show(progress, instead: nil)
            }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    /// Shows how far an engine is.
    ///
    /// - Parameter old: what it waited for when it was shown last; what others wait for stays.
    /// - Returns: what it waits for now.
    private func show(_ progress: TransferProgress, instead old: String?) -> String? {
        let state = progress.current
        if state.stage != .starting { forgetTrouble() }
        board.update { status in
            status.phase = state.stage.phase
            if state.waiting != nil || status.waiting == old { status.waiting = state.waiting }
            var files = MigrationStatus.Files()
            files.tables = state.tables
            files.tablesDone = state.tablesDone
            files.files = state.files
            files.filesDone = state.filesDone
            files.rows = state.rows
            files.estimatedRows = state.estimatedRows
            files.bytes = state.bytes
            status.files = files
        }
        return state.waiting
    }
}

extension TransferProgress.Stage {
    fileprivate var phase: MigrationStatus.Phase {
        switch self {
        case .starting: .checking
        case .schema: .schema
        case .rows: .copying
        case .objects, .done: .indexing
        }
    }
}
