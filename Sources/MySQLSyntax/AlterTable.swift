public import MySQLCore

/// Where a column goes.
public enum ColumnPlace: Sendable, Hashable {
    /// At the end, or where it is.
    case unchanged
    case first
    case after(String)
}

/// What is done to partitions; none of it changes a shape.
public enum PartitionOperation: String, Sendable, Hashable {
    case add, drop, truncate, coalesce, reorganize, rebuild, analyze, check, optimize, repair
    case discardTablespace, importTablespace
    /// `PARTITION BY`.
    case partitionBy
    /// `REMOVE PARTITIONING`.
    case remove
}

/// One action of ALTER TABLE.
public enum AlterAction: Sendable, Hashable {
    case addColumn(ColumnDefinition, ColumnPlace, ifNotExists: Bool)
    case dropColumn(String, ifExists: Bool)
    case modifyColumn(ColumnDefinition, ColumnPlace, ifExists: Bool)
    case changeColumn(String, ColumnDefinition, ColumnPlace, ifExists: Bool)
    case renameColumn(from: String, to: String, ifExists: Bool)
    /// `SET DEFAULT`, or `DROP DEFAULT` when there is no value.
    case alterColumnDefault(String, DefaultValue?, ifExists: Bool)
    case alterColumnVisibility(String, isInvisible: Bool)
    case addKey(KeyDefinition, ifNotExists: Bool)
    case dropKey(String, ifExists: Bool)
    case dropPrimaryKey(ifExists: Bool)
    case renameKey(from: String, to: String, ifExists: Bool)
    case alterKeyVisibility(String, isInvisible: Bool)
    case addForeignKey(ForeignKeyDefinition, ifNotExists: Bool)
    case dropForeignKey(String, ifExists: Bool)
    case addCheck(CheckDefinition, ifNotExists: Bool)
    case dropCheck(String)
    case alterCheck(String, isEnforced: Bool)
    /// `DROP CONSTRAINT`: a key, a foreign key or a CHECK.
    case dropConstraint(String, ifExists: Bool)
    case renameTable(TableName)
    case convertCharset(CharsetChoice, collation: String?)
    case options(TableOptions)
    case orderBy([String])
    case partition(PartitionOperation)
    case exchangePartition(String, with: TableName)
    case convertPartitionToTable(String, TableName)
    case convertTableToPartition(TableName, String)
    case force
    case enableKeys
    case disableKeys
    case algorithm(String)
    case lock(String)
    case validation(Bool)
    case addSystemVersioning
    case dropSystemVersioning
    case addPeriod(PeriodDefinition)
    case dropPeriod(String)
    case discardTablespace
    case importTablespace
    /// MySQL's SECONDARY_LOAD and SECONDARY_UNLOAD.
    case secondaryEngine
    /// An action nobody here knows, as written.
    case other(String)
}

/// `ALTER TABLE`.
public struct AlterTable: Sendable, Hashable {
    /// The table, by the name it has before.
    public var table: TableName
    /// The actions, in order.
    public var actions: [AlterAction] = []
    /// `IF EXISTS` (MariaDB).
    public var ifExists = false
    /// `IGNORE`: rows that break a new unique key are deleted (MariaDB, MySQL 5.6).
    public var ignoresDuplicates = false
    /// `ONLINE`.
    public var isOnline = false
    /// `WAIT n` or `NOWAIT`.
    public var wait: LockWait?

    /// Makes one of actions.
    public init(table: TableName, actions: [AlterAction] = []) {
        self.table = table
        self.actions = actions
    }

    /// The name afterwards, when the statement renames the table.
    public var renamedTo: TableName? {
        for case .renameTable(let name) in actions.reversed() { return name }
        return nil
    }
}
