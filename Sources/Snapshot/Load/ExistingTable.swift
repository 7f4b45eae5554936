internal import DumpFiles
internal import MySQLCore
internal import MySQLSyntax

/// A table that the target had before the load, beside the dump's definition of it.
enum ExistingTable {
    /// What keeps the table from holding the dump's rows as they are; `nil` when nothing does. A
    /// value that is rounded, or cut to fit, is no error of the server's, so columns must be the
    /// same, and in the same order.
    ///
    /// - Parameter defaults: what new tables get in the table's database.
    static func difference(
        _ there: TableShape, _ create: DumpStatement, defaults: SchemaDefaults?,
        _ context: SyntaxContext
    ) -> String? {
        var context = context
        context.sqlMode = create.settings.mode
        context.defaultSchema = there.name.schema
        // Dumps say of each TIMESTAMP column whether it takes NULL.
        context.explicitDefaultsForTimestamp = true
        var state = SchemaState()
        state.schemas[there.name.schema] = defaults
        guard let ddl = (try? parseStatement(create.text, context: context))?.ddl,
            case .createTable = ddl, (try? state.apply(ddl, context: context)) != nil,
            var wanted = state.tables[there.name]
        else { return "the dump's definition is not understood, so that they can't be compared" }
        // No server lists these.
        if state.implicitlyVersioned.contains(there.name) { wanted.columns.removeLast(2) }
        var found = there
        // MySQL gives one to tables without a primary key (sql_generate_invisible_primary_key);
        // rows that name no columns pass it over.
        if wanted.columnIndex("my_row_id") == nil {
            found.columns.removeAll {
                $0.isInvisible && $0.isAutoIncrement && $0.name.lowercased() == "my_row_id"
            }
        }
        if let why = ShapeDifference.ofColumns(wanted, found) { return why }
        // Rows are written without names of columns.
        for (i, column) in wanted.columns.enumerated() where found.columnIndex(column.name) != i {
            return "\(column.name) is in another place"
        }
        return nil
    }
}
