import Glibc
import Synchronization

/// Free TCP ports on the loopback interface.
enum FreePort {
    private static let handedOut = Mutex<Set<UInt16>>([])

    /// The first of so many ports in a row that nothing listens on and that this process did not
    /// give away before. Another process may still take one first: whoever binds it tries again
    /// with another.
    ///
    /// Ports are below the range that the kernel gives to outgoing connections, so that none of
    /// these takes the port of a server that is about to be restarted.
    static func next(_ count: UInt16 = 1) -> UInt16 {
        while true {
            let first = UInt16.random(in: 15_000..<32_000)
            let row = first..<first + count
            let isFresh = handedOut.withLock { given in
                guard given.isDisjoint(with: row) else { return false }
                given.formUnion(row)
                return true
            }
            guard isFresh else { continue }
            let sockets = row.map { Loopback.listen($0) }
            for socket in sockets { if let socket { close(socket) } }
            if !sockets.contains(nil) { return first }
        }
    }
}

/// Sockets on 127.0.0.1.
public enum Loopback {
    /// While `body` runs, clients begin to connect again and again, and go away at once.
    public static func knocking(at port: Int, _ body: () async throws -> Void) async rethrows {
        let clients = (0..<4).map { _ in
            Task {
                while !Task.isCancelled {
                    close(connect(to: UInt16(port)))
                    await Task.yield()
                }
            }
        }
        defer { for client in clients { client.cancel() } }
        try await body()
    }

    /// A listening socket, nil when the port is in use.
    static func listen(_ port: UInt16) -> Int32? {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let file = socket(AF_INET, type, 0)
        var on: Int32 = 1
        setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = withAddress(port) { Glibc.bind(file, $0, $1) }
        guard bound == 0, Glibc.listen(file, 128) == 0 else {
            close(file)
            return nil
        }
        return file
    }

    /// A socket that connects without waiting; writable when it is connected, an error when not.
    static func connect(to port: UInt16) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let file = socket(AF_INET, type, 0)
        withoutDelay(file)
        _ = withAddress(port) { Glibc.connect(file, $0, $1) }
        return file
    }

    /// Sends small packets at once.
    static func withoutDelay(_ file: Int32) {
        var on: Int32 = 1
        setsockopt(file, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Whether a MySQL or MariaDB server accepts connections on a Unix socket: it speaks first.
    static func greets(socket path: String) -> Bool {
        let file = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(file) }
        var patience = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(
            file, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard path.utf8.count <= room else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(file, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard connected else { return false }
        // Packet header of four bytes, then the protocol's version, 10; 0xff is a refusal.
        var greeting = [UInt8](repeating: 0, count: 5)
        return recv(file, &greeting, 5, Int32(MSG_WAITALL)) == 5 && greeting[4] == 10
    }

    private static func withAddress(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
