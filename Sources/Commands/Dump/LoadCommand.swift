internal import ArgumentParser
internal import Checkpoint
internal import Rules
internal import Runtime
internal import Settings
internal import Snapshot

/// `skein load`: loads a dump's directory into a target.
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Load a dump of mydumper, Dumpling or skein dump into a server.",
        discussion: """
            Started again with the same --name and --dir, it goes on where it stopped: every row is \
            loaded exactly once.
            """)

    @OptionGroup(title: "Target") var server: TargetFlags
    @OptionGroup(title: "Tables") var selection: SelectionFlags

    @Option(help: ArgumentHelp("The dump's directory.", valueName: "directory"))
    var dir: String

    @Option(help: ArgumentHelp("The load's name in the checkpoint.", valueName: "name"))
    var name = "load"

    @Option(
        help: ArgumentHelp("Schema for the checkpoint (default: skein_meta).", valueName: "schema"))
    var metaSchema: String?

    @Option(help: ArgumentHelp("Connections that write rows.", valueName: "n"))
    var lanes = 4

    @Option(
        help: ArgumentHelp(
            "The time zone of TIMESTAMP values in files that do not name one.", valueName: "zone"))
    var timeZone: String?

    @Option(
        help: ArgumentHelp(
            "What becomes of rows of the dump that have one key: error, replace, ignore.",
            valueName: "word"))
    var onDuplicate = "error"

    @OptionGroup(title: "Output") var output: OutputFlags

    func run() async throws {
        let configuration = try settings()
        let terminal = Terminal()
        let mode = output.output.resolved(terminal)
        let progress = TransferProgress()
        let engine = LoadEngine(configuration: configuration, progress: progress)
        let view = TransferView(kind: .load, progress: progress, mode: mode, terminal: terminal)
        let result = try await view.interruptible {
            try await engine.run { RunToken(TransferView.randomBytes()) }
        }
        guard let result else {
            TransferView.report("stopped; the same command goes on", .load, mode)
            return
        }
        if mode == .json {
            var out = StatusRecord.begin("load_end", wallClockMicroseconds())
            out.set("tables", result.tables)
            out.set("rows", result.rows)
            out.set("was_complete", result.wasComplete)
            out.set("position", result.position)
            printData(out.description)
            return
        }
        let place = result.position.map { ", as of \($0)" } ?? ""
        let what =
            "\(Wording.count(result.rows)) rows in \(Wording.count(UInt64(result.tables))) tables"
        printData(
            result.wasComplete
                ? "everything was loaded before: \(what)\(place)" : "loaded \(what)\(place)")
    }

    /// File, flags, environment and prompts, together.
    private func settings() throws -> LoadConfiguration {
        var draft = try selection.fileDraft()
        var flags = SettingsDraft()
        try server.apply(to: &flags)
        selection.apply(to: &flags)
        draft.override(with: flags)
        let tables = draft.tables ?? [TablePattern("*.*")].compactMap { $0 }
        var out = LoadConfiguration(
            target: try draft.targetOptions(.standard), directory: dir,
            selection: ObjectSelection(
                TableSelection(tables: tables, excluded: draft.exclude ?? [])))
        guard (1...64).contains(lanes) else {
            throw SettingsError("--lanes must be from 1 to 64, not \(lanes)")
        }
        guard !name.isEmpty, name.unicodeScalars.count <= 255 else {
            throw SettingsError("--name must have 1 to 255 characters")
        }
        out.lanes = lanes
        out.name = name
        if let schema = metaSchema ?? draft.metaSchema { out.meta = MetaSchema(name: schema) }
        out.timeZone = timeZone
        guard let duplicates = LoadConfiguration.Duplicates(rawValue: onDuplicate) else {
            throw SettingsError(
                "--on-duplicate must be error, replace or ignore, not \"\(onDuplicate)\"")
        }
        out.duplicates = duplicates
        return out
    }
}
