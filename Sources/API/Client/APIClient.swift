internal import AsyncHTTPClient
internal import Foundation
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
public import Settings

/// What a client can't get an answer for.
public enum APIClientError: Error, Sendable, Hashable, CustomStringConvertible {
    /// No endpoint was reached; each with the reason.
    case unreachable([String])
    /// The connection broke after a change was sent, or something before the worker gave up: it may
    /// have been made.
    case outcomeUnknown(endpoint: String, reason: String)
    /// The answer is not one of this API.
    case unreadable(endpoint: String, reason: String)

    /// One sentence.
    public var description: String {
        switch self {
        case .unreachable(let reasons):
            reasons.isEmpty
                ? "there is no endpoint to ask"
                : "no worker answers: \(reasons.joined(separator: "; "))"
        case .outcomeUnknown(let endpoint, let reason):
            "\(endpoint) did not say whether the change was made: \(reason)"
        case .unreadable(let endpoint, let reason):
            "\(endpoint) does not answer as a worker of Skein does: \(reason)"
        }
    }
}

/// A client of the API, for the command line and for workers among each other.
public final class APIClient: Sendable {
    /// What is sent along.
    public struct Body: Sendable, Hashable {
        let bytes: [UInt8]
        let contentType: String

        /// A JSON document.
        public static func json(_ value: some Encodable) throws -> Body {
            Body(bytes: try APICoding.bytes(value), contentType: "application/json")
        }

        /// A source's or a task's settings, with their keys as they are.
        public static func settings(_ value: JSONValue) -> Body {
            Body(bytes: Array(value.document.utf8), contentType: "application/json")
        }
    }

    /// An answer that is no error.
    public struct Answer: Sendable, Hashable {
        /// The body.
        public let body: [UInt8]
        /// The revision in `ETag`, where there is one.
        public let revision: Int64?
        /// Where it came from.
        public let endpoint: String

        /// The body's value.
        public func value<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
            do {
                return try APICoding.value(type, body)
            } catch {
                throw APIClientError.unreadable(endpoint: endpoint, reason: "\(error)")
            }
        }
    }

    /// No answer is larger: that is a status of some 10,000 subtasks.
    private static let answerLimit = 256 << 20

    private let http: HTTPClient
    private let endpoints: [String]
    private let token: String?
    private let limit: Duration

    /// Makes a client; ``shutdown()`` must be called at its end.
    ///
    /// - Parameters:
    ///   - endpoints: `http://host:port` or `https://host:port`, tried in turn; plain `host:port` is
    ///     HTTP on loopback, and HTTPS otherwise.
    ///   - authorityFile: the authority that workers' certificates are signed by; `nil`: those that
    ///     the system trusts.
    ///   - limit: how long one endpoint may take.
    public init(
        endpoints: [String], token: String?, authorityFile: String?, limit: Duration
    ) throws(SettingsError) {
        self.endpoints = try endpoints.map { text throws(SettingsError) in
            try Self.url(endpoint: text)
        }
        self.token = token
        self.limit = limit
        var configuration = HTTPClient.Configuration()
        configuration.timeout.connect = TimeAmount(min(limit, .seconds(5)))
        configuration.redirectConfiguration = .disallow
        configuration.connectionPool.retryConnectionEstablishment = false
        if let authorityFile {
            var tls = TLSConfiguration.makeClientConfiguration()
            do {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorityFile))
            } catch {
                throw SettingsError("no certificate can be read: \(error)", file: authorityFile)
            }
            configuration.tlsConfiguration = tls
        }
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Closes the connections.
    public func shutdown() async { try? await http.shutdown() }

    /// The URL that an endpoint means.
    static func url(endpoint text: String) throws(SettingsError) -> String {
        var rest = Substring(text)
        var scheme: String?
        for known in ["http", "https"] where text.lowercased().hasPrefix(known + "://") {
            scheme = known
            rest = rest.dropFirst(known.count + 3)
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        let host = rest.hasPrefix("[") ? rest.prefix { $0 != "]" } + "]" : rest.prefix { $0 != ":" }
        let port = rest.dropFirst(host.count)
        guard !host.isEmpty, host.allSatisfy({ !"/@? ".contains($0) }),
            port.first == ":", UInt16(port.dropFirst()).map({ $0 > 0 }) ?? false
        else {
            throw SettingsError("\"\(text)\" is no endpoint: it looks like https://host:port")
        }
        return "\(scheme ?? (isLoopbackHost(String(host)) ? "http" : "https"))://\(rest)"
    }

    /// Asks the endpoints in turn until one answers.
    ///
    /// A change is sent to another endpoint only when the one before was not reached, or said that
    /// nothing was changed.
    ///
    /// - Throws: `APIProblem` when a worker refuses, `APIClientError` when none answers.
    public func send(
        _ method: String, _ path: String, body: Body? = nil, seen revision: Int64? = nil
    ) async throws -> Answer {
        var reasons: [String] = []
        var refusal: APIProblem?
        for endpoint in endpoints {
            do {
                return try await send(
                    method, path, at: endpoint, body: body, seen: revision, within: limit)
            } catch let problem as APIProblem
                where problem.code == APIProblem.Code.unavailable.rawValue
            {
                refusal = problem
            } catch APIClientError.unreachable(let more) {
                reasons += more
            }
        }
        throw refusal ?? APIClientError.unreachable(reasons)
    }

    /// Asks one endpoint.
    func send(
        _ method: String, _ path: String, at endpoint: String, body: Body? = nil,
        seen revision: Int64? = nil, within limit: Duration
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: endpoint + path)
        request.method = HTTPMethod(rawValue: method)
        request.headers.add(name: "Accept", value: "application/json")
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let revision { request.headers.add(name: "If-Match", value: "\"\(revision)\"") }
        if let body {
            request.headers.add(name: "Content-Type", value: body.contentType)
            request.body = .bytes(ByteBuffer(bytes: body.bytes))
        }
        let status: UInt
        let bytes: [UInt8]
        let tag: String?
        do {
            // The deadline of the library ends with the head; the body has to come in time too.
            (status, bytes, tag) = try await within(limit) { [http, request] in
                let response = try await http.execute(request, timeout: TimeAmount(limit))
                let buffer = try await response.body.collect(upTo: Self.answerLimit)
                return (
                    response.status.code, Array(buffer.readableBytesView),
                    response.headers.first(name: "ETag")
                )
            }
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            let reason = Self.words(error, limit)
            guard method == "GET" || Self.isBeforeSending(error) else {
                throw APIClientError.outcomeUnknown(endpoint: endpoint, reason: reason)
            }
            throw APIClientError.unreachable(["\(endpoint): \(reason)"])
        }
        if (200..<300).contains(status) {
            return Answer(
                body: bytes, revision: tag.flatMap { Int64($0.filter { $0 != "\"" }) },
                endpoint: endpoint)
        }
        if let problem = try? APICoding.value(APIProblem.self, bytes) { throw problem }
        // What stands before a worker may have passed the change on before it gave up.
        if method != "GET", status >= 500 {
            throw APIClientError.outcomeUnknown(endpoint: endpoint, reason: "status \(status)")
        }
        throw APIClientError.unreadable(endpoint: endpoint, reason: "status \(status)")
    }

    private func within<Result: Sendable>(
        _ limit: Duration, _ body: @Sendable @escaping () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            guard let result = try await group.next() ?? nil else {
                throw HTTPClientError.deadlineExceeded
            }
            return result
        }
    }

    /// Whether the request can't have arrived.
    private static func isBeforeSending(_ error: any Error) -> Bool {
        if error is NIOConnectionError || error is SocketAddressError || error is NIOSSLError
            || error is BoringSSLError
        {
            return true
        }
        // What connecting fails with; a connection that was there fails with others.
        if let error = error as? IOError {
            return [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EACCES, EMFILE]
                .contains(error.errnoCode)
        }
        return (error as? HTTPClientError) == .connectTimeout
            || (error as? HTTPClientError) == .tlsHandshakeTimeout
    }

    private static func words(_ error: any Error, _ limit: Duration) -> String {
        switch error {
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { words($0.error, limit) } ?? "it can't be reached"
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as HTTPClientError
        where [.connectTimeout, .deadlineExceeded, .readTimeout].contains(error):
            "no answer within \(limit.components.seconds) s"
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            "it closed the connection"
        case is NIOSSLError, is BoringSSLError: "TLS: \(error)"
        default: "\(error)"
        }
    }
}
