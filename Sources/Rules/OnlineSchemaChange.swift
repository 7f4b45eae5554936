public import MySQLCore
public import MySQLSyntax

/// Tells the tables of gh-ost and pt-online-schema-change from real ones by their names.
public struct OnlineSchemaChangeNames: Sendable {
    /// What a table is.
    public enum Kind: Sendable, Hashable {
        /// A table of the application.
        case real
        /// A copy with the new definition, which will take the real table's place.
        case shadow(of: TableName)
        /// A table to be thrown away: the old one, or one that a tool keeps notes in.
        case trash
    }

    private let shadow: [RegularExpression]
    private let trash: [RegularExpression]

    /// Prepares rules; fails where one can't be read or has not exactly one group.
    public init(_ rules: OnlineSchemaChangeRules) throws(RuleError) {
        shadow = try Self.compile(rules.shadowPatterns, "shadow-table-rules")
        trash = try Self.compile(rules.trashPatterns, "trash-table-rules")
    }

    private static func compile(
        _ texts: [String], _ key: String
    ) throws(RuleError) -> [RegularExpression] {
        var out: [RegularExpression] = []
        for (i, text) in texts.enumerated() {
            var full = text
            if !full.hasPrefix("^") { full = "^" + full }
            if !full.hasSuffix("$") { full += "$" }
            let key = "\(key)[\(i)]"
            let expression = try RegularExpression(full, of: key)
            guard expression.groupCount == 1 else {
                throw RuleError(
                    key: key, text: text,
                    reason: "exactly one group is needed, for the real table's name")
            }
            out.append(expression)
        }
        return out
    }

    /// What a table is, by its name alone.
    public func kind(of table: TableName) -> Kind {
        for expression in shadow {
            if let name = expression.groups(in: table.name)?[1] {
                return .shadow(of: TableName(schema: table.schema, name: name))
            }
        }
        return trash.contains { $0.isFound(in: table.name) } ? .trash : .real
    }

    /// The real table that a name stands for, which block-allow lists and filters are asked about.
    public func realName(of table: TableName) -> TableName {
        if case .shadow(let real) = kind(of: table) { return real }
        for expression in trash {
            if let name = expression.groups(in: table.name)?[1] {
                return TableName(schema: table.schema, name: name)
            }
        }
        return table
    }
}

/// A statement that changed a shadow table, to be run on the real one at the swap.
public struct ShadowStatement: Sendable, Hashable, Codable {
    /// The text, with the real table's name in place of the shadow's, all names with a schema.
    public var sql: [UInt8]
    /// The statement's `sql_mode`, as bits of ``MySQLSyntax/SQLMode``.
    public var sqlMode: UInt16
    /// The default schema it ran under.
    public var defaultSchema: String?

    /// Makes one.
    public init(sql: [UInt8], sqlMode: UInt16, defaultSchema: String?) {
        self.sql = sql
        self.sqlMode = sqlMode
        self.defaultSchema = defaultSchema
    }
}

/// Collects what online schema change tools do to shadow tables, and gives it out when a shadow
/// table takes the real one's place.
///
///     CREATE shadow           an empty list begins
///     ALTER, CREATE/DROP INDEX shadow    the statement is added
///     DROP shadow             the list is forgotten
///     RENAME real TO trash    nothing: the real table stays where it is on the target
///     RENAME shadow TO real   the list is given out, to be run on the real table, and forgotten
///     RENAME shadow TO trash  the list is forgotten
///     anything on trash       nothing
///
/// Rows of shadow and trash tables are never migrated. The state has to be made durable with the
/// place in the stream up to which statements were handled: without it, a stream that begins in
/// the middle of a change has no list for the swap.
public struct OnlineSchemaChangeStateMachine: Sendable {
    /// What is known of changes that are under way; the durable part.
    public struct State: Sendable, Hashable, Codable {
        /// A shadow table with its statements.
        public struct Shadow: Sendable, Hashable, Codable {
            /// The shadow table.
            public var table: TableName
            /// What was done to it, in order.
            public var statements: [ShadowStatement]
        }

        /// The shadow tables, in order of their names.
        public private(set) var shadows: [Shadow] = []

        /// Nothing is under way.
        public init() {}

        /// A shadow table's statements; `nil` for one that nobody saw being made.
        public subscript(table: TableName) -> [ShadowStatement]? {
            get { shadows.first { $0.table == table }?.statements }
            set {
                shadows.removeAll { $0.table == table }
                guard let newValue else { return }
                let place = shadows.firstIndex { table < $0.table } ?? shadows.count
                shadows.insert(Shadow(table: table, statements: newValue), at: place)
            }
        }
    }

    /// What is to be done for a statement, or for one renaming of it.
    public enum Action: Sendable, Hashable {
        /// It has nothing to do with such a tool: it runs as any other.
        case run
        /// Nothing.
        case ignore
        /// The state has changed; nothing else.
        case record
        /// The statements run on the table, under the rules of that table.
        case swap(TableName, [ShadowStatement])
    }

    /// Why a statement can't be handled.
    public enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// A swap of a shadow table that nobody saw being made: the stream began in the middle.
        case unknownShadow(TableName)
        /// A real table becomes a shadow table.
        case realBecomesShadow(TableName)
        /// A shadow table becomes another shadow table.
        case shadowBecomesShadow(TableName)
        /// More statements for one shadow table than any tool makes: a wrong rule.
        case tooManyStatements(TableName)

        /// One sentence.
        public var description: String {
            switch self {
            case .unknownShadow(let table):
                "the changes of \(table) are not known, since the stream began after them"
            case .realBecomesShadow(let table):
                "\(table) is renamed to a name of an online schema change's shadow table"
            case .shadowBecomesShadow(let table):
                "the shadow table \(table) is renamed to another shadow table's name"
            case .tooManyStatements(let table):
                "there are too many statements on the shadow table \(table)"
            }
        }
    }

    /// Statements that are kept for one table at most.
    static let statementLimit = 1000

    private let names: OnlineSchemaChangeNames
    /// What is known so far.
    public private(set) var state: State

    /// Goes on from a state.
    public init(_ names: OnlineSchemaChangeNames, state: State = State()) {
        self.names = names
        self.state = state
    }

    /// Handles a DDL statement: one action, or one for each renaming of a RENAME TABLE. The state
    /// is unchanged when it throws.
    public mutating func handle(
        _ statement: Statement, context: SyntaxContext
    ) throws(Failure) -> [Action] {
        guard let ddl = statement.ddl else { return [.run] }
        switch ddl {
        case .renameTables(let d):
            let before = state
            var actions: [Action] = []
            for renaming in d.renamings {
                do throws(Failure) {
                    actions.append(try rename(renaming.from, renaming.to))
                } catch {
                    state = before
                    throw error
                }
            }
            return actions
        case .alterTable(let d):
            if let to = d.renamedTo, d.actions.count == 1 { return [try rename(d.table, to)] }
            return [try record(d.table, statement, context)]
        case .createIndex(let d): return [try record(d.table, statement, context)]
        case .dropIndex(let d): return [try record(d.table, statement, context)]
        case .createTable(let d): return [forget(d.table, as: [])]
        case .dropTables(let d):
            // A list of tables is the tools' own only when all of it is.
            let actions = d.tables.map { forget($0, as: nil) }
            return [actions.contains(.run) ? .run : actions.contains(.record) ? .record : .ignore]
        case .truncateTable(let d): return [names.kind(of: d.table) == .real ? .run : .ignore]
        case .createObject(let d) where d.kind == .trigger: return [trigger(d.name)]
        case .dropObject(let d) where d.kind == .trigger:
            return [d.names.allSatisfy { trigger($0) == .ignore } ? .ignore : .run]
        default: return [.run]
        }
    }

    /// pt-online-schema-change's triggers, which write the shadow table.
    private func trigger(_ name: TableName) -> Action {
        name.name.lowercased().hasPrefix("pt_osc_") ? .ignore : .run
    }

    private mutating func rename(_ from: TableName, _ to: TableName) throws(Failure) -> Action {
        switch (names.kind(of: from), names.kind(of: to)) {
        case (.real, .real): return .run
        case (.real, .trash), (.trash, .real), (.trash, .trash), (.trash, .shadow): return .ignore
        case (.real, .shadow): throw .realBecomesShadow(from)
        case (.shadow, .shadow): throw .shadowBecomesShadow(from)
        case (.shadow, .trash):
            state[from] = nil
            return .record
        case (.shadow, .real):
            guard let statements = state[from] else { throw .unknownShadow(from) }
            state[from] = nil
            return .swap(to, statements)
        }
    }

    private mutating func forget(_ table: TableName, as statements: [ShadowStatement]?) -> Action {
        switch names.kind(of: table) {
        case .real: return .run
        case .trash: return .ignore
        case .shadow:
            state[table] = statements
            return .record
        }
    }

    private mutating func record(
        _ table: TableName, _ statement: Statement, _ context: SyntaxContext
    ) throws(Failure) -> Action {
        switch names.kind(of: table) {
        case .real: return .run
        case .trash: return .ignore
        case .shadow(let real):
            let sql = statement.rewritten(
                renaming: { $0 == table ? real : $0 }, defaultSchema: nil)
            var statements = state[table] ?? []
            guard statements.count < Self.statementLimit else {
                throw .tooManyStatements(table)
            }
            statements.append(
                ShadowStatement(
                    sql: sql, sqlMode: context.sqlMode.rawValue,
                    defaultSchema: context.defaultSchema))
            state[table] = statements
            return .record
        }
    }
}
