internal import Cluster
internal import Metadata
internal import Settings
internal import Worker

// Requests about tasks and their subtasks.

extension RequestHandlers {
    var taskRoutes: [Route] { taskRecordRoutes + taskActionRoutes }

    private static let sources = Route.Parameter(
        name: "source_name_list", summary: "Only these sources, separated by commas.",
        isFlag: false)

    private var taskRecordRoutes: [Route] {
        [
            Route(
                method: "GET", path: "/api/v1/tasks", access: .read, id: "getTasks",
                summary: "The tasks.", parameters: [Self.withStatus], answer: "TaskList"
            ) { request in
                let state = followed.cluster
                return try .json(
                    ListAnswer(
                        await tasks(
                            state.tasks.keys.sorted(), state, asking: request.flag("with_status"))))
            },
            Route(
                method: "POST", path: "/api/v1/tasks", access: .admin, id: "createTask",
                summary: "Adds a task; its subtasks are stopped unless it is started at once.",
                parameters: [.init(name: "start", summary: "Start all its subtasks too.")],
                body: .settings("TaskSettings"), answer: "Task", status: 201
            ) { request in
                let settings = try TaskSettings(request.body, request.format(), file: "request")
                try await store.createTask(settings, starting: request.flag("start"))
                return try task(settings.name, status: 201)
            },
            Route(
                method: "GET", path: "/api/v1/tasks/{task_name}", access: .read, id: "getTask",
                summary: "A task with its settings, but for its password.",
                parameters: [Self.withStatus], answer: "Task"
            ) { request in
                let state = followed.cluster
                let name = request.name("task_name")
                guard let stored = state.tasks[name],
                    let task = await tasks(
                        [name], state, asking: try request.flag("with_status")
                    ).first
                else { throw APIProblem.unknownTask(name) }
                return try .json(task, revision: stored.revision)
            },
            Route(
                method: "PUT", path: "/api/v1/tasks/{task_name}", access: .admin, id: "updateTask",
                summary: "Replaces the settings of a task; while it runs, only its tables, lanes, "
                    + "readers and memory may differ. Without a password the old one stays.",
                body: .settings("TaskSettings"), answer: "Task", isConditional: true
            ) { request in
                let name = request.name("task_name")
                let settings = try TaskSettings(
                    request.body, request.format(), file: "request", name: name)
                try await store.updateTask(settings, seen: request.seen)
                return try task(name)
            },
            Route(
                method: "DELETE", path: "/api/v1/tasks/{task_name}", access: .admin,
                id: "deleteTask",
                summary: "Removes a task that is stopped; what it wrote stays in the target.",
                parameters: [.init(name: "force", summary: "Also one that is not stopped.")],
                answer: "Done"
            ) { request in
                let name = request.name("task_name")
                try await store.removeTask(name, force: request.flag("force"))
                return try .done("task '\(name)' was removed")
            },
            Route(
                method: "GET", path: "/api/v1/tasks/{task_name}/status", access: .read,
                id: "getTaskStatus",
                summary: "What the workers say of a task, each asked for at most a second.",
                parameters: [Self.sources], answer: "SubtaskList"
            ) { request in
                let state = followed.cluster
                let name = request.name("task_name")
                guard state.tasks[name] != nil else { throw APIProblem.unknownTask(name) }
                let task = await tasks([name], state, asking: true).first
                let only = request.list("source_name_list")
                return try .json(
                    ListAnswer(
                        (task?.statusList ?? []).filter { only?.contains($0.sourceName) ?? true }))
            },
        ]
    }

    private var taskActionRoutes: [Route] {
        [
            stageRoute(
                .start,
                "Lets subtasks run, from their checkpoints where they have any. Those that "
                    + "have reached their goal only when they are named, or when all have."),
            stageRoute(.stop, "Ends subtasks; their checkpoints stay."),
            stageRoute(.pause, "Lets subtasks rest on their workers."),
            stageRoute(
                .resume,
                "Lets subtasks go on that rest, or that wait after an error. Those that "
                    + "have reached their goal only when they are named, or when all have."),
            Route(
                method: "POST", path: "/api/v1/tasks/{task_name}/verify", access: .admin,
                id: "verifyTask", summary: "Compares the tables of source and target now.",
                body: .json("SourceListRequest", isRequired: false), answer: "Done"
            ) { request in
                try await verify(
                    request.name("task_name"),
                    request.json(SourceListRequest.self).sourceNameList)
            },
        ]
    }

    private func stageRoute(_ change: StageChange, _ summary: String) -> Route {
        Route(
            method: "POST", path: "/api/v1/tasks/{task_name}/\(change.rawValue)", access: .admin,
            id: "\(change.rawValue)Task", summary: summary,
            body: .json("SourceListRequest", isRequired: false), answer: "Done"
        ) { request in
            let name = request.name("task_name")
            let outcome = try await store.change(
                name, change, sources: request.json(SourceListRequest.self).sourceNameList)
            let others = outcome.sources.filter { !outcome.finished.contains($0) }
            var words = "task '\(name)' is to be \(change.wanted.rawValue) on \(Self.list(others))"
            if !outcome.finished.isEmpty {
                words +=
                    "; it stays finished on \(Self.list(outcome.finished)), where it has reached "
                    + "its goal: name them by --source (source_name_list) to let them run again"
            }
            return try .done(words)
        }
    }

    private static func list(_ names: [String]) -> String {
        names.map { "'\($0)'" }.joined(separator: ", ")
    }

    /// Has a task's tables compared on each of its sources, or of those that are named. What one
    /// source's worker refuses keeps no other one from it.
    private func verify(_ name: String, _ wanted: [String]?) async throws -> APIReply {
        guard let task = followed.cluster.tasks[name] else { throw APIProblem.unknownTask(name) }
        let all = task.record.sources ?? []
        if wanted?.isEmpty == true {
            throw APIProblem(.malformed, "the list of sources is empty")
        }
        for source in wanted ?? [] where !all.contains(source) {
            throw APIProblem(
                .unknownSource, "source '\(source)' is none of task '\(name)'",
                remedy: "it has \(all.joined(separator: ", "))")
        }
        var begun: [String] = []
        var refused: [(source: String, problem: APIProblem)] = []
        for source in all where wanted?.contains(source) ?? true {
            do {
                _ = try await collector.act(
                    at: boundWorker(source),
                    "/api/v1/local/tasks/\(name)/sources/\(source)/verify",
                    body: .json([String: String]())
                ) { try await verifyHere(name, source) }
                begun.append(source)
            } catch let problem as APIProblem {
                refused.append((source, problem))
            }
        }
        guard let first = refused.first else {
            return try .done("task '\(name)' is being compared on \(Self.list(begun))")
        }
        if all.count == 1 { throw first.problem }
        var words = refused.map {
            "on '\($0.source)' task '\(name)' is not compared: \($0.problem.message)"
        }
        if !begun.isEmpty { words.append("it is being compared on \(Self.list(begun))") }
        throw APIProblem(
            APIProblem.Code(rawValue: first.problem.code) ?? .verifyRefused,
            words.joined(separator: "; "), remedy: first.problem.remedy)
    }

    /// A task as a change has left it.
    private func task(_ name: String, status: Int = 200) throws -> APIReply {
        let state = followed.cluster
        guard let stored = state.tasks[name] else {
            return try .done("task '\(name)' was stored", status: status)
        }
        return try .json(answer(name, stored, state), status: status, revision: stored.revision)
    }

    private func tasks(
        _ names: [String], _ state: ClusterState, asking: Bool
    ) async -> [TaskAnswer] {
        let found = names.compactMap { name in state.tasks[name].map { (name, $0) } }
        var reports: [String: [ClusterState.Subtask: SubtaskStatus]] = [:]
        var problems: [String: String] = [:]
        if asking {
            let workers = found.flatMap { $0.1.record.sources ?? [] }
                .compactMap { state.bindings[$0]?.record.worker }
            for (worker, report) in await collector.reports(of: Set(workers)) {
                problems[worker] = report.problem
                reports[worker] = Dictionary(
                    (report.status?.subtasks ?? []).map {
                        (ClusterState.Subtask(task: $0.task, source: $0.source), $0)
                    }
                ) { first, _ in first }
            }
        }
        return found.map { name, stored in
            var answer = answer(name, stored, state)
            if asking {
                answer.statusList = answer.stages.map { stage in
                    let worker = state.bindings[stage.sourceName]?.record.worker
                    let it = ClusterState.Subtask(task: name, source: stage.sourceName)
                    return subtask(
                        it, wanted: stage.stage, worker, worker.flatMap { reports[$0]?[it] },
                        worker.flatMap { problems[$0] },
                        isOver: state.histories[it]?.record.finish != nil)
                }
            }
            return answer
        }
    }

    private func subtask(
        _ it: ClusterState.Subtask, wanted: String, _ worker: String?, _ status: SubtaskStatus?,
        _ problem: String?, isOver: Bool
    ) -> SubtaskAnswer {
        var stage = status?.stage.rawValue ?? "Unknown"
        var reason = problem
        if status == nil, wanted != Stage.stopped.rawValue, isOver {
            // Known without a worker.
            stage = SubtaskStatus.Stage.finished.rawValue
        } else if status == nil, problem == nil {
            if wanted == Stage.stopped.rawValue {
                stage = SubtaskStatus.Stage.stopped.rawValue
            } else if worker == nil {
                reason = "source '\(it.source)' has no worker now"
            } else {
                stage = SubtaskStatus.Stage.new.rawValue
            }
        }
        return SubtaskAnswer(
            name: it.task, sourceName: it.source, wanted: wanted, workerName: worker, stage: stage,
            unit: status?.unit.rawValue, status: status, errorMsg: reason)
    }

    private func answer(
        _ name: String, _ stored: ClusterState.Stored<TaskRecord>, _ state: ClusterState
    ) -> TaskAnswer {
        let sources = stored.record.sources ?? []
        return TaskAnswer(
            name: name, sourceNameList: sources,
            stages: sources.map { source in
                let stage = state.stages[.init(task: name, source: source)] ?? .stopped
                return StageAnswer(sourceName: source, stage: stage.rawValue)
            }, settings: JSONValue.shown(stored: stored.record.settings),
            revision: stored.revision)
    }
}
