internal import Checkpoint
internal import DumpFiles
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

/// Creates what a load needs on the target, and decides what is left to do. Used by one thread.
struct LoadSchema {
    let plan: LoadPlan
    let key: SubtaskKey
    let meta: MetaSchema
    let session: TargetSession
    let ddl: TargetSession
    let coordinator: Coordinator
    let context: SyntaxContext
    let progress: TransferProgress
    /// The coordinator's session, for as long as the other one's answers take.
    let idle: IdleSession

    /// What lanes are to do.
    struct Prepared {
        var jobs: [LoadJob]
        /// Tables with TIMESTAMP columns.
        var zoned: Set<TableName>
        /// Whether nothing is left to be loaded or created, if the last run has come to its end.
        var isComplete: Bool
    }

    private var ledger: CopyLedger { CopyLedger(meta: meta, key: key) }
    private var stored: StoredObjects { StoredObjects(meta: meta, key: key) }
    var target: Connection { ddl.connection }

    /// Keeps the run's sessions open.
    func keepAlive() throws {
        try coordinator.beat()
        try target.ping()
    }

    /// Creates databases and tables, after a look at everything that could stop the load later.
    func prepare() throws -> Prepared {
        let records = try ledger.chunks(session.connection)
        let objects = try stored.read(session.connection)
        var begun = Dictionary(grouping: records, by: \.table)
        var tables = OwnTables(objects)
        try plan.requireSameFiles(records, objects)
        try requireFree(objects)
        try target.execute("SET NAMES utf8mb4")
        try applyDDLSettings(target, from: nil)
        // A note is how the server says that a table was there.
        try target.execute("SET SESSION sql_notes=1, max_error_count=65535")
        try createSchemas()
        var shared = try sharing()
        var there = try look(&begun, tables, &shared)
        // Another load may have looked at the same moment, and seen the same.
        if try claim() {
            shared = try sharing()
            there = try look(&begun, tables, &shared)
        }
        // What earlier runs may have left rows in; any other table was seen to have none.
        let own = there.filter { begun[$0]?.isEmpty == false }
        // Before it has rows: a try that is killed must not take them for another's.
        let adopted = plan.tables.filter { there.contains($0.name) && tables.isUnsettled($0.name) }
        try stored.write(
            adopted.map { stored.storeStatement(OwnTables.record($0, isMade: true)) },
            by: coordinator)
        let missing = plan.tables.filter { !there.contains($0.name) }
        try createTables(missing)
        tables.made.formUnion((adopted + missing).map(\.name))
        let now = try shapes()
        let lasting = try startOver(begun, now, own: own)
        var prepared = jobs(
            begun, now, lasting, made: tables.made, shared: Set(shared.keys))
        let recorded = Set(objects.map(Self.identity))
        prepared.isComplete =
            prepared.isComplete && missing.isEmpty
            && plan.objects.allSatisfy { recorded.contains(Self.identity($0)) }
        return prepared
    }

    /// Looks at the tables that the target has.
    ///
    /// - Parameter begun: records of what was loaded; those of tables that are gone are forgotten.
    /// - Returns: tables that are there, and may be loaded into.
    private func look(
        _ begun: inout [TableName: [ChunkRecord]], _ own: OwnTables,
        _ shared: inout [TableName: TableClaims.Sharing]
    ) throws -> Set<TableName> {
        var there: Set<TableName> = []
        let shapes = try self.shapes()
        let safe = try transactionalEngines()
        for table in plan.tables {
            // A server may end sessions that are idle for as long as this takes.
            try session.connection.ping()
            let isSafe = safe.contains(shapes[table.name]?.engine?.lowercased() ?? "")
            if let sharing = shared[table.name] {
                // Before the claim nothing is known of its rows.
                guard sharing.isJoined else { continue }
                there.insert(table.name)
                try look(
                    table, shapes[table.name], begun[table.name] ?? [], own, isSafe: isSafe,
                    sharing)
            } else if let shape = shapes[table.name] {
                let records = begun[table.name] ?? []
                do {
                    try look(table, shape, records, own, isSafe: isSafe)
                    there.insert(table.name)
                } catch let error as SnapshotError {
                    // Another source may have begun it since that was asked for.
                    guard let sharing = try sharing(of: table) else { throw error }
                    shared[table.name] = sharing
                    guard sharing.isJoined else { continue }
                    there.insert(table.name)
                    try look(table, shape, records, own, isSafe: isSafe, sharing)
                }
            } else if try isThere(table, begun[table.name] ?? [], own) {
                there.insert(table.name)
            } else if begun[table.name] != nil {
                // It was dropped, with what was loaded.
                try forget(table, isBegun: false)
                begun[table.name] = nil
            }
        }
        return there
    }

    /// Looks at a table that is there.
    ///
    /// - Parameter records: what was loaded into it.
    /// - Parameter isSafe: whether its engine has transactions.
    private func look(
        _ table: LoadPlan.Table, _ shape: TableShape, _ records: [ChunkRecord], _ own: OwnTables,
        isSafe: Bool
    ) throws {
        if records.contains(where: { $0.rows > 0 }) { return try requireRows(table.name) }
        let isWhole = records.count { Self.isDone($0) } == table.rows.count
        // Nothing more is written to it: what it has now was written behind the load.
        if isWhole, own.made.contains(table.name) || !records.isEmpty { return }
        // Rows behind the first record may be a killed run's: all are deleted before it is loaded.
        if !isSafe, !records.isEmpty { return }
        if own.isSurelyMade(table.name) {
            // No row comes before a record: without the one, the other is somebody else's.
            try requireEmpty(table.name)
        } else {
            try check(table, shape)
        }
    }

    /// Whether the target has something of the name that tells no shape: a sequence, or a table
    /// that the server keeps under another name, or that comes at this moment.
    ///
    /// - Parameter records: what was loaded into it.
    private func isThere(
        _ table: LoadPlan.Table, _ records: [ChunkRecord], _ own: OwnTables
    ) throws -> Bool {
        let isOwn = own.made.contains(table.name) || own.isIntended(table.name)
        guard table.isSequence || isOwn, try exists(table.name) else { return false }
        if table.isSequence {
            // It has no rows that could be doubled: its own one is replaced.
            if own.made.contains(table.name) { return true }
            // One that was about to be made is as new, unless it is another's.
            if own.isIntended(table.name), try isFresh(sequence: table.name) { return true }
            throw SnapshotError.unsupported(
                object: "sequence \(table.name)",
                detail: "the target has it; drop it there, or leave it out (--exclude)")
        }
        let isWhole = records.count { Self.isDone($0) } == table.rows.count
        if try isWhole && own.made.contains(table.name) || isEmpty(table.name) { return true }
        // Another's would be emptied, or get rows twice.
        throw SnapshotError.unsupported(
            object: "table \(table.name)",
            detail: "the target has something of this name, with rows, that is no table of this "
                + "load's as far as can be told; drop it there, or leave it out (--exclude)")
    }

    private func isFresh(sequence: TableName) throws -> Bool {
        let rows = try target.rows(
            "SELECT next_not_cached_value=start_value AND cycle_count=0 FROM \(sequence.quoted)")
        try target.execute("COMMIT")
        return rows.allSatisfy { $0[0] == "1" }
    }

    func isEmpty(_ table: TableName) throws -> Bool {
        var rows: [[String?]] = []
        do throws(MySQLError) {
            rows = try target.rows("SELECT 1 FROM \(table.quoted) LIMIT 1")
        } catch {
            let isAbsent =
                error.code == MySQLErrorCode.noSuchTable
                || error.code == MySQLErrorCode.unknownDatabase
            guard isAbsent else { throw error }
        }
        try target.execute("COMMIT")
        return rows.isEmpty
    }

    /// Records that something is under way.
    func begin() throws { try coordinator.setPhase(LoadEngine.openPhase) }

    // MARK: Databases and tables

    private func createSchemas() throws {
        for database in plan.databases {
            let schema = database.source
            let exists = try target.rows(
                "SELECT 1 FROM information_schema.SCHEMATA "
                    + "WHERE SCHEMA_NAME=\(utf8Literal(database.name))")
            try target.execute("COMMIT")
            guard exists.isEmpty else { continue }
            guard let file = schema.definition else {
                throw DumpFileError(
                    "the dump does not create the database \(database.name), and the target has "
                        + "none: create it there", file: plan.directory.path)
            }
            let statements = try plan.directory.statements(of: file, context)
                .filter { !$0.object.isDrop }
            guard statements.count == 1, let create = statements.first,
                create.object.kind == .database, create.object.name == schema.name
            else {
                throw DumpFileError(
                    "it is expected to create the database \(schema.name), and nothing else",
                    file: file.text)
            }
            let renamed = try plan.renamed(create, database, context)
            try run(renamed, "database \(database.name)", existing: 1007)
        }
    }

    private func createTables(_ tables: [LoadPlan.Table]) throws {
        for table in tables {
            guard let column = table.filled.first else { continue }
            throw SnapshotError.unsupported(
                object: "table \(table.name)",
                detail: "a route fills its column \(column), which the dump's table has not: "
                    + "create it on the target, with that column")
        }
        for table in tables where table.create == nil || table.definition == nil {
            throw DumpFileError(
                "the dump does not create the table \(table.name), and the target has none: "
                    + "create it there", file: plan.directory.path)
        }
        for table in tables {
            guard let create = table.create else { continue }
            try target.execute("USE \(quoteIdentifier(table.name.schema))")
            // Right before it is made: what comes to have the name of one that this load does not
            // get to is not its own.
            try stored.write(
                [stored.storeStatement(OwnTables.record(table, isMade: false))], by: coordinator)
            var isMade = false
            do {
                isMade = try run(create, "table \(table.name)", existing: 1050)
            } catch let refusal as SnapshotError {
                try stored.write([stored.removeStatement(.table, table.name)], by: coordinator)
                throw refusal
            }
            guard isMade else {
                try stored.write([stored.removeStatement(.table, table.name)], by: coordinator)
                if let other = try sharing(of: table)?.others.first {
                    throw UndecidedTable(table: table.name, load: other)
                }
                throw SnapshotError.unsupported(
                    object: "table \(table.name)",
                    detail: "the target has a table or view of this name that this load has not "
                        + "made; drop it there, or leave it out (--exclude)")
            }
            // Before it has rows: those of one that is there and not known to be made are others'.
            try stored.write(
                [stored.storeStatement(OwnTables.record(table, isMade: true))], by: coordinator)
        }
    }

    /// Runs a definition. Its text is as servers show it, in UTF-8, whatever charset its file has
    /// for values.
    ///
    /// - Parameter existing: the error that says that it is there. No statement of an earlier run is
    ///   on its way: this one holds the load's DDL lock.
    /// - Returns: false where it is there, and so was not made.
    @discardableResult
    private func run(
        _ create: DumpStatement, _ what: String, existing: UInt32
    ) throws -> Bool {
        let charset = create.settings.charset == "binary" ? "utf8mb4" : create.settings.charset
        try target.execute("SET NAMES \(quoteIdentifier(charset))")
        try applyDDLSettings(target, from: nil)
        var modes = ""
        if create.settings.mode.contains(.ansiQuotes) { modes += ",ANSI_QUOTES" }
        if create.settings.mode.contains(.noBackslashEscapes) { modes += ",NO_BACKSLASH_ESCAPES" }
        if !modes.isEmpty {
            try target.execute("SET SESSION sql_mode=CONCAT(@@SESSION.sql_mode, '\(modes)')")
        }
        do throws(MySQLError) {
            // Others may hold locks of its name.
            _ = try idle.during { () throws(MySQLError) -> UInt64 in
                try target.execute(create.text)
            }
        } catch {
            if error.code == existing { return false }
            guard error.retry == .no else { throw error }
            throw SnapshotError.unsupported(
                object: what, detail: "the target refuses its definition: \(error.message)")
        }
        // With IF NOT EXISTS, as later versions of mydumper have it, that is a note alone.
        let notes = try target.rows("SHOW WARNINGS")
        return !notes.contains { $0.count > 1 && $0[1] == String(existing) }
    }

    /// Whether a table that was there may be used.
    private func check(_ table: LoadPlan.Table, _ shape: TableShape) throws {
        try requireEmpty(table.name)
        try checkDefinition(table, shape, isShared: false)
    }

    func checkDefinition(
        _ table: LoadPlan.Table, _ shape: TableShape, isShared: Bool
    ) throws {
        let triggers = try target.rows(
            "SELECT 1 FROM information_schema.TRIGGERS "
                + "WHERE EVENT_OBJECT_SCHEMA=\(utf8Literal(table.name.schema)) "
                + "AND EVENT_OBJECT_TABLE=\(utf8Literal(table.name.name)) LIMIT 1")
        try target.execute("COMMIT")
        guard triggers.isEmpty else {
            throw SnapshotError.unsupported(
                object: "table \(table.name)",
                detail: "the target has it, with triggers that would act on loaded rows; drop "
                    + "them, or the table")
        }
        let creates = [table.create].compactMap { $0 } + table.merged.map(\.create)
        guard !creates.isEmpty else { return }
        let all = try SchemaReader(target).defaults()
        let schema = table.name.schema
        let same = all.keys.first { $0.lowercased() == schema.lowercased() }
        let defaults = all[schema] ?? same.flatMap { all[$0] }
        try target.execute("COMMIT")
        for create in creates {
            guard
                let why = ExistingTable.difference(
                    shape, create, defaults: defaults, filled: table.filled,
                    isMerged: isShared || !table.merged.isEmpty, context)
            else { continue }
            throw SnapshotError.unsupported(
                object: "table \(table.name)",
                detail: isShared
                    ? "another source of the task has loaded it, and it has other columns than "
                        + "this dump's (\(why))"
                    : "the target has it, empty, but with other columns than the dump's "
                        + "(\(why)); drop it there")
        }
    }

    private func requireEmpty(_ table: TableName) throws {
        let rows = try target.rows("SELECT 1 FROM \(table.quoted) LIMIT 1")
        try target.execute("COMMIT")
        guard rows.isEmpty else {
            throw SnapshotError.unsupported(
                object: "table \(table)",
                detail: "the target has it, with rows that this load did not write; drop or empty "
                    + "it there, or leave it out (--exclude)")
        }
    }

    /// What was loaded must be there, or somebody has emptied the table, or made it anew.
    private func requireRows(_ table: TableName) throws {
        let rows = try target.rows("SELECT 1 FROM \(table.quoted) LIMIT 1")
        try target.execute("COMMIT")
        guard rows.isEmpty else { return }
        throw SnapshotError.unsupported(
            object: "table \(table)",
            detail: "this load has written rows to it, and it has none now; drop it there, and it "
                + "is loaded again")
    }

    private func exists(_ table: TableName) throws -> Bool {
        let found = try target.rows(
            "SELECT 1 FROM information_schema.TABLES "
                + "WHERE TABLE_SCHEMA=\(utf8Literal(table.schema)) "
                + "AND TABLE_NAME=\(utf8Literal(table.name)) AND TABLE_TYPE<>'VIEW'")
        try target.execute("COMMIT")
        return !found.isEmpty
    }

    // MARK: What is left

    /// Empties tables whose engine has no transactions and that are not whole: what a killed run
    /// has written of them is not known. It is forgotten before it is deleted, and that they are
    /// begun is recorded before they have rows: those of a killed run are none of somebody else's.
    ///
    /// - Parameter own: tables that killed runs may have written to. Nothing is deleted of others:
    ///   what they have come to hold since they were looked at is not this load's.
    /// - Returns: tables whose engine has transactions.
    private func startOver(
        _ begun: [TableName: [ChunkRecord]], _ shapes: [TableName: TableShape],
        own: Set<TableName>
    ) throws -> Set<TableName> {
        let safe = try transactionalEngines()
        var out: Set<TableName> = []
        for table in plan.tables {
            let engine = shapes[table.name]?.engine?.lowercased() ?? ""
            if safe.contains(engine) {
                out.insert(table.name)
                continue
            }
            let done = (begun[table.name] ?? []).filter { Self.isDone($0) }
            if done.count == table.rows.count { continue }
            // Writing a sequence's row replaces it.
            let isOwn = own.contains(table.name) && shapes[table.name] != nil
            if !isOwn, !table.isSequence { try requireEmpty(table.name) }
            // The transaction proves the run, and keeps the coordinator's session open.
            try forget(table, isBegun: true)
            guard isOwn, !table.isSequence else { continue }
            _ = try idle.during { try target.execute("DELETE FROM \(table.name.quoted)") }
            try target.execute("COMMIT")
        }
        return out
    }

    /// Names of engines, in lower case.
    private func transactionalEngines() throws -> Set<String> {
        let engines = try target.rows(
            "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS='YES'")
        try target.execute("COMMIT")
        return Set(engines.compactMap { $0[0]?.lowercased() })
    }

    /// Forgets what was loaded into a table.
    ///
    /// - Parameter isBegun: whether it is loaded from its first file now.
    private func forget(_ table: LoadPlan.Table, isBegun: Bool) throws {
        try coordinator.transaction { connection in
            try coordinator.update("phase='\(LoadEngine.openPhase)'", connection)
            try connection.execute(ledger.forgetStatement(table.name))
            guard isBegun, let file = table.rows.first else { return }
            let record = ChunkRecord(
                table: table.name, chunk: 1, snapshot: 0,
                from: [file.name.text, String(file.bytes)] + LoadPlan.recorded(file.filled),
                to: ["0", "part"], rows: 0)
            try connection.execute(ledger.progressStatement(record))
        }
    }

    static func isDone(_ record: ChunkRecord) -> Bool { record.to?.last == "done" }

    /// - Parameter made: tables that this load has created. In any other an ENUM's invalid member
    ///   could be what a value of the dump has become.
    private func jobs(
        _ begun: [TableName: [ChunkRecord]], _ shapes: [TableName: TableShape],
        _ safe: Set<TableName>, made: Set<TableName>, shared: Set<TableName>
    ) -> Prepared {
        var jobs: [LoadJob] = []
        var zoned: Set<TableName> = []
        for table in plan.tables {
            let columns = shapes[table.name]?.columns ?? []
            if columns.contains(where: { $0.type.kind == .timestamp }) { zoned.insert(table.name) }
            // Whoever has made the table: sources that share one may each have another order.
            let order = columns.filter { !$0.isInvisible }.map { $0.name.lowercased() }
            let records = begun[table.name] ?? []
            let all = Dictionary(records.map { ($0.chunk, $0) }) { first, _ in first }
            let isWhole =
                records.count { Self.isDone($0) } == table.rows.count
            for (i, file) in table.rows.enumerated() {
                var record = all[i + 1]
                // What was forgotten above begins again.
                if !safe.contains(table.name), !isWhole { record = nil }
                if let record, Self.isDone(record) { continue }
                jobs.append(
                    LoadJob(
                        table: table.name, file: file.name, bytes: file.bytes, number: i + 1,
                        begun: record?.to?.first.flatMap { UInt64($0) } ?? 0,
                        rows: record?.rows ?? 0, isTransactional: safe.contains(table.name),
                        enums: made.contains(table.name)
                            ? Set(columns.filter { $0.type.kind == .enum }.map(\.name)) : [],
                        source: file.source, filled: file.filled, columns: file.columns,
                        namesColumns: !table.merged.isEmpty || shared.contains(table.name)
                            || !file.columns.isEmpty
                                && file.columns.map { $0.lowercased() } != order,
                        unchanged: columns.first { $0.generation == nil }?.name))
            }
        }
        // Large ones first, so that no lane is left with one at the end.
        jobs.sort { ($1.bytes, $0.file) < ($0.bytes, $1.file) }
        return Prepared(jobs: jobs, zoned: zoned, isComplete: jobs.isEmpty)
    }

    // MARK: Views, routines, triggers, events

    private func record(_ object: LoadObject) -> StoredObject {
        StoredObject(
            kind: object.kind.stored, name: object.name, definition: Array(object.file.utf8))
    }

    /// Bytes, as servers tell names apart.
    private static func identity(_ object: StoredObject) -> [UInt8] {
        Array("\(object.kind.rawValue) \(object.name)".utf8)
    }

    private static func identity(_ object: LoadObject) -> [UInt8] {
        Array("\(object.kind.stored.rawValue) \(object.name)".utf8)
    }

    /// What the target has of the same name, and this load has not made, is in the way: better
    /// known before rows are loaded for hours.
    private func requireFree(_ objects: [StoredObject]) throws {
        let owned = Set(objects.map(Self.identity))
        for object in plan.objects where !owned.contains(Self.identity(object)) {
            try session.connection.ping()
            guard try object.exists(on: target) else { continue }
            throw SnapshotError.unsupported(
                object: "\(object.kind.rawValue) \(object.name)",
                detail: "the target has one of this name; drop it there, or leave it out "
                    + "(--exclude)")
        }
        try target.execute("COMMIT")
    }

    /// Creates them, each when what it needs is there. One that an earlier run has created is
    /// created again; what somebody else has made while rows were loaded stays, and ends the load.
    func createObjects() throws {
        // Tables may have left a charset or mode of their files behind.
        try target.execute("SET NAMES utf8mb4")
        try applyDDLSettings(target, from: nil)
        let recorded = try stored.read(session.connection)
        try requireFree(recorded)
        let owned = Set(recorded.map(Self.identity))
        let sorted = plan.objects.enumerated().sorted {
            ($0.element.kind.rank, $0.offset) < ($1.element.kind.rank, $1.offset)
        }.map(\.element)
        for object in sorted where owned.contains(Self.identity(object)) {
            try target.execute(
                "DROP \(object.kind.rawValue.uppercased()) IF EXISTS \(object.name.quoted)")
        }
        var left = sorted
        while !left.isEmpty {
            var postponed: [LoadObject] = []
            var first: MySQLError?
            for object in left {
                try session.connection.ping()
                let entry = record(object)
                try stored.write([stored.storeStatement(entry)], by: coordinator)
                do {
                    try idle.during { try object.create(on: target) }
                } catch let error as MySQLError {
                    if !error.isConnectionLost {
                        // It was not made: what comes to have its name is not this load's to drop.
                        try stored.write(
                            [stored.removeStatement(entry.kind, entry.name)], by: coordinator)
                    }
                    guard LoadObject.needsAnother.contains(error.code) else {
                        throw refused(object, error)
                    }
                    postponed.append(object)
                    if first == nil { first = error }
                }
            }
            guard postponed.count < left.count else {
                throw first.map { refused(postponed[0], $0) } ?? CancellationError()
            }
            left = postponed
        }
        try target.execute("SET SESSION time_zone='+00:00'")
    }

    private func refused(_ object: LoadObject, _ error: MySQLError) -> any Error {
        guard error.retry == .no else { return error }
        return SnapshotError.unsupported(
            object: "\(object.kind.rawValue) \(object.name) (\(object.file))",
            detail: "the target refuses its definition: \(error.message)")
    }

    /// Records that all is there.
    ///
    /// - Returns: rows of all files.
    func finish() throws -> UInt64 {
        try coordinator.setPhase(LoadEngine.completePhase)
        let chosen = Set(plan.tables.map(\.name))
        return try ledger.chunks(session.connection).reduce(0) {
            $0 + (chosen.contains($1.table) ? $1.rows : 0)
        }
    }
}
