internal import API
internal import ArgumentParser
internal import Runtime
internal import Worker

/// `skein task errors`.
struct TaskErrorsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "errors",
        abstract: "Show what stands in the way of a task, or of all, and what to do.",
        discussion: """
            An error that passes by itself is tried again for as long as it takes; one that stays ends \
            the subtask's try until it is removed, and the task is resumed. Warnings are what went on \
            although something was refused. What a statement of the source has to do with it, \
            `skein task ddl list` tells.
            """)

    @OptionGroup var subtasks: SubtaskSelection
    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            let found = try subtasks.read(try await subtasks.ask(client)).flatMap(Self.obstacles)
            if answers.output == .json {
                let now = wallClockMicroseconds()
                for obstacle in found { printData(obstacle.record(now).description) }
            } else if found.isEmpty {
                printData("nothing stands in the way")
            } else {
                for obstacle in found { obstacle.lines.forEach(printData) }
            }
        }
    }

    /// What stands in the way of a subtask, the gravest first.
    static func obstacles(_ it: SubtaskAnswer) -> [Obstacle] {
        var out: [Obstacle] = []
        func add(_ kind: Obstacle.Kind, _ message: String) {
            out.append(Obstacle(subtask: it, kind: kind, message: message))
        }
        if let error = it.status?.error {
            out.append(
                Obstacle(
                    subtask: it, kind: error.isRetryable ? .passing : .lasting,
                    message: error.message, error: error))
        }
        if let message = it.errorMsg { add(.unknown, message) }
        if it.workerName == nil, it.wanted == "running", it.stage != "Finished" {
            add(.unknown, "no worker has the source")
        }
        let progress = it.status?.progress
        if let waiting = progress?.waiting { add(.waits, waiting) }
        if let relay = progress?.relay, let reason = relay.reason {
            add(.waits, "the relay log is \(relay.state): \(reason)")
        }
        if let validation = progress?.validation, validation.differingRows > 0 {
            add(.warning, ValidationWords.difference(validation))
        }
        for warning in progress?.warnings ?? [] { add(.warning, warning) }
        return out
    }
}

/// One thing that stands in the way of a subtask.
struct Obstacle {
    enum Kind: String {
        case lasting, passing, waits, warning, unknown

        var words: String {
            switch self {
            case .lasting: "it stays until it is removed; then `skein task resume`"
            case .passing: "it can pass by itself, and is tried again"
            case .waits: "it goes on by itself when that has passed"
            case .warning: "it went on all the same"
            case .unknown: "it is not known how the subtask is"
            }
        }
    }

    let subtask: SubtaskAnswer
    let kind: Kind
    let message: String
    var error: SubtaskError?

    /// A block of lines: what, and below it all that is known.
    var lines: [String] {
        let worker = subtask.workerName.map { " (\($0))" } ?? ""
        let code = error.map { " [\($0.code)]" } ?? ""
        var lines = [
            "\(subtask.name) on \(subtask.sourceName)\(worker): \(message)\(code)",
            "  \(kind.words)",
        ]
        if let error {
            lines.append("  when: \(Wording.utc(microseconds: Int64(error.time * 1e6)))")
            if let tries = subtask.status?.attempts, tries > 1 {
                lines.append("  tried: \(Wording.count(UInt64(tries))) times")
            }
            if let place = error.position { lines.append("  where: \(place)") }
            if let remedy = error.remedy { lines.append("  what to do: \(remedy)") }
        }
        return lines.map { TextFitting.printable($0) }
    }

    /// The same for programs.
    func record(_ now: Int64) -> JSONObject {
        var out = StatusRecord.begin("task_error", now)
        out.set("task", subtask.name)
        out.set("source", subtask.sourceName)
        out.set("worker", subtask.workerName)
        out.set("kind", kind.rawValue)
        out.set("code", error?.code)
        out.set("message", message)
        out.set("remedy", error?.remedy)
        out.set("position", error?.position)
        out.set("since", error.map { Wording.utc(microseconds: Int64($0.time * 1e6)) })
        return out
    }
}
