public import MySQLCore

/// What a table is to the statement that names it.
public enum TableRole: String, Sendable, Hashable, Codable {
    /// The statement creates, changes, drops or writes it.
    case target
    /// The new name of a renamed table (or of a partition that becomes a table).
    case renamedTo
    /// A foreign key's parent.
    case parent
    /// It is read: the template of `LIKE`, or a table of a SELECT.
    case source
    /// The table of EXCHANGE PARTITION or CONVERT TABLE.
    case exchanged
    /// The table that a trigger or an index belongs to.
    case owner
    /// The qualifier of a column, `db.table.column`.
    case columnQualifier
}

/// A table that a statement names, and where.
public struct TableReference: Sendable, Hashable {
    /// The name; without a schema in the text and without a default schema, its schema is empty.
    public var name: TableName
    /// What the table is to the statement.
    public var role: TableRole
    /// Bytes of the schema's token; `nil` where the default schema was meant.
    public var schemaRange: Range<Int>?
    /// Bytes of the name's token.
    public var nameRange: Range<Int>

    /// Makes a reference.
    public init(
        name: TableName, role: TableRole, schemaRange: Range<Int>?, nameRange: Range<Int>
    ) {
        self.name = name
        self.role = role
        self.schemaRange = schemaRange
        self.nameRange = nameRange
    }
}

/// A schema that a statement names by itself or in front of a routine, trigger or event.
public struct SchemaReference: Sendable, Hashable {
    /// The schema.
    public var name: String
    /// Bytes of its token; empty, where the name would stand, when the default schema was meant.
    public var range: Range<Int>

    /// Makes a reference.
    public init(name: String, range: Range<Int>) {
        self.name = name
        self.range = range
    }
}

/// An XA transaction's identifier.
public struct XID: Sendable, Hashable {
    /// Global transaction id.
    public var globalID: [UInt8]
    /// Branch qualifier.
    public var branch: [UInt8]
    /// Format number, 1 unless told.
    public var format: UInt64

    /// Makes an identifier.
    public init(globalID: [UInt8], branch: [UInt8] = [], format: UInt64 = 1) {
        self.globalID = globalID
        self.branch = branch
        self.format = format
    }
}

/// A statement that begins, ends or marks a transaction.
public enum TransactionControl: Sendable, Hashable {
    case begin, commit, rollback
    case savepoint(String)
    case rollbackTo(String)
    case release(String)
    case xaStart(XID)
    case xaEnd(XID)
    case xaPrepare(XID)
    case xaCommit(XID, onePhase: Bool)
    case xaRollback(XID)
    case xaRecover
}

/// Statements that read or write rows.
public enum DMLKind: String, Sendable, Hashable {
    case insert, replace, update, delete, load, select
}

/// Statements that change neither rows nor shapes of tables.
public enum AdministrativeKind: String, Sendable, Hashable {
    /// GRANT, REVOKE, and everything about users and roles.
    case account
    /// SET in all its forms.
    case set
    /// ANALYZE, CHECK, CHECKSUM, OPTIMIZE, REPAIR, CACHE INDEX.
    case tableMaintenance
    /// FLUSH, RESET, PURGE, KILL, SHUTDOWN, RESTART, BACKUP.
    case server
    /// Replication: CHANGE, START, STOP.
    case replication
    /// INSTALL and UNINSTALL of plugins and components.
    case plugin
    /// Servers, tablespaces, log file groups, resource groups, reference systems, instances.
    case storage
    /// CALL, DO, HANDLER, PREPARE, EXECUTE, DEALLOCATE, SIGNAL, BINLOG, anonymous blocks.
    case execution
    /// USE, SHOW, DESCRIBE, EXPLAIN, HELP.
    case information
    /// LOCK and UNLOCK.
    case locking
}

/// A statement, understood as far as a migration needs it.
public struct Statement: Sendable, Hashable {
    /// What a statement is.
    public enum Classification: Sendable, Hashable {
        /// It can change what schemas, tables or stored objects are.
        case ddl(DDL)
        /// It begins, ends or marks a transaction.
        case transactionControl(TransactionControl)
        /// It reads or writes rows; the tables are the statement's ``Statement/tables``.
        case dml(DMLKind)
        /// It changes neither.
        case administrative(AdministrativeKind)
        /// Nothing but white space and comments.
        case empty
        /// A statement that begins with words nobody here knows, upper case.
        case unknown(String)
    }

    /// What it is.
    public var classification: Classification
    /// The statement's bytes.
    public var source: [UInt8]
    /// The tables and views it names, in order of their places.
    public var tables: [TableReference]
    /// The schemas it names on their own or in front of a routine, trigger or event.
    public var schemas: [SchemaReference]
    /// Whether ``tables`` is certain to hold all; false for bodies of routines, unknown
    /// statements, and DML beyond the token limit.
    public var tablesAreComplete: Bool
    /// Why running the statement elsewhere can give other values than on its source; `nil` when
    /// it can't, as far as can be seen.
    public var nondeterministicReason: String?
    /// Where each of an ALTER TABLE's actions is in the text. Actions that come of one clause
    /// (a list of new columns, a column with a key) have the same place.
    public var actionRanges: [Range<Int>] = []

    /// The DDL, if it is one.
    public var ddl: DDL? {
        if case .ddl(let ddl) = classification { ddl } else { nil }
    }
}

/// Reads one statement.
///
/// Statements that neither change shapes nor are known are classified, never refused; DDL that
/// is not understood throws, with the tables it seems to name.
public func parseStatement(
    _ sql: [UInt8], context: SyntaxContext
) throws(SyntaxError) -> Statement {
    var parser = Parser(sql, context: context)
    do throws(SyntaxFailure) {
        return try parser.statement()
    } catch {
        var scanner = TableScanner(parser)
        scanner.scanEverything()
        throw SyntaxError(
            offset: error.offset, reason: error.reason, verb: parser.verb,
            tables: scanner.parser.tables, schemas: scanner.parser.schemas)
    }
}

/// Reads one statement given as text.
public func parseStatement(
    _ sql: String, context: SyntaxContext
) throws(SyntaxError) -> Statement {
    try parseStatement(Array(sql.utf8), context: context)
}
