internal import Cluster
internal import Metadata

// Changes of workers.

extension ClusterStore {
    /// Empties a worker, or ends that.
    func setDraining(_ worker: String, _ isDraining: Bool) async throws {
        let key = KeyLayout.drain(worker)
        if isDraining {
            let session = KeyLayout.session(worker)
            guard try await commit(if: [.exists(session)], [.put(key, [], lease: nil)]) else {
                throw APIProblem.unknownWorker(worker)
            }
        } else if try await !commit(if: [.exists(key)], [.delete(.key(key))]),
            followed.cluster.sessions[worker] == nil
        {
            throw APIProblem.unknownWorker(worker)
        }
    }

    /// Forgets a worker that has gone for good: its drain, its relay logs, its vote.
    func removeWorker(_ worker: String) async throws {
        let session = KeyLayout.session(worker)
        if try await value(session) != nil {
            throw APIProblem(
                .workerAlive, "worker '\(worker)' is alive",
                remedy: "drain it, stop it, and remove it then")
        }
        let relays = try await client.list(.prefix(KeyLayout.relays)).values.map(\.key)
            .filter { $0.hasSuffix("/" + worker) }
        var keys = relays
        for key in [KeyLayout.drain(worker), KeyLayout.root + "voters/" + worker]
        where try await value(key) != nil {
            keys.append(key)
        }
        let members = try await client.members(within: Self.patience).filter { $0.name == worker }
        if keys.isEmpty, members.isEmpty { throw APIProblem.unknownWorker(worker) }
        for start in stride(from: 0, to: keys.count, by: 100) {
            let part = keys[start..<min(start + 100, keys.count)]
            let isGone = try await commit(
                if: [.missing(session)], part.map { .delete(.key($0)) })
            guard isGone else {
                throw APIProblem(.workerAlive, "worker '\(worker)' has come back")
            }
        }
        for member in members { try await client.remove(member.id) }
    }
}

extension APIProblem {
    static func unknownWorker(_ name: String) -> APIProblem {
        APIProblem(
            .unknownWorker, "there is no worker '\(name)'",
            remedy: "`skein worker list` names those that there are")
    }
}
