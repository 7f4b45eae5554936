internal import Cluster
internal import Foundation
internal import Metadata
internal import Settings

extension KeyLayout {
    /// Touched whenever a task begins to use a source: `uses/<source>`. So the removal of a source
    /// and the creation of a task that names it exclude each other.
    static let uses = root + "uses/"

    static func use(_ source: String) -> String { uses + source }
}

/// What is wanted of the cluster, and the rules that a change of it must keep.
///
/// Every change reads what it is about from the store itself and is written in one transaction, on
/// condition that nothing of it has changed meanwhile. If it has, all is looked at again.
struct ClusterStore: Sendable {
    let client: EtcdClient
    let followed: FollowedState
    let secrets: SecretCipher

    /// How long the store may take; a caller waits no longer than some of these.
    static let patience = Duration.seconds(3)
    /// The store takes 128 steps in a transaction, and a new task needs two for each source.
    static let sourcesPerTask = 60

    func value(_ key: String) async throws -> KeyValue? {
        try await client.get(key, within: Self.patience)
    }

    /// Writes, and returns when the followed state shows it.
    ///
    /// - Returns: whether the conditions held.
    func commit(if conditions: [Condition], _ changes: [Metadata.Operation]) async throws -> Bool {
        let done = try await client.transaction(
            if: conditions, then: changes, within: Self.patience)
        if done.succeeded { await followed.arrival(of: done.revision) }
        return done.succeeded
    }

    /// Tries until what was read is still true when it is written.
    ///
    /// - Parameter body: one try; `nil` when something has changed meanwhile.
    func untilUnchanged<Result>(
        _ what: String, _ body: () async throws -> Result?
    ) async throws -> Result {
        for _ in 0..<20 {
            if let result = try await body() { return result }
        }
        throw APIProblem(
            .unavailable, "\(what) is being changed by others all the time", remedy: "try again")
    }

    /// Refuses a change of a record that is not the one the caller has seen.
    func check(_ seen: Revision?, is value: KeyValue, _ what: String) throws(APIProblem) {
        guard let seen, seen != value.modRevision else { return }
        throw APIProblem(
            .changed, "\(what) was changed by somebody else since revision \(seen)",
            remedy: "read it again, and decide")
    }
}

extension ClusterStore {
    /// Makes sure that this worker's key is the one that the cluster's passwords are encrypted with.
    func checkSecretKey() async throws {
        let own = Array(secrets.fingerprint.utf8)
        guard try await client.claim(KeyLayout.secretKey, own) else {
            throw SettingsError(
                "this worker has another key file than the cluster: copy the key file of a worker "
                    + "that is in it")
        }
    }
}

/// A record, `nil` when it is not one: of a newer worker, perhaps.
func decoded<Record: Decodable>(_ type: Record.Type, _ value: KeyValue) -> Record? {
    try? JSONDecoder().decode(type, from: Data(value.value))
}
