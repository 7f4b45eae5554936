internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

// What a statement on one of several merged tables is for the table of the target is decided here,
// where the others' latest statements can be seen: under the lock of that table, which each of
// them holds until what it has done is recorded. What has run and was not recorded, because its
// session was lost, is seen in the table itself.

extension DDLWorker {
    /// Runs what a statement on a merged table means for the table of the target.
    func perform(_ request: DDLRequest, _ change: MergedChange) throws -> DDLOutcome {
        let connection = session.connection
        try lock(change.target)
        defer { try? tables.unlock(change.target, connection) }
        try awaitOthers(change)
        let known = try tables.read(change.target, connection)
        let mine = known.first { $0.source == source && $0.name == change.table }?.table
        func now(_ shape: TableShape, _ told: MergedTable?) -> MergedTable {
            var table = told ?? MergedTable(target: change.target, shape: shape)
            table.shape = shape
            return table
        }
        let before = change.before.map { now($0, mine) }
        let gone = known.filter(\.table.isGone).map(\.table)
        var others = known.filter { $0.source != source && !$0.table.isGone }.map(\.table)
        others += change.own.map { name, shape in
            now(shape, known.first { $0.source == source && $0.name == name }?.table)
        }
        let plan: MergedAlter.Plan
        let there: MergedTarget?
        var request = request
        do {
            there = try mergedTarget(change)
            try connection.execute("COMMIT")
            plan = try self.plan(
                change, before, (others, gone), there,
                isRepeated: request.identity == repeated)
            guard let sql = try text(plan, change) else {
                guard !request.isOpening else {
                    throw MergeConflict("rows come with it that others' may stand in the way of")
                }
                try ledger.complete(
                    request.identity, [], with: records(change, plan, there, mine))
                return try outcome(of: request, plan)
            }
            request.parts[0].sql = sql
        } catch let conflict as MergeConflict {
            let shown = withoutSecrets(String(decoding: request.parts[0].sql, as: UTF8.self))
            throw try refusal(
                request, request.parts[0], shown,
                "\(change.table) is merged with others into \(change.target), and "
                    + "\(conflict.description): change \(change.target) by hand when all of them "
                    + "have come this far, and leave the statement out", of: change.table)
        }
        request.merged = nil
        request.isSettled = true
        // Another source may change the table before a run that follows looks at it.
        request.isRepeatable = !others.isEmpty
        request.completion = records(change, plan, there, mine)
        _ = try perform(request, DDLPartNumber())
        return try outcome(of: request, plan)
    }

    // MARK: The lock

    private func lock(_ target: TableName) throws {
        while try !tables.lock(target, session.connection) { try Task.checkCancellation() }
    }

    /// Takes the locks of the tables that a statement changes as if they were its source's alone.
    /// While it looks whether they are, and until it is recorded, nobody else gets there.
    ///
    /// - Returns: those to be given back.
    func lockShared(_ request: DDLRequest) throws -> [TableName] {
        guard followsMerged, let shared, !request.isSettled else { return [] }
        // In an order that all of them have.
        let targets = Set(request.parts.flatMap(\.tables)).sorted()
            .filter { shared.mapping.mayBeShared(target: $0) }
        for target in targets { try lock(target) }
        return targets
    }

    /// A source that was killed in a statement on a table sees by the table whether it has run: as
    /// long as it has not looked, nobody else changes it.
    func awaitDecided(_ target: TableName) throws {
        guard let shared,
            // One that the task does not have any more never looks.
            let other = try ledger.undecidedSources(of: target)
                .first(where: { shared.mapping.hasOther($0) })
        else { return }
        throw ReplicationError.othersAreAwaited(
            target,
            detail: "source \(other), which was ended in a statement on it, runs again and sees "
                + "whether that has run")
    }

    /// Whether another source has told of a table that goes to this one of the target, or of one
    /// that did: its rows are there.
    func isToldOfByOthers(_ target: TableName) throws -> Bool {
        try tables.read(target, session.connection).contains { $0.source != source }
    }

    private func outcome(
        of request: DDLRequest, _ plan: MergedAlter.Plan
    ) throws -> DDLOutcome {
        let shapes = try SchemaReader(session.connection).shapes(of: request.existAfter)
        try session.connection.execute("COMMIT")
        return DDLOutcome(shapes: shapes, warning: plan.warnings.first)
    }

    /// Other sources must have told of their tables.
    private func awaitOthers(_ change: MergedChange) throws {
        guard let shared, shared.mapping.mayBeShared(target: change.target) else { return }
        let connection = session.connection
        defer { _ = try? connection.execute("COMMIT") }
        try awaitDecided(change.target)
        guard try !shared.others.copy(connection) else {
            throw ReplicationError.othersAreCopied(change.target)
        }
        let told = try tables.readAll(connection)
        for other in try shared.others.followed(to: change.target, connection) {
            // What a source tells is where its table goes.
            let isTold = told.contains {
                $0.source == other.source && $0.name == other.name
                    && (other.places.isEmpty || other.places.contains($0.table.target))
            }
            guard !isTold else { continue }
            let name = "table \(other.name) of source \(other.source)"
            throw ReplicationError.othersAreAwaited(
                change.target,
                detail: other.places == [change.target]
                    ? "that source has told what \(name) is, which it does when it runs"
                    : "it is known whether \(name) goes there: the rules don't tell that of names that "
                        + "differ from theirs in case alone (write them as the source does), or of a "
                        + "source that the task does not have")
        }
    }

    private func plan(
        _ change: MergedChange, _ before: MergedTable?,
        _ known: (others: [MergedTable], gone: [MergedTable]), _ there: MergedTarget?,
        isRepeated: Bool
    ) throws(MergeConflict) -> MergedAlter.Plan {
        let whole = MergedAlter.Plan(clauses: [.action(0)], isWhole: true)
        guard let there else {
            // Nobody has made it yet.
            if case .create = change.kind { return whole }
            throw MergeConflict("the target does not have it")
        }
        // Servers of one family keep JSON as a text: there it is none of its own.
        let isText =
            session.connection.family == .mariadb
            || session.connection.family != change.context.family
        func plain(_ shape: TableShape) -> TableShape { isText ? shape.withJSONAsText : shape }
        func plain(_ table: MergedTable) -> MergedTable {
            var table = table
            table.shape = plain(table.shape)
            return table
        }
        var target = there
        target.shape = plain(there.shape)
        let after = plain(change.after)
        let (others, gone) = (known.others.map(plain), known.gone.map(plain))
        switch change.kind {
        case .create:
            try requireHeld(change, after, target, others)
            try requireSameColumns([after] + (others + gone).map(\.shape))
            return MergedAlter.Plan()
        case .alter(let alter), .key(let alter):
            guard let before else { throw MergeConflict("what it was before is not known") }
            return try MergedAlter(
                mine: plain(before), after: after, others: others, gone: gone, target: target,
                isRepeated: isRepeated
            ).plan(alter)
        }
    }

    /// A new table's rows go where others' are already.
    private func requireHeld(
        _ change: MergedChange, _ shape: TableShape, _ there: MergedTarget,
        _ others: [MergedTable]
    ) throws(MergeConflict) {
        for column in shape.columns {
            guard let place = there.column(column.name), place.holds(column) else {
                throw MergeConflict("the target has no such column \(column.name)")
            }
            guard column.generation != nil else { continue }
            let expression = change.expressions[column.name.lowercased()]
            guard isSameExpression(column.name, expression, there, others) else {
                throw MergeConflict(
                    "the target computes column \(column.name), perhaps in another way")
            }
        }
        for column in there.shape.columns where shape.columnIndex(column.name) == nil {
            guard there.givesValue(in: column) else {
                throw MergeConflict("it lacks column \(column.name), which has no default there")
            }
        }
        try MergedAlter.requireUnique(shape, in: there)
    }

    /// What runs; `nil` where nothing does.
    private func text(
        _ plan: MergedAlter.Plan, _ change: MergedChange
    ) throws(MergeConflict) -> [UInt8]? {
        guard !plan.clauses.isEmpty else { return nil }
        if plan.isWhole { return change.statement.source }
        // Of a statement that is one action, it is all or nothing, or the same with another name.
        guard case .alter(let alter) = change.kind else {
            guard case .text(let text)? = plan.clauses.first else {
                return change.statement.source
            }
            try requireASCII(text, change)
            return Array("ALTER TABLE \(change.target.quoted) \(text)".utf8)
        }
        guard change.statement.hasSeparableActions else {
            throw MergeConflict("a part of it is to run that can't be told from the rest")
        }
        let statement = change.statement
        var running: Set<Int> = []
        for case .action(let i) in plan.clauses { running.insert(i) }
        for case .actionWithDefault(let i, _) in plan.clauses { running.insert(i) }
        for i in alter.actions.indices where !running.contains(i) {
            let isHalf = running.contains { statement.clause(of: $0) == statement.clause(of: i) }
            if isHalf { throw MergeConflict("a part of one of its clauses is to run") }
        }
        for case .actionWithDefault(let i, _) in plan.clauses {
            let clause = statement.clause(of: i)
            guard alter.actions.indices.count(where: { statement.clause(of: $0) == clause }) == 1
            else { throw MergeConflict("a column of a list needs a default: add it by itself") }
        }
        for case .text(let text) in plan.clauses { try requireASCII(text, change) }
        return statement.text(of: plan.clauses, context: change.context)
    }

    /// Text of one's own stands beside what was sent in another character set.
    private func requireASCII(_ text: String, _ change: MergedChange) throws(MergeConflict) {
        guard change.context.encoding == .utf8 || text.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw MergeConflict("it was sent in another character set than UTF-8")
        }
    }

    /// What is told of the tables when the statement has run.
    private func records(
        _ change: MergedChange, _ plan: MergedAlter.Plan, _ there: MergedTarget?,
        _ known: MergedTable?
    ) -> @Sendable (Connection) throws -> [String] {
        var table = MergedTable(
            target: change.target, shape: change.after, dropped: plan.dropped)
        table.expressions = (known?.expressions ?? [:])
            .merging(change.expressions) { _, new in new }
            .filter { change.after.columnIndex($0.key) != nil }
        let mine = MergedTables.Member(source: source, name: change.table, table: table)
        // What the target lacks, or loses now, is nothing that others have left there; and one that it
        // gets now is another one. Run again behind a crash, it says the same.
        var kept = Set(there?.shape.columns.map { $0.name.lowercased() } ?? [])
        if case .alter(let alter) = change.kind {
            for case .action(let i) in plan.clauses {
                if case .dropColumn(let name, _) = alter.actions[i] {
                    kept.remove(name.lowercased())
                }
            }
        }
        return { [tables, kept] connection in
            var out = [try tables.storeStatement(mine)]
            for other in try tables.read(change.target, connection)
            where !kept.isSuperset(of: other.table.dropped) {
                if other.source == mine.source, other.name == mine.name { continue }
                // The statement may have taken hours, and its source may tell something else of it.
                guard var now = try tables.readLocked(other, connection),
                    now.table.target == change.target
                else { continue }
                now.table.dropped.removeAll { !kept.contains($0) }
                out.append(try tables.storeStatement(now))
            }
            return out
        }
    }

    /// The table of the target, as far as it matters; `nil` where it is not there.
    ///
    /// - Throws: `MySQLError`, ``MergeConflict``.
    private func mergedTarget(_ change: MergedChange) throws -> MergedTarget? {
        let connection = session.connection
        let target = change.target
        guard let shape = try SchemaReader(connection).shapes(of: [target])[target] else {
            return nil
        }
        // Only there each default value and expression is as a statement would have it.
        let text = try connection.rows("SHOW CREATE TABLE \(target.quoted)").first?[1] ?? ""
        let context = SyntaxContext(
            version: connection.serverVersion, defaultSchema: target.schema)
        guard case .createTable(let create)? = try? parseStatement(text, context: context).ddl
        else {
            throw MergeConflict("what the target says that its table is, is not understood")
        }
        let checks = try connection.rows(
            """
            SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS \
            WHERE TABLE_SCHEMA=\(utf8Literal(target.schema)) \
            AND TABLE_NAME=\(utf8Literal(target.name)) AND CONSTRAINT_TYPE='CHECK'
            """
        ).compactMap(\.[0])
        return MergedTarget(
            shape: shape, definitions: create.columns, checks: Set(checks), filled: change.filled)
    }

    /// Records what tables are that are merged with others.
    ///
    /// - Parameter areNew: only what nothing is recorded of, and what goes.
    func note(_ noted: [NotedTable], areNew: Bool) throws {
        guard !noted.isEmpty else { return }
        // Others may write what is told of them here, too.
        try ledger.write { connection in
            try statements(noting: noted, areNew: areNew, tables.readOwnLocked(connection))
        }
    }

    private func statements(
        noting noted: [NotedTable], areNew: Bool, _ own: [MergedTables.Member]
    ) throws -> [String] {
        let known = Dictionary(uniqueKeysWithValues: own.map { ($0.name, $0.table) })
        var statements: [String] = []
        func store(_ name: TableName, _ table: MergedTable) throws {
            guard known[name] != table else { return }
            statements.append(
                try tables.storeStatement(.init(source: source, name: name, table: table)))
        }
        for table in noted {
            let before = known[table.name]
            guard let shape = table.shape else {
                guard var gone = before else { continue }
                gone.isGone = true
                if table.leavesRows {
                    try store(table.name, gone)
                } else {
                    statements.append(tables.removeStatement(table.name))
                }
                continue
            }
            if areNew, let before, !before.isGone, before.target == table.target { continue }
            var now = MergedTable(target: table.target, shape: shape)
            if let before, !before.isGone, before.target == table.target {
                now.expressions = before.expressions.filter { shape.columnIndex($0.key) != nil }
                let names = before.dropped + before.shape.columns.map { $0.name.lowercased() }
                let gone = Set(names).filter { shape.columnIndex($0) == nil }.sorted()
                if !gone.isEmpty {
                    // The statement may have taken it from the target, too, and been killed then.
                    let there = try SchemaReader(session.connection).shape(of: table.target)
                    now.dropped = gone.filter { there?.columnIndex($0) != nil }
                }
            }
            try store(table.name, now)
        }
        return statements
    }
}
