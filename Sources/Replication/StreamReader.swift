internal import Checkpoint
internal import MySQLBinlog
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax
internal import Rules
internal import Runtime
internal import Stream

/// Where a run starts to read, and what it must find there.
struct StreamStart {
    var place: StreamPlace
    var origin: Origin
    /// The transaction that must come first, unchanged.
    var tail: Tail?

    /// What digests of transactions are of: the server, and the way its events were asked for. By
    /// GTID a server may leave out events that it sends by position, and one that was made anew may
    /// have the same transactions in other bytes.
    var digests: UInt64 {
        let server = Digest.combine(origin.server.high, origin.server.low)
        if case .position = place { return server | 1 }
        return (Digest.combine(server, origin.life) | 1) &- 1 | 2
    }

    /// Decides where to start: on the server of the mark, at the newest transaction in it (which
    /// is read again and compared), elsewhere by GTID.
    static func find(
        _ configuration: ReplicationConfiguration, _ state: SubtaskState,
        _ lowWater: SourcePosition, _ events: any EventSource
    ) throws -> StreamStart {
        let session = SourceSession(try Connection(configuration.source))
        let server = try session.serverName()
        try requireTransactions(
            session, state, lowWater, isSameServer: server == lowWater.origin.server)
        let tail = Tail(encoded: state.tail)
        let kept = try session.files()
        let files = kept.map(\.name)
        let first = tail?.start ?? lowWater.binlog
        let isThere = files.contains(first.file)
        if server == lowWater.origin.server, isThere || events.holds(first.file, of: server) {
            // The newest transaction is read again and compared. Before the first one only the
            // life of the binlog tells whether a position is still what it was.
            let isKnown =
                try tail != nil || lowWater.gtids == .none
                || isThere
                    && Origin.read(
                        configuration.source, file: first.file, serverID: configuration.serverID)
                        == lowWater.origin
            if isKnown {
                return StreamStart(
                    place: .position(first, of: server), origin: lowWater.origin, tail: tail)
            }
        }
        guard lowWater.gtids != .none else {
            if server == lowWater.origin.server {
                if isPurged(first, kept), hasWhole(lowWater.binlog, kept) {
                    return StreamStart(
                        place: .position(lowWater.binlog, of: server), origin: lowWater.origin,
                        tail: nil)
                }
                throw StreamError.purged(first, detail: "oldest file: \(files.first ?? "none")")
            }
            throw StreamError.sourceLostEvents(
                "another server answers (\(server)), and without GTIDs positions can't be compared")
        }
        return StreamStart(
            place: .gtids(lowWater.gtids), origin: try newOrigin(configuration, session, server),
            tail: nil)
    }

    /// A stream by GTID may begin in what is kept of a server that answers no more.
    mutating func settle(on server: ServerUUID?, _ lowWater: SourcePosition) {
        guard let server, server != origin.server else { return }
        origin =
            server == lowWater.origin.server ? lowWater.origin : Origin(server: server, life: 0)
    }

    /// Whether all files up to the position's are gone: the source purged them, it did not begin
    /// anew.
    private static func isPurged(
        _ position: BinlogPosition, _ files: [(name: String, size: UInt64)]
    ) -> Bool {
        guard let oldest = files.first?.name else { return false }
        return position.fileNumber < BinlogPosition(file: oldest, offset: 4).fileNumber
    }

    /// Whether everything from the position on is there. An idle source's newest transaction can
    /// lie in a file that is gone; a server that lost what it wrote last has a shorter one.
    private static func hasWhole(
        _ position: BinlogPosition, _ files: [(name: String, size: UInt64)]
    ) -> Bool {
        files.contains { $0.name == position.file && $0.size >= position.offset }
    }

    /// The source must have everything that the target has applied. A MySQL server itself checks
    /// only its own UUID. Another server may be behind, and for as long as a delayed replica is.
    private static func requireTransactions(
        _ session: SourceSession, _ state: SubtaskState, _ lowWater: SourcePosition,
        isSameServer: Bool
    ) throws {
        let current = try session.currentGTIDs()
        let missing: GTIDState
        switch (lowWater.gtids, current) {
        case (.mysql(var needed), .mysql(let executed)):
            for (stream, numbers) in state.carried.members {
                guard case .mysql(let uuid, let tag) = stream else { continue }
                for range in numbers.intervals {
                    needed.insert(.init(uuid: uuid, tag: tag), range)
                }
            }
            needed.subtract(executed)
            if needed.isEmpty { return }
            missing = .mysql(needed)
        case (.mysql, _): throw StreamError.sourceLostEvents("gtid_mode is not ON any more")
        case (.mariadb(let needed), .mariadb(let there)):
            // What the same server sends is compared.
            if isSameServer || there.holds(needed) { return }
            missing = lowWater.gtids
        default: return
        }
        let text = "the target has applied transactions that the source does not have: \(missing)"
        if isSameServer { throw StreamError.sourceLostEvents(text) }
        if let why = try session.divergence(from: lowWater.gtids) {
            throw StreamError.sourceLostEvents("\(text); \(why)")
        }
        throw StreamError.behind(text)
    }

    private static func newOrigin(
        _ configuration: ReplicationConfiguration, _ session: SourceSession, _ server: ServerUUID
    ) throws -> Origin {
        let current = try session.currentPosition()
        return try Origin.read(
            configuration.source, file: current.file, serverID: configuration.serverID)
    }
}

/// Reads the stream of one run and feeds the scheduler. Lives on the reader's thread.
final class StreamReader {
    let run: ReplicationRun
    private let stream: any EventReader
    let catalog: TableCatalog
    let handler: StatementHandler
    let progress: ReplicationProgress
    let origin: Origin
    private let digests: UInt64
    private let end: SourcePosition?
    private var isAtEnd = false
    private var assembler: TransactionAssembler
    private var expectedTail: Tail?
    private var order: StreamOrder
    var opening: OpenGroup
    /// A target transaction is open for a source transaction that comes in parts.
    private var isStreaming = false
    /// A compressed transaction is being taken out of its event.
    private var isUnpacking = false
    private static let aheadLimit = 4096

    init(
        run: ReplicationRun, stream: any EventReader, catalog: TableCatalog, applied: AppliedState,
        start: StreamStart, carriedDigest: AppliedDigest?, opened: TransactionIdentity?,
        configuration: ReplicationConfiguration, progress: ReplicationProgress
    ) {
        self.run = run
        self.stream = stream
        self.catalog = catalog
        self.progress = progress
        origin = start.origin
        digests = start.digests
        end = configuration.end
        expectedTail = start.tail
        let isComparable = carriedDigest?.stream == digests
        order = StreamOrder(
            carried: AppliedSet(applied.carried, digest: isComparable ? carriedDigest : nil),
            after: applied.lowWater, tail: expectedTail?.identity)
        opening = OpenGroup(begun: opened)
        handler = StatementHandler(catalog: catalog, applied: applied)
        assembler = TransactionAssembler(
            catalog: catalog, applied: applied, origin: origin,
            bytesLimit: configuration.memoryBudget / 4)
    }

    /// Reads and schedules until `isStopping`, or what comes is behind the end that is wanted.
    func loop(_ isStopping: () -> Bool) async throws {
        let keeper = try await run.keeper.value()
        keeper.begin(origin: origin, readsAgain: expectedTail != nil, digests: digests)
        let lane = try await run.firstLane.value()
        var pace = Pace()
        while !isStopping(), !isAtEnd {
            if !stream.hasMore { try goDry(lane, &pace) }
            let began = ContinuousClock.now
            let chunk = try await next()
            pace.waited = began.duration(to: .now)
            run.scheduler.setDry(false)
            var next = 0
            while let pause = try advance(through: chunk, from: &next, keeper) {
                switch pause {
                case .room: try await run.scheduler.waitForRoom()
                case .ahead: try await stayNear(keeper)
                case .output(let output, let entry):
                    try await take(output, chunk, entry, keeper)
                }
            }
            if isAtEnd, let end { keeper.streamMoved(to: end.binlog) }
            for change in assembler.takePreparedChanges() { keeper.note(change) }
            if catalog.hasWindows { catalog.forgetWindows(passedBy: keeper.positions.mark) }
            let bytes = UInt64(chunk.byteCount)
            let received = chunk.receivedMicroseconds
            let isIdle = run.scheduler.pendingTransactions == 0
            let read = chunk.placeBehind
            progress.update {
                if let read { $0.read = read }
                $0.binlogBytes += bytes
                $0.lastReceivedMicroseconds = received
                $0.isIdle = isIdle
            }
        }
    }

    /// The next events. Where another server takes over, everything before is applied first: the
    /// next run then begins behind it.
    private func next() async throws -> EventChunk {
        do {
            return try await stream.next()
        } catch StreamError.upstreamChanged {
            run.scheduler.setDry(true)
            try await run.scheduler.drain()
            try await run.flush()
            throw StreamError.upstreamChanged
        }
    }

    /// How fast things come, and go.
    private struct Pace {
        /// How long the newest events were waited for.
        var waited = Duration.zero
        /// How long it takes to apply a batch here, as a running mean.
        var applying = Duration.zero
    }

    /// Nothing more is there to read: what was gathered goes. By this thread itself when the next
    /// events are not expected before it is done: that saves the way through two other threads.
    private func goDry(_ lane: LaneHandle, _ pace: inout Pace) throws {
        guard pace.waited >= pace.applying, let batch = run.scheduler.borrowLane() else {
            run.scheduler.setDry(true)
            return
        }
        defer { run.scheduler.giveBack() }
        let began = ContinuousClock.now
        try lane.complete(batch)
        pace.applying = (pace.applying * 3 + began.duration(to: .now)) / 4
    }

    /// What can't be done without waiting.
    private enum Pause {
        /// Too much waits for the lanes.
        case room
        /// Too much is above the mark.
        case ahead
        /// A statement, or part of a large transaction.
        case output(TransactionAssembler.Output, EventChunk.Entry)
    }

    /// Takes the events of a chunk as long as nothing has to wait; `nil` when all are done. Nearly
    /// every event ends here: an asynchronous call each would cost more than the event.
    private func advance(
        through chunk: EventChunk, from next: inout Int, _ keeper: MarkKeeper
    ) throws -> Pause? {
        while next < chunk.entries.count || isUnpacking {
            if let end, isBehind(end, chunk, next) {
                isAtEnd = true
                return nil
            }
            let entry: EventChunk.Entry
            let output: TransactionAssembler.Output
            if isUnpacking {
                entry = chunk.entries[next - 1]
                guard let inner = try assembler.resume() else {
                    isUnpacking = false
                    continue
                }
                output = inner
            } else {
                entry = chunk.entries[next]
                next += 1
                output = try assembler.consume(chunk, entry)
                isUnpacking = assembler.isUnpacking
            }
            if opening.isActive, case .none = output { continue }
            if opening.isActive { return .output(output, entry) }
            switch output {
            case .none:
                if assembler.isBetweenGroups {
                    keeper.streamMoved(
                        to: BinlogPosition(file: chunk.file, offset: entry.endPosition))
                }
            case .passed(let end):
                try checkTail(end)
                tellWarnings()
                if keeper.append(end, isPassed: true) >= Self.aheadLimit { return .ahead }
            case .transaction(let transaction, _) where transaction.isAlone:
                return .output(output, entry)
            case .transaction(let transaction, let end):
                try checkTail(end)
                tellWarnings()
                sign(transaction, end)
                let ahead = keeper.append(end, isPassed: false)
                if try run.scheduler.add(transaction) { return .room }
                if ahead >= Self.aheadLimit { return .ahead }
            case .part, .lastPart, .abandoned, .statement, .opening, .recall:
                return .output(output, entry)
            }
        }
        return nil
    }

    /// Passes on what the catalog has to tell.
    func tellWarnings() {
        guard !catalog.warnings.isEmpty else { return }
        let warnings = catalog.warnings
        catalog.warnings = []
        progress.update { $0.warnings += warnings }
    }

    /// Whether the next event is no more wanted.
    private func isBehind(_ end: SourcePosition, _ chunk: EventChunk, _ next: Int) -> Bool {
        guard !isUnpacking, !opening.isActive, assembler.isBetweenGroups,
            (stream.server ?? origin.server) == end.origin.server
        else { return false }
        let place = BinlogPosition(file: chunk.file, offset: chunk.entries[next].position)
        return place >= end.binlog
    }

    /// Says what a transaction's events were, now that all of them are known.
    private func sign(_ transaction: SourceTransaction, _ end: GroupEnd) {
        transaction.digest = AppliedDigest(sum: end.digest, stream: digests)
    }

    /// The first transaction must be the one that the target holds as its newest, byte for byte.
    private func checkTail(_ end: GroupEnd, isStatement: Bool = false) throws {
        try order.pass(
            end.identity, at: SourcePosition(origin: origin, binlog: end.start, gtids: .none),
            events: isStatement ? nil : end.digest)
        guard let expected = expectedTail.take() else { return }
        guard expected.identity == end.identity, expected.digest == end.digest else {
            throw StreamError.sourceLostEvents(
                "transaction \(expected.identity) at \(expected.start), which the target has "
                    + "applied, is not there any more, or is another now (\(end.identity))")
        }
    }

    /// Does what an output of the assembler asks for that has to wait.
    private func take(
        _ output: consuming TransactionAssembler.Output, _ chunk: EventChunk,
        _ entry: EventChunk.Entry, _ keeper: MarkKeeper
    ) async throws {
        switch output {
        case .part(let part):
            try await apply(part)
        case .lastPart(let part, let end):
            try checkTail(end)
            sign(part, end)
            try await apply(part, .commit)
            keeper.append(
                end, isPassed: false, shapes: opening.shapes,
                objects: try catalog.takeChanges())
            try await close()
        case .abandoned(let end):
            try checkTail(end)
            let nothing = SourceTransaction(ordinal: end.ordinal, identity: end.identity)
            try await apply(nothing, .rollback)
            keeper.append(end, isPassed: true)
        case .statement(let query, let end, _):
            try checkTail(end, isStatement: true)
            try await statement(query, end, chunk, entry, keeper)
        case .recall(let xid, let start, let end):
            try checkTail(end)
            try await recall(xid, from: start, end, keeper)
        case .opening(let query, let end, _):
            try await open(query, end, chunk, entry)
        case .passed(let end):
            try checkTail(end)
            keeper.append(
                end, isPassed: true, shapes: opening.shapes, objects: try catalog.takeChanges()
            )
            try await close()
        case .transaction(let transaction, let end):
            try checkTail(end)
            sign(transaction, end)
            keeper.append(
                end, isPassed: false, shapes: opening.shapes,
                objects: try catalog.takeChanges())
            if transaction.isAlone {
                try await applyAlone(transaction)
            } else {
                _ = try run.scheduler.add(transaction)
            }
            try await close()
        case .none: break
        }
    }

    /// Applies an XA transaction whose rows have to be read again.
    private func recall(
        _ xid: XATransactionID, from start: BinlogPosition?, _ end: GroupEnd, _ keeper: MarkKeeper
    ) async throws {
        let configuration = run.configuration
        let search = PreparedSearch(
            events: configuration.events, source: configuration.source, catalog: catalog,
            origin: origin, decision: end, xid: xid,
            bytesLimit: configuration.memoryBudget / 4)
        try await search.run(from: start) { output in
            switch output {
            case .part(let part): try await apply(part)
            case .lastPart(let part, _):
                sign(part, end)
                try await apply(part, .commit)
                keeper.append(end, isPassed: false)
            case .transaction(let transaction, _):
                sign(transaction, end)
                keeper.append(end, isPassed: false)
                if transaction.isAlone {
                    try await applyAlone(transaction)
                } else if try run.scheduler.add(transaction) {
                    try await run.scheduler.waitForRoom()
                }
            default: keeper.append(end, isPassed: true)
            }
        }
    }

    /// Applies a transaction whose place among the others its keys don't tell.
    private func applyAlone(_ transaction: SourceTransaction) async throws {
        try await run.scheduler.drain()
        _ = try run.scheduler.add(transaction)
        try await run.scheduler.drain()
        assembler.noteCommitted()
    }

    /// Applies a part of a large transaction: alone, after everything before it is committed and
    /// the mark is at its start.
    private func apply(
        _ part: SourceTransaction, _ end: StreamedPart.End = .none
    ) async throws {
        progress.update { $0.isIdle = false }
        if !isStreaming {
            try await run.scheduler.drain()
            try await run.flush()
        }
        let isFirst = !isStreaming
        isStreaming = end == .none
        try await run.scheduler.apply(
            StreamedPart(transaction: part, isFirst: isFirst, end: end))
    }

    /// Waits when too much is above the mark.
    private func stayNear(_ keeper: MarkKeeper) async throws {
        guard keeper.count >= Self.aheadLimit else { return }
        run.scheduler.setDry(true)
        while keeper.count >= Self.aheadLimit {
            try await run.flush()
            if keeper.count >= Self.aheadLimit { try await Task.sleep(for: .milliseconds(5)) }
        }
        run.scheduler.setDry(false)
    }
}
