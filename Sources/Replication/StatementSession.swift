internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax

/// Why a statement can't mean on the target what it meant on the source.
struct UntranslatableSession: Error {
    var detail: String
}

/// The session that a statement ran in: how its text is read, and how the target's session is made
/// the same.
struct StatementSession: Sendable {
    let source: ServerDialect
    let target: ServerDialect

    // MARK: reading

    /// What the meaning of the statement's text depends on.
    func context(of query: QueryEvent) -> SyntaxContext {
        let status = query.status
        let schema = String(decoding: query.schema, as: UTF8.self)
        var context = SyntaxContext(
            version: source.version,
            sqlMode: SQLMode(binlog: status.sqlMode ?? 0, family: source.version.family),
            defaultSchema: schema.isEmpty ? nil : schema)
        context.lowerCaseTableNames = source.lowerCaseTableNames
        if let charsets = status.charsets {
            context.serverCollation = source.collations[charsets.server]
            if let charset = charset(charsets.client) {
                context.encoding = ClientEncoding(charset: charset)
            }
        }
        if let id = status.defaultCollationForUTF8MB4, let name = source.collations[id] {
            context.defaultCollations["utf8mb4"] = name
        }
        for pair in status.charsetCollations {
            // The character set's compiled default, then what replaces it.
            guard let charset = charset(UInt16(truncatingIfNeeded: pair)),
                let name = source.collations[UInt16(truncatingIfNeeded: pair >> 16)]
            else { continue }
            context.defaultCollations[charset] = name
        }
        if let explicit = explicitDefaults(status) {
            context.explicitDefaultsForTimestamp = explicit
        }
        return context
    }

    private func charset(_ id: UInt16) -> String? {
        source.collations[id].flatMap {
            Charsets.charset(ofCollation: Charsets.canonical(collation: $0))
        }
    }

    private func explicitDefaults(_ status: StatusVariables) -> Bool? {
        if source.version.family == .mysql { return status.explicitDefaultsForTimestamp }
        guard source.version.isAtLeast(10, 11) else { return source.explicitDefaultsForTimestamp }
        return status.options?.contains(.explicitDefaultsForTimestamp)
    }

    // MARK: repeating

    /// The target's name of the collation that text in utf8mb4 has where a statement names none;
    /// `nil` where the target's own default is the same.
    func spelledCollation(_ context: SyntaxContext) -> String? {
        let meant = Charsets.defaultCollation(of: "utf8mb4", context)
        let there = Charsets.defaultCollation(
            of: "utf8mb4", SyntaxContext(version: target.version))
        guard let name = target.collation(meant) else { return nil }
        return Charsets.canonical(collation: name) == there ? nil : name
    }

    /// The session as assignments, of numbers, hexadecimal literals and names that the target
    /// gave. All must succeed.
    ///
    /// - Parameter isOwnText: the statement sent is ours, in UTF-8, not the event's.
    func assignments(
        for query: QueryEvent, timestamp: Int64, isOwnText: Bool = false
    ) throws(UntranslatableSession) -> [String] {
        let status = query.status
        var time = "\(timestamp)"
        if let microseconds = status.microseconds {
            let digits = String(microseconds)
            time += "." + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
        }
        var out = ["timestamp=\(time)"]
        if let bits = status.sqlMode {
            out.append("sql_mode='\(try modes(bits).joined(separator: ","))'")
        }
        if let charsets = status.charsets, !source.collations.isEmpty {
            if !isOwnText {
                out.append("character_set_client=\(try clientCharset(charsets.client))")
            }
            out.append(try setting("connection", charsets.connection))
            out.append(try setting("server", charsets.server))
        }
        if let zone = status.timeZone, !zone.isEmpty {
            out.append("time_zone=\(try timeZone(zone))")
        }
        if let options = status.options {
            out.append("foreign_key_checks=\(options.contains(.noForeignKeyChecks) ? 0 : 1)")
            out.append("unique_checks=\(options.contains(.relaxedUniqueChecks) ? 0 : 1)")
        }
        if let explicit = explicitDefaults(status), target.explicitDefaultsForTimestamp != nil {
            out.append("explicit_defaults_for_timestamp=\(explicit ? 1 : 0)")
        }
        return out
    }

    /// A zone's name, or an offset: each server has its own `SYSTEM`.
    private func timeZone(_ name: String) throws(UntranslatableSession) -> String {
        let offsets = source.systemOffsets
        guard name.uppercased() == "SYSTEM", offsets != target.systemOffsets else {
            return utf8Literal(name)
        }
        guard let seconds = offsets.first, offsets.allSatisfy({ $0 == seconds }) else {
            throw UntranslatableSession(
                detail: "its values depend on the time zone of the source's machine "
                    + "(time_zone=SYSTEM), and the target's machine has another one: start the "
                    + "target in the same zone")
        }
        let minutes = abs(seconds) / 60
        let digits = [minutes / 60, minutes % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return utf8Literal((seconds < 0 ? "-" : "+") + digits.joined(separator: ":"))
    }

    private func clientCharset(_ id: UInt16) throws(UntranslatableSession) -> String {
        guard let charset = charset(id), let name = target.charset(charset) else {
            throw UntranslatableSession(
                detail: "its text is in a character set (collation \(id)) that the target lacks")
        }
        return name
    }

    /// `collation_..`, or where the target has no such collation the character set with its
    /// default: the one that a column gets which names none must be told by the statement then,
    /// or its shape shows the difference.
    private func setting(
        _ variable: String, _ id: UInt16
    ) throws(UntranslatableSession) -> String {
        guard let name = source.collations[id] else {
            throw UntranslatableSession(detail: "the source does not name its collation \(id)")
        }
        if let known = target.collation(name) { return "collation_\(variable)=\(known)" }
        guard let charset = charset(id), let known = target.charset(charset) else {
            throw UntranslatableSession(detail: "the target has nothing like collation \(name)")
        }
        return "character_set_\(variable)=\(known)"
    }

    // MARK: sql_mode

    /// Names of the bits in order; both families number the first 32 alike.
    private static let names = [
        "REAL_AS_FLOAT", "PIPES_AS_CONCAT", "ANSI_QUOTES", "IGNORE_SPACE",
        "IGNORE_BAD_TABLE_OPTIONS", "ONLY_FULL_GROUP_BY", "NO_UNSIGNED_SUBTRACTION",
        "NO_DIR_IN_CREATE", "POSTGRESQL", "ORACLE", "MSSQL", "DB2", "MAXDB", "NO_KEY_OPTIONS",
        "NO_TABLE_OPTIONS", "NO_FIELD_OPTIONS", "MYSQL323", "MYSQL40", "ANSI",
        "NO_AUTO_VALUE_ON_ZERO", "NO_BACKSLASH_ESCAPES", "STRICT_TRANS_TABLES",
        "STRICT_ALL_TABLES", "NO_ZERO_IN_DATE", "NO_ZERO_DATE", "ALLOW_INVALID_DATES",
        "ERROR_FOR_DIVISION_BY_ZERO", "TRADITIONAL", "NO_AUTO_CREATE_USER", "HIGH_NOT_PRECEDENCE",
        "NO_ENGINE_SUBSTITUTION", "PAD_CHAR_TO_FULL_LENGTH",
    ]

    /// Modes that MySQL 8 does not know: names for sets of others, which are set too, and what
    /// says nothing about the meaning of DDL.
    private static let unknownToMySQL: Set<String> = [
        "IGNORE_BAD_TABLE_OPTIONS", "POSTGRESQL", "MSSQL", "DB2", "MAXDB", "NO_KEY_OPTIONS",
        "NO_TABLE_OPTIONS", "NO_FIELD_OPTIONS", "MYSQL323", "MYSQL40", "NO_AUTO_CREATE_USER",
    ]

    /// The target's names of the modes.
    private func modes(_ bits: UInt64) throws(UntranslatableSession) -> [String] {
        let isFromMariaDB = source.version.family == .mariadb
        let isToMariaDB = target.version.family == .mariadb
        var out: [String] = []
        for (i, name) in Self.names.enumerated() where bits & (1 << UInt64(i)) != 0 {
            // MySQL has another mode, long unused, in the place of MariaDB's.
            if i == 4, !isFromMariaDB { continue }
            if !isToMariaDB {
                if name == "ORACLE", isFromMariaDB {
                    throw UntranslatableSession(
                        detail: "it was written with sql_mode=ORACLE, which the target lacks")
                }
                if name == "ORACLE" || Self.unknownToMySQL.contains(name) { continue }
            }
            out.append(name)
        }
        if isFromMariaDB, bits & (1 << 32) != 0 {
            guard isToMariaDB else {
                throw UntranslatableSession(
                    detail: "it was written with sql_mode=EMPTY_STRING_IS_NULL, "
                        + "which the target lacks")
            }
            out.append("EMPTY_STRING_IS_NULL")
        }
        // Fractions of seconds that a shorter column has no room for: one family rounds them
        // unless told otherwise, the other one cuts them off.
        let isRounded = isFromMariaDB ? bits & (1 << 34) != 0 : bits & (1 << 32) == 0
        if isToMariaDB, isRounded, target.version.isAtLeast(10, 4) {
            out.append("TIME_ROUND_FRACTIONAL")
        } else if !isToMariaDB, !isRounded, target.version.isAtLeast(8) {
            out.append("TIME_TRUNCATE_FRACTIONAL")
        }
        return out
    }
}
