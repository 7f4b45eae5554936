internal import Cluster
internal import Metadata
internal import Settings
internal import Worker

// Requests about sources and their relay logs.

extension RequestHandlers {
    var sourceRoutes: [Route] { sourceRecordRoutes + sourceActionRoutes }

    private var sourceRecordRoutes: [Route] {
        [
            Route(
                method: "GET", path: "/api/v1/sources", access: .read, id: "getSources",
                summary: "The sources.", parameters: [Self.withStatus], answer: "SourceList"
            ) { request in
                let state = followed.cluster
                return try .json(
                    ListAnswer(
                        await sources(
                            state.sources.keys.sorted(), state, asking: request.flag("with_status"))
                    ))
            },
            Route(
                method: "POST", path: "/api/v1/sources", access: .admin, id: "createSource",
                summary: "Adds a source.", body: .settings("SourceSettings"), answer: "Source",
                status: 201
            ) { request in
                let settings = try SourceSettings(
                    request.body, request.format(), file: "request")
                try await store.createSource(settings)
                return try source(settings.name, status: 201)
            },
            Route(
                method: "GET", path: "/api/v1/sources/{source_name}", access: .read,
                id: "getSource", summary: "A source with its settings, but for its password.",
                parameters: [Self.withStatus], answer: "Source"
            ) { request in
                let state = followed.cluster
                let name = request.name("source_name")
                guard let stored = state.sources[name],
                    let source = await sources(
                        [name], state, asking: try request.flag("with_status")
                    ).first
                else { throw APIProblem.unknownSource(name) }
                return try .json(source, revision: stored.revision)
            },
            Route(
                method: "PUT", path: "/api/v1/sources/{source_name}", access: .admin,
                id: "updateSource",
                summary:
                    "Replaces a source's settings; without a password the old one stays, and so "
                    + "do enable, relay-workers and relay (enable-relay) that are not named.",
                body: .settings("SourceSettings"), answer: "Source", isConditional: true
            ) { request in
                let name = request.name("source_name")
                let settings = try SourceSettings(
                    request.body, request.format(), file: "request", name: name)
                let keys = try SourceSettings.keys(
                    in: request.body, request.format(), file: "request")
                try await store.updateSource(settings, naming: keys, seen: request.seen)
                return try source(name)
            },
            Route(
                method: "DELETE", path: "/api/v1/sources/{source_name}", access: .admin,
                id: "deleteSource", summary: "Removes a source that no task uses.", answer: "Done"
            ) { request in
                let name = request.name("source_name")
                try await store.removeSource(name)
                return try .done("source '\(name)' was removed")
            },
            Route(
                method: "GET", path: "/api/v1/sources/{source_name}/status", access: .read,
                id: "getSourceStatus",
                summary: "What the workers say of a source, each asked for at most a second.",
                answer: "SourceStatusList"
            ) { request in
                let state = followed.cluster
                let name = request.name("source_name")
                guard state.sources[name] != nil else { throw APIProblem.unknownSource(name) }
                let answer = await sources([name], state, asking: true)
                return try .json(ListAnswer(answer.first?.statusList ?? []))
            },
        ]
    }

    private var sourceActionRoutes: [Route] {
        [
            sourceAction("enable", "Lets a source have a worker.") { name, _ in
                try await store.setSource(name, enabled: true)
                return "source '\(name)' is enabled"
            },
            sourceAction(
                "disable", "Takes a source's worker away: all its subtasks rest."
            ) { name, _ in
                try await store.setSource(name, enabled: false)
                return "source '\(name)' is disabled"
            },
            sourceAction(
                "transfer", "Moves a source to another worker.",
                .json("TransferRequest", isRequired: true)
            ) { name, request in
                let worker = try request.json(TransferRequest.self).workerName
                guard RecordName.isValid(worker) else { throw APIProblem.unknownWorker(worker) }
                try await store.transferSource(name, to: worker)
                return "source '\(name)' is bound to worker '\(worker)'"
            },
            sourceAction(
                "relay/enable",
                "Keeps the source's binlog on its worker, or a copy of it on the one that is named.",
                .json("RelayRequest", isRequired: false)
            ) { name, request in
                if let worker = try request.json(RelayRequest.self).workerName {
                    guard RecordName.isValid(worker) else { throw APIProblem.unknownWorker(worker) }
                    try await store.setRelayCopy(name, at: worker, true)
                    return "worker '\(worker)' keeps a copy of the relay log of source '\(name)'"
                }
                try await store.changeSource(name) { $0.keepingRelay(true) }
                return "a relay log of source '\(name)' is kept"
            },
            sourceAction(
                "relay/disable",
                "Keeps no more binlog of the source, or no copy on the worker that is named.",
                .json("RelayRequest", isRequired: false)
            ) { name, request in
                if let worker = try request.json(RelayRequest.self).workerName {
                    guard RecordName.isValid(worker) else { throw APIProblem.unknownWorker(worker) }
                    try await store.setRelayCopy(name, at: worker, false)
                    return "worker '\(worker)' is not told to keep a copy any more"
                }
                try await store.changeSource(name) { $0.keepingRelay(false) }
                return "no relay log of source '\(name)' is kept"
            },
            Route(
                method: "POST", path: "/api/v1/sources/{source_name}/relay/purge", access: .admin,
                id: "purgeSourceRelay",
                summary: "Removes files of a source's relay log on its worker.",
                body: .json("RelayPurgeRequest", isRequired: true), answer: "Done"
            ) { request in
                let name = request.name("source_name")
                let body = try request.json(RelayPurgeRequest.self)
                return try await collector.act(
                    at: boundWorker(name), "/api/v1/local/relays/\(name)/purge", body: .json(body)
                ) { try await purgeHere(name, body) }
            },
        ]
    }

    private func sourceAction(
        _ action: String, _ summary: String, _ body: Route.Body = .none,
        _ act: @Sendable @escaping (String, APIRequest) async throws -> String
    ) -> Route {
        Route(
            method: "POST", path: "/api/v1/sources/{source_name}/\(action)", access: .admin,
            id: action.hasPrefix("relay/")
                ? "\(action.dropFirst(6))SourceRelay" : "\(action)Source",
            summary: summary, body: body, answer: "Done"
        ) { request in try .done(await act(request.name("source_name"), request)) }
    }

    /// The worker that a source is bound to.
    func boundWorker(_ name: String) throws(APIProblem) -> String {
        let state = followed.cluster
        guard state.sources[name] != nil else { throw APIProblem.unknownSource(name) }
        guard let worker = state.bindings[name]?.record.worker else {
            throw APIProblem(
                .notBound, "source '\(name)' has no worker now",
                remedy:
                    "`skein source show \(name)` tells whether it is enabled and where it may run")
        }
        return worker
    }

    /// A source as a change has left it.
    private func source(_ name: String, status: Int = 200) throws -> APIReply {
        let state = followed.cluster
        guard let stored = state.sources[name] else {
            return try .done("source '\(name)' was stored", status: status)
        }
        return try .json(answer(name, stored, state), status: status, revision: stored.revision)
    }

    private func sources(
        _ names: [String], _ state: ClusterState, asking: Bool
    ) async -> [SourceAnswer] {
        var reports: [String: WorkerReport] = [:]
        if asking {
            reports = await collector.reports(of: Set(names.flatMap { workers(of: $0, state) }))
        }
        let uses = state.tasksBySource
        return names.compactMap { name in
            guard let stored = state.sources[name] else { return nil }
            var answer = answer(name, stored, state, uses)
            if asking { answer.statusList = statuses(of: name, state, reports) }
            return answer
        }
    }

    /// The worker that runs a source and those that keep its relay log.
    private func workers(of source: String, _ state: ClusterState) -> Set<String> {
        var workers = state.relays[source] ?? []
        if let bound = state.bindings[source]?.record.worker { workers.insert(bound) }
        return workers
    }

    private func statuses(
        of source: String, _ state: ClusterState, _ reports: [String: WorkerReport]
    ) -> [SourceStatusAnswer] {
        workers(of: source, state).sorted().map { worker in
            SourceStatusAnswer(
                sourceName: source, workerName: worker,
                isBound: state.bindings[source]?.record.worker == worker,
                relay: reports[worker]?.status?.relays.first { $0.source == source }?.log,
                errorMsg: reports[worker]?.problem)
        }
    }

    private func answer(
        _ name: String, _ stored: ClusterState.Stored<SourceRecord>, _ state: ClusterState,
        _ uses: [String: [String]]? = nil
    ) -> SourceAnswer {
        let record = stored.record
        var settings = JSONValue.shown(stored: record.settings)
        if case .object(var object) = settings {
            if !record.isEnabled { object["enable"] = .flag(false) }
            if let workers = record.allowedWorkers {
                object["workers"] = .list(workers.sorted().map { .text($0) })
            }
            if let count = record.relayReplicas {
                object["relay-replicas"] = .integer(Int64(count))
            }
            if let workers = record.relayWorkers {
                object["relay-workers"] = .list(workers.sorted().map { .text($0) })
            }
            settings = .object(object)
        }
        let binding = state.bindings[name]?.record
        return SourceAnswer(
            sourceName: name, enable: record.isEnabled, worker: binding?.worker,
            epoch: binding?.epoch, relayWorkers: (state.relays[name] ?? []).sorted(),
            taskNameList: (uses ?? state.tasksBySource)[name] ?? [], settings: settings,
            revision: stored.revision)
    }
}

extension SourceSettings {
    fileprivate func keepingRelay(_ keepsRelay: Bool) -> SourceSettings {
        var settings = self
        settings.keepsRelay = keepsRelay
        return settings
    }
}

extension ClusterState {
    /// The tasks that read from each source.
    fileprivate var tasksBySource: [String: [String]] {
        var uses: [String: [String]] = [:]
        for (name, task) in tasks.sorted(by: { $0.key < $1.key }) {
            for source in task.record.sources ?? [] { uses[source, default: []].append(name) }
        }
        return uses
    }
}
