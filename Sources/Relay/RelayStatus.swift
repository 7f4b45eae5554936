public import MySQLCore
internal import Synchronization

/// What a relay log is doing; may be read at any time from anywhere.
public struct RelayStatus: Sendable, Hashable {
    /// The stage that its writer is in.
    public enum State: String, Sendable, Hashable {
        case connecting, running, paused, ended
    }

    /// The stage.
    public var state = State.connecting
    /// Why it is paused, or waits for the source; with what is tried next.
    public var reason: String?
    /// Whether it is paused until there is room, which others can make by giving up what they need;
    /// says nothing in other stages.
    public var needsRoom = false
    /// Who is read: the source, or the worker whose relay log is copied.
    public var upstream: String?
    /// The folder that is written.
    public var folder: RelayFolder?
    /// How far it is written.
    public var position: BinlogPosition?
    /// Bytes of all files, those that were put aside included.
    public var bytes: UInt64 = 0
    /// Bytes of files that were put aside: cut from the log, or damaged. The limit is not for them.
    public var putAsideBytes: UInt64 = 0
    /// Number of files.
    public var files = 0
    /// Bytes that the files may take, beyond the one that is written.
    public var limitBytes: UInt64?
    /// Bytes of events in memory.
    public var windowBytes = 0
    /// Readers of the window.
    public var readers = 0
    /// What of it can't be read now, although that hinders nothing, one sentence each.
    public var problems: [String] = []
    /// What went on although something was wrong, each once.
    public var warnings: [String] = []
}

/// A status that the writer changes.
final class RelayBoard: Sendable {
    private let status = Mutex(RelayStatus())

    var current: RelayStatus { status.withLock { $0 } }

    func update(_ body: (inout sending RelayStatus) -> Void) {
        status.withLock { body(&$0) }
    }

    func warn(_ text: String) {
        status.withLock { if !$0.warnings.contains(text) { $0.warnings.append(text) } }
    }
}
