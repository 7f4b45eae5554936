/// Where a member of the store accepts clients.
public struct EtcdEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// A name, or an IPv4 or IPv6 address without brackets.
    public let host: String
    /// The TCP port.
    public let port: Int

    /// Names an endpoint.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `[address]:port`, and both with a scheme before it.
    public init?(_ text: String) {
        var rest = Substring(text)
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        if rest.hasSuffix("/") { rest.removeLast() }
        guard let colon = rest.lastIndex(of: ":"),
            let port = Int(rest[rest.index(after: colon)...]), (1...65535).contains(port)
        else { return nil }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    /// `host:port`, with brackets around an IPv6 address.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// As a URL.
    func url(tls: Bool) -> String { "\(tls ? "https" : "http")://\(self)" }

    /// Whether the host is an address, not a name.
    var isIPv4: Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }
    var isIPv6: Bool { host.contains(":") }
}

/// The certificates of mutual TLS, as PEM files.
public struct EtcdTLS: Sendable, Hashable {
    /// The authority that both sides' certificates must be signed by.
    public let authorityFile: String
    /// Our certificate, for client and server use.
    public let certificateFile: String
    /// Its key.
    public let keyFile: String

    /// Names the files.
    public init(authorityFile: String, certificateFile: String, keyFile: String) {
        self.authorityFile = authorityFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}
