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

/// How a target table's shape keeps a source table's rows from being written unchanged.
enum ShapeDifference {
    /// The same where routes fill columns of the target, which may be part of its keys.
    static func first(
        _ source: TableShape, _ target: TableShape, filled: [String]
    ) -> String? {
        let filled = Set(filled.map { $0.lowercased() })
        let more = target.columns.filter { filled.contains($0.name.lowercased()) }
        guard !more.isEmpty else { return first(source, target) }
        var source = source
        source.columns += more
        source.keys = target.keys
        return first(source, target)
    }

    /// The first difference in words, `nil` when there is none. Names compare without case; JSON
    /// and LONGTEXT count as the same, since families map one to the other.
    static func first(_ source: TableShape, _ target: TableShape) -> String? {
        for column in source.columns {
            guard let index = target.columnIndex(column.name) else {
                return "no column \(column.name)"
            }
            if let why = first(column, target.columns[index]) { return "\(column.name): \(why)" }
        }
        if let extra = target.columns.first(where: { source.columnIndex($0.name) == nil }) {
            return "further column \(extra.name)"
        }
        // Other keys can be built later; those that forbid rows must be the same from the start.
        let (ours, theirs) = (uniqueKeys(source), uniqueKeys(target))
        if ours != theirs { return "other unique keys" }
        return nil
    }

    private static func first(_ source: ColumnShape, _ target: ColumnShape) -> String? {
        let texts: Set<ColumnType.Kind> = [.json, .longtext]
        if texts.contains(source.type.kind), texts.contains(target.type.kind) {
            return otherCharset(source, target)
        }
        var (a, b) = (source.type, target.type)
        // Display widths of whole numbers say nothing about values.
        if a.isInteger { (a.length, b.length) = (nil, nil) }
        if a != b {
            // Of another M or D values are rounded otherwise, or don't fit.
            let digits = { (type: ColumnType) in
                type.kind == .float || type.kind == .double
                    ? type.length.map { "(\($0),\(type.decimals))" } ?? "" : ""
            }
            return "\(b.kind.rawValue)\(digits(b)) in place of \(a.kind.rawValue)\(digits(a))"
        }
        if source.isNullable != target.isNullable { return "NULL is allowed on one side only" }
        if source.generation != target.generation { return "generated on one side only" }
        return otherCharset(source, target)
    }

    /// Texts are copied as the bytes that they are.
    private static func otherCharset(_ source: ColumnShape, _ target: ColumnShape) -> String? {
        func charset(_ column: ColumnShape) -> String? {
            column.type.kind == .json ? "utf8mb4" : column.charset
        }
        guard let one = charset(source), let other = charset(target), plain(one) != plain(other)
        else { return nil }
        return "character set \(other) in place of \(one)"
    }

    private static func plain(_ charset: String) -> String {
        charset == "utf8" ? "utf8mb3" : charset
    }

    private static func uniqueKeys(_ shape: TableShape) -> Set<[String]> {
        Set(
            shape.keys.filter(\.isUnique).map { key in
                key.parts.map { "\($0.column?.lowercased() ?? "?")/\($0.prefixLength ?? 0)" }
            })
    }
}
