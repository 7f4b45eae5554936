internal import ArgumentParser
internal import Glibc
internal import Settings

/// `skein task check`.
struct TaskCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look at a task: what its file means, and what stands in its way.",
        discussion: """
            Of a file, prints the settings with every default in place, without passwords; warnings \
            go to standard error. With --source-file the servers are asked too, and every pre-check \
            is shown; no worker is asked. With --cluster, or for the name of a task that is there, a \
            worker runs the pre-checks of all its sources, which must have been added, from where it \
            is. Nothing is changed. Exit status 5: a check refuses the task.
            """)

    @Argument(help: "The task's file, YAML or JSON (- is standard input), or a task's name.")
    var file: String

    @Flag(help: "Let a worker look.")
    var cluster = false

    @Option(
        help: ArgumentHelp(
            "File of one of the task's sources, whose servers are then looked at; repeats.",
            valueName: "path"))
    var sourceFile: [String] = []

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func validate() throws {
        if cluster, !sourceFile.isEmpty {
            throw ValidationError("--cluster and --source-file exclude each other")
        }
    }

    func run() async throws {
        let worker = TaskWorkerCheck(endpoints: endpoints, answers: answers)
        guard InputFile.isFile(file) else { return try await worker.run(name: file) }
        if cluster {
            let report = try TaskSettings.reported(
                InputFile.bytes(file, "task's file"), InputFile.format(file), file: file,
                passwords: PasswordSource.standard)
            show(report.warnings)
            return try await worker.run(settings: report.supported())
        }
        let isJSON = answers.output == .json
        let passwords = sourceFile.isEmpty ? PasswordSource.withoutPrompt : .standard
        let task = try TaskSettings.reported(
            InputFile.bytes(file, "task's file"), InputFile.format(file), file: file,
            passwords: passwords)
        var sources: [SourceSettings] = []
        var warnings = task.warnings
        var unsupported = task.unsupported
        for path in sourceFile {
            let source = try SourceSettings.reported(
                InputFile.bytes(path, "source's file"), InputFile.format(path), file: path,
                passwords: passwords)
            guard task.value.sources.contains(source.value.name) else {
                throw SettingsError(
                    "the source \"\(source.value.name)\" is none of the task's: "
                        + task.value.sources.joined(separator: ", "), file: path)
            }
            sources.append(source.value)
            warnings += source.warnings
            unsupported += source.unsupported
        }
        if isJSON {
            func list(_ texts: [String]) -> JSONValue { .list(texts.map { .text($0) }) }
            printData(
                JSONValue.object([
                    "settings": task.value.effective,
                    "warnings": list(warnings.map(\.description)),
                    "unsupported": list(unsupported.map(\.description)),
                ]).document)
        } else {
            show(warnings)
            for line in task.value.effective.yamlLines { printData(line) }
        }
        for other in unsupported.dropFirst() where !isJSON { warnLine(other.description) }
        if let first = unsupported.first { throw first }
        for source in sources {
            try await DryRun(
                settings: task.value.migrationSettings(source), isJSON: isJSON
            ).run()
        }
    }
}

/// Shows what was noticed in a file.
func show(_ warnings: [SettingsWarning]) {
    for warning in warnings { warnLine(warning.description) }
}

/// Writes a line to standard error.
func warnLine(_ text: String) {
    writeAll(TextFitting.printable(text) + "\n", to: STDERR_FILENO)
}
