internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Settings

extension Prechecks {
    /// What the target holds under the selected names.
    static let targetTableChecks: [Check] = [
        Check("target-tables") { context in try targetTables(context) },
        Check("target-triggers") { context in
            guard context.resumedPhase != "finished", !context.settings.fresh,
                let list = CheckContext.list(Set(try context.targetNames().map(\.schema)).sorted())
            else { return .ok("no trigger stands in the way") }
            let names = try context.targetNames()
            let triggers = try context.target.connection.rows(
                "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, TRIGGER_NAME "
                    + "FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA IN (\(list))"
            ).filter { names.contains(TableName(schema: $0[0] ?? "", name: $0[1] ?? "")) }
                .map { "\($0[2] ?? "") on \($0[0] ?? "").\($0[1] ?? "")" }.sorted()
            return triggers.isEmpty
                ? .ok("no target table has a trigger")
                : .error(
                    "triggers of the target would repeat what the binlog already carries: "
                        + someNames(triggers),
                    remedy: "drop them; --finish creates the source's triggers")
        },
        Check("target-views") { context in
            // What the target has is named as the source has it.
            let tables = Set(context.sourceTables.tables.map(\.name))
            let views = context.targetTables.entries.filter {
                !$0.isTable && tables.contains($0.name)
            }.map(\.name)
            return views.isEmpty
                ? .ok("no view has a selected table's name")
                : .error(
                    "views or sequences of the target have the names of tables: "
                        + someNames(views),
                    remedy: "drop or rename them on the target")
        },
    ]

    private static func targetTables(_ context: CheckContext) throws -> Check.Finding {
        let tables = context.sourceTables.tables.map(\.name)
        let present = Set(context.targetTables.tables.map(\.name)).intersection(tables).sorted()
        let isIncremental = context.settings.mode == .incremental
        guard !present.isEmpty || isIncremental else {
            return .ok("no selected table exists on the target")
        }
        if context.isResuming { return .ok("an earlier run is continued") }
        if context.settings.fresh, !isIncremental {
            return .ok("\(counted(present.count, "table")) of the target will be dropped")
        }
        var different: [String] = []
        let mapping = context.settings.mapping
        for name in present {
            guard let ours = context.sourceTables.shapes[name],
                let theirs = context.targetTables.shapes[name]
            else { continue }
            let filled = try mapping.route(of: name).extracted.map(\.name)
            if let why = ShapeDifference.first(ours, theirs, filled: filled) {
                different.append("\(name) (\(why))")
            }
        }
        if context.settings.mode == .incremental {
            return existing(context, different, missing: Set(tables).subtracting(present))
        }
        if !different.isEmpty {
            return .error(
                "target tables have another shape: \(someNames(different))",
                remedy: "drop or rename them on the target, or exclude them")
        }
        let places = try present.map { try mapping.target(of: $0) }
        let filled = try nonEmpty(context.target.connection, places)
        if filled.isEmpty { return .ok("\(counted(present.count, "empty table")) will be used") }
        if context.settings.sharesTargets {
            return .warning(
                "rows are already in \(someNames(filled)), of other sources or from before",
                remedy: "none, where the rows of all sources have different keys")
        }
        return context.settings.intoExisting
            ? .warning(
                "rows are already in \(someNames(filled)); rows of the source replace those with "
                    + "the same keys", remedy: "none, as you asked for it by --into-existing")
            : .error(
                "target tables are not empty: \(someNames(filled))",
                remedy: "empty them, or --into-existing, or --fresh")
    }

    /// For changes alone the tables must be there. What statements since the place to begin at have
    /// made of them is known only when they are read.
    private static func existing(
        _ context: CheckContext, _ different: [String], missing: Set<TableName>
    ) -> Check.Finding {
        let all = different + missing.sorted().map { "\($0) (missing)" }
        guard !all.isEmpty else {
            return .ok("the target has all tables, as the source has them")
        }
        // The place is that of the first start, statements behind it have been written since.
        guard context.settings.start == .now, context.settings.adoption == nil,
            context.resumedPhase != "start"
        else {
            return .warning(
                "tables of the target are not what they are on the source now: \(someNames(all))",
                remedy:
                    "none, where statements behind the place to begin at make them so; else it is "
                    + "refused when it begins")
        }
        return .error(
            "changes alone are to be followed, and tables of the target are not what they are on "
                + "the source: \(someNames(all))",
            remedy: "create them with their rows, or exclude them")
    }

    /// Which tables have a row; many are asked in one statement.
    static func nonEmpty(
        _ connection: Connection, _ tables: [TableName]
    ) throws(MySQLError) -> [TableName] {
        var out: [TableName] = []
        for start in stride(from: 0, to: tables.count, by: 100) {
            let part = tables[start..<min(start + 100, tables.count)]
            let sql = zip(start..., part).map { index, table in
                "SELECT \(index) FROM DUAL WHERE EXISTS (SELECT 1 FROM \(table.quoted))"
            }.joined(separator: " UNION ALL ")
            out += try connection.rows(sql).compactMap { $0[0].flatMap { Int($0) } }
                .map { tables[$0] }
        }
        return out.sorted()
    }
}
