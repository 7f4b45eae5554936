internal import API
internal import ArgumentParser
internal import Settings
internal import Worker

/// `skein task check`.
struct TaskCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look whether a task can run: one from a file, or one that is there.",
        discussion: """
            A worker connects to the task's sources and its target, as it would to run the task, and \
            changes nothing. The sources must have been added. Exit status 5: a check refuses the \
            task; 1: a server could not be asked.
            """)

    @Argument(help: "A settings file, or the name of a task.")
    var task: String

    @Flag(help: "Also show checks that have found nothing.")
    var all = false

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        let checks = try await endpoints.ask(atLeast: .seconds(300)) { client in
            let answer = try await ask(client)
            let checks = try answer.value(ListAnswer<CheckAnswer>.self).data
            try answers.show(answer) { width in checks.flatMap { lines($0, width) } }
            return checks
        }
        let refusing = checks.flatMap(\.results)
        if refusing.contains(where: \.refuses) { throw ExitStatus.refused }
        if checks.contains(where: { !$0.isPassed }) { throw ExitStatus.error }
    }

    private func ask(_ client: APIClient) async throws -> APIClient.Answer {
        guard InputFile.isFile(task) else {
            return try await client.send("POST", "/api/v1/tasks/\(pathPart(task))/check")
        }
        let settings = try TaskSettings(
            InputFile.bytes(task, "settings file"), InputFile.format(task), file: task,
            passwords: PasswordSource.standard)
        return try await client.send(
            "POST", "/api/v1/checks", body: .settings(settings.sent()))
    }

    private func lines(_ check: CheckAnswer, _ width: Int?) -> [String] {
        var lines = ["source \(check.sourceName), from worker \(check.workerName):"]
        for result in check.results where all || result.verdict != .ok {
            lines += CheckLines.text(result, width: width).split(separator: "\n").map { "  \($0)" }
        }
        if let error = check.error {
            lines.append("  error    \(TextFitting.printable(error.message)) [\(error.code)]")
            if let remedy = error.remedy { lines.append("    \(TextFitting.printable(remedy))") }
        } else if check.isPassed {
            let good = check.results.count { $0.verdict == .ok }
            lines.append(
                "  it can run: \(good) of \(check.results.count) checks have nothing to say")
        }
        return lines
    }
}
