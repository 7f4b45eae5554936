internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

// gh-ost and pt-online-schema-change change a copy of a table, and rename it into the table's place
// when it has all rows. On the target the table itself is changed at that moment, by what was done
// to the copy: the copy's rows are not migrated, and the table's are all there.

extension StatementHandler {
    /// A statement that runs in the place of what came: with the event that says how.
    struct Piece {
        let statement: Statement
        let event: Event
        /// The statement was written here, in UTF-8.
        var isOwnText = false
    }

    /// What becomes of a statement of an online schema change tool; `nil` for any other one.
    func onlineChange(
        _ ddl: DDL, _ statement: Statement, _ event: Event
    ) throws -> Decision? {
        guard var machine = catalog.onlineChanges else { return nil }
        let renamings = Self.renamings(ddl)
        let real = Set(renamings.flatMap { [$0.from, $0.to] }).filter {
            catalog.mapping.selects($0)
        }
        let isTools = renamings.contains {
            isToolTable($0.from) || isToolTable($0.to)
        }
        if isTools, let table = real.sorted().first(where: { catalog.use(of: $0) == .converge }) {
            throw try changedInside(table, event.position)
        }
        let actions: [OnlineSchemaChangeStateMachine.Action]
        do throws(OnlineSchemaChangeStateMachine.Failure) {
            defer { catalog.onlineChanges = machine }
            actions = try machine.handle(
                statement, event.query, timestamp: event.timestamp, context: event.context,
                tables: catalog.state)
        } catch {
            // The copy has seen what came of it.
            let isCopied = !real.isEmpty && real.allSatisfy { catalog.use(of: $0) == .skip }
            if isTools, isCopied { return .pass }
            throw ReplicationError.unsupported(
                event.position,
                detail: "a statement of an online schema change can't be followed: \(error). "
                    + "With \"online-ddl: false\" such tables are migrated as any others")
        }
        guard actions.contains(where: { $0 != .run }) else { return nil }
        let pieces = try pieces(actions, renamings, event)
        return pieces.isEmpty ? .pass : try run(pieces, event)
    }

    /// The tables that a statement gives other names, in its order.
    static func renamings(_ ddl: DDL) -> [(from: TableName, to: TableName)] {
        switch ddl {
        case .renameTables(let d): d.renamings.map { ($0.from, $0.to) }
        case .alterTable(let d): d.renamedTo.map { [(d.table, $0)] } ?? []
        default: []
        }
    }

    private func isToolTable(_ table: TableName) -> Bool {
        guard let names = catalog.mapping.onlineNames else { return false }
        return names.kind(of: table) != .real
    }

    private func pieces(
        _ actions: [OnlineSchemaChangeStateMachine.Action],
        _ renamings: [(from: TableName, to: TableName)], _ event: Event
    ) throws -> [Piece] {
        var pieces: [Piece] = []
        for (i, action) in actions.enumerated() {
            switch action {
            case .ignore: continue
            case .run:
                guard i < renamings.count else { continue }
                let (from, to) = renamings[i]
                // What was copied afterwards has its new name already.
                guard catalog.use(of: from) == .exact || catalog.use(of: to) == .exact else {
                    continue
                }
                let sql = "RENAME TABLE \(from.quoted) TO \(to.quoted)"
                var context = event.context
                context.encoding = .utf8
                pieces.append(
                    Piece(
                        statement: try parseStatement(sql, context: context), event: event,
                        isOwnText: true))
            case .swap(let table, let name, let shadow):
                guard catalog.use(of: table) == .exact else { continue }
                pieces += try swap(table, by: name, shadow, event)
            }
        }
        return pieces
    }

    /// What was done to a shadow table, as statements on the real one.
    private func swap(
        _ table: TableName, by name: TableName, _ shadow: OnlineSchemaChangeStateMachine.Shadow?,
        _ event: Event
    ) throws -> [Piece] {
        func refusal(_ detail: String) -> ReplicationError {
            .onlineChange(table, event.position, detail: detail)
        }
        guard let shadow else {
            throw refusal(
                "it began before this migration did, so that its statements are not known")
        }
        guard var predicted = catalog.state.tables[table] else {
            throw refusal("the table was not migrated before")
        }
        var state = catalog.state
        var isCarried = true
        let pieces = try shadow.statements.map { kept in
            let context = catalog.session.context(of: kept.event)
            let done = try parseStatement(kept.event.sql, context: context)
            let statement = try parseStatement(
                renamed(done, context, event.position) { $0 == name ? table : $0 },
                context: context)
            if let column = statement.ddl?.columnOfItsTime(context) {
                throw refusal(
                    "its new column \(column) has got the time at which each row was copied on "
                        + "the source, which the binlog does not tell")
            }
            if let ddl = statement.ddl, (try? state.apply(ddl, context: context)) == nil {
                isCarried = false
            }
            return Piece(
                statement: statement,
                event: Event(
                    query: kept.event, end: event.end, context: context,
                    timestamp: kept.timestamp, position: event.position))
        }
        predicted = state.tables[table] ?? predicted
        guard isCarried, let shape = shadow.shape else { return pieces }
        if let detail = difference(predicted, shape) {
            throw refusal(
                "what is in its place is not what the change has made of it: \(detail)")
        }
        return pieces
    }

    /// How a table is another than the one that takes its place.
    private func difference(_ predicted: TableShape, _ shadow: TableShape) -> String? {
        let names = predicted.columns.map { $0.name.lowercased() }
        if names != shadow.columns.map({ $0.name.lowercased() }) {
            return "its columns are others, or in another order"
        }
        let family = catalog.session.source.version.family
        return ShapeAgreement(source: family, target: family).difference(
            shadow.columns, of: shadow, before: nil, there: predicted)
    }

    /// Runs statements in the place of one that came, as its parts.
    func run(_ pieces: [Piece], _ event: Event) throws -> Decision {
        var state = catalog.state
        var request = DDLRequest(identity: event.end.identity, parts: [])
        var effects: [DDL] = []
        let isApplied = applied.contains(event.end.identity)
        var isAnyLeft = false
        func add(_ ddl: DDL, _ statement: Statement, _ piece: Piece) throws {
            isAnyLeft = true
            let named = Set(ddl.tablesBefore + ddl.tablesAfter)
            let wanted = named.filter { catalog.mapping.selects($0) }
            try refuseMoves(ddl, named, wanted, event.position)
            try refuseMerged(wanted, event.position)
            try refuseFailed(piece.event)
            guard !isApplied else { return }
            request.parts.append(
                try part(
                    ddl, statement, wanted, piece.event, state, isOwnText: piece.isOwnText))
        }
        for piece in pieces {
            guard let ddl = piece.statement.ddl else { continue }
            effects.append(ddl)
            switch try filtering(of: piece.statement, piece.event) {
            case .whole: try add(ddl, piece.statement, piece)
            case .leftOut: request.isPartial = true
            case .parts(let statements):
                request.isPartial = true
                for statement in statements {
                    if let ddl = statement.ddl { try add(ddl, statement, piece) }
                }
            }
            _ = try? state.apply(ddl, context: piece.event.context)
        }
        let context = pieces[0].event.context
        // The target is not to become what the source has: it is not compared.
        if !isAnyLeft || isApplied && request.isPartial { return .filtered(effects, context) }
        return isApplied
            ? .shapesOnly(effects, context) : .run(request, effects, context)
    }
}

extension DDL {
    /// A column that it adds, whose values in rows that are there depend on when it runs.
    fileprivate func columnOfItsTime(_ context: SyntaxContext) -> String? {
        guard case .alterTable(let alter) = self else { return nil }
        for action in alter.actions {
            guard case .addColumn(let column, _, _) = action else { continue }
            if column.updatesToNow { return column.name }
            switch column.defaultValue {
            case .now?: return column.name
            case .expression(let text)?:
                let text = text.uppercased()
                let words = [
                    "NOW", "CURRENT_", "LOCALTIME", "CURDATE", "CURTIME", "UTC_", "UNIX_TIMESTAMP",
                ]
                if words.contains(where: { text.contains($0) }) { return column.name }
            case .null?, .literal?: continue
            case nil:
                // The first one gets the time by itself.
                let isImplied =
                    column.dataType?.type.kind == .timestamp && column.isNullable != true
                    && !context.explicitDefaultsForTimestamp
                if isImplied { return column.name }
            }
        }
        return nil
    }
}
