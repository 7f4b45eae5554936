import MySQLCore

/// CREATE TABLE on shapes.
extension SchemaState {
    /// MySQL's limit (4,096 columns); MariaDB and InnoDB have lower ones.
    static let mostColumns = 4_096
    /// Twice what MariaDB can be built for (64 keys by default), foreign keys' own included.
    static let mostKeys = 256

    mutating func createTable(
        _ d: CreateTable, _ context: SyntaxContext
    ) throws(ShapeError) -> [TableName] {
        guard !d.isTemporary else { return [] }
        if tables[d.table] != nil {
            if d.ifNotExists { return [] }
            guard d.orReplace else { throw .tableExists(d.table) }
        }
        if let template = d.like {
            guard var shape = tables[template] else { throw .unknownTable(template) }
            shape.name = d.table
            shape.foreignKeys = []
            let isVersioned = implicitlyVersioned.contains(template)
            forget(d.table)
            tables[d.table] = shape
            if isVersioned { implicitlyVersioned.insert(d.table) }
            return [d.table]
        }
        guard !d.isFromSelect else {
            throw .notCarried(d.table, reason: "CREATE TABLE .. SELECT")
        }
        let (shape, generated) = try shape(of: d, context)
        forget(d.table)
        tables[d.table] = shape
        if !generated.isEmpty { generatedKeys[d.table] = generated }
        if d.options.hasSystemVersioning { addSystemVersioning(to: d.table, d.columns) }
        return [d.table]
    }

    /// The table that a statement declares, and its generated keys.
    private func shape(
        of d: CreateTable, _ context: SyntaxContext
    ) throws(ShapeError) -> (TableShape, Set<String>) {
        guard d.columns.count <= Self.mostColumns, d.keys.count <= Self.mostKeys else {
            throw .notCarried(d.table, reason: "more columns or keys than a server allows")
        }
        let inherited = schemas[d.table.schema] ?? serverDefaults(context)
        let defaults = settle(d.options, inheriting: inherited, inherited, context)
        let settler = ColumnSettler(table: d.table, defaults: defaults, context: context)
        var columns: [ColumnShape] = []
        for definition in d.columns {
            let column = try settler.shape(of: definition)
            guard !columns.contains(where: { $0.name.lowercased() == column.name.lowercased() })
            else { throw .columnExists(d.table, column.name) }
            columns.append(column)
        }
        makePrimaryNotNull(&columns, d.keys)
        makePeriodsNotNull(&columns, d.periods)
        var builder = KeyBuilder(table: d.table, columns: columns)
        builder.periods = d.periods
        if d.options.hasSystemVersioning {
            builder.rowEnd = d.periods.first { $0.name.uppercased() == "SYSTEM_TIME" }?.end
        }
        for key in d.keys { try builder.add(key) }
        var shape = TableShape(
            name: d.table, columns: columns, keys: builder.sorted(),
            engine: d.options.engine.map(spelled(engine:)) ?? context.defaultEngine,
            charset: defaults.charset, collation: defaults.collation)
        for foreignKey in d.foreignKeys {
            let parent = foreignKey.parent == d.table ? shape : tables[foreignKey.parent]
            shape.foreignKeys.append(
                foreignKey.shape(of: d.table, after: shape.foreignKeys, parent, context))
        }
        return (shape, Set(builder.keys.filter(\.isGenerated).map(\.key.name)))
    }

    /// PRIMARY KEY makes its columns NOT NULL.
    func makePrimaryNotNull(_ columns: inout [ColumnShape], _ keys: [KeyDefinition]) {
        for key in keys where key.kind == .primary {
            for part in key.parts {
                let name = part.column?.lowercased()
                for i in columns.indices where columns[i].name.lowercased() == name {
                    columns[i].isNullable = false
                }
            }
        }
    }

    /// A period makes its columns NOT NULL.
    func makePeriodsNotNull(_ columns: inout [ColumnShape], _ periods: [PeriodDefinition]) {
        for name in periods.flatMap({ [$0.start.lowercased(), $0.end.lowercased()] }) {
            for i in columns.indices where columns[i].name.lowercased() == name {
                columns[i].isNullable = false
            }
        }
    }

    /// An engine as the server spells it.
    func spelled(engine: String) -> String {
        let known = [
            "InnoDB", "MyISAM", "MEMORY", "ARCHIVE", "CSV", "BLACKHOLE", "FEDERATED", "Aria",
            "ROCKSDB", "Spider", "CONNECT", "SEQUENCE", "Mroonga", "OQGRAPH", "S3", "MRG_MyISAM",
            "ndbcluster", "Columnstore",
        ]
        switch engine.lowercased() {
        case "heap": return "MEMORY"
        case "merge": return "MRG_MyISAM"
        case "innobase": return "InnoDB"
        case "maria": return "Aria"
        case "ndb": return "ndbcluster"
        case let name: return known.first { $0.lowercased() == name } ?? engine
        }
    }

    /// Gives a table the two columns that MariaDB adds behind the others, unless it has its own.
    mutating func addSystemVersioning(to table: TableName, _ columns: [ColumnDefinition]) {
        guard var shape = tables[table], !columns.contains(where: \.isRowPeriod),
            !implicitlyVersioned.contains(table)
        else { return }
        for name in ["row_start", "row_end"] {
            shape.columns.append(
                ColumnShape(
                    name: name, type: ColumnType(.timestamp, decimals: 6), isNullable: false,
                    generation: .stored, isInvisible: true))
        }
        tables[table] = shape
        implicitlyVersioned.insert(table)
    }
}
