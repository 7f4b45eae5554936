public import MySQLClient
public import MySQLCore
public import Rules
internal import Yams

/// A task as a cluster is told of it: which tables of which sources go into which target, and how.
///
/// People write it in one of two forms, which one type holds: Skein's own short one, and DM's.
public struct TaskSettings: Sendable, Hashable {
    /// The task's name.
    public let name: String
    /// The target server, with its password.
    public var target: ConnectionOptions
    /// The sources, each in its own subtask.
    public let sources: [String]
    /// What is written beside that.
    var content: Content

    enum Content: Sendable, Hashable {
        /// The short form; the rest has its defaults when it runs.
        case short(SettingsDraft)
        /// DM's form.
        case file(TaskFile)
    }

    /// The keys of a migration's file that a task has, beside its servers.
    private static let sharedKeys = [
        "name", "tables", "exclude", "meta-schema", "mode", "start-position", "start-gtid",
        "start-time", "adopt", "adopt-meta", "adopt-wait", "lanes", "readers", "memory",
        "chunk-rows", "chunk-bytes", "until",
        "into-existing", "safe-mode", "take-over", "finish", "ignore-checks",
    ]
    static let keys = ["target", "sources"] + sharedKeys
    /// Keys that only DM's form has: one is enough to tell it.
    private static let tellingKeys = ["task-mode", "target-database", "mysql-instances"]

    /// DM's form, where the task was written in it.
    public var file: TaskFile? { if case .file(let file) = content { file } else { nil } }

    /// Reads what a user sends.
    ///
    /// - Parameters:
    ///   - file: what the text is called in messages.
    ///   - name: the task's name where the text need not say it; a text that says another is refused.
    /// - Throws: the first error, with its place.
    public init(
        _ bytes: [UInt8], _ format: SettingsFormat, file: String, name: String? = nil
    ) throws(SettingsError) {
        try self.init(bytes, format, SettingsReading(file: file), name: name)
    }

    /// Reads a person's file; the password may come from another file, the environment or a prompt.
    public init(
        _ bytes: [UInt8], _ format: SettingsFormat, file: String, name: String? = nil,
        passwords: PasswordSource
    ) throws(SettingsError) {
        self = try Self.reported(bytes, format, file: file, name: name, passwords: passwords).value
    }

    /// Reads a person's file, and tells what there is to know about it.
    public static func reported(
        _ bytes: [UInt8], _ format: SettingsFormat, file: String, name: String? = nil,
        passwords: PasswordSource
    ) throws(SettingsError) -> SettingsReport<TaskSettings> {
        let reading = SettingsReading(person: passwords, .target, file: file)
        let settings = try TaskSettings(bytes, format, reading, name: name)
        return SettingsReport(settings, reading, settings.unsupported)
    }

    /// Reads what the store keeps under a key.
    public init(
        stored text: String, _ secrets: SecretCipher, key: String
    ) throws(SettingsError) {
        try self.init(
            Array(text.utf8), .json,
            SettingsReading(file: key, form: .encrypted(secrets, record: key)), name: nil)
    }

    private init(
        _ bytes: [UInt8], _ format: SettingsFormat, _ reading: SettingsReading, name given: String?
    ) throws(SettingsError) {
        let root = try settingsRoot(bytes, format, reading.file)
        let isFile = Self.tellingKeys.contains { root.mapping?[Node($0)] != nil }
        let map = try SettingsMapping(
            root, reading, known: isFile ? TaskFile.allNames : Self.keys)
        let named = try map.recordName("name")
        if let given, let named, given != named {
            throw map.error("name", "is \"\(named)\", and the request is for \"\(given)\"")
        }
        guard let name = named ?? given else {
            throw SettingsError("\"name\" is missing: the task's name", file: reading.file)
        }
        if isFile {
            var file = TaskFile()
            file.name = name
            try file.fill(map)
            try file.target.askPassword(reading)
            self.init(file)
        } else {
            try self.init(short: map, name)
        }
        // What only a finished migration can tell to be wrong is told now.
        do {
            let source = SourceSettings(name: sources[0], server: target)
            _ = try draft(of: source).migrationSettings(.nowhere)
        } catch {
            throw SettingsError(error.message, file: reading.file)
        }
    }

    /// Takes a task in DM's form.
    public init(_ file: TaskFile) {
        var content = file
        content.target.password = nil
        content.target.passwordFile = nil
        name = file.name
        target = file.target.options
        sources = file.instances.map(\.source)
        self.content = .file(content)
    }

    private init(short map: SettingsMapping, _ name: String) throws(SettingsError) {
        let file = map.reading.file
        guard let node = map.node("target") else {
            throw SettingsError(
                "\"target\" is missing: mysql://user@host:port, or host, port, user and password",
                file: file)
        }
        guard let sources = try map.recordNames("sources"), !sources.isEmpty else {
            throw SettingsError(
                "\"sources\" is missing: the names of one or more sources", file: file)
        }
        var draft = SettingsDraft()
        try draft.read(map)
        draft.name = name
        guard let tables = draft.tables, !tables.isEmpty else {
            throw SettingsError("\"tables\" is missing: patterns such as 'shop.*'", file: file)
        }
        for (key, isGiven) in [
            ("start-position", draft.startPosition != nil), ("start-gtid", draft.startGTIDs != nil),
        ] where isGiven && sources.count > 1 {
            throw map.error(
                key,
                "means one source, and the task has \(sources.count): write it in DM's form, "
                    + "where each source has its own \"meta\"")
        }
        self.name = name
        self.sources = sources
        content = .short(draft)
        target = try EndpointDraft.record(node, map.reading, name: "target")
    }

    /// Every key of DM's form, old spellings aside: `mysql-instances[].source-id`.
    public static var filePaths: [String] { TaskFile.keyPaths }

    /// The same task, begun at a time instead of where its text says.
    ///
    /// - Throws: when it copies the rows that are there.
    public func beginning(at time: StartTime) throws(SettingsError) -> TaskSettings {
        var out = self
        let isIncremental: Bool
        let isAdopted: Bool
        switch content {
        case .short(var draft):
            isAdopted = draft.adopt != nil
            isIncremental = draft.mode == .incremental
            (draft.startPosition, draft.startGTIDs, draft.startTime) = (nil, nil, time)
            out.content = .short(draft)
        case .file(var file):
            isAdopted = file.adoptsDM
            isIncremental = file.mode == .incremental
            file.startTime = time
            out.content = .file(file)
        }
        guard !isAdopted else {
            throw SettingsError(
                "a start time contradicts adopt: DM's checkpoint says where changes are followed "
                    + "from")
        }
        guard isIncremental else {
            throw SettingsError(
                "a start time needs the mode incremental: with the rows that are there, changes are "
                    + "followed from where they were read")
        }
        return out
    }

    /// What of the settings the engines can't act on: a task that has any is not to begin.
    public var unsupported: [UnsupportedSetting] { file?.unsupported ?? [] }

    /// What one subtask runs with.
    ///
    /// - Throws: also when the engines can't act on something in it.
    public func migrationSettings(
        _ source: SourceSettings
    ) throws(SettingsError) -> MigrationSettings {
        if let setting = (unsupported + source.unsupported).first {
            throw SettingsError("task '\(name)': \(setting)")
        }
        var settings = try draft(of: source).migrationSettings(.nowhere)
        settings.source = source.server
        settings.target = target
        settings.sourceID = source.name
        settings.keepsRelay = source.keepsRelay
        settings.relayFolder = source.relayFolder
        settings.relayLimitBytes = source.relayLimitBytes
        settings.serverID = source.serverID
        if var part = file?.part(of: source.name) {
            settings.files = file?.transfer(part)
            if settings.files != nil { settings.keepsRelay = false }
            part.rules = rules(source) ?? part.rules
            settings.selection = part.selection ?? settings.selection
            do throws(RuleError) {
                try settings.take(part.rules)
            } catch {
                throw SettingsError("task '\(name)': \(error)")
            }
        }
        settings.share(with: try otherMappings(than: source.name, settings.mapping))
        return settings
    }

    /// Where tables of the task's other sources go.
    ///
    /// - Parameter own: what the short form's sources all have.
    private func otherMappings(
        than source: String, _ own: TableMapping
    ) throws(SettingsError) -> [String: TableMapping] {
        var out: [String: TableMapping] = [:]
        for other in sources where other != source {
            guard let part = file?.part(of: other) else {
                out[other] = own
                continue
            }
            do throws(RuleError) {
                out[other] = try TableMapping(ofOther: part.rules)
            } catch {
                throw SettingsError("task '\(name)': \(error)")
            }
        }
        return out
    }

    /// The rules that a subtask has: the task's, and those that every task of the source has.
    ///
    /// `nil` for a task in the short form, and for a source that the task does not have.
    public func rules(_ source: SourceSettings) -> SourceRules? {
        guard var rules = file?.part(of: source.name)?.rules, let file = source.file else {
            return file?.part(of: source.name)?.rules
        }
        if !file.filters.isEmpty { rules.sourceFilters = file.namedFilters }
        return rules
    }

    /// The short form's patterns of tables to take.
    var shortTables: [TablePattern] {
        if case .short(let draft) = content { draft.tables ?? [] } else { [] }
    }
    /// The short form's patterns of tables to leave.
    var shortExcluded: [TablePattern] {
        if case .short(let draft) = content { draft.exclude ?? [] } else { [] }
    }

    private func draft(of source: SourceSettings) -> SettingsDraft {
        var draft: SettingsDraft
        switch content {
        case .short(let short): draft = short
        case .file(let file): draft = file.draft(of: source)
        }
        draft.sourceID = source.name
        draft.source.url = source.server
        draft.target.url = target
        return draft
    }

    /// As the store keeps it under a key: its password can only be read with the cluster's key.
    public func stored(_ secrets: SecretCipher, key: String) throws(SettingsError) -> String {
        try value(.encrypted(secrets, record: key)).document
    }

    /// For answers: without the password.
    public var shown: JSONValue {
        switch content {
        case .short(let draft): value(draft, target.settings)
        case .file(let file): file.value(.changes)
        }
    }

    /// For people: everything that has an effect, defaults filled in, without the password.
    public var effective: JSONValue {
        switch content {
        case .short: shown
        case .file(let file):
            file.effective.value(
                file.fileTask.map { SettingsForm.effectiveOfFiles($0) } ?? .effective)
        }
    }

    /// For requests: with the password.
    public func sent() throws(SettingsError) -> JSONValue { try value(.plain) }

    /// The sources that a stored text names; nothing is decrypted for it. `nil` when it is no task's.
    public static func sources(stored text: String) -> [String]? {
        guard let value = JSONValue(bytes: Array(text.utf8)) else { return nil }
        if case .list(let names) = value["sources"] {
            return names.compactMap { if case .text(let name) = $0 { name } else { nil } }
        }
        guard case .list(let instances) = value["mysql-instances"] else { return nil }
        return instances.compactMap {
            if case .text(let name) = $0["source-id"] { name } else { nil }
        }
    }

    private func value(_ form: PasswordForm) throws(SettingsError) -> JSONValue {
        switch content {
        case .short(let draft): return value(draft, try target.settings(form))
        case .file(let file):
            guard case .object(var out) = file.value(.changes) else { return .null }
            out["target-database"] = try file.target.value(form, target.password)
            return .object(out)
        }
    }

    private func value(_ draft: SettingsDraft, _ target: [String: JSONValue]) -> JSONValue {
        var out: [String: JSONValue] = [
            "name": .text(name), "target": .object(target),
            "sources": .list(sources.map { .text($0) }),
            "tables": .list((draft.tables ?? []).map { .text($0.description) }),
        ]
        func set(_ key: String, _ value: Int?) { out[key] = value.map { .integer(Int64($0)) } }
        func set(_ key: String, _ value: Bool?) { out[key] = value.map { .flag($0) } }
        func setSize(_ key: String, _ value: Int?) {
            out[key] = value.map { .text(ByteSize(bytes: $0).description) }
        }
        if let exclude = draft.exclude {
            out["exclude"] = .list(exclude.map { .text($0.description) })
        }
        out["meta-schema"] = draft.metaSchema.map { .text($0) }
        out["mode"] = draft.mode.map { .text($0.rawValue) }
        out["start-position"] = draft.startPosition.map { .text($0.description) }
        out["start-gtid"] = draft.startGTIDs.map { .text($0) }
        out["start-time"] = draft.startTime.map { .text($0.description) }
        out["adopt"] = draft.adopt.map { .text($0) }
        out["adopt-meta"] = draft.adoptMeta.map { .text($0) }
        out["adopt-wait"] = draft.adoptWait.map { .text($0.description) }
        set("lanes", draft.lanes)
        set("readers", draft.readers)
        setSize("memory", draft.memoryBudget)
        set("chunk-rows", draft.chunkRows)
        setSize("chunk-bytes", draft.chunkBytes)
        out["until"] = draft.until?.text.map { .text($0) }
        set("into-existing", draft.intoExisting)
        set("safe-mode", draft.safeMode)
        out["take-over"] = draft.takeOver.map { .text($0) }
        set("finish", draft.finish)
        out["ignore-checks"] = draft.ignoredChecks.map { .list($0.map { .text($0) }) }
        return .object(out)
    }
}

extension MigrationSettings.Until {
    /// As it is written in settings; `nil` for never.
    var text: String? {
        switch self {
        case .stopped: nil
        case .caughtUp: "caught-up"
        case .position(let position): position.description
        case .gtids(let set): set
        }
    }
}
