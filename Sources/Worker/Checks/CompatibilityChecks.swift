internal import MySQLClient
internal import MySQLCore

extension Prechecks {
    /// What the target lacks, or does differently.
    static let compatibilityChecks: [Check] = [
        Check("target-engines") { context in
            let supported = Set(
                try context.target.connection.rows(
                    "SELECT ENGINE FROM information_schema.ENGINES "
                        + "WHERE SUPPORT IN ('YES','DEFAULT')"
                ).compactMap { $0[0]?.lowercased() })
            let lacking = context.sourceTables.tables.filter {
                guard let engine = $0.engine?.lowercased() else { return false }
                return !supported.contains(engine)
            }
            return lacking.isEmpty
                ? .ok("the target has every storage engine")
                : .error(
                    "storage engines that the target lacks: "
                        + someNames(lacking.map { "\($0.name) (\($0.engine ?? "?"))" }),
                    remedy: "ALTER TABLE .. ENGINE=InnoDB on the source, or exclude them")
        },
        Check("collations") { context in try collations(context) },
        Check("sql-mode") { context in
            func modes(_ server: ServerFacts) -> Set<String> {
                Set((server.variable("sql_mode") ?? "").split(separator: ",").map { String($0) })
            }
            let (source, target) = (modes(context.source), modes(context.target))
            // These mean the same on both sides, or exist on one family only.
            let harmless: Set<String> = [
                "NO_ENGINE_SUBSTITUTION", "NO_AUTO_CREATE_USER", "ERROR_FOR_DIVISION_BY_ZERO",
            ]
            let added = target.subtracting(source).subtracting(harmless).sorted()
            let lost = source.subtracting(target).subtracting(harmless).sorted()
            guard !added.isEmpty || !lost.isEmpty else { return .ok("sql_mode is the same") }
            var parts: [String] = []
            if !added.isEmpty { parts.append("the target adds \(added.joined(separator: ", "))") }
            if !lost.isEmpty { parts.append("the target lacks \(lost.joined(separator: ", "))") }
            return .warning(
                "sql_mode differs: \(parts.joined(separator: "; ")). Skein sets its own, "
                    + "applications will meet the target's",
                remedy: "SET GLOBAL sql_mode on the target as on the source before the switch")
        },
        Check("lower-case-table-names") { context in lowerCase(context) },
        Check("max-allowed-packet") { context in
            guard let from = context.source.number("max_allowed_packet"),
                let to = context.target.number("max_allowed_packet")
            else { return .skipped("max_allowed_packet is not shown") }
            guard to < from else { return .ok("the target takes packets of \(to >> 20) MiB") }
            return .warning(
                "max_allowed_packet is \(from >> 20) MiB on the source and \(to >> 20) MiB on the "
                    + "target: a larger row can't be written",
                remedy: "SET GLOBAL max_allowed_packet=\(from) on the target")
        },
        Check("event-scheduler") { context in try eventScheduler(context) },
        Check("time-zone") { context in
            let (a, b) = (context.source, context.target)
            func zone(_ server: ServerFacts) -> String {
                let zone = server.variable("time_zone") ?? "SYSTEM"
                return zone == "SYSTEM" ? server.variable("system_time_zone") ?? zone : zone
            }
            return zone(a) == zone(b)
                ? .ok("both servers have the time zone \(zone(a))")
                : .warning(
                    "the time zones are \(zone(a)) and \(zone(b)): values are migrated exactly, "
                        + "but sessions will show TIMESTAMP columns in another zone",
                    remedy: "SET GLOBAL time_zone on the target as on the source before the switch")
        },
    ]

    private static func collations(_ context: CheckContext) throws -> Check.Finding {
        var used: [String: TableName] = [:]
        for shape in context.sourceTables.shapes.values {
            for collation in [shape.collation] + shape.columns.map(\.collation) {
                if let collation { used[unaliased(collation)] = shape.name }
            }
        }
        if let list = CheckContext.list(context.sourceTables.schemas) {
            for row in try context.source.connection.rows(
                "SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA "
                    + "WHERE SCHEMA_NAME IN (\(list))")
            {
                guard let schema = row[0], let collation = row[1] else { continue }
                used[unaliased(collation.lowercased())] = TableName(schema: schema, name: "*")
            }
        }
        var known: Set<String> = []
        let target = context.target
        let hasFullNames = target.isMariaDB && target.version.isAtLeast(10, 10)
        for row in try target.connection.rows(
            hasFullNames
                ? "SELECT FULL_COLLATION_NAME "
                    + "FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
                : "SELECT COLLATION_NAME FROM information_schema.COLLATIONS")
        {
            if let name = row[0] { known.insert(unaliased(name.lowercased())) }
        }
        var mapped: [String] = []
        var lacking: [String] = []
        for (collation, table) in used.sorted(by: { $0.key < $1.key })
        where !known.contains(collation) {
            let isMapped =
                collation == "utf8mb4_0900_ai_ci" && known.contains("utf8mb4_uca1400_nopad_ai_ci")
            if isMapped {
                mapped.append("\(collation) to utf8mb4_uca1400_nopad_ai_ci")
            } else {
                lacking.append("\(collation) (\(table))")
            }
        }
        guard lacking.isEmpty else {
            return .error(
                "collations that the target lacks: \(someNames(lacking))",
                remedy: "convert the tables to a collation that both servers have")
        }
        return mapped.isEmpty
            ? .ok("the target has every collation")
            : .warning(
                "a collation is replaced by the target's nearest one: \(someNames(mapped)); "
                    + "its order and equality differ for rare characters",
                remedy: "compare with skein verify after the copy")
    }

    /// `utf8_..` is the old name of `utf8mb3_..`.
    private static func unaliased(_ collation: String) -> String {
        collation.hasPrefix("utf8_") ? "utf8mb3_" + collation.dropFirst(5) : collation
    }

    private static func lowerCase(_ context: CheckContext) -> Check.Finding {
        let name = "lower_case_table_names"
        guard let from = context.source.number(name), let to = context.target.number(name) else {
            return .skipped("\(name) is not shown")
        }
        guard from != to else { return .ok("both servers treat names alike (\(name)=\(from))") }
        let tables = context.sourceTables.tables.map(\.name)
        let byLowerCase = Dictionary(grouping: tables) { $0.description.lowercased() }
        let colliding = byLowerCase.values.filter { $0.count > 1 }.flatMap { $0 }.sorted()
        if to != 0, !colliding.isEmpty {
            return .error(
                "tables whose names differ only in case fall together on the target: "
                    + someNames(colliding), remedy: "rename or exclude one of each")
        }
        return .warning(
            "\(name) is \(from) on the source and \(to) on the target: names that are written in "
                + "another case mean other tables",
            remedy: "check that applications spell names as they were created")
    }

    private static func eventScheduler(_ context: CheckContext) throws -> Check.Finding {
        guard let list = CheckContext.list(context.sourceTables.schemas) else {
            return .skipped("no schema is selected")
        }
        func events(_ server: ServerFacts, _ list: String) throws -> [String] {
            try server.connection.rows(
                "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS "
                    + "WHERE STATUS='ENABLED' AND EVENT_SCHEMA IN (\(list))"
            ).map { "\($0[0] ?? "").\($0[1] ?? "")" }.sorted()
        }
        let scheduler = context.target.isOn("event_scheduler") == true
        let schemas = Set(try context.targetNames().map(\.schema))
        let already = try CheckContext.list(schemas).map { try events(context.target, $0) } ?? []
        if scheduler, !already.isEmpty, context.resumedPhase != "finished" {
            return .error(
                "events run on the target and would change migrated tables: \(someNames(already))",
                remedy: "ALTER EVENT .. DISABLE on the target")
        }
        let waiting = try events(context.source, list)
        if !scheduler, !waiting.isEmpty {
            return .warning(
                "the source has events, and event_scheduler is off on the target: "
                    + someNames(waiting),
                remedy: "SET GLOBAL event_scheduler=ON on the target at the switch")
        }
        return .ok(
            waiting.isEmpty
                ? "no events"
                : "events are enabled on the target by --finish: \(someNames(waiting))")
    }
}
