internal import Checkpoint
internal import DumpFiles
internal import MySQLCore
internal import MySQLSyntax
internal import Rules

/// What is to be loaded: read from the directory alone, before any server is asked for more than
/// its version.
struct LoadPlan: Sendable {
    /// One table of the target.
    struct Table: Sendable {
        /// Its name on the target.
        var name: TableName
        /// The dump's table that it is made as; the first of those that meet in it.
        var source: TableName
        /// Names of columns that routes fill.
        var filled: [String] = []
        /// The file that creates it.
        var definition: DumpFileName?
        /// The statement in it.
        var create: DumpStatement?
        /// Files of rows, of all tables that meet in it.
        var rows: [File]
        /// The dump's other tables whose rows come here too.
        var merged: [Member] = []

        /// Whether other sources of the task may load the table, too.
        var mayBeShared = false

        /// The dump's tables whose rows come here.
        var sources: [TableName] { [source] + merged.map(\.source) }

        /// Whether it is a sequence of MariaDB's, which older versions of mydumper take for a table.
        var isSequence: Bool {
            guard let create else { return false }
            return create.object.kind == .sequence
                || CreateTableText(create.text)?.options.contains("SEQUENCE=1") == true
        }
    }

    /// Another table of the dump that meets the first one.
    struct Member: Sendable {
        /// Its name in the dump.
        var source: TableName
        /// The statement that would create it, by the target's name.
        var create: DumpStatement
    }

    /// A file of rows.
    struct File: Sendable {
        var name: DumpFileName
        var bytes: UInt64
        /// The table's name in the dump.
        var source: TableName
        /// Columns that a route fills, with their values.
        var filled: [ConstantColumn] = []
        /// Columns of rows whose INSERT names none; empty where that is not known.
        var columns: [String] = []
    }

    /// A database of the target.
    struct Database: Sendable {
        var name: String
        /// The dump's that it is made as.
        var source: DumpLayout.Schema
    }

    let directory: DumpDirectory
    let metadata: DumpMetadata
    let layout: DumpLayout
    /// Tables of the selection.
    var tables: [Table] = []
    /// Databases of the selection.
    private(set) var schemas: [DumpLayout.Schema] = []
    /// Databases that the target must have.
    var databases: [Database] = []
    /// Views, routines, triggers and events of the selection, in the order of their files.
    var objects: [LoadObject] = []
    /// What tells this dump from others.
    let fingerprint: String

    init(_ configuration: LoadConfiguration, _ context: SyntaxContext) throws {
        directory = DumpDirectory(path: configuration.directory)
        let names = try directory.names()
        metadata = try Self.metadata(directory, names)
        layout = try DumpLayout(files: names) { [directory] file in
            try directory.statements(of: file, context).last { !$0.object.isDrop }?.object.name
        }
        var sum = ["\(metadata)"]
        for name in names where DumpFileName(name) != nil {
            sum.append("\(name) \(try directory.size(name))")
        }
        fingerprint = String(
            hexLiteral(Digest.digest(text: sum.joined(separator: "\n"))).dropFirst(2).dropLast())
        try choose(configuration.selection, context)
        try requireSomething()
        databases = schemas.map { Database(name: $0.name, source: $0) }
        try route(by: configuration.selection, context)
        for i in tables.indices {
            tables[i].mayBeShared = configuration.selection.mayBeShared(target: tables[i].name)
            tables[i].nameColumns(context)
        }
    }

    /// A selection that names nothing of the dump is a slip: success would say that it is loaded.
    private func requireSomething() throws {
        guard tables.isEmpty, objects.isEmpty else { return }
        let filled = Set(layout.tables.keys.map { Array($0.schema.utf8) })
        let hasEmpty = schemas.contains {
            !filled.contains(Array($0.name.utf8)) && $0.routines.isEmpty && $0.triggers.isEmpty
        }
        guard !hasEmpty else { return }
        throw DumpFileError(
            layout.schemas.isEmpty
                ? "the dump holds nothing that can be loaded"
                : "the dump holds nothing of what is chosen (--tables, --exclude)",
            file: directory.path)
    }

    /// The load's rows of the meta schema.
    func key(_ configuration: LoadConfiguration) -> SubtaskKey {
        SubtaskKey(task: configuration.name, source: configuration.source ?? identity)
    }

    /// What the load's row says of the dump.
    var identity: String { "dump-\(fingerprint)" }

    /// A dump without it, or with one that does not say that it has ended, is not whole.
    private static func metadata(
        _ directory: DumpDirectory, _ names: [String]
    ) throws -> DumpMetadata {
        for name in DumpMetadata.unfinishedNames where names.contains(name) {
            throw DumpFileError(
                "the dump was never finished: \(name) is there; dump again", file: directory.path)
        }
        guard names.contains(DumpMetadata.fileName) else {
            throw DumpFileError(
                "there is no file \"\(DumpMetadata.fileName)\", which a dump ends with: it is not "
                    + "finished, or no dump", file: directory.path)
        }
        let metadata = try DumpMetadata(directory.text(DumpMetadata.fileName))
        guard metadata.finished != nil else {
            throw DumpFileError(
                "the dump was never finished: it does not say when; dump again",
                file: DumpMetadata.fileName)
        }
        return metadata
    }

    private mutating func choose(
        _ selection: ObjectSelection, _ context: SyntaxContext
    ) throws {
        let path = directory.path
        for name in layout.tables.keys.sorted() where selection.isOpen(name) {
            throw Self.open("\(name)", path)
        }
        for schema in layout.schemas where selection.isOpen(schema: schema.name) {
            throw Self.open("the database \(schema.name)", path)
        }
        for table in layout.tables.values.sorted(by: { $0.name < $1.name })
        where selection.selects(table.name) {
            if let view = table.view {
                if let rows = table.rows.first {
                    throw DumpFileError(
                        "it has rows of \(table.name), and \(view.text) says that that is a view",
                        file: rows.text)
                }
                objects += try objects(in: view, of: table.name.schema, context) { object in
                    object.kind == .view && object.name == table.name.name
                }
                continue
            }
            guard !table.rows.isEmpty || !metadata.saysFilled(table.name) else {
                throw DumpFileError(
                    "it says that \(table.name) has rows, and no file has any: the dump is not whole",
                    file: DumpMetadata.fileName)
            }
            var chosen = Table(
                name: table.name, source: table.name, definition: table.definition,
                rows: try table.rows.map {
                    File(name: $0, bytes: try directory.size($0.text), source: table.name)
                })
            if let file = table.definition {
                let statements = try directory.statements(of: file, context)
                    .filter { !$0.object.isDrop }
                guard statements.count == 1, let create = statements.first,
                    [.table, .sequence].contains(create.object.kind),
                    create.object.name == table.name.name
                else {
                    throw DumpFileError(
                        "it is expected to create the table \(table.name), and nothing else",
                        file: file.text)
                }
                try Self.require(create.object, in: table.name.schema, file)
                chosen.create = create
            }
            tables.append(chosen)
            for file in table.triggers {
                objects += try objects(in: file, of: table.name.schema, context) {
                    $0.kind == .trigger && $0.table == table.name.name
                        && selection.selects(
                            trigger: TableName(schema: table.name.schema, name: $0.name),
                            on: table.name)
                }
            }
        }
        let begun = Set(tables.map { Array($0.name.schema.utf8) })
        for schema in layout.schemas
        where begun.contains(Array(schema.name.utf8)) || selection.mayHold(schema: schema.name) {
            schemas.append(schema)
            for file in schema.triggers {
                objects += try objects(in: file, of: schema.name, context) { object in
                    guard object.kind == .trigger, let table = object.table else { return false }
                    return selection.selects(
                        trigger: TableName(schema: schema.name, name: object.name),
                        on: TableName(schema: schema.name, name: table))
                }
            }
            for file in schema.routines {
                objects += try objects(in: file, of: schema.name, context) { object in
                    let name = TableName(schema: schema.name, name: object.name)
                    guard !selection.isOpen(name) else {
                        throw Self.open("the \(object.kind.rawValue) \(name)", path)
                    }
                    return selection.selects(name)
                }
            }
        }
    }

    /// Whether something is meant depends on what only the source's server could say.
    private static func open(_ what: String, _ path: String) -> DumpFileError {
        DumpFileError(
            "whether the rules choose \(what) depends on whether case counts in names, which the "
                + "source's server says, and a load does not ask: write names in the rules as the "
                + "files have them, and set \"case-sensitive: true\"", file: path)
    }

    /// A statement acts in the database of its file alone.
    private static func require(
        _ object: CreatedObject, in schema: String, _ file: DumpFileName
    ) throws {
        for named in [object.schema, object.tableSchema].compactMap({ $0 }) where named != schema {
            throw DumpFileError(
                "it is a file of the database \(schema), and the \(object.kind.rawValue) "
                    + "\(object.name) in it is of \(named)", file: file.text)
        }
    }

    private func objects(
        in file: DumpFileName, of schema: String, _ context: SyntaxContext,
        _ isWanted: (CreatedObject) throws -> Bool
    ) throws -> [LoadObject] {
        try directory.statements(of: file, context).filter { !$0.object.isDrop }.compactMap {
            guard let kind = LoadObject.Kind($0.object.kind) else {
                throw DumpFileError(
                    "the \($0.object.kind.rawValue) \($0.object.name) can't be loaded; leave it "
                        + "out of the dump", file: file.text)
            }
            guard try isWanted($0.object) else { return nil }
            try Self.require($0.object, in: schema, file)
            return LoadObject(
                kind: kind, name: TableName(schema: schema, name: $0.object.name),
                statement: $0.text, settings: $0.settings, file: file.text,
                table: $0.object.table.map { TableName(schema: schema, name: $0) })
        }
    }
}
