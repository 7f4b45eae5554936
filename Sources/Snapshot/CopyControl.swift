internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Runtime

/// The coordinator of a copy on a thread of its own: the only writer of the subtask's row and of
/// what hangs on it.
actor CopyControl {
    private let executor = ThreadExecutor(name: "copy-control")
    let configuration: SnapshotConfiguration
    private let interrupts: Interrupts
    private var session: TargetSession?
    private var coordinator: Coordinator?
    private var nextSnapshot = 1
    /// The snapshots of earlier runs.
    private var earlier: [SnapshotRecord] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    init(_ configuration: SnapshotConfiguration, _ interrupts: Interrupts) {
        self.configuration = configuration
        self.interrupts = interrupts
    }

    deinit { executor.stop() }

    /// Opens the session, waits for the others, takes the subtask over.
    func takeOver(
        _ barrier: RunBarrier, token: RunToken, epoch: EpochPolicy, lanes: Int,
        progress: SnapshotProgress
    ) async throws -> SubtaskState {
        do {
            let session = try TargetSession(configuration.target, role: .coordinator)
            try interrupts.add(session.connection.interrupter)
            self.session = session
            try await barrier.allOpen(session)
            try session.holdLock(token)
            let takeover = Takeover(meta: configuration.meta, key: configuration.key)
            var backoff = Backoff()
            var tries = 0
            while true {
                do {
                    let state = try takeover.take(session, token: token, epoch: epoch, lanes: lanes)
                    coordinator = Coordinator(
                        session: session, meta: configuration.meta, key: configuration.key,
                        token: token)
                    barrier.publish(.success(state))
                    progress.wait(for: nil)
                    return state
                } catch let error as MySQLError where error.retry == .transaction && tries < 20 {
                    tries += 1
                    progress.wait(for: "the previous run's last transaction has not ended yet")
                    try await Task.sleep(for: backoff.delay())
                }
            }
        } catch {
            barrier.publish(.failure(error))
            throw error
        }
    }

    /// What is durable of the copy.
    func ledger() throws -> ([SnapshotRecord], [ChunkRecord], [StoredObject]) {
        let (connection, ledger) = try connected()
        let snapshots = try ledger.snapshots(connection)
        nextSnapshot = (snapshots.map(\.id).max() ?? 0) + 1
        earlier = snapshots
        let objects = StoredObjects(meta: configuration.meta, key: configuration.key)
        return (snapshots, try ledger.chunks(connection), try objects.read(connection))
    }

    /// The tables at the mark.
    func shapes() throws -> [TableShape] {
        let (connection, _) = try connected()
        return try StoredShapes(meta: configuration.meta, key: configuration.key).read(connection)
    }

    /// The number for the next `count` snapshots.
    func reserveSnapshots(_ count: Int) -> Int {
        defer { nextSnapshot += count }
        return nextSnapshot
    }

    /// Makes snapshots durable; before any chunk that was read in them commits.
    ///
    /// - Throws: `CheckpointError.inconsistent` when the source is not the one, or has not the
    ///   binlog any more, that earlier runs have read: positions would be compared that mean
    ///   nothing to each other.
    func record(_ snapshots: some Collection<SnapshotRecord> & Sendable) throws {
        let (_, ledger) = try connected()
        for old in earlier {
            let other = snapshots.first { !($0.high ?? $0.low).continues(old.low) }
            guard let other else { continue }
            throw CheckpointError.inconsistent(
                detail: "the copy began at \(old.low), and the source, now at \(other.low), is "
                    + "another one, or its binlog or its GTIDs began anew; start over (--fresh)")
        }
        for snapshot in snapshots { try ledger.record(snapshot, by: coordinator!) }
    }

    /// Stores and forgets objects.
    func write(_ statements: [String]) throws {
        _ = try connected()
        try StoredObjects(meta: configuration.meta, key: configuration.key)
            .write(statements, by: coordinator!)
    }

    /// Forgets the chunks of tables that were emptied, and that they had to be.
    ///
    /// In one transaction: of tables that are merged, each one's chunks say that rows are there
    /// which went with those of the others.
    ///
    /// - Parameters:
    ///   - dropped: those of them that are not on the target any more.
    ///   - areGone: the source has none of them: changes that are behind the mark meet none.
    func forget(_ tables: [TableName], dropped: [TableName], areGone: Bool = false) throws {
        let (_, ledger) = try connected()
        let objects = StoredObjects(meta: configuration.meta, key: configuration.key)
        let dropped = Set(dropped)
        try transaction("phase='copy'") {
            tables.flatMap { table in
                var statements = [
                    ledger.forgetStatement(table), objects.removeStatement(.restart, table),
                    objects.removeStatement(.merged, table),
                    // What comes now is what the rules of today let pass.
                    objects.removeStatement(.loose, table),
                ]
                if areGone { statements.append(ledger.forgetShapeStatement(table)) }
                if dropped.contains(table) {
                    statements.append(objects.removeStatement(.table, table))
                }
                return statements
            }
        }
    }

    /// Shows that the run lives; nothing before the takeover.
    func beat() throws { try coordinator?.beat() }

    /// Ends the copy.
    func beginFollowing(
        from start: SourcePosition, consistentFrom: SourcePosition, shapes: [TableShape],
        replacing: Set<TableName>?
    ) throws {
        _ = try connected()
        try coordinator!.beginFollowing(
            from: start, consistentFrom: consistentFrom, shapes: shapes, replacing: replacing)
    }

    /// Runs statements in one transaction with an update of the subtask's row.
    func transaction(_ assignments: String, _ statements: () -> [String]) throws {
        _ = try connected()
        try coordinator!.transaction { connection in
            try coordinator!.update(assignments, connection)
            for statement in statements() { try connection.execute(statement) }
        }
    }

    private func connected() throws -> (Connection, CopyLedger) {
        guard let session, coordinator != nil else { throw CancellationError() }
        return (
            session.connection, CopyLedger(meta: configuration.meta, key: configuration.key)
        )
    }
}
