public import MySQLCore

/// What lives in a schema besides tables.
public enum ObjectKind: String, Sendable, Hashable {
    case view, trigger, procedure, function, event, sequence, package, packageBody, library
}

/// `CREATE` of a view, trigger, routine, event, sequence or package.
public struct CreateObject: Sendable, Hashable {
    /// What it is.
    public var kind: ObjectKind
    /// Its name.
    public var name: TableName
    /// `OR REPLACE`.
    public var orReplace = false
    /// `IF NOT EXISTS`.
    public var ifNotExists = false
    /// `TEMPORARY` (sequences).
    public var isTemporary = false
    /// `AGGREGATE` (functions).
    public var isAggregate = false
    /// `SONAME`: a function in a library file, which belongs to the server, not to a schema.
    public var isLoadable = false
    /// The DEFINER's value as written; `nil` for the one who runs the statement.
    public var definer: String?
    /// Bytes of `DEFINER = ..`, to take it out or replace it.
    public var definerRange: Range<Int>?
    /// Bytes of the name's token, without its schema.
    public var nameRange: Range<Int>
    /// The trigger's table.
    public var table: TableName?
    /// Bytes of what follows the name: parameters, timing, query, body.
    public var bodyRange: Range<Int>
}

/// `ALTER` of a view, routine, event, sequence.
public struct AlterObject: Sendable, Hashable {
    /// What it is.
    public var kind: ObjectKind
    /// Its name.
    public var name: TableName
    /// `IF EXISTS`.
    public var ifExists = false
    /// An event's new name.
    public var renamedTo: TableName?
    /// The DEFINER's value as written.
    public var definer: String?
    /// Bytes of `DEFINER = ..`.
    public var definerRange: Range<Int>?
    /// Bytes of what follows the name.
    public var bodyRange: Range<Int>
}

/// `DROP` of a view, trigger, routine, event, sequence or package.
public struct DropObject: Sendable, Hashable {
    /// What they are.
    public var kind: ObjectKind
    /// The names; more than one only for views and sequences.
    public var names: [TableName]
    /// `IF EXISTS`.
    public var ifExists = false
}
