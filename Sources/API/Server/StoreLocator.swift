public import Logging
internal import Settings

/// Asks workers where the cluster's store is: most workers have no member of it.
public struct StoreLocator: Sendable {
    private let configuration: APIConfiguration
    private let workers: [String]
    private let log: Logger

    /// How long one worker may take.
    private static let limit = Duration.seconds(2)

    /// Makes one that asks as a worker of the cluster does.
    ///
    /// - Parameters:
    ///   - workers: their addresses, as `host:port`.
    ///   - configuration: that of this worker's own API.
    public init(workers: [String], configuration: APIConfiguration, log: Logger) {
        self.configuration = configuration
        self.workers = workers
        self.log = log
    }

    /// The members of the store that those of the workers know which answer, as `host:port`.
    public func endpoints() async -> [String] {
        let client: APIClient
        do {
            client = try APIClient(
                endpoints: [], token: configuration.secrets.token(for: .peers),
                authorityFile: configuration.tls?.authorityFile, limit: Self.limit)
        } catch {
            log.warning("workers can't be asked", metadata: ["reason": "\(error)"])
            return []
        }
        var found: [String] = []
        for worker in workers {
            do {
                for endpoint in try await ask(worker, client) where !found.contains(endpoint) {
                    found.append(endpoint)
                }
            } catch {
                log.debug(
                    "a worker does not tell where the store is",
                    metadata: ["worker": "\(worker)", "reason": "\(error)"])
            }
        }
        await client.shutdown()
        return found
    }

    private func ask(_ worker: String, _ client: APIClient) async throws -> [String] {
        let scheme = configuration.tls == nil ? "http" : "https"
        let answer = try await client.send(
            "GET", "/api/v1/local/store", at: APIClient.url(endpoint: "\(scheme)://\(worker)"),
            within: Self.limit)
        return try answer.value(StoreAnswer.self).endpointList
    }
}
