public import MySQLCore
public import Rules

/// A task's file in DM's words: which tables of which sources go into which target, by which rules.
///
/// It is the file as it was read, with references checked and defaults in place; what one source
/// gets of it is a ``SourcePart``.
public struct TaskFile: SettingsBlock {
    /// `task-mode`.
    public enum Mode: String, Sendable, CaseIterable {
        /// Existing rows, then changes.
        case all
        /// Existing rows only.
        case full
        /// Changes only.
        case incremental
        /// Existing rows into files.
        case dump
        /// Files into the target.
        case load
    }
    /// `shard-mode`: how the tables that become one are kept alike.
    public enum ShardMode: String, Sendable, CaseIterable {
        case none = ""
        case pessimistic, optimistic
    }
    /// `collation_compatible`.
    public enum Collation: String, Sendable, CaseIterable {
        case loose, strict
    }
    /// `experimental`.
    public struct Experimental: SettingsBlock {
        /// `async-checkpoint-flush`.
        public var flushesAsynchronously = false

        /// Nothing of it.
        public init() {}

        static let keys: [SettingsKey<Self>] = [
            SettingsKey.flag("async-checkpoint-flush", \.flushesAsynchronously)
                .unused("the checkpoint is written in the transactions that it counts")
        ]
    }

    /// `name`.
    public var name = ""
    /// `task-mode`.
    public var mode = Mode.all
    /// `is-sharding`.
    public var isSharding = false
    /// `shard-mode`.
    public var writtenShardMode = ShardMode.none
    /// `strict-optimistic-shard-mode`.
    public var isStrict = false
    /// `ignore-checking-items`, in DM's names.
    public var ignoredItems: [String] = []
    /// `meta-schema`; `nil` for Skein's own.
    public var metaSchema: String?
    /// `enable-heartbeat`.
    public var hasHeartbeat = false
    /// `heartbeat-update-interval`.
    public var heartbeatUpdate = 1
    /// `heartbeat-report-interval`.
    public var heartbeatReport = 10
    /// `timezone`; empty for the target's, which has to be UTC where expressions depend on it.
    public var timeZone = ""
    /// `case-sensitive`; case counts in any case where a source's server tells it apart.
    public var isCaseSensitive: Bool?
    /// `collation_compatible`.
    public var collation = Collation.loose
    /// `online-ddl`; `nil` when the file does not say it, which means true in DM.
    public var onlineDDL: Bool?
    /// `shadow-table-rules`.
    public var shadowRules: [String] = []
    /// `trash-table-rules`.
    public var trashRules: [String] = []
    /// `online-ddl-scheme`.
    public var onlineDDLScheme = ""
    /// `clean-dump-file`.
    public var cleansDumpFiles = true
    /// `ansi-quotes`.
    public var ansiQuotes = false
    /// `remove-meta`.
    public var removesMeta = false
    /// `experimental`.
    public var experimental = Experimental()
    /// `target-database`.
    public var target = ServerBlock()
    /// `mysql-instances`.
    public var instances: [TaskInstance] = []
    /// `routes`.
    public var routes: [String: RouteRule] = [:]
    /// `filters`.
    public var filters: [String: EventFilterRule] = [:]
    /// `expression-filter`.
    public var expressionFilters: [String: ExpressionFilterRule] = [:]
    /// `block-allow-list`.
    var lists: [String: NamedBlockAllowList] = [:]
    /// `mydumpers`.
    public var dumps: [String: DumpSettings] = [:]
    /// `loaders`.
    public var loads: [String: LoadSettings] = [:]
    /// `syncers`.
    public var syncs: [String: SyncSettings] = [:]
    /// `validators`.
    public var validations: [String: ValidationSettings] = [:]

    // Skein's own.

    /// `memory`, in bytes; `nil` for the default.
    public var memoryBudget: Int?
    /// `chunk-bytes`; `nil` for the default.
    public var chunkBytes: Int?
    /// `start-time`; `nil`: what the sources' `meta` says, or now.
    public var startTime: StartTime?
    /// `adopt`: DM has run the task until now, under the same name and meta schema.
    public var adoptsDM = false
    /// `adopt-wait`; `nil` for the default.
    public var adoptWait: TimeSpan?
    /// `until`; `nil`: until it is stopped.
    public var until: MigrationSettings.Until?
    /// `into-existing`.
    public var intoExisting = false
    /// `take-over`: another task, whose tables this one takes over.
    public var takeOver: String?
    /// `finish`.
    public var finish = false
    /// `ignore-checks`, in Skein's names.
    public var ignoredChecks: [String] = []

    /// A task without a name.
    public init() {}

    /// What became of column mappings.
    static let columnMappings =
        "\"extract-table\", \"extract-schema\" and \"extract-source\" of a route do its work"

    static let keys: [SettingsKey<Self>] =
        generalKeys + schemaChangeKeys + [
            .block("experimental", \.experimental), .block("target-database", \.target),
            .blocks("mysql-instances", \.instances), .named("routes", \.routes),
            .named("filters", \.filters), .named("expression-filter", \.expressionFilters),
            SettingsKey.named("block-allow-list", \.lists).once("black-white-list"),
            .refused("column-mappings", "is not in DM any more: \(columnMappings)"),
            .named("mydumpers", \.dumps), .named("loaders", \.loads), .named("syncers", \.syncs),
            .named("validators", \.validations),
        ] + ownKeys

    private static let generalKeys: [SettingsKey<Self>] = [
        .text("name", \.name), SettingsKey.word("task-mode", \.mode).required,
        .flag("is-sharding", \.isSharding), .word("shard-mode", \.writtenShardMode),
        .flag("strict-optimistic-shard-mode", \.isStrict),
        ignoredItemsKey, .text("meta-schema", \.metaSchema),
        SettingsKey.flag("enable-heartbeat", \.hasHeartbeat).unused(dropped),
        SettingsKey.number("heartbeat-update-interval", \.heartbeatUpdate, 0...1_000_000)
            .unused(dropped),
        SettingsKey.number("heartbeat-report-interval", \.heartbeatReport, 0...1_000_000)
            .unused(dropped),
        .text("timezone", \.timeZone), .flag("case-sensitive", \.isCaseSensitive),
        SettingsKey.word("collation_compatible", \.collation)
            .unused("tables are created with the collations that they have on the source"),
        SettingsKey.flag("clean-dump-file", \.cleansDumpFiles)
            .unused("there are no files between source and target, and dumps are never removed"),
        SettingsKey.flag("ansi-quotes", \.ansiQuotes)
            .unused("each statement says by itself how it quotes"),
        SettingsKey.flag("remove-meta", \.removesMeta)
            .unused("from a file, every restart would begin from nothing"),
    ]

    private static let schemaChangeKeys: [SettingsKey<Self>] = [
        .flag("online-ddl", \.onlineDDL),
        .texts("shadow-table-rules", \.shadowRules, "a regular expression"),
        .texts("trash-table-rules", \.trashRules, "a regular expression"),
        SettingsKey.text("online-ddl-scheme", \.onlineDDLScheme)
            .unused("both tools are told by their tables' names"),
    ]

    private static let ownKeys: [SettingsKey<Self>] = [
        .parsed(
            "start-time", \.startTime, StartTime.forms, { StartTime($0).map { .some($0) } },
            { ($0?.description).map { .text($0) } }),
        .flag("adopt", \.adoptsDM),
        .parsed(
            "adopt-wait", \.adoptWait, "a time such as 35s", { TimeSpan($0).map { .some($0) } },
            { ($0?.description).map { .text($0) } }),
        .size("memory", \.memoryBudget, Limits.memory),
        .size("chunk-bytes", \.chunkBytes, Limits.chunkBytes),
        .parsed(
            "until", \.until, MigrationSettings.Until.forms,
            { MigrationSettings.Until($0).map { .some($0) } },
            { $0?.text.map { .text($0) } }),
        .flag("into-existing", \.intoExisting), .text("take-over", \.takeOver),
        .flag("finish", \.finish),
        .list(
            "ignore-checks", \.ignoredChecks, CheckNames.rule,
            { CheckNames.isKnown($0) ? $0 : nil }, { $0 }),
    ]

    private static let dropped = "DM has dropped it too"

    private static let ignoredItemsKey = SettingsKey<Self>(
        "ignore-checking-items",
        read: { map, name, file throws(SettingsError) in
            file.ignoredItems = try map.list(name, "a check's name") { $0 } ?? []
            for (index, item) in file.ignoredItems.enumerated()
            where CheckingItem(rawValue: item) == nil {
                throw map.reading.error(
                    at: "\(map.path)\(name)[\(index)]",
                    "\"\(map.reading.shown(item))\" is no check of DM"
                        + suggestion(for: item, among: CheckingItem.allCases.map(\.rawValue))
                        + "; Skein's own names stand under \"ignore-checks\"")
            }
        }, write: { file, _ in .list(file.ignoredItems.map { .text($0) }) })

    func check(_ map: SettingsMapping) throws(SettingsError) {
        guard !name.isEmpty else {
            throw SettingsError("\"name\" is missing: the task's name", file: map.reading.file)
        }
        guard RecordName.isValid(name) else {
            throw map.error("name", "must be \(RecordName.rule), not \(map.shown("name"))")
        }
        for (key, what) in [
            ("task-mode", "all, full, incremental, dump or load"),
            ("target-database", "the server that is written to"),
            ("mysql-instances", "the sources"),
        ] where !map.has(key) || map.isNull(key) {
            throw SettingsError("\"\(key)\" is missing: \(what)", file: map.reading.file)
        }
        if instances.isEmpty { throw map.error("mysql-instances", "names no source") }
        if isStrict, shardMode != .optimistic {
            throw map.error(
                "strict-optimistic-shard-mode", "needs \"shard-mode: optimistic\"")
        }
        if writtenShardMode != .none, map.has("is-sharding"), !isSharding {
            throw map.error("is-sharding", "contradicts \"shard-mode\"")
        }
        for key in ["shadow-table-rules", "trash-table-rules"]
        where onlineDDL == false && map.has(key) {
            throw map.error(key, "contradicts \"online-ddl: false\"")
        }
        try checkReferences(map.reading)
        try checkMeaning(map)
    }

    /// How tables that become one are kept alike: `is-sharding` alone means pessimistic.
    public var shardMode: ShardMode {
        writtenShardMode == .none && isSharding ? .pessimistic : writtenShardMode
    }
}
