internal import Checkpoint
internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

// What an operator has decided about a statement takes the place of what would become of it here.
// The source has run it all the same: its shapes follow as far as the statement tells them.

extension StatementHandler {
    /// What becomes of a statement, alone, or as an operator has decided.
    ///
    /// - Throws: ``ReplicationError`` for a statement that can't be replicated.
    func decide(
        _ query: QueryEvent, _ end: GroupEnd, timestamp: Int64, position: SourcePosition
    ) throws -> Decision {
        catalog.foundAlone = []
        guard let decision = catalog.decision(about: end.identity),
            !applied.lowWater.contains(end.identity)
        else {
            return try decideAlone(query, end, timestamp: timestamp, position: position)
        }
        let event = Event(
            query: query, end: end, context: catalog.session.context(of: query),
            timestamp: timestamp, position: position)
        let known = try sourceEffects(event)
        switch decision {
        case .skip:
            guard let known else {
                return .leaveOut(
                    "a statement is skipped (at \(position)), and what it did to tables on the "
                        + "source is not known: their shapes are taken for what they were")
            }
            return known.effects.isEmpty ? .pass : .filtered(known.effects, known.context)
        case .replace(let texts):
            let given = try parts(texts, event)
            // Where nobody knows what the source did, it did what was given.
            let assumed = Known(effects: given.flatMap(\.effects), context: event.context)
            return run(nil, given, known ?? assumed, event)
        case .inject(let texts):
            guard let known, known.canRun, known.request?.merged == nil else {
                throw ReplicationError.unsupported(
                    position,
                    detail: "the statement can't be run on the target at all, so that nothing can "
                        + "be run behind it: replace it")
            }
            return run(known.request, try parts(texts, event), known, event)
        }
    }

    /// What the statement does to the source's tables, and what would run on the target.
    private struct Known {
        var effects: [DDL]
        var context: SyntaxContext
        /// `nil` where nothing would.
        var request: DDLRequest?
        /// False where it can't be replicated.
        var canRun = true
    }

    /// What is known of the statement; `nil` where its effects can't be told.
    private func sourceEffects(_ event: Event) throws -> Known? {
        do {
            let alone = try decideAlone(
                event.query, event.end, timestamp: event.timestamp, position: event.position)
            switch alone {
            case .run(let request, let ddl, let context):
                return Known(effects: ddl, context: context, request: request)
            case .filtered(let ddl, let context), .shapesOnly(let ddl, let context):
                return Known(effects: ddl, context: context)
            case .pass, .leaveOut: return Known(effects: [], context: event.context)
            }
        } catch let error as ReplicationError {
            if case .changedDuringCopy = error { throw error }
            guard
                let ddl = (try? parseStatement(event.query.sql, context: event.context))?.ddl,
                ddl.tablesBefore.allSatisfy({
                    catalog.mapping.onlineNames?.kind(of: $0) ?? .real == .real
                })
            else { return nil }
            var state = catalog.state
            let isTold = (try? state.apply(ddl, context: event.context)) != nil
            return isTold ? Known(effects: [ddl], context: event.context, canRun: false) : nil
        }
    }

    private struct Given {
        var part: DDLRequest.Part
        var effects: [DDL]
    }

    /// An operator's statements as the target runs them.
    private func parts(_ texts: [String], _ event: Event) throws -> [Given] {
        var context = event.context
        context.encoding = .utf8
        return try texts.map { sql in
            func refusal(_ detail: String) -> ReplicationError {
                .unsupported(
                    event.position,
                    detail: "the statement that was given for this place \(detail): "
                        + DDLWorker.shortened(withoutSecrets(sql)))
            }
            let statement: Statement
            do throws(SyntaxError) {
                statement = try parseStatement(sql, context: context)
            } catch {
                throw refusal("is not understood (\(error))")
            }
            guard let ddl = statement.ddl, !ddl.tablesBefore.isEmpty else {
                throw refusal("defines no table")
            }
            if let detail = Self.doubledRows(ddl) { throw refusal(detail) }
            if Self.isFromSelect(ddl) {
                throw refusal("makes a table of a SELECT: create it, and fill it by hand")
            }
            if Self.movesTablespace(ddl) {
                throw refusal("takes or gives a table all its rows: do that by hand")
            }
            let wanted = Set(ddl.tablesBefore + ddl.tablesAfter).filter {
                catalog.mapping.selects($0)
            }
            guard !wanted.isEmpty else { throw refusal("names no table that is migrated") }
            let gone = Set(ddl.tablesBefore).subtracting(ddl.tablesAfter)
            return Given(
                part: DDLRequest.Part(
                    sql: try givenText(ddl, statement, context, event.position),
                    defaultSchema: catalog.mapping.movesTables
                        ? nil : String(decoding: event.query.schema, as: UTF8.self),
                    settings: try settings(event, isOwnText: true),
                    tables: try catalog.targets(wanted),
                    existAfter: try catalog.targets(
                        ddl.tablesAfter.filter { wanted.contains($0) }),
                    goneAfter: try catalog.targets(gone.filter { wanted.contains($0) }),
                    isIdempotent: ddl.isSafeToRunIfUnseen),
                effects: [ddl])
        }
    }

    /// A DROP of several tables may have to run again when some of them are gone.
    private func givenText(
        _ ddl: DDL, _ statement: Statement, _ context: SyntaxContext, _ position: SourcePosition
    ) throws -> [UInt8] {
        guard case .dropTables(let drop) = ddl, drop.tables.count > 1 else {
            return try text(statement, context, position)
        }
        return Array(dropStatement(try drop.tables.map { try catalog.target(of: $0) }).utf8)
    }

    /// - Parameter own: what runs before the statements that were given.
    private func run(
        _ own: DDLRequest?, _ given: [Given], _ known: Known, _ event: Event
    ) -> Decision {
        var request = own ?? DDLRequest(identity: event.end.identity, parts: [])
        request.parts += given.map(\.part)
        request.isPartial = true
        // What was given is not refused in silence.
        request.mayFail = false
        if applied.contains(event.end.identity) || request.parts.isEmpty {
            return .filtered(known.effects, known.context)
        }
        return .run(request, known.effects, known.context)
    }
}
