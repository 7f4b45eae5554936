public import Checkpoint
internal import DumpFiles
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Runtime

/// Loads a dump's directory into a target, each row exactly once.
///
/// Order of a run: the directory is read and must be a whole dump; all target sessions open,
/// takeover; what is there on the target is looked at; databases and tables are created; lanes
/// load files of rows, each transaction with the record of how far its file has come; then
/// routines, views, triggers and events are created, and the end is recorded. Any lost connection
/// ends the run, and the next one goes on where the records end.
public final class LoadEngine: Sendable {
    /// What a task of a run ended with.
    private enum Part: Sendable {
        case lane
        case keeper
        case lead(LoadResult)
    }

    private let configuration: LoadConfiguration
    private let progress: TransferProgress

    /// What the subtask's row says when all is loaded.
    static let completePhase = "loaded"
    /// And before.
    static let openPhase = TableClaims.openPhase

    /// Makes an engine; nothing is touched.
    public init(configuration: LoadConfiguration, progress: TransferProgress) {
        self.configuration = configuration
        self.progress = progress
    }

    /// Runs until all is loaded: after a loss that a new try can mend, it tries again.
    ///
    /// - Parameter token: fresh random bytes for each try.
    /// - Throws: `DumpFileError`, ``SnapshotError``, ``CheckpointError``, `MySQLError`;
    ///   `CancellationError` within seconds after the task was cancelled.
    public func run(token: () -> RunToken) async throws -> LoadResult {
        // Also none: another load has ended the try before to take a table over. Then the next one
        // claims again before it writes a row, and either has the table or says who has it.
        var own: Set<RunToken> = [.ended]
        var backoff = Backoff()
        var epoch: UInt64?
        // How often in a row sessions have reached different servers.
        var apart = 0
        while true {
            let fresh = token()
            let interrupts = Interrupts()
            let bound = configuration.epoch.map { EpochPolicy.binding($0) }
            // Under a binding, too: another process of the same one may have come since.
            let kept = epoch.map { EpochPolicy.keep($0, own: own) }
            let policy = kept ?? bound ?? .next
            own.insert(fresh)
            let took = Awaited<UInt64>()
            let isBegun = epoch != nil
            do {
                return try await withTaskCancellationHandler {
                    try await attempt(policy, fresh, interrupts, took, isBegun: isBegun)
                } onCancel: {
                    interrupts.fire()
                }
            } catch {
                try Task.checkCancellation()
                if took.isGiven {
                    epoch = try await took.value {}
                    backoff.reset()
                }
                // As above, where a session outlived the one that holds the run's lock. Where it is
                // a later run of this load, the next try finds another epoch, or another run's
                // token, and ends.
                let isEnded = took.isGiven && Self.isFenced(error)
                // The target may have been restarted, or another one may have taken its place,
                // while sessions were opened.
                apart = Self.isApart(error) ? apart + 1 : 0
                let isMomentary = isEnded || (1...Self.triesApart).contains(apart)
                guard let reason = isMomentary ? "\(error)" : Self.retryReason(error) else {
                    throw error
                }
                progress.update { $0.waiting = reason }
                try await Task.sleep(for: backoff.delay())
            }
        }
    }

    private static func isFenced(_ error: any Error) -> Bool {
        if case CheckpointError.fenced = error { return true }
        return false
    }

    private static func isApart(_ error: any Error) -> Bool {
        if case CheckpointError.differentServers = error { return true }
        return false
    }

    /// How often it is tried again.
    private static let triesApart = 4

    private static func retryReason(_ error: any Error) -> String? {
        switch error {
        case let error as MySQLError where error.retry != .no: error.description
        case let error as SnapshotError where error.isRetryable: error.description
        case let error as UndecidedTable: error.description
        default: nil
        }
    }

    private func attempt(
        _ epoch: EpochPolicy, _ token: RunToken, _ interrupts: Interrupts, _ took: Awaited<UInt64>,
        isBegun: Bool
    ) async throws -> LoadResult {
        progress.update { $0 = TransferProgress.State() }
        let configuration = isBegun ? configuration.begunBefore : configuration
        let (plan, context) = try await withThread("load-plan") {
            let connection = try Connection(configuration.target)
            try interrupts.add(connection.interrupter)
            let context = SyntaxContext(version: connection.serverVersion)
            return (try LoadPlan(configuration, context), context)
        }
        let barrier = RunBarrier(lanes: configuration.lanes)
        let work = Awaited<LoadWork>()
        let rowsDone = Latch()
        let run = LoadRun(
            configuration: configuration, plan: plan, context: context, progress: progress,
            interrupts: interrupts, barrier: barrier, work: work, rowsDone: rowsDone)
        return try await withThrowingTaskGroup(of: Part.self) { group in
            for i in 0..<configuration.lanes {
                group.addTask {
                    try await withThread("load-\(i)") { try await run.lane(i) }
                    return .lane
                }
            }
            group.addTask {
                .lead(
                    try await withThread("load-lead") { try await run.lead(epoch, token, took) })
            }
            group.addTask {
                try await withThread("load-keeper") { try await run.keepOpen() }
                return .keeper
            }
            var result: LoadResult?
            var loading = configuration.lanes
            do {
                while let part = try await group.next() {
                    switch part {
                    case .lane: loading -= 1
                    case .lead(let led): result = led
                    case .keeper: break
                    }
                    if loading == 0 { rowsDone.set() }
                }
            } catch {
                interrupts.fire()
                barrier.publish(.failure(error))
                work.give(.failure(error))
                rowsDone.set()
                group.cancelAll()
                while true {
                    do {
                        if try await group.next() == nil { break }
                    } catch {
                        continue  // it follows from the first one
                    }
                }
                throw error
            }
            guard let result else { throw CancellationError() }
            return result
        }
    }
}
