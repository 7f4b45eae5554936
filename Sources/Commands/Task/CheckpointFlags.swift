internal import API
internal import ArgumentParser
internal import Glibc
internal import MySQLClient
internal import Runtime
internal import Settings
internal import Worker

/// The flag that says which statement, or which place of the checkpoint, was looked at.
struct SeenFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Only if the subtask is still at this position, as it was shown; without it, at a "
                + "terminal, it is shown and asked about.", valueName: "position"))
    var position: String?
}

/// Flags that say whose checkpoint is meant, and how it is shown: that of a task of the cluster, which
/// its workers are asked about, or with `--target` that of a `skein migrate`, in the target itself.
struct CheckpointFlags: ParsableArguments {
    @OptionGroup(title: "Servers, for a checkpoint of skein migrate") var servers: ServerFlags

    @Option(help: ArgumentHelp("The migration's name (default: migrate).", valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp(
            "The source's name in the checkpoint (default: host:port of --source).",
            valueName: "name"))
    var sourceId: String?

    @Option(
        help: ArgumentHelp(
            "The target's schema for checkpoints (default: skein_meta).", valueName: "schema"))
    var metaSchema: String?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup(title: "Workers, for a task of the cluster") var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    /// Whether JSON is wanted.
    var isJSON: Bool { json || answers.output == .json }

    /// Whether the target is asked, not the cluster.
    var isDirect: Bool { servers.target != nil }

    /// The source's name, of a task of the cluster: `--source` names it as for all of a task's
    /// commands.
    var sourceName: String? { servers.source ?? sourceId }

    /// Takes the name of a task of the cluster from the front of arguments.
    ///
    /// - Returns: `nil` where the target is asked.
    func task(_ words: inout [String]) throws -> String? {
        if isDirect { return nil }
        guard !words.isEmpty else {
            throw ValidationError(
                "which task is meant: give its name, or --target for one of skein migrate")
        }
        for (flag, value) in [("--name", name), ("--meta-schema", metaSchema)] where value != nil {
            throw ValidationError(
                "\(flag) goes with --target: the cluster knows the settings of its tasks")
        }
        return words.removeFirst()
    }

    /// Refuses arguments that nothing reads.
    func requireNone(_ words: [String]) throws {
        guard let first = words.first else { return }
        throw ValidationError(
            isDirect
                ? "with --target no task is named: \"\(first)\" is one too many"
                : "\"\(first)\" is one too many")
    }

    /// The checkpoint in the target.
    ///
    /// - Parameter asksSource: whether the source is read, too.
    func checkpoint(asksSource: Bool = false) throws -> SubtaskCheckpoint {
        var draft = SettingsDraft()
        try servers.apply(to: &draft)
        let target = try draft.targetOptions(.standard)
        guard let source = sourceId ?? draft.source.url?.server else {
            throw SettingsError("which source is meant: --source-id, or --source")
        }
        return SubtaskCheckpoint(
            task: name ?? "migrate", source: source, metaSchema: metaSchema ?? "skein_meta",
            target: target, server: asksSource ? try draft.sourceOptions(.standard) : nil)
    }

    /// The query that picks the source.
    var query: String { sourceName.map { "?source_name_list=\(pathPart($0))" } ?? "" }

    /// The list of the source alone; `nil` without one.
    var sourceList: [String]? { sourceName.map { [$0] } }

    /// Shows what a change is about to a person at the terminal, and asks.
    ///
    /// - Throws: when the answer is no.
    func confirm(_ lines: [String], _ question: String) throws {
        for line in lines { writeAll(TextFitting.printable(line) + "\n", to: STDERR_FILENO) }
        guard Prompt.confirms(question) else { throw SettingsError("not confirmed") }
    }

    /// Shows a value as the API writes it.
    func printJSON(_ value: some Encodable) throws {
        printData(String(decoding: try APICoding.bytes(value), as: UTF8.self))
    }
}
