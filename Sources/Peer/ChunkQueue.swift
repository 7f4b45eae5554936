internal import MySQLCore
internal import Stream
internal import Synchronization

/// Chunks between the call that receives them and the reader that takes them: bounded in bytes,
/// so that a slow reader makes the other side wait, and nobody's memory grow.
final class ChunkQueue: Sendable {
    struct Item: Sendable {
        var chunk: EventChunk
        var server: ServerUUID?
        var hasMore: Bool
    }

    private struct State {
        var items: [Item] = []
        var byteCount = 0
        var failure: (any Error)?
        /// Whether more is known to come than was taken.
        var hasMore = true
        var taker: CheckedContinuation<Void, Never>?
        var giver: CheckedContinuation<Void, Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// Whether something can be taken without waiting, or will come at once.
    var hasMore: Bool { state.withLock { !$0.items.isEmpty || $0.hasMore } }

    /// Bytes that nobody has taken yet.
    var byteCount: Int { state.withLock { $0.byteCount } }

    /// Adds a chunk, and waits while there is too much.
    func put(_ item: Item) async {
        let taker = state.withLock { state in
            state.items.append(item)
            state.byteCount += item.chunk.byteCount
            state.hasMore = item.hasMore
            return state.taker.take()
        }
        taker?.resume()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if state.byteCount < limit || state.failure != nil || Task.isCancelled {
                        return true
                    }
                    state.giver = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            state.withLock({ $0.giver.take() })?.resume()
        }
    }

    /// Takes the next chunk, when there is one.
    ///
    /// - Throws: what ended the stream, once everything was taken; `CancellationError`.
    func take() async throws -> Item {
        while true {
            try Task.checkCancellation()
            let (item, giver) = try state.withLock { state in
                guard !state.items.isEmpty else {
                    if let failure = state.failure { throw failure }
                    return (Item?.none, CheckedContinuation<Void, Never>?.none)
                }
                let item = state.items.removeFirst()
                state.byteCount -= item.chunk.byteCount
                return (item, state.byteCount < limit ? state.giver.take() : nil)
            }
            giver?.resume()
            if let item { return item }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let now = state.withLock { state in
                        let isOver = state.failure != nil || Task.isCancelled
                        if !state.items.isEmpty || isOver { return true }
                        state.taker = continuation
                        return false
                    }
                    if now { continuation.resume() }
                }
            } onCancel: {
                state.withLock({ $0.taker.take() })?.resume()
            }
        }
    }

    /// Ends the stream behind what is in the queue; only the first reason counts.
    func end(_ error: any Error) {
        let waiters = state.withLock { state in
            if state.failure == nil { state.failure = error }
            state.hasMore = false
            return [state.taker.take(), state.giver.take()]
        }
        for waiter in waiters { waiter?.resume() }
    }

    /// Ends the stream, and forgets what is in the queue.
    func close() {
        state.withLock { state in
            state.items = []
            state.byteCount = 0
            state.failure = CancellationError()
        }
        end(CancellationError())
    }
}
