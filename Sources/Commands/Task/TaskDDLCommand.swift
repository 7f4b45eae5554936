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
    func decide(_ decision: String, _ words: [String]) async throws {
        var words = words
        guard let task = try task(&words) else {
            let request = try StatementRequest(decision: decision, words)
            return try show([try checkpoint().statement(request)], decides: true)
        }
        // Before anybody is asked.
        _ = try StatementRequest(decision: decision, words)
        let body = DecisionRequest(
            decision: decision, statements: words, sourceNameList: sourceList)
        try await endpoints.ask { client in
            let answer = try await client.send(
                "POST", "/api/v1/tasks/\(pathPart(task))/ddl", body: .json(body))
            try show(answer, decides: true)
        }
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
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.decide("skip", task) }
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
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.decide("replace", words) }
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
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.decide("inject", words) }
}

/// `skein task ddl revert`.
struct TaskDDLRevertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revert", abstract: "Take a decision back that was not made use of yet.")

    @Argument(help: "The task of the cluster; with --target none.") var task: [String] = []
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try await subtask.decide("revert", task) }
}
