internal import MySQLClient
internal import MySQLCore
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
    /// Why it failed, or why what differs says nothing.
    public var reason: String?
    /// How many tables are not compared, since filters may leave out something of them; `nil` of a
    /// worker that does not say it, or for none.
    public var tablesLeftOut: Int?
    /// Which tables these are, and what has not been looked for in others, one sentence each.
    public var notes: [String]?

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

    /// Tells how far a target is behind its source now; throws where it is not followed.
    typealias Lag = @Sendable () throws(WorkerError) -> Duration

    private struct Job: Sendable {
        let subtask: Subtask
        let settings: MigrationSettings
        let lag: Lag
        /// Set when nobody wants to know any more.
        let isOff = Latch()
    }

    private let describe: @Sendable (any Error) -> SubtaskError
    private let results = Mutex<[Subtask: (job: Job, result: SubtaskVerification)]>([:])
    private let jobs = Mailbox<Job>()

    /// How many are compared at once; each takes four connections to either server.
    private static let atOnce = 2
    private static let shortestSettle = Duration.seconds(5)
    /// How often it is looked whether the target still follows.
    private static let pulse = Duration.milliseconds(100)
    /// How far behind a target may be that is compared.
    static let greatestLag = Duration.seconds(20)
    /// How many tables a result names.
    private static let namedTables = 50
    private static let notesOfTable = 5
    /// How many sentences a result has on what was not looked for.
    private static let notesOfAll = 50

    init(describe: @escaping @Sendable (any Error) -> SubtaskError) { self.describe = describe }

    /// Begins a comparison, as soon as its turn comes.
    ///
    /// - Parameter lag: asked when its turn comes, and until it ends: a difference must last three
    ///   times as long, and counts for nothing where the target has not followed.
    /// - Throws: ``WorkerError`` when the tables are being compared.
    func begin(
        _ subtask: Subtask, _ settings: MigrationSettings, lag: @escaping Lag
    ) throws(WorkerError) {
        let job = Job(subtask: subtask, settings: settings, lag: lag)
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
            of: Result<(compared: Compared, watch: LagWatch), any Error>.self
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
            case .success(let (compared, watch)):
                result.take(compared.report, watch, Self.namedTables, Self.notesOfTable)
                result.notes = SubtaskVerification.notes(
                    compared.leftOut + Self.unsaid(compared.report), Self.notesOfAll)
            case .failure(is CancellationError):
                result.state = .failed
                result.reason = "the worker has ended it"
            case .failure(let error as WorkerError):
                result.state = .failed
                result.reason = error.description
            case .failure(let error):
                result.state = .failed
                result.reason = self.describe(error).message
            }
        }
    }

    private struct Compared: Sendable {
        let report: VerificationReport
        /// Which tables are not in it, one sentence each.
        let leftOut: [String]
    }

    /// Compares, and watches the target meanwhile.
    ///
    /// - Returns: what came out, and how the target has followed.
    private func compare(
        _ job: Job
    ) async throws -> (compared: Compared, watch: LagWatch) {
        let settle = max(Self.shortestSettle, try job.lag() * 3)
        let observer = LagObserver(settle: settle, lag: job.lag)
        let compared = try await withThrowingTaskGroup(of: Compared?.self) { group in
            group.addTask { try await self.compare(job, settle: settle, observer) }
            group.addTask {
                while true {
                    _ = observer.look()
                    try await Task.sleep(for: Self.pulse)
                }
            }
            defer { group.cancelAll() }
            while let done = try await group.next() { if let done { return done } }
            throw CancellationError()
        }
        // The last look may have met it in the middle of a burst.
        while true {
            let now = observer.look()
            if compared.report.verdict != .different || now.doubt != nil || !now.isLate {
                return (compared, now)
            }
            try await Task.sleep(for: Self.pulse)
        }
    }

    private func compare(
        _ job: Job, settle: Duration, _ observer: LagObserver
    ) async throws -> Compared {
        let settings = job.settings
        let found = try await withThread("tables") { try ComparableTables.read(settings) }
        let leftOut = found.leftOut.map(\.description)
        update(job) { result in
            result.tablesTotal = found.tables.count
            result.tablesLeftOut = leftOut.isEmpty ? nil : leftOut.count
            result.notes = SubtaskVerification.notes(leftOut, Self.notesOfAll)
        }
        guard !found.tables.isEmpty else {
            throw WorkerError.cannotVerify(
                "filters may leave out rows of every table of the task, or changes")
        }
        var options = found.options(settings)
        options.settle = settle
        let verifier = Verifier(
            source: settings.source, target: settings.target, options: options
        ) { progress in
            if progress.phase == .settling { observer.settles() }
            self.update(job) { result in
                result.tablesDone = progress.tablesDone
                result.rows = progress.rows
                result.differingRows = progress.differences
            }
        }
        return Compared(report: try await verifier.run(), leftOut: leftOut)
    }

    /// What was not looked for in tables that a result does not name.
    private static func unsaid(_ report: VerificationReport) -> [String] {
        report.tables.filter { $0.verdict == .equal }.flatMap(\.notes)
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
    /// - Parameter watch: how the target has followed meanwhile.
    fileprivate mutating func take(
        _ report: VerificationReport, _ watch: LagWatch, _ named: Int, _ notes: Int
    ) {
        let found = report.tables.filter { $0.verdict != .equal }
        let doubts = found.map { table in
            table.verdict == .different ? watch.doubt(of: table) : nil
        }
        let verdicts = zip(found, doubts).map { $1 == nil ? $0.verdict : .undecided }
        state =
            verdicts.contains(.different)
            ? .different : verdicts.isEmpty ? .equal : .undecided
        reason = doubts.lazy.compactMap { $0 }.first
        tablesTotal = report.tables.count
        tablesDone = report.tables.count
        rows = report.rows
        differingRows = report.differingRows
        tables = zip(found, zip(doubts, verdicts)).prefix(named).map { table, judged in
            let reasons = [judged.0, table.undecidedReason].compactMap { $0 }
            let shape = table.structure.filter(\.isDifference).map(\.description)
            return Table(
                name: table.source.description, verdict: judged.1.rawValue, rows: table.rows,
                differingRows: table.differingRows,
                notes: Array((reasons + table.notes + shape).prefix(notes)))
        }
    }

    /// The first sentences, each once, and how many there are besides; `nil` for none.
    static func notes(_ texts: [String], _ limit: Int) -> [String]? {
        var seen: Set<String> = []
        let all = texts.filter { seen.insert($0).inserted }
        guard all.count > limit else { return all.isEmpty ? nil : all }
        return Array(all.prefix(limit)) + ["and \(all.count - limit) more"]
    }
}

/// Whether a target has followed while it was compared.
///
/// What is on its way differs for as long as the target is late, and a difference counts when it
/// has lasted for `settle`. A moment does no harm: after a quiet time the first transaction looks
/// as old as the one before it.
struct LagWatch: Sendable {
    /// How long differences must last.
    let settle: Duration
    /// Since when the target is too late, or is not followed.
    private var lateSince: ContinuousClock.Instant?
    /// Why differences say nothing, once that has lasted for too long.
    private(set) var doubt: String?
    /// The same of the time before rows were looked at again.
    private var earlierDoubt: String?
    private var isSettling = false

    init(settle: Duration) { self.settle = settle }

    /// Rows that differed are looked at again from now on: what was before says nothing of them.
    mutating func settles() {
        guard !isSettling else { return }
        isSettling = true
        earlierDoubt = doubt
        doubt = nil
    }

    /// Why a table's differences say nothing, if so. Its shape, and rows without a key, were
    /// compared before.
    func doubt(of table: TableReport) -> String? {
        let isEarlier = table.isKeyless || table.structure.contains(where: \.isDifference)
        return doubt ?? (isEarlier ? earlierDoubt : nil)
    }

    /// Whether it was late when it was last looked at.
    var isLate: Bool { lateSince != nil }

    /// Takes in how far the target is behind.
    mutating func note(_ lag: Result<Duration, WorkerError>, at now: ContinuousClock.Instant) {
        let reason: String
        switch lag {
        case .success(let lag):
            if lag * 3 <= settle {
                lateSince = nil
                return
            }
            reason = "the target has fallen behind by \(lag) while it was compared"
        case .failure(let error): reason = error.description
        }
        let since = lateSince ?? now
        lateSince = since
        if doubt == nil, since.duration(to: now) * 3 >= settle { doubt = reason }
    }
}

/// Looks at a target while it is compared.
private final class LagObserver: Sendable {
    private let lag: VerificationDesk.Lag
    private let watch: Mutex<LagWatch>

    init(settle: Duration, lag: @escaping VerificationDesk.Lag) {
        self.lag = lag
        watch = Mutex(LagWatch(settle: settle))
    }

    func settles() { watch.withLock { $0.settles() } }

    /// Looks once more, and tells what all looks have shown.
    func look() -> LagWatch {
        let now: Result<Duration, WorkerError>
        do { now = .success(try lag()) } catch { now = .failure(error) }
        return watch.withLock { watch in
            watch.note(now, at: .now)
            return watch
        }
    }
}
