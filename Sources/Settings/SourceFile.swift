public import Rules

/// A source's file in DM's words.
public struct SourceFile: SettingsBlock {
    /// `flavor`.
    public enum Flavor: String, Sendable, CaseIterable {
        case automatic = ""
        case mysql, mariadb
    }
    /// `purge`: when files of the relay log go.
    public struct Purge: SettingsBlock {
        /// `interval`, in seconds.
        public var interval = 3600
        /// `expires`, in hours; 0: never.
        public var expires = 0
        /// `remain-space`, in GB.
        public var remainSpace = 15

        /// As DM has it when nothing is said.
        public init() {}

        private static let bounded = "\"relay-limit\" bounds the relay log, at any time"

        static let keys: [SettingsKey<Self>] = [
            SettingsKey.number("interval", \.interval, 0...Int(Int32.max)).unused(bounded),
            SettingsKey.number("expires", \.expires, 0...Int(Int32.max)).unused(bounded),
            SettingsKey.number("remain-space", \.remainSpace, 0...Int(Int32.max)).unused(bounded),
        ]
    }
    /// `checker`: how errors that may pass are tried again.
    public struct Checker: SettingsBlock {
        /// `check-enable`.
        public var isEnabled = true
        /// `backoff-rollback`.
        public var rollback = TimeSpan(seconds: 300)
        /// `backoff-max`.
        public var maximum = TimeSpan(seconds: 300)

        /// As DM has it when nothing is said.
        public init() {}

        private static let always = "what may pass is tried again for as long as it takes"

        static let keys: [SettingsKey<Self>] = [
            SettingsKey.flag("check-enable", \.isEnabled).unused(always),
            SettingsKey.time("backoff-rollback", \.rollback).unused(always),
            SettingsKey.time("backoff-max", \.maximum).unused(always),
        ]
    }

    /// `enable`: whether it is to have a worker at all.
    public var isEnabled = true
    /// `source-id`.
    public var name = ""
    /// `enable-gtid`.
    public var usesGTIDs = false
    /// `auto-fix-gtid`.
    public var fixesGTIDs = false
    /// `relay-dir`.
    public var relayFolder: String?
    /// `meta-dir`.
    public var metaFolder = ""
    /// `charset`.
    public var charset = ""
    /// `tracer`.
    public var tracer: [String: String] = [:]
    /// `flavor`.
    public var flavor = Flavor.automatic
    /// `enable-relay`.
    public var keepsRelay = false
    /// `relay-binlog-name`.
    public var relayStartFile = ""
    /// `relay-binlog-gtid`.
    public var relayStartGTIDs = ""
    /// `server-id`; 0 chooses.
    public var serverID: UInt32 = 0
    /// `case-sensitive`.
    public var isCaseSensitive: Bool?
    /// `filters`, which every task of the source has.
    public var filters: [EventFilterRule] = []
    /// `from`.
    public var server = ServerBlock()
    /// `purge`.
    public var purge = Purge()
    /// `checker`.
    public var checker = Checker()
    /// `relay-limit`, Skein's own: bytes that the relay log may take.
    public var relayLimitBytes: Int?
    /// `relay-replicas`, Skein's own: how many workers keep the relay log.
    public var relayReplicas = 1
    /// `relay-workers`, Skein's own: workers that keep a copy in any case.
    public var relayWorkers: [String] = []
    /// `workers`, Skein's own: the workers that may run it; empty: any.
    public var allowedWorkers: [String] = []

    /// A source without a name.
    public init() {}

    private static let dropped = "DM has dropped it too"
    private static let needed = "the relay log begins where the first task needs it"

    static let keys: [SettingsKey<Self>] = [
        .flag("enable", \.isEnabled), .text("source-id", \.name),
        SettingsKey.flag("enable-gtid", \.usesGTIDs)
            .unused("GTIDs are used wherever the source has them"),
        SettingsKey.flag("auto-fix-gtid", \.fixesGTIDs).unused(dropped),
        .text("relay-dir", \.relayFolder),
        SettingsKey.text("meta-dir", \.metaFolder).unused(dropped),
        SettingsKey.text("charset", \.charset).unused(dropped),
        SettingsKey.dictionary("tracer", \.tracer).unused(dropped),
        SettingsKey.word("flavor", \.flavor).unused("the server says itself what it is"),
        .flag("enable-relay", \.keepsRelay),
        SettingsKey.text("relay-binlog-name", \.relayStartFile).unused(needed),
        SettingsKey.text("relay-binlog-gtid", \.relayStartGTIDs).unused(needed),
        .number("server-id", \.serverID, 0...UInt32.max),
        SettingsKey.flag("case-sensitive", \.isCaseSensitive)
            .unused("the server says it (lower_case_table_names), as in DM"),
        .blocks("filters", \.filters),
        .block("from", \.server), .block("purge", \.purge), .block("checker", \.checker),
        .size("relay-limit", \.relayLimitBytes, Limits.relayLimit),
        .number("relay-replicas", \.relayReplicas, 1...16),
        .list(
            "relay-workers", \.relayWorkers, RecordName.rule,
            { RecordName.isValid($0) ? $0 : nil }, { $0 }),
        .list(
            "workers", \.allowedWorkers, RecordName.rule, { RecordName.isValid($0) ? $0 : nil },
            { $0 }),
    ]

    func check(_ map: SettingsMapping) throws(SettingsError) {
        guard name.isEmpty || RecordName.isValid(name) else {
            throw map.error(
                "source-id", "must be \(RecordName.rule), not \(map.shown("source-id"))")
        }
        if map.isNull("from") { throw map.error("from", "is missing: the server") }
        try checkRules(map.reading)
        if let name = allowedWorkers.firstRepeated {
            throw map.error("workers", "names \"\(map.reading.shown(name))\" twice")
        }
        if let name = relayWorkers.firstRepeated {
            throw map.error("relay-workers", "names \"\(map.reading.shown(name))\" twice")
        }
        if map.has("workers"), allowedWorkers.isEmpty {
            throw map.error(
                "workers", "is empty: leave it out where any worker may run the source")
        }
    }
}
