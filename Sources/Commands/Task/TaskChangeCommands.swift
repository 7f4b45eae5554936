internal import API
internal import ArgumentParser
internal import MySQLCore
internal import Settings

/// Flags of commands that change what subtasks are to do.
struct SubtaskFlags: ParsableArguments {
    @Argument(help: "The task.")
    var task: String

    @Option(help: ArgumentHelp("Only on this source; repeats.", valueName: "name"))
    var source: [String] = []

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    /// Sends the request.
    func post(_ action: String) async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send(
                    "POST", "/api/v1/tasks/\(pathPart(task))/\(action)",
                    body: .json(SourceListRequest(sourceNameList: source.isEmpty ? nil : source))))
        }
    }
}

/// `skein task start`.
struct TaskStartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start a task: a new one from a file, or one that is there.",
        discussion: """
            An argument with a slash, or that ends in .yaml, .yml or .json, is a file. The target's \
            password comes from the file that "password-file" names, from SKEIN_TARGET_PASSWORD, or \
            from a prompt; the cluster keeps it encrypted.
            """)

    @OptionGroup var flags: SubtaskFlags

    @Option(
        help: ArgumentHelp(
            "A new task of changes alone: from the first transaction that was committed then or "
                + "later, on the source's clock unless a zone is given.", valueName: "time"),
        transform: parseStartTime)
    var startTime: StartTime?

    func run() async throws {
        guard InputFile.isFile(flags.task) else {
            guard startTime == nil else {
                throw ValidationError(
                    "--start-time is for a new task, which comes from a file: one that has begun "
                        + "goes on from its checkpoint")
            }
            return try await flags.post("start")
        }
        guard flags.source.isEmpty else {
            throw ValidationError("a new task is started on all its sources, without --source")
        }
        let report = try TaskSettings.reported(
            InputFile.bytes(flags.task, "settings file"), InputFile.format(flags.task),
            file: flags.task, passwords: PasswordSource.standard)
        show(report.warnings)
        let supported = try report.supported()
        let settings = try startTime.map { try supported.beginning(at: $0) } ?? supported
        try await flags.endpoints.ask { client in
            let answer = try await client.send(
                "POST", "/api/v1/tasks?start=true", body: .settings(settings.sent()))
            try flags.answers.show(answer) { _ in ["task '\(settings.name)' was added and started"]
            }
        }
    }
}

/// `skein task pause`.
struct TaskPauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Let a task rest; its workers keep it.")

    @OptionGroup var flags: SubtaskFlags

    func run() async throws { try await flags.post("pause") }
}

/// `skein task resume`.
struct TaskResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let a task go on that rests, or that an error has ended.")

    @OptionGroup var flags: SubtaskFlags

    func run() async throws { try await flags.post("resume") }
}

/// `skein task stop`.
struct TaskStopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "End a task; started again, it goes on where it was.")

    @OptionGroup var flags: SubtaskFlags

    func run() async throws { try await flags.post("stop") }
}

/// `skein task update`.
struct TaskUpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Replace the settings of a task.",
        discussion: """
            While it runs, only its tables, lanes, readers and memory may differ; rows of tables that \
            come are copied. Without a password in it or in SKEIN_TARGET_PASSWORD the old one stays.
            """)

    @Argument(help: "The settings file, YAML or JSON; - is standard input.")
    var file: String

    @Option(
        help: ArgumentHelp(
            "Only if the settings are still those of this revision.", valueName: "number"))
    var ifRevision: Int64?

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        let report = try TaskSettings.reported(
            InputFile.bytes(file, "settings file"), InputFile.format(file), file: file,
            passwords: PasswordSource.withoutPrompt)
        show(report.warnings)
        let settings = try report.supported()
        try await endpoints.ask { client in
            let answer = try await client.send(
                "PUT", "/api/v1/tasks/\(pathPart(settings.name))",
                body: .settings(settings.sent()), seen: ifRevision)
            try answers.show(answer) { _ in ["task '\(settings.name)' was changed"] }
        }
    }
}

/// `skein task remove`.
struct TaskRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a task that is stopped.",
        discussion: "What it wrote stays in the target, its checkpoint included.")

    @Argument(help: "The task.")
    var task: String

    @Flag(help: "Also a task that is not stopped.")
    var force = false

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send(
                    "DELETE", "/api/v1/tasks/\(pathPart(task))" + (force ? "?force=true" : "")))
        }
    }
}
