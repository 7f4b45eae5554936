internal import Logging
internal import Relay
internal import Settings

/// What has a source on this worker in hand, and with it the relay log: one at a time, since one
/// log writes to a folder.
enum Hand: Sendable {
    /// Runs the source.
    case runner(SourceRunner)
    /// Copies the relay log of the worker that runs it.
    case copier(RelayCopyRunner)
    /// Serves a log that grows no more.
    case rest(RelayRest)

    /// The source's name.
    var source: String {
        switch self {
        case .runner(let it): it.source
        case .copier(let it): it.source
        case .rest(let it): it.source
        }
    }

    /// Works until its order ends, or the task is cancelled.
    func run() async {
        switch self {
        case .runner(let it): await it.run()
        case .copier(let it): await it.run()
        case .rest(let it): await it.run()
        }
    }

    /// The relay log that it has, or leaves to the next one; `nil`: none that anybody can want.
    var relayOptions: SourceRelay.Options? {
        switch self {
        case .runner(let it): it.relayOptions
        case .copier(let it): it.relayOptions
        case .rest(let it): it.relayOptions
        }
    }
}

/// Who has which source in hand, and which relay logs lie here in nobody's.
///
/// A relay log on this worker's disk that a subtask may need is in somebody's hands, or is in
/// ``kept`` until it is: also between two hands, which is why one lets go and the next one is made
/// in the same call. Only what its rest has found to be of no use leaves, and what was not there
/// when it was looked for. ``over`` remembers both until something of the source begins again.
struct WorkerHands {
    /// What is to run, by the source's name.
    var orders: [String: SourceOrder] = [:]
    /// What is to be copied; nothing that is to run.
    var copies: [String: RelayCopyOrder] = [:]
    /// What is known of all sources; `nil`: nothing yet.
    private(set) var restOrders: [String: RelayRestOrder]?
    private(set) var runners: [String: SourceRunner] = [:]
    private(set) var copiers: [String: RelayCopyRunner] = [:]
    /// Relay logs of sources that are elsewhere, for as long as they are here.
    private(set) var rests: [String: RelayRest] = [:]
    /// What hands have left, and nobody has taken yet.
    private var left: [String: SourceRelay.Options] = [:]
    private var over: Set<String> = []
    /// Relay logs that another process wrote when they were looked for. They are looked for again
    /// every few seconds: that process may end, and nobody else would have them in hand.
    private var theirs: Set<String> = []
    private var hasWarned = false
    /// Whether what is in nobody's hands can be given to others at all.
    private var serves = true
    private let dataFolder: String
    private let logger: Logger

    init(dataFolder: String, logger: Logger) {
        self.dataFolder = dataFolder
        self.logger = logger
    }

    /// Where a source's relay log is, unless its settings name a folder.
    func folder(_ source: String) -> String { "\(dataFolder)/relay/\(source)" }

    /// What is known of a source.
    func restOrder(_ source: String) -> RelayRestOrder {
        restOrders.map { $0[source] ?? .removed } ?? .unknown
    }

    /// Says what is known of all sources.
    mutating func keep(_ known: [String: RelayRestOrder]?) {
        restOrders = known
        // One that comes again is looked for again.
        if let known {
            over = over.filter { known[$0] != nil }
            theirs = theirs.filter { known[$0] != nil }
        }
        for (source, rest) in rests { rest.order(restOrder(source)) }
        for (source, copier) in copiers { copier.keep(restOrder(source)) }
    }

    /// Forgets all: nothing runs any more.
    mutating func clear() {
        runners = [:]
        copiers = [:]
        rests = [:]
        left = [:]
    }

    // MARK: from hand to hand

    /// What makes hands.
    struct Makers {
        /// Of a source, its order and the folder for its relay log.
        var runner: (String, SourceOrder, String) -> SourceRunner
        /// The same; `nil` when relay logs are neither given to others nor got from them.
        var copier: ((String, RelayCopyOrder, RelayRestOrder, String) -> RelayCopyRunner)?
        /// The same, of a relay log that lies here.
        var rest: ((String, SourceRelay.Options, RelayRestOrder) -> RelayRest)?
    }

    /// Takes a source out of the hand that has ended, passes orders on, and gives sources that are
    /// in no hand to new ones.
    ///
    /// - Returns: the new hands, which are to be run.
    mutating func pass(after ended: Hand?, _ makers: Makers) -> [Hand] {
        serves = makers.rest != nil
        if let ended { release(ended) }
        if !serves { left = [:] }
        for (source, runner) in runners { runner.order(orders[source]) }
        for (source, copier) in copiers { copier.order(copies[source]) }
        for (source, rest) in rests where isWanted(source) { rest.stop() }

        var fresh: [Hand] = []
        for (source, order) in orders where isFree(source) {
            fresh.append(.runner(makers.runner(source, order, folder(source))))
        }
        if let copier = makers.copier {
            for (source, order) in copies where isFree(source) {
                fresh.append(.copier(copier(source, order, restOrder(source), folder(source))))
            }
        }
        for hand in fresh { take(hand) }
        guard let rest = makers.rest else { return fresh }
        for (source, options) in findLeft() {
            let hand = Hand.rest(rest(source, options, restOrder(source)))
            take(hand)
            fresh.append(hand)
        }
        warnOfLeftLogs()
        return fresh
    }

    private mutating func take(_ hand: Hand) {
        switch hand {
        case .runner(let it): runners[it.source] = it
        case .copier(let it): copiers[it.source] = it
        case .rest(let it): rests[it.source] = it
        }
        left[hand.source] = nil
        over.remove(hand.source)
        theirs.remove(hand.source)
    }

    private mutating func release(_ hand: Hand) {
        let source = hand.source
        switch hand {
        case .runner: runners[source] = nil
        case .copier: copiers[source] = nil
        case .rest: rests[source] = nil
        }
        left[source] = hand.relayOptions
        // Where a runner or a copier knew of none, it is looked for once more.
        if case .rest = hand, left[source] == nil { over.insert(source) }
    }

    private func isFree(_ source: String) -> Bool {
        runners[source] == nil && copiers[source] == nil && rests[source] == nil
    }

    private func isWanted(_ source: String) -> Bool {
        orders[source] != nil || copies[source] != nil
    }

    /// The relay logs in nobody's hands that are to be served: what was left by hands, and by
    /// earlier processes. Those that others wrote down in the settings are only found while the
    /// source is known.
    private mutating func findLeft() -> [(String, SourceRelay.Options)] {
        var found = left.filter { !isWanted($0.key) }
        for (source, order) in restOrders ?? [:]
        where found[source] == nil && isFree(source) && !isWanted(source) && !over.contains(source)
        {
            // Settings that can't be read now may be soon.
            guard let settings = try? order.settings() else { continue }
            guard let options = look(source, settings) else {
                over.insert(source)
                continue
            }
            if RelayArchive.isWritten(options.folder) {
                theirs.insert(source)
            } else {
                found[source] = options
            }
        }
        return found.map { ($0.key, $0.value) }
    }

    /// A relay log that lies where a source's settings say, or where it is without them.
    private func look(_ source: String, _ settings: SourceSettings) -> SourceRelay.Options? {
        let places = [settings.relayFolder, folder(source)].compactMap { $0 }
        guard let place = places.first(where: { RelayArchive.isThere($0) }) else { return nil }
        return SourceRelay.Options(
            folder: place, source: settings.server,
            serverID: settings.serverID != 0
                ? settings.serverID : UInt32.random(in: 0x4000_0000...0x7FFF_FFFF))
    }

    /// Says, once, which relay logs in the data folder are of no source that the cluster has. They
    /// stay: a cluster may have been formed anew, and its sources not be there yet.
    private mutating func warnOfLeftLogs() {
        guard let restOrders, !hasWarned else { return }
        hasWarned = true
        for log in RelayArchive.folders(in: "\(dataFolder)/relay")
        where restOrders[log.name] == nil && isFree(log.name) {
            logger.warning(
                "a relay log is left of a source that is unknown: remove it when nobody needs it",
                metadata: ["source": "\(log.name)", "folder": "\(log.path)"])
        }
    }

    // MARK: what is here

    /// Whether to look again soon, whatever else happens.
    var awaitsOthers: Bool { !theirs.isEmpty }

    /// The sources whose relay logs are here, in whose hands ever.
    var kept: Set<String> {
        var kept = Set(runners.filter { $0.value.relayOptions != nil }.keys)
        guard serves else { return kept }
        kept.formUnion(copiers.keys)
        kept.formUnion(rests.keys)
        kept.formUnion(left.keys)
        guard let restOrders else {
            // What is not known is not gone.
            let names = RelayArchive.folders(in: "\(dataFolder)/relay").map(\.name)
            return kept.union(
                names.filter { isFree($0) && !over.contains($0) && !theirs.contains($0) })
        }
        // What was ordered a moment ago, and is in no hand yet. Later these are few: none.
        for (source, order) in restOrders
        where isFree(source) && !over.contains(source) && !theirs.contains(source)
            && !kept.contains(source)
        {
            let settings = try? order.settings()
            let isHere =
                settings.map { look(source, $0) != nil } ?? RelayArchive.isThere(folder(source))
            if isHere { kept.insert(source) }
        }
        return kept
    }
}
