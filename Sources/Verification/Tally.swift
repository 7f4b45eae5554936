internal import MySQLCore
internal import Synchronization

/// The results so far, shared by all workers.
final class Tally: Sendable {
    private struct State {
        var tables: [TableReport]
        var progress: VerificationProgress
        /// Tables that are not searched any further.
        var stopped: Set<Int> = []
    }
    private let state: Mutex<State>
    private let report: @Sendable (VerificationProgress) -> Void

    init(
        _ tables: [TableReport], report: @escaping @Sendable (VerificationProgress) -> Void
    ) {
        var progress = VerificationProgress()
        progress.tables = tables.count
        state = Mutex(State(tables: tables, progress: progress))
        self.report = report
    }

    /// The tables' reports as they are now.
    var tables: [TableReport] { state.withLock { $0.tables } }

    /// Changes one table's report.
    func update(_ table: Int, _ change: (inout TableReport) -> Void) {
        state.withLock { change(&$0.tables[table]) }
    }

    /// Changes the progress, and shows it.
    func progress(_ change: (inout VerificationProgress) -> Void) {
        let now = state.withLock { state in
            change(&state.progress)
            return state.progress
        }
        report(now)
    }

    /// Counts a chunk of the source.
    func count(_ plan: TablePlan, rows: UInt64) {
        update(plan.index) {
            $0.chunks += 1
            $0.rows += rows
        }
        progress {
            $0.chunks += 1
            $0.rows += rows
            $0.bytes += rows * plan.rowBytes
        }
    }

    /// Counts a row that differs, and keeps it when there is room.
    func add(_ plan: TablePlan, _ difference: RowDifference?, limit: Int) {
        update(plan.index) { table in
            table.differingRows += 1
            if let difference, table.differences.count < limit {
                table.differences.append(difference)
            }
        }
        progress { $0.differences += 1 }
    }

    /// Ends the search in a table, with the reason.
    func stop(_ table: Int, _ reason: String) {
        state.withLock { state in
            state.stopped.insert(table)
            if state.tables[table].undecidedReason == nil {
                state.tables[table].undecidedReason = reason
            }
        }
    }

    /// Runs a part of a table's comparison. What goes wrong in it leaves the table undecided, and
    /// the others alone.
    ///
    /// - Throws: ``SinkFailure``, and whatever the task's cancellation makes of it.
    func guarding(_ plan: TablePlan, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as SinkFailure {
            throw error
        } catch {
            if Task.isCancelled { throw error }
            stop(plan.index, "\(error)")
        }
    }

    /// Whether a table is not to be searched any further.
    func isStopped(_ table: Int) -> Bool { state.withLock { $0.stopped.contains(table) } }
}
