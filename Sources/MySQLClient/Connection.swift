internal import CMariaDB
internal import Glibc
public import MySQLCore
internal import Synchronization

/// `mysql_server_init` must run once before any thread uses the library.
private let libraryIsReady: Bool = mysql_server_init(0, nil, nil) == 0

/// One connection to a server.
///
/// Not Sendable on purpose: one thread at a time, usually a ``Runtime/ThreadExecutor`` of its own,
/// since every call blocks. Another thread may end a blocked call with ``interrupter``; the
/// connection is then lost and must be thrown away.
public final class Connection {
    let mysql: UnsafeMutablePointer<MYSQL>
    /// How it was made.
    public let options: ConnectionOptions
    /// The server's version.
    public let serverVersion: ServerVersion
    /// Ends a blocked call from another thread.
    public let interrupter: Interrupter
    /// The server's id for this connection, for `KILL`.
    public let id: UInt64

    /// Connects and logs in, with autocommit on, `utf8mb4` names, and no automatic reconnect.
    ///
    /// - Parameter foundRows: affected rows of UPDATE count matched rows, not changed ones.
    /// - Throws: ``MySQLError``; when TLS is required and can't be had, before any credential
    ///   has been sent; also when the server refuses one of the session's variables.
    public init(_ options: ConnectionOptions, foundRows: Bool = false) throws(MySQLError) {
        precondition(libraryIsReady)
        try requireTLSOffer(options)
        let mysql = mysql_init(nil)!
        setOptions(mysql, options)
        refuseFileRequests(mysql)
        var flags = UInt(CLIENT_MULTI_STATEMENTS)
        if foundRows { flags |= UInt(CLIENT_FOUND_ROWS) }
        let host = options.host == "localhost" ? "127.0.0.1" : options.host
        let connected = mysql_real_connect(
            mysql, options.socket == nil ? host : nil, options.user, options.password.text,
            options.database, UInt32(options.port), options.socket, flags)
        guard connected != nil else {
            let error = MySQLError(mysql, options.server)
            mysql_close(mysql)
            throw error.code == pluginNotAllowed ? error.withPasswordAdvice : error
        }
        if options.socket == nil, options.tls.mode.needsTLS, mysql_get_ssl_cipher(mysql) == nil {
            mysql_close(mysql)
            throw .noTLS(options)
        }
        self.mysql = mysql
        self.options = options
        id = UInt64(mysql_thread_id(mysql))
        serverVersion = ServerVersion(String(cString: mysql_get_server_info(mysql)))
        interrupter = Interrupter(socket: Int32(mysql_get_socket(mysql)))
        if options.socket == nil { noticeDeadPeers(Int32(mysql_get_socket(mysql))) }
        for (name, value) in options.session.sorted(by: { $0.key < $1.key }) {
            try execute("SET SESSION \(quoteIdentifier(name))=\(Self.literal(value))")
        }
        // A server's own limit would cut every result short, without a word.
        try execute("SET SESSION sql_select_limit=18446744073709551615")
    }

    /// A variable's value: a number as such, since some variables take no text.
    private static func literal(_ value: String) -> String {
        let digits = value.hasPrefix("-") ? value.dropFirst() : value[...]
        let isNumber = !digits.isEmpty && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
        return isNumber ? value : utf8Literal(value)
    }

    deinit {
        interrupter.retire()
        mysql_close(mysql)
    }

    /// Server family, from the version.
    public var family: ServerFamily { serverVersion.family }

    /// The TLS cipher, `nil` for a plain connection.
    public var tlsCipher: String? { mysql_get_ssl_cipher(mysql).map { String(cString: $0) } }

    /// The error of the last call.
    ///
    /// The library calls a TLS connection that broke a TLS error (2026), as it calls one that was
    /// refused; of a connection that was made it can only mean that it is lost.
    var lastError: MySQLError {
        var error = MySQLError(mysql, options.server)
        if error.code == 2026 {
            error = MySQLError(
                code: 2013, sqlState: error.sqlState, message: error.message, server: error.server)
        }
        // The library has closed its descriptor.
        if error.isConnectionLost { interrupter.retire() }
        return error
    }

    /// The socket's file descriptor, for `poll`.
    public var socket: Int32 { Int32(mysql_get_socket(mysql)) }

    /// Sends COM_PING: unlike `SELECT 1` it opens no transaction.
    public func ping() throws(MySQLError) {
        if mysql_ping(mysql) != 0 { throw lastError }
    }

    /// Whether the server takes several statements in one packet, as it does at first. Off, text that
    /// somebody else has written is one statement, or an error, whatever is in it.
    public func setMultiStatements(_ on: Bool) throws(MySQLError) {
        let option = on ? MYSQL_OPTION_MULTI_STATEMENTS_ON : MYSQL_OPTION_MULTI_STATEMENTS_OFF
        if mysql_set_server_option(mysql, option) != 0 { throw lastError }
    }

    /// Whether the server has sent something, or closed the connection, that nobody asked for.
    public var hasPendingInput: Bool {
        var p = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        return poll(&p, 1, 0) > 0
    }
}

/// Ends a blocked call of a connection from any thread, by shutting its socket down.
public final class Interrupter: Sendable {
    /// A descriptor of its own: the library closes its own when a call fails, and the number may be
    /// another connection's a moment later.
    private let socket: Mutex<Int32?>

    init(socket: Int32) {
        let own = fcntl(socket, F_DUPFD_CLOEXEC, 0)
        self.socket = Mutex(own >= 0 ? own : nil)
    }

    deinit { retire() }

    /// Shuts the connection down; the blocked call, and every later one, fails as connection lost.
    public func interrupt() {
        socket.withLock { socket in
            if let socket { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }

    /// The connection is about to close, or lost: the server is to see its end.
    func retire() {
        socket.withLock { socket in
            if let own = socket { close(own) }
            socket = nil
        }
    }
}

extension TLSOptions.Mode {
    var needsTLS: Bool { self == .required || self == .verifyCA || self == .verifyIdentity }
}

extension MySQLError {
    init(_ mysql: UnsafeMutablePointer<MYSQL>, _ server: String) {
        self.init(
            code: mysql_errno(mysql), sqlState: String(cString: mysql_sqlstate(mysql)),
            message: String(cString: mysql_error(mysql)), server: server)
    }

    static func noTLS(_ options: ConnectionOptions) -> MySQLError {
        MySQLError(
            code: 2026, sqlState: "HY000",
            message: "TLS is required (\(options.tls.mode.rawValue)), and the server offers none",
            server: options.server)
    }
}

/// A peer that vanished without a word (its machine, or the network) counts as lost after half a
/// minute, whether it owes an answer or bytes wait for it; the system's own limits are a quarter of
/// an hour and two hours.
private func noticeDeadPeers(_ socket: Int32) {
    func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
    set(SOL_SOCKET, SO_KEEPALIVE, 1)
    set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, 10)
    set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5)
    set(Int32(IPPROTO_TCP), TCP_KEEPCNT, 4)
    set(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 30_000)
}

/// The ways to log in that do not give the password in clear to whoever answers.
private let passwordKeepingPlugins =
    "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,parsec,"
    + "auth_gssapi_client"

/// The library's `CR_PLUGIN_NOT_ALLOWED`.
private let pluginNotAllowed: UInt32 = 5010

extension MySQLError {
    fileprivate var withPasswordAdvice: MySQLError {
        MySQLError(
            code: code, sqlState: sqlState,
            message: "\(message): the server asks for the password itself, which it gets only when "
                + "its name is verified (TLS mode verify-identity) or over a local socket",
            server: server)
    }
}

extension ConnectionOptions {
    /// Whether the server is known for who it is, so that it may see the password itself.
    fileprivate var mayShowPassword: Bool { socket != nil || tls.mode == .verifyIdentity }
}

private func setOptions(_ mysql: UnsafeMutablePointer<MYSQL>, _ options: ConnectionOptions) {
    func set(_ option: mysql_option, _ value: UInt32) {
        var value = value
        _ = mysql_options(mysql, option, &value)
    }
    set(MYSQL_OPT_CONNECT_TIMEOUT, options.connectTimeoutSeconds)
    if options.readTimeoutSeconds > 0 { set(MYSQL_OPT_READ_TIMEOUT, options.readTimeoutSeconds) }
    if options.writeTimeoutSeconds > 0 { set(MYSQL_OPT_WRITE_TIMEOUT, options.writeTimeoutSeconds) }
    set(MYSQL_OPT_LOCAL_INFILE, 1)
    var no: my_bool = 0
    _ = mysql_options(mysql, MYSQL_OPT_RECONNECT, &no)
    _ = mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4")
    _ = mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "skein")
    var packet = UInt(1) << 30
    _ = mysql_options(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet)
    if let folder = options.pluginFolder { _ = mysql_options(mysql, MYSQL_PLUGIN_DIR, folder) }
    if options.compresses { _ = mysql_options(mysql, MYSQL_OPT_COMPRESS, nil) }
    if !options.mayShowPassword {
        _ = mysql_options(mysql, MARIADB_OPT_RESTRICTED_AUTH, passwordKeepingPlugins)
    }
    guard options.tls.mode != .disabled, options.socket == nil else { return }
    var yes: my_bool = 1
    _ = mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes)
    if let file = options.tls.certificateFile { _ = mysql_options(mysql, MYSQL_OPT_SSL_CERT, file) }
    if let file = options.tls.keyFile { _ = mysql_options(mysql, MYSQL_OPT_SSL_KEY, file) }
    if options.tls.mode == .verifyCA || options.tls.mode == .verifyIdentity {
        if let file = options.tls.caFile { _ = mysql_options(mysql, MYSQL_OPT_SSL_CA, file) }
    }
    if options.tls.mode == .verifyIdentity {
        _ = mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes)
    }
}
