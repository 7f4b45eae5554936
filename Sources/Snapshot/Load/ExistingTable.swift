internal import DumpFiles
internal import MySQLCore
internal import MySQLSyntax

/// A table that the target had before the load, beside the dump's definition of it.
enum ExistingTable {
    /// What keeps the table from holding the dump's rows as they are; `nil` when nothing does. A
    /// value that is rounded, or cut to fit, is no error of the server's, so columns must be the
    /// same, and in the same order.
    ///
    /// - Parameters:
    ///   - defaults: what new tables get in the table's database.
    ///   - filled: columns that a route fills, which the dump's table has not.
    ///   - isMerged: whether rows of other tables come there too: its texts may be longer.
    static func difference(
        _ there: TableShape, _ create: DumpStatement, defaults: SchemaDefaults?,
        filled: [String] = [], isMerged: Bool = false, _ context: SyntaxContext
    ) -> String? {
        guard let wanted = shape(create, there.name, defaults: defaults, context)
        else { return "the dump's definition is not understood, so that they can't be compared" }
        var found = there
        for name in filled {
            guard let i = found.columnIndex(name) else {
                return "it has no column \(name), which a route fills"
            }
            guard wanted.columnIndex(name) == nil else {
                return "the dump's table has a column \(name) itself, which a route fills"
            }
            found.columns.remove(at: i)
        }
        // MySQL gives one to tables without a primary key (sql_generate_invisible_primary_key);
        // rows that name no columns pass it over.
        if wanted.columnIndex("my_row_id") == nil {
            found.columns.removeAll {
                $0.isInvisible && $0.isAutoIncrement && $0.name.lowercased() == "my_row_id"
            }
        }
        if let why = ShapeDifference.ofColumns(wanted, found, mayBeWider: isMerged) { return why }
        // Where a route fills a column or tables are merged, rows are written with names of all.
        guard filled.isEmpty, !isMerged else { return nil }
        // Rows are written without names of columns.
        for (i, column) in wanted.columns.enumerated() where found.columnIndex(column.name) != i {
            return "\(column.name) is in another place"
        }
        return nil
    }

    /// The table that a definition makes; `nil` where it is not understood.
    static func shape(
        _ create: DumpStatement, _ name: TableName, defaults: SchemaDefaults?,
        _ context: SyntaxContext
    ) -> TableShape? {
        var context = context
        context.sqlMode = create.settings.mode
        context.defaultSchema = name.schema
        // Dumps say of each TIMESTAMP column whether it takes NULL.
        context.explicitDefaultsForTimestamp = true
        var state = SchemaState()
        state.schemas[name.schema] = defaults
        guard let ddl = (try? parseStatement(create.text, context: context))?.ddl,
            case .createTable = ddl, (try? state.apply(ddl, context: context)) != nil,
            var wanted = state.tables[name]
        else { return nil }
        // No server lists these.
        if state.implicitlyVersioned.contains(name) { wanted.columns.removeLast(2) }
        return wanted
    }
}
