internal import Checkpoint
internal import MySQLClient
internal import Relay
internal import Replication
internal import Snapshot
internal import Stream

extension Migration {
    /// Why trying again can help; `nil` when it can't.
    func retryReason(_ error: any Error) -> String? {
        switch error {
        case let error as MySQLError where error.retry != .no: error.description
        case let error as SnapshotError where error.isRetryable: error.description
        case ReplicationError.changedDuringCopy, ReplicationError.othersAreCopied,
            ReplicationError.othersAreAwaited, ReplicationError.othersHaveCome,
            StreamError.upstreamChanged, StreamError.takenBack,
            StreamError.behind:
            "\(error)"
        case RelayError.inUse where binding != nil: "\(error)"
        case let error as RelayError where binding != nil && error.isMomentary: "\(error)"
        // By the worker that had the source before, until it ends.
        case _ where binding != nil && DumpClaim.isInUse(error): "\(error)"
        case is StaleLook: "\(error)"
        // A restart, or a failover, while sessions were opened; not for ever: the address may lead
        // to several servers.
        case CheckpointError.differentServers where !isApartForGood: "\(error)"
        case CheckpointError.fenced where relay.fences.take():
            "the relay log asks what the target holds"
        default: nil
        }
    }

    /// Whether the newest tries have all ended for the same reason: sessions have reached different
    /// servers.
    private var isApartForGood: Bool {
        guard let trouble = currentTrouble, !trouble.isOver else { return false }
        return trouble.apart > 4
    }
}

/// Another process has brought the subtask into another phase since this one looked.
struct StaleLook: Error, CustomStringConvertible {
    var description: String { "another process has been at this migration meanwhile" }
}
