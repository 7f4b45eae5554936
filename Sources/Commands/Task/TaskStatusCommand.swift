internal import API
internal import ArgumentParser
internal import Worker

/// Which subtasks are asked about: those of a task, or all.
struct SubtaskSelection: ParsableArguments {
    @Argument(help: "The task; all when it is left out.")
    var task: String?

    @Option(help: ArgumentHelp("Only this source; repeats.", valueName: "name"))
    var source: [String] = []

    /// The API's answer about them.
    func ask(_ client: APIClient) async throws -> APIClient.Answer {
        guard let task else {
            return try await client.send("GET", "/api/v1/tasks?with_status=true")
        }
        let names = source.map(pathPart).joined(separator: ",")
        return try await client.send(
            "GET",
            "/api/v1/tasks/\(pathPart(task))/status"
                + (names.isEmpty ? "" : "?source_name_list=\(names)"))
    }

    /// What it says of each.
    func read(_ answer: APIClient.Answer) throws -> [SubtaskAnswer] {
        if task != nil { return try answer.value(ListAnswer<SubtaskAnswer>.self).data }
        return try answer.value(ListAnswer<TaskAnswer>.self).data
            .flatMap { $0.statusList ?? [] }
            .filter { source.isEmpty || source.contains($0.sourceName) }
    }
}

/// `skein task status`.
struct TaskStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what the subtasks of a task, or of all, do.",
        discussion: "A worker that does not answer within a second is shown as such.")

    @OptionGroup var subtasks: SubtaskSelection
    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags
    @OptionGroup var watching: WatchFlags

    func run() async throws {
        try await endpoints.ask { client in
            try await watching.run(answers) {
                try await subtasks.ask(client)
            } _: { answer, width in
                Self.lines(try subtasks.read(answer), width)
            }
        }
    }

    /// The subtasks in rows, and what is wrong with them below.
    static func lines(_ subtasks: [SubtaskAnswer], _ width: Int?) -> [String] {
        var table = TextTable([
            "TASK", "SOURCE", "WORKER", "STAGE", "UNIT", "LAG", "TRANSACTIONS", "POSITION",
        ])
        var notes: [String] = []
        for it in subtasks {
            let progress = it.status?.progress
            table.add([
                it.name, it.sourceName, it.workerName ?? "-", it.stage, it.unit ?? "-",
                progress?.lagMilliseconds.map { Wording.lag(milliseconds: $0) } ?? "-",
                progress.map { Wording.count($0.transactions) } ?? "-", place(progress),
            ])
            let name = "\(it.name) on \(it.sourceName)"
            if let error = it.errorMsg { notes.append("\(name): \(error)") }
            if let waiting = progress?.waiting { notes.append("\(name) waits: \(waiting)") }
            if let found = it.status?.verification {
                notes.append("\(name) \(TaskVerifyCommand.words(found))")
            }
            if let validation = progress?.validation {
                notes += ValidationWords.lines(validation).map { "\(name) \($0)" }
            }
            if let error = it.status?.error {
                notes.append(
                    "\(name): \(error.message) [\(error.code)]"
                        + (error.isRetryable ? ", is tried again" : ""))
                if let remedy = error.remedy { notes.append("  what to do: \(remedy)") }
            }
        }
        return table.lines(width: width) + notes.map { TextFitting.printable($0) }
    }

    /// How far it is: the rows of a copy, the files of a dump or a load, or the binlog's position.
    private static func place(_ progress: MigrationStatus?) -> String {
        guard let progress else { return "-" }
        if let files = progress.files, progress.phase != .done {
            return "\(files.filesDone) of \(files.files) files, \(Wording.count(files.rows)) rows, "
                + "\(Wording.bytes(Double(files.bytes)))"
        }
        if progress.phase == .copying {
            let rows = progress.tables.reduce(UInt64(0)) { $0 &+ $1.rows }
            let done = progress.tables.count { $0.isDone }
            return "\(Wording.count(rows)) rows, \(done) of \(progress.tables.count) tables"
        }
        return progress.position ?? "-"
    }
}
