internal import API
internal import ArgumentParser
internal import Settings

/// `skein task`: the tasks of the cluster.
struct TaskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task",
        abstract: "Write, check, start, watch, pause, change and remove tasks.",
        subcommands: [
            TaskInitCommand.self, TaskCheckCommand.self, TaskExplainCommand.self,
            TaskStartCommand.self, TaskListCommand.self, TaskStatusCommand.self,
            TaskPauseCommand.self, TaskResumeCommand.self, TaskStopCommand.self,
            TaskUpdateCommand.self, TaskVerifyCommand.self, TaskRemoveCommand.self,
            TaskShowCommand.self, TaskExportCommand.self, TaskErrorsCommand.self,
            TaskDDLCommand.self, TaskSchemaCommand.self,
        ])
}

/// `skein task list`.
struct TaskListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the tasks, and what they are to do.")

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            let answer = try await client.send("GET", "/api/v1/tasks")
            try answers.show(answer) { width in
                var table = TextTable(["TASK", "RUNNING", "PAUSED", "STOPPED", "SOURCES"])
                for task in try answer.value(ListAnswer<TaskAnswer>.self).data {
                    func count(_ stage: String) -> String {
                        "\(task.stages.count { $0.stage == stage })"
                    }
                    table.add([
                        task.name, count("running"), count("paused"), count("stopped"),
                        task.sourceNameList.joined(separator: ","),
                    ])
                }
                return table.lines(width: width)
            }
        }
    }
}

/// `skein task show`.
struct TaskShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a task: what it is to do, and its settings.")

    @Argument(help: "The task.")
    var task: String

    @OptionGroup var endpoints: EndpointFlags
    @OptionGroup var answers: AnswerFlags

    func run() async throws {
        try await endpoints.ask { client in
            let answer = try await client.send("GET", "/api/v1/tasks/\(pathPart(task))")
            try answers.show(answer) { _ in
                let task = try answer.value(TaskAnswer.self)
                return task.stages.map { "# \($0.sourceName) is to be \($0.stage)" }
                    + ["# revision \(task.revision)"] + (task.settings?.yamlLines ?? [])
            }
        }
    }
}

/// `skein task export`.
struct TaskExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Print a task's settings as a file that `task start` takes.",
        discussion: "The password is not in it.")

    @Argument(help: "The task.")
    var task: String

    @OptionGroup var endpoints: EndpointFlags

    func run() async throws {
        try await endpoints.ask { client in
            let answer = try await client.send("GET", "/api/v1/tasks/\(pathPart(task))")
            for line in try answer.value(TaskAnswer.self).settings?.yamlLines ?? [] {
                printData(line)
            }
        }
    }
}
