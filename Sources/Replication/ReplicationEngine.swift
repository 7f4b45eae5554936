public import Checkpoint
internal import MySQLBinlog
public import MySQLClient
public import MySQLCore
internal import MySQLSyntax
public import Rules
internal import Runtime
public import Stream
internal import Synchronization

/// What a replication engine needs to know.
public struct ReplicationConfiguration: Sendable {
    /// The source.
    public var source: ConnectionOptions
    /// The target.
    public var target: ConnectionOptions
    /// Which tables are migrated, and where to.
    public var tables: TableMapping
    /// The meta schema.
    public var meta: MetaSchema
    /// The subtask.
    public var key: SubtaskKey
    /// Positions of the copy of each table, as far as they matter still.
    public var ranges: [TableName: CopyRange] = [:]
    /// Target connections that apply.
    public var lanes = 3
    /// Whether changes of rows with a key are written so that rows become what they say, whatever
    /// the target has. Without it every change must find the row as the source had it.
    public var converges = false
    /// Whether tables of the target that the subtask has not created may have rows from before, so
    /// that none of them is emptied.
    public var intoExisting = false
    /// Whether statements on one of several tables that are merged into one are followed, as far as
    /// all of them go together; otherwise they are left to a person.
    public var followsMergedStatements = false
    /// Transactions a target transaction holds at most.
    public var batchLimit = 192
    /// Memory for transactions in flight, bytes.
    public var memoryBudget = 128 << 20
    /// The reader's id among the source's replicas.
    public var serverID: UInt32
    /// Where the source's events come from; over a connection of its own when `nil`.
    public var events: (any EventSource)?
    /// No transaction that starts there or later is applied: the run ends by itself. On another
    /// server than its own it does not count. `nil`: as long as nobody stops it.
    public var end: SourcePosition?

    /// Makes a configuration with defaults.
    public init(
        source: ConnectionOptions, target: ConnectionOptions, tables: TableMapping,
        meta: MetaSchema, key: SubtaskKey, serverID: UInt32
    ) {
        self.source = source
        self.target = target
        self.tables = tables
        self.meta = meta
        self.key = key
        self.serverID = serverID
    }
}

/// Follows a source: binlog events to target transactions. One call of ``run(epoch:)`` is one run
/// of the protocol: from a takeover to the loss of any of its connections.
public final class ReplicationEngine: Sendable {
    private let configuration: ReplicationConfiguration
    /// What it is doing.
    public let progress: ReplicationProgress
    private let stopping = Mutex<(isRequested: Bool, reader: (any EventReader)?)>((false, nil))
    private let stopRequest = Latch()

    /// Makes an engine.
    public init(_ configuration: ReplicationConfiguration, progress: ReplicationProgress) {
        self.configuration = configuration
        self.progress = progress
    }

    /// Asks it to apply what was read, save and end.
    public func stop() {
        stopping.withLock { state in
            state.isRequested = true
            state.reader?.close()
        }
        stopRequest.set()
    }

    private var isStopping: Bool { stopping.withLock { $0.isRequested } }

    /// Takes the subtask over and applies until ``stop()``, or the end that was configured.
    ///
    /// - Parameters:
    ///   - epoch: how the takeover chooses its epoch.
    ///   - token: the token of the new run.
    ///   - didTakeOver: called with the state after the takeover.
    /// - Throws: what ended the run. Everything that was acknowledged is in the target; the caller
    ///   takes over again where trying again can help.
    public func run(
        epoch: EpochPolicy, token: RunToken,
        didTakeOver: @escaping @Sendable (SubtaskState) -> Void
    ) async throws {
        let run = ReplicationRun(
            configuration: configuration, progress: progress, token: token)
        let lanes = configuration.lanes
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<lanes {
                let thread = ThreadExecutor(name: "lane \(lane)")
                group.addTask(executorPreference: thread) {
                    defer { thread.stop() }
                    try await run.lane(lane)
                }
            }
            let ddlThread = ThreadExecutor(name: "ddl")
            group.addTask(executorPreference: ddlThread) {
                defer { ddlThread.stop() }
                try await run.ddl()
            }
            let coordinatorThread = ThreadExecutor(name: "coordinator")
            group.addTask(executorPreference: coordinatorThread) {
                defer { coordinatorThread.stop() }
                try await run.coordinate(epoch: epoch, didTakeOver: didTakeOver)
            }
            let events = self.events(&group)
            let readerThread = ThreadExecutor(name: "reader")
            group.addTask(executorPreference: readerThread) {
                defer { readerThread.stop() }
                try await self.read(run, events)
            }
            group.addTask { try await run.tick() }
            do {
                while try await group.next() != nil {
                    if run.isFinished { group.cancelAll() }
                }
            } catch {
                if run.isFinished { return }
                run.fail(error)
                group.cancelAll()
                // Connections end with their tasks; only then may a new run begin.
                while let _ = try? await group.next() {}
                throw run.failure ?? error
            }
        }
    }

    // MARK: the reader

    /// Where events come from: what the configuration says, or a connection of this run.
    private func events(_ group: inout ThrowingTaskGroup<Void, any Error>) -> any EventSource {
        if let events = configuration.events { return events }
        let direct = DirectSource(configuration.source, serverID: configuration.serverID)
        group.addTask { try await direct.run() }
        return direct
    }

    private func read(_ run: ReplicationRun, _ events: any EventSource) async throws {
        let state = try await run.started.value()
        guard let lowWater = state.lowWater else {
            throw CheckpointError.inconsistent(detail: "the copy has not ended")
        }
        let recovered = try await run.recovered.value()
        let applied = AppliedState(
            lowWater: lowWater, carried: state.carried.adding(recovered.applied))
        // Earlier runs can't write any more: this is all that the target has.
        let held = HeldTransactions(
            task: configuration.key.task, target: configuration.target.server,
            positions: [lowWater] + (state.consistentFrom.map { [$0] } ?? []),
            others: applied.carried.adding(recovered.opened))
        guard try await settle(held, events) else { return try await run.finish() }
        var start = try StreamStart.find(configuration, state, lowWater, events)
        let catalog = try makeCatalog(run, state)
        // Without statements that are followed, what was told once becomes wrong.
        if catalog.followsMerged || !catalog.toldOfMerged.isEmpty {
            try await run.note(catalog.mergedAtStart(), areNew: true)
        }
        let stream = try await events.reader(from: start.place)
        start.settle(on: stream.server, lowWater)
        let isRequested = stopping.withLock { state in
            state.reader = stream
            return state.isRequested
        }
        if isRequested { stream.close() }
        defer {
            stopping.withLock { $0.reader = nil }
            stream.close()
        }
        let reader = StreamReader(
            run: run, stream: stream, catalog: catalog, applied: applied, start: start,
            carriedDigest: state.carriedDigest, opened: recovered.opened,
            configuration: configuration, progress: progress)
        try await withTaskCancellationHandler {
            do {
                try await reader.loop { self.isStopping }
            } catch {
                guard isStopping, !Task.isCancelled else {
                    throw Self.explained(error, lowWater.binlog)
                }
            }
        } onCancel: {
            stream.close()
        }
        // Asked to stop: what was read completely is applied and marked.
        try await run.finish()
    }

    /// Says what the target holds, and waits until it may read on; that can take as long as a
    /// target stays away that must be asked.
    ///
    /// - Returns: false when it was asked to stop before: nothing is read then.
    private func settle(
        _ held: HeldTransactions, _ events: any EventSource
    ) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await events.settle(held)
                return true
            }
            group.addTask {
                await self.stopRequest.wait()
                return false
            }
            defer { group.cancelAll() }
            let isSettled = try await group.next() ?? false
            try Task.checkCancellation()
            return isSettled
        }
    }

    /// What the source's "can't read the binlog" (1236) means, by its words.
    private static func explained(_ error: any Error, _ position: BinlogPosition) -> any Error {
        guard let server = error as? MySQLError,
            server.code == MySQLErrorCode.binlogReadFailed
        else { return error }
        let text = server.message.lowercased()
        let isLost = [
            "impossible position", "more gtids than", "not in the master's binlog",
            "diverge", "larger than", "log event entry exceeded",
        ].contains { text.contains($0) }
        return isLost
            ? StreamError.sourceLostEvents(server.message)
            : StreamError.purged(position, detail: server.message)
    }

    private func makeCatalog(_ run: ReplicationRun, _ state: SubtaskState) throws -> TableCatalog {
        let target = try Connection(configuration.target)
        let shapes = try StoredShapes(meta: configuration.meta, key: configuration.key)
            .read(target)
        var schemas = SchemaState()
        for shape in shapes { schemas.tables[shape.name] = shape }
        var online: [TableName: OnlineSchemaChangeStateMachine.Entry] = [:]
        let objects = StoredObjects(meta: configuration.meta, key: configuration.key)
        var (loose, found): (Set<TableName>, Set<TableName>) = ([], [])
        var objectsFrom: SourcePosition?
        var abandoned: Set<TableName> = []
        var told: [TableName: TableName] = [:]
        let stored = try objects.read(target)
        for object in stored {
            switch object.kind {
            case .online:
                online[object.name] = try object.decoded(
                    as: OnlineSchemaChangeStateMachine.Entry.self)
            case .loose: loose.insert(object.name)
            case .found: found.insert(object.name)
            case .merged:
                let table = try object.decoded(as: MergedTable.self)
                if table.isGone {
                    abandoned.insert(table.target)
                } else {
                    told[object.name] = table.target
                }
            case .objects: objectsFrom = try SourcePosition(encoded: object.definition)
            default: break
            }
        }
        let source = try Connection(configuration.source)
        // What the source has now is of now: a statement that is still to come would be read as if
        // it had run.
        let defaults = try StoredDefaults(stored)
        schemas.schemas = try defaults?.schemas ?? SchemaReader(source).defaults()
        let catalog = TableCatalog(
            sourceVersion: source.serverVersion, mapping: configuration.tables,
            state: schemas, windows: configuration.ranges, lowWater: state.lowWater,
            consistentFrom: state.consistentFrom, objectsFrom: objectsFrom,
            session: StatementSession(
                source: try ServerDialect(source), target: try ServerDialect(target)),
            online: online, loose: loose, isSafe: configuration.converges,
            adoptedUntil: try Adoption.read(stored)?.stretchEnd(),
            notedDefaults: defaults,
            keepsExisting: configuration.intoExisting)
        catalog.found = found
        catalog.created = stored.created.filter { configuration.tables.selects($0) }
        catalog.followsMerged = configuration.followsMergedStatements
        catalog.abandonedTargets = abandoned
        catalog.toldOfMerged = told
        let mapping = configuration.tables
        let others = OtherSources(meta: configuration.meta, key: configuration.key) {
            mapping.places(of: $0, source: $1)
        }
        let members = MergedTables(meta: configuration.meta, key: configuration.key)
        catalog.othersWrite = { [options = configuration.target, key = configuration.key] table in
            let connection = try Connection(options)
            // Rows of tables that they have dropped are there, too.
            return try others.write(to: table, connection)
                || members.read(table, connection).contains { $0.source != key.source }
        }
        catalog.isChangedOnSource = { [options = configuration.source] table, mark in
            do {
                let now = try SchemaReader(Connection(options)).shape(of: table)
                return now?.withNamelessForeignKeys != mark.withNamelessForeignKeys
            } catch is UnknownColumnType {
                return true
            }
        }
        (catalog.stopped, catalog.decisions) = try StatementDecisions(
            meta: configuration.meta, key: configuration.key
        ).read(target)
        for object in try StaleObjects.select(stored) {
            catalog.stale[object.id] = object
            catalog.warnings.append(object.warning)
        }
        catalog.noteTarget(
            try SchemaReader(target).shapes(of: catalog.targets(shapes.map(\.name))))
        return catalog
    }
}

extension IdentitySet {
    fileprivate func adding(_ identity: TransactionIdentity?) -> IdentitySet {
        var out = self
        if let identity { out.insert(identity) }
        return out
    }
}
