/// A word of an event filter's `events`: one kind of event, or a group of them.
public enum EventSelector: String, Sendable, Hashable, Codable, CaseIterable {
    // Groups.
    case all = "all"
    case allDML = "all dml"
    case allDDL = "all ddl"
    case none = "none"
    case noDML = "none dml"
    case noDDL = "none ddl"
    case incompatibleDDL = "incompatible ddl changes"

    // Changes of rows.
    case insert = "insert"
    case update = "update"
    case delete = "delete"

    // Schemas.
    case createSchema = "create database"
    case dropSchema = "drop database"
    case alterSchema = "alter database"

    // Tables, views and indexes.
    case createTable = "create table"
    case dropTable = "drop table"
    case truncateTable = "truncate table"
    case renameTable = "rename table"
    case alterTable = "alter table"
    case createIndex = "create index"
    case dropIndex = "drop index"
    case createView = "create view"
    case dropView = "drop view"
    case addForeignKey = "add foreign key"
    case dropForeignKey = "drop foreign key"

    // Partitions.
    case addPartition = "add table partition"
    case dropPartition = "drop table partition"
    case truncatePartition = "truncate table partition"
    case reorganizePartition = "reorganize table partition"
    case rebuildPartition = "rebuild table partition"
    case coalescePartition = "coalesce table partition"
    case splitPartition = "split table partition"
    case exchangePartition = "exchange table partition"
    case alterPartitioning = "alter table partitioning"
    case removePartitioning = "remove table partitioning"

    // Single actions of ALTER TABLE and ALTER DATABASE.
    case addColumn = "add column"
    case modifyColumn = "modify column"
    case renameColumn = "rename column"
    case dropColumn = "drop column"
    case modifyColumnsOrder = "modify columns order"
    case valueRangeDecrease = "value range decrease"
    case precisionDecrease = "precision decrease"
    case setDefaultValue = "set default value"
    case modifyDefaultValue = "modify default value"
    case removeAutoIncrement = "remove auto increment"
    case addPrimaryKey = "add primary key"
    case dropPrimaryKey = "drop primary key"
    case dropUniqueKey = "drop unique key"
    case renameIndex = "rename index"
    case alterIndexVisibility = "alter index visibility"
    case modifyConstraint = "modify constraint"
    case modifyCharset = "modify charset"
    case modifyCollation = "modify collation"
    case modifyStorageEngine = "modify storage engine"
    case rebaseAutoIncrement = "rebase auto id"
    case modifyTableComment = "modify table comment"
    case modifyTableCharset = "modify table charset and collate"
    case modifySchemaCharset = "modify schema charset and collate"
    case multipleActions = "multi schema change"

    // Statements of TiDB, which no source here ever writes.
    case recoverTable = "recover table"
    case alterTTL = "alter ttl info"
    case removeTTL = "alter ttl remove"

    /// Reads a word of a file: any case, runs of spaces as one, `schema` for `database`.
    public init?(text: String) {
        let words = text.lowercased().split(whereSeparator: { $0 == " " || $0 == "\t" })
        var name = words.joined(separator: " ")
        switch name {
        case "create schema": name = "create database"
        case "drop schema": name = "drop database"
        case "alter schema": name = "alter database"
        case "reorganize partition": name = "reorganize table partition"
        case "rebuild partition": name = "rebuild table partition"
        case "coalesce partition": name = "coalesce table partition"
        case "split partition": name = "split table partition"
        case "exchange partition": name = "exchange table partition"
        default: break
        }
        self.init(rawValue: name)
    }
}
