internal import Glibc
internal import Metadata

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
    private let begun = ContinuousClock.now

    /// Begins to connect; `nil` when the address can't be used. A host name may take a while.
    init?(to endpoint: EtcdEndpoint) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
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

    /// How it is now; never waits.
    var condition: Condition {
        var look = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&look, 1, 0) > 0 else {
            return begun + .seconds(5) < .now ? .failed : .connecting
        }
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        unsafe getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &size)
        if code == ECONNREFUSED { return .refused }
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
