internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Replication
internal import Rules
internal import Runtime
internal import Settings
internal import Snapshot
internal import Stream

// The copy, as a step of a migration: the first one, of what other rules have taken in, or of a
// table that a statement has sent back.

extension Migration {
    /// Sends the migration back to copying a table that DDL changed between the positions of its
    /// copy; everything else stays as far as it is.
    func copyAgain(_ table: TableName) async throws {
        let (token, epoch) = nextRun()
        let state = try await withThread("control") {
            let session = try TargetSession(self.settings.target, role: .coordinator)
            let state = try Takeover(meta: self.meta, key: self.key).take(
                session, token: token, epoch: epoch, lanes: 0)
            try Coordinator(session: session, meta: self.meta, key: self.key, token: token)
                .copyAgain(table)
            return state
        }
        didTakeOver(state)
    }

    func copy() async throws {
        board.update { $0.phase = .schema }
        let (origin, plan) = try await withThread("control") { try self.planCopy() }
        guard !plan.tables.isEmpty else { throw MigrationError.nothingSelected }
        let configuration = snapshotConfiguration(origin)
        let progress = SnapshotProgress(chunkTimes: measures.chunk)
        let engine = SnapshotEngine(configuration: configuration, plan: plan, progress: progress)
        let (token, epoch) = nextRun()
        let order = plan.tables.map(\.name)
        try await withThrowingTaskGroup(of: SnapshotResult?.self) { group in
            group.addTask { try await engine.run(epoch: epoch, token: token) }
            group.addTask {
                while true {
                    try await Task.sleep(for: .milliseconds(200))
                    self.show(progress, order)
                    if let epoch = progress.current.epoch { self.own.took(epoch) }
                }
            }
            defer {
                show(progress, order)
                // Also of a run that fails later: the next one must not take back what another
                // process has taken over meanwhile.
                if let epoch = progress.current.epoch { own.took(epoch) }
            }
            while let result = try await group.next() {
                guard let result else { continue }
                didTakeOver(result.state)
                group.cancelAll()
                break
            }
        }
    }

    func planCopy() throws -> (Origin, SnapshotPlan) {
        let source = try Connection(settings.source)
        let session = SourceSession(source)
        let origin = try Origin.read(
            settings.source, file: session.currentPosition().file, serverID: serverID)
        let mapping = settings.mapping
        let plan = try SnapshotPlan.read(source, mapping)
        let groups = ForeignKeys.cascadeGroups(plan.tables.map(\.shape))
        return (
            origin,
            try SnapshotPlan.read(
                source, mapping, needsExactView: groups)
        )
    }

    private func show(_ progress: SnapshotProgress, _ order: [TableName]) {
        let state = progress.current
        board.update { status in
            status.phase = state.stage.phase
            status.waiting = state.waiting
            let open = order.filter { state.tables[$0]?.isDone == false }
            if state.holdsOthers, status.waiting == nil, !open.isEmpty {
                status.waiting = "changes wait until the rows of \(someNames(open)) are copied"
            }
            status.tables = order.compactMap { name in
                guard let table = state.tables[name] else { return nil }
                var out = MigrationStatus.Table(name: name, estimatedRows: table.estimatedRows)
                out.rows = table.rows
                out.bytes = table.bytes
                out.isDone = table.isDone
                return out
            }
        }
    }

    func snapshotConfiguration(_ origin: Origin) -> SnapshotConfiguration {
        var configuration = SnapshotConfiguration(
            source: settings.source, target: settings.target, meta: meta, key: key,
            origin: origin)
        if let readers = settings.readers { configuration.pairs = readers }
        configuration.chunkRows = settings.chunkRows
        configuration.chunkBytes = settings.chunkBytes
        configuration.intoExisting = settings.intoExisting
        configuration.sharesTargets = settings.sharesTargets
        return configuration
    }
}

extension SnapshotProgress.Stage {
    fileprivate var phase: MigrationStatus.Phase {
        switch self {
        case .starting, .schema: .schema
        case .indexes, .objects: .indexing
        default: .copying
        }
    }
}
