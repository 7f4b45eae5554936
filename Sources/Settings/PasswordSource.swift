public import MySQLClient

/// Where passwords come from: never from visible arguments.
///
/// In this order: the file named by a flag or in the settings file, the environment variable, a
/// prompt. A file comes first because somebody named it on purpose, while an environment may be
/// inherited.
public struct PasswordSource {
    /// Which server is asked for.
    public enum Role: String, Sendable {
        case source, target

        /// `SKEIN_SOURCE_PASSWORD` or `SKEIN_TARGET_PASSWORD`.
        public var variable: String { "SKEIN_\(rawValue.uppercased())_PASSWORD" }
    }

    /// The value of an environment variable.
    let environment: (String) -> String?
    /// Asks a person; `nil` where nobody can be asked. The text names the server.
    private let prompt: ((String) -> String?)?

    /// Makes a source.
    public init(environment: @escaping (String) -> String?, prompt: ((String) -> String?)?) {
        self.environment = environment
        self.prompt = prompt
    }

    /// Gives no password.
    static var nowhere: PasswordSource { PasswordSource(environment: { _ in nil }, prompt: nil) }

    /// The password for a server; empty where nothing gives one.
    public func password(
        _ role: Role, _ options: ConnectionOptions, _ file: String?
    ) throws(SettingsError) -> Password {
        if let file {
            let bytes = try readBounded(file, limit: 4096, what: "password file")
            guard var text = String(validating: bytes, as: UTF8.self) else {
                throw SettingsError("the password file is not UTF-8", file: file)
            }
            // The newline that editors add; a password with one at its end can't be given so.
            if text.hasSuffix("\r\n") || text.hasSuffix("\n") { text.removeLast() }
            return Password(text)
        }
        if let text = environment(role.variable) { return Password(text) }
        return Password(prompt?("Password of \(role.rawValue) \(options): ") ?? "")
    }
}
