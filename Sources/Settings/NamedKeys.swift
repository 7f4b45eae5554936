internal import Yams

// Which keys a text of settings has: what it leaves out can be meant to stay as it is.

extension SourceSettings {
    /// The keys that a source's text has at its top, whatever their values; those whose value is
    /// null count as left out.
    ///
    /// - Throws: for a text that can't be read.
    public static func keys(
        in bytes: [UInt8], _ format: SettingsFormat, file: String
    ) throws(SettingsError) -> Set<String> {
        guard let mapping = try settingsRoot(bytes, format, file).mapping else { return [] }
        let named = mapping.filter { _, value in
            guard let scalar = value.scalar, scalar.style == .plain else { return true }
            return !["", "~", "null"].contains(scalar.string.lowercased())
        }
        return Set(named.compactMap { $0.key.scalar?.string })
    }

    /// Takes from the settings that are there what other commands change than those that take a
    /// text (`enable`, `relay start`), where the text does not name it.
    ///
    /// - Parameter keys: those that the text has.
    public func keeping(_ old: SourceSettings, unless keys: Set<String>) -> SourceSettings {
        var out = self
        if !keys.contains("enable") { out.isEnabled = old.isEnabled }
        if !keys.contains("relay-workers") { out.relayWorkers = old.relayWorkers }
        if keys.isDisjoint(with: Self.relayKeys) { out.keepsRelay = old.keepsRelay }
        return out
    }

    /// For requests: with the password, and of what ``keeping(_:unless:)`` looks at exactly what a
    /// text names.
    public func sent(naming keys: Set<String>) throws(SettingsError) -> JSONValue {
        guard case .object(var out) = try sent() else { return .null }
        out["enable"] = keys.contains("enable") ? .flag(isEnabled) : nil
        out["relay-workers"] =
            keys.contains("relay-workers")
            ? .list(relayWorkers.sorted().map { .text($0) }) : nil
        let relay = file == nil ? "relay" : "enable-relay"
        out[relay] = keys.isDisjoint(with: Self.relayKeys) ? nil : .flag(keepsRelay)
        return .object(out)
    }

    /// Whether the relay log is kept, in the short form and in DM's.
    private static let relayKeys: Set = ["relay", "enable-relay"]
}
