public import MySQLCore
internal import Synchronization

/// What a migration is doing, for progress views, lines and JSON. Rates and times to go are the
/// viewer's to compute, from two of these.
public struct MigrationStatus: Sendable, Hashable, Codable {
    /// The stage a migration is in.
    public enum Phase: String, Sendable, Hashable, Codable {
        case starting, checking, schema, copying, indexing, following, draining, finishing, done

        /// Whether the copy is complete, as far as the phase tells.
        var isCopied: Bool {
            switch self {
            case .starting, .checking, .schema, .copying, .indexing: false
            case .following, .draining, .finishing, .done: true
            }
        }
    }

    /// One table of the copy.
    public struct Table: Sendable, Hashable, Codable {
        /// The table.
        public var name: TableName
        /// Rows copied, in all attempts that count.
        public var rows: UInt64 = 0
        /// Rows by the source's estimate; can be off by half.
        public var estimatedRows: UInt64 = 0
        /// Bytes sent to the target.
        public var bytes: UInt64 = 0
        /// Whether its rows are complete.
        public var isDone = false

        /// Makes an entry.
        public init(name: TableName, estimatedRows: UInt64) {
            self.name = name
            self.estimatedRows = estimatedRows
        }
    }

    /// The files of a task that dumps or loads.
    public struct Files: Sendable, Hashable, Codable {
        /// Tables that there are.
        public var tables = 0
        /// Tables of which all rows are done.
        public var tablesDone = 0
        /// Files of rows: those that there are, or have been written.
        public var files = 0
        /// Files of rows that are done.
        public var filesDone = 0
        /// Rows that this process has written.
        public var rows: UInt64 = 0
        /// Rows that there are, by the source's estimate; 0 where nobody knows.
        public var estimatedRows: UInt64 = 0
        /// Bytes of SQL that this process has written.
        public var bytes: UInt64 = 0

        /// Makes an entry.
        public init() {}
    }

    /// The relay log.
    public struct Relay: Sendable, Hashable, Codable {
        /// `connecting`, `running`, `paused` or `ended`.
        public var state: String
        /// Why it pauses, or waits for the source; or what of it can't be read.
        public var reason: String?
        /// Bytes of its files, those that were put aside included.
        public var bytes: UInt64
        /// Bytes that they may take.
        public var limitBytes: UInt64?
        /// How far it is written.
        public var position: String?
        /// Whether it is a copy of another worker's.
        public var isCopy: Bool?

        /// Makes an entry.
        public init(
            state: String, reason: String?, bytes: UInt64, limitBytes: UInt64?, position: String?
        ) {
            self.state = state
            self.reason = reason
            self.bytes = bytes
            self.limitBytes = limitBytes
            self.position = position
        }
    }

    /// The stage.
    public var phase: Phase = .starting
    /// Tables of the copy, in the order of the plan; empty when only following.
    public var tables: [Table] = []
    /// Source transactions applied by this process.
    public var transactions: UInt64 = 0
    /// Row changes applied by this process.
    public var rowChanges: UInt64 = 0
    /// Bytes of binlog read by this process.
    public var binlogBytes: UInt64 = 0
    /// DDL statements applied by this process.
    public var ddlStatements: UInt64 = 0
    /// How far the target is behind the source, in milliseconds; `nil` when not known.
    public var lagMilliseconds: Int64?
    /// The position up to which everything is durably applied.
    public var position: String?
    /// The source's newest position, as last seen.
    public var sourcePosition: String?
    /// Why nothing moves, when something is waited for; with the next try in words.
    public var waiting: String?
    /// Files that are written or loaded; `nil` in a migration.
    public var files: Files?
    /// The relay log; `nil` where none is kept.
    public var relay: Relay?
    /// How rows compare that changes have touched; `nil` where that is not asked for.
    public var validation: SubtaskValidation?
    /// Connections lost, deadlocks and other tries again.
    public var retries: UInt64 = 0
    /// Warnings for the user, in order of their appearance, each once.
    public var warnings: [String] = []

    /// Makes a fresh status.
    public init() {}
}

/// A status that engines write and viewers read.
public final class StatusBoard: Sendable {
    private let status = Mutex(MigrationStatus())

    /// Makes a board.
    public init() {}

    /// The status now.
    public var current: MigrationStatus { status.withLock { $0 } }

    /// Changes the status.
    public func update(_ body: (inout sending MigrationStatus) -> Void) {
        status.withLock { body(&$0) }
    }
}
