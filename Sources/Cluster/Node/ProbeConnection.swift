internal import Glibc
internal import Metadata
internal import Runtime
internal import Synchronization

/// A TCP connection over which nothing is sent: it shows whether the other side is there.
final class ProbeConnection: Sendable {
    /// What it shows.
    enum Condition {
        case connecting, open
        /// The other side has ended it.
        case closed
        /// Nobody listens there.
        case refused
        /// It can't be made, or does not answer; that says nothing about the other side.
        case failed
    }
    private let socket: Int32
    /// When it was begun.
    let begun = ContinuousClock.now
    private let wasOpen = Atomic(false)

    /// Begins to connect; `nil` when the address can't be used. Returns at once for an address; the
    /// look-up of a name takes as long as name servers let it wait.
    init?(to endpoint: EtcdEndpoint) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        if endpoint.isAddress { unsafe hints.ai_flags = AI_NUMERICHOST }
        var found: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(endpoint.host, "\(endpoint.port)", &hints, &found) == 0,
            let address = unsafe found
        else { return nil }
        defer { unsafe freeaddrinfo(address) }
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        socket = unsafe Glibc.socket(address.pointee.ai_family, type, 0)
        guard socket >= 0 else { return nil }
        // Its outcome is seen by looking.
        _ = unsafe connect(socket, address.pointee.ai_addr, address.pointee.ai_addrlen)
    }

    /// A connection that was accepted.
    init(accepted socket: Int32) { self.socket = socket }

    deinit { close(socket) }

    /// What to wait for until there may be something new.
    fileprivate var awaited: pollfd {
        // A connection that is being made can be written to once it is there, or has failed.
        let isMade = wasOpen.load(ordering: .relaxed)
        return pollfd(fd: socket, events: Int16(isMade ? POLLIN : POLLOUT), revents: 0)
    }

    /// How it is now; never waits.
    var condition: Condition {
        let condition = look
        if case .open = condition { wasOpen.store(true, ordering: .relaxed) }
        return condition
    }

    private var look: Condition {
        var look = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&look, 1, 0) > 0 else {
            return begun + .seconds(5) < .now ? .failed : .connecting
        }
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        unsafe getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &size)
        if code == ECONNREFUSED { return .refused }
        // Reading tells nothing any more once the error was taken.
        if code != 0 { return code == ECONNRESET || code == EPIPE ? .closed : .failed }
        var byte: UInt8 = 0
        let count = unsafe recv(socket, &byte, 1, Int32(MSG_DONTWAIT))
        if count > 0 { return .open }
        if count == 0 { return .closed }
        switch errno {
        case EAGAIN, EINTR: return .open
        case ECONNREFUSED: return .refused
        case ECONNRESET, EPIPE: return .closed
        default: return .failed
        }
    }
}

/// Waits until there may be something new of some connections.
final class ProbeWait: Sendable {
    /// Two ends of a connection: shutting the far one down ends every wait at the near one.
    private let near: Int32
    private let far: Int32

    /// Makes one. Where the process has too many files open, waits end at their limit alone.
    init() {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        if unsafe socketpair(AF_UNIX, type, 0, &ends) != 0 { ends = [-1, -1] }
        near = ends[0]
        far = ends[1]
    }

    deinit {
        guard near >= 0 else { return }
        close(near)
        close(far)
    }

    /// Lets the wait that is going on, and all later ones, return at once.
    func end() { shutdown(far, Int32(SHUT_RDWR)) }

    /// Waits on the calling thread.
    ///
    /// - Parameters:
    ///   - connections: those that may have something new. One that has, and is not looked at, is
    ///     not waited for.
    ///   - limit: at most that long, in milliseconds.
    func wait(for connections: [ProbeConnection], upTo limit: Int32) {
        var looks = connections.map(\.awaited)
        looks.append(pollfd(fd: near, events: Int16(POLLIN), revents: 0))
        _ = unsafe poll(&looks, nfds_t(looks.count), limit)
    }
}

extension EtcdEndpoint {
    /// Whether the host is an address, and no name that has to be looked up.
    var isAddress: Bool {
        var v4 = in_addr()
        var v6 = in6_addr()
        if unsafe inet_pton(AF_INET, host, &v4) == 1 { return true }
        return unsafe inet_pton(AF_INET6, host, &v6) == 1
    }
}

/// A connection that is being begun on a thread of its own, because its host has to be looked up
/// first. Nobody waits for the thread: name servers may let it wait for half a minute, and the pool's
/// threads, or the end of a worker, must not.
final class ProbeAttempt: Sendable {
    private struct Outcome {
        var isOver = false
        var connection: ProbeConnection?
    }
    private let outcome = Mutex(Outcome())

    /// Begins one.
    ///
    /// - Parameter connect: makes the connection, and may wait.
    init(connect: @escaping @Sendable () -> ProbeConnection?) {
        let thread = ThreadExecutor(name: "lookup")
        // Nobody's child, since a parent would have to wait for it; it ends by itself.
        Task(executorPreference: thread) {
            let connection = connect()
            self.outcome.withLock { $0 = Outcome(isOver: true, connection: connection) }
            thread.stop()
        }
    }

    /// Whether it is over.
    var isOver: Bool { outcome.withLock { $0.isOver } }
    /// The connection, when it is over and there is one.
    var connection: ProbeConnection? { outcome.withLock { $0.connection } }
}

/// Accepts connections at a worker's address, and does nothing with them: others see that it lives.
/// The HTTP API takes its place where it is served.
struct PresenceListener {
    private let connections = 1024
    let host: String
    let port: Int

    /// Accepts until the task is cancelled.
    func run() async throws {
        guard let socket = listener() else {
            throw ClusterError.address("\(host):\(port)", errno: errno)
        }
        defer { close(socket) }
        var open: [ProbeConnection] = []
        while true {
            while open.count < connections {
                let accepted = accept(socket, nil, nil)
                guard accepted >= 0 else { break }
                _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
                _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
                open.append(ProbeConnection(accepted: accepted))
            }
            open.removeAll { if case .open = $0.condition { false } else { true } }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func listener() -> Int32? {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, "\(port)", &hints, &found) == 0,
            let address = unsafe found
        else { return nil }
        defer { unsafe freeaddrinfo(address) }
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let socket = unsafe Glibc.socket(address.pointee.ai_family, type, 0)
        guard socket >= 0 else { return nil }
        var on: Int32 = 1
        unsafe setsockopt(
            socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let isBound =
            unsafe bind(socket, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0
            && listen(socket, 1024) == 0
        if isBound { return socket }
        let code = errno
        close(socket)
        errno = code
        return nil
    }
}
