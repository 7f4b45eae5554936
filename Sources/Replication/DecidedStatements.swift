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
            return run([], given, known ?? (given.flatMap(\.effects), event.context, []), event)
        case .inject(let texts):
            guard let known else {
                throw ReplicationError.unsupported(
                    position,
                    detail: "the statement can't be run on the target at all, so that nothing can "
                        + "be run behind it: replace it")
            }
            return run(known.parts, try parts(texts, event), known, event)
        }
    }

    private typealias Known = (effects: [DDL], context: SyntaxContext, parts: [DDLRequest.Part])

    /// What the statement does to the source's tables, and what would run on the target; `nil`
    /// where it can't be told.
    private func sourceEffects(_ event: Event) throws -> Known? {
        do {
            let alone = try decideAlone(
                event.query, event.end, timestamp: event.timestamp, position: event.position)
            switch alone {
            case .run(let request, let ddl, let context): return (ddl, context, request.parts)
            case .filtered(let ddl, let context), .shapesOnly(let ddl, let context):
                return (ddl, context, [])
            case .pass, .leaveOut: return ([], event.context, [])
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
            return isTold ? ([ddl], event.context, []) : nil
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
                    detail: "the statement that was given for this place \(detail): \(sql)")
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
            let wanted = Set(ddl.tablesBefore + ddl.tablesAfter).filter {
                catalog.mapping.selects($0)
            }
            guard !wanted.isEmpty else { throw refusal("names no table that is migrated") }
            let gone = Set(ddl.tablesBefore).subtracting(ddl.tablesAfter)
            return Given(
                part: DDLRequest.Part(
                    sql: try text(statement, context),
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

    private func run(
        _ own: [DDLRequest.Part], _ given: [Given], _ known: Known, _ event: Event
    ) -> Decision {
        var request = DDLRequest(
            identity: event.end.identity, parts: own + given.map(\.part))
        request.isPartial = true
        if applied.contains(event.end.identity) || request.parts.isEmpty {
            return .filtered(known.effects, known.context)
        }
        return .run(request, known.effects, known.context)
    }
}
