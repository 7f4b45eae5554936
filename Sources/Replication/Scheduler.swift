internal import MySQLCore
internal import Runtime
internal import Synchronization

/// Source transactions that a lane applies in one target transaction.
final class Batch: @unchecked Sendable {
    // SAFETY: reached with the scheduler's lock held, except by the one lane that runs it.

    enum State: UInt8 { case open, sealed, running, committed }

    let number: UInt64
    var transactions: ContiguousArray<SourceTransaction> = []
    var bytes = 0
    fileprivate(set) var state: State = .open
    /// Batches that must be committed before; all were sealed before this one, so there is no
    /// cycle.
    fileprivate var dependencies: [Batch] = []
    /// Where its transactions went when it was joined with another open batch.
    fileprivate var forward: Batch?
    /// Numbers of the batches that were joined into this one.
    fileprivate var joined: [UInt64] = []

    init(number: UInt64) { self.number = number }

    fileprivate var root: Batch {
        var batch = self
        while let next = batch.forward { batch = next }
        return batch
    }

    fileprivate func isReady() -> Bool {
        dependencies.removeAll { $0.state == .committed }
        return dependencies.isEmpty
    }
}

/// Part of a transaction larger than memory allows to hold.
struct StreamedPart: Sendable {
    enum End: Sendable { case none, commit, rollback }

    let transaction: SourceTransaction
    /// Whether the target transaction begins with it.
    let isFirst: Bool
    /// What follows it.
    let end: End
}

/// Puts source transactions into batches such that what conflicts keeps its order, and hands
/// batches to lanes.
///
/// A transaction depends, for each of its keys, on the last writer, and where it writes, also on
/// all readers since. It joins an open batch that holds what it depends on; depends on sealed
/// ones; two open batches that it conflicts with are joined, as they have no conflict with each
/// other.
final class Scheduler: Sendable {
    /// What a lane gets to do.
    enum Work {
        case batch(Batch)
        /// Part of a transaction that is applied as it arrives; always on the same lane.
        case part(StreamedPart)
        /// Nothing came for a while: keep the session open.
        case ping
        case end
    }

    private struct State: ~Copyable {
        var nextNumber: UInt64 = 1
        var live: [UInt64: Batch] = [:]
        var open: [Batch] = []
        var sealed: [Batch] = []
        var keys = KeyTable()
        var slots: [Int] = []
        var running = 0
        var limit: BatchLimit
        var pendingBytes = 0
        var pendingTransactions = 0
        /// Nothing more is there to read right now: open batches may go.
        var isDry = true
        var isEnded = false
        var failure: (any Error)?
        var waitingLanes: [Int: CheckedContinuation<Work, any Error>] = [:]
        /// The first lane's wait while the reader uses the lane itself.
        var borrowedLane: CheckedContinuation<Work, any Error>?
        var waitingReader: CheckedContinuation<Void, any Error>?
        var waitingDrain: CheckedContinuation<Void, any Error>?
        var part: StreamedPart?
        var waitingPart: CheckedContinuation<Void, any Error>?

        init(limit: BatchLimit) { self.limit = limit }
    }

    /// The lane that applies streamed transactions, and that the reader may borrow.
    static let streamingLane = 0

    private let lanes: Int
    private let batchBytes: Int
    private let byteLimit: Int
    private let state: Mutex<State>

    /// - Parameters:
    ///   - batchLimit: transactions a batch holds at most.
    ///   - byteLimit: bytes of transactions that may wait or run.
    init(lanes: Int, batchLimit: Int, byteLimit: Int) {
        self.lanes = lanes
        self.byteLimit = byteLimit
        batchBytes = max(64 << 10, byteLimit / (4 * lanes))
        state = Mutex(State(limit: BatchLimit(most: batchLimit, lanes: lanes)))
    }

    /// Transactions that may wait or run: little more than lanes can take, since the less is in
    /// flight, the less conflicts.
    private func pendingLimit(_ state: borrowing State) -> Int {
        max(2 * state.limit.value, lanes * (state.limit.value + state.limit.value / 3))
    }

    /// Transactions that a batch holds at most now.
    var currentLimit: Int { state.withLock { $0.limit.value } }

    // MARK: the reader's side

    /// Adds a transaction; it must not be empty.
    ///
    /// - Returns: whether too much is pending now: then ``waitForRoom()`` before the next one.
    /// - Throws: what ended the run.
    func add(_ transaction: SourceTransaction) throws -> Bool {
        var full = false
        var failure: (any Error)?
        let resumes = state.withLock { state -> [() -> Void] in
            failure = state.failure
            guard failure == nil else { return [] }
            place(transaction, &state)
            full = isFull(state)
            if full { state.isDry = true }  // what is open must go, or nothing ever frees room
            return wake(&state)
        }
        if let failure { throw failure }
        for resume in resumes { resume() }
        return full
    }

    private func isFull(_ state: borrowing State) -> Bool {
        state.pendingTransactions >= pendingLimit(state) || state.pendingBytes >= byteLimit
    }

    /// Returns when there is room for more transactions.
    func waitForRoom() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<Void, any Error>) in
                let now = state.withLock { state -> (() -> Void)? in
                    if let failure = state.failure {
                        return { continuation.resume(throwing: failure) }
                    }
                    guard isFull(state) else {
                        state.isDry = false
                        return { continuation.resume() }
                    }
                    state.waitingReader = continuation
                    return nil
                }
                now?()
            }
        } onCancel: {
            fail(CancellationError())
        }
    }

    /// Tells whether more is there to read: when not, open batches go to idle lanes at once.
    func setDry(_ dry: Bool) {
        let resumes = state.withLock { state -> [() -> Void] in
            state.isDry = dry
            return dry ? wake(&state) : []
        }
        for resume in resumes { resume() }
    }

    /// Lends the first lane to the reader, with the one batch that is there: when nothing else
    /// runs or waits, handing it to another thread only costs time. Whoever gets a batch applies
    /// it, calls ``committed(_:)`` if that succeeded, and ``giveBack()`` in any case.
    func borrowLane() -> Batch? {
        state.withLock { state in
            guard state.failure == nil, state.running == 0, state.sealed.isEmpty,
                state.open.count == 1, state.open[0].isReady(), state.part == nil,
                let lane = state.waitingLanes.removeValue(forKey: Self.streamingLane)
            else { return nil }
            state.borrowedLane = lane
            let batch = state.open.removeLast()
            batch.state = .running
            state.running = 1
            return batch
        }
    }

    /// The reader has done with the lane, which waits again. A run that failed meanwhile ends the
    /// wait only now: before, the lane's connection was in use.
    func giveBack() {
        let resumes = state.withLock { state -> [() -> Void] in
            guard let lane = state.borrowedLane.take() else { return [] }
            if let failure = state.failure { return [{ lane.resume(throwing: failure) }] }
            state.waitingLanes[Self.streamingLane] = lane
            return wake(&state)
        }
        for resume in resumes { resume() }
    }

    /// Returns when everything added so far is committed.
    func drain() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<Void, any Error>) in
                let resumes = state.withLock { state -> [() -> Void] in
                    if let failure = state.failure {
                        return [{ continuation.resume(throwing: failure) }]
                    }
                    state.isDry = true
                    if state.pendingTransactions == 0 { return [{ continuation.resume() }] }
                    state.waitingDrain = continuation
                    return wake(&state)
                }
                for resume in resumes { resume() }
            }
        } onCancel: {
            fail(CancellationError())
        }
    }

    /// Hands a part of a large transaction to the streaming lane, and returns when it is done.
    /// Everything else must have been drained.
    func apply(_ part: StreamedPart) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<Void, any Error>) in
                let now = state.withLock { state -> (() -> Void)? in
                    if let failure = state.failure {
                        return { continuation.resume(throwing: failure) }
                    }
                    precondition(state.pendingTransactions == 0 && state.part == nil)
                    state.waitingPart = continuation
                    if let lane = state.waitingLanes.removeValue(forKey: Self.streamingLane) {
                        return { lane.resume(returning: .part(part)) }
                    }
                    state.part = part
                    return nil
                }
                now?()
            }
        } onCancel: {
            fail(CancellationError())
        }
    }

    /// The streaming lane has done a part.
    func partDone() {
        let waiter = state.withLock { state in
            defer { state.waitingPart = nil }
            return state.waitingPart
        }
        waiter?.resume()
    }

    /// Lets lanes end when nothing is left.
    func end() {
        let resumes = state.withLock { state -> [() -> Void] in
            state.isEnded = true
            state.isDry = true
            return wake(&state)
        }
        for resume in resumes { resume() }
    }

    /// Ends every wait with an error.
    func fail(_ error: any Error) {
        let resumes = state.withLock { state -> [() -> Void] in
            if state.failure == nil { state.failure = error }
            var out: [() -> Void] = []
            for (_, lane) in state.waitingLanes { out.append { lane.resume(throwing: error) } }
            if let reader = state.waitingReader { out.append { reader.resume(throwing: error) } }
            if let drain = state.waitingDrain { out.append { drain.resume(throwing: error) } }
            if let part = state.waitingPart { out.append { part.resume(throwing: error) } }
            state.waitingPart = nil
            state.waitingLanes = [:]
            state.waitingReader = nil
            state.waitingDrain = nil
            return out
        }
        for resume in resumes { resume() }
    }

    /// Wakes idle lanes so that they ping their servers.
    func pingLanes() {
        let idle = state.withLock { state in
            defer { state.waitingLanes = [:] }
            return state.waitingLanes.values.map { $0 }
        }
        for lane in idle { lane.resume(returning: .ping) }
    }

    /// Transactions that wait or run.
    var pendingTransactions: Int { state.withLock { $0.pendingTransactions } }

    /// How much of its memory is in use.
    var queue: ReplicationMeasures.Queue {
        .init(bytes: state.withLock { $0.pendingBytes }, limitBytes: byteLimit)
    }

    // MARK: the lanes' side

    /// The next batch for a lane, whose dependencies are all committed.
    func next(lane: Int) async throws -> Work {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<Work, any Error>) in
                let now = state.withLock { state -> (() -> Void)? in
                    if let failure = state.failure {
                        return { continuation.resume(throwing: failure) }
                    }
                    if lane == Self.streamingLane, let part = state.part {
                        state.part = nil
                        return { continuation.resume(returning: .part(part)) }
                    }
                    if let batch = take(&state) {
                        return { continuation.resume(returning: .batch(batch)) }
                    }
                    if state.isEnded, state.pendingTransactions == 0 {
                        return { continuation.resume(returning: .end) }
                    }
                    state.waitingLanes[lane] = continuation
                    return nil
                }
                now?()
            }
        } onCancel: {
            fail(CancellationError())
        }
    }

    /// A batch is committed: its dependants may run.
    func committed(_ batch: Batch) {
        let resumes = state.withLock { state -> [() -> Void] in
            batch.state = .committed
            state.running -= 1
            state.limit.commit(beside: state.running)
            state.pendingBytes -= batch.bytes
            state.pendingTransactions -= batch.transactions.count
            state.live[batch.number] = nil
            for number in batch.joined { state.live[number] = nil }
            batch.transactions = []
            batch.dependencies = []
            var out = wake(&state)
            if let reader = state.waitingReader,
                state.pendingTransactions * 2 < pendingLimit(state),
                state.pendingBytes * 2 < byteLimit
            {
                state.waitingReader = nil
                state.isDry = false
                out.append { reader.resume() }
            }
            if state.pendingTransactions == 0, let drain = state.waitingDrain {
                state.waitingDrain = nil
                out.append { drain.resume() }
            }
            return out
        }
        for resume in resumes { resume() }
    }

    // MARK: with the lock held

    /// Gives work to waiting lanes; returns what must be resumed after the lock is released.
    private func wake(_ state: inout State) -> [() -> Void] {
        var out: [() -> Void] = []
        while let lane = state.waitingLanes.keys.first {
            if let batch = take(&state) {
                let waiter = state.waitingLanes.removeValue(forKey: lane)
                out.append { waiter?.resume(returning: .batch(batch)) }
            } else if state.isEnded, state.pendingTransactions == 0 {
                let waiter = state.waitingLanes.removeValue(forKey: lane)
                out.append { waiter?.resume(returning: .end) }
            } else {
                break
            }
        }
        return out
    }

    private func take(_ state: inout State) -> Batch? {
        if let i = state.sealed.firstIndex(where: { $0.isReady() }) {
            let batch = state.sealed.remove(at: i)
            batch.state = .running
            state.running += 1
            return batch
        }
        guard state.isDry else { return nil }
        var best: Int?
        for (i, batch) in state.open.enumerated() where batch.isReady() {
            if best.map({ state.open[$0].transactions.count < batch.transactions.count }) ?? true {
                best = i
            }
        }
        guard let best else { return nil }
        let batch = state.open.remove(at: best)
        batch.state = .running
        state.running += 1
        return batch
    }

    private func seal(_ batch: Batch, _ state: inout State) {
        batch.state = .sealed
        state.open.removeAll { $0 === batch }
        state.sealed.append(batch)
    }

    private func find(_ number: UInt64, _ state: borrowing State) -> Batch? {
        guard number != 0, let batch = state.live[number]?.root, batch.state != .committed else {
            return nil
        }
        return batch
    }

    private func place(_ transaction: SourceTransaction, _ state: inout State) {
        if state.keys.isCrowded(adding: transaction.keys.count) {
            forgetKeys(&state, reserving: transaction.keys.count)
        }
        var openOnes: [Batch] = []
        var closedOnes: [Batch] = []
        func note(_ batch: Batch) {
            if batch.state == .open {
                if !openOnes.contains(where: { $0 === batch }) { openOnes.append(batch) }
            } else if !closedOnes.contains(where: { $0 === batch }) {
                closedOnes.append(batch)
            }
        }
        state.slots.removeAll(keepingCapacity: true)
        for key in transaction.keys {
            let slot = state.keys.slot(key.hash)
            state.slots.append(slot)
            if let writer = find(state.keys.writer(slot), state) { note(writer) }
            if key.writes {
                var readers: [UInt64] = []
                state.keys.forEachReader(slot) { readers.append($0) }
                for reader in readers { if let batch = find(reader, state) { note(batch) } }
            }
        }
        state.limit.add(conflicts: !openOnes.isEmpty || !closedOnes.isEmpty)
        let batch = choose(openOnes, &closedOnes, &state)
        for other in closedOnes where !batch.dependencies.contains(where: { $0 === other }) {
            batch.dependencies.append(other)
        }
        batch.transactions.append(transaction)
        batch.bytes += transaction.bytes
        state.pendingBytes += transaction.bytes
        state.pendingTransactions += 1
        for (i, key) in transaction.keys.enumerated() {
            if key.writes {
                state.keys.setWriter(state.slots[i], batch.number)
            } else {
                state.keys.addReader(state.slots[i], batch.number)
            }
        }
        if batch.transactions.count >= state.limit.value || batch.bytes >= batchBytes {
            seal(batch, &state)
        }
    }

    private func forgetKeys(_ state: inout State, reserving count: Int) {
        let live = state.live
        state.keys.rebuild(reserving: count) { number in
            live[number].map { $0.root.state != .committed } ?? false
        }
    }

    private func choose(
        _ openOnes: [Batch], _ closedOnes: inout [Batch], _ state: inout State
    ) -> Batch {
        if var chosen = openOnes.first {
            for batch in openOnes where batch.transactions.count > chosen.transactions.count {
                chosen = batch
            }
            for other in openOnes where other !== chosen {
                if other.transactions.count + chosen.transactions.count < state.limit.value {
                    join(other, into: chosen, &state)
                } else {
                    seal(other, &state)
                    closedOnes.append(other)
                }
            }
            return chosen
        }
        if !closedOnes.isEmpty { return choose(waitingFor: closedOnes, &state) }
        // The fullest: full batches cost the target least, and the sooner one is full the sooner
        // it goes.
        var free: Batch?
        for batch in state.open where batch.isReady() {
            if free.map({ batch.transactions.count > $0.transactions.count }) ?? true {
                free = batch
            }
        }
        if let free { return free }
        return state.open.count < 2 * lanes
            ? newBatch(&state)
            : state.open.min { $0.transactions.count < $1.transactions.count }!
    }

    /// The open batch that waits for the same ones already: as few batches as possible wait.
    private func choose(waitingFor closedOnes: [Batch], _ state: inout State) -> Batch {
        var best: Batch?
        var bestScore = -1
        for batch in state.open {
            var score = batch.dependencies.isEmpty ? 0 : 2
            for other in closedOnes
            where batch.dependencies.contains(where: { $0 === other }) {
                score += 4
            }
            if score > bestScore {
                bestScore = score
                best = batch
            }
        }
        if let best, bestScore >= 2 || state.open.count >= lanes { return best }
        return newBatch(&state)
    }

    private func join(_ other: Batch, into chosen: Batch, _ state: inout State) {
        chosen.transactions.append(contentsOf: other.transactions)
        chosen.bytes += other.bytes
        other.transactions = []
        other.forward = chosen
        chosen.joined.append(other.number)
        chosen.joined.append(contentsOf: other.joined)
        state.open.removeAll { $0 === other }
        for dependency in other.dependencies where dependency.state != .committed {
            if !chosen.dependencies.contains(where: { $0 === dependency }) {
                chosen.dependencies.append(dependency)
            }
        }
    }

    private func newBatch(_ state: inout State) -> Batch {
        let batch = Batch(number: state.nextNumber)
        state.nextNumber += 1
        batch.transactions.reserveCapacity(state.limit.value)
        state.open.append(batch)
        state.live[batch.number] = batch
        return batch
    }
}
