/// The two server families, which differ in GTIDs, events, SQL dialect and system tables.
public enum ServerFamily: String, Sendable, Hashable, Codable {
    /// MySQL and Percona Server.
    case mysql
    /// MariaDB.
    case mariadb
}

/// A server's version as it announces it in its handshake or `VERSION()`.
public struct ServerVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The family, recognised by the text "MariaDB".
    public let family: ServerFamily
    /// The first number.
    public let major: Int
    /// The second number.
    public let minor: Int
    /// The third number.
    public let patch: Int
    /// The text as the server sent it.
    public let description: String

    /// Parses `10.11.19-MariaDB-log`, `5.5.5-10.4.2-MariaDB` (an old handshake prefix) or `9.7.4`.
    /// Parts that are missing count as 0.
    public init(_ text: String) {
        description = text
        var rest = Substring(text)
        family = text.contains("MariaDB") ? .mariadb : .mysql
        if family == .mariadb, rest.hasPrefix("5.5.5-") { rest = rest.dropFirst(6) }
        let numbers = rest.prefix { $0.isNumber || $0 == "." }
            .split(separator: ".").map { Int($0) ?? 0 }
        major = numbers.count > 0 ? numbers[0] : 0
        minor = numbers.count > 1 ? numbers[1] : 0
        patch = numbers.count > 2 ? numbers[2] : 0
    }

    /// Orders versions by their three numbers; meaningful only inside one family.
    public static func < (a: ServerVersion, b: ServerVersion) -> Bool {
        (a.major, a.minor, a.patch) < (b.major, b.minor, b.patch)
    }

    /// Whether this is at least `major.minor.patch`.
    public func isAtLeast(_ major: Int, _ minor: Int = 0, _ patch: Int = 0) -> Bool {
        (self.major, self.minor, self.patch) >= (major, minor, patch)
    }
}
