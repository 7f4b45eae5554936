public import MySQLCore

/// A statement that changes schemas, tables or stored objects.
public enum DDL: Sendable, Hashable {
    case createSchema(CreateSchema)
    case alterSchema(AlterSchema)
    case dropSchema(DropSchema)
    case createTable(CreateTable)
    case dropTables(DropTables)
    case renameTables(RenameTables)
    case truncateTable(TruncateTable)
    case alterTable(AlterTable)
    case createIndex(CreateIndex)
    case dropIndex(DropIndex)
    case createObject(CreateObject)
    case alterObject(AlterObject)
    case dropObject(DropObject)
}

/// How long MariaDB waits for locks: `WAIT n` or `NOWAIT`.
public enum LockWait: Sendable, Hashable {
    case seconds(UInt64)
    case none
}

/// `CREATE {DATABASE|SCHEMA}`.
public struct CreateSchema: Sendable, Hashable {
    /// The schema.
    public var name: String
    /// `IF NOT EXISTS`.
    public var ifNotExists = false
    /// `OR REPLACE`: the schema and all in it are dropped first.
    public var orReplace = false
    /// Charset, collation and the rest.
    public var options = TableOptions()
}

/// `ALTER {DATABASE|SCHEMA}`.
public struct AlterSchema: Sendable, Hashable {
    /// The schema.
    public var name: String
    /// Charset, collation and the rest.
    public var options = TableOptions()
}

/// `DROP {DATABASE|SCHEMA}`.
public struct DropSchema: Sendable, Hashable {
    /// The schema.
    public var name: String
    /// `IF EXISTS`.
    public var ifExists = false

    /// Makes a statement.
    public init(name: String, ifExists: Bool = false) {
        self.name = name
        self.ifExists = ifExists
    }
}

/// A `CHARACTER SET` clause's value.
public enum CharsetChoice: Sendable, Hashable {
    /// A name, lower case, `utf8` as `utf8mb3`.
    case named(String)
    /// `DEFAULT`: that of the schema or server.
    case `default`
}

/// Options of tables and schemas.
public struct TableOptions: Sendable, Hashable {
    /// `ENGINE`, as written.
    public var engine: String?
    /// `[DEFAULT] CHARACTER SET`.
    public var charset: CharsetChoice?
    /// `[DEFAULT] COLLATE`, lower case.
    public var collation: String?
    /// `AUTO_INCREMENT`.
    public var autoIncrement: UInt64?
    /// `COMMENT`.
    public var comment: String?
    /// `WITH SYSTEM VERSIONING`.
    public var hasSystemVersioning = false
    /// `PARTITION BY`.
    public var isPartitioned = false
    /// `START TRANSACTION`, which MySQL writes for CREATE .. SELECT: the rows follow in the same
    /// transaction.
    public var startsTransaction = false
    /// `SEQUENCE=1`: the table is a MariaDB sequence.
    public var isSequence = false
    /// Names of all other options, upper case.
    public var others: [String] = []

    /// Whether no option was given.
    public var isEmpty: Bool { self == TableOptions() }
}

/// `CREATE TABLE`.
public struct CreateTable: Sendable, Hashable {
    /// The table.
    public var table: TableName
    /// `TEMPORARY`.
    public var isTemporary = false
    /// `OR REPLACE`.
    public var orReplace = false
    /// `IF NOT EXISTS`.
    public var ifNotExists = false
    /// `LIKE` another table.
    public var like: TableName?
    /// The columns spelled in the statement.
    public var columns: [ColumnDefinition] = []
    /// Keys of the statement, those of column attributes included, in the server's order.
    public var keys: [KeyDefinition] = []
    /// Foreign keys, those of column attributes included.
    public var foreignKeys: [ForeignKeyDefinition] = []
    /// CHECK constraints of the table, columns' own left out.
    public var checks: [CheckDefinition] = []
    /// Periods: `SYSTEM_TIME` or an application's name, with the two columns.
    public var periods: [PeriodDefinition] = []
    /// Table options.
    public var options = TableOptions()
    /// `AS SELECT`: columns and rows come from a query.
    public var isFromSelect = false
    /// MySQL's `CREATE EXTERNAL TABLE`, which lives outside of the server.
    public var isExternal = false
}

/// `DROP TABLE` with one or many tables.
public struct DropTables: Sendable, Hashable {
    /// The tables.
    public var tables: [TableName]
    /// `TEMPORARY`.
    public var isTemporary = false
    /// `IF EXISTS`.
    public var ifExists = false
    /// `WAIT n` or `NOWAIT`.
    public var wait: LockWait?

    /// Makes a statement.
    public init(tables: [TableName], isTemporary: Bool = false, ifExists: Bool = false) {
        self.tables = tables
        self.isTemporary = isTemporary
        self.ifExists = ifExists
    }
}

/// `RENAME TABLE`, applied from left to right.
public struct RenameTables: Sendable, Hashable {
    /// One renaming.
    public struct Renaming: Sendable, Hashable {
        /// The old name.
        public var from: TableName
        /// The new name.
        public var to: TableName
    }
    /// The renamings, in order.
    public var renamings: [Renaming]
    /// `IF EXISTS` (MariaDB).
    public var ifExists = false
    /// `WAIT n` or `NOWAIT`.
    public var wait: LockWait?
}

/// `TRUNCATE TABLE`.
public struct TruncateTable: Sendable, Hashable {
    /// The table.
    public var table: TableName
    /// `WAIT n` or `NOWAIT`.
    public var wait: LockWait?

    /// Makes a statement.
    public init(table: TableName, wait: LockWait? = nil) {
        self.table = table
        self.wait = wait
    }
}

/// `CREATE INDEX`.
public struct CreateIndex: Sendable, Hashable {
    /// The table.
    public var table: TableName
    /// The index.
    public var key: KeyDefinition
    /// `OR REPLACE` (MariaDB).
    public var orReplace = false
    /// `IF NOT EXISTS` (MariaDB).
    public var ifNotExists = false
    /// `WAIT n` or `NOWAIT`.
    public var wait: LockWait?
}

/// `DROP INDEX`.
public struct DropIndex: Sendable, Hashable {
    /// The table.
    public var table: TableName
    /// The index; `PRIMARY` for the primary key.
    public var name: String
    /// `IF EXISTS` (MariaDB).
    public var ifExists = false
    /// `WAIT n` or `NOWAIT`.
    public var wait: LockWait?
}
