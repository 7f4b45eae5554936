/// One source of a task: an entry of `mysql-instances`. What it names stands in the blocks of the
/// task.
public struct TaskInstance: SettingsBlock {
    /// Where an incremental task begins: `meta`.
    public struct Start: SettingsBlock {
        /// `binlog-name`.
        public var file = ""
        /// `binlog-pos`.
        public var offset: UInt64 = 0
        /// `binlog-gtid`.
        public var gtids = ""

        /// Nowhere.
        public init() {}

        static let keys: [SettingsKey<Self>] = [
            .text("binlog-name", \.file), .number("binlog-pos", \.offset, 0...UInt64(Int64.max)),
            .text("binlog-gtid", \.gtids),
        ]

        func check(_ map: SettingsMapping) throws(SettingsError) {
            if file.isEmpty, gtids.isEmpty {
                throw map.error("names no place: binlog-name and binlog-pos, or binlog-gtid")
            }
            if !gtids.isEmpty, MigrationSettings.Until(gtids).map({ !$0.isSet }) ?? true {
                throw map.error("binlog-gtid", "is no GTID set")
            }
            if !file.isEmpty, !file.isBinlogName {
                throw map.error("binlog-name", "is no name of a binlog file (mysql-bin.000003)")
            }
        }
    }

    /// `source-id`.
    public var source = ""
    /// `meta`.
    public var start: Start?
    /// `filter-rules`: names in `filters`.
    public var filterNames: [String] = []
    /// `route-rules`: names in `routes`.
    public var routeNames: [String] = []
    /// `expression-filters`: names in `expression-filter`.
    public var expressionNames: [String] = []
    /// `block-allow-list`: a name in the task's.
    public var listName: String?
    /// `mydumper-config-name`.
    public var dumpName: String?
    /// `mydumper`: instead of a name.
    public var dump: DumpSettings?
    /// `mydumper-thread`: replaces the block's.
    public var dumpThreads: Int?
    /// `loader-config-name`.
    public var loadName: String?
    /// `loader`: instead of a name.
    public var load: LoadSettings?
    /// `loader-thread`: replaces the block's.
    public var loadThreads: Int?
    /// `syncer-config-name`.
    public var syncName: String?
    /// `syncer`: instead of a name.
    public var sync: SyncSettings?
    /// `syncer-thread`: replaces the block's.
    public var syncThreads: Int?
    /// `validator-config-name`.
    public var validationName: String?

    /// A source without a name.
    public init() {}

    static let keys: [SettingsKey<Self>] = [
        .text("source-id", \.source), .block("meta", \.start),
        .texts("filter-rules", \.filterNames, "a name in \"filters\""),
        .refused("column-mapping-rules", "is not in DM any more: \(TaskFile.columnMappings)"),
        .texts("route-rules", \.routeNames, "a name in \"routes\""),
        .texts("expression-filters", \.expressionNames, "a name in \"expression-filter\""),
        SettingsKey.text("block-allow-list", \.listName).once("black-white-list"),
        .text("mydumper-config-name", \.dumpName), .block("mydumper", \.dump),
        .number("mydumper-thread", \.dumpThreads, 1...1024),
        .text("loader-config-name", \.loadName), .block("loader", \.load),
        SettingsKey.number("loader-thread", \.loadThreads, 1...65536)
            .unused(
                "each connection that reads has one that writes: mydumper-thread", butIn: .load),
        .text("syncer-config-name", \.syncName), .block("syncer", \.sync),
        .number("syncer-thread", \.syncThreads, 1...65536),
        .text("validator-config-name", \.validationName),
    ]

    func check(_ map: SettingsMapping) throws(SettingsError) {
        guard !source.isEmpty else { throw map.error("has no \"source-id\"") }
        guard RecordName.isValid(source) else {
            throw map.error(
                "source-id", "must be \(RecordName.rule), not \(map.shown("source-id"))")
        }
        for (name, isInline) in [
            ("mydumper", dump != nil && dumpName != nil),
            ("loader", load != nil && loadName != nil),
            ("syncer", sync != nil && syncName != nil),
        ] where isInline {
            throw map.error(
                name, "contradicts \"\(map.path)\(name)-config-name\": give one of them")
        }
        for (key, names) in [
            ("filter-rules", filterNames), ("route-rules", routeNames),
            ("expression-filters", expressionNames),
        ] {
            if let name = names.firstRepeated {
                throw map.error(key, "names \"\(map.reading.shown(name))\" twice")
            }
        }
    }
}

extension MigrationSettings.Until {
    /// Whether it is a GTID set.
    fileprivate var isSet: Bool { if case .gtids = self { true } else { false } }
}

extension String {
    /// Whether it can be the name of a binlog file: a name, a dot, digits. DM's own names of relay
    /// logs, `mysql-bin|000002.000003`, have the folder's number inside.
    fileprivate var isBinlogName: Bool {
        guard let dot = lastIndex(of: "."), dot != startIndex else { return false }
        let digits = self[index(after: dot)...]
        return !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) }
            && !contains("/") && utf8.count <= 255
    }
}
