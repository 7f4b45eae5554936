internal import Cluster
internal import Settings
internal import Worker

// Requests that look before anything is touched.

extension RequestHandlers {
    var checkRoutes: [Route] {
        [
            Route(
                method: "POST", path: "/api/v1/checks", access: .admin, id: "checkSettings",
                summary: "Looks, from the worker that is asked, whether a task with these settings "
                    + "could run on its sources. Nothing is written.",
                body: .settings("TaskSettings"), answer: "CheckList"
            ) { request in
                let settings = try TaskSettings(request.body, request.format(), file: "request")
                return try await check(settings)
            },
            Route(
                method: "POST", path: "/api/v1/tasks/{task_name}/check", access: .admin,
                id: "checkTask",
                summary: "Looks, from the worker that is asked, whether a task that is there can "
                    + "run on its sources. Nothing is written.",
                answer: "CheckList"
            ) { request in
                let value = try await store.task(request.name("task_name"))
                return try await check(store.settings(task: value))
            },
        ]
    }

    /// Checks a task on all its sources, some at a time: each takes two connections.
    private func check(_ task: TaskSettings) async throws -> APIReply {
        try ClusterStore.checkSupport(task.unsupported)
        var settings: [(String, MigrationSettings)] = []
        for name in task.sources {
            let source = try await store.settings(store.source(name))
            settings.append((name, try task.migrationSettings(source)))
        }
        let all = settings
        let checks = await withTaskGroup(of: SourceCheck.self) { group in
            var checks: [SourceCheck] = []
            for (index, (name, settings)) in all.enumerated() {
                if index >= Self.checksAtOnce, let check = await group.next() {
                    checks.append(check)
                }
                group.addTask { await control.check(settings, source: name) }
            }
            for await check in group { checks.append(check) }
            return checks
        }
        let answers = checks.sorted { $0.sourceName < $1.sourceName }.map {
            CheckAnswer(
                sourceName: $0.sourceName, workerName: configuration.worker,
                isPassed: $0.isPassed, results: $0.results, error: $0.error)
        }
        return try .json(ListAnswer(answers))
    }

    private static let checksAtOnce = 4
}
