import Glibc
import Synchronization

/// The thread of a proxy: waits for sockets, moves bytes.
final class FaultProxyLoop: Sendable {
    /// Everything that the thread works on; others change it between two of its rounds.
    struct State: Sendable {
        var serverPort: UInt16
        var listener: Int32
        /// New connections are to be refused.
        var refuses = false
        var connections: [ProxyConnection] = []
        var traps: [Trap] = []
        var frozen = [false, false]
        var delay = Duration.zero
        var delivered = [0, 0]
        var accepted = 0
        var closed = false
        let port: UInt16

        /// Whether the listener is not as it is wanted: its port was not to be had.
        var waitsForPort: Bool { listener < 0 && !refuses }

        /// Opens or closes the listener, as it is wanted. The thread alone does so: a socket that is
        /// closed while it waits for it would keep the port until it stops waiting.
        mutating func settleListener() {
            if refuses || closed, listener >= 0 {
                close(listener)
                listener = -1
            } else if waitsForPort, !closed {
                listener = Loopback.listen(port) ?? -1
            }
        }
    }

    private let state: Mutex<State>
    private let changed = Signal()

    init(port: UInt16, listener: Int32, serverPort: UInt16) {
        state = Mutex(State(serverPort: serverPort, listener: listener, port: port))
    }

    func start() {
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let own = Unmanaged<FaultProxyLoop>.fromOpaque(argument).takeRetainedValue()
                while own.round() {}
                return nil
            }, own)
        pthread_detach(thread)
    }

    /// Changes or reads the state, and has the thread look at it anew.
    @discardableResult
    func change<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        let result = state.withLock { body(&$0) }
        changed.send()
        return result
    }

    /// Has the thread open or close the listener, and waits until it has done so.
    func settle(refusing: Bool) {
        change { $0.refuses = refusing }
        let deadline = ContinuousClock.now + .seconds(10)
        while state.withLock({ !$0.closed && ($0.listener < 0) != refusing }) {
            precondition(ContinuousClock.now < deadline, "somebody else has the proxy's port")
            usleep(500)
        }
    }

    /// Waits once and moves what can be moved.
    ///
    /// - Returns: false when the proxy is closed.
    private func round() -> Bool {
        // One time for both: bytes that become due between two looks would be waited for by none.
        let now = ContinuousClock.now
        var (polls, timeout, closed) = state.withLock { state in
            (Self.polls(state, changed.readable, now), Self.timeout(state, now), state.closed)
        }
        if closed {
            state.withLock { $0.settleListener() }
            return false
        }
        _ = poll(&polls, nfds_t(polls.count), timeout)
        if polls[0].revents != 0 { changed.wait() }
        state.withLock { state in
            state.settleListener()
            Self.accept(&state)
            for connection in state.connections { connection.move(&state) }
            for connection in state.connections where connection.isOver { connection.closeAll() }
            state.connections.removeAll { $0.isOver }
        }
        return true
    }

    private static func polls(
        _ state: State, _ changed: Int32, _ now: ContinuousClock.Instant
    ) -> [pollfd] {
        var polls = [pollfd(fd: changed, events: Int16(POLLIN), revents: 0)]
        if state.listener >= 0 {
            polls.append(pollfd(fd: state.listener, events: Int16(POLLIN), revents: 0))
        }
        for connection in state.connections { polls += connection.polls(state.frozen, now) }
        return polls
    }

    /// Milliseconds until delayed bytes are due, or the port is asked for again; -1: neither.
    private static func timeout(_ state: State, _ now: ContinuousClock.Instant) -> Int32 {
        let due = state.connections.flatMap { connection in
            FaultProxy.Direction.allCases
                .filter { !state.frozen[$0.rawValue] }
                .compactMap { connection.due($0, now) }
        }.min()
        guard let due else { return state.waitsForPort ? 20 : -1 }
        let rest = now.duration(to: due)
        let limit = state.waitsForPort ? 20.0 : 60_000
        return max(0, Int32(min(rest / .milliseconds(1), limit).rounded(.up)))
    }

    private static func accept(_ state: inout State) {
        while state.listener >= 0 {
            let client = Glibc.accept(state.listener, nil, nil)
            guard client >= 0 else { return }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            _ = fcntl(client, F_SETFL, O_NONBLOCK)
            Loopback.withoutDelay(client)
            let server = Loopback.connect(to: state.serverPort)
            state.connections.append(ProxyConnection(client: client, server: server))
            state.accepted += 1
        }
    }
}
