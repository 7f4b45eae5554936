public import MySQLClient
internal import Yams

/// A server in DM's words: `target-database` of a task, `from` of a source.
public struct ServerBlock: SettingsBlock {
    /// `security`: what TLS is made of.
    public struct Security: SettingsBlock {
        /// `ssl-ca`: file with the CA's certificates.
        public var caFile: String?
        /// `ssl-cert`: file with the client's certificate.
        public var certificateFile: String?
        /// `ssl-key`: file with the client's key.
        public var keyFile: String?
        /// `cert-allowed-cn`: names that the server's certificate may be made for.
        public var allowedNames: [String] = []

        /// Nothing.
        public init() {}

        static let keys: [SettingsKey<Self>] =
            [
                .text("ssl-ca", \.caFile), .text("ssl-cert", \.certificateFile),
                .text("ssl-key", \.keyFile),
                .texts("cert-allowed-cn", \.allowedNames, "a common name"),
            ]
            + ["ssl-ca", "ssl-cert", "ssl-key"].flatMap { name in
                ["bytes", "base64"].map { form in
                    .refused(
                        "\(name)-\(form)",
                        "is not read: put the text into a file that every worker has, and name "
                            + "it by \"\(name)\"")
                }
            }
    }

    /// `host`.
    public var host = ""
    /// `port`.
    public var port: UInt16 = 3306
    /// `user`.
    public var user = ""
    /// `password`; `nil` when the block has none.
    public var password: Password?
    /// `password-file`: a file with the password.
    public var passwordFile: String?
    /// `max-allowed-packet`.
    public var maxAllowedPacket: Int?
    /// `session`: variables of each session.
    public var session: [String: String] = [:]
    /// `security`.
    public var security = Security()
    /// `socket`, Skein's own: the path of a Unix socket, instead of host and port.
    public var socket: String?
    /// `tls`, Skein's own: the mode; `nil` chooses by ``security``.
    public var tls: TLSOptions.Mode?
    /// `compress`, Skein's own: whether the protocol is compressed.
    public var compresses = false
    /// `connect-timeout`, Skein's own: time to connect and log in.
    public var connectTimeout = TimeSpan(seconds: 10)

    /// A server that nothing is known of.
    public init() {}

    static let keys: [SettingsKey<Self>] = [
        .text("host", \.host), .number("port", \.port, 1...65535), .text("user", \.user),
        password, passwordFile, storedPassword,
        .number("max-allowed-packet", \.maxAllowedPacket, 0...(1 << 40))
            .unused("the server's own limit is asked for"),
        .dictionary("session", \.session), .block("security", \.security),
        .text("socket", \.socket),
        .parsed(
            "tls", \.tls, "one of \(tlsModeNames)", { .some(TLSOptions.Mode(rawValue: $0)) },
            { $0.map { .text($0.rawValue) } }),
        .flag("compress", \.compresses),
        .time("connect-timeout", \.connectTimeout),
    ]

    /// The password comes back only by ``withPassword(_:)``: no answer has it.
    private static let password = SettingsKey<Self>(
        "password",
        read: { map, _, block throws(SettingsError) in
            block.password = try map.password()
            guard let password = block.password, case .local = map.reading.form,
                let written = map.node("password")?.scalar?.string
            else { return }
            // What comes from the environment was put there for this very purpose.
            if !written.contains("${"), password.looksEncryptedByDM {
                throw map.error(
                    "password",
                    "is encrypted by dmctl, with a key that only DM has: put the password itself "
                        + "into a file and name it by \"password-file\", or write ${NAME} and set "
                        + "the environment variable NAME (also if it only looks encrypted)")
            }
        }, write: { _, _ in nil })

    private static let passwordFile = SettingsKey<Self>(
        "password-file",
        read: { map, name, block throws(SettingsError) in
            if case .plain = map.reading.form {
                throw map.error(
                    name, "names a file that the worker does not read: give \"password\" itself")
            }
            if map.has("password") {
                throw map.error(
                    name, "contradicts \"\(map.path)password\": give one of them")
            }
            block.passwordFile = try map.text(name)
        }, write: { _, _ in nil })

    private static let storedPassword = SettingsKey<Self>(
        "password-encrypted",
        read: { map, _, block throws(SettingsError) in block.password = try map.password() },
        write: { _, _ in nil })

    func check(_ map: SettingsMapping) throws(SettingsError) {
        if host.isEmpty, socket == nil { throw map.error("has no \"host\"") }
        if user.isEmpty { throw map.error("has no \"user\"") }
        if let socket, map.has("host"), !socket.isEmpty {
            throw map.error("socket", "contradicts \"\(map.path)host\": give one of them")
        }
        if (security.certificateFile == nil) != (security.keyFile == nil) {
            throw map.error("needs both of \"security.ssl-cert\" and \"security.ssl-key\"")
        }
        if tls == .verifyCA || tls == .verifyIdentity, security.caFile == nil {
            throw map.error("tls", "needs \"\(map.path)security.ssl-ca\"")
        }
        if connectTimeout.duration < .seconds(1) || connectTimeout.duration > .seconds(86400) {
            throw map.error("connect-timeout", "must be from 1s to 24h")
        }
    }

    /// How the server is reached, with the password that the block has.
    public var options: ConnectionOptions {
        var options = ConnectionOptions(
            host: socket == nil ? host : "localhost", port: port, socket: socket, user: user,
            password: password ?? Password(""))
        options.tls = TLSOptions(
            mode: tls ?? mode, caFile: security.caFile, certificateFile: security.certificateFile,
            keyFile: security.keyFile)
        options.compresses = compresses
        options.session = session.filter { SessionVariables.isPassedOn($0.key) }
        options.connectTimeoutSeconds = UInt32(connectTimeout.milliseconds / 1000)
        return options
    }

    /// As in DM, a CA is there to check by, and a certificate to be shown.
    private var mode: TLSOptions.Mode {
        if security.caFile != nil { return .verifyCA }
        return security.certificateFile != nil ? .required : TLSOptions().mode
    }

    /// Fills in the password of a person's file from where it is kept.
    mutating func askPassword(_ reading: SettingsReading) throws(SettingsError) {
        guard password == nil, case .local(let passwords, let role) = reading.form else { return }
        password = try passwords.password(role, options, passwordFile)
        passwordFile = nil
    }

    /// The block with a password in the form that is asked for.
    func value(_ form: PasswordForm, _ password: Password) throws(SettingsError) -> JSONValue {
        guard case .object(var out) = value(.changes) else { return value(.changes) }
        if !password.isEmpty {
            switch form {
            case .plain, .local: out["password"] = .text(password.text)
            case .encrypted(let cipher, let record):
                out["password-encrypted"] = .text(try cipher.encrypt(password.text, for: record))
            }
        }
        return .object(out)
    }
}

extension Password {
    /// Whether it has the form that `dmctl encrypt` gives: base64 of 16 random bytes, an at sign,
    /// and as many bytes as the password has.
    fileprivate var looksEncryptedByDM: Bool {
        guard let bytes = base64Bytes(text) else { return false }
        return bytes.count > 17 && bytes[16] == UInt8(ascii: "@")
    }
}

/// The bytes of a text in base64; `nil` when it is none.
private func base64Bytes(_ text: String) -> [UInt8]? {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var digits = Array(text.utf8)
    guard digits.count % 4 == 0 else { return nil }
    while digits.last == UInt8(ascii: "=") { digits.removeLast() }
    var bytes: [UInt8] = []
    var bits = 0
    var word: UInt32 = 0
    for digit in digits {
        guard let value = alphabet.firstIndex(of: digit) else { return nil }
        word = word << 6 | UInt32(value)
        bits += 6
        if bits >= 8 {
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
        }
    }
    return bytes
}
