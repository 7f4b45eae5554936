internal import ArgumentParser
internal import DumpFiles
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Runtime
internal import Settings
internal import Snapshot
internal import Stream

/// `skein dump`: writes tables of a server into a directory.
struct DumpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump",
        abstract: "Write tables of a live server into files, as of one place of its binlog.",
        discussion: """
            The files have the layout of mydumper and Dumpling. Started again after an interruption, \
            it keeps tables that are whole and of which the binlog has nothing since.
            """)

    @OptionGroup(title: "Source") var server: SourceFlags
    @OptionGroup(title: "Tables") var selection: SelectionFlags

    @Option(help: ArgumentHelp("The directory; it must be empty.", valueName: "directory"))
    var dir: String

    @Option(help: ArgumentHelp("How files are packed: none, gzip or zstd.", valueName: "method"))
    var compress = Packing.none

    @Option(
        help: ArgumentHelp(
            "Size of SQL after which a table's next file begins (default: 256M).",
            valueName: "size"), transform: parseFileSize)
    var fileSize: Int?

    @Option(
        help: ArgumentHelp("Rows after which a table's next file begins.", valueName: "n"),
        transform: parseRows)
    var rowsPerFile: Int?

    @Option(help: ArgumentHelp("Connections that read rows.", valueName: "n"))
    var readers = 4

    @Option(
        name: .customLong("where"),
        help: ArgumentHelp(
            "A condition, as SQL, that rows of every table must meet.", valueName: "condition"),
        transform: parseCondition)
    var condition: String?

    @OptionGroup(title: "Output") var output: OutputFlags

    /// `--compress`.
    enum Packing: String, ExpressibleByArgument, CaseIterable, Sendable {
        case none, gzip, zstd

        var compression: DumpCompression { DumpCompression(rawValue: rawValue) ?? .none }
    }

    func run() async throws {
        let terminal = Terminal()
        let mode = output.output.resolved(terminal)
        let configuration = try await settings()
        let progress = TransferProgress()
        let engine = DumpEngine(configuration: configuration, progress: progress)
        let view = TransferView(kind: .dump, progress: progress, mode: mode, terminal: terminal)
        let result = try await view.interruptible {
            try await engine.run { terminal.print($0) }
        }
        guard let result else {
            TransferView.report(
                "stopped; the same command keeps tables that are whole and unchanged", .dump, mode)
            return
        }
        if mode == .json {
            var out = StatusRecord.begin("dump_end", wallClockMicroseconds())
            out.set("tables", result.tables)
            out.set("tables_kept", result.kept)
            out.set("rows", result.rows)
            out.set("position", result.position.binlog.description)
            out.set("gtids", result.position.gtids.description)
            printData(out.description)
            return
        }
        let kept = result.kept > 0 ? " (\(result.kept) tables of an earlier try)" : ""
        printData(
            "dumped \(Wording.count(result.rows)) rows in "
                + "\(Wording.count(UInt64(result.tables))) tables\(kept), as of \(result.position)")
    }

    /// File, flags, environment and prompts, together.
    private func settings() async throws -> DumpConfiguration {
        var draft = try selection.fileDraft()
        var flags = SettingsDraft()
        try server.apply(to: &flags)
        selection.apply(to: &flags)
        draft.override(with: flags)
        let source = try draft.sourceOptions(.standard)
        guard (1...64).contains(readers) else {
            throw SettingsError("--readers must be from 1 to 64, not \(readers)")
        }
        let tables = draft.tables ?? [TablePattern("*.*")].compactMap { $0 }
        let selection = TableSelection(tables: tables, excluded: draft.exclude ?? [])
        let serverID = UInt32.random(in: 0x4000_0000...0x7FFF_FFFF)
        let origin = try await withThread("dump-origin") {
            let session = SourceSession(try Connection(source))
            return try Origin.read(
                source, file: session.currentPosition().file, serverID: serverID)
        }
        var out = DumpConfiguration(
            source: source, origin: origin, directory: dir, selection: ObjectSelection(selection))
        out.compression = compress.compression
        if let fileSize { out.fileBytes = fileSize }
        out.rowsPerFile = rowsPerFile.map { UInt64($0) }
        out.readers = readers
        out.condition = condition
        out.changes = { from, to in
            try ChangedTables(source: source).between(from, to)
        }
        out.statements = { from, take in
            try ChangedTables(source: source).statements(since: from, take)
        }
        return out
    }
}

private func parseFileSize(_ text: String) throws -> Int {
    guard let size = ByteSize(text), (64 << 10)...(1 << 40) ~= size.bytes else {
        throw ValidationError("must be a size from 64K to 1T, such as 256M")
    }
    return size.bytes
}

private func parseCondition(_ text: String) throws -> String {
    guard text.contains(where: { !$0.isWhitespace }) else {
        throw ValidationError("must be a condition, such as 'id < 1000'")
    }
    return text
}

private func parseRows(_ text: String) throws -> Int {
    guard let n = Int(text), n > 0 else { throw ValidationError("must be a number from 1") }
    return n
}
