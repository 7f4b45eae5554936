public import MySQLBinlog
public import MySQLCore
public import MySQLSyntax

/// A statement that changed a shadow table, to be run on the real one at the swap.
public struct ShadowStatement: Sendable, Hashable, Codable {
    /// The event that it came in.
    public var event: QueryEvent
    /// When it ran, in seconds since 1970.
    public var timestamp: Int64

    /// Makes one.
    public init(event: QueryEvent, timestamp: Int64) {
        self.event = event
        self.timestamp = timestamp
    }
}

/// Collects what online schema change tools do to shadow tables, and gives it out when a shadow
/// table takes the real one's place.
///
///     CREATE shadow           an empty list begins
///     ALTER, CREATE/DROP INDEX shadow    the statement is added, if the list was begun
///     DROP shadow             the list is forgotten
///     RENAME real TO trash    the real table is away; on the target it stays where it is
///     RENAME shadow TO real   the list is given out, to be run on the real table, and forgotten
///     RENAME trash TO real    the same table is back, if it was away under that name
///     RENAME shadow TO trash  the list is forgotten
///     anything else on trash  nothing
///
/// Rows of shadow and trash tables are never migrated. The state has to be made durable with the
/// place in the stream up to which statements were handled: without it, a stream that begins in
/// the middle of a change has no list for the swap.
public struct OnlineSchemaChangeStateMachine: Sendable {
    /// What is known of a shadow table.
    public struct Shadow: Sendable, Hashable, Codable {
        /// What was done to it since it was made, in order.
        public var statements: [ShadowStatement] = []
        /// What it looks like; `nil` when its statements do not tell.
        public var shape: TableShape?
    }

    /// What is known of a change that is under way.
    public enum Entry: Sendable, Hashable, Codable {
        /// A shadow table that was seen being made.
        case shadow(Shadow)
        /// A real table that was renamed to this name.
        case away(TableName)
    }

    /// What is to be done for a statement, or for one renaming of it.
    public enum Action: Sendable, Hashable {
        /// It has nothing to do with such a tool: it runs as any other.
        case run
        /// Nothing more.
        case ignore
        /// A shadow table takes the real one's place: what was done to it runs on the real one,
        /// under the rules of that table. `nil` for one that nobody saw being made.
        case swap(TableName, by: TableName, Shadow?)
    }

    /// Why a statement can't be handled.
    public enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// A real table becomes a shadow table.
        case realBecomesShadow(TableName)
        /// A shadow table becomes another shadow table.
        case shadowBecomesShadow(TableName)
        /// A table takes a place that is not its own.
        case otherTable(TableName, replacedBy: TableName)
        /// A table is made while the one of its name is only away.
        case madeWhileAway(TableName, as: TableName)
        /// One statement changes a shadow table and another one, or its name too.
        case changesMore(TableName)
        /// More statements for one shadow table than any tool makes: a wrong rule.
        case tooManyStatements(TableName)

        /// One sentence.
        public var description: String {
            switch self {
            case .realBecomesShadow(let table):
                "\(table) is renamed to a name of an online schema change's shadow table"
            case .shadowBecomesShadow(let table):
                "the shadow table \(table) is renamed to another shadow table's name"
            case .otherTable(let table, let other):
                "\(other), whose rows are not migrated, takes the place of \(table), which was "
                    + "not renamed to that name before"
            case .madeWhileAway(let table, let name):
                "\(table) is made anew after it was renamed to \(name)"
            case .changesMore(let table):
                "one statement changes the shadow table \(table) and another name"
            case .tooManyStatements(let table):
                "there are too many statements on the shadow table \(table)"
            }
        }
    }

    /// Statements that are kept for one table at most.
    static let statementLimit = 1000

    private let names: OnlineSchemaChangeNames
    private let isMigrated: @Sendable (TableName) -> Bool
    /// Changes that are under way, by the names of shadow tables and of real ones that are away.
    public private(set) var entries: [TableName: Entry]

    /// Goes on from a state, as far as it is of these rules.
    ///
    /// - Parameter isMigrated: whether a real table is; the tools' tables of others are nobody's
    ///   business.
    public init(
        _ names: OnlineSchemaChangeNames, entries: [TableName: Entry] = [:],
        isMigrated: @escaping @Sendable (TableName) -> Bool = { _ in true }
    ) {
        self.names = names
        self.isMigrated = isMigrated
        self.entries = entries.filter { name, entry in
            switch (entry, names.kind(of: name)) {
            case (.shadow, .shadow): names.realNames(of: name).contains { isMigrated($0) }
            case (.away, .real): isMigrated(name)
            default: false
            }
        }
    }

    /// What has changed since `earlier`, sorted by name; `nil` for what is over.
    public func changes(since earlier: [TableName: Entry]) -> [(TableName, Entry?)] {
        Set(entries.keys).union(earlier.keys).sorted()
            .filter { entries[$0] != earlier[$0] }.map { ($0, entries[$0]) }
    }

    /// A table was changed in a way that its shapes here do not tell, or tell already: what a copy
    /// of it is to become is not certain any more.
    public mutating func forgetShadows(of table: TableName) {
        for (name, entry) in entries {
            guard case .shadow = entry, names.realNames(of: name).contains(table) else { continue }
            entries[name] = nil
        }
    }

    /// Handles a DDL statement: one action, or one for each renaming of a RENAME TABLE. The state
    /// is unchanged when it throws.
    ///
    /// - Parameters:
    ///   - event: the event that the statement came in.
    ///   - timestamp: when it ran, in seconds since 1970.
    ///   - tables: the migrated tables before it.
    public mutating func handle(
        _ statement: Statement, _ event: QueryEvent, timestamp: Int64, context: SyntaxContext,
        tables: SchemaState
    ) throws(Failure) -> [Action] {
        guard let ddl = statement.ddl else { return [.run] }
        switch ddl {
        case .renameTables(let d):
            let before = entries
            var actions: [Action] = []
            for renaming in d.renamings {
                do throws(Failure) {
                    actions.append(try rename(renaming.from, renaming.to))
                } catch {
                    entries = before
                    throw error
                }
            }
            return actions
        case .alterTable(let d):
            guard let to = d.renamedTo else {
                return [try record(d.table, statement, event, timestamp, context, tables)]
            }
            let kinds = [names.kind(of: d.table), names.kind(of: to)]
            if kinds.allSatisfy({ $0 == .real }) { return [.run] }
            guard d.actions.count == 1 else { throw .changesMore(d.table) }
            return [try rename(d.table, to)]
        case .createIndex(let d):
            return [try record(d.table, statement, event, timestamp, context, tables)]
        case .dropIndex(let d):
            return [try record(d.table, statement, event, timestamp, context, tables)]
        case .createTable(let d): return [try create(d.table, ddl, context, tables)]
        case .dropTables(let d):
            // A list of tables is the tools' own only when all of it is.
            let actions = d.tables.map { drop($0) }
            return [actions.contains(.run) ? .run : .ignore]
        case .dropSchema(let d):
            for name in entries.keys where name.schema == d.name { entries[name] = nil }
            return [.run]
        case .truncateTable(let d): return [names.kind(of: d.table) == .real ? .run : .ignore]
        default: return [.run]
        }
    }

    private func concerns(_ table: TableName) -> Bool {
        names.realNames(of: table).contains { isMigrated($0) }
    }

    private mutating func rename(_ from: TableName, _ to: TableName) throws(Failure) -> Action {
        let kinds = (names.kind(of: from), names.kind(of: to))
        if case (.real, .real) = kinds { return .run }
        guard concerns(from) || concerns(to) else { return .ignore }
        switch kinds {
        case (.real, .real): return .run
        case (.real, .trash):
            guard isMigrated(from) else { return .ignore }
            entries[from] = .away(to)
            return .ignore
        case (.trash, .real):
            guard isMigrated(to) else { return .ignore }
            guard entries[to] == .away(from) else {
                throw .otherTable(to, replacedBy: from)
            }
            entries[to] = nil
            return .ignore
        case (.trash, .trash), (.trash, .shadow): return .ignore
        case (.real, .shadow): throw .realBecomesShadow(from)
        case (.shadow, .shadow): throw .shadowBecomesShadow(from)
        case (.shadow, .trash):
            entries[from] = nil
            return .ignore
        case (.shadow, .real):
            guard isMigrated(to) else {
                entries[from] = nil
                return .ignore
            }
            var shadow: Shadow?
            // What was made for another table is this one's change no more than anybody's.
            if case .shadow(let known) = entries[from], names.realNames(of: from).contains(to) {
                shadow = known
            }
            entries[from] = nil
            entries[to] = nil
            return .swap(to, by: from, shadow)
        }
    }

    private mutating func create(
        _ table: TableName, _ ddl: DDL, _ context: SyntaxContext, _ tables: SchemaState
    ) throws(Failure) -> Action {
        switch names.kind(of: table) {
        case .real:
            if case .away(let name) = entries[table] { throw .madeWhileAway(table, as: name) }
            return .run
        case .trash: return .ignore
        case .shadow:
            guard concerns(table) else { return .ignore }
            if entries[table] != nil, case .createTable(let d) = ddl, d.ifNotExists {
                return .ignore
            }
            var state = SchemaState()
            state.schemas = tables.schemas
            if case .createTable(let d) = ddl, let like = d.like {
                state.tables[like] = tables.tables[like]
            }
            _ = try? state.apply(ddl, context: context)
            entries[table] = .shadow(Shadow(shape: state.tables[table]))
            return .ignore
        }
    }

    private mutating func drop(_ table: TableName) -> Action {
        switch names.kind(of: table) {
        case .real: return .run
        case .trash: return .ignore
        case .shadow:
            entries[table] = nil
            return .ignore
        }
    }

    private mutating func record(
        _ table: TableName, _ statement: Statement, _ event: QueryEvent, _ timestamp: Int64,
        _ context: SyntaxContext, _ tables: SchemaState
    ) throws(Failure) -> Action {
        let kind = names.kind(of: table)
        if case .real = kind { return .run }
        guard let ddl = statement.ddl, concerns(table) else { return .ignore }
        // Partitions can take rows from one table to another.
        guard Set(ddl.tablesBefore + ddl.tablesAfter) == [table] else {
            throw .changesMore(table)
        }
        // A list whose beginning nobody saw is not complete: none is begun here.
        guard case .shadow = kind, case .shadow(var shadow) = entries[table] else {
            return .ignore
        }
        guard shadow.statements.count < Self.statementLimit else {
            throw .tooManyStatements(table)
        }
        shadow.statements.append(ShadowStatement(event: event, timestamp: timestamp))
        if let shape = shadow.shape {
            var state = SchemaState()
            state.schemas = tables.schemas
            state.tables[table] = shape
            let isCarried = (try? state.apply(ddl, context: context)) != nil
            shadow.shape = isCarried ? state.tables[table] : nil
        }
        entries[table] = .shadow(shadow)
        return .ignore
    }
}
