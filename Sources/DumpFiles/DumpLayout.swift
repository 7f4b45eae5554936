public import MySQLCore

/// What a dump's directory holds, put together from the names of its files.
///
/// Names are percent-encoded by Dumpling and by Skein, and written as they are by mydumper, so that
/// a dot in one is no end of it. Which is meant is told by the other files: those that create
/// databases and tables name each once. Where they don't settle it, nothing is guessed.
public struct DumpLayout: Sendable {
    /// One table, or view.
    public struct Table: Sendable, Hashable {
        /// Its name.
        public var name: TableName
        /// The file that creates it; of a view its stand-in.
        public var definition: DumpFileName?
        /// The file that creates it as a view.
        public var view: DumpFileName?
        /// Files with its triggers.
        public var triggers: [DumpFileName] = []
        /// Files with its rows, in the order of their numbers.
        public var rows: [DumpFileName] = []
    }

    /// One database.
    public struct Schema: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// The file that creates it.
        public var definition: DumpFileName?
        /// Files with its routines and events.
        public var routines: [DumpFileName] = []
        /// Files with triggers of any of its tables.
        public var triggers: [DumpFileName] = []
    }

    /// The databases, in the order of their names' bytes.
    public var schemas: [Schema] {
        schemasByName.values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
    private var schemasByName: [ExactText: Schema] = [:]
    /// Tables and views, by name.
    public private(set) var tables: [TableName: Table] = [:]

    /// Puts the files of a directory together; names that are none of a dump are passed over, but
    /// for those that look like a dump's file by another name: part of the dump may be in them.
    ///
    /// - Parameter created: the name that a file's CREATE statement has. Asked for names with a
    ///   percent sign in them alone: they may be encoded, or not.
    /// - Throws: ``DumpFileError`` when a name can be read in two ways, or a file can't be loaded;
    ///   and what `created` throws.
    public init(files: [String], created: (DumpFileName) throws -> String?) throws {
        for file in files.sorted() where DumpFileName.isDoubtful(file) {
            throw DumpFileError(
                "its name says that it is part of a dump, and not which: half a file, or one by "
                    + "another name; finish or rename it, or take it out of the directory",
                file: file)
        }
        let names = files.compactMap { DumpFileName($0) }.filter { $0.kind != .ignored }.sorted()
        for name in names {
            if case .unreadable(let reason) = name.kind {
                throw DumpFileError("it can't be loaded: \(reason)", file: name.text)
            }
        }
        try Self.requireUnique(names)
        var rawSchemas: Set<ExactText> = []
        for file in names where file.kind == .database {
            let stem = ExactText(file.stem)
            rawSchemas.insert(stem)
            let name = try Self.name(file.stem, file, created)
            schemasByName[ExactText(name)] = Schema(name: name, definition: file)
            schemaNames[stem] = name
        }
        let stems = names.filter { $0.kind == .table || $0.kind == .view }
        var knownStems: Set<ExactText> = []
        for file in stems {
            let stem = ExactText(file.stem)
            let (schema, raw) = try Self.split(file.stem, file, rawSchemas)
            knownStems.insert(stem)
            let name: String
            if let known = tableNames[stem] {
                name = known.name
            } else {
                name = try Self.name(raw, file, created)
            }
            let table = TableName(schema: schemaName(schema), name: name)
            tableNames[stem] = table
            if file.kind == .table {
                tables[table, default: Table(name: table)].definition = file
            } else {
                tables[table, default: Table(name: table)].view = file
            }
        }
        for file in names {
            switch file.kind {
            case .rows:
                let table = try owner(rows: file, knownStems, rawSchemas)
                tables[table, default: Table(name: table)].rows.append(file)
            case .routines:
                let name = schemaName(file.stem)
                schemasByName[ExactText(name), default: Schema(name: name)].routines.append(file)
            case .triggers
            where rawSchemas.contains(ExactText(file.stem)) || !Self.hasDot(file.stem):
                let name = schemaName(file.stem)
                schemasByName[ExactText(name), default: Schema(name: name)].triggers.append(file)
            case .triggers:
                let table = try owner(file, rawSchemas)
                tables[table, default: Table(name: table)].triggers.append(file)
            default: break
            }
        }
        for table in tables.keys where schemasByName[ExactText(table.schema)] == nil {
            schemasByName[ExactText(table.schema)] = Schema(name: table.schema)
        }
    }

    /// What encoded names turned out to be.
    private var schemaNames: [ExactText: String] = [:]
    private var tableNames: [ExactText: TableName] = [:]

    private func schemaName(_ raw: String) -> String {
        schemaNames[ExactText(raw)] ?? DumpFileName.decode(raw)
    }

    /// The same content must not be there twice, as `t.sql` and `t.sql.gz`.
    private static func requireUnique(_ names: [DumpFileName]) throws {
        var seen: [ExactText: String] = [:]
        for name in names {
            let plain = ExactText(
                String(name.text.unicodeScalars.dropLast(name.compression.suffix.utf8.count)))
            if let other = seen[plain] {
                throw DumpFileError(
                    "\(other) is there, too: one of them is too many", file: name.text)
            }
            seen[plain] = name.text
        }
    }

    /// A name, decoded unless the statement that creates it says that it is meant as it is.
    private static func name(
        _ raw: String, _ file: DumpFileName, _ created: (DumpFileName) throws -> String?
    ) throws -> String {
        let decoded = DumpFileName.decode(raw)
        guard decoded != raw, let real = try created(file) else { return decoded }
        guard real == decoded || real == raw else {
            throw DumpFileError("it creates another object than its name says", file: file.text)
        }
        return real
    }

    /// The database's and the table's part of `db.table`.
    private static func split(
        _ stem: String, _ file: DumpFileName, _ schemas: Set<ExactText>
    ) throws -> (String, String) {
        var found: [(String, String)] = []
        // Not by characters: a dot is one with marks that the table's name begins with.
        let scalars = stem.unicodeScalars
        for place in scalars.indices where scalars[place] == "." {
            let schema = String(scalars[..<place])
            let table = String(scalars[scalars.index(after: place)...])
            guard !schema.isEmpty, !table.isEmpty else { continue }
            if schemas.isEmpty || schemas.contains(ExactText(schema)) {
                found.append((schema, table))
            }
        }
        guard let first = found.first else {
            throw DumpFileError("no database of the dump has a table of this name", file: file.text)
        }
        guard found.count == 1 else { throw ambiguous(file) }
        return first
    }

    private static func hasDot(_ name: some StringProtocol) -> Bool {
        name.utf8.contains(UInt8(ascii: "."))
    }

    private static func ambiguous(_ file: DumpFileName) -> DumpFileError {
        DumpFileError(
            "its name can be read in more than one way: names with dots in them were written as "
                + "they are; dump with Skein or Dumpling, which encode them", file: file.text)
    }

    private func owner(_ file: DumpFileName, _ schemas: Set<ExactText>) throws -> TableName {
        if let known = tableNames[ExactText(file.stem)] { return known }
        let (schema, table) = try Self.split(file.stem, file, schemas)
        return TableName(schema: schemaName(schema), name: DumpFileName.decode(table))
    }

    /// The table of a file of rows: its name may end with up to two numbers of parts.
    private func owner(
        rows file: DumpFileName, _ stems: Set<ExactText>, _ schemas: Set<ExactText>
    ) throws -> TableName {
        var candidates = [Substring(file.stem)]
        for _ in 0..<2 {
            let last = candidates[candidates.count - 1].unicodeScalars
            guard let dot = last.lastIndex(of: ".") else { break }
            let number = last[last.index(after: dot)...]
            guard !number.isEmpty, number.allSatisfy({ ("0"..."9").contains($0) }) else { break }
            candidates.append(Substring(last[..<dot]))
        }
        let known = candidates.map { ExactText(String($0)) }.filter { stems.contains($0) }
        if known.count > 1 { throw Self.ambiguous(file) }
        if let stem = known.first, let table = tableNames[stem] { return table }
        // Without a definition the name alone counts: the shortest that is still a table's.
        guard let stem = candidates.last(where: { Self.hasDot($0) }) else {
            throw DumpFileError("its name says no table", file: file.text)
        }
        let (schema, table) = try Self.split(String(stem), file, schemas)
        return TableName(schema: schemaName(schema), name: DumpFileName.decode(table))
    }
}

/// A text that is told from others by its bytes. An `é` of one scalar and one of two are the same
/// to Swift's strings, and two names to servers and file systems.
private struct ExactText: Hashable, Sendable {
    private let text: String

    init(_ text: String) { self.text = text }

    static func == (a: ExactText, b: ExactText) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
}
