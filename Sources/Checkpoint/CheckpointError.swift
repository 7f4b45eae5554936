/// Why a subtask can't go on with its checkpoint.
public enum CheckpointError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A newer run has taken the subtask over; nothing of this one takes effect any more.
    case fenced(detail: String)
    /// There is no checkpoint, and beginning anew was not allowed.
    case missing(detail: String)
    /// The meta schema can't be used.
    case unusable(detail: String)
    /// Connections of one run have reached different servers, or one before and after a restart.
    case differentServers(detail: String)
    /// An invariant of the stored state does not hold.
    case inconsistent(detail: String)

    /// One sentence, with what to do.
    public var description: String {
        switch self {
        case .fenced(let detail):
            "another run has taken this subtask over (\(detail)); this one stops. "
                + "If nobody else should be running it, look for a second skein on this task"
        case .missing(let detail):
            "the target holds no checkpoint of this subtask: \(detail)"
        case .unusable(let detail):
            "the meta schema can't be used: \(detail)"
        case .differentServers(let detail):
            "connections of one run have reached different servers (\(detail)); one run writes to "
                + "one server"
        case .inconsistent(let detail):
            "the stored checkpoint contradicts itself: \(detail)"
        }
    }
}
