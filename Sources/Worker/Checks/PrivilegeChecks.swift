internal import MySQLClient
internal import MySQLCore
internal import Settings

extension Prechecks {
    /// What the two accounts may do.
    static let privilegeChecks: [Check] = [
        Check("source-privileges") { context in
            guard let grants = context.source.grants else {
                return .skipped("SHOW GRANTS is refused")
            }
            var missing: [String] = []
            if !grants.holds("REPLICATION SLAVE") { missing.append("REPLICATION SLAVE ON *.*") }
            if !mayReadPositions(context.source, grants) {
                let name =
                    context.source.isMariaDB && context.source.version.isAtLeast(10, 5)
                    ? "BINLOG MONITOR" : "REPLICATION CLIENT"
                missing.append("\(name) ON *.*")
            }
            let unreadable = context.sourceTables.tables.map(\.name)
                .filter { !grants.holds("SELECT", table: $0) }
            if !unreadable.isEmpty {
                missing.append("SELECT ON \(someNames(unreadable.map(\.quoted)))")
            }
            guard missing.isEmpty else {
                return .error(
                    "the source user lacks \(missing.joined(separator: "; "))",
                    remedy: statements(missing, context.source.account))
            }
            return .ok("the source user may read tables and binlog")
        },
        Check("trigger-privileges") { context in
            guard let grants = context.source.grants else {
                return .skipped("SHOW GRANTS is refused")
            }
            var missing: [String] = []
            for right in ["TRIGGER", "EVENT"] {
                let lacking = context.sourceTables.schemas.filter {
                    !grants.holds(right, schema: $0)
                }
                if !lacking.isEmpty {
                    missing += lacking.map { "\(right) ON \(quoteIdentifier($0)).*" }
                }
            }
            guard !missing.isEmpty else {
                return .ok("the source user sees triggers and events")
            }
            let what =
                "servers hide triggers and events from who may not make them, so that --finish would "
                + "leave them out; the source user lacks \(someNames(missing, limit: 4))"
            let remedy =
                statements(Array(missing.prefix(4)), context.source.account)
                + ", or --ignore-check trigger-privileges"
            return context.settings.finish
                ? .error(what, remedy: remedy) : .warning(what, remedy: remedy)
        },
        Check("read-views") { context in
            switch ReadViewMethod(context) {
            case .binlogSnapshot:
                return .ok("read views have an exact position without any lock")
            case .globalLock:
                return .ok("read views are aligned under a global read lock of milliseconds")
            case .tableLocks:
                return .warning(
                    "without RELOAD, tables that need an exact view are locked for writing while "
                        + "their view opens",
                    remedy: "GRANT RELOAD ON *.* TO \(context.source.account)")
            case .between where context.exactTables.isEmpty:
                return .ok("read views lie between two positions; no lock is needed")
            case .between:
                return .error(
                    "tables without a key, and those that cascades change, need a view at an exact "
                        + "position, which takes RELOAD or LOCK TABLES: "
                        + someNames(context.exactTables),
                    remedy:
                        "GRANT RELOAD ON *.* TO \(context.source.account), add a key, or exclude them"
                )
            case .impossible:
                return .error(
                    "without GTIDs, RELOAD and LOCK TABLES no position of a view can be known",
                    remedy: "GRANT RELOAD ON *.* TO \(context.source.account), or set gtid_mode=ON")
            }
        },
        Check("target-privileges") { context in
            guard let grants = context.target.grants else {
                return .skipped("SHOW GRANTS is refused")
            }
            let basic = [
                "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX",
            ]
            var needed = basic
            if context.sourceTables.shapes.values.contains(where: { !$0.foreignKeys.isEmpty }) {
                needed.append("REFERENCES")
            }
            var missing: [String] = []
            for schema in context.sourceTables.schemas {
                let absent = needed.filter { !grants.holds($0, schema: schema) }
                if !absent.isEmpty {
                    missing.append(
                        "\(absent.joined(separator: ", ")) ON \(quoteIdentifier(schema)).*")
                }
            }
            let meta = context.settings.metaSchema
            let absent = basic.filter { !grants.holds($0, schema: meta) }
            if !absent.isEmpty {
                missing.append("\(absent.joined(separator: ", ")) ON \(quoteIdentifier(meta)).*")
            }
            guard missing.isEmpty else {
                return .error(
                    "the target user lacks \(someNames(missing, limit: 3))",
                    remedy: statements(missing, context.target.account))
            }
            return .ok("the target user may create and fill the tables")
        },
        Check("definers") { context in
            try definers(context)
        },
    ]

    /// The statements that grant what is missing.
    private static func statements(_ missing: [String], _ account: String) -> String {
        missing.map { "GRANT \($0) TO \(account)" }.joined(separator: "; ")
    }

    /// Whether `SHOW MASTER STATUS` and the like are allowed.
    private static func mayReadPositions(_ server: ServerFacts, _ grants: GrantSet) -> Bool {
        if grants.holds("REPLICATION CLIENT") || grants.holds("BINLOG MONITOR") { return true }
        // SUPER included it until MariaDB 10.5 split it up; in MySQL it still does.
        return grants.holds("SUPER") && !(server.isMariaDB && server.version.isAtLeast(10, 5))
    }

    private static func definers(_ context: CheckContext) throws -> Check.Finding {
        guard let list = CheckContext.list(context.sourceTables.schemas) else {
            return .skipped("no schema is selected")
        }
        let found = try context.source.connection.rows(
            """
            SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN (\(list)) \
            UNION SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN (\(list)) \
            UNION SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN (\(list)) \
            UNION SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN (\(list))
            """
        ).compactMap { $0[0] }
        let user = try context.target.connection.value("SELECT CURRENT_USER()") ?? ""
        let foreign = Set(found).subtracting([user, ""]).sorted()
        guard !foreign.isEmpty else { return .ok("no view, routine or trigger names another user") }
        guard let grants = context.target.grants else { return .skipped("SHOW GRANTS is refused") }
        let rights = ["SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"]
        if rights.contains(where: { grants.holds($0) }) {
            return .ok("views, routines and triggers keep their definers: \(someNames(foreign))")
        }
        let right =
            context.target.isMariaDB
            ? "SET USER"
            : context.target.version.isAtLeast(8, 2) ? "SET_ANY_DEFINER" : "SET_USER_ID"
        return .warning(
            "views, routines or triggers have definers that the target user may not set: "
                + someNames(foreign),
            remedy: "GRANT \(right) ON *.* TO \(context.target.account); "
                + "the definers must exist there")
    }
}

/// The gentlest way to open read views with known positions on a source.
enum ReadViewMethod: String, Sendable {
    /// MariaDB and Percona Server: a consistent snapshot carries its exact binlog position.
    case binlogSnapshot = "consistent snapshots with exact positions, no lock"
    /// Views are opened under `FLUSH TABLES WITH READ LOCK`, a few milliseconds.
    case globalLock = "views under a global read lock of milliseconds"
    /// Tables that need an exact position are locked while their view opens.
    case tableLocks = "views between two positions; table locks where they must be exact"
    /// Views lie between two observed positions.
    case between = "views between two positions, no lock"
    /// Nothing works.
    case impossible = "none"

    init(_ context: CheckContext) {
        let source = context.source
        if source.isMariaDB || source.variable("version_comment")?.contains("Percona") == true {
            self = .binlogSnapshot
            return
        }
        // Without knowledge the best is assumed: the copy will say so if it is wrong.
        guard let grants = source.grants else {
            self = .globalLock
            return
        }
        let hasGTIDs = source.variable("gtid_mode")?.uppercased() == "ON"
        let schemas = context.sourceTables.schemas
        if grants.holds("RELOAD") || grants.holds("FLUSH_TABLES") {
            self = .globalLock
        } else if schemas.allSatisfy({ grants.holds("LOCK TABLES", schema: $0) }) {
            self = .tableLocks
        } else {
            self = hasGTIDs ? .between : .impossible
        }
    }
}
