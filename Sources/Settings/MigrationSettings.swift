public import MySQLClient
public import MySQLCore
public import Rules

/// Everything that `skein migrate` needs to know, from flags or a file.
public struct MigrationSettings: Sendable {
    /// What is migrated.
    public enum Mode: String, Sendable, Hashable, CaseIterable {
        /// The rows that are there, then every change.
        case all
        /// The rows that are there, as they are at one place of the source's binlog.
        case full
        /// Every change from a place on; the target holds what was before.
        case incremental
    }

    /// When a run ends by itself.
    public enum Until: Sendable, Hashable {
        /// Never: it follows until it is stopped.
        case stopped
        /// When target and source agree (`protocol.md` §13, "caught up").
        case caughtUp
        /// When everything up to a binlog position is applied.
        case position(BinlogPosition)
        /// When every transaction of a GTID set is applied.
        case gtids(String)
    }

    /// A task of DM's that is gone on with.
    public struct Adoption: Sendable, Hashable {
        /// For how long DM's checkpoint must rest unless it is said: longer than DM takes to write
        /// it, by its default.
        public static let usualWait = Duration.seconds(35)
        /// DM's meta schema unless it is said.
        public static let usualMetaSchema = "dm_meta"

        /// Its name there.
        public var task: String
        /// The schema on the target that has DM's tables.
        public var metaSchema = Adoption.usualMetaSchema
        /// For how long DM's checkpoint must rest.
        public var wait = Adoption.usualWait
        /// The mode where the migration has a checkpoint of its own; without one it is incremental.
        public var mode = Mode.incremental

        /// Names a task.
        public init(task: String) { self.task = task }
    }

    /// The source server.
    public var source: ConnectionOptions
    /// The target server.
    public var target: ConnectionOptions
    /// Which tables are migrated, where no rules say it.
    public var selection: TableSelection {
        didSet { chooseTables() }
    }
    /// Whether tables of online schema change tools are told by their names, of which ``selection``
    /// says nothing: what is done to them is done to the real table at the swap. Otherwise they are
    /// tables as any other.
    public var followsOnlineDDL = false {
        didSet { chooseTables() }
    }
    /// A task's rules for the source; `nil` when ``selection`` is all there is.
    public private(set) var rules: SourceRules?
    /// Which tables are migrated, where to, and which changes are left out.
    public private(set) var mapping: TableMapping
    /// Where tables of the task's other sources go, by the sources' names.
    private var others: [String: TableMapping] = [:]
    /// The target's time zone, where the task needs one and this is not UTC.
    private var openZone: String?
    /// Whether the source's server is to say how names in ``rules`` are compared; see
    /// ``compareNames(lowerCaseTableNames:)``.
    public var comparesNamesAsServer: Bool { rules?.isCaseSensitive == false }
    /// The task's name.
    public var name = "migrate"
    /// The source's name in the checkpoint; host:port when not set.
    public var sourceID: String?
    /// The meta schema's name on the target.
    public var metaSchema = "skein_meta"
    /// What is migrated.
    public var mode = Mode.all
    /// What is done with a directory of files, in the place of a migration; then ``mode`` says
    /// nothing. `nil` for a migration.
    public var files: FileTransfer?
    /// Where a migration of changes alone begins, when it is started for the first time.
    public var start = StartPlace.now
    /// DM's task that is gone on with, when this one is started for the first time.
    public var adoption: Adoption?
    /// Target connections that apply transactions.
    public var lanes = 3
    /// Pairs of connections that copy; `nil` chooses by the machine.
    public var readers: Int?
    /// Memory for rows and transactions in flight, in bytes.
    public var memoryBudget: Int = 128 << 20
    /// Rows a chunk aims at.
    public var chunkRows = 20_000
    /// Bytes a chunk aims at, by the server's estimate of the average row.
    public var chunkBytes = 8 << 20
    /// When the run ends.
    public var until: Until = .stopped
    /// Whether other sources of the task may write to the same tables of the target.
    public var sharesTargets = false
    /// Uses target tables that exist and are not empty.
    public var intoExisting = false
    /// Whether changes are written so that rows become what they say, whatever the target has.
    public var safeMode = false
    /// Whether statements on one of several tables that are merged into one are followed, as far as
    /// all of them go together.
    public var followsMergedStatements = false
    /// How rows are compared while their changes are followed; `nil`: they are not.
    public var validation: ValidationSettings?
    /// Drops what an earlier migration of this name left, and starts over.
    public var fresh = false
    /// Takes other tables and rules than those that the migration was begun with.
    public var changesRules = false
    /// Another task of the source whose tables this one takes over, when rules want them; `nil`: what
    /// comes is copied.
    public var takeOver: String?
    /// Creates triggers and enables events on the target, and ends the migration.
    public var finish = false
    /// Pre-checks that must not stop the run, by name.
    public var ignoredChecks: Set<String> = []
    /// Folder for local state; `nil` for the default.
    public var stateFolder: String?
    /// Keeps the source's binlog from the first moment of the copy.
    public var keepsRelay = true
    /// Folder of the relay log; `nil` for one in the folder for local state.
    public var relayFolder: String?
    /// Bytes that the relay log may take; `nil` for half of the free disk.
    public var relayLimitBytes: Int?
    /// The id that the binlog reader has among the source's replicas; random when 0.
    public var serverID: UInt32 = 0

    /// Makes settings with defaults.
    public init(source: ConnectionOptions, target: ConnectionOptions, selection: TableSelection) {
        self.source = source
        self.target = target
        self.selection = selection
        mapping = TableMapping(selection)
    }

    private mutating func chooseTables() {
        guard rules == nil else { return }
        mapping = TableMapping(selection, onlineNames: followsOnlineDDL ? .standard : nil)
    }

    /// Takes a task's rules in the place of the selection.
    ///
    /// Until ``compareNames(lowerCaseTableNames:)`` is called, case counts in their names.
    ///
    /// - Throws: the first rule that is incomplete or can't be read.
    public mutating func take(_ rules: SourceRules) throws(RuleError) {
        mapping = try TableMapping(rules.comparing(lowerCaseTableNames: 0))
        self.rules = rules
    }

    /// Lets case count in the rules' names of schemas and tables as it does on the source, unless
    /// the task has it count anywhere. To be called before ``mapping`` is asked. ``rules`` stay as
    /// they were given.
    ///
    /// - Parameter lowerCaseTableNames: the source's `lower_case_table_names`: case counts with 0.
    /// - Throws: when rules contradict each other with names compared so.
    public mutating func compareNames(lowerCaseTableNames: Int) throws(SettingsError) {
        guard let rules else { return }
        do throws(RuleError) {
            mapping = try TableMapping(rules.comparing(lowerCaseTableNames: lowerCaseTableNames))
        } catch {
            throw SettingsError("task '\(name)': \(error)")
        }
        mapping.share(with: others)
        openZone.map { mapping.requireZone(insteadOf: $0) }
    }

    /// Whether the target's time zone is to be told: expressions may depend on one, and the task has
    /// none. DM takes the target's then.
    public var needsTargetZone: Bool {
        rules.map { !$0.expressionFilters.isEmpty && !$0.saysTimeZone } ?? false
    }

    /// Lets expressions see TIMESTAMP columns in UTC where the target does so, and refuses those that
    /// depend on it elsewhere.
    ///
    /// - Parameter targetZone: the target's `time_zone`.
    public mutating func settleZone(targetZone: String) {
        guard needsTargetZone else { return }
        openZone = FixedZone(targetZone)?.offset == 0 ? nil : targetZone
        openZone.map { mapping.requireZone(insteadOf: $0) }
    }

    /// Other rules of this source, that know the task's other sources as ``mapping`` does.
    public func sharing(_ mapping: TableMapping) -> TableMapping {
        var mapping = mapping
        mapping.share(with: others)
        return mapping
    }

    /// Names the task's other sources; to be called when rules have been taken.
    mutating func share(with others: [String: TableMapping]) {
        sharesTargets = !others.isEmpty
        self.others = others
        mapping.share(with: others)
    }
}
