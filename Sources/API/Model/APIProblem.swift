/// What a request is told that is not done: a stable code, what happened, what to do.
public struct APIProblem: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    /// The codes; docs/api.md describes them. They are added to, never renamed.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case malformed = "request.malformed"
        case tooLarge = "request.too-large"
        case tooSlow = "request.too-slow"
        case unknownPath = "request.unknown-path"
        case wrongMethod = "request.method"
        case wrongHost = "request.host"
        case settings = "settings.invalid"
        case unauthenticated = "auth.required"
        case forbidden = "auth.forbidden"
        case unknownSource = "source.unknown"
        case unknownTask = "task.unknown"
        case unknownWorker = "worker.unknown"
        case sourceExists = "source.exists"
        case taskExists = "task.exists"
        case sourceInUse = "source.in-use"
        case taskRunning = "task.running"
        case taskStopped = "task.stopped"
        case taskFenced = "task.fenced"
        case passwordNeeded = "settings.password"
        case workerAlive = "worker.alive"
        case workerUnfit = "worker.unfit"
        case workerUnreachable = "worker.unreachable"
        case notBound = "source.not-bound"
        case changed = "record.changed"
        case unreadable = "record.unreadable"
        case relayRefused = "relay.refused"
        case verifyRefused = "verify.refused"
        case decisionRefused = "ddl.refused"
        case shapeRefused = "shape.refused"
        case checkpointMissing = "checkpoint.missing"
        case serverFailed = "server.failed"
        case unavailable = "unavailable"
        case outcomeUnknown = "outcome-unknown"
        case storeFull = "store.full"
        case internalError = "internal"

        /// The status of HTTP that fits.
        public var status: Int {
            switch self {
            case .malformed, .settings, .passwordNeeded: 400
            case .unauthenticated: 401
            case .forbidden, .wrongHost: 403
            case .unknownPath, .unknownSource, .unknownTask, .unknownWorker: 404
            case .wrongMethod: 405
            case .tooSlow: 408
            case .sourceExists, .taskExists, .sourceInUse, .taskRunning, .taskStopped,
                .taskFenced, .workerAlive, .workerUnfit, .notBound, .unreadable, .relayRefused,
                .verifyRefused, .decisionRefused, .shapeRefused, .checkpointMissing:
                409
            case .changed: 412
            case .tooLarge: 413
            case .internalError: 500
            case .workerUnreachable, .serverFailed: 502
            case .unavailable: 503
            case .outcomeUnknown: 504
            case .storeFull: 507
            }
        }
    }

    /// One of ``Code``'s texts; a newer server may know others.
    public let code: String
    /// One sentence of what happened.
    public let message: String
    /// What to do; `nil` when the message says it.
    public let remedy: String?

    /// Makes a problem.
    public init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code.rawValue
        self.message = message
        self.remedy = remedy
    }

    /// The status of HTTP that fits.
    public var status: Int { Code(rawValue: code)?.status ?? 500 }

    /// The code and the message.
    public var description: String { "\(code): \(message)" }
}
