/// Why the metadata store did not do what it was asked for.
public struct MetadataError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What a caller can act on.
    public enum Code: Sendable, Hashable {
        /// No member answered in time, or none has a leader. Nothing was changed: trying again is
        /// safe.
        case unavailable
        /// The connection broke or the time ran out after a change was sent: it may have been made,
        /// or be made still. Read before trying again.
        case outcomeUnknown
        /// The history asked for is no longer kept; what is there now has to be read instead.
        case compacted
        /// The lease has expired or was revoked.
        case leaseNotFound
        /// The store has reached its quota; nothing can be written until space is made.
        case noSpace
        /// A key, a value or a transaction is larger than the store takes.
        case tooLarge
        /// There is no such member.
        case memberNotFound
        /// The members do not allow a change of members now; it goes away by itself.
        case membersNotReady
        /// The store, or its TLS, refuses this client.
        case refused
        /// The request makes no sense to the store.
        case invalid
        /// The store's own program cannot be started or does not run.
        case process
        /// A file or folder of the store cannot be used.
        case file
        /// The data of a member of the store are gone: it can't go on under its old number.
        case dataLost
        /// The client does not run any more.
        case closed
    }

    /// What a caller can act on.
    public let code: Code
    /// What happened, with the store's own words where there are some.
    public let message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Whether the same request may succeed later without anybody doing anything.
    public var isTransient: Bool {
        switch code {
        case .unavailable, .outcomeUnknown, .membersNotReady, .process: true
        default: false
        }
    }

    /// The code and the message.
    public var description: String { "\(code): \(message)" }
}
