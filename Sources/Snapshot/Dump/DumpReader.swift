internal import DumpFiles
internal import MySQLClient
internal import MySQLCore

/// Writes tables, one after the other, as one view has them.
struct DumpReader: Sendable {
    let view: SourceView
    let folder: DumpFolder
    let configuration: DumpConfiguration
    let progress: TransferProgress

    private var source: Connection { view.connection }

    /// Writes a table's definition and rows.
    ///
    /// The view's transaction holds the table from the first look at it on: what is shown of it, and
    /// its rows, are of one definition. A server refuses rows of a table that was made or rebuilt since
    /// the view was opened (1412); one that was altered in a moment is told by its definition.
    ///
    /// - Parameter digest: of the definition that the table had when the views were opened.
    func dump(_ table: TableName, as digest: [UInt8]) throws -> DumpedTable {
        do {
            var done = DumpedTable(
                schema: table.schema, name: table.name, files: [:], rows: 0)
            _ = try source.rows("SELECT 1 FROM \(table.quoted) LIMIT 1")
            guard let shape = try SchemaReader(source).shape(of: table),
                let definition = try source.rows("SHOW CREATE TABLE \(table.quoted)").first?[1]
            else { throw SnapshotError.tableMissing(table) }
            guard DumpCatalog.digest(definition) == digest else {
                throw SnapshotError.tableChanged(table)
            }
            let condition = try condition(of: shape)
            try check(condition, on: table)
            try writeDefinition(definition, &done)
            try writeRows(shape, condition, &done)
            try view.releaseTables()
            return done
        } catch let error as MySQLError {
            switch error.code {
            case MySQLErrorCode.tableDefinitionChanged, 1054:
                throw SnapshotError.tableChanged(table)
            case MySQLErrorCode.noSuchTable, MySQLErrorCode.unknownDatabase:
                throw SnapshotError.tableMissing(table)
            default: throw error
            }
        }
    }

    /// What makes the server refuse the condition now is not a table that has changed: the view's
    /// transaction holds its definition.
    private func check(_ condition: String?, on table: TableName) throws {
        guard let condition else { return }
        do {
            _ = try source.rows("SELECT 1 FROM \(table.quoted) WHERE \(condition) LIMIT 0")
        } catch {
            guard error.retry == .no else { throw error }
            throw SnapshotError.condition(table, detail: error.message)
        }
    }

    /// Which rows are dumped, as SQL; `nil` for all of them. Brackets keep a condition together, and
    /// a line's end closes a comment in it.
    private func condition(of shape: TableShape) throws -> String? {
        let rules = try configuration.selection.condition(
            of: shape, source: source.serverVersion)
        let all = [rules, configuration.condition].compactMap { $0 }
        return all.isEmpty ? nil : all.map { "(\($0)\n)" }.joined(separator: " AND ")
    }

    private func writeDefinition(_ text: String, _ done: inout DumpedTable) throws {
        let file = try FileInMaking(
            folder, DumpFileName.table(done.schema, done.name), configuration.compression)
        var bytes = ByteBuffer(capacity: 4096)
        bytes.append(DefinitionWriter.head)
        bytes.append(try DefinitionWriter.inLines(text, "table \(done.table)"))
        bytes.append(";\n" as StaticString)
        try file.append(bytes.bytes)
        done.files[file.name] = try file.finish()
    }

    private func writeRows(
        _ shape: TableShape, _ condition: String?, _ done: inout DumpedTable
    ) throws {
        let form = RowText(shape)
        let ignored = try SchemaReader(source).ignoredKeys(in: shape.name.schema)
        let order = KeyOrder(shape, ignored: ignored[shape.name] ?? [])
        // An index that few rows meet the condition by is worth more than no sorting.
        let table =
            condition.map { "\(shape.name.quoted) WHERE \($0)" } ?? order?.from
            ?? shape.name.quoted
        let end = order.map { " ORDER BY \($0.order)" } ?? ""
        let cursor = try source.open("SELECT \(form.selected) FROM \(table)\(end)")
        defer { cursor.finish() }
        var parts = PartWriter(
            folder: folder, configuration: configuration, table: shape.name, head: form.head,
            progress: progress)
        while try cursor.next({ row in form.append(row, to: &parts.row) }) {
            try parts.take()
            if parts.rows % 4096 == 0 { try Task.checkCancellation() }
        }
        try parts.end()
        done.files.merge(parts.files) { $1 }
        done.rows = parts.rows
    }
}

/// Puts rows into INSERT statements, and these into files.
private struct PartWriter: ~Copyable {
    let folder: DumpFolder
    let configuration: DumpConfiguration
    let table: TableName
    let head: String
    let progress: TransferProgress

    /// The row that comes next.
    var row = ByteBuffer(capacity: 4096)
    /// Rows so far.
    private(set) var rows: UInt64 = 0
    /// Files that are whole, with their sizes.
    private(set) var files: [String: UInt64] = [:]

    private var file: FileInMaking?
    /// What stands before the row.
    private var lead = ByteBuffer(capacity: 256)
    private var part = 0
    /// Bytes of the open statement; 0 when there is none.
    private var inStatement = 0
    private var inFile = 0
    private var rowsInFile: UInt64 = 0
    /// What the progress has not been told of.
    private var untold: (rows: UInt64, bytes: UInt64) = (0, 0)

    init(
        folder: DumpFolder, configuration: DumpConfiguration, table: TableName, head: String,
        progress: TransferProgress
    ) {
        self.folder = folder
        self.configuration = configuration
        self.table = table
        self.head = head
        self.progress = progress
    }

    /// Writes the row.
    mutating func take() throws {
        let size = row.count
        if inStatement > 0, inStatement + size > configuration.statementBytes {
            try endStatement()
        }
        let isFull =
            inFile >= configuration.fileBytes
            || rowsInFile >= configuration.rowsPerFile ?? .max
        if isFull {
            if inStatement > 0 { try endStatement() }
            try endFile()
        }
        let file = try self.file ?? open()
        lead.removeAll()
        if inStatement == 0 {
            lead.append(head)
        } else {
            lead.append(",\n" as StaticString)
        }
        inStatement += lead.count + size
        inFile += lead.count + size
        try file.append(lead.bytes)
        try file.append(row.bytes)
        row.removeAll()
        row.shrink(to: 1 << 20)
        rows += 1
        rowsInFile += 1
        untold.rows += 1
        untold.bytes += UInt64(size)
        if untold.rows >= 1000 { tell() }
    }

    private mutating func tell() {
        let (rows, bytes) = untold
        untold = (0, 0)
        progress.update {
            $0.rows += rows
            $0.bytes += bytes
        }
    }

    private mutating func open() throws -> FileInMaking {
        let made = try FileInMaking(
            folder, DumpFileName.rows(table.schema, table.name, part: part),
            configuration.compression)
        part += 1
        var text = ByteBuffer(capacity: 256)
        text.append(DefinitionWriter.head)
        try made.append(text.bytes)
        file = made
        progress.update { $0.files += 1 }
        return made
    }

    private mutating func endStatement() throws {
        var text = ByteBuffer(capacity: 64)
        text.append(";\n" as StaticString)
        try file?.append(text.bytes)
        inStatement = 0
    }

    private mutating func endFile() throws {
        guard let file else { return }
        files[file.name] = try file.finish()
        self.file = nil
        inFile = 0
        rowsInFile = 0
        progress.update { $0.filesDone += 1 }
    }

    /// Writes what is open.
    mutating func end() throws {
        if inStatement > 0 { try endStatement() }
        try endFile()
        tell()
    }
}
