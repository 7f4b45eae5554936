internal import GRPCCore

extension MetadataError {
    /// What a failed call means to a caller.
    ///
    /// - Parameter mayHaveActed: whether the request was one that changes something, and may have
    ///   reached the server.
    init(_ failure: EtcdConnection.Failure, mayHaveActed: Bool) {
        let message = "\(failure.endpoint): \(failure.error.message)"
        self.init(Self.code(failure.error, mayHaveActed: mayHaveActed), message)
    }

    /// Refusals that etcd makes before it does anything, but which have a code of failures too.
    private static let refusedUntouched: Set<String> = [
        "etcdserver: no leader", "etcdserver: rpc not supported for learner",
        "etcdserver: not capable",
    ]

    /// Whether the server has said that it did nothing.
    static func isUntouched(_ error: RPCError) -> Bool { refusedUntouched.contains(error.message) }

    private static func code(_ error: RPCError, mayHaveActed: Bool) -> Code {
        switch error.code {
        case .outOfRange where error.message.contains("compacted"): .compacted
        case .notFound where error.message.contains("lease"): .leaseNotFound
        case .notFound where error.message.contains("member"): .memberNotFound
        case .resourceExhausted where error.message.contains("space exceeded"): .noSpace
        case .resourceExhausted where error.message.contains("larger than"): .tooLarge
        case .invalidArgument where error.message.contains("too large"): .tooLarge
        case .invalidArgument where error.message.contains("too many operations"): .tooLarge
        case .resourceExhausted: .unavailable
        case .unavailable where error.message == "etcdserver: unhealthy cluster": .membersNotReady
        case .failedPrecondition: .membersNotReady
        case .permissionDenied, .unauthenticated: .refused
        case .unavailable, .deadlineExceeded, .cancelled, .unknown, .internalError:
            mayHaveActed && !isUntouched(error) ? .outcomeUnknown : .unavailable
        default: .invalid
        }
    }
}
