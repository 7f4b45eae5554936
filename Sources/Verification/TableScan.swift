internal import MySQLCore

/// Goes through all tables, and lets the workers compare their chunks.
struct TableScan: Sendable {
    let tally: Tally
    let pool: SessionPool
    /// Finds the bounds of chunks on the source while workers compare the chunks before.
    let stepper: Session
    let pending: PendingRows
    let judge: Judge

    /// Compares every chunk of every table.
    func run(_ plans: [TablePlan]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var running = 0
            /// Waits until a pair of connections is free.
            func makeRoom(_ group: inout ThrowingTaskGroup<Void, any Error>) async throws {
                while running >= pool.count, try await group.next() != nil { running -= 1 }
                guard pending.isFull else { return }
                while try await group.next() != nil { running -= 1 }
                try await judge.judge(pending.takeAll())
            }
            for plan in plans {
                tally.progress { $0.currentTable = plan.source.name }
                if plan.key == nil {
                    try await makeRoom(&group)
                    group.addTask { try await guarded(plan) { try await keyless(plan, $0) } }
                    running += 1
                } else {
                    var range: KeyRange? = KeyRange()
                    while let lower = range, !tally.isStopped(plan.index) {
                        let chunk = try await step(plan, lower)
                        try await makeRoom(&group)
                        group.addTask {
                            try await guarded(plan) { pair in
                                try await KeyedComparison(tally: tally, pending: pending)
                                    .compare(plan, chunk, pair)
                            }
                        }
                        running += 1
                        range = chunk.upper.map { KeyRange(lower: $0) }
                    }
                }
                tally.progress { $0.tablesDone += 1 }
            }
            while try await group.next() != nil {}
        }
    }

    /// The next chunk; the last one is open above.
    private func step(_ plan: TablePlan, _ range: KeyRange) async throws -> KeyRange {
        do {
            let upper = try await stepper.bound(plan, range, plan.chunkRows)
            if let upper, upper == range.lower { throw AmbiguousKey() }
            return KeyRange(lower: range.lower, upper: upper)
        } catch {
            if Task.isCancelled { throw error }
            tally.stop(plan.index, "\(error)")
            return range
        }
    }

    /// Runs a part of a table's comparison; its error makes the table undecided.
    private func guarded(
        _ plan: TablePlan, _ body: (SessionPair) async throws -> Void
    ) async throws {
        guard !tally.isStopped(plan.index) else { return }
        try await tally.guarding(plan) { try await pool.use(body) }
    }

    private func keyless(_ plan: TablePlan, _ pair: SessionPair) async throws {
        let rows = try await KeylessComparison(
            plan: plan, pair: pair, options: judge.options, tally: tally
        ).compare()
        try await judge.record(rows, plan, pair)
    }
}
