public import Checkpoint
public import MySQLClient
public import Rules

/// How a dump is loaded.
public struct LoadConfiguration: Sendable {
    /// The target server.
    public var target: ConnectionOptions
    /// The dump's directory.
    public var directory: String
    /// Which tables, views, routines and events are loaded.
    public var selection: TableSelection
    /// Where the checkpoint is.
    public var meta = MetaSchema()
    /// The load's name in the checkpoint.
    public var name = "load"
    /// Connections that write rows.
    public var lanes = 4
    /// The time zone of TIMESTAMP values in files that name none.
    public var timeZone: String?

    /// Makes a configuration with defaults.
    public init(target: ConnectionOptions, directory: String, selection: TableSelection) {
        self.target = target
        self.directory = directory
        self.selection = selection
    }
}

/// What a load came to.
public struct LoadResult: Sendable {
    /// Whether an earlier run had loaded all of it.
    public var wasComplete: Bool
    /// Tables of the dump that were chosen.
    public var tables: Int
    /// Rows that the dump has in them.
    public var rows: UInt64
    /// The place of the source's binlog that the dump is of, for people; `nil` when it names none.
    public var position: String?
}
