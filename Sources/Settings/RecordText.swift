internal import MySQLClient
internal import Yams

/// How the text of a source's or a task's settings is written.
public enum SettingsFormat: Sendable, Hashable {
    /// What people write.
    case yaml
    /// What programs write; also how the store keeps them.
    case json
}

/// Whose passwords a text holds, and in which form.
enum PasswordForm {
    /// Themselves, in clear.
    case plain
    /// As a person's file gives them: itself, in a file of its own, or from elsewhere.
    case local(PasswordSource, PasswordSource.Role)
    /// As the store keeps them, for one record.
    case encrypted(SecretCipher, record: String)
}

/// Reads the text of a record as the keys of a mapping.
func settingsRoot(
    _ bytes: [UInt8], _ format: SettingsFormat, _ file: String
) throws(SettingsError) -> Node {
    let root: Node?
    switch format {
    case .yaml: root = try SettingsText(bytes: bytes, file: file).root()
    case .json:
        guard let value = JSONValue(bytes: bytes) else {
            throw SettingsError("not readable as JSON", file: file)
        }
        root = value.node
    }
    guard let root else { throw SettingsError("there are no settings in it", file: file) }
    return root
}

extension JSONValue {
    /// What a record's stored text says, without its passwords; nothing is decrypted for it.
    public static func shown(stored text: String) -> JSONValue? {
        JSONValue(bytes: Array(text.utf8))?.withoutPasswords
    }

    /// The places of servers in a source's and a task's text, in the short form and in DM's.
    private static let servers = ["source", "target", "from", "target-database"]

    /// Passwords stand in servers alone: other keys may be names that a person has chosen.
    private var withoutPasswords: JSONValue {
        guard case .object(var object) = self else { return self }
        for name in Self.servers {
            guard case .object(var server)? = object[name] else { continue }
            server["password"] = nil
            server["password-encrypted"] = nil
            object[name] = .object(server)
        }
        return .object(object)
    }
}

extension SettingsMapping {
    /// The name at a key, which must be one that the cluster's records can have.
    func recordName(_ key: String) throws(SettingsError) -> String? {
        try parsed(key, RecordName.rule) { RecordName.isValid($0) ? $0 : nil }
    }

    /// The names at a key, without repetitions.
    func recordNames(_ key: String) throws(SettingsError) -> [String]? {
        guard let names = try list(key, RecordName.rule, { RecordName.isValid($0) ? $0 : nil })
        else { return nil }
        if let name = names.firstRepeated { throw error(key, "names \"\(name)\" twice") }
        return names
    }
}

extension ConnectionOptions {
    /// The server as settings name it: what differs from the defaults, without the password.
    var settings: [String: JSONValue] {
        var out: [String: JSONValue] = ["user": .text(user)]
        if let socket {
            out["socket"] = .text(socket)
        } else {
            out["host"] = .text(host)
            out["port"] = .integer(Int64(port))
        }
        if tls.mode != TLSOptions().mode { out["tls"] = .text(tls.mode.rawValue) }
        if let file = tls.caFile { out["tls-ca"] = .text(file) }
        if let file = tls.certificateFile { out["tls-cert"] = .text(file) }
        if let file = tls.keyFile { out["tls-key"] = .text(file) }
        if compresses { out["compress"] = .flag(true) }
        if connectTimeoutSeconds != ConnectionOptions(host: host, user: user).connectTimeoutSeconds
        {
            out["connect-timeout"] = .text("\(connectTimeoutSeconds)s")
        }
        return out
    }

    /// The same with its password in the form that is asked for; an empty one is left out.
    func settings(_ form: PasswordForm) throws(SettingsError) -> [String: JSONValue] {
        var out = settings
        guard !password.isEmpty else { return out }
        switch form {
        case .plain, .local: out["password"] = .text(password.text)
        case .encrypted(let cipher, let record):
            out["password-encrypted"] = .text(try cipher.encrypt(password.text, for: record))
        }
        return out
    }
}

extension EndpointDraft {
    /// Reads a server's section in a record, where a password may stand.
    static func record(
        _ node: Node, _ reading: SettingsReading, name: String
    ) throws(SettingsError) -> ConnectionOptions {
        var draft = EndpointDraft()
        var password: Password?
        if case .mapping(var mapping) = node {
            let map = try SettingsMapping(
                node, reading, path: "\(name).",
                known: keys + ["password", "password-encrypted"])
            password = try map.password()
            mapping["password"] = nil
            mapping["password-encrypted"] = nil
            draft = try EndpointDraft(.mapping(mapping), reading, name: name)
        } else {
            draft = try EndpointDraft(node, reading, name: name)
        }
        var options = try draft.options(name)
        if let password {
            options.password = password
        } else if case .local(let passwords, let role) = reading.form {
            options.password = try passwords.password(role, options, draft.passwordFile)
        }
        return options
    }
}

extension SettingsMapping {
    /// The password that a server's section holds; `nil` when it has none.
    func password() throws(SettingsError) -> Password? {
        switch reading.form {
        case .encrypted(let cipher, let record):
            guard let text = try text("password-encrypted") else { return nil }
            return Password(try cipher.decrypt(text, for: record))
        case .plain, .local:
            if has("password-encrypted") {
                throw error("password-encrypted", "is how the store keeps it: use \"password\"")
            }
            if case .plain = reading.form, has("password-file") {
                throw error(
                    "password-file",
                    "names a file that the worker does not read: give \"password\" itself")
            }
            guard let node = node("password") else { return nil }
            guard let scalar = node.scalar else { throw error("password", "must be one text") }
            return Password(try reading.expanded(scalar.string, node))
        }
    }
}
