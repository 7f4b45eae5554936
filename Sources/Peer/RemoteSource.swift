internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import GRPCProtobuf
public import MySQLCore
public import Relay
internal import Runtime
public import Stream
internal import SwiftProtobuf
internal import Synchronization

/// The relay log of one source on another worker: readers of it are like any others, and a writer
/// of a relay log copies it.
public final class RemoteSource: EventSource, RelayPeer {
    /// The worker's address.
    public let name: String
    private let source: String
    private let server: ServerUUID?
    private let patience: Duration
    private let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let requests = Mailbox<RemoteReader>()
    private let known = Mutex<[RelayContents]>([])
    private let opening = Mutex(Opening())

    private struct Opening {
        /// Readers whose first call has not been answered.
        var readers: [ObjectIdentifier: RemoteReader] = [:]
        var isOver = false
    }

    /// Makes a source; nothing is connected before ``run()``.
    ///
    /// - Parameters:
    ///   - source: the name under which the worker serves the relay log.
    ///   - server: a server that it must have read; `nil` for any.
    ///   - patience: how long a reader that has begun waits for a worker that is away.
    /// - Throws: ``PeerSetupError``.
    public init(
        _ address: PeerAddress, source: String, server: ServerUUID? = nil,
        security: PeerSecurity, patience: Duration = .seconds(20)
    ) throws {
        try security.check(address)
        name = address.description
        self.source = source
        self.server = server
        self.patience = patience
        let target: any ResolvableTarget =
            if address.isIPv4 {
                .ipv4(address: address.host, port: address.port)
            } else if address.isIPv6 {
                .ipv6(address: address.host, port: address.port)
            } else {
                .dns(host: address.host, port: address.port)
            }
        do {
            client = GRPCClient(
                transport: try HTTP2ClientTransport.Posix(
                    target: target, transportSecurity: Self.security(security),
                    config: .defaults { Self.configure(&$0) }))
        } catch {
            throw PeerSetupError("the certificates for \(address) can't be used: \(error)")
        }
    }

    private static func security(
        _ security: PeerSecurity
    ) -> HTTP2ClientTransport.Posix.TransportSecurity {
        guard case .mutual(let authority, let certificate, let key) = security else {
            return .plaintext
        }
        return .mTLS(
            certificateChain: [.file(path: certificate, format: .pem)],
            privateKey: .file(path: key, format: .pem)
        ) {
            $0.trustRoots = .certificates([.file(path: authority, format: .pem)])
            $0.serverCertificateVerification = .fullVerification
        }
    }

    private static func configure(_ config: inout HTTP2ClientTransport.Posix.Config) {
        config.backoff = .init(
            initial: .milliseconds(50), max: .seconds(1), multiplier: 1.6, jitter: 0.2)
        // A worker that hangs, or whose machine is gone, is lost after this.
        config.connection.keepalive = .init(
            time: .seconds(10), timeout: .seconds(5), allowWithoutCalls: false)
        config.http2.maxFrameSize = PeerLimits.frameBytes
        config.http2.targetWindowSize = PeerLimits.windowBytes
    }

    /// Keeps the connection and serves the readers, until its task is cancelled.
    public func run() async throws {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.client.runConnections() }
                group.addTask {
                    try await withThrowingDiscardingTaskGroup { pumps in
                        while true {
                            let reader = try await self.requests.next()
                            pumps.addTask { await self.fill(reader) }
                        }
                    }
                }
                defer { group.cancelAll() }
                while try await group.next() != nil {}
            }
        } catch {
            let left = opening.withLock { opening in
                opening.isOver = true
                return opening.readers.values
            }
            for reader in left { reader.end(gone) }
            throw error
        }
    }

    private var gone: RelayError {
        .unreachable(peer: name, detail: "this worker does not ask any more")
    }

    // MARK: readers

    /// Whether the worker had a file when it was last asked.
    public func holds(_ file: String, of server: ServerUUID) -> Bool {
        known.withLock { known in
            known.contains { shelf in
                shelf.folder.serverName == server && shelf.files.contains { $0.name == file }
            }
        }
    }

    /// Opens a reader; ``run()`` must be running.
    ///
    /// - Throws: `RelayError`: the worker is not there, has another server's events, or lacks
    ///   what is asked for.
    public func reader(from place: StreamPlace) async throws -> any EventReader {
        if case .gtids(.none) = place {
            throw StreamError.unreadable("a start by GTID where there are no GTIDs")
        }
        var skipped: GTIDState?
        if case .gtids(let gtids) = place { skipped = gtids }
        _ = try await contents()
        return try await open(
            RemoteReader.Request(place: PeerPlace(place), tail: nil, skipped: skipped))
    }

    /// Opens a reader in one of the folders.
    public func reader(
        from position: BinlogPosition, in folder: RelayFolder, behind tail: EventTail
    ) async throws -> any EventReader {
        try await open(
            RemoteReader.Request(
                place: PeerPlace(.position(position, of: folder.serverName), in: folder),
                tail: tail, skipped: nil))
    }

    private func open(_ request: RemoteReader.Request) async throws -> any EventReader {
        let reader = RemoteReader(request)
        let isOver = opening.withLock { opening in
            opening.readers[ObjectIdentifier(reader)] = reader
            return opening.isOver
        }
        defer { opening.withLock { $0.readers[ObjectIdentifier(reader)] = nil } }
        if isOver { throw gone }
        requests.send(reader)
        do {
            try await reader.opened.value()
        } catch {
            reader.close()
            throw error
        }
        return reader
    }

    /// Fills a reader's queue, by one call after the other.
    private func fill(_ reader: RemoteReader) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.call(reader) }
            group.addTask { await reader.closing.wait() }
            await group.next()
            group.cancelAll()
        }
        reader.opened.resolve(.failure(gone))
        reader.queue.end(gone)
    }

    private func call(_ reader: RemoteReader) async {
        var backoff = Backoff(first: .milliseconds(20), limit: .seconds(2))
        var lostSince: ContinuousClock.Instant?
        while !Task.isCancelled {
            let before = reader.arrivals
            let failure: any Error
            do {
                try await stream(reader)
                failure = RPCError(code: .unavailable, message: "the worker ended the stream")
            } catch {
                failure = error
            }
            if Task.isCancelled { return }
            if reader.arrivals > before {
                lostSince = nil
                backoff.reset()
            }
            let since = lostSince ?? .now
            lostSince = since
            let (error, isFinal) = judge(failure)
            // Who can't be reached at the start is told so at once: it may ask somebody else.
            if isFinal || !reader.isOpened || since.duration(to: .now) > patience {
                reader.end(error)
                return
            }
            try? await Task.sleep(for: backoff.delay())
        }
    }

    private func stream(_ reader: RemoteReader) async throws {
        let asked = reader.request
        let request = PeerReadRequest.with {
            $0.source = source
            $0.server = server?.description ?? ""
            $0.place = asked.place
            if let tail = asked.tail, !tail.isEmpty { $0.tail = PeerTail(tail) }
            if let skipped = asked.skipped { $0.skipped = PeerPlace(.gtids(skipped)) }
        }
        var options = CallOptions.defaults
        options.waitForReady = false
        options.maxResponseMessageBytes = PeerLimits.messageBytes
        try await client.serverStreaming(
            request: ClientRequest(message: request), descriptor: PeerMethods.read,
            serializer: ProtobufSerializer<PeerReadRequest>(),
            deserializer: EventBatchDeserializer(), options: options
        ) { response in
            let contents = try response.accepted.get()
            reader.open()
            for try await part in contents.bodyParts {
                guard case .message(let batch) = part else { continue }
                try await reader.take(batch)
            }
        }
    }

    // MARK: questions

    /// The folders that the worker has with their files, oldest first.
    public func contents() async throws -> [RelayContents] {
        let request = PeerContentsRequest.with { $0.source = source }
        let answer: PeerFolderList = try await ask(
            PeerMethods.contents, request, timeout: .seconds(5))
        let contents = answer.folders.compactMap { shelf in
            RelayFolder(shelf.name).map { folder in
                RelayContents(
                    folder: folder,
                    files: shelf.files.map { RelayContents.File(name: $0.name, size: $0.size) })
            }
        }
        known.withLock { $0 = contents }
        if let server, !contents.contains(where: { $0.folder.serverName == server }) {
            let folders = contents.map { $0.folder.description }.joined(separator: ", ")
            let what = folders.isEmpty ? "nothing" : folders
            throw RelayError.otherServer(
                peer: name, detail: "\(server) is looked for, and it has \(what)")
        }
        return contents
    }

    /// The file that a reader from a place on would begin in.
    public func locate(_ place: StreamPlace) async throws -> (folder: RelayFolder, file: String) {
        let request = PeerLocateRequest.with {
            $0.source = source
            $0.place = PeerPlace(place)
        }
        // A file without an index is read.
        let answer: PeerLocation = try await ask(
            PeerMethods.locate, request, timeout: .seconds(60))
        guard let folder = RelayFolder(answer.folder) else {
            throw StreamError.unreadable("\(name) has the folder \(answer.folder)")
        }
        return (folder, answer.file)
    }

    private func ask<Request: SwiftProtobuf.Message, Answer: SwiftProtobuf.Message>(
        _ method: MethodDescriptor, _ request: Request, timeout: Duration
    ) async throws -> Answer {
        var options = CallOptions.defaults
        options.waitForReady = false
        options.timeout = timeout
        options.maxResponseMessageBytes = PeerLimits.messageBytes
        do {
            return try await client.unary(
                request: ClientRequest(message: request), descriptor: method,
                serializer: ProtobufSerializer<Request>(),
                deserializer: ProtobufDeserializer<Answer>(), options: options
            ) { try $0.message }
        } catch {
            try Task.checkCancellation()
            throw judge(error).error
        }
    }

    /// What a failed call means, and whether trying again is no use.
    private func judge(_ error: any Error) -> (error: any Error, isFinal: Bool) {
        guard let error = error as? RPCError else {
            if let error = error as? RuntimeError {
                let isOver = error.code == .clientIsStopped
                let lost = RelayError.unreachable(peer: name, detail: error.message)
                return (isOver ? gone : lost, isOver)
            }
            // Events that were damaged on the way are asked for again.
            return (error, false)
        }
        if let known = PeerProblem.error(error, peer: name) { return (known, true) }
        return (RelayError.unreachable(peer: name, detail: error.message), false)
    }
}
