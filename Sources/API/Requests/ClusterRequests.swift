internal import Cluster
internal import Metadata

// Requests about the cluster and its workers.

extension RequestHandlers {
    var clusterRoutes: [Route] {
        [
            Route(
                method: "GET", path: "/api/v1/cluster/info", access: .read, id: "getCluster",
                summary: "The cluster: its leader, its workers, its store.", answer: "Cluster"
            ) { _ in try .json(await cluster()) },
            Route(
                method: "GET", path: "/api/v1/cluster/workers", access: .read, id: "getWorkers",
                summary: "The workers, those that are gone and not forgotten included.",
                parameters: [Self.withStatus], answer: "WorkerList"
            ) { request in
                try .json(ListAnswer(await workers(asking: request.flag("with_status"))))
            },
            Route(
                method: "DELETE", path: "/api/v1/cluster/workers/{worker_name}", access: .admin,
                id: "removeWorker",
                summary: "Forgets a worker that has gone for good, and takes its vote.",
                answer: "Done"
            ) { request in
                let name = request.name("worker_name")
                try await store.removeWorker(name)
                return try .done("worker '\(name)' was removed")
            },
            Route(
                method: "POST", path: "/api/v1/cluster/workers/{worker_name}/drain",
                access: .admin, id: "drainWorker",
                summary: "Moves all sources of a worker to others; it gets none until this ends.",
                answer: "Done"
            ) { request in
                let name = request.name("worker_name")
                try await store.setDraining(name, true)
                return try .done("worker '\(name)' is being emptied")
            },
            Route(
                method: "DELETE", path: "/api/v1/cluster/workers/{worker_name}/drain",
                access: .admin, id: "undrainWorker", summary: "Lets a worker have sources again.",
                answer: "Done"
            ) { request in
                let name = request.name("worker_name")
                try await store.setDraining(name, false)
                return try .done("worker '\(name)' may have sources again")
            },
        ]
    }

    static let withStatus = Route.Parameter(
        name: "with_status", summary: "Ask the workers, each for at most a second.")

    private func cluster() async -> ClusterAnswer {
        let state = followed.cluster
        async let members = voters()
        async let isAvailable = isStoreAvailable()
        return ClusterAnswer(
            leader: followed.leader, answeredBy: configuration.worker,
            version: configuration.version, isStoreAvailable: await isAvailable,
            revision: state.revision, workers: workers(state, reports: [:]),
            voters: await members, sourceCount: state.sources.count,
            unboundSourceCount: state.unboundSources, taskCount: state.tasks.count,
            unreadableKeys: state.unreadable.sorted())
    }

    /// A read that needs a majority, and changes nothing.
    private func isStoreAvailable() async -> Bool {
        do {
            _ = try await store.client.get(KeyLayout.leader, within: configuration.peerLimit)
            return true
        } catch {
            return false
        }
    }

    private func voters() async -> [ClusterAnswer.Voter] {
        let members = try? await store.client.members(within: configuration.peerLimit)
        return (members ?? []).map { .init(name: $0.name, isLearner: $0.isLearner) }
            .sorted { $0.name < $1.name }
    }

    private func workers(asking: Bool) async -> [WorkerAnswer] {
        let state = followed.cluster
        guard asking else { return workers(state, reports: [:]) }
        return workers(state, reports: await collector.reports(of: Set(state.sessions.keys)))
    }

    private func workers(
        _ state: ClusterState, reports: [String: WorkerReport]
    ) -> [WorkerAnswer] {
        var names = Set(state.sessions.keys).union(state.drains)
        var relays: [String: [String]] = [:]
        for (source, holders) in state.relays {
            for holder in holders { relays[holder, default: []].append(source) }
        }
        var bound: [String: [String]] = [:]
        for (source, binding) in state.bindings {
            if let worker = binding.record.worker { bound[worker, default: []].append(source) }
        }
        names.formUnion(relays.keys)
        names.formUnion(bound.keys)
        return names.sorted().map { name in
            let session = state.sessions[name]?.record
            let report = reports[name]
            return WorkerAnswer(
                name: name, addr: session?.address, isLeader: followed.leader == name,
                state: session == nil
                    ? "gone"
                    : session?.isLeaving == true
                        ? "leaving" : state.drains.contains(name) ? "draining" : "alive",
                boundSourceNameList: (bound[name] ?? []).sorted(),
                relaySourceNameList: (relays[name] ?? []).sorted(),
                isReachable: report.map { $0.status != nil }, errorMsg: report?.problem)
        }
    }
}
