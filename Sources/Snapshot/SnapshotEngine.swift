public import Checkpoint
internal import MySQLClient
public import MySQLCore
internal import Runtime

/// What a copy came to.
public struct SnapshotResult: Sendable {
    /// The state that the takeover wrote: epoch and token, for the next takeover.
    public var state: SubtaskState
    /// Per table, between which positions its rows lie.
    public var ranges: [TableName: CopyRange]
    /// Where replication starts: the lowest low.
    public var start: SourcePosition
    /// From where on transactions are whole: the highest high.
    public var consistentFrom: SourcePosition
    /// The tables' shapes as of the copy.
    public var shapes: [TableName: TableShape]
    /// Rows that this run wrote.
    public var rows: UInt64
    /// Bytes of them as they were sent.
    public var bytes: UInt64
}

/// Copies tables into the target, in chunks that survive a restart.
///
/// Order of a run: all target sessions open, takeover, tables are created, read views open and
/// are recorded, pairs copy chunks, indexes and other objects are created, the copy's end is
/// recorded. Any lost connection, and any error, ends the run; a new run goes on where this one's
/// durable records end. No event of the source may be applied before ``run(epoch:token:)`` has
/// returned.
public final class SnapshotEngine: Sendable {
    private let configuration: SnapshotConfiguration
    private let plan: SnapshotPlan
    private let progress: SnapshotProgress

    /// Makes an engine; nothing is touched.
    public init(
        configuration: SnapshotConfiguration, plan: SnapshotPlan, progress: SnapshotProgress
    ) {
        self.configuration = configuration
        self.plan = plan
        self.progress = progress
    }

    /// Runs the copy to its end; the subtask is then in phase `follow`.
    ///
    /// The subtask's row must exist (``Takeover/create(_:identity:rules:)``).
    ///
    /// - Parameters:
    ///   - epoch: how the takeover chooses its epoch.
    ///   - token: the run's token; a fresh one for every call.
    /// - Throws: ``SnapshotError``, ``CheckpointError``, `MySQLError`; `CancellationError` within
    ///   seconds after the task was cancelled.
    public func run(epoch: EpochPolicy, token: RunToken) async throws -> SnapshotResult {
        let interrupts = Interrupts()
        do {
            return try await withTaskCancellationHandler {
                try await attempt(epoch, token, interrupts)
            } onCancel: {
                interrupts.fire()
            }
        } catch {
            try Task.checkCancellation()
            throw error
        }
    }

    private func attempt(
        _ epoch: EpochPolicy, _ token: RunToken, _ interrupts: Interrupts
    ) async throws -> SnapshotResult {
        progress.set(.starting)
        progress.begin(plan)
        let run = CopyRun(
            configuration: configuration, plan: plan, progress: progress, interrupts: interrupts)
        return try await withThrowingTaskGroup(of: CopyRun.Part.self) { group in
            for i in 0..<configuration.pairs {
                let pair = run.pair(i)
                group.addTask {
                    try await withThread("copy-\(i)") {
                        try await pair.run(run.barrier, run.work)
                    }
                    return .pair
                }
            }
            group.addTask { .lead(try await run.lead(epoch, token)) }
            group.addTask {
                // Not on the pool: whoever blocks that must not cost the run its sessions.
                try await withThread("copy-keeper") { try await run.keepAlive() }
                return .keeper
            }
            var result: SnapshotResult?
            var copying = configuration.pairs
            do {
                while let part = try await group.next() {
                    switch part {
                    case .pair: copying -= 1
                    case .lead(let led): result = led
                    case .keeper: break
                    }
                    if copying == 0 { run.rowsDone.set() }
                }
            } catch {
                await run.remember(error)
                interrupts.fire()
                run.fail(error)
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
            return result!
        }
    }
}
