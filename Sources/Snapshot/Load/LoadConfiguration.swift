public import Checkpoint
public import MySQLClient

/// How a dump is loaded.
public struct LoadConfiguration: Sendable {
    /// What becomes of a row whose primary or unique key a row has that is there: of the same dump,
    /// since tables are empty when a load begins.
    public enum Duplicates: String, Sendable, Hashable, CaseIterable {
        /// It ends the load.
        case error
        /// It takes the other one's place.
        case replace
        /// The other one stays. Errors other than this one end the load all the same.
        case ignore
    }

    /// The target server.
    public var target: ConnectionOptions
    /// The dump's directory.
    public var directory: String
    /// Which tables, views, routines and events are loaded.
    public var selection: ObjectSelection
    /// Where the checkpoint is.
    public var meta = MetaSchema()
    /// The load's name in the checkpoint.
    public var name = "load"
    /// Connections that write rows.
    public var lanes = 4
    /// What becomes of rows that have one key. Which of them is first, with several lanes, is not
    /// known.
    public var duplicates = Duplicates.error
    /// The time zone of TIMESTAMP values in files that name none.
    public var timeZone: String?
    /// The source's name in the checkpoint, where a task loads; `nil` for one made of the dump.
    public var source: String?
    /// The epoch of the binding that it runs under; `nil`: every process begins a new one.
    public var epoch: UInt64?
    /// Whether it has begun before, so that its checkpoint must be on the target.
    public var isBegun = false
    /// Makes it durable that it has begun: called when its checkpoint is on the target, before the
    /// first row; may be called again.
    public var begun: @Sendable () async throws -> Void = {}

    /// The same for a later try, whose checkpoint must be there.
    var begunBefore: LoadConfiguration {
        var out = self
        out.isBegun = true
        return out
    }

    /// Makes a configuration with defaults.
    public init(target: ConnectionOptions, directory: String, selection: ObjectSelection) {
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
