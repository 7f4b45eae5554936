internal import API
internal import ArgumentParser
internal import Runtime
internal import Worker

/// `skein task ddl`: a statement of the source that a task can't do by itself.
struct TaskDDLCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ddl",
        abstract: "Show the statement that a task has stopped at, and say what is to run.",
        discussion: """
            Of a task of the cluster, by its name; with --target, of a skein migrate. A decision \
            takes effect when the task goes on (skein task resume, or skein migrate once more), is \
            made use of once, and outlives every crash until then.
            """,
        subcommands: [
            TaskDDLListCommand.self, TaskDDLSkipCommand.self, TaskDDLReplaceCommand.self,
            TaskDDLInjectCommand.self, TaskDDLRevertCommand.self,
        ])
}

extension CheckpointFlags {
    /// Decides, and shows what was decided about.
    ///
    /// - Parameters:
    ///   - words: the task of the cluster, and the statements behind it.
    ///   - position: of the statement that was looked at.
    func decide(_ decision: String, _ words: [String], at position: String?) async throws {
        var words = words
        let task = try task(&words)
        // Before anybody is asked.
        let request = try StatementRequest(decision: decision, words)
        guard let task else {
            let checkpoint = try checkpoint()
            let found =
                try position == nil && Prompt.isPossible
                ? [checkpoint.statement(.show)] : []
            let seen = try position ?? confirmed(found)?.position
            return try show([try checkpoint.statement(request, at: seen)], decides: true)
        }
        try await endpoints.ask { client in
            let path = "/api/v1/tasks/\(pathPart(task))/ddl"
            var body = DecisionRequest(
                decision: decision, statements: words, sourceNameList: sourceList,
                position: position)
            if position == nil, Prompt.isPossible,
                let seen = try confirmed(await stopped(path, client))
            {
                body.sourceNameList = [seen.sourceName]
                body.position = seen.position
            }
            try show(try await client.send("POST", path, body: .json(body)), decides: true)
        }
    }

    /// The statements of a task of the cluster.
    private func stopped(
        _ path: String, _ client: APIClient
    ) async throws -> [SubtaskStatement] {
        do {
            return try await client.send("GET", path + query).value(
                ListAnswer<SubtaskStatement>.self
            ).data
        } catch let problem as APIProblem {
            // A subtask that has not begun stands in nobody's way.
            guard problem.code == APIProblem.Code.checkpointMissing.rawValue else { throw problem }
            return []
        }
    }

    /// Shows a person the statement that is to be decided about, and asks; `nil` where it is not one:
    /// who decides says why that can't be.
    private func confirmed(_ found: [SubtaskStatement]) throws -> SubtaskStatement? {
        let stopped = found.filter { $0.position != nil }
        guard stopped.count == 1 else { return nil }
        try confirm(lines(stopped[0], isNamed: !isDirect), "Is this the statement that is meant?")
        return stopped[0]
    }

    /// Shows the statement, and what was decided.
    func list(_ words: [String]) async throws {
        var words = words
        let task = try task(&words)
        try requireNone(words)
        guard let task else { return try show([try checkpoint().statement(.show)]) }
        try await endpoints.ask { client in
            let path = "/api/v1/tasks/\(pathPart(task))/ddl\(query)"
            try show(try await client.send("GET", path))
        }
    }

    private func show(_ answer: APIClient.Answer, decides: Bool = false) throws {
        if isJSON { return printData(String(decoding: answer.body, as: UTF8.self)) }
        try show(answer.value(ListAnswer<SubtaskStatement>.self).data, decides: decides)
    }

    /// Shows statements; of a single subtask without its name.
    private func show(_ found: [SubtaskStatement], decides: Bool = false) throws {
        for it in found {
            if isJSON {
                var record = StatusRecord.begin("ddl", wallClockMicroseconds())
                record.set("position", it.position)
                record.set("statement", it.statement)
                record.set("reason", it.reason)
                record.set("decision", it.decision)
                record.set("statements", it.statements)
                printData(record.description)
                continue
            }
            for line in lines(it, isNamed: !isDirect) { printData(TextFitting.printable(line)) }
            if decides, !isDirect {
                printData("it counts when the task goes on: skein task resume \(it.name)")
            }
        }
    }

    private func lines(_ it: SubtaskStatement, isNamed: Bool) -> [String] {
        let head = isNamed ? ["\(it.name) on \(it.sourceName)"] : []
        guard let position = it.position else {
            return [(head + ["no statement has stopped it"]).joined(separator: ": ")]
        }
        return head + [
            "position   \(position)", "statement  \(it.statement ?? "")",
            "reason     \(it.reason ?? "")", "decision   \(it.decision ?? "none")",
        ] + it.statements.map { "           \($0)" }
    }
}

/// `skein task ddl list`.
struct TaskDDLListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the statement that a task has stopped at, and what was decided.")

    @Argument(help: "The task of the cluster; with --target none.") var task: [String] = []
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.list(task) }
}

/// `skein task ddl skip`.
struct TaskDDLSkipCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skip", abstract: "The statement is not to run on the target.")

    @Argument(help: "The task of the cluster; with --target none.") var task: [String] = []
    @OptionGroup var seen: SeenFlags
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.decide("skip", task, at: seen.position) }
}

/// `skein task ddl replace`.
struct TaskDDLReplaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace", abstract: "Other statements are to run in its place.",
        discussion: "With the source's names of tables, and their schemas; routes apply.")

    @Argument(
        help: ArgumentHelp(
            "The task of the cluster (with --target none), and DDL statements, each an argument.",
            valueName: "task-and-statements"))
    var words: [String] = []
    @OptionGroup var seen: SeenFlags
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.decide("replace", words, at: seen.position) }
}

/// `skein task ddl inject`.
struct TaskDDLInjectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inject", abstract: "The statement is to run, and others behind it.",
        discussion: "With the source's names of tables, and their schemas; routes apply.")

    @Argument(
        help: ArgumentHelp(
            "The task of the cluster (with --target none), and DDL statements, each an argument.",
            valueName: "task-and-statements"))
    var words: [String] = []
    @OptionGroup var seen: SeenFlags
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.decide("inject", words, at: seen.position) }
}

/// `skein task ddl revert`.
struct TaskDDLRevertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revert", abstract: "Take a decision back that was not made use of yet.")

    @Argument(help: "The task of the cluster; with --target none.") var task: [String] = []
    @OptionGroup var seen: SeenFlags
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.decide("revert", task, at: seen.position) }
}
