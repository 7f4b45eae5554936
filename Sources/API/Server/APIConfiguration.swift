internal import Glibc
public import Settings

/// Where and for whom a worker serves the API.
public struct APIConfiguration: Sendable {
    /// Files of TLS, in PEM.
    public struct TLS: Sendable, Hashable {
        /// The certificate, with those in between behind it.
        public var certificateFile: String
        /// Its key.
        public var keyFile: String
        /// The authority whose certificates other workers have; `nil`: those that the system trusts.
        public var authorityFile: String?

        /// Names the files.
        public init(certificateFile: String, keyFile: String, authorityFile: String? = nil) {
            self.certificateFile = certificateFile
            self.keyFile = keyFile
            self.authorityFile = authorityFile
        }
    }

    /// The name of this worker.
    public var worker: String
    /// The version that it shows.
    public var version: String
    /// The address to listen on.
    public var host = "127.0.0.1"
    /// The name or address that others are told, when it is another one.
    public var advertisedHost: String?
    /// The port; 0 takes a free one.
    public var port: Int
    /// TLS; `nil`: plain text.
    public var tls: TLS?
    /// The tokens that are accepted; none: no token is asked for.
    public var tokens = AccessTokens()
    /// Serve beyond loopback without TLS or tokens, for networks that are safe otherwise.
    public var isInsecure = false
    /// The key that passwords are encrypted with, the same on all workers.
    public var secrets: SecretCipher
    /// The largest body that is read, in bytes.
    public var bodyLimit = 1 << 20
    /// How long a request may take to arrive, and a connection to be idle.
    public var arrivalLimit = Duration.seconds(30)
    /// Connections that are served at once; more wait.
    public var connectionLimit = 4096
    /// How long another worker may take to say how it is.
    public var peerLimit = Duration.seconds(1)

    /// Describes a server on loopback.
    public init(worker: String, version: String, port: Int, secrets: SecretCipher) {
        self.worker = worker
        self.version = version
        self.port = port
        self.secrets = secrets
    }

    /// Whether only this machine's programs can connect.
    public var isLoopback: Bool { isLoopbackHost(host) }

    /// Whether a request may be meant for this worker, by the host that it names. A name that
    /// somebody else has made to point here is none of ours; an address can't be made to.
    func isOwn(host: String) -> Bool {
        if isLoopbackHost(host) { return true }
        if isLoopback { return false }
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        let own = [self.host, advertisedHost].compactMap { $0?.lowercased() }
        return own.contains(bare.lowercased()) || isAddress(bare)
    }

    /// Refuses to serve strangers.
    ///
    /// - Throws: beyond loopback without TLS and tokens, unless it is wanted so.
    public func check() throws(SettingsError) {
        guard !isLoopback, !isInsecure else { return }
        if tls == nil {
            throw SettingsError(
                "the API can't listen on \(host) without TLS: give a certificate and its key, or "
                    + "--insecure where the network is safe otherwise")
        }
        if tokens.isEmpty {
            throw SettingsError(
                "the API can't listen on \(host) without tokens: give a file of tokens, or "
                    + "--insecure where the network is safe otherwise")
        }
    }
}

/// Whether a host name or address means this machine only.
func isLoopbackHost(_ host: String) -> Bool {
    if host.lowercased() == "localhost" || host == "::1" || host == "[::1]" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
}

/// Whether a text is an address, and no name.
private func isAddress(_ text: String) -> Bool {
    var (v4, v6) = (in_addr(), in6_addr())
    return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1
}
