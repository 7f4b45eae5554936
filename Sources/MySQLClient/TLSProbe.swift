internal import Glibc

// The client library treats "enforce TLS" as a wish: against a server without TLS it logs in over
// plain text and reports success. So before any credential is sent, the server's greeting is read
// on a connection of its own, and its capability flags decide.
// Source: MySQL client/server protocol, "Protocol::HandshakeV10".

private let clientSSL: UInt16 = 0x0800

/// Throws when TLS is needed and the server doesn't offer it, or when a verifying mode has no CA.
func requireTLSOffer(_ options: ConnectionOptions) throws(MySQLError) {
    guard options.tls.mode.needsTLS else { return }
    if options.socket != nil { throw .noTLS(options) }
    if options.tls.mode != .required, options.tls.caFile == nil {
        throw MySQLError(
            code: 2026, sqlState: "HY000",
            message: "TLS mode \(options.tls.mode.rawValue) needs a CA file", server: options.server
        )
    }
    guard let greeting = readGreeting(options) else { return }  // the real connect says why
    guard offersTLS(greeting) else { throw .noTLS(options) }
}

/// Whether a greeting's capability flags hold `CLIENT_SSL`.
func offersTLS(_ packet: [UInt8]) -> Bool {
    // header(4) protocol(1) version(NUL-terminated) thread(4) scramble(8) filler(1) flags(2)
    guard packet.count > 5, packet[4] == 10,
        let end = packet[5...].firstIndex(of: 0), end + 15 < packet.count
    else { return false }
    let flags = UInt16(packet[end + 14]) | UInt16(packet[end + 15]) << 8
    return flags & clientSSL != 0
}

/// The first packet that the server sends, or `nil` when it can't be reached.
private func readGreeting(_ options: ConnectionOptions) -> [UInt8]? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let host = options.host == "localhost" ? "127.0.0.1" : options.host
    guard getaddrinfo(host, String(options.port), &hints, &list) == 0 else { return nil }
    defer { freeaddrinfo(list) }
    var candidate = list
    while let address = candidate {
        candidate = address.pointee.ai_next
        let fd = Glibc.socket(
            address.pointee.ai_family, address.pointee.ai_socktype, address.pointee.ai_protocol)
        guard fd >= 0 else { continue }
        defer { close(fd) }
        var limit = timeval(tv_sec: Int(options.connectTimeoutSeconds), tv_usec: 0)
        setsockopt(
            fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(
            fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard connect(fd, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0 else {
            continue
        }
        var packet: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 512)
        while packet.count < 4 || packet.count < 4 + Int(packet[0]) + Int(packet[1]) << 8 {
            let n = recv(fd, &buffer, buffer.count, 0)
            if n <= 0 || packet.count > 4096 { break }
            packet += buffer[..<n]
        }
        return packet
    }
    return nil
}
