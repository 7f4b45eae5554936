public import MySQLCore
internal import Rules
internal import Yams

extension SettingsDraft {
    /// The keys of a settings file, in the order of the documentation.
    static let fileKeys = [
        "source", "target", "tables", "exclude", "name", "source-id", "meta-schema", "mode",
        "start-position", "start-gtid", "start-time", "adopt", "adopt-meta", "adopt-wait", "lanes",
        "readers", "memory", "chunk-rows",
        "chunk-bytes", "until", "into-existing", "safe-mode", "take-over", "finish",
        "ignore-checks", "state-dir",
        "relay", "relay-dir", "relay-limit", "server-id",
    ]

    /// Reads a settings file: YAML, UTF-8, at most 256 KiB.
    ///
    /// - Throws: the first error, with line and column.
    public init(
        file: String, environment: ((String) -> String?)? = nil
    ) throws(SettingsError) {
        try self.init(SettingsText(file: file), environment)
    }

    /// Reads a settings file's bytes; `file` is its name in messages, and `environment` gives what
    /// `${NAME}` stands for.
    public init(
        bytes: [UInt8], file: String, environment: ((String) -> String?)? = nil
    ) throws(SettingsError) {
        try self.init(SettingsText(bytes: bytes, file: file), environment)
    }

    private init(
        _ text: SettingsText, _ environment: ((String) -> String?)?
    ) throws(SettingsError) {
        self.init()
        let file = text.file
        let reading = SettingsReading(file: file, environment: environment)
        guard let root = try text.root() else {
            throw SettingsError("the settings file is empty", file: file)
        }
        // "fresh" is found here, to say why it is refused.
        let map = try SettingsMapping(root, reading, known: Self.fileKeys + ["fresh"])
        if map.has("fresh") {
            throw map.error(
                "fresh",
                "is only a flag (--fresh): from a file, every restart would begin from nothing")
        }
        if let node = map.node("source") {
            source = try EndpointDraft(node, reading, name: "source")
        }
        if let node = map.node("target") {
            target = try EndpointDraft(node, reading, name: "target")
        }
        try read(map)
    }

    /// Reads the keys that are there, but for the servers.
    mutating func read(_ map: SettingsMapping) throws(SettingsError) {
        let pattern = "a pattern such as 'shop.*'"
        tables = try map.list("tables", pattern) { TablePattern($0) }
        exclude = try map.list("exclude", pattern) { TablePattern($0) }
        name = try map.text("name")
        sourceID = try map.text("source-id")
        metaSchema = try map.text("meta-schema")
        mode = try map.parsed("mode", MigrationSettings.Mode.forms) { .init(rawValue: $0) }
        startPosition = try map.parsed("start-position", "a position (file:offset)") {
            BinlogPosition(startAt: $0)
        }
        startGTIDs = try map.parsed("start-gtid", "a GTID set") { isGTIDSet($0) ? $0 : nil }
        startTime = try map.parsed("start-time", StartTime.forms) { StartTime($0) }
        adopt = try map.text("adopt")
        adoptMeta = try map.text("adopt-meta")
        adoptWait = try map.parsed("adopt-wait", "a time such as 35s") { TimeSpan($0) }
        lanes = try map.number("lanes", Limits.lanes)
        readers = try map.number("readers", Limits.readers)
        memoryBudget = try map.size("memory", Limits.memory)
        chunkRows = try map.number("chunk-rows", Limits.chunkRows)
        chunkBytes = try map.size("chunk-bytes", Limits.chunkBytes)
        until = try map.parsed("until", MigrationSettings.Until.forms) { .init($0) }
        intoExisting = try map.flag("into-existing")
        safeMode = try map.flag("safe-mode")
        takeOver = try map.text("take-over")
        finish = try map.flag("finish")
        ignoredChecks = try map.list("ignore-checks", CheckNames.rule) {
            CheckNames.isKnown($0) ? $0 : nil
        }
        stateFolder = try map.text("state-dir")
        relay = try map.flag("relay")
        relayFolder = try map.text("relay-dir")
        relayLimit = try map.size("relay-limit", Limits.relayLimit)
        serverID = try map.number("server-id", 1...UInt32.max)
    }
}

extension MigrationSettings.Until {
    /// What can be written, for messages.
    public static let forms = "caught-up, a position (file:offset) or a GTID set"

    /// Parses `caught-up`, `file:offset` or a GTID set of either family; `nil` for anything else.
    public init?(_ text: String) {
        if text == "caught-up" {
            self = .caughtUp
        } else if text.contains(where: { $0 == ":" || $0 == "-" }),
            // Before positions: a set with one transaction looks like file:offset.
            MySQLGTIDSet(text).map({ !$0.isEmpty }) ?? false
                || MariaDBGTIDPosition(text).map({ !$0.last.isEmpty }) ?? false
        {
            self = .gtids(text)
        } else if let position = BinlogPosition(text), position.fileNumber > 0, position.offset >= 4
        {
            self = .position(position)
        } else {
            return nil
        }
    }
}

extension MigrationSettings.Mode {
    /// What can be written, for messages.
    public static let forms = "all, full or incremental"
}

extension StartTime {
    /// What can be written, for messages.
    public static let forms =
        "a time such as 2026-05-01 10:00:00 (the source's clock), or 2026-05-01T10:00:00Z"
}

extension BinlogPosition {
    /// Parses where a migration can begin: `file:offset`.
    public init?(startAt text: String) {
        guard case .position(let position) = MigrationSettings.Until(text) else { return nil }
        self = position
    }
}

/// Whether a text is a GTID set of either family.
public func isGTIDSet(_ text: String) -> Bool {
    if case .gtids = MigrationSettings.Until(text) { true } else { false }
}
