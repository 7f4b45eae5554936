internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime
internal import Settings
internal import Synchronization
internal import Verification

/// How a comparison of a subtask's tables goes, or has ended.
public struct SubtaskVerification: Sendable, Hashable, Codable {
    /// Where it is, or what came out.
    public enum State: String, Sendable, Hashable, Codable {
        /// Others of this worker are compared first.
        case waiting
        /// It compares.
        case running
        /// Every row and every compared property is the same.
        case equal
        /// Something differs, in a way that lasts.
        case different
        /// It could not be found out for all tables; `tables` says why.
        case undecided
        /// It could not be done at all; `reason` says why.
        case failed

        /// Whether nothing more comes.
        public var isOver: Bool { self != .waiting && self != .running }
    }

    /// A table that is not equal.
    public struct Table: Sendable, Hashable, Codable {
        /// Its name on the source.
        public var name: String
        /// `different` or `undecided`.
        public var verdict: String
        /// Rows that were compared.
        public var rows: UInt64
        /// Rows that differ. Which, `skein verify` tells: no values are kept here.
        public var differingRows: UInt64
        /// How its shape differs, and why it could not be compared, one sentence each.
        public var notes: [String]
    }

    /// Where it is, or what came out.
    public var state = State.waiting
    /// When it was asked for, in seconds since 1970.
    public var begun: Double
    /// When it ended.
    public var ended: Double?
    /// How many tables there are to compare.
    public var tablesTotal = 0
    /// How many of them have been compared.
    public var tablesDone = 0
    /// Rows of the source that were compared.
    public var rows: UInt64 = 0
    /// Rows that differ, as far as is known.
    public var differingRows: UInt64 = 0
    /// The first tables that are not equal; empty before the end.
    public var tables: [Table] = []
    /// Why it failed.
    public var reason: String?

    init(begun: Double) { self.begun = begun }
}

/// Compares subtasks' tables when that is asked for, a few at once, and remembers what came out for as
/// long as the worker has the source.
///
/// It shares nothing with the engines that it judges: connections, and what it compares, are its own.
final class VerificationDesk: Sendable {
    /// One task on one source.
    struct Subtask: Sendable, Hashable {
        let task: String
        let source: String
    }

    private struct Job: Sendable {
        let subtask: Subtask
        let settings: MigrationSettings
        let settle: Duration
        /// Set when nobody wants to know any more.
        let isOff = Latch()
    }

    private let describe: @Sendable (any Error) -> SubtaskError
    private let results = Mutex<[Subtask: (job: Job, result: SubtaskVerification)]>([:])
    private let jobs = Mailbox<Job>()

    /// How many are compared at once; each takes four connections to either server.
    private static let atOnce = 2
    private static let shortestSettle = Duration.seconds(5)
    /// How far behind a target may be that is compared.
    static let greatestLag = Duration.seconds(20)
    /// How many tables a result names.
    private static let namedTables = 50
    private static let notesOfTable = 5

    init(describe: @escaping @Sendable (any Error) -> SubtaskError) { self.describe = describe }

    /// Begins a comparison, as soon as its turn comes.
    ///
    /// - Parameter lag: how far the target is behind the source now, at most ``greatestLag``: a
    ///   difference must last three times as long.
    /// - Throws: ``WorkerError`` when the tables can't be compared, or are being compared.
    func begin(
        _ subtask: Subtask, _ settings: MigrationSettings, lag: Duration
    ) throws(WorkerError) {
        // Each source would find the others' rows, and rows that were left out on purpose.
        if settings.sharesTargets {
            throw .cannotVerify("several sources of the task write to the same tables")
        }
        if settings.mapping.leavesOutChanges {
            throw .cannotVerify("the task's filters leave out rows or changes")
        }
        let settle = max(Self.shortestSettle, lag * 3)
        let job = Job(subtask: subtask, settings: settings, settle: settle)
        let isBusy = results.withLock { results in
            if let known = results[subtask], !known.result.state.isOver { return true }
            results[subtask] = (job, SubtaskVerification(begun: Self.now))
            return false
        }
        if isBusy { throw .isVerifying(task: subtask.task, source: subtask.source) }
        jobs.send(job)
    }

    /// What is known of a subtask's comparison; `nil`: none was asked for.
    func result(_ subtask: Subtask) -> SubtaskVerification? {
        results.withLock { $0[subtask]?.result }
    }

    /// Forgets, and breaks off, what is not among these.
    func keep(where isKept: (Subtask) -> Bool) {
        let gone = results.withLock { results in
            let gone = results.filter { !isKept($0.key) }
            for subtask in gone.keys { results[subtask] = nil }
            return gone.values.map(\.job)
        }
        for job in gone { job.isOff.set() }
    }

    /// Compares what is asked for until the task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            var running = 0
            while let job = try? await self.jobs.next() {
                if running == Self.atOnce {
                    await group.next()
                    running -= 1
                }
                group.addTask { await self.work(job) }
                running += 1
            }
            group.cancelAll()
        }
    }

    private func work(_ job: Job) async {
        guard !job.isOff.isSet else { return }
        update(job) { $0.state = .running }
        let outcome = await withTaskGroup(
            of: Result<VerificationReport, any Error>.self
        ) { group in
            group.addTask {
                do {
                    return .success(try await self.compare(job))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                await job.isOff.wait()
                return .failure(CancellationError())
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(CancellationError())
        }
        update(job) { result in
            result.ended = Self.now
            switch outcome {
            case .success(let report): result.take(report, Self.namedTables, Self.notesOfTable)
            case .failure(is CancellationError):
                result.state = .failed
                result.reason = "the worker has ended it"
            case .failure(let error):
                result.state = .failed
                result.reason = self.describe(error).message
            }
        }
    }

    private func compare(_ job: Job) async throws -> VerificationReport {
        let settings = job.settings
        let tables = try await withThread("tables") {
            try SelectedTables.read(settings.source, settings.mapping)
        }
        update(job) { $0.tablesTotal = tables.count }
        var options = VerificationOptions(tables: tables)
        options.settle = job.settle
        let verifier = Verifier(
            source: settings.source, target: settings.target, options: options
        ) { progress in
            self.update(job) { result in
                result.tablesDone = progress.tablesDone
                result.rows = progress.rows
                result.differingRows = progress.differences
            }
        }
        return try await verifier.run()
    }

    /// Changes a job's result, unless a newer one has taken its place.
    private func update(_ job: Job, _ body: (inout SubtaskVerification) -> Void) {
        results.withLock { results in
            guard var known = results[job.subtask], known.job.isOff === job.isOff else { return }
            body(&known.result)
            results[job.subtask] = known
        }
    }

    private static var now: Double { Double(wallClockMicroseconds()) / 1e6 }
}

extension SubtaskVerification {
    fileprivate mutating func take(_ report: VerificationReport, _ named: Int, _ notes: Int) {
        switch report.verdict {
        case .equal: state = .equal
        case .different: state = .different
        case .undecided: state = .undecided
        }
        tablesTotal = report.tables.count
        tablesDone = report.tables.count
        rows = report.rows
        differingRows = report.differingRows
        tables = report.tables.filter { $0.verdict != .equal }.prefix(named).map { table in
            let reasons = table.undecidedReason.map { [$0] } ?? []
            let shape = table.structure.filter(\.isDifference).map(\.description)
            return Table(
                name: table.source.description, verdict: table.verdict.rawValue, rows: table.rows,
                differingRows: table.differingRows, notes: Array((reasons + shape).prefix(notes)))
        }
    }
}

/// The tables that a subtask migrates, by both their names.
private enum SelectedTables {
    static func read(
        _ source: ConnectionOptions, _ mapping: TableMapping
    ) throws -> [(source: TableName, target: TableName)] {
        let reader = SchemaReader(try Connection(source))
        var found: [TableName] = []
        for schema in try reader.schemas() where mapping.mayHold(schema: schema) {
            found += try reader.tables(in: schema).map(\.name).filter { mapping.selects($0) }
        }
        guard !found.isEmpty else { throw MigrationError.nothingSelected }
        var targets: Set<TableName> = []
        return try found.sorted().map { table in
            let route = try mapping.route(of: table)
            guard targets.insert(route.target).inserted, route.extracted.isEmpty else {
                throw WorkerError.cannotVerify(
                    "the task's routes merge tables, or add columns, as for \(table)")
            }
            return (table, route.target)
        }
    }
}
