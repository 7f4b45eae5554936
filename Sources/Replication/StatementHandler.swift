internal import Checkpoint
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

/// Decides what a statement in the binlog means for the migrated tables.
struct StatementHandler {
    /// What to do with a statement.
    enum Decision {
        /// It does not concern migrated tables.
        case pass
        /// It does not concern rows, and the target can't have it: that is worth a warning. What
        /// the target has of these objects need not be what the source has.
        case leaveOut(String, [StaleObject] = [])
        /// It is applied already; shapes have to follow.
        case shapesOnly([DDL], SyntaxContext)
        /// The rules leave it out: shapes of the source follow, the target stays as it is.
        case filtered([DDL], SyntaxContext)
        /// It must run on the target. What it does to the tables that are wanted is told by one
        /// statement or two.
        case run(DDLRequest, [DDL], SyntaxContext)
    }

    let catalog: TableCatalog
    let applied: AppliedState

    init(catalog: TableCatalog, applied: AppliedState) {
        self.catalog = catalog
        self.applied = applied
    }

    /// Decides what becomes of a statement by itself.
    ///
    /// - Throws: ``ReplicationError`` for a statement that can't be replicated.
    func decideAlone(
        _ query: QueryEvent, _ end: GroupEnd, timestamp: Int64, position: SourcePosition
    ) throws -> Decision {
        if applied.lowWater.contains(end.identity) { return .pass }
        let context = catalog.session.context(of: query)
        let statement: Statement
        do {
            statement = try parseStatement(query.sql, context: context)
        } catch {
            let wanted = error.tables.contains { catalog.mapping.concerns($0.name) }
            if !wanted, !error.tables.isEmpty { return .pass }
            throw ReplicationError.unsupported(
                position, detail: "a statement is not understood (\(error))")
        }
        switch statement.classification {
        case .transactionControl, .administrative, .empty: return .pass
        case .dml(let kind): return try dml(kind, statement, query, end, context, position)
        case .unknown(let words):
            guard statement.tables.contains(where: { catalog.mapping.concerns($0.name) }) else {
                return .pass
            }
            throw ReplicationError.unsupported(
                position, detail: "a statement on migrated tables is not known (\(words))")
        case .ddl(let ddl):
            return try decide(ddl, statement, query, end, context, timestamp, position)
        }
    }

    private func dml(
        _ kind: DMLKind, _ statement: Statement, _ query: QueryEvent, _ end: GroupEnd,
        _ context: SyntaxContext, _ position: SourcePosition
    ) throws -> Decision {
        // UPDATE and DELETE of several tables name what they write among what they read.
        let written = statement.tables.filter {
            ($0.role == .target || kind == .update || kind == .delete)
                && catalog.mapping.selects($0.name)
        }
        guard kind != .select, let first = written.first else { return .pass }
        // A restarted server logs that its MEMORY tables are empty.
        if kind == .delete, catalog.state.tables[first.name]?.engine?.uppercased() == "MEMORY" {
            if applied.contains(end.identity) { return .pass }
            try refuseMerged([first.name], position)
            let target = try catalog.target(of: first.name)
            let sql = Array("DELETE FROM \(target.quoted)".utf8)
            return .run(
                DDLRequest(
                    identity: end.identity, sql: sql, defaultSchema: nil, settings: [],
                    tables: [target], existAfter: [target], goneAfter: [],
                    isIdempotent: true, mayFail: false),
                [.truncateTable(TruncateTable(table: first.name))], context)
        }
        throw ReplicationError.unsupported(
            position,
            detail: "\(first.name) was changed by a statement instead of rows: set "
                + "binlog_format=ROW on the source, then start over with --fresh")
    }

    private func decide(
        _ ddl: DDL, _ statement: Statement, _ query: QueryEvent, _ end: GroupEnd,
        _ context: SyntaxContext, _ timestamp: Int64, _ position: SourcePosition
    ) throws -> Decision {
        if ddl.isTemporary { return .pass }
        let event = Event(
            query: query, end: end, context: context, timestamp: timestamp, position: position)
        if let decision = try onlineChange(ddl, statement, event) { return decision }
        switch ddl {
        case .createObject(let object) where object.kind == .sequence:
            return try sequence(object.name, position)
        case .createObject, .alterObject, .dropObject: return try object(ddl, statement, event)
        case .createSchema(let schema):
            // Rules that hold it may come: what tables get in it is known then.
            guard catalog.mapping.mayHold(schema: schema.name) else {
                return .filtered([ddl], context)
            }
            if try isFilteredOut(statement, event) { return .filtered([ddl], context) }
            return try createSchema(schema, event)
        case .alterSchema(let schema):
            guard catalog.mapping.mayHold(schema: schema.name) else {
                return .filtered([ddl], context)
            }
        case .dropSchema(let schema):
            if try isFilteredOut(statement, event) { return .filtered([ddl], context) }
            return try dropSchema(schema.name, event)
        default: break
        }
        let named = Set(ddl.tablesBefore + ddl.tablesAfter)
        let wanted = named.filter { catalog.mapping.selects($0) }
        if wanted.isEmpty, !named.isEmpty { return .pass }
        let uses = Dictionary(uniqueKeysWithValues: wanted.map { ($0, catalog.use(of: $0)) })
        if let changing = uses.first(where: { $0.value == .converge }) {
            throw try changedInside(changing.key, position)
        }
        if !uses.isEmpty, uses.values.allSatisfy({ $0 == .skip }) {
            if let child = childLeftBehind(ddl) {
                // The parent's other name may not be known here: what the child refers to is another.
                throw try copyingAgain(child, position, after: nil)
            }
            if case .alterTable = ddl {
                for table in wanted { catalog.onlineChanges?.forgetShadows(of: table) }
            }
            return .pass
        }
        // What it is like, others have no part in: the copy has it.
        if case .createTable(let create) = ddl, uses[create.table] == .skip { return .pass }
        if !applied.contains(end.identity), let table = torn(ddl, uses) {
            var after = catalog.state
            let isKnown = (try? after.apply(ddl, context: context)) != nil
            throw try copyingAgain(table, position, after: isKnown ? after : nil)
        }
        let filtering = try filtering(of: statement, event)
        if case .leftOut = filtering { return .filtered([ddl], context) }
        if case .whole = filtering, let decision = try merged(ddl, statement, wanted, event) {
            return decision
        }
        if case .dropTables(let drop) = ddl {
            let dropped = drop.tables.filter { uses[$0] == .exact && filtering.runs(on: $0) }
            let going = try tablesWithoutOthers(dropped, event)
            try refuseMerged(catalog.followsMerged ? Set(going) : wanted, position)
            let staying = Set(dropped).subtracting(going)
            return try dropTables(
                drop, where: { going.contains($0) },
                leftOut: drop.tables.filter { !filtering.runs(on: $0) || staying.contains($0) },
                event)
        }
        if case .parts = filtering {
            return try run([Piece(statement: statement, event: event)], event)
        }
        try refuseMoves(ddl, named, wanted, position)
        try refuseMerged(wanted, position)
        try refuseFailed(event)
        if applied.contains(end.identity) { return .shapesOnly([ddl], context) }
        return .run(
            DDLRequest(
                identity: end.identity,
                parts: [try part(ddl, statement, wanted, event, catalog.state)]),
            [ddl], context)
    }

    /// The table to be copied again before a statement that moves rows, or a shape, from one table to
    /// another, where some of its tables were copied, or gone, behind it: under their names the
    /// target has not what the source had, or has it already.
    ///
    /// Each table that is copied again, or is found to be gone, is one less: in the end the copy has
    /// seen all that the statement has done.
    private func torn(_ ddl: DDL, _ uses: [TableName: TableCatalog.Use]) -> TableName? {
        // Each table of it goes by itself.
        if case .dropTables = ddl { return nil }
        let isReadable = ddl.tablesBefore.allSatisfy { uses[$0] != .skip }
        let isFree = ddl.tablesAfter.allSatisfy { uses[$0] != .skip || !catalog.wasCopied($0) }
        return isReadable && isFree ? nil : uses.filter { $0.value == .exact }.keys.min()
    }

    /// A statement as one that the target runs.
    ///
    /// - Parameters:
    ///   - wanted: the migrated ones of the tables that it names.
    ///   - state: the tables before it.
    ///   - isOwnText: it was written here, in UTF-8.
    func part(
        _ ddl: DDL, _ statement: Statement, _ wanted: Set<TableName>, _ event: Event,
        _ state: SchemaState, isOwnText: Bool = false
    ) throws -> DDLRequest.Part {
        if let detail = Self.doubledRows(ddl) {
            throw ReplicationError.unsupported(
                event.position,
                detail: "\(someName(wanted)) \(detail). "
                    + "Exclude the table, or give it InnoDB, and start over with --fresh")
        }
        try refuseRows(of: ddl, wanted, event.position)
        // A new table has no rows that could get other values from its defaults.
        let isEmpty = if case .createTable = ddl { true } else { false }
        if !isEmpty, let reason = statement.nondeterministicReason {
            throw ReplicationError.unsupported(
                event.position,
                detail: "a statement gives other values on the target (\(reason))")
        }
        try refuseAfterwards(ddl, wanted, event, state)
        let gone = Set(ddl.tablesBefore).subtracting(ddl.tablesAfter)
        var context = event.context
        if isOwnText { context.encoding = .utf8 }
        return DDLRequest.Part(
            sql: withoutRows(ddl, try text(statement, context, event.position)),
            defaultSchema: catalog.mapping.movesTables
                ? nil : String(decoding: event.query.schema, as: UTF8.self),
            settings: try settings(for: ddl, wanted, event, state, isOwnText: isOwnText),
            tables: try catalog.targets(wanted),
            existAfter: try catalog.targets(ddl.tablesAfter.filter { wanted.contains($0) }),
            goneAfter: try catalog.targets(gone.filter { wanted.contains($0) }),
            isIdempotent: ddl.isSafeToRunIfUnseen)
    }

    /// The statement as the target must read it.
    func text(
        _ statement: Statement, _ context: SyntaxContext, _ position: SourcePosition
    ) throws -> [UInt8] {
        var statement = statement
        if let collation = catalog.session.spelledCollation(context) {
            let spelled = statement.spelling(
                collation: collation, of: "utf8mb4", context: context)
            if spelled != statement.source {
                statement = try parseStatement(spelled, context: context)
            }
        }
        guard catalog.mapping.movesTables else { return statement.source }
        var targets: [TableName: TableName] = [:]
        for table in statement.tables { targets[table.name] = try catalog.target(of: table.name) }
        return try renamed(
            statement, context, position, { targets[$0] ?? $0 },
            schemas: { (try? catalog.target(ofSchema: $0)) ?? $0 })
    }

    /// The text of a statement with other names of tables, each with its schema.
    ///
    /// - Parameter context: the one that the statement was parsed under.
    /// - Throws: ``ReplicationError/unsupported(_:detail:)`` where such a name, which is written in
    ///   UTF-8, can't be part of the text.
    func renamed(
        _ statement: Statement, _ context: SyntaxContext, _ position: SourcePosition,
        _ renaming: (TableName) -> TableName, schemas: (String) -> String = { $0 }
    ) throws -> [UInt8] {
        if context.encoding != .utf8 {
            var written: [String] = []
            for table in statement.tables {
                let new = renaming(table.name)
                if table.schemaRange != nil, new == table.name { continue }
                written += [new.schema, new.name]
            }
            for schema in statement.schemas
            where schema.range.isEmpty || schemas(schema.name) != schema.name {
                written.append(schemas(schema.name))
            }
            if let name = written.first(where: { !$0.utf8.allSatisfy { $0 < 0x80 } }) {
                throw ReplicationError.unsupported(
                    position,
                    detail: "\(name) is to be named in a statement that the source's client has "
                        + "sent in another character set than UTF-8")
            }
        }
        return statement.rewritten(
            renaming: renaming, defaultSchema: nil, renamingSchema: schemas)
    }

    /// Leaves out MySQL's note that rows follow in the same transaction: they come by themselves.
    private func withoutRows(_ ddl: DDL, _ sql: [UInt8]) -> [UInt8] {
        guard case .createTable(let create) = ddl, create.options.startsTransaction else {
            return sql
        }
        let words = Array("START TRANSACTION".utf8)
        let end = sql.lastIndex { $0 | 0x20 == UInt8(ascii: "n") }.map { $0 + 1 } ?? 0
        guard end >= words.count, sql[(end - words.count)..<end].elementsEqual(words) else {
            return sql
        }
        return Array(sql[..<(end - words.count)])
    }

    /// A statement, with what came with it.
    struct Event {
        let query: QueryEvent
        let end: GroupEnd
        let context: SyntaxContext
        let timestamp: Int64
        let position: SourcePosition
    }

    /// A table that comes into the selection under another name, or a partition that does, brings
    /// rows that were never copied.
    func refuseMoves(
        _ ddl: DDL, _ named: Set<TableName>, _ wanted: Set<TableName>, _ position: SourcePosition
    ) throws {
        switch ddl {
        case .renameTables, .alterTable: break
        default: return
        }
        guard wanted != named else { return }
        throw ReplicationError.unsupported(
            position,
            detail: "a table or a partition is moved into or out of the selection: "
                + named.map(\.description).sorted().joined(separator: ", "))
    }

    /// What a table must not become.
    private func refuseAfterwards(
        _ ddl: DDL, _ wanted: Set<TableName>, _ event: Event, _ state: SchemaState
    ) throws {
        if ddl.addsSystemVersioning {
            throw ReplicationError.unsupported(
                event.position,
                detail: "\(someName(wanted)) gets system versioning, and tables with it can't be "
                    + "migrated: exclude it and start over with --fresh")
        }
        // Whose cascades are logged by the source come as rows.
        guard !catalog.session.source.logsCascades else { return }
        var after = state
        guard (try? after.apply(ddl, context: event.context)) != nil else { return }
        for name in ddl.tablesAfter where wanted.contains(name) {
            let before = state.tables[name]?.foreignKeys ?? []
            for key in after.tables[name]?.foreignKeys ?? [] where !before.contains(key) {
                guard key.onDelete.changesChildren || key.onUpdate.changesChildren,
                    !catalog.mapping.selects(key.parent)
                else { continue }
                throw ReplicationError.unsupported(
                    event.position,
                    detail: "\(name) gets a foreign key whose parent, \(key.parent), is not "
                        + "selected and changes it by cascades, which the binlog does not carry: "
                        + "select the parent too, or exclude \(name), and start over with --fresh")
            }
        }
    }

    private func someName(_ tables: Set<TableName>) -> String {
        tables.sorted().first?.description ?? "a table"
    }

    /// What the tables that are merged into one need on the target is known only when all of them
    /// have it.
    func refuseMerged(
        _ tables: Set<TableName>, _ position: SourcePosition
    ) throws {
        guard let table = try tables.sorted().first(where: { try catalog.isMerged($0) }) else {
            return
        }
        throw ReplicationError.unsupported(
            position,
            detail: "a statement changes \(table), which is one of several tables that are merged "
                + "into \(try catalog.target(of: table)): change that one by hand")
    }

    /// Statements that failed half-way are logged too; what they did is known of few.
    func refuseFailed(_ event: Event) throws {
        guard event.query.errorCode != 0 else { return }
        throw ReplicationError.unsupported(
            event.position,
            detail: "a statement failed on the source with error \(event.query.errorCode), and "
                + "the binlog does not tell what it did before. Make the tables equal by hand or "
                + "start over with --fresh")
    }

    /// A DROP of several tables drops the migrated ones alone, and none that was copied later.
    private func dropTables(
        _ drop: DropTables, where isWanted: (TableName) -> Bool, leftOut: [TableName],
        _ event: Event
    ) throws -> Decision {
        var drop = drop
        // The source has none of them any more.
        let filtered: [DDL] =
            leftOut.isEmpty ? [] : [.dropTables(DropTables(tables: leftOut, ifExists: true))]
        let all = drop.tables.count
        drop.tables.removeAll { !isWanted($0) }
        // The tables that were there are gone, the others never were. MariaDB logs that without
        // its error.
        let failed = event.query.errorCode == 1051
        if !failed { try refuseFailed(event) }
        let lacksSome = failed || !drop.tables.allSatisfy { catalog.state.tables[$0] != nil }
        if applied.contains(event.end.identity) {
            return .shapesOnly([.dropTables(drop)] + filtered, event.context)
        }
        if drop.tables.isEmpty { return .filtered(filtered, event.context) }
        let targets = try catalog.targets(drop.tables)
        // Some servers drop one table after the other, and can be killed in between: what is left
        // is dropped then.
        if lacksSome || targets.count > 1 { drop.ifExists = true }
        let isOwnText =
            lacksSome || targets.count > 1 || drop.tables.count < all
            || targets != drop.tables.sorted()
        // In the source's order: of tables with foreign keys that counts.
        let list = try drop.tables.map { try catalog.target(of: $0).quoted }
            .joined(separator: ",")
        return .run(
            DDLRequest(
                identity: event.end.identity,
                sql: isOwnText
                    ? Array("DROP TABLE \(drop.ifExists ? "IF EXISTS " : "")\(list)".utf8)
                    : event.query.sql,
                defaultSchema: String(decoding: event.query.schema, as: UTF8.self),
                settings: try settings(
                    for: .dropTables(drop), Set(drop.tables), event, catalog.state,
                    isOwnText: isOwnText),
                tables: targets, existAfter: [], goneAfter: targets,
                isIdempotent: DDL.dropTables(drop).isSafeToRunIfUnseen, mayFail: false),
            [.dropTables(drop)] + filtered, event.context)
    }

    private func object(
        _ ddl: DDL, _ statement: Statement, _ event: Event
    ) throws -> Decision {
        let (kind, names): (ObjectKind, [TableName])
        switch ddl {
        case .createObject(let object): (kind, names) = (object.kind, [object.name])
        case .alterObject(let object): (kind, names) = (object.kind, [object.name])
        case .dropObject(let object): (kind, names) = (object.kind, object.names)
        default: return .pass
        }
        // Triggers and events come with the switch-over, from the source as it is then.
        if kind == .trigger || kind == .event || applied.contains(event.end.identity) {
            return .pass
        }
        let wanted = names.filter { catalog.mapping.selects($0) }
        guard !wanted.isEmpty else { return .pass }
        if try isFilteredOut(statement, event) { return .pass }
        // Its text names tables; parts of it can't be told from names of other things.
        let uses = Self.uses(ddl, wanted.filter { catalog.mapping.keeps(object: $0) })
        func leftOut(_ warning: String, _ reason: String) -> Decision {
            let place = "\(event.position)"
            return .leaveOut(
                warning, uses.map { StaleObject($0.id, position: place, reason: reason) })
        }
        if let moved = wanted.first(where: { !catalog.mapping.keeps(object: $0) }) {
            return leftOut(
                "\(moved), a view or routine of a schema whose tables have other names on the "
                    + "target, is left out (at \(event.position))",
                "it names \(moved), too, whose schema has another name on the target")
        }
        var sql = event.query.sql
        if case .dropObject(let drop) = ddl, wanted.count < names.count {
            let list = wanted.map(\.quoted).joined(separator: ",")
            sql = Array("DROP VIEW \(drop.ifExists ? "IF EXISTS " : "")\(list)".utf8)
        }
        let settings: [String]
        do throws(UntranslatableSession) {
            settings = try catalog.session.assignments(
                for: event.query, timestamp: event.timestamp)
        } catch {
            return leftOut(
                "a view or routine is left out (at \(event.position)): \(error.detail)",
                error.detail)
        }
        var request = DDLRequest(
            identity: event.end.identity, sql: sql,
            defaultSchema: String(decoding: event.query.schema, as: UTF8.self),
            settings: settings, tables: [], existAfter: [], goneAfter: [],
            isIdempotent: true, mayFail: true)
        request.objects = uses
        return .run(request, [ddl], event.context)
    }

    /// The views and routines of a statement.
    private static func uses(_ ddl: DDL, _ names: [TableName]) -> [ObjectUse] {
        let (kind, isSettled): (ObjectKind, Bool)
        switch ddl {
        // Where there is one, it stays what it is.
        case .createObject(let object):
            if object.isLoadable { return [] }
            (kind, isSettled) = (object.kind, !object.ifNotExists)
        // A routine's body can't be altered, but a view's is always given.
        case .alterObject(let object): (kind, isSettled) = (object.kind, object.kind == .view)
        case .dropObject(let object): (kind, isSettled) = (object.kind, true)
        default: return []
        }
        let known: StaleObject.Kind
        switch kind {
        case .view: known = .view
        case .procedure: known = .procedure
        case .function: known = .function
        case .trigger, .event, .sequence, .package, .packageBody, .library: return []
        }
        return names.map { ObjectUse(id: StaleObject.ID(known, $0), isSettled: isSettled) }
    }

    // MARK: schemas

    /// The tables of a schema that go with it: those that the target holds from before.
    private func tables(in schema: String, _ event: Event) throws -> [TableName] {
        let all = catalog.state.tables.keys.filter { $0.schema == schema }.sorted()
        if let changing = all.first(where: { catalog.use(of: $0) == .converge }) {
            throw try changedInside(changing, event.position)
        }
        return all.filter { catalog.use(of: $0) == .exact }
    }

    /// - Parameter tables: names on the target.
    func dropStatement(_ tables: [TableName]) -> String {
        "DROP TABLE IF EXISTS \(tables.map(\.quoted).joined(separator: ","))"
    }

    private func dropSchema(_ schema: String, _ event: Event) throws -> Decision {
        guard catalog.mapping.mayHold(schema: schema) else {
            return .filtered([.dropSchema(DropSchema(name: schema))], event.context)
        }
        let tables = try tables(in: schema, event)
        let going = try tablesWithoutOthers(tables, event)
        var effects: [DDL] = []
        if !tables.isEmpty {
            try refuseMerged(Set(going), event.position)
            try refuseFailed(event)
            effects.append(.dropTables(DropTables(tables: tables, ifExists: true)))
        }
        // Tables that were copied later stay, and so do the schema's defaults.
        let all = catalog.state.tables.keys.filter { $0.schema == schema }
        if all.count == tables.count { effects.append(.dropSchema(DropSchema(name: schema))) }
        // Views and routines go where they were not copied later and the schema is the target's, too.
        let isWhole =
            (try? catalog.target(ofSchema: schema)) == schema && !catalog.hasLaterObjects
            && !catalog.mapping.hasOthers
        if applied.contains(event.end.identity) || going.isEmpty && !isWhole {
            return going.count < tables.count
                ? .filtered(effects, event.context) : .shapesOnly(effects, event.context)
        }
        let targets = try catalog.targets(going)
        var request = DDLRequest(
            identity: event.end.identity,
            sql: targets.isEmpty ? [] : Array(dropStatement(targets).utf8), defaultSchema: nil,
            settings: ["foreign_key_checks=0"], tables: targets, existAfter: [],
            goneAfter: targets, isIdempotent: true, mayFail: false)
        request.isPartial = going.count < tables.count
        if isWhole { request.emptiedSchema = (schema, catalog.mapping) }
        return .run(request, effects, event.context)
    }

    /// The schema may be there already: it was created with the first table, or for other ones.
    /// Its defaults, which tables get that name none, become those of the source's.
    private func createSchema(_ schema: CreateSchema, _ event: Event) throws -> Decision {
        try refuseFailed(event)
        var created = schema
        created.orReplace = false
        var effects: [DDL] = [.createSchema(created)]
        var sql: [String] = []
        var after = catalog.state
        if schema.orReplace { after.schemas[schema.name] = nil }
        let isNew = !schema.ifNotExists || after.schemas[schema.name] == nil
        _ = try? after.apply(.createSchema(created), context: event.context)
        let name = quoteIdentifier(try catalog.target(ofSchema: schema.name))
        let target = catalog.session.target
        var options = ""
        if isNew, let defaults = after.schemas[schema.name],
            let charset = target.charset(defaults.charset)
        {
            options += " CHARACTER SET \(charset)"
            if let known = target.collation(defaults.collation) { options += " COLLATE \(known)" }
        }
        sql.append("CREATE DATABASE IF NOT EXISTS \(name)\(options)")
        if !options.isEmpty { sql.append("ALTER DATABASE \(name)\(options)") }
        // The tables go last: as long as they are there, all of it is run again after a crash.
        let tables = schema.orReplace ? try tables(in: schema.name, event) : []
        let targets = try catalog.targets(tables)
        if !tables.isEmpty {
            try refuseMerged(Set(tables), event.position)
            sql.append(dropStatement(targets))
            effects.insert(.dropTables(DropTables(tables: tables, ifExists: true)), at: 0)
        }
        if applied.contains(event.end.identity) { return .shapesOnly(effects, event.context) }
        var settings = try settings(event, isOwnText: true)
        if !tables.isEmpty { settings.append("foreign_key_checks=0") }
        return .run(
            DDLRequest(
                identity: event.end.identity, sql: Array(sql.joined(separator: ";").utf8),
                defaultSchema: nil, settings: settings, tables: targets, existAfter: [],
                goneAfter: targets, isIdempotent: true, mayFail: false),
            effects, event.context)
    }

    // MARK: the session

    func settings(_ event: Event, isOwnText: Bool = false) throws -> [String] {
        do throws(UntranslatableSession) {
            return try catalog.session.assignments(
                for: event.query, timestamp: event.timestamp, isOwnText: isOwnText)
        } catch {
            throw ReplicationError.unsupported(
                event.position, detail: "a statement can't be repeated: \(error.detail)")
        }
    }
}
