public import MySQLClient
public import Rules
internal import MySQLCore
internal import Yams

/// A task as a cluster is told of it: which tables of which sources go into which target, and how.
public struct TaskSettings: Sendable, Hashable {
    /// The task's name.
    public let name: String
    /// The target server, with its password.
    public var target: ConnectionOptions
    /// The sources, each in its own subtask.
    public let sources: [String]
    /// Which tables are migrated.
    public let selection: TableSelection
    /// What was said beside that; the rest has its defaults when it runs.
    private let draft: SettingsDraft

    /// The keys of a migration's file that a task has, beside its servers.
    private static let sharedKeys = [
        "name", "tables", "exclude", "meta-schema", "lanes", "readers", "memory", "chunk-rows",
        "chunk-bytes", "until", "into-existing", "finish", "ignore-checks",
    ]
    static let keys = ["target", "sources"] + sharedKeys

    /// Reads what a user sends.
    ///
    /// - Parameters:
    ///   - file: what the text is called in messages.
    ///   - name: the task's name where the text need not say it; a text that says another is refused.
    /// - Throws: the first error, with its place.
    public init(
        _ bytes: [UInt8], _ format: SettingsFormat, file: String, name: String? = nil
    ) throws(SettingsError) {
        try self.init(bytes, format, file: file, name: name, .plain)
    }

    /// Reads a person's file; the password may come from another file, the environment or a prompt.
    public init(
        _ bytes: [UInt8], _ format: SettingsFormat, file: String, name: String? = nil,
        passwords: PasswordSource
    ) throws(SettingsError) {
        try self.init(bytes, format, file: file, name: name, .local(passwords, .target))
    }

    /// Reads what the store keeps under a key.
    public init(
        stored text: String, _ secrets: SecretCipher, key: String
    ) throws(SettingsError) {
        try self.init(
            Array(text.utf8), .json, file: key, name: nil, .encrypted(secrets, record: key))
    }

    private init(
        _ bytes: [UInt8], _ format: SettingsFormat, file: String, name given: String?,
        _ form: PasswordForm
    ) throws(SettingsError) {
        let map = try SettingsMapping(
            settingsRoot(bytes, format, file), file: file, known: Self.keys)
        let named = try map.recordName("name")
        if let given, let named, given != named {
            throw map.error("name", "is \"\(named)\", and the request is for \"\(given)\"")
        }
        guard let name = named ?? given else {
            throw SettingsError("\"name\" is missing: the task's name", file: file)
        }
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
        self.name = name
        self.sources = sources
        self.draft = draft
        target = try EndpointDraft.record(node, file: file, name: "target", form)
        selection = TableSelection(tables: tables, excluded: draft.exclude ?? [])
        // What only a finished migration can tell to be wrong is told now.
        do {
            _ = try migrationSettings(SourceSettings(name: sources[0], server: target))
        } catch {
            throw SettingsError(error.message, file: file)
        }
    }

    /// What one subtask runs with.
    public func migrationSettings(
        _ source: SourceSettings
    ) throws(SettingsError) -> MigrationSettings {
        var draft = draft
        draft.source.url = source.server
        draft.target.url = target
        var settings = try draft.migrationSettings(
            PasswordSource(environment: { _ in nil }, prompt: nil))
        settings.source = source.server
        settings.target = target
        settings.sourceID = source.name
        settings.keepsRelay = source.keepsRelay
        settings.relayFolder = source.relayFolder
        settings.relayLimitBytes = source.relayLimitBytes
        settings.serverID = source.serverID
        return settings
    }

    /// As the store keeps it under a key: its password can only be read with the cluster's key.
    public func stored(_ secrets: SecretCipher, key: String) throws(SettingsError) -> String {
        try value(target.settings(.encrypted(secrets, record: key))).document
    }

    /// For answers: without the password.
    public var shown: JSONValue { value(target.settings) }

    /// For requests: with the password.
    public func sent() throws(SettingsError) -> JSONValue { try value(target.settings(.plain)) }

    private func value(_ target: [String: JSONValue]) -> JSONValue {
        var out: [String: JSONValue] = [
            "name": .text(name), "target": .object(target),
            "sources": .list(sources.map { .text($0) }),
            "tables": .list(selection.tables.map { .text($0.description) }),
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
        set("lanes", draft.lanes)
        set("readers", draft.readers)
        setSize("memory", draft.memoryBudget)
        set("chunk-rows", draft.chunkRows)
        setSize("chunk-bytes", draft.chunkBytes)
        out["until"] = draft.until?.text.map { .text($0) }
        set("into-existing", draft.intoExisting)
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
