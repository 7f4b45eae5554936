internal import MySQLCore
internal import MySQLSyntax
internal import Rules

/// What filters of events make of a statement.
enum StatementFiltering {
    /// All of it runs.
    case whole
    /// None of it does.
    case leftOut
    /// These parts of it do, in this order.
    case parts([Statement])

    /// Whether something that runs names the table.
    func runs(on table: TableName) -> Bool {
        switch self {
        case .whole: true
        case .leftOut: false
        case .parts(let parts):
            parts.contains { $0.ddl?.tablesBefore.contains(table) == true }
        }
    }
}

extension StatementHandler {
    /// Whether filters of events leave the whole statement out.
    func isFilteredOut(_ statement: Statement, _ event: Event) throws -> Bool {
        if case .leftOut = try filtering(of: statement, event) { true } else { false }
    }

    /// What filters of events make of the statement.
    ///
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` where a filter says that a person must
    ///   decide, and where what is left would mean something else alone.
    func filtering(of statement: Statement, _ event: Event) throws -> StatementFiltering {
        let routed: RoutedStatement?
        do throws(RuleError) {
            routed = try catalog.mapping.filtered(statement, context: event.context) {
                catalog.state.tables[$0]
            }
        } catch {
            throw ReplicationError.refused(nil, detail: "\(error)")
        }
        var running: [RoutedStatement.Part] = []
        var leavesOut = false
        for part in routed?.parts ?? [] {
            switch part.outcome {
            case .run, .leaveOut(.sameTarget): running.append(part)
            // What becomes of those is not the filters' business.
            case .leaveOut(.notSelected): continue
            case .leaveOut(.filtered): leavesOut = true
            case .stop(let table, let rule):
                throw ReplicationError.unsupported(
                    event.position,
                    detail: "a statement on \(table) came, and the filter \(rule) says that a "
                        + "person must decide: change the filter, and go on")
            }
        }
        guard leavesOut else { return .whole }
        if running.isEmpty { return .leftOut }
        guard routed?.isSeparable != false else {
            throw ReplicationError.unsupported(
                event.position,
                detail: "filters leave a part of a statement out that can't be taken apart: change "
                    + "the filters")
        }
        if case .renameTables(let rename) = statement.ddl {
            // A name that one renaming gives and another one takes: half of that is another thing.
            let names = rename.renamings.flatMap { [$0.from, $0.to] }
            guard Set(names).count == names.count else {
                throw ReplicationError.unsupported(
                    event.position,
                    detail: "filters leave a part of a RENAME TABLE out whose renamings depend on "
                        + "each other: change the filters")
            }
        }
        guard event.context.encoding == .utf8 || statement.source.allSatisfy({ $0 < 0x80 }) else {
            throw ReplicationError.unsupported(
                event.position,
                detail: "filters leave a part of a statement out that the source's client has sent "
                    + "in another character set than UTF-8: change the filters")
        }
        return .parts(try running.map { try parseStatement($0.source, context: event.context) })
    }
}
