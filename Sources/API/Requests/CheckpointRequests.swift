internal import Cluster
internal import MySQLCore
internal import Settings
internal import Worker

// Requests about subtasks' checkpoints: the statement that one has stopped at, and table shapes. The
// worker that is asked does the work, by the task's stored settings: it needs the target alone.

extension RequestHandlers {
    var checkpointRoutes: [Route] { statementRoutes + shapeRoutes }

    private static let sources = Route.Parameter(
        name: "source_name_list", summary: "Only these sources, separated by commas.",
        isFlag: false)

    // MARK: statements

    private var statementRoutes: [Route] {
        [
            Route(
                method: "GET", path: "/api/v1/tasks/{task_name}/ddl", access: .read,
                id: "getTaskStatements",
                summary: "The statement that each subtask has stopped at, and what was decided.",
                parameters: [Self.sources], answer: "StatementList"
            ) { request in
                let subtasks = try await subtasks(
                    of: request.name("task_name"), request.list("source_name_list"))
                return try .json(ListAnswer(await statements(subtasks, .show)))
            },
            Route(
                method: "POST", path: "/api/v1/tasks/{task_name}/ddl", access: .admin,
                id: "decideStatement",
                summary: "Decides about the statement that subtasks have stopped at; it counts "
                    + "when they go on. Without sources, about that of the only one that has "
                    + "stopped at any.",
                body: .json("DecisionRequest", isRequired: true), answer: "StatementList"
            ) { request in
                let name = request.name("task_name")
                let asked = try request.json(DecisionRequest.self)
                let decision: StatementRequest
                do throws(CheckpointRefusal) {
                    decision = try StatementRequest(
                        decision: asked.decision, asked.statements ?? [])
                } catch {
                    throw APIProblem(error)
                }
                var subtasks = try await subtasks(of: name, asked.sourceNameList)
                if asked.sourceNameList == nil, subtasks.count > 1 {
                    subtasks = [try await onlyStopped(subtasks, of: name)]
                }
                guard asked.position == nil || subtasks.count == 1 else {
                    throw APIProblem(
                        .malformed, "a position is that of one source, and several are named",
                        remedy: "decide for each of them with its own")
                }
                return try .json(
                    ListAnswer(await statements(subtasks, decision, at: asked.position)))
            },
        ]
    }

    /// One subtask, by the settings that it runs with.
    private struct Subtask: Sendable {
        let source: String
        let settings: MigrationSettings
    }

    /// The subtask of a task of several sources that a statement has stopped.
    private func onlyStopped(_ subtasks: [Subtask], of name: String) async throws -> Subtask {
        var stopped: [String] = []
        for subtask in subtasks {
            do {
                let found = try await control.statement(.show, at: nil, subtask.settings)
                guard found.position != nil else { continue }
                stopped.append(subtask.source)
            } catch let refusal as CheckpointRefusal {
                // What has not begun, nothing has stopped.
                guard refusal.kind == .missing else { throw APIProblem(refusal) }
            }
        }
        guard let only = subtasks.first(where: { $0.source == stopped.first }) else {
            throw APIProblem(
                .decisionRefused, "no statement has stopped task '\(name)'",
                remedy: "GET shows the statements that subtasks have stopped at")
        }
        guard stopped.count == 1 else {
            throw APIProblem(
                .decisionRefused,
                "statements have stopped task '\(name)' on sources "
                    + stopped.map { "'\($0)'" }.joined(separator: ", "),
                remedy: "name the sources that the decision is for")
        }
        return only
    }

    private func statements(
        _ subtasks: [Subtask], _ request: StatementRequest, at position: String? = nil
    ) async throws -> [SubtaskStatement] {
        try await answers(subtasks) { subtask in
            try await control.statement(request, at: position, subtask.settings)
        }
    }

    // MARK: shapes

    private var shapeRoutes: [Route] {
        [
            Route(
                method: "GET", path: "/api/v1/tasks/{task_name}/shapes", access: .read,
                id: "getTaskShapes",
                summary: "The table shapes that subtasks' checkpoints hold, and where.",
                parameters: [
                    Self.sources,
                    .init(name: "schema_name", summary: "The table's schema.", isFlag: false),
                    .init(name: "table_name", summary: "Only this table.", isFlag: false),
                ], answer: "ShapesList"
            ) { request in
                let table: TableName?
                switch (request.query["schema_name"], request.query["table_name"]) {
                case (nil, nil): table = nil
                case (let schema?, let name?): table = try Self.table(schema, name)
                default:
                    throw APIProblem(
                        .malformed, "schema_name and table_name go together",
                        remedy: "give both for one table, and none for all")
                }
                let subtasks = try await subtasks(
                    of: request.name("task_name"), request.list("source_name_list"))
                let found = try await answers(subtasks) { subtask in
                    try await control.shapes(.show(table), at: nil, subtask.settings)
                }
                return try .json(ListAnswer(found))
            },
            Route(
                method: "PUT",
                path: "/api/v1/tasks/{task_name}/sources/{source_name}/shape", access: .admin,
                id: "setTaskShape",
                summary: "Sets a table's shape in the checkpoint of a subtask that rests: rows "
                    + "from its position on are read by it.",
                body: .json("ShapeRequest", isRequired: true), answer: "Shapes"
            ) { request in
                let asked = try request.json(ShapeSettingRequest.self)
                let table = try Self.table(asked.schemaName, asked.tableName)
                let change = ShapeRequest.set(
                    table, try asked.origin, hasRows: asked.rowsAreThere ?? false)
                let subtasks = try await subtasks(
                    of: request.name("task_name"), [request.name("source_name")])
                let found = try await answers(subtasks) { subtask in
                    try await control.shapes(change, at: asked.position, subtask.settings)
                }
                guard let answer = found.first else {
                    throw APIProblem.unknownSource(request.name("source_name"))
                }
                return try .json(answer)
            },
        ]
    }

    /// A table's name out of a request: no server has longer ones.
    private static func table(_ schema: String, _ name: String) throws(APIProblem) -> TableName {
        for part in [schema, name] where part.isEmpty || part.unicodeScalars.count > 64 {
            throw APIProblem(
                .malformed, "\(TextForm.shown(part)) can't be the name of a schema or table",
                remedy: "give schema_name and table_name as the source spells them")
        }
        return TableName(schema: schema, name: name)
    }

    // MARK: subtasks

    /// A task's subtasks, as its stored settings say.
    private func subtasks(of name: String, _ wanted: [String]?) async throws -> [Subtask] {
        let task = try store.settings(task: await store.task(name))
        if wanted?.isEmpty == true {
            throw APIProblem(.malformed, "the list of sources is empty")
        }
        var subtasks: [Subtask] = []
        for source in wanted ?? task.sources
        where !subtasks.contains(where: { $0.source == source }) {
            guard task.sources.contains(source) else {
                throw APIProblem(
                    .unknownSource, "source '\(source)' is none of task '\(name)'",
                    remedy: "it has \(task.sources.joined(separator: ", "))")
            }
            let settings = try await store.settings(store.source(source))
            subtasks.append(
                Subtask(source: source, settings: try task.migrationSettings(settings)))
        }
        return subtasks
    }

    /// Asks about subtasks, one after the other: of several changes, those before a refusal hold.
    private func answers<Answer: Sendable>(
        _ subtasks: [Subtask], _ ask: (Subtask) async throws -> Answer
    ) async throws -> [Answer] {
        var answers: [Answer] = []
        for subtask in subtasks {
            do {
                answers.append(try await ask(subtask))
            } catch let refusal as CheckpointRefusal {
                throw APIProblem(refusal)
            }
        }
        return answers
    }
}

extension ShapeSettingRequest {
    /// Where the shape is taken from.
    fileprivate var origin: ShapeOrigin {
        get throws(APIProblem) {
            switch (from, sqlContent) {
            case ("source"?, nil): .source
            case ("target"?, nil): .target
            case (nil, let text?): .text(text)
            default:
                throw APIProblem(
                    .malformed, "where the shape comes from must be told in one way",
                    remedy: "give \"sql_content\" with one CREATE TABLE statement, or \"from\": "
                        + "\"source\" or \"target\"")
            }
        }
    }
}

extension APIProblem {
    /// What the caller is told of a checkpoint that is not read or changed.
    fileprivate init(_ refusal: CheckpointRefusal) {
        let code: Code =
            switch refusal.kind {
            case .malformed: .malformed
            case .statement: .decisionRefused
            case .shape: .shapeRefused
            case .missing: .checkpointMissing
            case .moved: .changed
            case .server: .serverFailed
            case .busy: .unavailable
            }
        self.init(code, refusal.message, remedy: refusal.remedy)
    }
}
