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
        try self.init(bytes, format, file: file, name: name, .plain)
    }

    /// Reads a person's file; the password may come from another file, the environment or a prompt.
    public init(
        _ bytes: [UInt8], _ format: SettingsFormat, file: String, name: String? = nil,
        passwords: PasswordSource
    ) throws(SettingsError) {
        try self.init(bytes, format, file: file, name: name, .local(passwords, .source))
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
        let named = try map.recordName("source-id")
        if let given, let named, given != named {
            throw map.error("source-id", "is \"\(named)\", and the request is for \"\(given)\"")
        }
        guard let name = named ?? given else {
            throw SettingsError("\"source-id\" is missing: the source's name", file: file)
        }
        guard let node = map.node("source") else {
            throw SettingsError(
                "\"source\" is missing: mysql://user@host:port, or host, port, user and password",
                file: file)
        }
        self.init(
            name: name,
            server: try EndpointDraft.record(node, file: file, name: "source", form))
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
        return try settings.value(server.settings(.encrypted(secrets, record: key))).document
    }

    /// For answers: without the password.
    public var shown: JSONValue { value(server.settings) }

    /// For requests: with the password.
    public func sent() throws(SettingsError) -> JSONValue { try value(server.settings(.plain)) }

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
