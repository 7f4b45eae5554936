internal import Glibc

/// Looks whether a worker's ports are free before it does anything: one that is taken, perhaps by
/// another worker's store, would be found out late, and in words of others.
public enum ListenCheck {
    /// How long a port may still be held by what a worker that was killed has left behind.
    private static let patience = Duration.seconds(5)

    /// Returns when all ports of a host can be listened on.
    ///
    /// - Throws: ``ClusterError/address(_:errno:)``, or `CancellationError`.
    public static func check(host: String, ports: [Int]) async throws {
        for port in ports {
            let deadline = ContinuousClock.now + patience
            while let code = problem(host, port) {
                guard code == EADDRINUSE, ContinuousClock.now < deadline else {
                    throw ClusterError.address("\(host):\(port)", errno: code)
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Why a port can't be listened on; `nil` when it can.
    private static func problem(_ host: String, _ port: Int) -> Int32? {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, "\(port)", &hints, &found) == 0,
            let address = unsafe found
        else { return EADDRNOTAVAIL }
        defer { unsafe freeaddrinfo(address) }
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let socket = unsafe Glibc.socket(address.pointee.ai_family, type, 0)
        guard socket >= 0 else { return errno }
        defer { close(socket) }
        var on: Int32 = 1
        unsafe setsockopt(
            socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        return unsafe bind(socket, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0
            ? nil : errno
    }
}
