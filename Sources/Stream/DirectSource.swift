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
            let (group, stream, ticket) = try open(request.start)
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
        _ start: BinlogDumpStart
    ) throws -> (Group, DirectStream, LiveWindow.Ticket) {
        let server = try SourceSession(Connection(options)).serverName()
        let number = opened.withLock { opened in
            defer { opened += 1 }
            return opened
        }
        let stream = try DirectStream(options, from: start, serverID: serverID &+ number)
        let group = Group(window: LiveWindow(budget: windowBytes), server: server)
        let interrupter = stream.interrupter
        group.stream.withLock { $0 = interrupter }
        if case .position(let position) = start {
            group.window.begin(at: WindowPlace(segment: 0, position: position))
        }
        return (group, stream, group.window.joinAtEnd())
    }

    // MARK: readers

    /// Direct connections hold nothing that the source has not.
    public func holds(_ file: String, of server: ServerUUID) -> Bool { false }

    /// Opens a reader; ``run()`` must be running.
    public func reader(from place: StreamPlace) async throws -> any EventReader {
        let start: BinlogDumpStart
        switch place {
        case .position(let position, let server):
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
        let (group, ticket) = try await connect(start)
        return DirectReader(self, group, ticket, nil, start)
    }

    fileprivate func connect(
        _ start: BinlogDumpStart
    ) async throws -> (Group, LiveWindow.Ticket) {
        let reply = Reply<(Group, LiveWindow.Ticket)>()
        requests.send(Request(start: start, reply: reply))
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
            group.leave(ticket)
            let next = state.withLock { $0.next }
            let (other, entered) = try await source.connect(next)
            guard other.server == group.server else {
                other.leave(entered)
                throw StreamError.upstreamChanged
            }
            state.withLock { state in
                state.group = other
                state.ticket = entered
                if state.isClosed { other.leave(entered) }
            }
        }
    }

    private func noted(_ chunk: EventChunk) -> EventChunk {
        let end = BinlogPosition(file: chunk.file, offset: chunk.range.end)
        state.withLock { $0.next = .position(end) }
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
