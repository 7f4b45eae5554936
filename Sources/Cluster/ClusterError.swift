/// What a worker is told that cannot take part.
public enum ClusterError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Another worker that is alive has the name.
    case nameInUse(String, by: String)

    /// One sentence.
    public var description: String {
        switch self {
        case .nameInUse(let name, let address):
            "the name '\(name)' is in use by the worker at \(address): every worker needs its own"
        }
    }
}
