internal import Cluster
internal import Settings
internal import Worker

/// What a worker says of itself, or why it says nothing.
struct WorkerReport: Sendable {
    var status: WorkerStatus?
    var problem: String?
}

/// Asks workers how they are: all at once, and none for longer than the limit.
struct StatusCollector: Sendable {
    let configuration: APIConfiguration
    let followed: FollowedState
    let control: any WorkerControl
    let peers: APIClient

    /// The word of each of the workers; of one that is not there, that.
    func reports(of workers: Set<String>) async -> [String: WorkerReport] {
        let sessions = followed.cluster.sessions
        return await withTaskGroup(of: (String, WorkerReport).self) { group in
            for worker in workers {
                group.addTask {
                    (worker, await report(of: worker, sessions[worker]?.record))
                }
            }
            var reports: [String: WorkerReport] = [:]
            for await (worker, report) in group { reports[worker] = report }
            return reports
        }
    }

    private func report(of worker: String, _ session: WorkerSession?) async -> WorkerReport {
        if worker == configuration.worker { return WorkerReport(status: control.status()) }
        guard let session else {
            return WorkerReport(problem: "worker '\(worker)' is not there")
        }
        do {
            let answer = try await peers.send(
                "GET", "/api/v1/local/status", at: url(session), within: configuration.peerLimit)
            return WorkerReport(status: try answer.value(WorkerStatus.self))
        } catch APIClientError.unreachable(let reasons) {
            let reason = reasons.joined(separator: "; ")
            return WorkerReport(problem: "worker '\(worker)' does not answer: \(reason)")
        } catch {
            return WorkerReport(problem: "worker '\(worker)' does not tell: \(error)")
        }
    }

    /// Where a worker serves the API.
    func url(_ session: WorkerSession) throws(SettingsError) -> String {
        if session.address.contains("://") { return try APIClient.url(endpoint: session.address) }
        let scheme = configuration.tls == nil ? "http" : "https"
        return try APIClient.url(endpoint: "\(scheme)://\(session.address)")
    }

    /// Lets another worker do what only it can, or this one itself.
    func act(
        at worker: String, _ path: String, body: APIClient.Body,
        here: @Sendable () async throws -> APIReply
    ) async throws -> APIReply {
        if worker == configuration.worker { return try await here() }
        guard let session = followed.cluster.sessions[worker]?.record else {
            throw APIProblem(.workerUnreachable, "worker '\(worker)' is not there")
        }
        do {
            let answer = try await peers.send(
                "POST", path, at: url(session), body: body, within: .seconds(10))
            return APIReply(body: answer.body)
        } catch let error as APIClientError {
            switch error {
            case .outcomeUnknown: throw APIProblem(.outcomeUnknown, "\(error)")
            default: throw APIProblem(.workerUnreachable, "\(error)")
            }
        }
    }
}
