public import MySQLCore

/// A column of a target table that has one value for all rows of a source table.
public struct ConstantColumn: Sendable, Hashable {
    /// The column's name.
    public var name: String
    /// Its value, a text.
    public var value: String

    /// Makes a column.
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// Where the rows of one source table go.
public struct TableRoute: Sendable, Hashable {
    /// The table on the target.
    public var target: TableName
    /// Columns that the target has more, and what they hold for this table's rows.
    public var constants: [ConstantColumn]

    /// Makes a route.
    public init(target: TableName, constants: [ConstantColumn] = []) {
        self.target = target
        self.constants = constants
    }
}

/// Which tables of one source are migrated, and where to: what the engines ask of rules.
///
/// The same for the copy, for rows of the binlog and for statements. Names are the source's, unless
/// said otherwise.
public struct TableMapping: Sendable {
    private let selection: TableSelection
    private let move: (@Sendable (TableName) throws(RuleError) -> TableRoute)?
    private let moveSchema: (@Sendable (String) throws(RuleError) -> String)?

    /// Every selected table keeps its name.
    public init(_ selection: TableSelection) {
        self.selection = selection
        move = nil
        moveSchema = nil
    }

    /// Tables and schemas go where functions say, which always say the same of one name.
    public init(
        _ selection: TableSelection,
        route: @escaping @Sendable (TableName) throws(RuleError) -> TableRoute,
        schema: @escaping @Sendable (String) throws(RuleError) -> String
    ) {
        self.selection = selection
        move = route
        moveSchema = schema
    }

    /// Whether any table may get another name or more columns.
    public var movesTables: Bool { move != nil }

    /// Whether the table is migrated.
    public func selects(_ table: TableName) -> Bool { selection.selects(table) }

    /// Whether a schema can hold tables that are migrated.
    public func mayHold(schema: String) -> Bool { selection.mayHold(schema: schema) }

    /// Where a table goes.
    public func route(of table: TableName) throws(RuleError) -> TableRoute {
        guard let move else { return TableRoute(target: table) }
        return try move(table)
    }

    /// The table on the target.
    public func target(of table: TableName) throws(RuleError) -> TableName {
        try route(of: table).target
    }

    /// Whether a view, routine, trigger or event is migrated: its text names tables, so those of
    /// schemas that get another name are left to a person.
    public func keeps(object: TableName) -> Bool {
        guard selects(object) else { return false }
        guard movesTables else { return true }
        return (try? target(of: object)) == object
            && (try? target(ofSchema: object.schema)) == object.schema
    }

    /// Where a schema goes: its definition, and tables that no rule of tables moves.
    public func target(ofSchema schema: String) throws(RuleError) -> String {
        guard let moveSchema else { return schema }
        return try moveSchema(schema)
    }
}
