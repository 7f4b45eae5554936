internal import API
internal import ArgumentParser
internal import MySQLCore
internal import Runtime
internal import Settings
internal import Worker

/// `skein task schema`: what a task's checkpoint takes the source's tables for.
struct TaskSchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Show and set the table shapes that a task reads rows by.",
        discussion: """
            Of a task of the cluster, by its name; with --target, of a skein migrate. A shape is what \
            the source's table was at the position of the checkpoint: its columns, in the order \
            that rows in the binlog have them, and its keys.
            """,
        subcommands: [TaskSchemaShowCommand.self, TaskSchemaSetCommand.self])
}

/// `skein task schema show`.
struct TaskSchemaShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the table shapes of a task, and where they hold.",
        discussion: """
            As CREATE TABLE statements with what a shape knows: no defaults, expressions, checks, \
            comments and partitions.
            """)

    @Argument(help: "The task of the cluster; with --target none.") var task: [String] = []

    @Option(
        help: ArgumentHelp("Only this table, by its name on the source.", valueName: "db.table"))
    var table: String?

    @OptionGroup var subtask: CheckpointFlags

    func run() async throws {
        var words = task
        let task = try subtask.task(&words)
        try subtask.requireNone(words)
        let name = try table.map(TableName.init(argument:))
        guard let task else {
            let found = try subtask.checkpoint().shapes(.show(name))
            if subtask.isJSON { return try subtask.printJSON(found) }
            return found.lines.forEach(printData)
        }
        var query = subtask.query
        if let name {
            query += query.isEmpty ? "?" : "&"
            query += "schema_name=\(pathPart(name.schema))&table_name=\(pathPart(name.name))"
        }
        try await subtask.endpoints.ask { client in
            let answer = try await client.send(
                "GET", "/api/v1/tasks/\(pathPart(task))/shapes\(query)")
            if subtask.isJSON {
                return printData(String(decoding: answer.body, as: UTF8.self))
            }
            for found in try answer.value(ListAnswer<SubtaskShapes>.self).data {
                found.lines.forEach(printData)
            }
        }
    }
}

/// `skein task schema set`.
struct TaskSchemaSetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set a table's shape, in the checkpoint of a task that rests.",
        discussion: """
            It must be what the source's table was at the checkpoint's position, which show tells. \
            Rows with another number of columns are refused; a shape with the right number and \
            wrong names or types makes other rows of them, unless the source writes names into its \
            binlog (binlog_row_metadata=FULL).
            """)

    @Argument(
        help: ArgumentHelp(
            "The task of the cluster (with --target none), and the file with one CREATE TABLE "
                + "statement; - is standard input.", valueName: "task-and-file"))
    var words: [String] = []

    @Option(help: ArgumentHelp("The table, by its name on the source.", valueName: "db.table"))
    var table: String

    @Flag(help: "As the table is on the source now.")
    var fromSource = false

    @Flag(help: "As the table is on the target now, without what routes add.")
    var fromTarget = false

    @Flag(
        help: """
            The target has the table's rows as of the checkpoint's position: to be said of a table \
            whose shape the checkpoint does not hold.
            """)
    var rowsAreThere = false

    @OptionGroup var seen: SeenFlags
    @OptionGroup var subtask: CheckpointFlags

    func run() async throws {
        var words = words
        let task = try subtask.task(&words)
        let file = words.isEmpty ? nil : words.removeFirst()
        try subtask.requireNone(words)
        let name = try TableName(argument: table)
        guard [file != nil, fromSource, fromTarget].count(where: { $0 }) == 1 else {
            throw ValidationError("give one of --from-source, --from-target and a file")
        }
        let text = try file.map { try InputFile.text($0, "file of the CREATE TABLE statement") }
        guard let task else {
            let origin: ShapeOrigin =
                fromSource ? .source : fromTarget ? .target : .text(text ?? "")
            let checkpoint = try subtask.checkpoint(asksSource: true)
            let shown =
                seen.position == nil && Prompt.isPossible
                ? try? checkpoint.shapes(.show(name)) : nil
            let position = try seen.position ?? confirmed(shown)
            let found = try checkpoint.shapes(
                .set(name, origin, hasRows: rowsAreThere), at: position)
            if subtask.isJSON { return try subtask.printJSON(found) }
            return found.lines.forEach(printData)
        }
        var body = ShapeSettingRequest(
            schemaName: name.schema, tableName: name.name, sqlContent: text,
            from: fromSource ? "source" : fromTarget ? "target" : nil,
            rowsAreThere: rowsAreThere ? true : nil, position: seen.position)
        try await subtask.endpoints.ask { client in
            let source = try await source(of: task, client)
            if seen.position == nil, Prompt.isPossible {
                body.position = try confirmed(await shown(name, task, source, client))
            }
            let answer = try await client.send(
                "PUT", "/api/v1/tasks/\(pathPart(task))/sources/\(pathPart(source))/shape",
                body: .json(body))
            if subtask.isJSON {
                return printData(String(decoding: answer.body, as: UTF8.self))
            }
            try answer.value(SubtaskShapes.self).lines.forEach(printData)
        }
    }

    /// Shows the shape that is there to a person, and asks whether it is to be another one.
    ///
    /// - Returns: where it holds; `nil` where there is none: what follows says what is wrong.
    private func confirmed(_ found: SubtaskShapes?) throws -> String? {
        guard let found, let position = found.position else { return nil }
        try subtask.confirm(found.lines, "Is the table to have another shape at \(position)?")
        return position
    }

    private func shown(
        _ table: TableName, _ task: String, _ source: String, _ client: APIClient
    ) async -> SubtaskShapes? {
        let answer = try? await client.send(
            "GET",
            "/api/v1/tasks/\(pathPart(task))/shapes?source_name_list=\(pathPart(source))"
                + "&schema_name=\(pathPart(table.schema))&table_name=\(pathPart(table.name))")
        return try? answer?.value(ListAnswer<SubtaskShapes>.self).data.first
    }

    /// The source that is meant: of a task with one, that.
    private func source(of task: String, _ client: APIClient) async throws -> String {
        if let named = subtask.sourceName { return named }
        let answer = try await client.send("GET", "/api/v1/tasks/\(pathPart(task))")
        let sources = try answer.value(TaskAnswer.self).sourceNameList
        guard sources.count == 1 else {
            throw ValidationError(
                "the task has several sources, each with a shape of its own: name one by --source "
                    + "(\(sources.joined(separator: ", ")))")
        }
        return sources[0]
    }
}

extension TableName {
    /// Reads a table of the command line.
    init(argument: String) throws {
        let parts = argument.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
            throw ValidationError("--table must be schema.table")
        }
        self.init(schema: String(parts[0]), name: String(parts[1]))
    }
}

extension SubtaskShapes {
    /// The statements, with the place above them as a comment: the output can be a file again.
    fileprivate var lines: [String] {
        var out = ["-- \(name) on \(sourceName), at \(position ?? "no position yet")"]
        for table in tables {
            out += table.schemaCreateSql.split(separator: "\n").map { String($0) }
            out[out.count - 1] += ";"
        }
        return out.map { TextFitting.printable($0) }
    }
}
