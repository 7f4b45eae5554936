internal import ArgumentParser
internal import MySQLClient
internal import MySQLCore
internal import Settings

/// `skein task explain`.
struct TaskExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Show which rule of a task does what to a table.",
        discussion: """
            For each source: whether the table is taken, where it goes, and what becomes of its \
            events. What is empty under RULE is so because no rule says anything. No server is asked.
            """)

    @Argument(help: "The task's file, YAML or JSON; - is standard input.")
    var file: String

    @Option(help: ArgumentHelp("The table, on the source.", valueName: "schema.table"))
    var table: String

    @Option(help: ArgumentHelp("Only this source; repeats.", valueName: "name"))
    var source: [String] = []

    @Option(
        help: ArgumentHelp(
            "File of one of the task's sources, whose own filters then count; repeats.",
            valueName: "path"))
    var sourceFile: [String] = []

    @OptionGroup var answers: AnswerFlags

    func run() throws {
        let parts = table.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
            throw ValidationError("--table must be schema.table")
        }
        let name = TableName(schema: String(parts[0]), name: String(parts[1]))
        let report = try TaskSettings.reported(
            InputFile.bytes(file, "task's file"), InputFile.format(file), file: file,
            passwords: .withoutPrompt)
        let task = report.value
        for name in source where !task.sources.contains(name) {
            throw SettingsError(
                "\"\(name)\" is none of the task's sources: \(task.sources.joined(separator: ", "))"
            )
        }
        let known = try sourceFile.map { path in
            try SourceSettings(
                InputFile.bytes(path, "source's file"), InputFile.format(path), file: path,
                passwords: .withoutPrompt)
        }
        let explanations = try task.sources.filter { source.isEmpty || source.contains($0) }.map {
            name in
            known.first { $0.name == name }
                ?? SourceSettings(name: name, server: ConnectionOptions(user: ""))
        }.map { try task.explanation(of: name, $0) }
        if answers.output == .json {
            return printData(
                JSONValue.object([
                    "table": .text(name.description),
                    "sources": .list(explanations.map(\.value)),
                    "unsupported": .list(report.unsupported.map { .text($0.description) }),
                ]).document)
        }
        var text = TextTable(["SOURCE", "WHAT", "DECISION", "RULE"])
        for explanation in explanations {
            for line in explanation.lines {
                text.add([explanation.source, line.subject, line.verdict, line.reason])
            }
        }
        for line in text.lines(width: Terminal.outputWidth) { printData(line) }
        for error in report.unsupported { warnLine(error.description) }
    }
}
