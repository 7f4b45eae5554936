public import MySQLCore
public import Runtime
internal import Synchronization

/// What replication of a subtask is doing; may be read at any time from anywhere.
public final class ReplicationProgress: Sendable {
    /// A reading.
    public struct Snapshot: Sendable {
        /// Transactions committed on the target by this process.
        public var transactions: UInt64 = 0
        /// Row changes in them.
        public var rowChanges: UInt64 = 0
        /// Bytes of binlog read.
        public var binlogBytes: UInt64 = 0
        /// DDL statements applied.
        public var ddlStatements: UInt64 = 0
        /// Target transactions tried again after a deadlock or lock wait.
        public var retries: UInt64 = 0
        /// When the newest committed transaction was committed on the source, µs since 1970.
        public var lastCommitMicroseconds: Int64 = 0
        /// When its commit was acknowledged by the target, µs since 1970.
        public var lastAppliedMicroseconds: Int64 = 0
        /// When something last came from the source, µs since 1970.
        public var lastReceivedMicroseconds: Int64 = 0
        /// Whether everything that was read is applied.
        public var isIdle = false
        /// What went on although something was refused.
        public var warnings: [String] = []
        /// The durable mark.
        public var mark: SourcePosition?
        /// The server and the position that reading begins at again after a restart.
        public var needed: (origin: Origin, position: BinlogPosition)?
        /// Where the stream is.
        public var stream: BinlogPosition?
        /// Up to where the source's binlog was read, also inside of a transaction that has not ended:
        /// it stays where it is while a source has nothing to send but heartbeats.
        public var read: BinlogPosition?
    }

    private let state = Mutex(Snapshot())
    /// How long steps take, over as many runs as share it.
    public let measures: ReplicationMeasures

    /// Makes a fresh one.
    public init(measures: ReplicationMeasures = ReplicationMeasures()) {
        self.measures = measures
    }

    /// The numbers now.
    public var snapshot: Snapshot { state.withLock { $0 } }

    func update(_ body: (inout Snapshot) -> Void) {
        state.withLock { body(&$0) }
    }
}

/// How long the steps of replication take, and how much waits.
public final class ReplicationMeasures: Sendable {
    /// From the first statement of a target transaction to the answer to its COMMIT, tries that were
    /// rolled back included; a transaction that is applied while it arrives has none.
    public let commit = DurationHistogram()
    /// From the commit of a transaction on the source to its commit on the target, as far as the
    /// source says when it was: MariaDB tells whole seconds.
    public let lag = DurationHistogram()
    /// DDL statements on the target, with what is recorded of them.
    public let ddl = DurationHistogram()

    /// Memory of transactions that were read and are not applied.
    public struct Queue: Sendable, Hashable {
        /// Bytes in it.
        public var bytes = 0
        /// The bytes from which on nothing more is read.
        public var limitBytes = 0
    }
    private let waiting = Mutex(Queue())

    /// Makes a fresh one.
    public init() {}

    /// What waits now, to a fifth of a second.
    public var queue: Queue { waiting.withLock { $0 } }

    func setQueue(_ queue: Queue) { waiting.withLock { $0 = queue } }
}
