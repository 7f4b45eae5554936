public import MySQLCore
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
    }

    private let state = Mutex(Snapshot())

    /// Makes a fresh one.
    public init() {}

    /// The numbers now.
    public var snapshot: Snapshot { state.withLock { $0 } }

    func update(_ body: (inout Snapshot) -> Void) {
        state.withLock { body(&$0) }
    }
}
