internal import ArgumentParser
internal import Checkpoint
internal import MySQLClient
internal import Runtime
internal import Settings

/// `skein task ddl`: a statement of the source that a task can't do by itself.
struct TaskDDLCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ddl",
        abstract: "Show the statement that a task has stopped at, and say what is to run.",
        discussion: """
            Works on the checkpoint in the target. A decision takes effect when the task goes on \
            (skein task resume, or skein migrate once more), is made use of once, and outlives \
            every crash until then.
            """,
        subcommands: [
            TaskDDLListCommand.self, TaskDDLSkipCommand.self, TaskDDLReplaceCommand.self,
            TaskDDLInjectCommand.self, TaskDDLRevertCommand.self,
        ])
}

/// Flags that say which subtask is meant, and how it is shown.
struct CheckpointFlags: ParsableArguments {
    @OptionGroup(title: "Servers") var servers: ServerFlags

    @Option(help: ArgumentHelp("The task's name (default: migrate).", valueName: "name"))
    var name = "migrate"

    @Option(
        help: ArgumentHelp(
            "The source's name in the checkpoint (default: host:port of --source).",
            valueName: "name"))
    var sourceId: String?

    @Option(
        help: ArgumentHelp(
            "The target's schema for checkpoints (default: skein_meta).", valueName: "schema"))
    var metaSchema = "skein_meta"

    @Flag(help: "Print JSON.")
    var json = false

    /// The subtask's statements, and a connection to the target.
    func open() throws -> (StatementDecisions, Connection) {
        var draft = SettingsDraft()
        try servers.apply(to: &draft)
        let target = try draft.targetOptions(.standard)
        guard let source = sourceId ?? draft.source.url?.server else {
            throw SettingsError("which source is meant: --source-id, or --source")
        }
        let meta = MetaSchema(name: metaSchema)
        let key = SubtaskKey(task: name, source: source)
        let connection = try Connection(target)
        guard try meta.exists(connection),
            try Takeover(meta: meta, key: key).peek(connection) != nil
        else {
            throw CheckpointError.missing(detail: "no subtask \(key) in \(meta.name)")
        }
        return (StatementDecisions(meta: meta, key: key), connection)
    }

    /// Decides, and says so.
    func decide(_ decision: StatementDecision) throws {
        let (decisions, connection) = try open()
        report(try decisions.decide(decision, connection), decision)
    }

    /// Shows a statement and what was decided about it.
    func report(_ stopped: StoppedStatement?, _ decision: StatementDecision?) {
        if json {
            var record = StatusRecord.begin("ddl", wallClockMicroseconds())
            record.set("position", stopped?.position)
            record.set("statement", stopped?.statement)
            record.set("reason", stopped?.reason)
            record.set("decision", decision?.word)
            record.set("statements", decision?.statements ?? [])
            printData(record.description)
            return
        }
        guard let stopped else {
            printData("no statement has stopped it")
            return
        }
        printData("position   \(stopped.position)")
        printData("statement  \(stopped.statement)")
        printData("reason     \(stopped.reason)")
        printData("decision   \(decision?.word ?? "none")")
        for statement in decision?.statements ?? [] { printData("           \(statement)") }
    }
}

/// `skein task ddl list`.
struct TaskDDLListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the statement that a task has stopped at, and what was decided.")

    @OptionGroup var subtask: CheckpointFlags

    func run() async throws {
        let (decisions, connection) = try subtask.open()
        let (stopped, decided) = try decisions.read(connection)
        subtask.report(stopped, stopped.flatMap { decided[$0.key] })
    }
}

/// `skein task ddl skip`.
struct TaskDDLSkipCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skip", abstract: "The statement is not to run on the target.")

    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try subtask.decide(.skip) }
}

/// `skein task ddl replace`.
struct TaskDDLReplaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace", abstract: "Other statements are to run in its place.",
        discussion: "With the source's names of tables, and their schemas; routes apply.")

    @Argument(help: "DDL statements, each an argument.") var statements: [String]
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try subtask.decide(.replace(statements)) }
}

/// `skein task ddl inject`.
struct TaskDDLInjectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inject", abstract: "The statement is to run, and others behind it.",
        discussion: "With the source's names of tables, and their schemas; routes apply.")

    @Argument(help: "DDL statements, each an argument.") var statements: [String]
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws { try subtask.decide(.inject(statements)) }
}

/// `skein task ddl revert`.
struct TaskDDLRevertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revert", abstract: "Take a decision back that was not made use of yet.")

    @OptionGroup var subtask: CheckpointFlags

    func run() async throws {
        let (decisions, connection) = try subtask.open()
        subtask.report(try decisions.revert(connection), nil)
    }
}

extension StatementDecision {
    /// The command's word.
    fileprivate var word: String {
        switch self {
        case .skip: "skip"
        case .replace: "replace"
        case .inject: "inject"
        }
    }

    fileprivate var statements: [String] {
        switch self {
        case .skip: []
        case .replace(let texts), .inject(let texts): texts
        }
    }
}
