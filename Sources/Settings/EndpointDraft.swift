public import MySQLClient
internal import Yams

/// What is known of one server so far: from flags, or from a file's `source` or `target`.
public struct EndpointDraft: Sendable, Hashable {
    /// `mysql://user@host:port`, parsed.
    public var url: ConnectionOptions?
    /// Host name or address.
    public var host: String?
    /// TCP port.
    public var port: UInt16?
    /// Path of a Unix socket.
    public var socket: String?
    /// User name.
    public var user: String?
    /// File with the password.
    public var passwordFile: String?
    /// TLS mode.
    public var tlsMode: TLSOptions.Mode?
    /// File with the CA's certificates.
    public var tlsCA: String?
    /// File with the client's certificate.
    public var tlsCertificate: String?
    /// File with the client's key.
    public var tlsKey: String?
    /// Whether the protocol is compressed.
    public var compresses: Bool?
    /// Time to connect and log in.
    public var connectTimeoutSeconds: UInt32?

    /// The keys of a file's section.
    static let keys = [
        "url", "host", "port", "socket", "user", "password-file", "tls", "tls-ca", "tls-cert",
        "tls-key", "compress", "connect-timeout",
    ]

    /// Makes an empty draft.
    public init() {}

    /// Reads a file's section: a URL, or a mapping.
    init(_ node: Node, _ reading: SettingsReading, name: String) throws(SettingsError) {
        if let scalar = node.scalar {
            let text = try reading.expanded(scalar.string, node)
            do throws(URLError) {
                url = try ConnectionOptions(url: text)
            } catch {
                throw reading.error("\"\(name)\": \(error)", node)
            }
            return
        }
        // A password in the file is found here, to say more than "unknown key".
        let map = try SettingsMapping(
            node, reading, path: "\(name).", known: Self.keys + ["password"])
        if map.has("password") {
            throw map.error(
                "password",
                "is not read from here: put the password into a file of its own and name it by "
                    + "\"password-file\", or set SKEIN_\(name.uppercased())_PASSWORD")
        }
        if let text = try map.text("url") {
            do throws(URLError) {
                url = try ConnectionOptions(url: text)
            } catch {
                throw map.error("url", "is unusable: \(error)")
            }
            for other in ["host", "port", "socket", "user"] where map.has(other) {
                throw map.error(other, "contradicts \"\(name).url\": give one of them")
            }
        }
        host = try map.text("host")
        port = try map.number("port", 1...65535)
        socket = try map.text("socket")
        user = try map.text("user")
        passwordFile = try map.text("password-file")
        tlsMode = try map.parsed("tls", "one of \(tlsModeNames)") { .init(rawValue: $0) }
        tlsCA = try map.text("tls-ca")
        tlsCertificate = try map.text("tls-cert")
        tlsKey = try map.text("tls-key")
        compresses = try map.flag("compress")
        connectTimeoutSeconds = try map.parsed("connect-timeout", "a time such as 10s") {
            TimeSpan($0).flatMap { UInt32(exactly: $0.duration.components.seconds) }
                .flatMap { $0 > 0 ? $0 : nil }
        }
    }

    /// Takes over what `other` says; a URL there replaces host, port, socket and user here, and
    /// leaves TLS and the password's file as they are unless it names them.
    mutating func override(with other: EndpointDraft) {
        if let url = other.url {
            self.url = url
            (host, port, socket, user) = (nil, nil, nil, nil)
            if url.tls.mode != TLSOptions().mode { tlsMode = nil }
            if url.tls.caFile != nil { tlsCA = nil }
            if url.tls.certificateFile != nil { tlsCertificate = nil }
            if url.tls.keyFile != nil { tlsKey = nil }
        }
        host = other.host ?? host
        port = other.port ?? port
        socket = other.socket ?? socket
        user = other.user ?? user
        passwordFile = other.passwordFile ?? passwordFile
        tlsMode = other.tlsMode ?? tlsMode
        tlsCA = other.tlsCA ?? tlsCA
        tlsCertificate = other.tlsCertificate ?? tlsCertificate
        tlsKey = other.tlsKey ?? tlsKey
        compresses = other.compresses ?? compresses
        connectTimeoutSeconds = other.connectTimeoutSeconds ?? connectTimeoutSeconds
    }

    /// The finished options, without password.
    func options(_ name: String) throws(SettingsError) -> ConnectionOptions {
        var options: ConnectionOptions
        if let url {
            options = url
        } else {
            guard let user else {
                throw SettingsError(
                    host == nil && socket == nil
                        ? "the \(name) is missing: --\(name) mysql://user@host:port, or "
                            + "\"\(name)\" in the settings file"
                        : "\"\(name).user\" is missing")
            }
            guard host != nil || socket != nil else {
                throw SettingsError("\"\(name).host\" is missing")
            }
            options = ConnectionOptions(host: host ?? "localhost", socket: socket, user: user)
        }
        if let host { options.host = host }
        if let port { options.port = port }
        if let tlsMode { options.tls.mode = tlsMode }
        if let tlsCA { options.tls.caFile = tlsCA }
        if let tlsCertificate { options.tls.certificateFile = tlsCertificate }
        if let tlsKey { options.tls.keyFile = tlsKey }
        if let compresses { options.compresses = compresses }
        if let connectTimeoutSeconds { options.connectTimeoutSeconds = connectTimeoutSeconds }
        if options.tls.caFile == nil,
            options.tls.mode == .verifyCA || options.tls.mode == .verifyIdentity
        {
            throw SettingsError(
                "TLS mode \(options.tls.mode.rawValue) of the \(name) needs a CA file "
                    + "(--\(name)-tls-ca)")
        }
        return options
    }
}

/// The TLS modes by name.
let tlsModeNames = TLSOptions.Mode.allCases.map(\.rawValue).joined(separator: ", ")
