internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime

/// Creates databases and tables on the target, on the run's DDL connection, which holds the
/// subtask's DDL lock.
actor SchemaCopier {
    private let executor = ThreadExecutor(name: "copy-schema")
    let configuration: SnapshotConfiguration
    private let interrupts: Interrupts
    private let lane: Int
    private var session: TargetSession?
    private var source: Connection?
    private var fence: Fence?
    private var token: RunToken?
    private var adapter: DefinitionAdapter?

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    init(_ configuration: SnapshotConfiguration, _ interrupts: Interrupts, lane: Int) {
        self.configuration = configuration
        self.interrupts = interrupts
        self.lane = lane
    }

    deinit { executor.stop() }

    /// Opens the sessions and joins the run.
    func join(_ barrier: RunBarrier) async throws {
        let session: TargetSession
        do {
            session = try TargetSession(configuration.target, role: .ddl(lane))
            try interrupts.add(session.connection.interrupter)
            self.session = session
            let source = try Connection(configuration.source)
            try interrupts.add(source.interrupter)
            // Definitions are words: a TIMESTAMP's default in the session's time zone, names quoted
            // as its mode says.
            for setting in ["time_zone='+00:00'", "sql_mode=''", "sql_quote_show_create=1"] {
                try source.execute("SET SESSION \(setting)")
            }
            self.source = source
        } catch {
            // Nobody may go on waiting for this session.
            barrier.publish(.failure(error))
            throw error
        }
        let state = try await barrier.arrive(session)
        token = state.run
        fence = Fence(
            meta: configuration.meta, key: configuration.key, lane: lane, token: state.run)
    }

    /// Which family the target is of.
    func targetFamily() throws -> ServerFamily { try connections().target.family }

    /// Which family the source is of.
    func sourceFamily() throws -> ServerFamily { try connections().source.family }

    /// Whether the target takes `LOAD DATA LOCAL`.
    func targetTakesLoad() throws -> Bool {
        try connections().target.value("SELECT @@global.local_infile") == "1"
    }

    /// Whether `LOAD DATA` into a table with AUTO_INCREMENT shuts other writers of it out.
    func targetLocksCounters() throws -> Bool {
        try connections().target.value("SELECT @@global.innodb_autoinc_lock_mode") != "2"
    }

    /// Takes the lock that makes this the only connection which runs DDL for the subtask.
    func lock() throws {
        guard let session, let token else { throw CancellationError() }
        try DDLLedger(
            session: session, meta: configuration.meta, key: configuration.key, lane: lane,
            token: token
        ).lock()
    }

    /// Keeps the sessions alive.
    func ping() throws {
        try source?.ping()
        try session?.connection.ping()
    }

    /// Shapes of the tables as the source has them now.
    func sourceShapes(_ tables: [TableName]) throws -> [TableName: TableShape] {
        try SchemaReader(connections().source).shapes(of: tables)
    }

    /// Tables of the selection as the source has them now.
    private func selectedTables(_ plan: SnapshotPlan) throws -> Set<TableName> {
        let reader = try SchemaReader(connections().source)
        var out: Set<TableName> = []
        for schema in try reader.schemas() {
            for table in try reader.tables(in: schema) where plan.isSelected(table.name) {
                out.insert(table.name)
            }
        }
        return out
    }

    /// To be called after a view was opened: a table that was created before would be missed, since
    /// replication takes what lies before the newest view for copied.
    ///
    /// - Throws: ``SnapshotError/tableAppeared(_:)``.
    func requirePlanned(_ plan: SnapshotPlan) throws {
        let unplanned = try selectedTables(plan).subtracting(plan.tables.map(\.name)).sorted()
        if let table = unplanned.first { throw SnapshotError.tableAppeared(table) }
    }

    /// What new tables get in the source's schemas.
    func defaults() throws -> [String: SchemaDefaults] {
        try SchemaReader(connections().source).defaults()
    }

    /// Whether another source of the task has written to a table of the target, or created it.
    func isShared(_ target: TableName, _ mapping: TableMapping) throws -> Bool {
        let connection = try connections().target
        defer { _ = try? connection.execute("COMMIT") }
        return try others(mapping).write(to: target, connection)
    }

    private func others(_ mapping: TableMapping) -> OtherSources {
        OtherSources(meta: configuration.meta, key: configuration.key) {
            mapping.places(of: $0, source: $1)
        }
    }

    /// Creates what is missing of databases and tables.
    ///
    /// - Parameters:
    ///   - owned: definitions of tables that this subtask created, from earlier runs.
    ///   - begun: tables with finished chunks.
    ///   - followed: tables that are not copied, but followed already.
    /// - Returns: statements that record what is created; they are durable before it is.
    func missing(
        _ plan: SnapshotPlan, owned: [TableName: String], begun: Set<TableName>,
        followed: Set<TableName>
    ) throws -> [TableName: String] {
        let (source, target) = try connections()
        let groups = plan.byTarget.filter { !$0.value.allSatisfy { followed.contains($0.name) } }
        let existing = try SchemaReader(target).shapes(of: groups.keys)
        try target.execute("COMMIT")
        var out: [TableName: String] = [:]
        for (name, tables) in groups {
            let tables = tables.sorted { $0.name < $1.name }
            for other in tables.dropFirst() {
                // Where the target has it, the pre-check has compared each of them with that.
                let ofValues =
                    existing[name] == nil
                    ? ShapeDifference.ofColumns(other.shape, tables[0].shape, mayBeWider: true)
                    : nil
                guard
                    let difference = names(other.shape, tables[0].shape, [])
                        ?? ofValues.map({ "its column \($0)" })
                else { continue }
                throw SnapshotError.unsupported(
                    object: "table \(other.name)",
                    detail: "it is to be merged with \(tables[0].name) into \(name), and "
                        + difference)
            }
            let copied = tables.map(\.name).filter(begun.contains)
            if existing[name] == nil, !copied.isEmpty {
                throw SnapshotError.startsOver(
                    copied, detail: "\(name) is not on the target any more")
            }
            if let there = existing[name] {
                let isOwn = tables.contains {
                    owned[$0.name] != nil || begun.contains($0.name) || followed.contains($0.name)
                }
                if !isOwn { try check(there, tables[0], target) }
                continue
            }
            if let column = tables[0].route.extracted.first {
                throw SnapshotError.unsupported(
                    object: "table \(name)",
                    detail: "a route fills its column \(column.name), which no table of the source "
                        + "has: create it on the target, with that column in its keys where they "
                        + "are not unique without it")
            }
            out[tables[0].name] = try definition(tables[0].name, source)
        }
        return out
    }

    /// Creates databases, and makes the statements that create tables from definitions of the
    /// source.
    func prepare(
        _ definitions: [TableName: String], _ plan: SnapshotPlan
    ) throws -> [TableCreation] {
        let (source, target) = try connections()
        try applyDDLSettings(target, from: source.family)
        var schemas: [String: String] = [:]
        for table in plan.tables.reversed() where definitions[table.name] != nil {
            schemas[table.target.schema] = table.name.schema
        }
        for (name, schema) in schemas.sorted(by: { $0.key < $1.key }) {
            try createDatabase(schema, as: name, source, target)
        }
        try createOtherDatabases(plan, source, target)
        let parents = Set(plan.tables.flatMap { $0.shape.foreignKeys.map(\.parent) })
        var out: [TableCreation] = []
        for table in plan.tables.sorted(by: { $0.name < $1.name }) {
            guard let definition = definitions[table.name] else { continue }
            var adapted = try adapted(definition, table)
            let deferred = deferrable(adapted, table, plan)
            adapted.items.removeAll { deferred.contains($0) }
            if plan.mapping.movesTables {
                try adapted.renameParents(from: table.name.schema) {
                    try plan.mapping.target(of: $0)
                }
            }
            out.append(
                TableCreation(
                    table: table.target, statement: adapted.statement(for: table.target),
                    isTied: parents.contains(table.name) || !table.shape.foreignKeys.isEmpty))
        }
        return out
    }

    /// Creates tables in their order.
    func create(_ tables: [TableCreation]) throws {
        let (_, target) = try connections()
        for table in tables { try table.run(target) }
    }

    private func adapted(_ definition: String, _ table: PlannedTable) throws -> CreateTableText {
        guard let text = CreateTableText(definition) else {
            throw SnapshotError.unsupported(
                object: "table \(table.name)", detail: "its definition has an unknown form")
        }
        return try definitionAdapter().adapt(text, of: table.shape)
    }

    /// Definitions of secondary, non-unique indexes that a large table can be created without.
    ///
    /// Kept are those that a foreign key may need (the server would make another in its place) or
    /// that begin with the AUTO_INCREMENT column, and FULLTEXT and SPATIAL ones, which are built
    /// one at a time anyway.
    private func deferrable(
        _ text: CreateTableText, _ table: PlannedTable, _ plan: SnapshotPlan
    ) -> Set<String> {
        guard configuration.defersIndexes,
            table.estimatedRows >= configuration.deferredIndexRows
        else { return [] }
        var needed = Set(table.shape.columns.filter(\.isAutoIncrement).map(\.name))
        needed.formUnion(table.shape.foreignKeys.flatMap(\.columns))
        for child in plan.tables {
            for key in child.shape.foreignKeys where key.parent == table.name {
                needed.formUnion(key.parentColumns)
            }
        }
        var firstColumn: [String: String] = [:]
        for key in table.shape.keys where !key.isUnique {
            firstColumn[quoteIdentifier(key.name)] = key.parts.first?.column
        }
        return Set(
            text.items.filter { item in
                let tokens = DefinitionToken.parse(item)
                guard tokens.first?.word == "KEY", tokens.count > 1 else { return false }
                guard let column = firstColumn[tokens[1].text] else { return true }
                return !needed.contains(column)
            })
    }

    /// Indexes that tables of this subtask lack on the target, as definitions.
    func lackedIndexes(_ plan: SnapshotPlan, _ owned: [TableName: String]) throws
        -> [TableName: [String]]
    {
        let (_, target) = try connections()
        let tables = plan.tables.filter { owned[$0.name] != nil }
        let there = try SchemaReader(target).shapes(of: tables.map(\.target))
        try target.execute("COMMIT")
        var out: [TableName: [String]] = [:]
        for table in tables {
            guard let definition = owned[table.name], let shape = there[table.target] else {
                continue
            }
            // A table that was emptied and not made anew is recorded as it was created once: what the
            // source has dropped of it since is lacked by nobody.
            let lacked = Set(table.shape.keys.map(\.name)).subtracting(shape.keys.map(\.name))
            let names = Set(lacked.map { quoteIdentifier($0) })
            let lacking = try adapted(definition, table).items.filter { item in
                let tokens = DefinitionToken.parse(item)
                return tokens.first?.word == "KEY" && tokens.count > 1
                    && names.contains(tokens[1].text)
            }
            if !lacking.isEmpty { out[table.name] = lacking }
        }
        return out
    }

    func definitionAdapter() throws -> DefinitionAdapter {
        if let adapter { return adapter }
        let (source, target) = try connections()
        let isNamedByCharset =
            target.family == .mariadb && target.serverVersion.isAtLeast(10, 10)
        let names = try target.rows(
            isNamedByCharset
                ? "SELECT FULL_COLLATION_NAME FROM "
                    + "information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
                : "SELECT COLLATION_NAME FROM information_schema.COLLATIONS")
        try target.execute("COMMIT")
        let made = DefinitionAdapter(
            from: source.family, to: target.serverVersion,
            collations: Set(names.compactMap { $0[0]?.lowercased() }))
        adapter = made
        return made
    }

    /// Tables of this subtask whose definition on the source is not the one that they were created
    /// by.
    func changed(_ owned: [TableName: String]) throws -> [TableName] {
        let (source, _) = try connections()
        return try owned.keys.sorted().filter { name in
            let now: String
            do {
                now = try definition(name, source)
            } catch SnapshotError.tableMissing {
                return false
            }
            return withoutCounter(withoutSecrets(now)) != withoutCounter(owned[name]!)
        }
    }

    /// Drops tables that this subtask created, by their names on the target.
    func drop(_ tables: [TableName]) throws {
        let (_, target) = try connections()
        try applyDDLSettings(target, from: source?.family)
        for table in tables { try target.execute("DROP TABLE IF EXISTS \(table.quoted)") }
    }

    /// A definition without AUTO_INCREMENT's counter, which moves with every insert.
    private func withoutCounter(_ definition: String) -> String {
        guard let text = CreateTableText(definition) else { return definition }
        var words = text.options.split(separator: " ", omittingEmptySubsequences: false)
        words.removeAll { $0.hasPrefix("AUTO_INCREMENT=") }
        return text.items.joined(separator: ",") + words.joined(separator: " ")
    }

    /// Empties tables, by their names on the target, by fenced DELETEs: a copy that starts over.
    ///
    /// - Throws: also when another source of the task turns out to write to one; its rows stay.
    func empty(_ tables: [TableName], _ mapping: TableMapping) throws {
        let (_, target) = try connections()
        try target.execute("SET SESSION foreign_key_checks=0")
        let others = others(mapping)
        for table in tables {
            var deleted: UInt64 = 0
            repeat {
                try target.execute("START TRANSACTION")
                do {
                    try fence?.run(target, done: [])
                    deleted = try target.execute("DELETE FROM \(table.quoted) LIMIT 50000")
                    if mapping.mayBeShared(target: table) {
                        // A row that was deleted was committed, and so was what tells whose it is.
                        guard try !others.write(to: table, target, isCurrent: true) else {
                            try target.execute("ROLLBACK")
                            throw SharedTarget.refusal(
                                table, "must start over", meta: configuration.meta)
                        }
                    }
                    try target.execute("COMMIT")
                } catch let error as MySQLError where error.code == MySQLErrorCode.noSuchTable {
                    try target.execute("ROLLBACK")
                    deleted = 0
                }
            } while deleted > 0
        }
    }

    private func check(
        _ there: TableShape, _ planned: PlannedTable, _ target: Connection
    ) throws {
        for column in planned.route.extracted where there.columnIndex(column.name) == nil {
            throw SnapshotError.targetExists(
                there.name, detail: "without the column \(column.name), which a route fills")
        }
        let isEmpty = try target.rows("SELECT 1 FROM \(there.name.quoted) LIMIT 1").isEmpty
        try target.execute("COMMIT")
        guard !configuration.intoExisting else { return }
        guard isEmpty || configuration.sharesTargets else {
            throw SnapshotError.targetExists(there.name, detail: "and holds rows")
        }
        if let difference = difference(there, planned, target) {
            throw SnapshotError.targetExists(
                there.name, detail: "empty, but \(difference)")
        }
    }

    private func difference(
        _ there: TableShape, _ planned: PlannedTable, _ target: Connection
    ) -> String? {
        let (wanted, constants) = (planned.shape, planned.route.extracted)
        return source?.family == target.family && constants.isEmpty
            ? exactDifference(there, wanted)
            : names(there, wanted, constants)
                ?? ShapeDifference.first(wanted, there, filled: constants.map(\.name))
    }

    /// Those of some tables whose shape on the target is not what the source's is now.
    ///
    /// - Parameters:
    ///   - owned: tables that this subtask has created.
    ///   - mark: tables as they are at the mark, where the target has what the stream made of them.
    /// - Throws: ``SnapshotError/targetExists(_:detail:)`` for one that can't be created here, and
    ///   whose foreign keys are others now: statements on it that lie before the copy are not
    ///   repeated, and what a key does to rows no binlog tells.
    func outdated(
        _ plan: SnapshotPlan, _ tables: Set<TableName>, owned: Set<TableName>, at mark: [TableShape]
    ) throws -> [TableName] {
        let (_, target) = try connections()
        let planned = plan.tables.filter { tables.contains($0.name) }
        let there = try SchemaReader(target).shapes(of: planned.map(\.target))
        try target.execute("COMMIT")
        let before = Dictionary(mark.map { ($0.name, $0) }, uniquingKeysWith: { a, _ in a })
        func keys(_ shapes: [TableShape]) throws -> Set<ForeignKeyShape> {
            Set(
                try shapes.flatMap(\.foreignKeys).map {
                    plain($0, try plan.mapping.target(of: $0.parent))
                })
        }
        var found: [TableName] = []
        for table in planned {
            guard let shape = there[table.target] else { continue }
            // One with columns that routes fill is made by its users, and can't be made here; what
            // others write to must not be.
            let isFilled = !table.route.extracted.isEmpty
            let isFixed = isFilled || plan.mapping.mayBeShared(target: table.target)
            if !isFilled, difference(shape, table, target) != nil {
                found.append(table.name)
                continue
            }
            let group = plan.byTarget[table.target] ?? [table]
            let has = Set(shape.foreignKeys.map { plain($0, $0.parent) })
            let wanted = try keys(group.map(\.shape))
            // What it lacked when its copy began, somebody has left out who made it.
            let then = try keys(group.compactMap { before[$0.name] })
            let isKnown = before[table.name] != nil
            let added = isKnown ? try keys([table.shape]).subtracting(has).subtracting(then) : []
            // One that the source has no more refuses rows, or takes some along.
            let gone = has.intersection(then).subtracting(wanted)
            if isFixed {
                guard added.contains(where: Self.acts) || !gone.isEmpty else { continue }
                throw SnapshotError.targetExists(
                    table.target,
                    detail:
                        "\(table.name) must be copied again, and its foreign keys on the source "
                        + "have changed since it was followed: give it those of the source by hand")
            }
            let isOwn = group.contains { owned.contains($0.name) }
            if !added.isEmpty || !gone.isEmpty || isOwn && !has.isSubset(of: wanted)
                || lacksNewKey(shape, table.shape, before[table.name])
            {
                found.append(table.name)
            }
        }
        return found.sorted()
    }

    private static func acts(_ key: ForeignKeyShape) -> Bool {
        key.onDelete.changesChildren || key.onUpdate.changesChildren
    }

    /// Whether the source has got a key since the mark that the target does not have: others may
    /// refer to it.
    private func lacksNewKey(
        _ there: TableShape, _ wanted: TableShape, _ before: TableShape?
    ) -> Bool {
        guard let before else { return false }
        return wanted.keys.contains { key in
            !before.keys.contains { $0.parts == key.parts }
                && !there.keys.contains { $0.parts == key.parts }
        }
    }

    /// A foreign key without its name, which servers give, and what they write in more than one way.
    private func plain(_ key: ForeignKeyShape, _ parent: TableName) -> ForeignKeyShape {
        func action(_ action: ForeignKeyShape.Action) -> ForeignKeyShape.Action {
            action.changesChildren ? action : .restrict
        }
        return ForeignKeyShape(
            name: "", columns: key.columns.map { $0.lowercased() },
            parent: TableName(schema: parent.schema.lowercased(), name: parent.name.lowercased()),
            parentColumns: key.parentColumns.map { $0.lowercased() },
            onDelete: action(key.onDelete), onUpdate: action(key.onUpdate))
    }

    private func names(
        _ there: TableShape, _ wanted: TableShape, _ constants: [ConstantColumn]
    ) -> String? {
        let added = Set(constants.map { $0.name.lowercased() })
        let a = there.columns.filter { $0.generation == nil }.map { $0.name.lowercased() }
            .filter { !added.contains($0) }
        let b = wanted.columns.filter { $0.generation == nil }.map { $0.name.lowercased() }
        return a == b ? nil : "its columns are others than the source's"
    }

    private func exactDifference(_ there: TableShape, _ wanted: TableShape) -> String? {
        if there.columns.count != wanted.columns.count { return "it has other columns" }
        for (a, b) in zip(there.columns, wanted.columns) where a != b {
            return "its column \(a.name) differs from the source's \(b.name)"
        }
        let unique = (there.keys.filter(\.isUnique), wanted.keys.filter(\.isUnique))
        return Set(unique.0) == Set(unique.1) ? nil : "its unique keys differ"
    }

    func definition(_ name: TableName, _ source: Connection) throws -> String {
        do {
            let row = try source.rows("SHOW CREATE TABLE \(name.quoted)").first
            guard let text = row?[1] else { throw SnapshotError.tableMissing(name) }
            return text
        } catch let error as MySQLError where error.code == MySQLErrorCode.noSuchTable {
            throw SnapshotError.tableMissing(name)
        }
    }

    /// Databases of the selection without tables of it come along: the statements that make some
    /// in them later say nothing of the database.
    private func createOtherDatabases(
        _ plan: SnapshotPlan, _ source: Connection, _ target: Connection
    ) throws {
        let begun = Set(plan.tables.map(\.name.schema))
        for schema in try SchemaReader(source).schemas()
        where plan.mapping.mayHold(schema: schema) && !begun.contains(schema) {
            guard let name = try? plan.mapping.target(ofSchema: schema) else { continue }
            do {
                try createDatabase(schema, as: name, source, target)
            } catch let error as MySQLError where error.code == MySQLErrorCode.databaseDenied {
                // A pattern of the selection reaches farther than the user's rights.
                continue
            } catch SnapshotError.unsupported {
                // Nothing need ever come to it; a table that does is refused by name.
                continue
            }
        }
    }

    /// Creates a database of the source, under a name on the target, unless it is there.
    func createDatabase(
        _ schema: String, as name: String, _ source: Connection, _ target: Connection
    ) throws {
        let exists = try target.rows(
            "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME=\(utf8Literal(name))")
        try target.execute("COMMIT")
        guard exists.isEmpty else { return }
        let row =
            try source.firstRow(
                "SELECT * FROM information_schema.SCHEMATA "
                    + "WHERE SCHEMA_NAME=\(utf8Literal(schema))") ?? [:]
        var defaults = ""
        if let charset = row["DEFAULT_CHARACTER_SET_NAME"] ?? nil,
            let collation = row["DEFAULT_COLLATION_NAME"] ?? nil
        {
            guard let known = try definitionAdapter().collation(collation) else {
                throw SnapshotError.unsupported(
                    object: "database \(schema)",
                    detail: "the target has no collation \(collation); create the database there "
                        + "with one that suits")
            }
            defaults = " CHARACTER SET \(charset) COLLATE \(known)"
        }
        // MariaDB alone has comments of databases (10.5), MySQL alone a default of encryption (8).
        if let comment = row["SCHEMA_COMMENT"] ?? nil, !comment.isEmpty,
            target.family == .mariadb, target.serverVersion.isAtLeast(10, 5)
        {
            defaults += " COMMENT \(utf8Literal(comment))"
        }
        if row["DEFAULT_ENCRYPTION"] == "YES", target.family == .mysql,
            target.serverVersion.isAtLeast(8)
        {
            defaults += " ENCRYPTION 'Y'"
        }
        try target.execute("CREATE DATABASE IF NOT EXISTS \(quoteIdentifier(name))\(defaults)")
    }

    func connections() throws -> (source: Connection, target: Connection) {
        guard let source, let session else { throw CancellationError() }
        return (source, session.connection)
    }
}
