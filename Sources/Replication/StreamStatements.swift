internal import Checkpoint
internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Rules
internal import Runtime
internal import Stream

// Statements of the stream, with rows behind them or without: what is decided about them, runs.

extension StreamReader {
    /// A statement, and where it is.
    private struct Place {
        let query: QueryEvent
        let end: GroupEnd
        let position: SourcePosition
    }

    /// What became of a statement.
    private struct Outcome {
        /// Shapes that it changed.
        var shapes: [(TableName, TableShape?)] = []
        /// Whether it ran on the target.
        var hasRun = false
        var warnings: [String] = []
    }

    /// Handles a statement that is a transaction by itself.
    func statement(
        _ query: QueryEvent, _ end: GroupEnd, _ chunk: EventChunk, _ entry: EventChunk.Entry,
        _ keeper: MarkKeeper
    ) async throws {
        let outcome = try await handle(query, end, chunk, entry, isOpening: false)
        catalog.settle(end.identity)
        keeper.append(
            end, isPassed: !outcome.hasRun, isStatement: true, shapes: outcome.shapes,
            objects: try catalog.takeChanges())
    }

    /// Handles the statement that a group begins with; its rows come behind it.
    func open(
        _ query: QueryEvent, _ end: GroupEnd, _ chunk: EventChunk, _ entry: EventChunk.Entry
    ) async throws {
        let outcome = try await handle(query, end, chunk, entry, isOpening: true)
        // It goes with the mark that holds the rows.
        catalog.settle(end.identity)
        opening.begin(end.identity, shapes: outcome.shapes, hasIntent: outcome.hasRun)
    }

    /// The group that began with a statement is complete: when its rows are committed, the
    /// statement's intent has done its work.
    func close() async throws {
        guard opening.end() else { return }
        try await run.scheduler.drain()
        let reply = Reply<Void>()
        run.ddlMailbox.send(.close(reply))
        try await reply.value()
    }

    private func handle(
        _ query: QueryEvent, _ end: GroupEnd, _ chunk: EventChunk, _ entry: EventChunk.Entry,
        isOpening: Bool
    ) async throws -> Outcome {
        let header = try EventHeader(chunk.event(entry))
        let place = Place(
            query: query, end: end,
            position: SourcePosition(origin: origin, binlog: end.start, gtids: .none))
        let decision = try await noting(place) {
            try handler.decide(
                query, end, timestamp: Int64(header.timestamp), position: place.position)
        }
        let outcome = try await follow(decision, place, isOpening: isOpening)
        try await noteMerged(decision, outcome.shapes)
        try await forgetFound(outcome.shapes)
        tellWarnings()
        progress.update {
            $0.ddlStatements += outcome.hasRun ? 1 : 0
            $0.warnings += outcome.warnings
        }
        return outcome
    }

    /// Does something that fails because of a statement: an operator can decide about it then.
    private func noting<Value>(_ place: Place, _ body: () throws -> Value) async throws -> Value {
        do {
            return try body()
        } catch let error as ReplicationError {
            try await note(error, place)
            throw error
        }
    }

    /// Records that a statement stops the subtask.
    private func note(_ error: ReplicationError, _ place: Place) async throws {
        switch error {
        case .unsupported, .onlineChange, .refused, .shapeMismatch, .changedDuringCopy:
            // What is copied again is told from what ran before by the mark, and other rules, which
            // may leave the statement out, count from it: nothing that has run may be above it.
            try await run.scheduler.drain()
            try await run.flush()
            if case .changedDuringCopy = error { return }
        // There is nothing to decide about.
        default: return
        }
        let text = withoutSecrets(String(decoding: place.query.sql, as: UTF8.self))
        let reply = Reply<Void>()
        run.ddlMailbox.send(
            .stop(
                StoppedStatement(
                    identity: place.end.identity, position: "\(place.position)",
                    statement: DDLWorker.shortened(text), reason: "\(error)"), reply))
        try await reply.value()
    }

    /// Does what was decided about a statement.
    private func follow(
        _ decision: StatementHandler.Decision, _ place: Place, isOpening: Bool
    ) async throws -> Outcome {
        switch decision {
        case .pass: return Outcome()
        case .leaveOut(let warning, let stale):
            try catalog.note(stale)
            return Outcome(warnings: [warning])
        case .filtered(let ddl, let context):
            // Plans change; of one table no two may meet in a batch.
            try await run.scheduler.drain()
            // What an operator wanted in its place may have run, in an earlier run.
            let there = try await targetShapes(ddl, place)
            return Outcome(
                shapes: try await noting(place) {
                    try catalog.carry(
                        ddl, context, place.position, target: there, isCompared: false)
                })
        case .shapesOnly(let ddl, let context):
            try await run.scheduler.drain()
            let there = try await targetShapes(ddl, place)
            return Outcome(
                shapes: try await noting(place) {
                    try catalog.carry(ddl, context, place.position, target: there)
                })
        case .run(var request, let ddl, let context):
            request.position = place.position
            request.isOpening = isOpening
            request.foundAlone = catalog.foundAlone
            let isCompared = !request.isPartial
            let done: DDLOutcome
            if isOpening, opening.hasBegun(place.end.identity) {
                done = DDLOutcome(shapes: try await targetShapes(request.existAfter))
            } else {
                done = try await runAlone(request)
            }
            let changed = try await noting(place) {
                try catalog.carry(
                    ddl, context, place.position, target: done.shapes, isCompared: isCompared)
            }
            return Outcome(
                shapes: changed, hasRun: true, warnings: refusals(of: request, done, place))
        }
    }

    /// Keeps in mind what a statement means for views and routines, as its record says.
    ///
    /// - Returns: warnings of what was refused.
    private func refusals(
        of request: DDLRequest, _ done: DDLOutcome, _ place: Place
    ) -> [String] {
        guard let reason = done.warning else {
            for use in request.objects where use.isSettled { catalog.stale[use.id] = nil }
            return []
        }
        guard !request.objects.isEmpty else {
            return ["a statement on a routine was refused (at \(place.position)): \(reason)"]
        }
        return request.objects.map { use in
            let object = StaleObject(use.id, position: "\(place.position)", reason: reason)
            catalog.stale[use.id] = object
            return object.warning
        }
    }

    /// Runs a request: everything before it first, the statement alone, then the rest. The mark
    /// too: after a crash at most one statement is ahead of it, and the target's tables are as that
    /// one left them.
    private func runAlone(_ request: DDLRequest) async throws -> DDLOutcome {
        try await run.scheduler.drain()
        try await run.flush()
        let reply = Reply<DDLOutcome>()
        run.ddlMailbox.send(.run(request, reply))
        return try await reply.value()
    }

    /// Tells the other sources what merged tables are now, where the statement has not done that
    /// itself.
    private func noteMerged(
        _ decision: StatementHandler.Decision, _ changed: [(TableName, TableShape?)]
    ) async throws {
        guard catalog.followsMerged, !changed.isEmpty else { return }
        if case .run(let request, _, _) = decision, request.merged != nil { return }
        let tables = try catalog.mergedTables(changed)
        if !tables.isEmpty { try await run.note(tables, areNew: false) }
    }

    /// Forgets that tables were taken over from a task that had not created them, where a statement
    /// has taken them from the target. The source may have dropped one alone, by rules.
    private func forgetFound(_ changed: [(TableName, TableShape?)]) async throws {
        let gone = catalog.foundTables(goneBy: changed)
        guard !gone.isEmpty else { return }
        let there = try await targetShapes(catalog.targets(gone))
        try catalog.forgetFound(gone) { there[$0] != nil }
    }

    /// The tables that statements leave, as the target has them.
    private func targetShapes(
        _ ddl: [DDL], _ place: Place
    ) async throws -> [TableName: TableShape] {
        let names = try await noting(place) {
            try catalog.targets(ddl.flatMap(\.tablesAfter).filter { catalog.mapping.selects($0) })
        }
        return try await targetShapes(names)
    }

    /// Tables as the target has them, by way of the connection for DDL.
    private func targetShapes(_ names: [TableName]) async throws -> [TableName: TableShape] {
        guard !names.isEmpty else { return [:] }
        let reply = Reply<[TableName: TableShape]>()
        run.ddlMailbox.send(.shapes(names, reply))
        return try await reply.value()
    }
}
