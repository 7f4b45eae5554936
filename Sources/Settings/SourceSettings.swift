public import MySQLClient
internal import Yams

/// A source as a cluster is told of it: the server, its relay log, and who may run it.
///
/// One type reads it from people and programs, and writes it for the store and for answers, so that
/// all of them agree.
public struct SourceSettings: Sendable, Hashable {
    /// The source's name, also in the checkpoint.
    public var name: String
    /// The server, with its password.
    public var server: ConnectionOptions
    /// Whether the worker keeps the source's binlog.
    public var keepsRelay = true
    /// Folder of the relay log; `nil` for one in the worker's data folder.
    public var relayFolder: String?
    /// Bytes that the relay log may take; `nil` for half of the free disk.
    public var relayLimitBytes: Int?
    /// How many workers keep the relay log, the one that runs the source among them.
    public var relayReplicas = 1
    /// Workers that keep a copy of the relay log whatever that number is.
    public var relayWorkers: Set<String> = []
    /// The id that the binlog reader has among the source's replicas; random when 0.
    public var serverID: UInt32 = 0
    /// The workers that may run it; `nil`: any.
    public var allowedWorkers: Set<String>?
    /// Whether it is to have a worker at all.
    public var isEnabled = true
    /// What DM's form has beside that, where the source was written in it.
    public private(set) var file: SourceFile?

    static let keys = [
        "source-id", "source", "relay", "relay-dir", "relay-limit", "relay-replicas",
        "relay-workers",
        "server-id", "workers",
        "enable",
    ]

    /// Names a source.
    public init(name: String, server: ConnectionOptions) {
        self.name = name
        self.server = server
    }

    /// Reads what a user sends.
    ///
    /// - Parameters:
    ///   - file: what the text is called in messages.
    ///   - name: the source's name where the text need not say it; a text that says another is
    ///     refused.
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
    ) throws(SettingsError) -> SettingsReport<SourceSettings> {
        let reading = SettingsReading(person: passwords, .source, file: file)
        let settings = try SourceSettings(bytes, format, reading, name: name)
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
        let isFile = root.mapping?["from"] != nil
        let map = try SettingsMapping(
            root, reading, known: isFile ? SourceFile.keys.map(\.name) : Self.keys)
        let named = try map.recordName("source-id")
        if let given, let named, given != named {
            throw map.error("source-id", "is \"\(named)\", and the request is for \"\(given)\"")
        }
        guard let name = named ?? given else {
            throw SettingsError("\"source-id\" is missing: the source's name", file: reading.file)
        }
        if isFile {
            var file = SourceFile()
            file.name = name
            try file.fill(map)
            try file.server.askPassword(reading)
            self.init(file)
        } else {
            try self.init(short: map, name)
        }
    }

    /// Takes a source in DM's form.
    public init(_ file: SourceFile) {
        self.init(name: file.name, server: file.server.options)
        keepsRelay = file.keepsRelay
        relayFolder = file.relayFolder
        relayLimitBytes = file.relayLimitBytes
        relayReplicas = file.relayReplicas
        relayWorkers = Set(file.relayWorkers)
        serverID = file.serverID
        allowedWorkers = file.allowedWorkers.isEmpty ? nil : Set(file.allowedWorkers)
        isEnabled = file.isEnabled
        var rest = file
        rest.server.password = nil
        rest.server.passwordFile = nil
        rest.keepsRelay = false
        rest.relayFolder = nil
        rest.relayLimitBytes = nil
        rest.serverID = 0
        rest.relayReplicas = 1
        rest.relayWorkers = []
        rest.allowedWorkers = []
        rest.isEnabled = true
        self.file = rest
    }

    private init(short map: SettingsMapping, _ name: String) throws(SettingsError) {
        guard let node = map.node("source") else {
            throw SettingsError(
                "\"source\" is missing: mysql://user@host:port, or host, port, user and password",
                file: map.reading.file)
        }
        self.init(
            name: name, server: try EndpointDraft.record(node, map.reading, name: "source"))
        keepsRelay = try map.flag("relay") ?? true
        relayFolder = try map.text("relay-dir")
        relayLimitBytes = try map.size("relay-limit", Limits.relayLimit)
        relayReplicas = try map.number("relay-replicas", 1...16) ?? 1
        relayWorkers = try map.recordNames("relay-workers").map { Set($0) } ?? []
        serverID = try map.number("server-id", 1...UInt32.max) ?? 0
        allowedWorkers = try map.recordNames("workers").map { Set($0) }
        if allowedWorkers?.isEmpty == true {
            throw map.error("workers", "is empty: leave it out where any worker may run the source")
        }
        isEnabled = try map.flag("enable") ?? true
    }

    /// Every key of DM's form: `purge.interval`.
    public static var filePaths: [String] { SourceFile.keyPaths }

    /// What of the settings the engines can't act on.
    public var unsupported: [UnsupportedSetting] { file?.unsupported ?? [] }

    /// As the store keeps it under a key: its password can only be read with the cluster's key.
    ///
    /// Who may run it or keep its relay log, and whether anybody is to, is not in it: placement reads
    /// that from the record that the text is a part of, and knows nothing of settings.
    public func stored(_ secrets: SecretCipher, key: String) throws(SettingsError) -> String {
        var settings = self
        settings.allowedWorkers = nil
        settings.relayReplicas = 1
        settings.relayWorkers = []
        settings.isEnabled = true
        return try settings.value(.encrypted(secrets, record: key)).document
    }

    /// For answers: without the password.
    public var shown: JSONValue { whole?.value(.changes) ?? value(server.settings) }

    /// For people: everything that has an effect, defaults filled in, without the password.
    public var effective: JSONValue { whole?.value(.effective) ?? value(server.settings) }

    /// For requests: with the password.
    public func sent() throws(SettingsError) -> JSONValue { try value(.plain) }

    private func value(_ form: PasswordForm) throws(SettingsError) -> JSONValue {
        guard let whole else { return value(try server.settings(form)) }
        guard case .object(var out) = whole.value(.changes) else { return .null }
        out["from"] = try whole.server.value(form, server.password)
        return .object(out)
    }

    /// DM's form with everything in it, where the source was written in it.
    private var whole: SourceFile? {
        guard var whole = file else { return nil }
        whole.keepsRelay = keepsRelay
        whole.relayFolder = relayFolder
        whole.relayLimitBytes = relayLimitBytes
        whole.serverID = serverID
        whole.relayReplicas = relayReplicas
        whole.relayWorkers = relayWorkers.sorted()
        whole.allowedWorkers = allowedWorkers?.sorted() ?? []
        whole.isEnabled = isEnabled
        return whole
    }

    private func value(_ server: [String: JSONValue]) -> JSONValue {
        var out: [String: JSONValue] = [
            "source-id": .text(name), "source": .object(server), "relay": .flag(keepsRelay),
        ]
        if !isEnabled { out["enable"] = .flag(false) }
        if let relayFolder { out["relay-dir"] = .text(relayFolder) }
        if let relayLimitBytes {
            out["relay-limit"] = .text(ByteSize(bytes: relayLimitBytes).description)
        }
        if relayReplicas != 1 { out["relay-replicas"] = .integer(Int64(relayReplicas)) }
        if !relayWorkers.isEmpty {
            out["relay-workers"] = .list(relayWorkers.sorted().map { .text($0) })
        }
        if serverID != 0 { out["server-id"] = .integer(Int64(serverID)) }
        if let allowedWorkers {
            out["workers"] = .list(allowedWorkers.sorted().map { .text($0) })
        }
        return .object(out)
    }
}
