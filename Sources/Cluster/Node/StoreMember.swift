internal import Logging
internal import Metadata
internal import Synchronization

/// This worker's own member of the store: formed, joined when the leader says so, and put aside
/// when it was removed.
final class StoreMember: Sendable {
    let server: EtcdServer
    private let client: EtcdClient
    private let log: Logger
    private let isWanted = Mutex(false)

    /// How long a member that does not answer may be missing among the members until it is taken
    /// for removed. One that was just added may not be known everywhere yet.
    private static let doubt = Duration.seconds(5)

    init(_ settings: EtcdServerSettings, client: EtcdClient, log: Logger) {
        server = EtcdServer(settings, log: log)
        self.client = client
        self.log = log
    }

    /// Whether it answers, and has a vote: then it is the best one to ask.
    var isUseful: Bool {
        if case .up(let status) = server.condition { return !status.isLearner }
        return false
    }

    /// Says whether the leader wants this worker to have a member.
    func setWanted(_ wanted: Bool) { isWanted.withLock { $0 = wanted } }

    /// Runs the member whenever there is to be one, until the task is cancelled.
    ///
    /// - Parameter forms: whether it makes a new cluster, if it has no data.
    func run(forms: Bool) async throws {
        var formation: EtcdFormation? = server.hasData ? .existing : forms ? .alone : nil
        while true {
            if let next = formation {
                try await runUntilRemoved(next)
                log.notice("this worker's member of the store was removed")
                await discard()
                formation = nil
            }
            while !isWanted.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(100)) }
            do {
                formation = try await server.join(through: client)
            } catch let error as MetadataError {
                log.warning("cannot join the store yet", metadata: ["reason": "\(error)"])
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// Removes what a member that was removed has left: it must never start with it again. A disk
    /// that refuses is no reason to end what runs here.
    private func discard() async {
        while !Task.isCancelled {
            do {
                return try server.discardData()
            } catch {
                log.error("cannot put the store's data aside", metadata: ["reason": "\(error)"])
            }
            try? await Task.sleep(for: .seconds(5))
        }
    }

    /// Returns when the member is no longer one.
    private func runUntilRemoved(_ formation: EtcdFormation) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.keepRunning(formation) }
            group.addTask { try await self.removal() }
            defer { group.cancelAll() }
            try await group.next()
            group.cancelAll()
            // The program is gone when this returns: nothing may write to its folder any more.
            while let ended = await group.nextResult() {
                if case .failure(let error) = ended, !(error is CancellationError) { throw error }
            }
        }
    }

    /// What keeps a program from being started once need not do so later: it is no reason to end what
    /// runs on this worker.
    private func keepRunning(_ formation: EtcdFormation) async throws {
        while true {
            do {
                try await server.run(formation)
            } catch let error as MetadataError where server.starts > 0 {
                log.error("the store can't be started", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func removal() async throws {
        var missingSince: ContinuousClock.Instant?
        while true {
            try await Task.sleep(for: .milliseconds(500))
            if case .up = server.condition {
                missingSince = nil
                continue
            }
            guard let members = try? await client.members(within: .seconds(2)) else {
                try Task.checkCancellation()
                missingSince = nil
                continue
            }
            let isMember = members.contains {
                $0.name == server.settings.name
                    || $0.peerURLs.contains(server.settings.peerURL)
            }
            if isMember {
                missingSince = nil
            } else if let since = missingSince {
                if since + Self.doubt <= .now { return }
            } else {
                missingSince = .now
            }
        }
    }
}
