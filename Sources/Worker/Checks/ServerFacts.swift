internal import MySQLClient
internal import MySQLCore

/// What pre-checks know about one server: its version, settings and the account's rights.
struct ServerFacts {
    /// The connection, for what only one check asks.
    let connection: Connection
    /// The version.
    let version: ServerVersion
    /// Global variables by lower-case name.
    let variables: [String: String]
    /// The account that the server took the login for, as SQL: `'skein'@'%'`.
    let account: String
    /// The account's rights, those of active roles included; `nil` when they can't be read.
    let grants: GrantSet?

    /// Reads the facts.
    init(_ connection: Connection) throws(MySQLError) {
        self.connection = connection
        // The handshake may carry a proxy's version; the server's own is asked for.
        version = ServerVersion(
            try connection.value("SELECT VERSION()") ?? connection.serverVersion.description)
        var variables: [String: String] = [:]
        for row in try connection.rows("SHOW GLOBAL VARIABLES") {
            if let name = row[0] { variables[name.lowercased()] = row[1] ?? "" }
        }
        self.variables = variables
        let user = try connection.value("SELECT CURRENT_USER()") ?? ""
        let at = user.lastIndex(of: "@") ?? user.endIndex
        account = "'\(user[..<at])'@'\(user[at...].dropFirst())'"
        grants = try Self.readGrants(connection)
    }

    /// Whether the server is MariaDB.
    var isMariaDB: Bool { version.family == .mariadb }

    /// Whether the server is TiDB.
    var isTiDB: Bool { version.description.contains("TiDB") }

    /// A variable under the first of its names that the server knows.
    func variable(_ names: String...) -> String? {
        for name in names { if let value = variables[name] { return value } }
        return nil
    }

    /// A variable that is a switch; `nil` when the server doesn't know it.
    func isOn(_ names: String...) -> Bool? {
        for name in names {
            guard let value = variables[name] else { continue }
            return ["on", "1", "yes"].contains(value.lowercased())
        }
        return nil
    }

    /// A variable that is a whole number.
    func number(_ names: String...) -> Int? {
        for name in names { if let value = variables[name] { return Int(value) } }
        return nil
    }

    /// `MySQL 9.7.4` or `MariaDB 10.11.6`.
    var title: String {
        let family = isTiDB ? "TiDB" : isMariaDB ? "MariaDB" : "MySQL"
        return "\(family) \(version.major).\(version.minor).\(version.patch)"
    }

    private static func readGrants(_ connection: Connection) throws(MySQLError) -> GrantSet? {
        do throws(MySQLError) {
            var lines = try connection.rows("SHOW GRANTS").compactMap { $0[0] }
            // MariaDB's answer holds the active role's rights; MySQL wants to be asked for them.
            if connection.family == .mysql, connection.serverVersion.isAtLeast(8),
                let roles = try connection.value("SELECT CURRENT_ROLE()"), roles != "NONE",
                !roles.isEmpty
            {
                lines += try connection.rows("SHOW GRANTS FOR CURRENT_USER() USING \(roles)")
                    .compactMap { $0[0] }
            }
            return GrantSet(lines: lines)
        } catch {
            if error.isConnectionLost { throw error }
            return nil
        }
    }
}
