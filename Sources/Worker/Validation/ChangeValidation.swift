internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import MySQLCore
internal import Replication
internal import Runtime
internal import Settings
internal import Stream
internal import Synchronization
internal import Verification

/// Compares the rows that a subtask's changes touch, soon after they are applied, for as long as the
/// source is followed.
///
/// Which rows those are it reads from the source's binlog itself, up to where the target durably has
/// everything, and how they are compared is the judge's (``RowWatch``): from replication it takes
/// nothing but the mark. It never stops anything; what it finds is in the status.
///
/// Up to where it has come is recorded only when everything before has been looked at, with the rows
/// that differed. So a run that is killed looks at some rows twice, and leaves none out; where the
/// source has the binlog in between no more, it says so.
struct ChangeValidation: Sendable {
    let settings: MigrationSettings
    let options: ValidationSettings
    let board: StatusBoard
    let progress: ReplicationProgress
    let records: ValidationRecords
    let logger: Logger

    /// Rows that are looked at before more are read.
    private static let rowsAtOnce = 20_000
    /// Rows that may differ at once; beyond that nothing more is read before some are equal.
    private static let pendingLimit = 10_000
    /// How far behind a target may be that is compared: what comes later is on the source already.
    private static let greatestLag = VerificationDesk.greatestLag
    private static let waiting = Duration.milliseconds(500)

    /// Compares until the task is cancelled.
    func run() async {
        let backoff = Mutex(Backoff(first: .seconds(1), limit: .seconds(60)))
        while !Task.isCancelled {
            do {
                try await validate { backoff.withLock { $0.reset() } }
            } catch is CancellationError {
                return
            } catch {
                guard !Task.isCancelled else { return }
                wait("it is tried again: \(error)")
                try? await Task.sleep(for: backoff.withLock { $0.delay() })
            }
        }
    }

    private func validate(_ succeeded: @escaping @Sendable () -> Void) async throws {
        var mark = progress.snapshot.mark
        while mark == nil {
            try await Task.sleep(for: .milliseconds(100))
            mark = progress.snapshot.mark
        }
        guard let mark else { return }
        let known = try await withThread("validation") { try self.records.read() }
        let start = begin(known?.place, mark)
        if known?.place?.binlog != start.binlog || known?.place?.origin != start.origin {
            // What fails from here on goes on here.
            try await withThread("validation") {
                try self.records.write(
                    ValidationRecord(position: start, rows: known?.rows ?? []))
            }
        }
        let reader = ChangeReader(
            settings.source, from: start.binlog, of: mark.origin.server)
        var verification = VerificationOptions(comparing: [])
        verification.parallelism = min(options.workers, 16)
        verification.patience = .seconds(20)
        let watch = RowWatch(
            source: settings.source, target: settings.target, options: verification,
            batchRows: min(options.batch, 1000))
        await watch.restore(known?.rows ?? [])
        let pass = ValidationPass(
            validation: self, server: mark.origin.server, reader: reader, watch: watch)
        do {
            try await pass.run(succeeded)
        } catch {
            await reader.close()
            await watch.close()
            throw error
        }
    }

    /// Where it begins: where an earlier run has come to, or else at the mark.
    private func begin(_ known: SourcePosition?, _ mark: SourcePosition) -> SourcePosition {
        guard let known else { return mark }
        guard known.origin.server == mark.origin.server else {
            note(
                "changes between \(known.binlog), of another server, and \(mark.binlog) have not "
                    + "been compared")
            return mark
        }
        return known.binlog < mark.binlog ? known : mark
    }

    // MARK: the status

    func update(_ body: @escaping (inout SubtaskValidation) -> Void) {
        board.update { status in
            var validation = status.validation ?? SubtaskValidation()
            body(&validation)
            status.validation = validation
        }
    }

    func note(_ text: String) { update { $0.note(text) } }

    func wait(_ reason: String) {
        update { validation in
            validation.state = .waiting
            validation.reason = reason
        }
    }

    /// Why rows can't be compared now; `nil` when they can.
    fileprivate var obstacle: String? {
        guard let lag = board.current.lagMilliseconds.map({ Duration.milliseconds($0) }) else {
            return "it is not known how far the target is behind"
        }
        guard lag <= Self.greatestLag else {
            return "the target is behind by more than \(Self.greatestLag)"
        }
        return nil
    }

    fileprivate var limit: Int { Self.rowsAtOnce }
    fileprivate var pendingLimit: Int { min(options.pendingRows, Self.pendingLimit) }
}

extension Migration {
    /// What compares changed rows beside a run of replication; `nil` where that is not asked for.
    func validation(_ progress: ReplicationProgress, _ token: RunToken) -> ChangeValidation? {
        guard let options = settings.validation else {
            board.update { $0.validation = nil }
            return nil
        }
        return ChangeValidation(
            settings: settings, options: options, board: board, progress: progress,
            records: ValidationRecords(
                target: settings.target, meta: meta, key: key, token: token),
            logger: logger)
    }
}

/// One uninterrupted stretch of it, on one server.
private actor ValidationPass {
    private let validation: ChangeValidation
    private let server: ServerUUID
    private let reader: ChangeReader
    private let watch: RowWatch
    /// The tables that may be compared, as they were listed last; `nil`: they have to be listed.
    private var tables: ComparableTables?
    private var comparable: [TableName: ComparedTable] = [:]
    private var keys: [TableName: ChangedKeys.Key] = [:]
    private var others: Set<TableName> = []
    /// Counts of earlier stretches.
    private let earlier: SubtaskValidation?
    private var untold: UInt64 = 0
    private var differing = 0
    private var saved: (place: BinlogPosition, rows: Int, time: ContinuousClock.Instant)?

    /// Planned tables are forgotten beyond so many.
    private static let planLimit = 2000
    /// After how many statements in a row rows are read with what is known of tables.
    private static let statementLimit = 5

    init(
        validation: ChangeValidation, server: ServerUUID, reader: ChangeReader, watch: RowWatch
    ) {
        self.validation = validation
        self.server = server
        self.reader = reader
        self.watch = watch
        earlier = validation.board.current.validation
    }

    func run(_ succeeded: @escaping @Sendable () -> Void) async throws {
        while true {
            try Task.checkCancellation()
            if let obstacle = validation.obstacle {
                validation.wait(obstacle)
                try await Task.sleep(for: .milliseconds(500))
                continue
            }
            guard let mark = validation.progress.snapshot.mark else {
                try await Task.sleep(for: .milliseconds(100))
                continue
            }
            guard mark.origin.server == server else { throw StreamError.upstreamChanged }
            try await advance(to: mark)
            try await settle()
            try await save(mark.origin)
            succeeded()
            try await Task.sleep(for: validation.options.validateInterval.duration)
        }
    }

    /// Reads on up to the mark, and looks at what was changed.
    private func advance(to mark: SourcePosition) async throws {
        var statements = 0
        while validation.obstacle == nil {
            guard await pendingRows() < validation.pendingLimit else {
                validation.wait(
                    "more than \(validation.pendingLimit) rows differ: nothing more is looked at "
                        + "before some of them are equal")
                return
            }
            let found: ChangedKeys
            do {
                found = try await reader.read(
                    to: mark.binlog, limit: validation.limit, keys: keys, others: others,
                    stopsAtStatements: statements < Self.statementLimit)
            } catch let error as MySQLError where error.isPurged {
                // The source has it no more: a new stretch begins at the mark.
                try await skip(to: mark, error)
                throw error
            }
            untold &+= found.untold
            try await watch.look(found.rows)
            try await mend()
            if found.hasStatements || found.hasOtherShapes {
                statements += 1
                await forgetTables()
            }
            if !found.unknown.isEmpty { try await plan(found.unknown) }
            await show(isRunning: true)
            if found.isComplete { return }
        }
    }

    /// What the source has no more can't be compared.
    private func skip(to mark: SourcePosition, _ error: MySQLError) async throws {
        let from = await reader.needed
        validation.note(
            "changes between \(from) and \(mark.binlog) have not been compared: the source has that "
                + "part of its binlog no more")
        let rows = await watch.stored
        let kept = ValidationRecord.hasRoom(for: rows) ? rows : []
        if kept.count < rows.count {
            validation.note("\(rows.count) rows that differed are not looked at again")
        }
        try await write(mark, kept)
    }

    /// Looks again at what differs, at first after moments: most of it was about to arrive.
    private func settle() async throws {
        for delay in [Duration.milliseconds(200), .milliseconds(800)] {
            guard await pendingRows() > 0 else { break }
            try await Task.sleep(for: delay)
            try await watch.lookAgain()
            try await mend()
        }
        await show(isRunning: true)
    }

    private func pendingRows() async -> Int {
        await watch.findings(patience: validation.options.rowErrorDelay.duration).pending.values
            .reduce(0, +)
    }

    // MARK: tables

    private func forgetTables() async {
        tables = nil
        keys = [:]
        others = []
        await watch.forgetTables()
    }

    private func list() async throws -> ComparableTables {
        if let tables { return tables }
        let settings = validation.settings
        let found: ComparableTables
        do {
            found = try await withThread("tables") { try ComparableTables.read(settings) }
        } catch MigrationError.nothingSelected {
            found = ComparableTables()
        }
        comparable = Dictionary(
            found.tables.map { ($0.source, $0) }, uniquingKeysWith: { a, _ in a })
        for it in found.leftOut { validation.note(it.description) }
        tables = found
        return found
    }

    /// Finds out how rows of tables are compared.
    private func plan(_ names: Set<TableName>) async throws {
        let all = try await list()
        if keys.count + names.count > Self.planLimit {
            keys = [:]
            await watch.forgetTables()
        }
        let wanted = names.sorted().compactMap { comparable[$0] }
        others.formUnion(names.subtracting(wanted.map(\.source)))
        guard !wanted.isEmpty else { return }
        let (watchable, refused) = try await watch.plan(wanted, parts: all.parts)
        for table in watchable {
            keys[table.shape.name] = ChangedKeys.Key(shape: table.shape, columns: table.key)
        }
        for (name, reason) in refused {
            others.insert(name)
            validation.note("\(name) is not compared: \(reason)")
        }
    }

    /// Sees to rows that wait for what is known of their tables: those may have changed since.
    private func mend() async throws {
        for isLast in [false, true] {
            let failed = await watch.failed
            let unplanned = await watch.unplanned
            if failed.isEmpty, unplanned.isEmpty { return }
            if isLast {
                for (name, reason) in failed {
                    await giveUp(name)
                    validation.note("\(name) is not compared: \(reason)")
                }
                for name in await watch.unplanned { await giveUp(name) }
                return
            }
            if !failed.isEmpty { tables = nil }
            try await plan(unplanned.union(failed.keys))
            try await watch.look([:])
        }
    }

    private func giveUp(_ table: TableName) async {
        await watch.giveUp(table)
        keys[table] = nil
        others.insert(table)
    }

    // MARK: what is told, and kept

    private func show(isRunning: Bool) async {
        let patience = validation.options.rowErrorDelay.duration
        let found = await watch.findings(patience: patience)
        let place = await reader.needed.description
        let (untold, earlier) = (untold, earlier)
        let count = found.differing.values.reduce(0, +)
        validation.update { status in
            if isRunning { (status.state, status.reason) = (.running, nil) }
            status.position = place
            status.rows = (earlier?.rows ?? 0) &+ found.rows
            status.lostRows = (earlier?.lostRows ?? 0) &+ found.lost &+ untold
            status.pendingRows = found.pending.values.reduce(0, +)
            status.differingRows = count
            status.tables = found.differing.sorted { $0.key < $1.key }
                .prefix(SubtaskValidation.told)
                .map { .init(name: $0.key.description, differingRows: $0.value) }
        }
        if count > differing {
            validation.logger.warning(
                "rows differ on source and target", metadata: ["rows": "\(count)"])
        }
        differing = count
    }

    /// Records how far it is, now and then.
    private func save(_ origin: Origin) async throws {
        let place = await reader.needed
        let now = ContinuousClock.now
        if let saved {
            let isDue = now - saved.time >= validation.options.flushInterval.duration
            guard isDue, saved.place != place || saved.rows > 0 else { return }
        }
        guard await watch.isIdle else { return }
        let rows = await watch.stored
        // Else all that has come since is looked at again.
        guard ValidationRecord.hasRoom(for: rows) else { return }
        try await write(SourcePosition(origin: origin, binlog: place, gtids: .none), rows)
        saved = (place, rows.count, now)
    }

    private func write(_ place: SourcePosition, _ rows: [StoredRow]) async throws {
        let records = validation.records
        let record = ValidationRecord(position: place, rows: rows)
        try await withThread("validation") { try records.write(record) }
    }
}

extension MySQLError {
    /// Whether a source has no more the part of its binlog that was asked for.
    fileprivate var isPurged: Bool { code == 1236 }
}
