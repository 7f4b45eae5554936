internal import Checkpoint
internal import DumpFiles
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

// Tables of a dump that a task's routes lead to other names: the files keep the names that they have,
// and everything that is told of the target has its own.

extension LoadPlan.Table {
    /// Gives files the columns that rows have whose INSERT names none, where that is known: each
    /// table has its own order of them.
    mutating func nameColumns(_ context: SyntaxContext) {
        var known: [TableName: [String]] = [:]
        for (source, create) in [(source, create)] + merged.map({ ($0.source, $0.create) }) {
            let shape = create.flatMap { ExistingTable.shape($0, name, defaults: nil, context) }
            known[source] = (shape?.columns ?? []).filter { !$0.isInvisible }.map(\.name)
        }
        for i in rows.indices { rows[i].columns = known[rows[i].source] ?? [] }
    }
}

extension LoadPlan {
    /// Gives tables and databases the names that routes lead to. What has a text that names tables
    /// is left out where its own name, or its table's, becomes another one, as in a copy.
    ///
    /// - Throws: ``SnapshotError/unsupported(object:detail:)``, `RuleError`, `DumpFileError`; before
    ///   anything is touched.
    mutating func route(by selection: ObjectSelection, _ context: SyntaxContext) throws {
        guard selection.movesTables else { return }
        let path = directory.path
        func target(_ name: TableName) throws -> Route {
            guard !selection.isOpen(routeOf: name) else {
                throw DumpFileError(
                    "where \(name) goes depends on whether case counts in names, which the source's "
                        + "server says, and a load does not ask: write names in the routes as the "
                        + "files have them, and set \"case-sensitive: true\"", file: path)
            }
            return try selection.route(of: name)
        }
        for i in tables.indices {
            let table = tables[i]
            let route = try target(table.source)
            tables[i].name = route.target
            tables[i].filled = route.extracted.map(\.name)
            for j in tables[i].rows.indices { tables[i].rows[j].filled = route.extracted }
            if table.isSequence {
                guard route.target == table.source, route.extracted.isEmpty else {
                    throw SnapshotError.unsupported(
                        object: "sequence \(table.source)",
                        detail: "a route leads it to \(route.target), and defaults of tables name "
                            + "it: leave it out, or out of the route")
                }
            } else if let create = table.create {
                tables[i].create = try Self.renamed(
                    create, table.source, to: route.target, context
                ) { try target($0).target }
            }
        }
        objects = objects.filter { object in
            selection.stays(object.name) && object.table.map { selection.stays($0) } != false
        }
        try merge(context)
        try requireNoViews()
        var databases: [Database] = []
        func add(_ name: String, as schema: String) {
            guard !databases.contains(where: { $0.name == name }),
                let source = schemas.first(where: { $0.name == schema })
            else { return }
            databases.append(Database(name: name, source: source))
        }
        for table in tables { add(table.name.schema, as: table.source.schema) }
        for object in objects { add(object.name.schema, as: object.name.schema) }
        let led = Set(tables.flatMap(\.sources).map(\.schema))
        for schema in schemas where !led.contains(schema.name) {
            add(try selection.route(schema: schema.name), as: schema.name)
        }
        self.databases = databases
    }

    /// Tables that routes lead to one become one, which has the files of all. It is made as the
    /// first of them by name, as in a copy, and the others must have its columns.
    ///
    /// - Throws: ``SnapshotError/unsupported(object:detail:)``.
    private mutating func merge(_ context: SyntaxContext) throws {
        let groups = Dictionary(grouping: tables, by: \.name)
        guard groups.count < tables.count else { return }
        var out: [Table] = []
        for name in groups.keys.sorted() {
            var all = (groups[name] ?? []).sorted { $0.source < $1.source }
            var first = all.removeFirst()
            for other in all {
                func refuse(_ why: String) -> SnapshotError {
                    .unsupported(
                        object: "table \(other.source)",
                        detail: "it is to be merged with \(first.source) into \(name), and \(why)")
                }
                guard let one = first.create, let create = other.create,
                    let shape = ExistingTable.shape(one, name, defaults: nil, context),
                    let same = ExistingTable.shape(create, name, defaults: nil, context)
                else {
                    throw refuse(
                        "the dump does not define both, so that their columns can't be compared: "
                            + "add their files \"-schema.sql\", or leave one out")
                }
                if let why = ShapeDifference.ofColumns(same, shape, mayBeWider: true) {
                    throw refuse("its column \(why)")
                }
                guard Set(first.filled) == Set(other.filled) else {
                    throw refuse("their routes fill other columns")
                }
                first.merged.append(Member(source: other.source, create: create))
                first.rows += other.rows
            }
            out.append(first)
        }
        tables = out
    }

    private func requireNoViews() throws {
        let views = Set(objects.filter { $0.kind == .view }.map(\.name))
        guard let table = tables.first(where: { views.contains($0.name) }) else { return }
        throw SnapshotError.unsupported(
            object: "table \(table.name)",
            detail: "a route leads \(table.source) there, and the dump has a view of this "
                + "name: leave one of them out")
    }

    /// A table's definition with the names of the target: its own and those of parents.
    private static func renamed(
        _ create: DumpStatement, _ source: TableName, to name: TableName,
        _ context: SyntaxContext, _ target: (TableName) throws -> TableName
    ) throws -> DumpStatement {
        var context = context
        context.sqlMode = create.settings.mode
        context.defaultSchema = source.schema
        var out = create
        if let statement = try? parseStatement(create.text, context: context),
            case .createTable? = statement.ddl
        {
            var names: [TableName: TableName] = [:]
            for reference in statement.tables where !reference.name.schema.isEmpty {
                names[reference.name] = try target(reference.name)
            }
            let text = statement.rewritten(renaming: { names[$0] ?? $0 }, defaultSchema: nil)
            if let object = CreatedObject(text, context), object.kind == .table,
                object.schema == name.schema, object.name == name.name
            {
                out.text = String(decoding: text, as: UTF8.self)
                out.object = object
                return out
            }
        }
        throw SnapshotError.unsupported(
            object: "table \(source)",
            detail: "its definition in the dump is not understood, so that it can't be given the "
                + "name \(name): leave it out of the task, or the routes out")
    }

    /// A database's definition with its name on the target.
    func renamed(
        _ create: DumpStatement, _ database: Database, _ context: SyntaxContext
    ) throws -> DumpStatement {
        guard database.name != database.source.name else { return create }
        var context = context
        context.sqlMode = create.settings.mode
        var out = create
        if let statement = try? parseStatement(create.text, context: context) {
            let text = statement.rewritten(
                renaming: { $0 }, defaultSchema: nil, renamingSchema: { _ in database.name })
            if let object = CreatedObject(text, context), object.kind == .database,
                object.name == database.name
            {
                out.text = String(decoding: text, as: UTF8.self)
                out.object = object
                return out
            }
        }
        throw SnapshotError.unsupported(
            object: "database \(database.source.name)",
            detail: "its definition in the dump is not understood, so that it can't be given the "
                + "name \(database.name): create that one on the target")
    }

    /// What a file's record says of the columns that a route fills.
    static func recorded(_ filled: [ConstantColumn]) -> [String] {
        filled.flatMap { [$0.name, $0.value] }
    }

    /// Makes sure that what earlier runs have recorded of a table is of the files that it has now:
    /// a route that was changed since may have led another one of the dump there.
    ///
    /// - Throws: ``SnapshotError/unsupported(object:detail:)``.
    func requireSameFiles(_ records: [ChunkRecord], _ objects: [StoredObject]) throws {
        let byName = Dictionary(tables.map { ($0.name, $0) }) { first, _ in first }
        func refuse(_ table: Table) throws {
            let sources = table.sources.map(\.description).joined(separator: ", ")
            throw SnapshotError.unsupported(
                object: "table \(table.name)",
                detail: "this load has begun it by other routes or rules, with other tables of the "
                    + "dump than \(sources), or with other values in the columns that they fill: "
                    + "drop it on the target and load by a task of another name, or give the "
                    + "routes and rules back")
        }
        for record in records {
            guard let table = byName[record.table], let from = record.from else { continue }
            let i = record.chunk - 1
            guard table.rows.indices.contains(i), table.rows[i].name.text == from.first,
                Array(from.dropFirst(2)) == Self.recorded(table.rows[i].filled)
            else {
                try refuse(table)
                continue
            }
        }
        for object in objects where object.kind == .table {
            guard let table = byName[object.name] else { continue }
            let file = object.definition.drop { $0 < 2 }
            guard Array(file) == Array((table.definition?.text ?? "").utf8) else {
                try refuse(table)
                continue
            }
        }
    }
}
