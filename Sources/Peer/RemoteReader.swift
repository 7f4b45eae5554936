internal import MySQLBinlog
internal import MySQLCore
internal import Runtime
internal import Stream
internal import Synchronization

/// A reader of another worker's relay log. A call fills its queue; when that is cut, another one
/// goes on behind the last event that came, after the peer has shown that it has the same events
/// before that place.
final class RemoteReader: EventReader {
    /// What a call asks for.
    struct Request: Sendable {
        var place: PeerPlace
        var tail: EventTail?
        var skipped: GTIDState?
    }

    private struct State {
        var request: Request
        /// The events that came last.
        var recent = RecentChunks()
        /// Where the next event is, once something came.
        var next: BinlogPosition?
        /// Of the events that came last, and of those that were handed out last.
        var arrived: ServerUUID?
        var server: ServerUUID?
        var arrivals = 0
        /// Whether any of them had events of a file.
        var hasEvents = false
        var isOpened = false
    }

    private let state: Mutex<State>
    let queue = ChunkQueue(limit: PeerLimits.queueBytes)
    /// Set when nobody reads any more.
    let closing = Latch()
    /// Given when the first call is accepted.
    let opened = Reply<Void>()

    init(_ request: Request) {
        var next: BinlogPosition?
        if case .position(let position)? = request.place.start {
            next = BinlogPosition(file: position.file, offset: position.offset)
        }
        state = Mutex(State(request: request, next: next))
    }

    deinit { close() }

    var hasMore: Bool { queue.hasMore }
    var server: ServerUUID? { state.withLock { $0.server } }

    func next() async throws -> EventChunk {
        let item = try await queue.take()
        state.withLock { $0.server = item.server }
        return item.chunk
    }

    func close() {
        queue.close()
        closing.set()
    }

    // MARK: the call's side

    /// Chunks that came.
    var arrivals: Int { state.withLock { $0.arrivals } }

    /// Whether a call was ever accepted.
    var isOpened: Bool { state.withLock { $0.isOpened } }

    /// A call is accepted.
    func open() {
        state.withLock { $0.isOpened = true }
        opened.resolve(.success(()))
    }

    /// No call will follow.
    func end(_ error: any Error) {
        opened.resolve(.failure(error))
        queue.end(error)
    }

    /// What the next call is to ask for.
    var request: Request {
        state.withLock { state in
            var request = state.request
            guard let next = state.next, state.hasEvents else { return request }
            let folder = request.place.folder
            let server = state.arrived ?? ServerUUID(request.place.server)
            request.place = PeerPlace(.position(next, of: server))
            request.place.folder = folder
            request.tail = state.recent.tail
            return request
        }
    }

    /// Takes what a call has brought. A call that brings what it was not asked for has failed.
    func take(_ batch: IncomingBatch) async throws {
        let chunk = batch.chunk
        let server = ServerUUID(batch.server)
        try state.withLock { state in
            state.arrivals += 1
            if let first = chunk.entries.first(where: { EventChunk.isInFile($0) }) {
                let position = BinlogPosition(file: chunk.file, offset: first.position)
                if let next = state.next, !state.hasEvents || state.arrived == server {
                    let follows =
                        next.file == chunk.file
                        ? state.request.skipped == nil ? position == next : position >= next
                        : position > next
                    guard follows else {
                        throw StreamError.unreadable(
                            "events from \(position) on came where \(next) was expected")
                    }
                }
                state.hasEvents = true
                state.arrived = server
                state.next = BinlogPosition(file: chunk.file, offset: chunk.range.end)
                state.recent.take(chunk)
            }
        }
        await queue.put(
            ChunkQueue.Item(chunk: chunk, server: server, hasMore: batch.hasMore))
    }
}
