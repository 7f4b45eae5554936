public import MySQLClient
public import MySQLCore
internal import Runtime
internal import Synchronization

/// A source read over connections of one's own, without files: readers that are close together
/// share one connection and its window; one that falls too far behind gets another.
public final class DirectSource: EventSource {
    private let options: ConnectionOptions
    private let serverID: UInt32
    private let windowBytes: Int
    private let requests = Mailbox<Request>()
    private let groups = Mutex<[Group]>([])
    private let opened = Mutex<UInt32>(0)

    /// Readers that share a connection.
    fileprivate final class Group: Sendable {
        let window: LiveWindow
        let stream = Mutex<Interrupter?>(nil)
        let server: ServerUUID?

        init(window: LiveWindow, server: ServerUUID?) {
            self.window = window
            self.server = server
        }

        /// The last reader has gone: the connection is not needed any more.
        func leave(_ ticket: LiveWindow.Ticket) {
            window.leave(ticket)
            if window.use.readers == 0 { stream.withLock { $0?.interrupt() } }
        }
    }

    private struct Request: Sendable {
        var start: BinlogDumpStart
        /// The server that a position is one of.
        var server: ServerUUID?
        var reply: Reply<(Group, LiveWindow.Ticket)>
    }

    /// Makes a source; nothing is connected before a reader is opened.
    ///
    /// - Parameters:
    ///   - serverID: the id among the source's replicas; further connections count up from it.
    ///   - windowBytes: memory for the events of one connection.
    public init(_ options: ConnectionOptions, serverID: UInt32, windowBytes: Int = 16 << 20) {
        self.options = options
        self.serverID = serverID
        self.windowBytes = windowBytes
    }

    /// Serves the connections, until its task is cancelled.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await withThrowingTaskGroup(of: Void.self) { pumps in
                    while true {
                        let request = try await self.requests.next()
                        let thread = ThreadExecutor(name: "stream")
                        pumps.addTask(executorPreference: thread) {
                            defer { thread.stop() }
                            await self.pump(request)
                        }
                    }
                }
            }
            while try await group.next() != nil {}
        }
    }

    /// One connection's life. What ends it ends its readers' streams, and nothing else.
    private func pump(_ request: Request) async {
        do {
            let (group, stream, ticket) = try open(request)
            groups.withLock { $0.append(group) }
            defer { groups.withLock { $0.removeAll { $0 === group } } }
            request.reply.resolve(.success((group, ticket)))
            let interrupter = stream.interrupter
            await withTaskCancellationHandler {
                do {
                    while await group.window.room() {
                        let chunk = try stream.next().withoutSeams()
                        let isDry = !stream.hasMore
                        guard let chunk else {
                            group.window.setDry(isDry)
                            continue
                        }
                        group.window.append(chunk, segment: 0, isDry: isDry)
                    }
                    group.window.fail(StreamError.upstreamChanged)
                } catch {
                    group.window.fail(error)
                }
            } onCancel: {
                interrupter.interrupt()
            }
        } catch {
            request.reply.resolve(.failure(error))
        }
    }

    private func open(
        _ request: Request
    ) throws -> (Group, DirectStream, LiveWindow.Ticket) {
        let number = opened.withLock { opened in
            defer { opened += 1 }
            return opened
        }
        let stream = try DirectStream(
            options, from: request.start, serverID: serverID &+ number, on: request.server)
        let group = Group(window: LiveWindow(budget: windowBytes), server: stream.server)
        let interrupter = stream.interrupter
        group.stream.withLock { $0 = interrupter }
        if case .position(let position) = request.start {
            group.window.begin(at: WindowPlace(segment: 0, position: position))
        }
        return (group, stream, group.window.joinAtEnd())
    }

    // MARK: readers

    /// Direct connections hold nothing that the source has not.
    public func holds(_ file: String, of server: ServerUUID) -> Bool { false }

    /// Opens a reader; ``run()`` must be running.
    ///
    /// - Throws: ``StreamError/upstreamChanged`` when another server answers than the one that a
    ///   position is of.
    public func reader(from place: StreamPlace) async throws -> any EventReader {
        let start: BinlogDumpStart
        var wanted: ServerUUID?
        switch place {
        case .position(let position, let server):
            wanted = server
            let place = WindowPlace(segment: 0, position: position)
            for group in groups.withLock({ $0 }) where server == nil || server == group.server {
                guard let joined = group.window.join(at: place) else { continue }
                return DirectReader(
                    self, group, joined.ticket, joined.rest, .position(position))
            }
            start = .position(position)
        case .gtids(.mysql(let set)): start = .mysql(set)
        case .gtids(.mariadb(let position)): start = .mariadb(position)
        case .gtids(.none):
            throw StreamError.unreadable("a start by GTID where there are no GTIDs")
        }
        let (group, ticket) = try await connect(start, on: wanted)
        return DirectReader(self, group, ticket, nil, start)
    }

    fileprivate func connect(
        _ start: BinlogDumpStart, on server: ServerUUID?
    ) async throws -> (Group, LiveWindow.Ticket) {
        let reply = Reply<(Group, LiveWindow.Ticket)>()
        requests.send(Request(start: start, server: server, reply: reply))
        return try await reply.value()
    }
}

/// A reader of a connection's window.
private final class DirectReader: EventReader {
    private struct State {
        var group: DirectSource.Group
        var ticket: LiveWindow.Ticket
        var rest: EventChunk?
        /// Where the next event is.
        var next: BinlogDumpStart
        /// What was handed out last, from before its newest transaction on.
        var recent = RecentChunks()
        var isClosed = false
    }

    private let source: DirectSource
    private let state: Mutex<State>

    init(
        _ source: DirectSource, _ group: DirectSource.Group, _ ticket: LiveWindow.Ticket,
        _ rest: EventChunk?, _ start: BinlogDumpStart
    ) {
        self.source = source
        state = Mutex(State(group: group, ticket: ticket, rest: rest, next: start))
    }

    deinit { close() }

    var server: ServerUUID? { nil }

    var hasMore: Bool {
        let (group, ticket, rest) = state.withLock { ($0.group, $0.ticket, $0.rest) }
        return rest != nil || group.window.hasMore(ticket)
    }

    func next() async throws -> EventChunk {
        while true {
            if let rest = state.withLock({ $0.rest.take() }) { return noted(rest) }
            let (group, ticket, isClosed) = state.withLock { ($0.group, $0.ticket, $0.isClosed) }
            if isClosed { throw CancellationError() }
            if let (chunk, _) = try await group.window.next(ticket) { return noted(chunk) }
            // Others are so far ahead that what comes next is gone: on with another connection.
            try await reconnect(leaving: group, ticket)
        }
    }

    /// Goes on over a connection of its own, which must show the newest transaction again, and
    /// unchanged: the position alone says nothing of a source that has crashed meanwhile.
    private func reconnect(
        leaving group: DirectSource.Group, _ ticket: LiveWindow.Ticket
    ) async throws {
        group.leave(ticket)
        let (next, recent) = state.withLock { ($0.next, $0.recent) }
        let tail = recent.tail
        var start = next
        if let tail { start = .position(BinlogPosition(file: tail.file, offset: tail.start)) }
        let (other, entered) = try await source.connect(start, on: group.server)
        let isClosed = state.withLock { state in
            state.group = other
            state.ticket = entered
            return state.isClosed
        }
        if isClosed { other.leave(entered) }
        guard let tail else { return }
        var theirs = EventTail(at: BinlogPosition(file: tail.file, offset: tail.start))
        // Also when that is in a later file: of a very large transaction the tail is a part only,
        // and the rest of its file was had.
        var had = BinlogPosition(file: tail.file, offset: tail.end)
        if case .position(let place) = next { had = place }
        while true {
            guard let (chunk, _) = try await other.window.next(entered) else {
                throw StreamError.unreadable("a connection that nobody else reads was outrun")
            }
            guard theirs.meet(tail, in: chunk) else {
                throw StreamError.sourceLostEvents(
                    "the newest transaction that was read, at \(tail.file):\(tail.start), is "
                        + "another one now")
            }
            // What was had already lies in front of the next event.
            guard BinlogPosition(file: chunk.file, offset: chunk.range.end) >= had else { continue }
            let rest =
                chunk.file == had.file ? chunk.filtered { $0.position >= had.offset } : chunk
            state.withLock { $0.rest = rest }
            return
        }
    }

    private func noted(_ chunk: EventChunk) -> EventChunk {
        let end = BinlogPosition(file: chunk.file, offset: chunk.range.end)
        state.withLock { state in
            state.next = .position(end)
            state.recent.take(chunk)
        }
        return chunk
    }

    func close() {
        let (group, ticket) = state.withLock { state in
            state.isClosed = true
            return (state.group, state.ticket)
        }
        group.leave(ticket)
    }
}
