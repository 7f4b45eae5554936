public import MySQLCore
public import MySQLSyntax

/// A DDL statement as the target gets it: one or several statements, each with what becomes of it.
public struct RoutedStatement: Sendable, Hashable {
    /// Why a part does not run.
    public enum Refusal: Sendable, Hashable {
        /// A table or schema of it is not migrated.
        case notSelected(TableName, TableFilter.Reason)
        /// An event filter leaves it out.
        case filtered(TableName, rule: String)
        /// Both names of a RENAME are the same table of the target.
        case sameTarget(TableName)
    }

    /// What becomes of a part.
    public enum Outcome: Sendable, Hashable {
        /// It runs.
        case run
        /// It is left out.
        case leaveOut(Refusal)
        /// The task stops: a rule with the action `Error` matches.
        case stop(TableName, rule: String)
    }

    /// A statement of its own, or one that stands for all.
    public struct Part: Sendable, Hashable {
        /// The text with the source's names.
        public var source: [UInt8]
        /// The text with the target's names.
        public var target: [UInt8]
        /// The source's tables that it creates, changes, renames or drops.
        public var tables: [TableName]
        /// What becomes of it.
        public var outcome: Outcome
    }

    /// The parts, in order. One that is the whole statement where all of it shares its fate.
    public var parts: [Part]
    /// Whether the parts can run by themselves. Where they can't, each has the whole text.
    public var isSeparable = true
}

/// Applies a source's rules to DDL: which of it runs, and under which names.
///
/// As DM does, a statement on several tables, or with several actions, counts as one statement for
/// each of them; a RENAME is left out when either name is not migrated. Unlike DM, it is taken
/// apart only where the parts fare differently: the renamings of a swap stay one statement.
public struct StatementRouter: Sendable {
    private let filter: TableFilter
    private let router: Router
    private let events: EventFilter

    /// Makes one of a source's rules.
    public init(filter: TableFilter, router: Router, events: EventFilter) {
        self.filter = filter
        self.router = router
        self.events = events
    }

    /// What becomes of a statement.
    ///
    /// - Parameters:
    ///   - statement: DDL, parsed under `context`.
    ///   - shape: gives a table's shape before the statement, where it is known.
    /// - Throws: ``RouteConflict`` where several rules give a table a name.
    public func route(
        _ statement: Statement, context: SyntaxContext,
        shape: (TableName) -> TableShape? = { _ in nil }
    ) throws(RouteConflict) -> RoutedStatement {
        guard let ddl = statement.ddl else { return RoutedStatement(parts: []) }
        let pieces = pieces(of: ddl, statement, context, shape)
        var outcomes: [RoutedStatement.Outcome] = []
        let text = String(decoding: statement.source, as: UTF8.self)
        for piece in pieces { outcomes.append(try outcome(of: piece, whole: text)) }
        let whole = try rewritten(statement)
        let tables = pieces.reduce(into: [TableName]()) { all, piece in
            for table in piece.tables where !all.contains(table) { all.append(table) }
        }
        // Where only the rules that leave it out are different ones, none of it runs all the same.
        let runs = outcomes.count { $0 == .run }
        if runs == 0 || runs == outcomes.count {
            let outcome =
                outcomes.first { if case .stop = $0 { true } else { false } }
                ?? outcomes.first { if case .leaveOut(.filtered) = $0 { true } else { false } }
                ?? outcomes.first ?? .run
            return RoutedStatement(parts: [
                .init(source: statement.source, target: whole, tables: tables, outcome: outcome)
            ])
        }
        guard pieces.allSatisfy({ $0.text != nil }) else {
            let parts = zip(pieces, outcomes).map { piece, outcome in
                RoutedStatement.Part(
                    source: statement.source, target: whole, tables: piece.tables,
                    outcome: outcome)
            }
            return RoutedStatement(parts: parts, isSeparable: false)
        }
        return try split(statement, ddl, pieces, outcomes, context)
    }

    // MARK: Pieces

    /// What rules are asked about one by one.
    private struct Piece {
        var tables: [TableName]
        var kinds: Set<EventSelector>
        /// The piece as a statement of its own, with the source's names; `nil` where it can't be.
        var text: String?
        /// The action of an ALTER TABLE.
        var action: Int?
    }

    private func pieces(
        of ddl: DDL, _ statement: Statement, _ context: SyntaxContext,
        _ shape: (TableName) -> TableShape?
    ) -> [Piece] {
        let whole = String(decoding: statement.source, as: UTF8.self)
        func one(_ tables: [TableName]) -> [Piece] {
            let kinds = ddl.eventKinds(before: tables.first.flatMap(shape))
            return [Piece(tables: tables, kinds: kinds[0], text: whole)]
        }
        switch ddl {
        case .createSchema, .alterSchema, .dropSchema:
            return one([TableName(schema: ddl.schema ?? "", name: "")])
        case .createTable(let d): return one([d.table])
        case .truncateTable(let d): return one([d.table])
        case .createIndex(let d): return one([d.table])
        case .dropIndex(let d): return one([d.table])
        case .createObject(let d): return one([d.table ?? d.name])
        case .alterObject(let d): return one([d.name])
        case .dropTables(let d):
            let head = d.isTemporary ? "DROP TEMPORARY TABLE " : "DROP TABLE "
            return d.tables.map {
                Piece(
                    tables: [$0], kinds: [.dropTable],
                    text: head + (d.ifExists ? "IF EXISTS " : "") + $0.quoted + wait(d.wait))
            }
        case .dropObject(let d):
            let kind = d.kind == .packageBody ? "PACKAGE BODY" : d.kind.rawValue.uppercased()
            return d.names.map {
                Piece(
                    tables: [$0], kinds: d.kind == .view ? [.dropView] : [],
                    text: "DROP \(kind) \(d.ifExists ? "IF EXISTS " : "")\($0.quoted)")
            }
        case .renameTables(let d):
            return d.renamings.map {
                Piece(
                    tables: [$0.from, $0.to], kinds: [.renameTable],
                    text: "RENAME TABLE \(d.ifExists ? "IF EXISTS " : "")\($0.from.quoted)"
                        + "\(wait(d.wait)) TO \($0.to.quoted)")
            }
        case .alterTable(let d):
            let kinds = ddl.eventKinds(before: shape(d.table))
            let canSplit = statement.hasSeparableActions
            return kinds.enumerated().map { i, kinds in
                var tables = [d.table]
                var text: String? = whole
                if i < d.actions.count {
                    if case .renameTable(let to) = d.actions[i] { tables.append(to) }
                    text =
                        canSplit
                        ? clause(statement, [i], context) : d.actions.count == 1 ? whole : nil
                }
                return Piece(tables: tables, kinds: kinds, text: text, action: i)
            }
        }
    }

    private func wait(_ wait: LockWait?) -> String {
        switch wait {
        case .seconds(let n): " WAIT \(n)"
        case .some(.none): " NOWAIT"
        case nil: ""
        }
    }

    /// An ALTER TABLE with some of its actions.
    private func clause(
        _ statement: Statement, _ actions: [Int], _ context: SyntaxContext
    ) -> String {
        String(
            decoding: statement.text(of: actions.map { .action($0) }, context: context),
            as: UTF8.self)
    }

    // MARK: Outcomes

    private func outcome(
        of piece: Piece, whole: String
    ) throws(RouteConflict) -> RoutedStatement.Outcome {
        for table in piece.tables {
            if table.name.isEmpty {
                guard filter.selects(schema: table.schema) else {
                    return .leaveOut(.notSelected(table, .unlisted))
                }
            } else {
                let decision = filter.decision(for: table)
                if !decision.isSelected { return .leaveOut(.notSelected(table, decision.reason)) }
            }
        }
        for table in piece.tables {
            let decision = events.decision(
                forDDL: piece.kinds, on: table, sql: piece.text ?? whole)
            switch decision.action {
            case .do: continue
            case .ignore: return .leaveOut(.filtered(table, rule: decision.rule ?? ""))
            case .error: return .stop(table, rule: decision.rule ?? "")
            }
        }
        if piece.tables.count == 2, piece.tables[0] != piece.tables[1] {
            let from = try router.route(piece.tables[0]).target
            if from == (try router.route(piece.tables[1]).target) {
                return .leaveOut(.sameTarget(from))
            }
        }
        return .run
    }

    // MARK: Texts

    /// A statement's text with the target's names.
    public func rewritten(_ statement: Statement) throws(RouteConflict) -> [UInt8] {
        var tables: [TableName: TableName] = [:]
        for reference in statement.tables where !reference.name.schema.isEmpty {
            tables[reference.name] = try router.route(reference.name).target
        }
        var schemas: [String: String] = [:]
        for reference in statement.schemas {
            schemas[reference.name] = try router.route(schema: reference.name)
        }
        return statement.rewritten(
            renaming: { tables[$0] ?? $0 }, defaultSchema: nil,
            renamingSchema: { schemas[$0] ?? $0 })
    }

    private func split(
        _ statement: Statement, _ ddl: DDL, _ pieces: [Piece],
        _ outcomes: [RoutedStatement.Outcome], _ context: SyntaxContext
    ) throws(RouteConflict) -> RoutedStatement {
        var parts: [RoutedStatement.Part] = []
        func add(
            _ text: String, _ tables: [TableName], _ outcome: RoutedStatement.Outcome
        ) throws(RouteConflict) {
            let source = Array(text.utf8)
            var target = source
            if let parsed = try? parseStatement(source, context: context) {
                target = try rewritten(parsed)
            }
            parts.append(
                .init(source: source, target: target, tables: tables, outcome: outcome))
        }
        guard case .alterTable = ddl else {
            for (piece, outcome) in zip(pieces, outcomes) {
                try add(piece.text ?? "", piece.tables, outcome)
            }
            return RoutedStatement(parts: parts)
        }
        // The actions of one clause share a fate; those that run stay together.
        var clauses: [Int: RoutedStatement.Outcome] = [:]
        for (i, outcome) in outcomes.enumerated() {
            let low = statement.actionRanges[i].lowerBound
            if clauses[low] == nil || clauses[low] == .run { clauses[low] = outcome }
        }
        func outcome(_ i: Int) -> RoutedStatement.Outcome {
            clauses[statement.actionRanges[i].lowerBound] ?? .run
        }
        let running = pieces.indices.filter { outcome($0) == .run }
        for i in pieces.indices where outcome(i) != .run {
            try add(pieces[i].text ?? "", pieces[i].tables, outcome(i))
        }
        if !running.isEmpty {
            let tables = running.reduce(into: [TableName]()) { all, i in
                for table in pieces[i].tables where !all.contains(table) { all.append(table) }
            }
            try add(clause(statement, running, context), tables, .run)
        }
        return RoutedStatement(parts: parts)
    }
}
