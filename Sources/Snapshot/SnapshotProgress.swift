public import MySQLCore
public import Runtime
internal import Synchronization

/// How far a copy is; readable from anywhere at any time.
public final class SnapshotProgress: Sendable {
    /// One table.
    public struct Table: Sendable, Hashable {
        /// The source's estimate of its rows.
        public var estimatedRows: UInt64 = 0
        /// Rows committed on the target.
        public var rows: UInt64 = 0
        /// Bytes of those rows as they were sent.
        public var bytes: UInt64 = 0
        /// Whether all its rows are committed.
        public var isDone = false
    }

    /// What the copy does now.
    public enum Stage: String, Sendable, Hashable {
        /// Connects and takes over.
        case starting
        /// Creates databases and tables.
        case schema
        /// Opens read views.
        case views
        /// Copies rows.
        case rows
        /// Builds indexes that were left for the end.
        case indexes
        /// Creates views and routines.
        case objects
        /// All is done.
        case done
    }

    /// Everything at one moment.
    public struct State: Sendable {
        /// What the copy does now.
        public var stage = Stage.starting
        /// The tables.
        public var tables: [TableName: Table] = [:]
        /// Why it waits, when it does.
        public var waiting: String?
        /// Whether other tables are followed already, whose changes wait for it.
        public var holdsOthers = false
        /// The epoch under which this run has taken the subtask over, once it has.
        public var epoch: UInt64?

        /// Rows committed, all tables.
        public var rows: UInt64 { tables.values.reduce(0) { $0 + $1.rows } }
        /// Bytes of them.
        public var bytes: UInt64 { tables.values.reduce(0) { $0 + $1.bytes } }
        /// Estimated rows of all tables.
        public var estimatedRows: UInt64 { tables.values.reduce(0) { $0 + $1.estimatedRows } }
        /// Tables whose rows are all committed.
        public var doneTables: Int { tables.values.count { $0.isDone } }
    }

    private let state = Mutex(State())
    /// How long chunks take, from the query on the source to the commit on the target; tables that
    /// are copied in one piece are none.
    public let chunkTimes: DurationHistogram

    /// Makes an empty progress.
    public init(chunkTimes: DurationHistogram = DurationHistogram()) {
        self.chunkTimes = chunkTimes
    }

    /// How far it is now.
    public var current: State { state.withLock { $0 } }

    func set(_ stage: Stage, waiting: String? = nil) {
        state.withLock {
            $0.stage = stage
            $0.waiting = waiting
        }
    }

    func tookOver(_ epoch: UInt64) { state.withLock { $0.epoch = epoch } }

    func wait(for reason: String?) { state.withLock { $0.waiting = reason } }

    func begin(_ plan: SnapshotPlan, holdsOthers: Bool = false) {
        state.withLock { state in
            state.holdsOthers = holdsOthers
            state.tables = [:]
            for table in plan.tables {
                state.tables[table.name] = Table(estimatedRows: table.estimatedRows)
            }
        }
    }

    func add(_ table: TableName, rows: UInt64, bytes: UInt64, isDone: Bool) {
        state.withLock { state in
            state.tables[table, default: Table()].rows += rows
            state.tables[table, default: Table()].bytes += bytes
            if isDone { state.tables[table, default: Table()].isDone = true }
        }
    }

    func startOver(_ table: TableName) {
        state.withLock { state in
            state.tables[table]?.rows = 0
            state.tables[table]?.bytes = 0
            state.tables[table]?.isDone = false
        }
    }
}
