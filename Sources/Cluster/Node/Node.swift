public import Logging
public import Metadata
internal import Runtime
internal import Synchronization
public import Worker

/// One worker of a cluster: its member of the store, its presence, its candidacy, and what it runs.
///
/// What it runs does not depend on the store: cut off from it, the worker goes on with its last
/// orders, until the target says that somebody else has taken over.
public final class Node: Sendable {
    private struct State {
        var cluster = ClusterState()
        var isKnown = false
        /// Nothing is run any more, whatever the store says.
        var isOver = false
        var book: OrderBook
    }
    /// The store's client; usable while the node runs.
    public let client: EtcdClient
    private let settings: NodeSettings
    private let host: any SourceHost
    private let log: Logger
    private let folder: DataFolder
    private let membership: Membership
    let member: StoreMember?
    private let forms: Bool
    private let stopping = Latch()
    private let state: Mutex<State>

    /// How long a worker that leaves waits for others to take its sources.
    private static let handOverLimit = Duration.seconds(5)
    /// How long its sources may take to drain.
    private static let drainLimit = Duration.seconds(10)

    /// Opens the data folder, which is this process's alone from now on.
    ///
    /// - Throws: `ClusterError`, or a `MetadataError` when the store's program is not there.
    public init(_ settings: NodeSettings, host: any SourceHost, log: Logger) throws {
        self.settings = settings
        self.host = host
        self.log = log
        folder = try DataFolder(settings.dataFolder, worker: settings.name)
        var session = WorkerSession(
            name: settings.name, identity: folder.identity, address: settings.address)
        switch settings.store {
        case .given(let endpoints):
            client = try EtcdClient(endpoints: endpoints, tls: settings.tls)
            member = nil
            forms = false
        case .own(let own):
            let server = Self.serverSettings(settings, own)
            let known = try folder.endpoints().compactMap { EtcdEndpoint($0) }
            let isInCluster = try folder.cluster() != nil
            client = try EtcdClient(endpoints: own.join + known, tls: settings.tls)
            let member = StoreMember(server, client: client, log: log)
            guard member.server.isProgramThere else {
                throw MetadataError(.process, "\(server.program) is not there: install etcd-server")
            }
            forms = own.join.isEmpty && !isInCluster
            if !member.server.hasData {
                if isInCluster, own.join.isEmpty, known.isEmpty {
                    throw ClusterError.nobodyToJoin(folder: settings.dataFolder)
                }
            }
            if member.server.hasData || forms {
                try client.setEndpoints([own.clientEndpoint] + own.join + known)
            }
            self.member = member
            session.storeEndpoint = own.clientEndpoint.description
            session.peerURL = server.peerURL
        }
        session.relayAddress = settings.relayAddress
        membership = Membership(session, client: client, log: log)
        let client = client
        state = Mutex(
            State(
                book: OrderBook(
                    worker: settings.name,
                    journal: {
                        HistoryJournal(client: client, subtask: $0, binding: $1, stage: $2)
                    }, readSource: settings.readSource, read: settings.read)))
    }

    private static func serverSettings(
        _ settings: NodeSettings, _ own: NodeSettings.OwnStore
    ) -> EtcdServerSettings {
        var server = EtcdServerSettings(
            name: settings.name, folder: settings.dataFolder + "/store",
            clientEndpoint: own.clientEndpoint, peerEndpoint: own.peerEndpoint)
        if let host = own.listenHost {
            server.clientListeners = [EtcdEndpoint(host: host, port: own.clientEndpoint.port)]
            server.peerListeners = [EtcdEndpoint(host: host, port: own.peerEndpoint.port)]
        }
        if let program = own.program { server.program = program }
        server.options = own.options
        server.tls = settings.tls
        // Of clusters that are formed with the same name at the same address, too.
        server.token = "skein-" + DataFolder.randomName()
        return server
    }

    /// The cluster's state as this worker knows it.
    public var cluster: ClusterState { state.withLock { $0.cluster } }

    /// Asks the worker to leave: to hand over what it runs, to save the rest, and to end.
    public func stop() { stopping.set() }

    /// Takes part until the task is cancelled or the worker has left.
    ///
    /// - Parameter service: runs beside it, once it is certain that the store is the worker's; the
    ///   worker ends when it throws.
    /// - Throws: `ClusterError` when it can't take part, a `MetadataError` that trying again does not
    ///   mend, or `CancellationError`.
    public func run(
        _ service: @Sendable @escaping () async throws -> Void = {}
    ) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await self.client.run()
                return false
            }
            if let presence = settings.presence {
                group.addTask {
                    try await PresenceListener(host: presence.host, port: presence.port).run()
                    return false
                }
            }
            if let member {
                group.addTask {
                    try await member.run(forms: self.forms)
                    return false
                }
            }
            group.addTask {
                try await self.takePart(service)
                return true
            }
            // The store's member ends last: leaving needs it.
            defer { group.cancelAll() }
            while let isOver = try await group.next() { if isOver { return } }
        }
    }

    private func takePart(_ service: @Sendable @escaping () async throws -> Void) async throws {
        // A worker that is not in a cluster yet has nothing to hand over.
        guard try await identifyUnlessStopped() else { return }
        log.notice(
            "the worker is in the cluster",
            metadata: ["worker": "\(settings.name)", "address": "\(settings.address)"])
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await service()
                return false
            }
            if let member {
                group.addTask {
                    try await self.keepEndpoints(member)
                    return false
                }
                group.addTask {
                    try await self.reportMember(member)
                    return false
                }
                group.addTask {
                    try await SpaceKeeper(
                        server: member.server, client: self.client, tls: self.settings.tls,
                        log: self.log
                    ).run()
                    return false
                }
            }
            group.addTask {
                await self.host.run()
                return false
            }
            group.addTask {
                try await self.follow()
                return false
            }
            group.addTask {
                try await self.publishRelays()
                return false
            }
            group.addTask {
                try await PeerWatch(name: self.settings.name, client: self.client, log: self.log)
                    .run { self.watchedPeers }
                return false
            }
            group.addTask {
                try await self.beMember()
                return false
            }
            group.addTask {
                await self.stopping.wait()
                try Task.checkCancellation()
                try await self.leave()
                return true
            }
            defer { group.cancelAll() }
            while let isOver = try await group.next() { if isOver { return } }
        }
    }

    // MARK: which cluster

    /// - Returns: false when the worker was asked to leave before it was certain of its cluster.
    private func identifyUnlessStopped() async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await self.identify()
                return true
            }
            group.addTask {
                await self.stopping.wait()
                return false
            }
            defer { group.cancelAll() }
            let isKnown = try await group.next() ?? false
            try Task.checkCancellation()
            return isKnown
        }
    }

    /// Makes sure that the store is that of the cluster that the data folder belongs to, before
    /// anything is written to it.
    private func identify() async throws {
        let own = try folder.cluster()
        if case .own(let store) = settings.store, let own, !store.join.isEmpty {
            let located = await store.locate?() ?? []
            try await compare(own, with: located + store.join)
        }
        // Said when it takes long, and not too often.
        var sayAt = ContinuousClock.now + .seconds(3)
        while true {
            await locate()
            try Task.checkCancellation()
            do {
                if let token = try await token(own) {
                    try await compareKey()
                    if own == nil { try folder.setCluster(token) }
                    membership.setCluster(token)
                    return
                }
            } catch let error as MetadataError where error.isTransient {
                if sayAt <= .now {
                    sayAt = .now + .seconds(30)
                    log.notice(
                        "waiting for the cluster's store",
                        metadata: [
                            "asked": "\(client.endpoints.map(\.description))", "reason": "\(error)",
                        ])
                }
            } catch let error as MetadataError where error.code != .closed {
                // It is full, say, or must be repaired: the worker is there when it is well again.
                log.error("the store refuses this worker", metadata: ["reason": "\(error)"])
                try await Task.sleep(for: .seconds(1))
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Looks where the store is, as the workers to be joined know it.
    private func locate() async {
        guard case .own(let own) = settings.store, !own.join.isEmpty,
            let found = await own.locate?()
        else { return }
        let fresh = found.filter { !client.endpoints.contains($0) }
        guard !fresh.isEmpty else { return }
        do {
            try client.setEndpoints(fresh + client.endpoints)
        } catch {
            log.warning("an endpoint of the store can't be used", metadata: ["reason": "\(error)"])
        }
    }

    /// The cluster's token; `nil` when whoever forms it has not written it yet.
    private func token(_ own: String?) async throws -> String? {
        if let found = try await client.get(KeyLayout.cluster) {
            let token = String(decoding: found.value, as: UTF8.self)
            guard own == nil || own == token else {
                throw ClusterError.otherCluster(folder: settings.dataFolder)
            }
            return token
        }
        guard own == nil else { throw ClusterError.storeIsEmpty(folder: settings.dataFolder) }
        if case .own = settings.store, !forms { return nil }
        // Two that form one in a given store at the same time: the first one's counts.
        try await client.transaction(
            if: [.missing(KeyLayout.cluster)],
            then: [.put(KeyLayout.cluster, Array(DataFolder.randomName().utf8), lease: nil)])
        return nil
    }

    /// Makes sure that this worker can read the passwords in the store.
    private func compareKey() async throws {
        guard let own = settings.keyFingerprint.map({ Array($0.utf8) }) else { return }
        guard try await client.claim(KeyLayout.secretKey, own) else { throw ClusterError.otherKey }
    }

    /// A worker that is in a cluster is told to join another one: its own store would not notice.
    private func compare(_ own: String, with endpoints: [EtcdEndpoint]) async throws {
        let other = try EtcdClient(endpoints: endpoints, tls: settings.tls)
        let found = await withTaskGroup(of: KeyValue?.self) { group in
            group.addTask {
                try? await other.run()
                return nil
            }
            group.addTask { try? await other.get(KeyLayout.cluster, within: .seconds(3)) }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        try Task.checkCancellation()
        // Nobody answers: it goes on alone with what it has.
        guard let found else { return }
        guard found.value == Array(own.utf8) else {
            throw ClusterError.otherCluster(folder: settings.dataFolder)
        }
    }

    /// Asks the worker's own member first, then the others, and remembers where they are.
    private func keepEndpoints(_ member: StoreMember) async throws {
        guard case .own(let own) = settings.store else { return }
        let number = try await storeNumber()
        var saved: [String] = []
        var sayAt = ContinuousClock.now
        while true {
            // Often at first, while members join.
            try await Task.sleep(for: saved.isEmpty ? .milliseconds(500) : .seconds(4))
            guard let found = try? await client.membership(within: .seconds(2)) else {
                try Task.checkCancellation()
                continue
            }
            guard found.cluster == number else {
                if sayAt <= .now {
                    sayAt = .now + .seconds(30)
                    log.error("a store answers that is not this cluster's")
                }
                try await leaveOut(othersThan: number, saved)
                continue
            }
            let others = found.members.filter { !$0.isLearner && $0.name != settings.name }
                .sorted { $0.name < $1.name }
                .flatMap { $0.clientURLs.compactMap { EtcdEndpoint($0) } }
            let isFirst = member.isUseful(in: number) || others.isEmpty
            let endpoints = (isFirst ? [own.clientEndpoint] : []) + others
            if endpoints != client.endpoints { try client.setEndpoints(endpoints) }
            let texts = endpoints.map(\.description)
            if texts != saved {
                do {
                    try folder.setEndpoints(texts)
                    saved = texts
                } catch {
                    // The disk is full, say: the file is needed at the next start, not now.
                    log.warning("cannot save where the store is", metadata: ["reason": "\(error)"])
                }
            }
        }
    }

    /// Uses the endpoints no more at which another cluster's store answers.
    private func leaveOut(othersThan number: UInt64, _ saved: [String]) async throws {
        let known = client.endpoints
        let all = known + saved.compactMap { EtcdEndpoint($0) }.filter { !known.contains($0) }
        try client.setEndpoints(all)
        var ours: [EtcdEndpoint] = []
        for endpoint in all {
            let status = try? await client.status(of: endpoint)
            if status.map({ $0.cluster == number }) ?? true { ours.append(endpoint) }
        }
        try Task.checkCancellation()
        if !ours.isEmpty { try client.setEndpoints(ours) }
    }

    /// The number of the store's cluster: of one that has the cluster's token.
    private func storeNumber() async throws -> UInt64 {
        while true {
            if let token = (try? folder.cluster()) ?? nil {
                let asked = try? await client.transaction(
                    if: [.value(KeyLayout.cluster, Array(token.utf8))], then: [])
                if let asked, asked.succeeded { return asked.cluster }
            }
            try await Task.sleep(for: .milliseconds(500))
        }
    }

    /// Says when this worker's member of the store does not work, which nobody else can tell for
    /// certain, so that another worker takes its place.
    private func reportMember(_ member: StoreMember) async throws {
        var downSince: ContinuousClock.Instant?
        while true {
            try await Task.sleep(for: .seconds(2))
            downSince = member.isDown ? downSince ?? .now : nil
            // It may only be started again.
            let isDown = downSince.map { $0 + .seconds(5) <= .now } ?? false
            guard let said = cluster.sessions[settings.name]?.record,
                (said.isMemberDown ?? false) != isDown
            else { continue }
            do {
                try await membership.update { $0.isMemberDown = isDown ? true : nil }
            } catch let error as MetadataError where error.code != .closed {
                log.debug(
                    "cannot say how the store's member is", metadata: ["reason": "\(error)"])
            }
        }
    }

    // MARK: taking part

    private func beMember() async throws {
        let leader = Leader(client: client, log: log) { leadership in
            guard case .own(let own) = self.settings.store else { return }
            try await VoterKeeper(
                client: self.client, wanted: own.voters, timeout: own.voterTimeout,
                cluster: { self.cluster }, log: self.log
            ).run(leadership)
        }
        while true {
            do {
                try await membership.run { lease in
                    try await leader.run(as: self.settings.name, lease: lease)
                }
            } catch let error as MetadataError where error.code != .closed {
                // No reason to end what runs here: the store may be full, for example.
                log.error("the store refuses this worker", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Follows the store, and orders what is bound to this worker.
    private func follow() async throws {
        while true {
            do {
                try await followOnce()
            } catch let error as MetadataError where error.code != .closed {
                log.error("the store can't be read", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func followOnce() async throws {
        try await client.follow(.prefix(KeyLayout.root)) { update in
            self.state.withLock { state in
                let known = state.cluster.unreadable
                state.cluster.apply(update)
                state.isKnown = true
                for key in state.cluster.unreadable.subtracting(known) {
                    self.log.error(
                        "a record can't be read; what it said before counts",
                        metadata: ["key": "\(key)"])
                }
                let orders = state.book.orders(state.cluster)
                let copies = state.book.copies(state.cluster)
                if !state.isOver {
                    self.host.order(orders, copies: copies)
                    self.host.keep(state.book.rests(state.cluster))
                }
            }
            self.member?.setWanted(self.cluster.voters.contains(self.settings.name))
            return true
        }
    }

    /// Says which sources' relay logs are here.
    private func publishRelays() async throws {
        var nextHoldings = ContinuousClock.now
        while true {
            try await Task.sleep(for: .seconds(1))
            guard state.withLock({ $0.isKnown }) else { continue }
            let name = settings.name
            let cluster = cluster
            let kept = host.keptRelays.filter { cluster.sources[$0] != nil }
            let known = Set(cluster.relays.filter { $0.value.contains(name) }.keys)
            // Of a source whose record can't be read it is not known where its log lies, nor of one
            // whose tasks' can't, which name its folder.
            let gone = known.subtracting(kept).subtracting(cluster.unreadSources)
                .subtracting(cluster.unreadSubtasks.map(\.source))
            do {
                for source in kept.subtracting(known) {
                    try await client.put(KeyLayout.relay(source: source, worker: name), [])
                }
                for source in gone {
                    try await client.delete(.key(KeyLayout.relay(source: source, worker: name)))
                }
                // Not with every file that begins.
                guard ContinuousClock.now >= nextHoldings else { continue }
                nextHoldings = .now + Self.holdingInterval
                try await publishHoldings(cluster)
            } catch let error as MetadataError where error.code != .closed {
                try Task.checkCancellation()
                log.debug("cannot say where relay logs are", metadata: ["reason": "\(error)"])
            }
        }
    }

    /// How long others keep, at the least, what is held here as well.
    private static let holdingInterval = Duration.seconds(10)

    /// Says what the relay logs of sources that run here hold, where another worker has files, too,
    /// and keeps them until it is known that they are here.
    private func publishHoldings(_ cluster: ClusterState) async throws {
        let name = settings.name
        for (source, holding) in host.relayHoldings {
            guard let holders = cluster.relays[source], holders.contains(name),
                holders.count > 1, cluster.holdings[source]?[name] != holding
            else { continue }
            try await client.put(
                KeyLayout.relay(source: source, worker: name), try holding.bytes())
        }
    }

    /// The leader watches all workers, the others watch the leader.
    private var watchedPeers: [ClusterState.Stored<WorkerSession>] {
        let cluster = cluster
        guard let leader = cluster.leader else { return [] }
        if leader == settings.name { return Array(cluster.sessions.values) }
        return cluster.sessions[leader].map { [$0] } ?? []
    }

    // MARK: leaving

    /// Hands the sources over, and drains what nobody takes.
    private func leave() async throws {
        log.info("the worker leaves")
        if await tellOthers() {
            await waiting(upTo: Self.handOverLimit) {
                !cluster.bindings.values.contains { $0.record.worker == settings.name }
            }
        }
        state.withLock { state in
            state.isOver = true
            host.order([:], copies: [:])
        }
        await waiting(upTo: Self.drainLimit) { host.activeSources.isEmpty }
    }

    /// Says that this worker leaves.
    ///
    /// - Returns: whether the others can know it.
    private func tellOthers() async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    try await self.membership.update { $0.isLeaving = true }
                    return true
                } catch {
                    return false
                }
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(2))
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }

    private func waiting(upTo limit: Duration, for condition: () -> Bool) async {
        let deadline = ContinuousClock.now + limit
        while !condition(), ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
