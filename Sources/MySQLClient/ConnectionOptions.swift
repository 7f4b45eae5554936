/// A secret that never shows itself: it prints as `***`.
public struct Password: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The password itself: for the login and for encryption, never for output.
    package let text: String

    /// Wraps a secret.
    public init(_ text: String) { self.text = text }

    /// Always `***`.
    public var description: String { "***" }
    /// Always `***`.
    public var debugDescription: String { "***" }
    /// Shows nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
    /// Whether there is none.
    public var isEmpty: Bool { text.isEmpty }
}

/// What TLS a connection must have.
public struct TLSOptions: Sendable, Hashable {
    /// The modes, each doing what its name says.
    public enum Mode: String, Sendable, Hashable, CaseIterable {
        /// Never TLS.
        case disabled
        /// TLS where the server offers it, else plain text.
        case preferred
        /// TLS or no connection; the certificate is not checked.
        case required
        /// TLS, and the certificate was signed by the CA.
        case verifyCA = "verify-ca"
        /// TLS, signed by the CA, and made for the host name.
        case verifyIdentity = "verify-identity"
    }

    /// The mode.
    public var mode: Mode
    /// File with the CA's certificates (PEM); required by the two verifying modes.
    public var caFile: String?
    /// File with the client's certificate (PEM).
    public var certificateFile: String?
    /// File with the client's key (PEM).
    public var keyFile: String?

    /// Makes options.
    public init(
        mode: Mode = .preferred, caFile: String? = nil, certificateFile: String? = nil,
        keyFile: String? = nil
    ) {
        self.mode = mode
        self.caFile = caFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// How to reach a server and log in.
public struct ConnectionOptions: Sendable, Hashable, CustomStringConvertible {
    /// Host name or address. `localhost` means TCP to 127.0.0.1 here, unlike in the C library.
    public var host: String
    /// TCP port.
    public var port: UInt16
    /// Path of a Unix socket, instead of host and port.
    public var socket: String?
    /// User name.
    public var user: String
    /// Password.
    public var password: Password
    /// Default database, if any.
    public var database: String?
    /// TLS.
    public var tls: TLSOptions
    /// Time to connect and log in.
    public var connectTimeoutSeconds: UInt32 = 10
    /// Longest silence while an answer is awaited; 0 waits for ever.
    public var readTimeoutSeconds: UInt32 = 0
    /// Longest stall while sending; 0 waits for ever.
    public var writeTimeoutSeconds: UInt32 = 0
    /// Folder of the client library's authentication plugins, when not the built-in one.
    public var pluginFolder: String?
    /// Compresses the protocol (zlib).
    public var compresses = false
    /// Variables of the session, by name, set as soon as it is open; a name has letters, digits and
    /// underscores.
    public var session: [String: String] = [:]

    /// Makes options.
    public init(
        host: String = "127.0.0.1", port: UInt16 = 3306, socket: String? = nil, user: String,
        password: Password = Password(""), database: String? = nil, tls: TLSOptions = TLSOptions()
    ) {
        self.host = host
        self.port = port
        self.socket = socket
        self.user = user
        self.password = password
        self.database = database
        self.tls = tls
    }

    /// `host:port` or the socket's path: names the server in messages.
    public var server: String { socket ?? "\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// `user@host:port`, never the password.
    public var description: String { "\(user)@\(server)" }
}

/// A `mysql://` URL that can't be used.
public struct URLError: Error, Sendable, CustomStringConvertible {
    /// What is wrong with it.
    public let description: String
}

extension ConnectionOptions {
    /// Parses `mysql://user@host:port/database?tls=required&tls-ca=FILE&socket=PATH`.
    ///
    /// Parts may be percent-encoded; the host may be an IPv6 address in brackets; the port is
    /// 3306 when absent. A password in the URL is refused: it would be visible in process lists.
    public init(url: String) throws(URLError) {
        func fail(_ why: String) -> URLError { URLError(description: "\(why) in the URL") }
        var rest = Substring(url)
        guard let scheme = ["mysql://", "mariadb://"].first(where: { rest.hasPrefix($0) }) else {
            throw fail("\"mysql://\" is missing at the start")
        }
        rest = rest.dropFirst(scheme.count)
        var query: Substring = ""
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        var database: String?
        if let slash = rest.firstIndex(of: "/") {
            let name = rest[rest.index(after: slash)...]
            if !name.isEmpty { database = try decode(name) }
            rest = rest[..<slash]
        }
        guard let at = rest.lastIndex(of: "@"), at != rest.startIndex else {
            throw fail("the user is missing (mysql://user@host:port)")
        }
        let user = rest[..<at]
        if user.contains(":") {
            throw URLError(
                description:
                    "a password in the URL would be visible to everybody on this machine: "
                    + "give it by environment variable, file or prompt")
        }
        rest = rest[rest.index(after: at)...]
        var host = rest
        var port: UInt16 = 3306
        var portText: Substring?
        if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
            host = rest[rest.index(after: rest.startIndex)..<end]
            let tail = rest[rest.index(after: end)...]
            if tail.hasPrefix(":") {
                portText = tail.dropFirst()
            } else if !tail.isEmpty {
                throw fail("unexpected text behind the address")
            }
        } else if let colon = rest.lastIndex(of: ":") {
            host = rest[..<colon]
            portText = rest[rest.index(after: colon)...]
        }
        if let portText {
            guard let number = UInt16(portText), number > 0,
                portText.allSatisfy(\.isWholeNumber)
            else {
                throw fail("\"\(portText)\" is no port")
            }
            port = number
        }
        self.init(
            host: try decode(host), port: port, user: try decode(user), database: database)
        for pair in query.split(separator: "&") {
            let equals = pair.firstIndex(of: "=") ?? pair.endIndex
            let value = try decode(pair[equals...].dropFirst())
            switch pair[..<equals] {
            case "tls":
                guard let mode = TLSOptions.Mode(rawValue: value) else {
                    let names = TLSOptions.Mode.allCases.map(\.rawValue).joined(separator: ", ")
                    throw fail("tls is one of \(names), not \"\(value)\"")
                }
                tls.mode = mode
            case "tls-ca": tls.caFile = value
            case "tls-cert": tls.certificateFile = value
            case "tls-key": tls.keyFile = value
            case "socket": socket = value
            case "compress": compresses = value == "1" || value == "true"
            case "connect-timeout":
                guard let n = UInt32(value), n > 0 else {
                    throw fail("connect-timeout is no number")
                }
                connectTimeoutSeconds = n
            case let name: throw fail("unknown option \"\(name)\"")
            }
        }
        guard !host.isEmpty || socket != nil else { throw fail("the host is missing") }
    }
}

/// Undoes percent-encoding.
private func decode(_ text: Substring) throws(URLError) -> String {
    var bytes: [UInt8] = []
    var iterator = text.utf8.makeIterator()
    func hex(_ c: UInt8?) -> UInt8? {
        guard let c else { return nil }
        return Character(UnicodeScalar(c)).hexDigitValue.map { UInt8($0) }
    }
    while let c = iterator.next() {
        guard c == UInt8(ascii: "%") else {
            bytes.append(c)
            continue
        }
        guard let high = hex(iterator.next()), let low = hex(iterator.next()) else {
            throw URLError(description: "a broken percent-encoding in the URL")
        }
        bytes.append(high << 4 | low)
    }
    return String(decoding: bytes, as: UTF8.self)
}
