internal import MySQLCore
public import Rules

/// Which tables, views, routines, triggers and events a dump takes, and a load.
public struct ObjectSelection: Sendable {
    private enum Form: Sendable {
        case selection(TableSelection)
        case mapping(TableMapping)
    }
    private let form: Form
    /// The same rules where case does not count in names, if nobody says whether it does.
    private var folded: TableMapping?

    /// Chooses by patterns.
    public init(_ selection: TableSelection) { form = .selection(selection) }

    /// Chooses as a task's rules do; where its tables go is not asked.
    ///
    /// - Parameters:
    ///   - mapping: the rules.
    ///   - folded: the same ones where case does not count in names; given where only the source's
    ///     server could say whether it does, and is not asked.
    public init(_ mapping: TableMapping, folded: TableMapping? = nil) {
        form = .mapping(mapping)
        self.folded = folded
    }

    /// Whether it depends on case, of which nobody says whether it counts, if a table is taken, or
    /// something that has a name as a table has.
    func isOpen(_ name: TableName) -> Bool {
        guard let folded else { return false }
        return folded.selects(name) != selects(name)
    }

    /// The same for a schema, of which anything could be taken.
    func isOpen(schema: String) -> Bool {
        guard let folded else { return false }
        return folded.mayHold(schema: schema) != mayHold(schema: schema)
    }

    // MARK: Names on the target

    private var mapping: TableMapping? {
        if case .mapping(let mapping) = form { return mapping }
        return nil
    }

    /// Whether any table may get another name or more columns where it is loaded.
    var movesTables: Bool { mapping?.movesTables == true }

    /// Where a table goes when it is loaded.
    func route(of table: TableName) throws(RuleError) -> Route {
        try mapping?.route(of: table) ?? Route(target: table)
    }

    /// Where a schema goes.
    func route(schema: String) throws(RuleError) -> String {
        try mapping?.target(ofSchema: schema) ?? schema
    }

    /// Whether tables of the task's other sources may go to a table of the target.
    func mayBeShared(target: TableName) -> Bool { mapping?.mayBeShared(target: target) == true }

    /// Whether it depends on case, of which nobody says whether it counts, where a table goes.
    func isOpen(routeOf table: TableName) -> Bool {
        guard let folded else { return false }
        return (try? folded.route(of: table))?.target != (try? route(of: table))?.target
            || (try? folded.route(of: table))?.extracted != (try? route(of: table))?.extracted
    }

    /// Whether something that is no table, or a trigger's table, keeps its name, and its schema.
    func stays(_ name: TableName) -> Bool {
        (try? route(of: name))?.target == name && (try? route(schema: name.schema)) == name.schema
    }

    /// Whether a table, or something that has a name as a table has, is taken.
    func selects(_ name: TableName) -> Bool {
        switch form {
        case .selection(let selection): selection.selects(name)
        case .mapping(let mapping): mapping.selects(name)
        }
    }

    /// Under which condition a table's rows are taken, as SQL for the source; `nil` for all.
    ///
    /// - Throws: as `TableMapping.copyCondition(of:source:)`.
    func condition(of shape: TableShape, source: ServerVersion) throws(RuleError) -> String? {
        switch form {
        case .selection: nil
        case .mapping(let mapping): try mapping.copyCondition(of: shape, source: source)
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
