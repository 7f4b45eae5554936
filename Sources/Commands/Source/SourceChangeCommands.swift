internal import API
internal import ArgumentParser
internal import Settings

/// `skein source add`.
struct SourceAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a source from a settings file.",
        discussion: """
            The password comes from the file that "password-file" names, from SKEIN_SOURCE_PASSWORD, \
            or from a prompt; the cluster keeps it encrypted.
            """)

    @Argument(help: "The settings file, YAML or JSON; - is standard input.")
    var file: String

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        let report = try SourceSettings.reported(
            InputFile.bytes(file, "settings file"), InputFile.format(file), file: file,
            passwords: PasswordSource.standard)
        show(report.warnings)
        let settings = try report.supported()
        try await endpoints.ask { client in
            let answer = try await client.send(
                "POST", "/api/v1/sources", body: .settings(settings.sent()))
            try answers.show(answer) { _ in ["source '\(settings.name)' was added"] }
        }
    }
}

/// `skein source update`.
struct SourceUpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Replace a source's settings by those of a file.",
        discussion: """
            Without a password in it or in SKEIN_SOURCE_PASSWORD the old one stays. So does what \
            other commands change, where the file does not name it: enable, relay-workers, and relay \
            or enable-relay.
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
        let (text, format) = (try InputFile.bytes(file, "settings file"), InputFile.format(file))
        let report = try SourceSettings.reported(
            text, format, file: file, passwords: PasswordSource.withoutPrompt)
        show(report.warnings)
        let settings = try report.supported()
        let sent = try settings.sent(naming: SourceSettings.keys(in: text, format, file: file))
        try await endpoints.ask { client in
            let answer = try await client.send(
                "PUT", "/api/v1/sources/\(pathPart(settings.name))", body: .settings(sent),
                seen: ifRevision)
            try answers.show(answer) { _ in ["source '\(settings.name)' was changed"] }
        }
    }
}

/// `skein source remove`.
struct SourceRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a source that no task uses.")

    @Argument(help: "The source.")
    var source: String

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send("DELETE", "/api/v1/sources/\(pathPart(source))"))
        }
    }
}

/// `skein source transfer`.
struct SourceTransferCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transfer", abstract: "Move a source to another worker.")

    @Argument(help: "The source.")
    var source: String

    @Option(help: "The worker that is to run it.")
    var worker: String

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send(
                    "POST", "/api/v1/sources/\(pathPart(source))/transfer",
                    body: .json(TransferRequest(workerName: worker))))
        }
    }
}

/// `skein source enable`.
struct SourceEnableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Let a source have a worker.")

    @Argument(help: "The source.")
    var source: String

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send("POST", "/api/v1/sources/\(pathPart(source))/enable"))
        }
    }
}

/// `skein source disable`.
struct SourceDisableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Take a source's worker away: its subtasks rest.")

    @Argument(help: "The source.")
    var source: String

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            try answers.showDone(
                await client.send("POST", "/api/v1/sources/\(pathPart(source))/disable"))
        }
    }
}
