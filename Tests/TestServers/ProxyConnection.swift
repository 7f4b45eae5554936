import Glibc

/// One client's connection through a proxy, and the proxy's own connection to the server.
///
/// SAFETY: everything in it is touched only with the lock of its loop's state held: by the loop's
/// thread in a round, by others through `FaultProxyLoop.change`.
final class ProxyConnection: @unchecked Sendable {
    typealias Direction = FaultProxy.Direction

    /// One way of the connection: bytes come in at one socket and leave by the other.
    private struct Way {
        /// Where the bytes come in stands between packets: whole packets, a piece of one.
        var framing = PacketFraming()
        /// What waits to be delivered, each with its time; what stands before `head` is delivered.
        var queue: [(due: ContinuousClock.Instant, bytes: ArraySlice<UInt8>)] = []
        var head = 0
        var queuedBytes = 0
        /// What is to be delivered next.
        var first: (due: ContinuousClock.Instant, bytes: ArraySlice<UInt8>)? {
            head < queue.count ? queue[head] : nil
        }
        /// A packet is held: what came behind it waits here, and nothing more is read.
        var behind: ArraySlice<UInt8>?
        /// Nothing more comes; the receiver is told so when the queue is empty.
        var ended = false
        var told = false

        mutating func append(_ bytes: ArraySlice<UInt8>, due: ContinuousClock.Instant) {
            queue.append((due, bytes))
            queuedBytes += bytes.count
        }

        /// So many bytes of the first are delivered.
        ///
        /// Nothing is moved for each of them: a server that sends its whole log in small packets
        /// has a hundred thousand of them waiting.
        mutating func removeFirst(_ count: Int) {
            queuedBytes -= count
            queue[head].bytes = queue[head].bytes.dropFirst(count)
            guard queue[head].bytes.isEmpty else { return }
            head += 1
            if head * 2 > queue.count {
                queue.removeFirst(head)
                head = 0
            }
        }
    }

    /// Above this a sender has to wait for its receiver.
    private static let limit = 4 << 20

    /// The client's and the server's socket; -1: closed by us.
    private var sockets: [Int32]
    private var ways = [Way(), Way()]
    private(set) var isOver = false

    init(client: Int32, server: Int32) { sockets = [client, server] }

    private func source(_ way: Direction) -> Int32 { sockets[way.rawValue] }
    private func target(_ way: Direction) -> Int32 { sockets[1 - way.rawValue] }

    /// When bytes that are not yet due will be, nil when there are none.
    func due(_ way: Direction, _ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        guard let first = ways[way.rawValue].first else { return nil }
        // Due already and still here: the receiver's socket is full, and poll waits for that.
        return first.due > now ? first.due : nil
    }

    /// What the loop's thread has to wait for.
    func polls(_ frozen: [Bool], _ now: ContinuousClock.Instant) -> [pollfd] {
        var polls: [pollfd] = []
        for way in Direction.allCases where !frozen[way.rawValue] {
            if isReceiving(way) {
                polls.append(pollfd(fd: source(way), events: Int16(POLLIN), revents: 0))
            }
            if target(way) >= 0, let first = ways[way.rawValue].first, first.due <= now {
                polls.append(pollfd(fd: target(way), events: Int16(POLLOUT), revents: 0))
            }
        }
        return polls
    }

    /// Moves what can be moved without waiting.
    func move(_ state: inout FaultProxyLoop.State) {
        for way in Direction.allCases where !state.frozen[way.rawValue] {
            receive(way, &state)
            send(way, &state)
        }
        let bothTold = ways.allSatisfy { $0.told }
        // With one side closed by us, the other side's end is the end.
        let halfGone = Direction.allCases.contains { way in
            target(way) < 0 && ways[way.rawValue].ended
        }
        if bothTold || halfGone { isOver = true }
    }

    /// Ends both sides with a reset.
    func reset() {
        for side in sockets.indices { resetSide(side) }
        isOver = true
    }

    /// Closes what is still open, orderly.
    func closeAll() {
        for side in sockets.indices where sockets[side] >= 0 {
            close(sockets[side])
            sockets[side] = -1
        }
    }

    /// Delivers a packet that was held, and what came behind it.
    func deliver(_ packet: [UInt8], _ way: Direction) {
        guard !isOver, let behind = ways[way.rawValue].behind else { return }
        ways[way.rawValue].behind = nil
        enqueue(packet[...], way, .zero)
        enqueue(behind, way, .zero)
        if source(way) < 0 { ways[way.rawValue].ended = true }
        // A reply whose client is gone: the server learns now that it is.
        if target(way) < 0 { reset() }
    }

    private func resetSide(_ side: Int) {
        guard sockets[side] >= 0 else { return }
        var abort = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            sockets[side], SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
        close(sockets[side])
        sockets[side] = -1
    }

    private func isReceiving(_ way: Direction) -> Bool {
        let it = ways[way.rawValue]
        return source(way) >= 0 && !it.ended && it.behind == nil && it.queuedBytes < Self.limit
            && !isOver
    }

    private func receive(_ way: Direction, _ state: inout FaultProxyLoop.State) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while isReceiving(way) {
            let count = recv(source(way), &buffer, buffer.count, 0)
            if count > 0 {
                pass(buffer[..<count], way, &state)
            } else if count == 0 {
                ways[way.rawValue].ended = true
            } else if errno == EAGAIN || errno == EINTR || errno == ENOTCONN {
                return
            } else {
                reset()  // refused or reset: the other side sees the same
            }
        }
    }

    private func send(_ way: Direction, _ state: inout FaultProxyLoop.State) {
        let index = way.rawValue
        while !isOver, target(way) >= 0, let first = ways[index].first, first.due <= .now {
            let count = first.bytes.withUnsafeBytes {
                Glibc.send(target(way), $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno != EAGAIN && errno != EINTR && errno != ENOTCONN { reset() }
                return
            }
            state.delivered[index] += count
            ways[index].removeFirst(count)
        }
        if !isOver, ways[index].ended, ways[index].first == nil, !ways[index].told {
            ways[index].told = true
            if target(way) >= 0 { shutdown(target(way), Int32(SHUT_WR)) }
        }
    }

    private func enqueue(_ bytes: ArraySlice<UInt8>, _ way: Direction, _ delay: Duration) {
        guard !bytes.isEmpty, target(way) >= 0 else { return }
        ways[way.rawValue].append(bytes, due: .now + delay)
    }

    /// Queues what may go on, and springs the traps on the way.
    private func pass(
        _ bytes: ArraySlice<UInt8>, _ way: Direction, _ state: inout FaultProxyLoop.State
    ) {
        let all = bytes
        var bytes = bytes
        // Pieces that stand one behind the other are delivered as one.
        var run = bytes.prefix(0)
        defer { enqueue(run, way, state.delay) }
        while !bytes.isEmpty {
            let trapped = state.traps.contains { $0.direction == way }
            switch ways[way.rawValue].framing.take(&bytes, wholePackets: trapped) {
            case .incomplete: break
            case .piece(let piece): run = all[run.startIndex..<piece.endIndex]
            case .packet(let packet):
                enqueue(run, way, state.delay)
                run = bytes.prefix(0)
                let trap = state.traps.firstIndex {
                    $0.direction == way && $0.matches(packet[4...])
                }
                guard let trap else {
                    enqueue(packet[...], way, state.delay)
                    continue
                }
                spring(state.traps.remove(at: trap), packet, behind: bytes, way, state.delay)
                return
            }
        }
    }

    private func spring(
        _ trap: Trap, _ packet: [UInt8], behind: ArraySlice<UInt8>, _ way: Direction,
        _ delay: Duration
    ) {
        switch trap.action {
        case .cut(let count):
            enqueue(packet.prefix(count), way, delay)
            ways[way.rawValue].ended = true
            resetSide(way.rawValue)
        case .hold(let held, let closingClient):
            ways[way.rawValue].behind = behind
            if closingClient { resetSide(0) }
            held.hold(packet, of: self, way)
        }
    }
}
