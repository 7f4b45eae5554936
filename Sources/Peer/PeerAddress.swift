/// Where a worker listens for other workers.
public struct PeerAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name, or an IPv4 or IPv6 address without brackets.
    public let host: String
    /// The TCP port; 0, where somebody listens, lets the system choose one.
    public let port: Int

    /// Names an address.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port` and `[address]:port`; `nil` for anything else.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (0...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    /// `host:port`, with brackets around an IPv6 address.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    var isIPv4: Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }
    var isIPv6: Bool { host.contains(":") }

    /// Whether it can't be reached from another machine, for certain: a name may resolve to
    /// anything.
    var isLoopback: Bool { isIPv4 && host.hasPrefix("127.") || host == "::1" }
}

/// How traffic between workers is protected.
public enum PeerSecurity: Sendable, Hashable {
    /// Not at all: on loopback addresses only.
    case plaintext
    /// By mutual TLS, with certificates in PEM files: both sides' must be signed by the authority.
    case mutual(authorityFile: String, certificateFile: String, keyFile: String)
}

/// Traffic between workers was set up in a way that is not allowed.
public struct PeerSetupError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One sentence, with what to do.
    public let description: String

    init(_ description: String) { self.description = description }
}

extension PeerSecurity {
    /// Refuses plain text that another machine could read.
    func check(_ address: PeerAddress) throws(PeerSetupError) {
        guard case .plaintext = self, !address.isLoopback else { return }
        throw PeerSetupError(
            "\(address) is not a loopback address: traffic between machines needs certificates")
    }
}
