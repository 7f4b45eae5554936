internal import Cluster
internal import Metadata
internal import Settings
internal import Worker

/// What answers requests, and the table of all of them.
struct RequestHandlers: Sendable {
    let configuration: APIConfiguration
    let store: ClusterStore
    let followed: FollowedState
    let control: any WorkerControl
    let collector: StatusCollector
    let peers: APIClient
    let metrics: RequestMetrics
    /// When the certificate that this worker serves with ends, in seconds since 1970.
    let certificateEnd: Double?

    /// Every operation, in the order of the document.
    var routes: [Route] {
        clusterRoutes + sourceRoutes + taskRoutes + checkRoutes + checkpointRoutes + localRoutes
            + machineRoutes
    }

    // MARK: For machines

    private var machineRoutes: [Route] {
        [
            Route(
                method: "GET", path: "/healthz", access: .anybody, id: "getHealth",
                summary: "Tells that the process serves requests."
            ) { _ in APIReply(body: Array("ok\n".utf8), contentType: "text/plain") },
            Route(
                method: "GET", path: "/readyz", access: .anybody, id: "getReadiness",
                summary: "Tells whether the worker knows the cluster's state; 503 before that."
            ) { _ in
                let isReady = followed.isKnown
                return APIReply(
                    status: isReady ? 200 : 503,
                    body: Array((isReady ? "ready\n" : "starting\n").utf8),
                    contentType: "text/plain")
            },
            Route(
                method: "GET", path: "/metrics", access: .read, id: "getMetrics",
                summary: "The worker's metrics in the text format of Prometheus."
            ) { _ in
                var out = MetricsText()
                ClusterMetrics(
                    cluster: followed.cluster, isLeader: followed.leader == configuration.worker,
                    configuration: configuration, certificateEnd: certificateEnd
                ).write(to: &out)
                WorkerMetrics(status: control.status(), measures: control.measures())
                    .write(to: &out)
                StoreMetrics(readings: store.client.measures.readings).write(to: &out)
                metrics.write(to: &out)
                return APIReply(
                    body: Array(out.text.utf8), contentType: "text/plain; version=0.0.4")
            },
            Route(
                method: "GET", path: "/api/v1/openapi.json", access: .anybody, id: "getDocument",
                summary: "This document."
            ) { _ in APIReply(body: OpenAPIDocument(routes: routes).bytes) },
        ]
    }

    // MARK: What only this worker can tell or do

    private var localRoutes: [Route] {
        [
            Route(
                method: "GET", path: "/api/v1/local/status", access: .read, id: "getLocalStatus",
                summary: "What the worker that is asked does; other workers ask for it.",
                answer: "WorkerStatus"
            ) { _ in try .json(control.status()) },
            Route(
                method: "GET", path: "/api/v1/local/store", access: .read, id: "getLocalStore",
                summary:
                    "Where the worker that is asked reaches the store; a worker that joins asks.",
                answer: "Store"
            ) { _ in
                try .json(StoreAnswer(endpointList: store.client.endpoints.map(\.description)))
            },
            Route(
                method: "POST", path: "/api/v1/local/relays/{source_name}/purge", access: .admin,
                id: "purgeLocalRelay",
                summary: "Removes files of the relay log on the worker that is asked.",
                body: .json("RelayPurgeRequest", isRequired: true), answer: "Done"
            ) { request in
                try await purgeHere(
                    request.name("source_name"), request.json(RelayPurgeRequest.self))
            },
            Route(
                method: "POST",
                path: "/api/v1/local/tasks/{task_name}/sources/{source_name}/verify",
                access: .admin, id: "verifyLocalSubtask",
                summary: "Compares a subtask's tables that runs on the worker that is asked.",
                answer: "Done"
            ) { request in
                try await verifyHere(request.name("task_name"), request.name("source_name"))
            },
        ]
    }

    func purgeHere(_ source: String, _ request: RelayPurgeRequest) async throws -> APIReply {
        do {
            let wanted = request.relayBinlogName
            let done = try await control.purgeRelay(
                of: source, before: wanted, inUse: request.force ?? false)
            // The request may have the folder in front of it.
            let first = done.firstFile ?? wanted
            let isShort = wanted.split(separator: "/").last.map { String($0) } != first
            return try .json(
                DoneAnswer(
                    "the relay log of source '\(source)' begins with \(first) now"
                        + (isShort ? ": from there on it is read or needed" : ""),
                    freedBytes: done.freedBytes))
        } catch let error as CancellationError {
            throw error
        } catch {
            throw APIProblem(.relayRefused, "\(error)")
        }
    }

    func verifyHere(_ task: String, _ source: String) async throws -> APIReply {
        do {
            try await control.verify(task: task, source: source)
        } catch let error as CancellationError {
            throw error
        } catch WorkerError.isVerifying {
            // What was asked for goes on: whoever asks once more, after an answer that was lost or
            // was another source's refusal, is not refused for it.
        } catch {
            throw APIProblem(.verifyRefused, "\(error)")
        }
        return try .done("task '\(task)' is compared on source '\(source)'")
    }
}
