internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Settings

extension Prechecks {
    /// Which tables were chosen, and what they are like.
    static let tableChecks: [Check] = [
        Check("selection") { context in selection(context) },
        Check("meta-schema") { context in
            let meta = context.settings.metaSchema
            let inside = context.sourceTables.tables.map(\.name).filter { $0.schema == meta }
            return inside.isEmpty
                ? .ok("checkpoints go to \(meta), which is not migrated")
                : .error(
                    "the selection takes tables of the meta schema \(meta)",
                    remedy: "--exclude '\(meta).*', or choose another --meta-schema")
        },
        Check("table-keys") { context in
            let keyless = context.keylessTables
            return keyless.isEmpty
                ? .ok("every table has a key that names its rows")
                : .warning(
                    "\(counted(keyless.count, "table")) without a primary key or a unique key of "
                        + "NOT NULL columns; changes of their rows are slow to apply, and an "
                        + "interrupted copy of them starts over: \(someNames(keyless))",
                    remedy: "add a primary key where you can")
        },
        Check("engines") { context in
            let loose = context.sourceTables.tables
                .filter { !isTransactional($0.engine) }
            return loose.isEmpty
                ? .ok("all tables have transactional engines")
                : .error(
                    "tables without transactions have no consistent view to copy, and on the "
                        + "target a transaction that is tried again would leave its rows twice: "
                        + someNames(loose.map { "\($0.name) (\($0.engine ?? "?"))" }),
                    remedy: "ALTER TABLE .. ENGINE=InnoDB on the source, or --exclude them")
        },
        Check("column-types") { context in columnTypes(context) },
        Check("table-kinds") { context in
            let odd = context.sourceTables.entries.filter {
                $0.kind == "SEQUENCE" || $0.kind == "SYSTEM VERSIONED"
            }
            return odd.isEmpty
                ? .ok("only plain tables are selected")
                : .error(
                    "sequences and system-versioned tables can't be migrated: "
                        + someNames(odd.map { "\($0.name) (\($0.kind.lowercased()))" }),
                    remedy: "--exclude them, and create them on the target by hand")
        },
        Check("generated-columns") { context in
            let tables = context.sourceTables.shapes.values
                .filter { $0.columns.contains { $0.generation != nil } }.map(\.name).sorted()
            guard !tables.isEmpty else { return .ok("no column is generated") }
            return context.source.isMariaDB == context.target.isMariaDB
                ? .ok("the target computes generated columns itself: \(someNames(tables))")
                : .warning(
                    "the target computes generated columns itself, and the families differ in "
                        + "some functions: \(someNames(tables))",
                    remedy: "compare with skein verify after the copy")
        },
        Check("foreign-keys") { context in try foreignKeys(context) },
    ]

    /// Whether an engine rolls back; engines that are not known count as if they did not.
    static func isTransactional(_ engine: String?) -> Bool {
        let known: Set<String> = ["innodb", "rocksdb", "tokudb", "ndbcluster", "ndb", "xtradb"]
        return engine.map { known.contains($0.lowercased()) } ?? false
    }

    private static func selection(_ context: CheckContext) -> Check.Finding {
        let tables = context.sourceTables.tables
        let hasRules = context.settings.rules != nil
        let patterns = hasRules ? [] : context.settings.selection.tables
        guard !tables.isEmpty else {
            return .error(
                "no table of the source matches "
                    + (hasRules ? "the allow list" : someNames(patterns)),
                remedy: "check spelling and case, and that the source user may see the tables")
        }
        let idle = patterns.filter { pattern in
            !tables.contains { pattern.matches($0.name) }
        }
        guard idle.isEmpty else {
            return .warning(
                "no table matches \(someNames(idle))",
                remedy: "check spelling and case; tables created later are taken too")
        }
        let rows = tables.reduce(UInt64(0)) { $0 + $1.rows }
        return .ok("\(counted(tables.count, "table")), about \(rows) rows")
    }

    private static func columnTypes(_ context: CheckContext) -> Check.Finding {
        var strange = context.sourceTables.unknownColumns.map {
            "\($0.table) \($0.column) (\($0.type))"
        }
        for shape in context.sourceTables.shapes.values.sorted(by: { $0.name < $1.name }) {
            for column in shape.columns where !hasType(context.target, column.type.kind) {
                strange.append("\(shape.name) \(column.name) (\(column.type.kind.rawValue))")
            }
        }
        return strange.isEmpty
            ? .ok("the target has every column type")
            : .error(
                "column types that the target lacks: \(someNames(strange))",
                remedy: "--exclude the tables, or change the columns' types")
    }

    /// Whether a server has a type.
    private static func hasType(_ server: ServerFacts, _ kind: ColumnType.Kind) -> Bool {
        let v = server.version
        return switch kind {
        case .vector: server.isMariaDB ? v.isAtLeast(11, 7) : v.isAtLeast(9)
        case .uuid: server.isMariaDB && v.isAtLeast(10, 7)
        case .inet4: server.isMariaDB && v.isAtLeast(10, 10)
        case .inet6: server.isMariaDB && v.isAtLeast(10, 5)
        default: true
        }
    }

    private static func foreignKeys(_ context: CheckContext) throws -> Check.Finding {
        let shapes = context.sourceTables.shapes
        // From MySQL 9.6 on, SQL can run the cascades itself, and then logs them.
        let logsCascades = context.source.isOn("innodb_native_foreign_keys") == false
        var broken: [String] = []
        var absentParents: [(key: String, parent: TableName)] = []
        for shape in shapes.values.sorted(by: { $0.name < $1.name }) {
            for key in shape.foreignKeys where shapes[key.parent] == nil {
                let text = "\(shape.name) → \(key.parent)"
                let cascades = key.onDelete.changesChildren || key.onUpdate.changesChildren
                if cascades, !logsCascades {
                    broken.append("\(text) (cascades)")
                } else {
                    absentParents.append((text, key.parent))
                }
            }
        }
        if !broken.isEmpty {
            return .error(
                "parents that are not selected change selected tables by cascades, which the "
                    + "binlog does not carry: \(someNames(broken))",
                remedy: "select the parents too, or exclude the children")
        }
        let refused = try refusedBaseColumns(context)
        guard refused.isEmpty else {
            return .error(
                "MySQL takes no CASCADE or SET NULL on a column that a STORED generated column is "
                    + "computed from: \(someNames(refused))",
                remedy: "make the generated columns VIRTUAL or the actions RESTRICT on the source, "
                    + "or --exclude the tables")
        }
        guard !absentParents.isEmpty else { return .ok("no foreign key crosses the selection") }
        let condition = Set(absentParents.map(\.parent)).map {
            "(\(utf8Literal($0.schema)),\(utf8Literal($0.name)))"
        }.sorted().joined(separator: ",")
        let present = Set(
            try context.target.connection.rows(
                """
                SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
                WHERE (TABLE_SCHEMA, TABLE_NAME) IN (\(condition))
                """
            ).map { TableName(schema: $0[0] ?? "", name: $0[1] ?? "") })
        let missing = absentParents.filter { !present.contains($0.parent) }.map(\.key)
        guard missing.isEmpty else {
            return .error(
                "foreign keys point to tables that are neither selected nor on the target: "
                    + someNames(missing),
                remedy: "select the parents too, or exclude the children")
        }
        return .warning(
            "foreign keys point to tables that are not selected; the target's must keep up: "
                + someNames(absentParents.map(\.key)),
            remedy: "select the parents too")
    }

    /// Foreign keys that MariaDB has and MySQL refuses with "Cannot add foreign key constraint".
    private static func refusedBaseColumns(_ context: CheckContext) throws -> [String] {
        guard context.source.isMariaDB, !context.target.isMariaDB else { return [] }
        let candidates = context.sourceTables.shapes.values.filter { shape in
            shape.columns.contains { $0.generation == .stored }
                && shape.foreignKeys.contains {
                    $0.onDelete.changesChildren || $0.onUpdate.changesChildren
                }
        }
        guard !candidates.isEmpty else { return [] }
        let list = candidates.map {
            "(\(utf8Literal($0.name.schema)),\(utf8Literal($0.name.name)))"
        }
        let rows = try context.source.connection.rows(
            """
            SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, GENERATION_EXPRESSION \
            FROM information_schema.COLUMNS WHERE EXTRA LIKE '%STORED%' \
            AND (TABLE_SCHEMA, TABLE_NAME) IN (\(list.sorted().joined(separator: ",")))
            """)
        var out: [String] = []
        for row in rows {
            let name = TableName(schema: row[0] ?? "", name: row[1] ?? "")
            // MariaDB writes every column of the expression in backticks.
            let expression = row[3]?.lowercased() ?? ""
            for key in context.sourceTables.shapes[name]?.foreignKeys ?? []
            where key.onDelete.changesChildren || key.onUpdate.changesChildren {
                for column in key.columns
                where expression.contains(quoteIdentifier(column.lowercased())) {
                    out.append("\(name) \(column) → \(key.parent) (\(row[2] ?? ""))")
                }
            }
        }
        return out.sorted()
    }
}
