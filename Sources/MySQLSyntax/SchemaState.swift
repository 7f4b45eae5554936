public import MySQLCore

/// Why a statement can't be carried over to the shapes that are known.
public enum ShapeError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The table is not among the known ones.
    case unknownTable(TableName)
    /// A table of that name is known already.
    case tableExists(TableName)
    /// The shape has no such column.
    case unknownColumn(TableName, String)
    /// The shape has such a column already.
    case columnExists(TableName, String)
    /// The shape has no such key.
    case unknownKey(TableName, String)
    /// The shape has such a key already.
    case keyExists(TableName, String)
    /// What the statement does can't be told from its text: the shape must be read.
    case notCarried(TableName, reason: String)

    /// One sentence.
    public var description: String {
        switch self {
        case .unknownTable(let t): "table \(t) is not known"
        case .tableExists(let t): "table \(t) exists already"
        case .unknownColumn(let t, let c): "table \(t) has no column \(c)"
        case .columnExists(let t, let c): "table \(t) has a column \(c) already"
        case .unknownKey(let t, let k): "table \(t) has no key \(k)"
        case .keyExists(let t, let k): "table \(t) has a key \(k) already"
        case .notCarried(let t, let reason): "the shape of \(t) must be read again: \(reason)"
        }
    }
}

/// Schemas and table shapes as they are at one point of the binlog, carried forward by DDL.
///
/// It may hold some of a server's tables only. DROP and RENAME of tables it does not hold are no
/// errors; a table that is renamed from outside is reported as changed and not held, so that its
/// shape can be read.
public struct SchemaState: Sendable, Hashable {
    /// Known schemas, by name.
    public var schemas: [String: SchemaDefaults] = [:]
    /// Known shapes.
    public var tables: [TableName: TableShape] = [:]
    /// Known tables that a system-versioned MariaDB table's implicit columns belong to: their
    /// shapes end with the invisible `row_start` and `row_end`, which row events carry and
    /// information_schema does not show.
    public var implicitlyVersioned: Set<TableName> = []
    /// Keys that the server made for foreign keys: it drops them when another key serves.
    var generatedKeys: [TableName: Set<String>] = [:]

    /// Makes an empty state.
    public init() {}

    /// Carries the shapes over one statement and gives the tables (and views) whose shape may
    /// have changed, by old and new names. On an error nothing is changed.
    public mutating func apply(
        _ ddl: DDL, context: SyntaxContext
    ) throws(ShapeError) -> [TableName] {
        switch ddl {
        case .createSchema(let d): return createSchema(d, context)
        case .alterSchema(let d):
            let defaults = schemas[d.name] ?? serverDefaults(context)
            schemas[d.name] = settle(
                d.options, inheriting: defaults, serverDefaults(context), context)
            return []
        case .dropSchema(let d): return dropSchema(d.name)
        case .createTable(let d): return try createTable(d, context)
        case .dropTables(let d):
            guard !d.isTemporary else { return [] }
            for table in d.tables { forget(table) }
            return d.tables
        case .renameTables(let d):
            var changed: [TableName] = []
            for renaming in d.renamings {
                rename(renaming.from, to: renaming.to, context)
                changed += [renaming.from, renaming.to]
            }
            return changed
        case .truncateTable: return []
        case .alterTable(let d): return try alterTable(d, context)
        case .createIndex(let d):
            var alter = AlterTable(table: d.table)
            if d.orReplace, let name = d.key.name {
                alter.actions.append(.dropKey(name, ifExists: true))
            }
            alter.actions.append(.addKey(d.key, ifNotExists: d.ifNotExists))
            return try alterTable(alter, context)
        case .dropIndex(let d):
            var alter = AlterTable(table: d.table)
            alter.actions.append(
                d.name.uppercased() == "PRIMARY"
                    ? .dropPrimaryKey(ifExists: d.ifExists)
                    : .dropKey(d.name, ifExists: d.ifExists))
            return try alterTable(alter, context)
        case .createObject, .alterObject, .dropObject:
            return []
        }
    }

    // MARK: Schemas

    /// The defaults of a schema that says nothing.
    func serverDefaults(_ context: SyntaxContext) -> SchemaDefaults {
        if let collation = context.serverCollation.map(Charsets.canonical(collation:)),
            let charset = Charsets.charset(ofCollation: collation)
        {
            return SchemaDefaults(charset: charset, collation: collation)
        }
        let isUnicode =
            context.isMariaDB ? context.version.isAtLeast(11, 6) : context.version.isAtLeast(8)
        let charset = isUnicode ? "utf8mb4" : "latin1"
        return SchemaDefaults(
            charset: charset, collation: Charsets.defaultCollation(of: charset, context))
    }

    /// What options make of inherited defaults. `outer` is what `DEFAULT` stands for.
    func settle(
        _ options: TableOptions, inheriting inherited: SchemaDefaults, _ outer: SchemaDefaults,
        _ context: SyntaxContext
    ) -> SchemaDefaults {
        var out = inherited
        switch options.charset {
        case .named(let charset)?:
            out.charset = charset
            out.collation = Charsets.defaultCollation(of: charset, context)
        case .default?:
            out = outer
        case nil: break
        }
        if let collation = options.collation {
            if collation == "default" {
                out.collation = Charsets.defaultCollation(of: out.charset, context)
            } else {
                out.charset = Charsets.charset(ofCollation: collation) ?? out.charset
                out.collation = Charsets.full(collation: collation, charset: out.charset)
            }
        }
        return out
    }

    private mutating func createSchema(
        _ d: CreateSchema, _ context: SyntaxContext
    ) -> [TableName] {
        if d.ifNotExists, schemas[d.name] != nil { return [] }
        let changed = d.orReplace ? dropSchema(d.name) : []
        let defaults = serverDefaults(context)
        schemas[d.name] = settle(d.options, inheriting: defaults, defaults, context)
        return changed
    }

    private mutating func dropSchema(_ name: String) -> [TableName] {
        schemas[name] = nil
        let dropped = tables.keys.filter { $0.schema == name }.sorted()
        for table in dropped { forget(table) }
        return dropped
    }

    // MARK: Tables

    mutating func forget(_ table: TableName) {
        tables[table] = nil
        implicitlyVersioned.remove(table)
        generatedKeys[table] = nil
    }

    /// Makes a table what another state has of it; where that has none, it is not held.
    public mutating func restore(_ table: TableName, from other: SchemaState) {
        forget(table)
        guard let shape = other.tables[table] else { return }
        tables[table] = shape
        if other.implicitlyVersioned.contains(table) { implicitlyVersioned.insert(table) }
        generatedKeys[table] = other.generatedKeys[table]
    }

    /// Renames a table with everything that refers to it; a table that is not held leaves its new
    /// name unknown.
    mutating func rename(_ from: TableName, to: TableName, _ context: SyntaxContext) {
        guard from != to else { return }
        let wasVersioned = implicitlyVersioned.contains(from)
        let keys = generatedKeys[from]
        let shape = tables[from]
        forget(from)
        forget(to)
        guard var shape else { return }
        shape.name = to
        for i in shape.foreignKeys.indices {
            // InnoDB renames the constraints that it has named itself.
            let prefix = "\(from.name)_ibfk_"
            if shape.foreignKeys[i].name.hasPrefix(prefix) {
                let number = shape.foreignKeys[i].name.dropFirst(prefix.count)
                shape.foreignKeys[i].name = "\(to.name)_ibfk_\(number)"
            }
        }
        tables[to] = shape
        if wasVersioned { implicitlyVersioned.insert(to) }
        generatedKeys[to] = keys
        for (name, table) in tables where table.foreignKeys.contains(where: { $0.parent == from }) {
            var table = table
            for i in table.foreignKeys.indices where table.foreignKeys[i].parent == from {
                table.foreignKeys[i].parent = to
            }
            tables[name] = table
        }
    }
}
