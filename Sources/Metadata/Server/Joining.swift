internal import Runtime

extension EtcdServer {
    /// Adds this worker to a running cluster as a member without a vote, so that it can be started.
    ///
    /// A member with the same peer address or name that this worker has no data of is removed first:
    /// it has lost its data folder. Starting it again under its old number could make it vote twice.
    /// Only one that this process has added, and that never had data, is started as it is.
    ///
    /// - Parameters:
    ///   - client: reaches the cluster.
    ///   - limit: how long to try while the members cannot be changed.
    /// - Returns: what to start the member with.
    /// - Throws: the last `MetadataError` when it was not possible in time.
    public func join(
        through client: EtcdClient, within limit: Duration = .seconds(60)
    ) async throws -> EtcdFormation {
        if hasData { return .existing }
        return try await untilReady(within: limit) {
            let members = try await client.members()
            if let id = self.unbegun,
                members.contains(where: { $0.id == id && $0.isLearner && !$0.hasStarted })
            {
                return .joining(members)
            }
            for member in members where self.isLost(member) {
                try await client.remove(member.id)
            }
            let added = try await client.addLearner(peerURL: self.settings.peerURL)
            self.unbegun = added.member.id
            return .joining(added.members)
        }
    }

    private func isLost(_ member: Member) -> Bool {
        member.peerURLs.contains(settings.peerURL) || member.name == settings.name
    }

    /// Gives this worker's member a vote as soon as it has caught up. It has to be running.
    public func becomeVoter(
        through client: EtcdClient, within limit: Duration = .seconds(60)
    ) async throws {
        try await untilReady(within: limit) {
            guard case .up(let status) = self.condition else {
                throw MetadataError(.membersNotReady, "the member does not answer yet")
            }
            let members = try await client.members()
            guard let own = members.first(where: { $0.id == status.id }) else {
                throw MetadataError(.memberNotFound, "the cluster has no member \(status.id)")
            }
            if own.isLearner { try await client.promote(status.id) }
        }
    }

    /// Tries again while the members cannot be changed, or the outcome of a try is not known: every
    /// try begins by looking.
    private func untilReady<Result: Sendable>(
        within limit: Duration, _ body: () async throws -> Result
    ) async throws -> Result {
        let deadline = ContinuousClock.now + limit
        while true {
            do {
                return try await body()
            } catch let error as MetadataError {
                guard error.isTransient, ContinuousClock.now < deadline else { throw error }
            }
            try await Task.sleep(for: .milliseconds(150))
        }
    }
}
