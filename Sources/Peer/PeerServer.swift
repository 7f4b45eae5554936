internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import GRPCProtobuf
internal import MySQLCore
public import Relay
internal import Runtime
internal import Stream
internal import SwiftProtobuf
internal import Synchronization

/// Serves this worker's relay logs to other workers.
public final class PeerServer: Sendable {
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let transport: HTTP2ServerTransport.Posix
    private let service: RelayService

    /// Makes a server; nothing listens before ``run()``.
    ///
    /// - Throws: ``PeerSetupError`` for plain text on an address that is not a loopback one.
    public init(_ address: PeerAddress, security: PeerSecurity) throws(PeerSetupError) {
        try security.check(address)
        let target: GRPCNIOTransportHTTP2Posix.SocketAddress =
            address.isIPv6
            ? .ipv6(host: address.host, port: address.port)
            : .ipv4(host: address.host, port: address.port)
        transport = HTTP2ServerTransport.Posix(
            address: target, transportSecurity: Self.security(security),
            config: .defaults { config in
                config.http2.maxFrameSize = PeerLimits.frameBytes
                // Clients ask whether we still live; gRPC's own limit is once in five minutes.
                config.connection.keepalive.clientBehavior = .init(
                    minPingIntervalWithoutCalls: .seconds(1), allowWithoutCalls: true)
            })
        service = RelayService()
        server = GRPCServer(transport: transport, services: [service])
    }

    private static func security(
        _ security: PeerSecurity
    ) -> HTTP2ServerTransport.Posix.TransportSecurity {
        guard case .mutual(let authority, let certificate, let key) = security else {
            return .plaintext
        }
        return .mTLS(
            certificateChain: [.file(path: certificate, format: .pem)],
            privateKey: .file(path: key, format: .pem)
        ) {
            $0.trustRoots = .certificates([.file(path: authority, format: .pem)])
        }
    }

    /// Serves until its task is cancelled; streams end with it.
    public func run() async throws {
        // A task of its own: a connection that NIO has just accepted when the task that serves is
        // cancelled is dropped unused, which is a precondition failure there. Going away in order,
        // it listens no more before anything is cancelled.
        let serving = Task { try await server.serve() }
        try await withTaskCancellationHandler {
            try await serving.value
        } onCancel: {
            server.beginGracefulShutdown()
            Task {
                // A client that takes nothing more does not hold it up.
                try? await Task.sleep(for: Self.patience)
                serving.cancel()
            }
        }
        try Task.checkCancellation()
    }

    private static let patience = Duration.seconds(3)

    /// The port that it listens on, once it does.
    public var port: Int {
        get async throws {
            let address = try await transport.listeningAddress
            return address.ipv4?.port ?? address.ipv6?.port ?? 0
        }
    }

    /// Serves a relay log under the name of its source.
    public func serve(_ log: RelayLog, as source: String) { service.add(log, source) }

    /// Serves a source's relay log no more; streams that read it end by themselves.
    public func withdraw(_ source: String) { service.remove(source) }
}

/// What both sides agree on.
enum PeerLimits {
    /// Bytes of an HTTP/2 frame: 16 KiB, the default, cost a third of the speed.
    static let frameBytes = 1 << 20
    /// Bytes of a batch, but for one large event. Larger ones, and all copies that are made of them
    /// on the way, would be blocks that the allocator maps and unmaps each time.
    static let batchBytes = 112 << 10
    /// Bytes that are on their way at most: what a slow reader makes the other side hold.
    static let windowBytes = 4 << 20
    /// Bytes that a reader holds which nobody has taken yet, but for the last chunk.
    static let queueBytes = 4 << 20
    /// An event may have 1 GiB, and a message holds at least one.
    static let messageBytes = (1 << 30) + (1 << 20)
}

/// The service's methods.
struct RelayService: RegistrableRPCService {
    private final class Shelf: Sendable {
        let logs = Mutex<[String: RelayLog]>([:])
    }
    private let shelf = Shelf()

    func add(_ log: RelayLog, _ source: String) { shelf.logs.withLock { $0[source] = log } }
    func remove(_ source: String) { shelf.logs.withLock { $0[source] = nil } }

    private func log(_ source: String) throws -> RelayLog {
        guard let log = shelf.logs.withLock({ $0[source] }) else {
            // It may be between two hands: the source is just leaving, or coming.
            throw RPCError(
                code: .unavailable, message: "it serves no relay log of \(source) now")
        }
        return log
    }

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: PeerMethods.contents,
            deserializer: ProtobufDeserializer<PeerContentsRequest>(),
            serializer: ProtobufSerializer<PeerFolderList>()
        ) { request, _ in
            try await Self.answer(request) { try contents($0) }
        }
        router.registerHandler(
            forMethod: PeerMethods.locate,
            deserializer: ProtobufDeserializer<PeerLocateRequest>(),
            serializer: ProtobufSerializer<PeerLocation>()
        ) { request, _ in
            // It may have to read a file.
            try await Self.answer(request) { message in
                try await withThread("peer") { try locate(message) }
            }
        }
        router.registerHandler(
            forMethod: PeerMethods.read, deserializer: ProtobufDeserializer<PeerReadRequest>(),
            serializer: EventBatchSerializer()
        ) { request, _ in
            try await read(request)
        }
    }

    private static func answer<Request: Sendable, Answer: Sendable>(
        _ request: StreamingServerRequest<Request>, _ body: (Request) async throws -> Answer
    ) async throws -> StreamingServerResponse<Answer> {
        do {
            let answer = try await body(try await first(request))
            return StreamingServerResponse(of: Answer.self) { writer in
                try await writer.write(answer)
                return [:]
            }
        } catch {
            throw PeerProblem.rpcError(error)
        }
    }

    private static func first<Request>(
        _ request: StreamingServerRequest<Request>
    ) async throws -> Request {
        for try await message in request.messages { return message }
        throw RPCError(code: .invalidArgument, message: "a call without a request")
    }

    // MARK: the methods

    private func contents(_ request: PeerContentsRequest) throws -> PeerFolderList {
        let contents = try log(request.source).contents
        return PeerFolderList.with {
            $0.folders = contents.map { shelf in
                PeerFolder.with {
                    $0.name = shelf.folder.description
                    $0.files = shelf.files.map { file in
                        PeerFile.with {
                            $0.name = file.name
                            $0.size = file.size
                        }
                    }
                }
            }
        }
    }

    private func locate(_ request: PeerLocateRequest) throws -> PeerLocation {
        let found = try log(request.source).locate(try request.place.streamPlace())
        return PeerLocation.with {
            $0.folder = found.folder.description
            $0.file = found.file
        }
    }

    private func read(
        _ request: StreamingServerRequest<PeerReadRequest>
    ) async throws -> StreamingServerResponse<OutgoingBatch> {
        do {
            let request = try await Self.first(request)
            let log = try log(request.source)
            try check(request, log)
            let reader = try await open(request, log)
            return StreamingServerResponse(of: OutgoingBatch.self) { writer in
                defer { reader.close() }
                do {
                    // Files are read on a thread of its own.
                    try await withThread("peer") {
                        try await Self.whileCalled(reader) {
                            while true {
                                let chunk = try await reader.next()
                                let server = reader.server?.description ?? ""
                                let hasMore = reader.hasMore
                                let pieces = chunk.pieces(ofAtMost: PeerLimits.batchBytes)
                                for (n, piece) in pieces.enumerated() {
                                    try await writer.write(
                                        OutgoingBatch(
                                            chunk: piece, server: server,
                                            hasMore: hasMore || n + 1 < pieces.count))
                                }
                            }
                        }
                    }
                } catch {
                    throw PeerProblem.rpcError(error)
                }
                return [:]
            }
        } catch {
            throw PeerProblem.rpcError(error)
        }
    }

    /// Refuses who looks for another server than those that were read here.
    private func check(_ request: PeerReadRequest, _ log: RelayLog) throws {
        guard !request.server.isEmpty else { return }
        let wanted = ServerUUID(request.server)
        let folders = log.contents.map(\.folder)
        guard !folders.contains(where: { $0.serverName == wanted }) else { return }
        let names = folders.map(\.description).joined(separator: ", ")
        throw RelayError.otherServer(
            peer: "",
            detail: "\(request.server) was asked for, and it has "
                + (folders.isEmpty ? "nothing" : names))
    }

    /// Opens a reader, after a look at the events before its place.
    private func open(_ request: PeerReadRequest, _ log: RelayLog) async throws -> RelayReader {
        let place = try request.place.streamPlace()
        guard case .position(let position, let server) = place else {
            return try await withThread("peer") {
                try await log.reader(from: place, crossesServers: false)
            }
        }
        let folder: RelayFolder
        if request.place.folder.isEmpty {
            folder = try log.folder(of: position, on: server)
        } else if let named = RelayFolder(request.place.folder) {
            folder = named
        } else {
            throw RPCError(code: .invalidArgument, message: "a folder that makes no sense")
        }
        if let tail = request.tail.eventTail {
            let start = BinlogPosition(file: tail.file, offset: tail.start)
            let reader = try log.reader(from: start, in: folder)
            defer { reader.close() }
            let isMet = try await withThread("peer") {
                try await Self.whileCalled(reader) { try await tail.isMet(by: reader) }
            }
            guard isMet else {
                throw StreamError.sourceLostEvents(
                    "the events of \(folder)/\(tail.file) from \(tail.start) to \(tail.end) are "
                        + "others here than those that were read before")
            }
        }
        let skipped = request.hasSkipped ? try request.skipped.streamPlace() : nil
        guard case .gtids(let gtids) = skipped else {
            return try log.reader(from: position, in: folder)
        }
        return try log.reader(from: position, in: folder, skipping: gtids)
    }

    /// Ends a reader that waits when the client has gone.
    private static func whileCalled<R: Sendable>(
        _ reader: RelayReader, _ body: @Sendable () async throws -> R
    ) async throws -> R {
        try await withRPCCancellationHandler(operation: body) { reader.close() }
    }
}
