public import MySQLClient
internal import MySQLCore

/// Compares tables of two servers exactly, while replication between them may be running.
///
/// Both servers compute checksums of ranges of keys; where those differ, hashes of rows are
/// compared, and rows that differ are looked at again until the difference has lasted. Neither
/// server is written to, no lock is taken, and no read view outlives one statement.
///
/// What it can't see: a change to the source that reached neither the target nor its row's
/// checksum yet, and a difference between two rows' hashes with a chance of 2^-64 per chunk.
public final class Verifier: Sendable {
    private let source: ConnectionOptions
    private let target: ConnectionOptions
    private let options: VerificationOptions
    private let progress: @Sendable (VerificationProgress) -> Void

    /// Memory for rows that are not decided yet.
    private static let pendingBytes = 32 << 20

    /// Makes a verifier. `progress` is called from any thread, often; it must not block.
    public init(
        source: ConnectionOptions, target: ConnectionOptions, options: VerificationOptions,
        progress: @escaping @Sendable (VerificationProgress) -> Void = { _ in }
    ) {
        self.source = source
        self.target = target
        self.options = options
        self.progress = progress
    }

    /// Compares all tables.
    ///
    /// - Returns: the judgement with what it rests on. A table that could not be compared is
    ///   undecided in it, with the reason.
    /// - Throws: when a server can't be reached at the start (``MySQLError``), when the sink for
    ///   fixes throws, and `CancellationError`, within seconds of the cancellation.
    public func run() async throws -> VerificationReport {
        let start = ContinuousClock.now
        let tally = Tally(
            options.tables.map { TableReport(source: $0.source, target: $0.target) },
            report: progress)
        let pool = SessionPool(
            source: source, target: target, count: max(1, options.parallelism),
            patience: options.patience)
        let stepper = Session(.source, source, patience: options.patience)
        let found: (objects: [StructureFinding], strays: [TableReport])
        do {
            try await checkConnections()
            found = try await compare(tally, pool, stepper)
        } catch {
            await pool.close()
            await stepper.close()
            if Task.isCancelled { throw CancellationError() }
            if let failure = error as? SinkFailure { throw failure.cause }
            throw error
        }
        await pool.close()
        await stepper.close()
        return VerificationReport(
            tables: tally.tables + found.strays, objects: found.objects,
            elapsed: ContinuousClock.now - start)
    }

    /// A wrong address or password must not be tried for minutes.
    private func checkConnections() async throws {
        for (side, server) in [(Side.source, source), (.target, target)] {
            let session = Session(side, server, patience: .zero)
            do {
                _ = try await session.values("SELECT 1")
            } catch {
                await session.close()
                throw error
            }
            await session.close()
        }
    }

    private func compare(
        _ tally: Tally, _ pool: SessionPool, _ stepper: Session
    ) async throws -> (objects: [StructureFinding], strays: [TableReport]) {
        let plans = try await pool.use {
            try await Planner(options: options, pair: $0, tally: tally).plans()
        }
        var objects: [StructureFinding] = []
        if options.comparesStructure {
            let schemas = Dictionary(
                options.tables.map { ($0.source.schema, $0.target.schema) },
                uniquingKeysWith: { first, _ in first })
            objects = try await pool.use {
                try await ObjectComparison(schemas: schemas).findings($0)
            }
        }
        let judge = Judge(plans: plans, options: options, tally: tally, pool: pool)
        try judge.fix?.begin()
        let pending = PendingRows(byteLimit: Self.pendingBytes)
        let estimate = plans.values.reduce(0) { $0 + $1.estimatedRows }
        tally.progress {
            $0.phase = .chunks
            $0.estimatedRows = estimate
            $0.tablesDone = options.tables.count - plans.count
        }
        let scan = TableScan(
            tally: tally, pool: pool, stepper: stepper, pending: pending, judge: judge)
        try await scan.run(plans.values.sorted { $0.index < $1.index })
        tally.progress { $0.currentTable = nil }
        try await judge.judge(pending.takeAll())
        try await SharedCopies(
            plans: Array(plans.values), options: options, tally: tally, pool: pool
        ).check()
        let strays = try await StrayRows(
            options: options, tally: tally, pool: pool, fix: judge.fix
        ).reports()
        return (objects, strays)
    }
}
