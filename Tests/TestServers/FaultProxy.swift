import Glibc
import Synchronization

/// A TCP proxy in front of a server that makes the faults of networks: connections that are cut,
/// stand still, are slow; packets that reach the server after their client is gone.
///
/// It understands MySQL's packets (three bytes of length, one of sequence, payload) and nothing more,
/// so holding and cutting by content needs connections without TLS and without compression.
/// One thread does everything; it ends with `close()` or when the proxy is forgotten.
public final class FaultProxy: Sendable {
    /// Which way bytes go.
    public enum Direction: Int, Sendable, CaseIterable {
        case toServer = 0
        case toClient = 1
    }

    /// The port to connect to, on 127.0.0.1.
    public let port: UInt16

    private let loop: FaultProxyLoop

    /// Starts a proxy before a port on 127.0.0.1.
    public init(to serverPort: UInt16) throws {
        while true {
            let port = FreePort.next()
            if let listener = Loopback.listen(port) {
                self.port = port
                loop = FaultProxyLoop(port: port, listener: listener, serverPort: serverPort)
                break
            }
        }
        loop.start()
    }

    deinit { close() }

    /// Starts a proxy before a server.
    public convenience init(to server: TestServer) throws { try self.init(to: server.port) }

    /// The URL that the product is given to reach the server through the proxy.
    public var url: String { "mysql://\(TestServer.user)@127.0.0.1:\(port)" }

    /// Connections that are open now.
    public var connections: Int { loop.change { $0.connections.count } }

    /// Connections that were accepted since the start.
    public var accepted: Int { loop.change { $0.accepted } }

    /// Bytes that were delivered since the start.
    public func bytes(_ direction: Direction) -> Int {
        loop.change { $0.delivered[direction.rawValue] }
    }

    /// Ends all connections at once, both sides, as a reset (RST) does. New ones are welcome.
    public func cut() {
        loop.change { for connection in $0.connections { connection.reset() } }
    }

    /// Stops delivering, one way or both; connections stay open, and what is sent waits.
    public func freeze(_ directions: Direction...) {
        let chosen = directions.isEmpty ? Direction.allCases : directions
        loop.change { state in for way in chosen { state.frozen[way.rawValue] = true } }
    }

    /// Delivers again what `freeze` stopped.
    public func resume() {
        loop.change { $0.frozen = [false, false] }
    }

    /// Every byte arrives this much later, each way. Zero is the rule.
    public func setDelay(_ delay: Duration) {
        loop.change { $0.delay = delay }
    }

    /// New connections are refused, as when nothing listens there; open ones stay.
    public func refuseConnections() {
        loop.settle(refusing: true)
    }

    /// New connections are accepted again.
    public func acceptConnections() {
        loop.settle(refusing: false)
    }

    /// New connections go to this server from now on; open ones stay where they are. A failover
    /// behind a virtual address looks like this.
    public func forward(to server: TestServer) {
        loop.change { $0.serverPort = server.port }
    }

    /// Holds the next packet that contains the bytes, on whichever connection it comes.
    ///
    /// - Parameters:
    ///   - bytes: what the packet's payload must contain; empty: any packet.
    ///   - closingClient: the client's side is reset as soon as the packet is held, so that the
    ///     client cannot know what became of it. Else the connection waits as it is.
    /// - Returns: the hold, to wait for the packet and to say what becomes of it.
    public func holdNext(
        _ direction: Direction, matching bytes: [UInt8], closingClient: Bool = true
    ) -> HeldPacket {
        let held = HeldPacket(loop)
        loop.change {
            $0.traps.append(
                Trap(direction: direction, bytes: bytes, action: .hold(held, closingClient)))
        }
        return held
    }

    /// Holds the next packet that contains the text.
    public func holdNext(
        _ direction: Direction, matching text: String, closingClient: Bool = true
    ) -> HeldPacket {
        holdNext(direction, matching: Array(text.utf8), closingClient: closingClient)
    }

    /// Cuts the connection of the next packet that contains the bytes, in the middle of it: only its
    /// first bytes, header included, are delivered.
    public func cutNext(
        _ direction: Direction, matching bytes: [UInt8] = [], after count: Int = 0
    ) {
        loop.change {
            $0.traps.append(Trap(direction: direction, bytes: bytes, action: .cut(after: count)))
        }
    }

    /// Forgets what `holdNext` and `cutNext` wait for and did not find.
    public func disarm() {
        loop.change { $0.traps = [] }
    }

    /// Ends the proxy and all its connections.
    public func close() {
        loop.change {
            $0.closed = true
            for connection in $0.connections { connection.reset() }
        }
    }
}

/// A packet that a proxy keeps from arriving.
public final class HeldPacket: Sendable {
    private enum State {
        case waiting
        case held(ProxyConnection, packet: [UInt8], FaultProxy.Direction)
        case done
    }

    private let state = Mutex(State.waiting)
    private let loop: FaultProxyLoop

    init(_ loop: FaultProxyLoop) { self.loop = loop }

    /// Whether a packet was found.
    public var isHeld: Bool {
        state.withLock { if case .waiting = $0 { false } else { true } }
    }

    /// Waits until a packet is held.
    ///
    /// - Throws: `TestServerError` when none came in time, `CancellationError`.
    public func caught(within limit: Duration = .seconds(30)) async throws {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        while !isHeld {
            guard clock.now < deadline else {
                throw TestServerError("no packet to hold came within \(limit)")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Delivers the packet. When the client's side was closed, the end of the connection follows it,
    /// as from a network that was slow: the server executes the packet and finds its client gone.
    public func deliver() {
        guard case .held(let connection, let packet, let direction) = take() else { return }
        loop.change { _ in connection.deliver(packet, direction) }
    }

    /// Loses the packet and the rest of its connection.
    public func drop() {
        guard case .held(let connection, _, _) = take() else { return }
        loop.change { _ in connection.reset() }
    }

    func hold(_ packet: [UInt8], of connection: ProxyConnection, _ direction: FaultProxy.Direction)
    {
        state.withLock { $0 = .held(connection, packet: packet, direction) }
    }

    private func take() -> State {
        state.withLock {
            let now = $0
            if case .held = now { $0 = .done }
            return now
        }
    }
}

/// What to do with the next packet that contains some bytes.
struct Trap {
    enum Action {
        case hold(HeldPacket, Bool)
        case cut(after: Int)
    }

    let direction: FaultProxy.Direction
    let bytes: [UInt8]
    let action: Action

    /// Whether a packet's payload contains the bytes.
    func matches(_ packet: ArraySlice<UInt8>) -> Bool {
        guard !bytes.isEmpty else { return true }
        guard packet.count >= bytes.count else { return false }
        return packet.withUnsafeBytes { packet in
            bytes.withUnsafeBytes { Self.contains(packet, $0) }
        }
    }

    /// Whether the bytes are in there; by C's functions, since packets can be 16 MiB and tests are
    /// not optimised.
    private static func contains(
        _ packet: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer
    ) -> Bool {
        guard var place = packet.baseAddress, let sought = bytes.baseAddress else { return false }
        var last = packet.count - bytes.count
        while last >= 0, let found = memchr(place, Int32(bytes[0]), last + 1) {
            if memcmp(found, sought, bytes.count) == 0 { return true }
            last -= UnsafeRawPointer(found) + 1 - place
            place = UnsafeRawPointer(found) + 1
        }
        return false
    }
}
