internal import Cluster
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Metadata
internal import NIOCore
internal import Settings

/// What a request brings along beside itself: its connection.
struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

/// Lets requests in, finds their routes, and turns what goes wrong into JSON.
struct APIResponder: HTTPResponder {
    typealias Context = APIContext

    let configuration: APIConfiguration
    let routes: [Route]
    let metrics: RequestMetrics
    let log: Logger

    func respond(to request: Request, context: APIContext) async throws -> Response {
        let start = ContinuousClock.now
        var route: Route?
        var isRead = false
        var reply: APIReply
        do {
            let (found, names) = try find(request)
            route = found
            let isAdmin = try admit(request, found)
            let query = try found.parameters(
                of: request.uri.queryParameters.map { (String($0.key), String($0.value)) })
            let body = try await body(of: request)
            isRead = true
            try found.checkWords(of: body)
            let asked = APIRequest(
                names: names, query: query, body: body,
                contentType: request.headers[.contentType], seen: try seen(request, found),
                isAdmin: isAdmin)
            reply = try await found.handler(asked)
        } catch let problem as WrongMethod {
            reply = problem.reply
        } catch {
            reply = .problem(problem(error, request))
        }
        if !isRead, hasBody(request) {
            // What is left of the body is not waited for; the client has a moment to read the answer.
            reply.isLast = true
            let channel = context.channel
            channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
        }
        metrics.record(
            route: route?.path ?? "unknown", method: route?.method ?? "other",
            status: reply.status, time: start.duration(to: .now))
        return response(reply)
    }

    // MARK: Finding the route

    /// That there is something at the path, and not for this method.
    private struct WrongMethod: Error {
        let methods: [String]
        let method: String

        var reply: APIReply {
            var reply = APIReply.problem(
                APIProblem(
                    .wrongMethod,
                    "\(TextForm.shown(method)) is not what this path is for: it takes "
                        + methods.joined(separator: ", ")))
            reply.allowed = methods.joined(separator: ", ")
            return reply
        }
    }

    private func find(_ request: Request) throws -> (Route, [String: String]) {
        let parts = request.uri.path.split(separator: "/", omittingEmptySubsequences: false)
            .dropFirst()
        let matches = routes.compactMap { route in
            route.match(Array(parts)).map { (route, $0) }
        }
        guard !matches.isEmpty else {
            throw APIProblem(
                .unknownPath, "there is nothing at \(TextForm.shown(request.uri.path))",
                remedy: "/api/v1/openapi.json describes what there is")
        }
        guard let (route, raw) = matches.first(where: { $0.0.method == request.method.rawValue })
        else {
            throw WrongMethod(
                methods: matches.map(\.0.method), method: request.method.rawValue)
        }
        var names: [String: String] = [:]
        for (key, value) in raw {
            guard let name = value.removingPercentEncoding, RecordName.isValid(name) else {
                throw APIProblem(
                    .malformed, "\(TextForm.shown(String(value))) can't be a name",
                    remedy: "names have \(RecordName.rule)")
            }
            names[key] = name
        }
        return (route, names)
    }

    private func seen(_ request: Request, _ route: Route) throws(APIProblem) -> Int64? {
        guard let text = request.headers[.ifMatch] else { return nil }
        if text == "*" { return nil }
        // A condition that nobody looks at would be taken for met.
        guard route.isConditional else {
            throw APIProblem(
                .malformed, "\(route.method) \(route.path) takes no If-Match",
                remedy: "leave the header out")
        }
        guard let revision = Int64(text.filter { $0 != "\"" }) else {
            throw APIProblem(.malformed, "If-Match must be a revision, as ETag gives it")
        }
        return revision
    }

    // MARK: Letting in

    /// - Returns: whether the caller may change things.
    private func admit(_ request: Request, _ route: Route) throws(APIProblem) -> Bool {
        if route.access == .anybody { return false }
        guard let header = request.headers[.authorization] else {
            if configuration.tokens.isEmpty {
                try checkPlace(request)
                return true
            }
            throw APIProblem(
                .unauthenticated, "a token is needed",
                remedy: "send it as \"Authorization: Bearer TOKEN\"; skein reads SKEIN_TOKEN")
        }
        let words = header.split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bearer" else {
            throw APIProblem(.unauthenticated, "the Authorization header is not a bearer token")
        }
        let token = String(words[1])
        if AccessTokens.areEqual(
            Array(token.utf8), Array(configuration.secrets.token(for: .peers).utf8))
        {
            return true
        }
        if configuration.tokens.isEmpty {
            try checkPlace(request)
            return true
        }
        guard let role = configuration.tokens.role(of: token) else {
            throw APIProblem(
                .unauthenticated, "the token is not known here",
                remedy: "all workers need the same file of tokens")
        }
        if route.access == .admin, role != .admin {
            throw APIProblem(.forbidden, "the token may only look", remedy: "use an admin token")
        }
        return role == .admin
    }

    /// Without tokens every program that reaches this port may ask, so a web page must not: a
    /// browser tells where a page comes from, and a name that was made to point to loopback is
    /// none of ours.
    private func checkPlace(_ request: Request) throws(APIProblem) {
        let authority = request.head.authority ?? ""
        let host =
            authority.hasPrefix("[")
            ? String(authority.prefix { $0 != "]" }) + "]" : String(authority.prefix { $0 != ":" })
        guard configuration.isOwn(host: host) else {
            let place = configuration.advertisedHost ?? configuration.host
            throw APIProblem(
                .wrongHost,
                "this worker is not \(TextForm.shown(authority)): without tokens it answers to its "
                    + "own name and to addresses only",
                remedy: "connect to \(place) or its address, or give the workers tokens")
        }
        if let origin = request.headers[.origin], origin != "http://\(authority)",
            origin != "https://\(authority)"
        {
            throw APIProblem(
                .wrongHost, "requests of pages from \(TextForm.shown(origin)) are refused")
        }
    }

    // MARK: Bodies

    private func hasBody(_ request: Request) -> Bool {
        request.headers[.transferEncoding] != nil
            || !(request.headers[.contentLength].map { $0 == "0" } ?? true)
    }

    private func body(of request: Request) async throws -> [UInt8] {
        let limit = configuration.bodyLimit
        if let text = request.headers[.contentLength], Int(text).map({ $0 > limit }) ?? true {
            throw tooLarge
        }
        let buffer = try await withThrowingTaskGroup(of: ByteBuffer?.self) { group in
            group.addTask {
                do {
                    return try await request.body.collect(upTo: limit)
                } catch is NIOTooManyBytesError {
                    throw self.tooLarge
                }
            }
            group.addTask {
                try await Task.sleep(for: self.configuration.arrivalLimit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let buffer else {
            throw APIProblem(
                .tooSlow,
                "the body did not arrive within \(configuration.arrivalLimit.components.seconds) s")
        }
        return Array(buffer.readableBytesView)
    }

    private var tooLarge: APIProblem {
        APIProblem(
            .tooLarge, "the body is larger than \(ByteSize(bytes: configuration.bodyLimit))")
    }

    // MARK: Answering

    private func problem(_ error: any Error, _ request: Request) -> APIProblem {
        switch error {
        case let problem as APIProblem: return problem
        case let error as SettingsError:
            return APIProblem(.settings, error.description)
        case let error as MetadataError:
            return APIProblem(error)
        default:
            log.error(
                "a request ended in an error that nobody expected",
                metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            return APIProblem(
                .internalError, "the request ended in an error; the worker's log has its words")
        }
    }

    private func response(_ reply: APIReply) -> Response {
        var headers: HTTPFields = [
            .contentType: reply.contentType, .cacheControl: "no-store",
            .xContentTypeOptions: "nosniff",
        ]
        if let revision = reply.revision { headers[.eTag] = "\"\(revision)\"" }
        if let allowed = reply.allowed { headers[.allow] = allowed }
        if reply.status == 401 { headers[.wwwAuthenticate] = "Bearer" }
        if reply.status == 503 { headers[.retryAfter] = "1" }
        if reply.isLast { headers[.connection] = "close" }
        return Response(
            status: HTTPResponse.Status(code: reply.status), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: reply.body)))
    }
}

/// Text of a stranger inside a message.
enum TextForm {
    /// In quotes, without control characters, not long.
    static func shown(_ text: String) -> String {
        let clean = text.unicodeScalars.prefix(80).map { scalar -> Character in
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
                ? "\u{FFFD}" : Character(scalar)
        }
        return "'\(String(clean))\(text.unicodeScalars.count > 80 ? "…" : "")'"
    }
}

extension APIProblem {
    /// What the caller is told of an error of the store.
    init(_ error: MetadataError) {
        switch error.code {
        case .unavailable, .closed, .membersNotReady, .process:
            self.init(
                .unavailable, "the metadata store does not answer, or has no majority",
                remedy: "nothing was changed, and replication goes on; try again when more than "
                    + "half of the voters are there")
        case .outcomeUnknown:
            self.init(
                .outcomeUnknown, "the metadata store did not say whether the change was made",
                remedy: "look whether it was, and try again if not")
        case .noSpace:
            self.init(
                .storeFull, "the metadata store has reached its quota",
                remedy: "the workers make room in it by themselves; try again in some minutes. "
                    + "Replication goes on. If it stays, there is too much in it")
        case .tooLarge:
            self.init(.tooLarge, "the request is larger than the metadata store takes")
        case .compacted, .leaseNotFound, .memberNotFound, .refused, .invalid, .file, .dataLost:
            self.init(.internalError, "the metadata store refused the change: \(error.message)")
        }
    }
}
