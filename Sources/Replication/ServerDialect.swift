internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax

/// What a server calls things, as far as the meaning of statements depends on it.
struct ServerDialect: Sendable {
    let version: ServerVersion
    /// Full names of collations by their numbers, lower case.
    var collations: [UInt16: String] = [:]
    /// `@@lower_case_table_names`.
    var lowerCaseTableNames = 0
    /// What the machine's time zone (`time_zone=SYSTEM`) adds to UTC, in seconds, in each winter and
    /// summer of the time that TIMESTAMP has: two zones with the same ones are one zone here.
    var systemOffsets: [Int] = []
    /// `@@explicit_defaults_for_timestamp`; `nil` where the server has no such variable.
    var explicitDefaultsForTimestamp: Bool?

    /// Whether rows that actions of foreign keys change are logged: from MySQL 9.6 on, when SQL runs
    /// the actions itself.
    var logsCascades = false

    /// A server of which nothing else is known.
    init(version: ServerVersion) { self.version = version }

    /// Asks the server. The connection must be in autocommit mode; its time zone changes.
    init(_ connection: Connection) throws(MySQLError) {
        version = connection.serverVersion
        // From 10.10 on MariaDB lists some collations once for all character sets.
        let isNamedByCharset = version.family == .mariadb && version.isAtLeast(10, 10)
        let rows = try connection.rows(
            isNamedByCharset
                ? "SELECT ID, FULL_COLLATION_NAME FROM "
                    + "information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
                : "SELECT ID, COLLATION_NAME FROM information_schema.COLLATIONS")
        for row in rows {
            guard let id = row[0].flatMap({ UInt16($0) }), let name = row[1] else { continue }
            collations[id] = name.lowercased()
        }
        let lower = try connection.value("SELECT @@lower_case_table_names") ?? ""
        lowerCaseTableNames = Int(lower) ?? 0
        try connection.execute("SET SESSION time_zone='SYSTEM'")
        let halfYears = (0..<134).map { "\(1_296_000 + Int64($0) * 15_778_800)" }
        let offsets = try connection.value(
            "SELECT CONCAT_WS(',',"
                + halfYears.map {
                    "TIMESTAMPDIFF(SECOND,'1970-01-01 00:00:00',FROM_UNIXTIME(\($0)))-\($0)"
                }.joined(separator: ",") + ")")
        systemOffsets = (offsets ?? "").split(separator: ",").compactMap { Int($0) }
        let explicit = try connection.rows(
            "SHOW VARIABLES LIKE 'explicit_defaults_for_timestamp'"
        ).first?[1]
        explicitDefaultsForTimestamp = explicit.map { $0.uppercased() == "ON" }
        let native = try connection.rows(
            "SHOW VARIABLES LIKE 'innodb_native_foreign_keys'"
        ).first?[1]
        logsCascades = native?.uppercased() == "OFF"
    }

    /// The server's own name of a collation, by any family's name of it.
    func collation(_ name: String) -> String? {
        let canonical = Charsets.canonical(collation: name)
        let twins = [canonical] + Self.twins.filter { $0.contains(canonical) }.flatMap { $0 }
        for twin in twins {
            if let found = collations.values.first(where: {
                Charsets.canonical(collation: $0) == twin
            }) {
                return found
            }
        }
        return nil
    }

    /// The server's own name of a character set; `nil` when it has none of it.
    func charset(_ name: String) -> String? {
        let canonical = Charsets.canonical(charset: name)
        let member = collations.values.first {
            Charsets.charset(ofCollation: Charsets.canonical(collation: $0)) == canonical
        }
        return member.map { String($0.prefix { $0 != "_" }) }
    }

    /// Collations that sort and compare alike under two names.
    private static let twins: [[String]] = [
        ["utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"],
        ["utf8mb4_0900_as_ci", "utf8mb4_uca1400_nopad_as_ci"],
        ["utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"],
        ["utf8mb4_0900_bin", "utf8mb4_nopad_bin"],
    ]
}
