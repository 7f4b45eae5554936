internal import Synchronization

/// How far a dump or a load is; readable from anywhere at any time.
public final class TransferProgress: Sendable {
    /// What it does now.
    public enum Stage: String, Sendable, Hashable {
        /// Connects, and looks at what there is.
        case starting
        /// Creates databases and tables, or writes their definitions.
        case schema
        /// Writes rows.
        case rows
        /// Creates views, routines, triggers and events, or writes their definitions.
        case objects
        /// All is done.
        case done
    }

    /// Everything at one moment.
    public struct State: Sendable, Hashable {
        /// What it does now.
        public var stage = Stage.starting
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
        /// Rows that there are, as far as known; 0 where they are not.
        public var estimatedRows: UInt64 = 0
        /// Bytes of SQL that this process has written.
        public var bytes: UInt64 = 0
        /// Why it waits, when it does.
        public var waiting: String?
    }

    private let state = Mutex(State())

    /// Makes an empty progress.
    public init() {}

    /// How far it is now.
    public var current: State { state.withLock { $0 } }

    package func update(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
}
