internal import API
internal import Settings
internal import Worker

/// What a worker says of a task: it connects to the task's sources and its target, as it would to
/// run it, and changes nothing.
struct TaskWorkerCheck {
    let endpoints: EndpointFlags
    let answers: AnswerFlags

    /// How long a worker may take: some checks read all that is selected from the catalogue.
    private static let patience = Duration.seconds(300)

    /// Checks a task that is there.
    func run(name: String) async throws {
        try await run { try await $0.send("POST", "/api/v1/tasks/\(pathPart(name))/check") }
    }

    /// Checks settings; nothing of them is stored.
    func run(settings: TaskSettings) async throws {
        let body = APIClient.Body.settings(try settings.sent())
        try await run { try await $0.send("POST", "/api/v1/checks", body: body) }
    }

    /// - Throws: `ExitStatus.refused` when a check refuses the task, `.error` when a server could
    ///   not be asked; both after everything was shown.
    private func run(_ ask: (APIClient) async throws -> APIClient.Answer) async throws {
        let checks = try await endpoints.ask(atLeast: Self.patience) { client in
            let answer = try await ask(client)
            let checks = try answer.value(ListAnswer<CheckAnswer>.self).data
            try answers.show(answer) { width in checks.flatMap { lines($0, width) } }
            return checks
        }
        if checks.flatMap(\.results).contains(where: \.refuses) { throw ExitStatus.refused }
        if checks.contains(where: { !$0.isPassed }) { throw ExitStatus.error }
    }

    private func lines(_ check: CheckAnswer, _ width: Int?) -> [String] {
        var lines = ["source \(check.sourceName), from worker \(check.workerName):"]
        for result in check.results where result.verdict != .ok {
            lines += CheckLines.text(result, width: width).split(separator: "\n").map { "  \($0)" }
        }
        if let error = check.error {
            lines.append("  error    \(TextFitting.printable(error.message)) [\(error.code)]")
            if let remedy = error.remedy { lines.append("    \(TextFitting.printable(remedy))") }
        } else if check.isPassed {
            let good = check.results.count { $0.verdict == .ok }
            lines.append("  it can run: \(good) of \(check.results.count) checks say nothing")
        }
        return lines
    }
}
