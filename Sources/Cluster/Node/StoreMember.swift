internal import Logging
internal import Metadata
internal import Synchronization

/// This worker's own member of the store: formed, joined when the leader says so, and put aside
/// when it was removed. One whose data are gone is as one that was removed: it joins again as another
/// member, if there is somebody to copy from.
final class StoreMember: Sendable {
    let server: EtcdServer
    private let client: EtcdClient
    private let log: Logger
    private struct State {
        var isWanted = false
        var isRunning = false
    }
    private let state = Mutex(State())

    /// Why a member runs no more.
    private enum Ending: Sendable {
        case removed
        case dataLost(MetadataError)
        /// The members may be others by now than those that it was to join.
        case notJoined(MetadataError)
    }

    /// How long a member that does not answer may be missing among the members until it is taken
    /// for removed. One that was just added may not be known everywhere yet.
    private static let doubt = Duration.seconds(5)
    /// How long it tries to join until it looks whether it is to have a member still.
    private static let joinLimit = Duration.seconds(10)

    init(_ settings: EtcdServerSettings, client: EtcdClient, log: Logger) {
        server = EtcdServer(settings, log: log)
        self.client = client
        self.log = log
    }

    /// Whether it answers, is a member of this cluster, and has a vote: then it is the best one to
    /// ask.
    func isUseful(in cluster: UInt64) -> Bool {
        if case .up(let status) = server.condition {
            return !status.isLearner && status.cluster == cluster
        }
        return false
    }

    /// Whether there is to be a member, and it does not answer, or is cut off from the others.
    var isDown: Bool {
        if case .up(let status) = server.condition, status.leader != nil { return false }
        return state.withLock { $0.isWanted || $0.isRunning }
    }

    private var isWanted: Bool { state.withLock { $0.isWanted } }

    /// Says whether the leader wants this worker to have a member.
    func setWanted(_ wanted: Bool) { state.withLock { $0.isWanted = wanted } }

    /// Runs the member whenever there is to be one, until the task is cancelled.
    ///
    /// - Parameter forms: whether it makes a new cluster, if it has no data.
    func run(forms: Bool) async throws {
        var formation: EtcdFormation? = server.hasData ? .existing : forms ? .alone : nil
        var hasRemains = false
        while true {
            if let next = formation {
                let ending = try await runToEnd(next)
                say(ending)
                switch ending {
                case .removed: await discard()
                case .dataLost: hasRemains = true
                case .notJoined: try await Task.sleep(for: .seconds(1))
                }
                formation = nil
            }
            // The only member goes on when its data are back, whatever was known before.
            while !isWanted, !(hasRemains && server.hasData) {
                try await Task.sleep(for: .milliseconds(100))
            }
            do {
                let next = try await server.join(through: client, within: Self.joinLimit)
                // Not before: they are all there is until somebody has others to copy.
                if hasRemains, case .joining = next { await discard() }
                hasRemains = false
                formation = next
            } catch let error as MetadataError {
                log.warning("cannot join the store yet", metadata: ["reason": "\(error)"])
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func say(_ ending: Ending) {
        switch ending {
        case .removed: log.notice("this worker's member of the store was removed")
        case .notJoined(let error):
            log.warning(
                "this worker's member of the store has not joined yet",
                metadata: ["reason": "\(error)"])
        case .dataLost(let error):
            let others = client.endpoints.filter { $0 != server.settings.clientEndpoint }
            if others.isEmpty {
                log.error(
                    "the store's data are gone; put them back, or form a new cluster",
                    metadata: ["reason": "\(error)"])
            } else {
                log.error(
                    "this worker's member of the store joins again as a new one",
                    metadata: ["reason": "\(error)"])
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

    /// Returns when the member is no longer one, or can't go on.
    private func runToEnd(_ formation: EtcdFormation) async throws -> Ending {
        state.withLock { $0.isRunning = true }
        defer { state.withLock { $0.isRunning = false } }
        return try await withThrowingTaskGroup(of: Ending.self) { group in
            group.addTask { try await self.keepRunning(formation) }
            group.addTask {
                try await self.removal()
                return .removed
            }
            defer { group.cancelAll() }
            let ending = try await group.next() ?? .removed
            group.cancelAll()
            // The program is gone when this returns: nothing may write to its folder any more.
            while let ended = await group.nextResult() {
                if case .failure(let error) = ended, !(error is CancellationError) { throw error }
            }
            return ending
        }
    }

    /// What keeps a program from being started once need not do so later: it is no reason to end what
    /// runs on this worker.
    private func keepRunning(_ formation: EtcdFormation) async throws -> Ending {
        while true {
            do {
                try await server.run(formation)
            } catch let error as MetadataError {
                if error.code == .dataLost { return .dataLost(error) }
                guard server.starts > 0 else { throw error }
                if case .joining = formation, !server.hasData { return .notJoined(error) }
                log.error("the store can't be started", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func removal() async throws {
        var missingSince: ContinuousClock.Instant?
        var isFound = false
        while true {
            // While all is well there is nothing to learn: what tells is looked at elsewhere.
            try await Task.sleep(for: .milliseconds(isFound && missingSince == nil ? 2000 : 500))
            // One that is cut off from the others answers as well, and does not learn that it was
            // removed.
            if case .up(let status) = server.condition, status.leader != nil {
                missingSince = nil
                if !isFound { isFound = await tellPlace(of: status.id) }
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

    /// Tells the members where this one is, when its worker was started at another address: they
    /// would look for it where it was, and no other one could join.
    ///
    /// - Returns: whether they know it.
    private func tellPlace(of id: MemberID) async -> Bool {
        let url = server.settings.peerURL
        guard let members = try? await client.members(within: .seconds(2)),
            let own = members.first(where: { $0.id == id })
        else { return false }
        if own.peerURLs == [url] { return true }
        do {
            try await client.move(id, toPeerURL: url)
        } catch {
            log.warning(
                "the store's members can't be told that this one has moved yet",
                metadata: ["reason": "\(error)"])
            return false
        }
        log.notice("this worker's member of the store has moved", metadata: ["to": "\(url)"])
        return true
    }
}
