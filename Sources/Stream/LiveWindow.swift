public import MySQLCore
internal import Runtime
internal import Synchronization

/// A place in the files of a relay log, or of one connection: files of one server follow each
/// other within a segment, and segments follow each other where the server changed.
public struct WindowPlace: Sendable, Hashable, Comparable {
    /// The folder of a relay log; 0 over a direct connection.
    public var segment: Int
    /// File and offset.
    public var position: BinlogPosition

    /// Makes a place.
    public init(segment: Int, position: BinlogPosition) {
        self.segment = segment
        self.position = position
    }

    /// Orders by segment, file number and offset.
    public static func < (a: WindowPlace, b: WindowPlace) -> Bool {
        a.segment == b.segment ? a.position < b.position : a.segment < b.segment
    }
}

/// The most recent events of a source in memory, within a byte budget: one writer, any number of
/// readers, chunks shared between all of them. The writer wakes the readers; nothing polls.
public final class LiveWindow: Sendable {
    /// A reader's entry; `nil` cursors are outrun.
    public struct Ticket: Sendable, Hashable {
        let id: UInt64
    }

    /// What a reader joins with.
    public struct Joined: Sendable {
        /// The reader's entry.
        public var ticket: Ticket
        /// The rest of the chunk that the place lies in.
        public var rest: EventChunk?
    }

    private struct Item {
        var chunk: EventChunk
        var start: WindowPlace
        var end: WindowPlace
        var cost: Int
        /// Costs of everything that was appended, up to and with this.
        var total: UInt64 = 0
    }

    private struct Reader {
        /// Number of the chunk that it takes next.
        var next: UInt64
        /// Bytes that had been appended when it took its last chunk.
        var seen: UInt64
        var failure: (any Error)?
        var waiter: CheckedContinuation<Void, Never>?
    }

    private struct State {
        var items: ContiguousArray<Item> = []
        /// Items before this index are gone; removed now and then.
        var head = 0
        /// Number of the first item.
        var first: UInt64 = 0
        var cost = 0
        var appended: UInt64 = 0
        var end: WindowPlace?
        var isDry = true
        /// When the oldest chunk came that nobody was woken for; 0 for none.
        var unwokenSince: UInt64 = 0
        var unwoken = 0
        var readers: [UInt64: Reader] = [:]
        var nextID: UInt64 = 0
        var failure: (any Error)?
        var writer: CheckedContinuation<Void, Never>?
        var writerIsCancelled = false

        var count: Int { items.count - head }
        var last: UInt64 { first + UInt64(count) }
    }

    private static let takenBytes = 1 << 20
    /// How much comes, or how long it takes, before readers are woken while there is more to come.
    private static let wokenChunks = 32
    private static let wokenNanoseconds: UInt64 = 8_000_000
    private static let empty = EventChunk(capacity: 1, file: "")

    /// Bytes that are kept for readers.
    public let budget: Int
    /// Bytes that are kept while there is no reader.
    private let idleBudget: Int
    private let state = Mutex(State())

    /// Makes an empty window.
    public init(budget: Int = 64 << 20) {
        self.budget = budget
        idleBudget = min(budget, 1 << 20)
    }

    // MARK: the writer

    /// Says where the first event will be, or where the next one is after a jump. Readers that
    /// have taken everything go on there.
    public func begin(at place: WindowPlace) {
        state.withLock { $0.end = place }
    }

    /// Adds events and wakes whoever waits for them.
    ///
    /// - Parameter isDry: the source has sent nothing more yet.
    public func append(_ chunk: EventChunk, segment: Int, isDry: Bool) {
        guard let entry = chunk.entries.first, let last = chunk.entries.last else { return }
        let chunk = chunk.compacted()
        var item = Item(
            chunk: chunk,
            start: WindowPlace(
                segment: segment,
                position: BinlogPosition(file: chunk.file, offset: entry.position)),
            end: WindowPlace(
                segment: segment,
                position: BinlogPosition(file: chunk.file, offset: last.endPosition)),
            cost: chunk.cost)
        var gone: ContiguousArray<Item> = []
        let waiters = state.withLock { state in
            state.cost += item.cost
            state.appended += UInt64(item.cost)
            item.total = state.appended
            state.items.append(item)
            state.end = item.end
            state.isDry = isDry
            evict(&state, &gone)
            return isTimeToWake(&state) ? Self.takeWaiters(&state) : []
        }
        for waiter in waiters { waiter.resume() }
        // Chunks are freed here, outside of the lock.
        gone.removeAll()
    }

    /// Whether readers that wait are woken: at once when nothing more is there to be read, else
    /// for several chunks, or a few milliseconds, at a time. To wake ten of them costs more than to
    /// read what they wait for, and one that waits while there is more to be read has nothing else to
    /// do.
    private func isTimeToWake(_ state: inout State) -> Bool {
        if state.isDry { return true }
        let now = monotonicNanoseconds()
        if state.unwoken == 0 { state.unwokenSince = now }
        state.unwoken += 1
        return state.unwoken >= Self.wokenChunks || now - state.unwokenSince > Self.wokenNanoseconds
    }

    private func evict(_ state: inout State, _ gone: inout ContiguousArray<Item>) {
        let limit = state.readers.isEmpty ? idleBudget : budget
        while state.cost > limit, state.count > 1 {
            state.cost -= state.items[state.head].cost
            gone.append(state.items[state.head])
            // Its slot stays for a while; its memory must not.
            state.items[state.head].chunk = Self.empty
            state.head += 1
            state.first += 1
        }
        if state.head > 64, state.head * 2 > state.items.count {
            state.items.removeSubrange(0..<state.head)
            state.head = 0
        }
    }

    private static func takeWaiters(
        _ state: inout State
    ) -> ContiguousArray<CheckedContinuation<Void, Never>> {
        var waiters: ContiguousArray<CheckedContinuation<Void, Never>> = []
        state.unwoken = 0
        for id in state.readers.keys {
            if let waiter = state.readers[id]?.waiter {
                waiters.append(waiter)
                state.readers[id]?.waiter = nil
            }
        }
        return waiters
    }

    /// Whether the source had nothing more to send when the writer last looked. A writer that
    /// stops reading says so by hand: readers must not expect more soon.
    public func setDry(_ isDry: Bool) {
        let waiters = state.withLock { state in
            state.isDry = isDry
            return isDry && state.unwoken > 0 ? Self.takeWaiters(&state) : []
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Ends all streams, now and later.
    public func fail(_ error: any Error) {
        let waiters = state.withLock { state in
            if state.failure == nil { state.failure = error }
            return Self.takeWaiters(&state)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Ends the streams of those who read now, and forgets all events; new readers may come.
    public func failReaders(_ error: any Error) {
        let waiters = state.withLock { state in
            for id in state.readers.keys { state.readers[id]?.failure = error }
            state.first = state.last
            state.items = []
            state.head = 0
            state.cost = 0
            return Self.takeWaiters(&state)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when some reader has taken all but half of the budget: for a writer that has
    /// nowhere else to put events. The fastest reader counts; the others are outrun.
    ///
    /// - Returns: false when there is no reader any more.
    public func room() async -> Bool {
        while true {
            let (hasRoom, isEmpty) = state.withLock { state in
                let seen = state.readers.values.map(\.seen).max() ?? state.appended
                let isEmpty = state.readers.isEmpty
                return (state.appended - seen < UInt64(budget / 2) || isEmpty, isEmpty)
            }
            if isEmpty || Task.isCancelled { return false }
            if hasRoom { return true }
            // Nobody may be left to wait for more events: none come before somebody has read.
            let waiters = state.withLock { Self.takeWaiters(&$0) }
            for waiter in waiters { waiter.resume() }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let now = state.withLock { state in
                        let seen = state.readers.values.map(\.seen).max() ?? state.appended
                        if state.appended - seen < UInt64(budget / 2) || state.writerIsCancelled {
                            return true
                        }
                        state.writer = continuation
                        return false
                    }
                    if now { continuation.resume() }
                }
            } onCancel: {
                let writer = state.withLock { state in
                    state.writerIsCancelled = true
                    return state.writer.take()
                }
                writer?.resume()
            }
        }
    }

    // MARK: readers

    /// Whether some reader waits for events.
    var hasWaiters: Bool { state.withLock { $0.readers.values.contains { $0.waiter != nil } } }

    /// Enters a reader at a place, when the window holds what follows it.
    public func join(at place: WindowPlace) -> Joined? {
        state.withLock { state in
            guard let end = state.end else { return nil }
            if place == end {
                return Joined(ticket: enter(&state, at: state.last), rest: nil)
            }
            // The first chunk that ends behind the place.
            var low = state.head
            var high = state.items.count
            while low < high {
                let middle = (low + high) / 2
                if state.items[middle].end <= place { low = middle + 1 } else { high = middle }
            }
            guard low < state.items.count else { return nil }
            let item = state.items[low]
            let number = state.first + UInt64(low - state.head)
            if item.start <= place, item.start.segment == place.segment,
                item.start.position.file == place.position.file
            {
                guard item.start < place else {
                    return Joined(ticket: enter(&state, at: number), rest: nil)
                }
                guard
                    item.chunk.entries.contains(where: { $0.position == place.position.offset }),
                    let rest = item.chunk.filtered({ $0.position >= place.position.offset })
                else { return nil }
                return Joined(ticket: enter(&state, at: number + 1), rest: rest)
            }
            // The place is the end of a file, and the next one has begun.
            guard low > state.head, state.items[low - 1].end == place else { return nil }
            return Joined(ticket: enter(&state, at: number), rest: nil)
        }
    }

    /// Enters a reader with whatever comes next; for the one that the writer starts for.
    public func joinAtEnd() -> Ticket {
        state.withLock { enter(&$0, at: $0.last) }
    }

    private func enter(_ state: inout State, at number: UInt64) -> Ticket {
        state.nextID += 1
        state.readers[state.nextID] = Reader(next: number, seen: state.appended)
        return Ticket(id: state.nextID)
    }

    /// A reader leaves; a ``next(_:)`` that waits ends.
    public func leave(_ ticket: Ticket) {
        let (reader, writer) = state.withLock { state in
            (state.readers.removeValue(forKey: ticket.id), state.writer.take())
        }
        reader?.waiter?.resume()
        writer?.resume()
    }

    /// Whether something can be taken without waiting, or will come at once.
    public func hasMore(_ ticket: Ticket) -> Bool {
        state.withLock { state in
            guard let reader = state.readers[ticket.id] else { return false }
            return reader.next < state.last || !state.isDry
        }
    }

    /// Chunks with their segments.
    public typealias Chunks = ContiguousArray<(chunk: EventChunk, segment: Int)>

    private enum Step {
        case chunks(Chunks)
        case outrun
        case failed(any Error)
        case wait
    }

    private func take(_ state: inout State, _ ticket: Ticket, upTo limit: Int) -> Step {
        if let failure = state.failure { return .failed(failure) }
        guard let reader = state.readers[ticket.id] else { return .failed(CancellationError()) }
        if let failure = reader.failure { return .failed(failure) }
        guard reader.next < state.last else { return .wait }
        guard reader.next >= state.first else { return .outrun }
        var index = state.head + Int(reader.next - state.first)
        let end = min(state.items.count, index + max(limit, 1))
        var chunks: Chunks = []
        var cost = 0
        repeat {
            chunks.append((state.items[index].chunk, state.items[index].start.segment))
            cost += state.items[index].cost
            index += 1
        } while index < end && cost < Self.takenBytes
        let seen = state.items[index - 1].total
        state.readers[ticket.id]?.next = reader.next + UInt64(chunks.count)
        state.readers[ticket.id]?.seen = seen
        return .chunks(chunks)
    }

    /// The next chunk with its segment; `nil` when the reader was outrun, and has to find its
    /// events elsewhere.
    public func next(_ ticket: Ticket) async throws -> (chunk: EventChunk, segment: Int)? {
        try await next(ticket, upTo: 1)?.first
    }

    /// The next chunk, and what is there already behind it: a reader that goes on alone with them
    /// keeps out of the others' way. What it holds is in no budget once the window has dropped it.
    ///
    /// - Parameter limit: at most that many chunks, and not much more than a MiB.
    /// - Returns: at least one; `nil` when the reader was outrun, and has to find its events
    ///   elsewhere.
    public func next(_ ticket: Ticket, upTo limit: Int) async throws -> Chunks? {
        while true {
            var writer: CheckedContinuation<Void, Never>?
            let step = state.withLock { state in
                let step = take(&state, ticket, upTo: limit)
                if case .chunks = step { writer = state.writer.take() }
                return step
            }
            writer?.resume()
            switch step {
            case .chunks(let chunks): return chunks
            case .outrun: return nil
            case .failed(let error): throw error
            case .wait: break
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let now = state.withLock { state in
                        guard let reader = state.readers[ticket.id], state.failure == nil,
                            reader.next >= state.last, reader.failure == nil
                        else { return true }
                        state.readers[ticket.id]?.waiter = continuation
                        return false
                    }
                    if now { continuation.resume() }
                }
            } onCancel: {
                leave(ticket)
            }
            try Task.checkCancellation()
        }
    }

    /// Bytes that are held now, and readers.
    public var use: (bytes: Int, readers: Int) {
        state.withLock { ($0.cost, $0.readers.count) }
    }
}
