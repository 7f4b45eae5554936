internal import MySQLCore
public import Rules

/// Which tables, views, routines, triggers and events a dump takes, and a load.
public struct ObjectSelection: Sendable {
    private enum Form: Sendable {
        case selection(TableSelection)
        case mapping(TableMapping)
    }
    private let form: Form

    /// Chooses by patterns.
    public init(_ selection: TableSelection) { form = .selection(selection) }

    /// Chooses as a task's rules do; where its tables go is not asked.
    public init(_ mapping: TableMapping) { form = .mapping(mapping) }

    /// Whether a table, or something that has a name as a table has, is taken.
    func selects(_ name: TableName) -> Bool {
        switch form {
        case .selection(let selection): selection.selects(name)
        case .mapping(let mapping): mapping.selects(name)
        }
    }

    /// Whether something of a schema could be taken.
    func mayHold(schema: String) -> Bool {
        switch form {
        case .selection(let selection): selection.mayHold(schema: schema)
        case .mapping(let mapping): mapping.mayHold(schema: schema)
        }
    }

    /// Whether a trigger on a table is taken: that of an online schema change tool writes to a
    /// table that is not.
    func selects(trigger: TableName, on table: TableName) -> Bool {
        guard selects(table) else { return false }
        guard case .mapping(let mapping) = form else { return true }
        return !mapping.isToolTrigger(trigger)
    }
}
