public import MySQLCore

/// A data type as a statement declares it; length of TEXT and BLOB types, charset and collation
/// are settled when it is applied to a table.
public struct DataType: Sendable, Hashable {
    /// The type, with synonyms resolved. `TEXT(n)` and `BLOB(n)` have their length here.
    public var type: ColumnType
    /// `CHARACTER SET`, or what `ASCII`, `UNICODE`, `BYTE` and `NATIONAL` stand for.
    public var charset: CharsetChoice?
    /// `COLLATE`, lower case.
    public var collation: String?
    /// `BINARY` behind a text type: the `_bin` collation of its charset.
    public var isBinaryCollation = false
    /// `SERIAL`.
    public var isSerial = false
    /// MariaDB's `JSON`, which is LONGTEXT.
    public var isJSONText = false

    /// Makes a type without attributes.
    public init(_ type: ColumnType) { self.type = type }
}

/// The value of a DEFAULT clause.
public enum DefaultValue: Sendable, Hashable {
    case null
    /// A literal, as written.
    case literal(String)
    /// CURRENT_TIMESTAMP and its synonyms.
    case now
    /// Any other expression, as written.
    case expression(String)
}

/// A column as a statement declares it.
public struct ColumnDefinition: Sendable, Hashable {
    /// The name.
    public var name: String
    /// The declared type; `nil` in `MODIFY x WITH SYSTEM VERSIONING` and the like, and for
    /// columns of CREATE .. SELECT.
    public var dataType: DataType?
    /// `NULL` or `NOT NULL`; `nil` when neither is said.
    public var isNullable: Bool?
    /// `DEFAULT`.
    public var defaultValue: DefaultValue?
    /// `ON UPDATE CURRENT_TIMESTAMP`.
    public var updatesToNow = false
    /// `AUTO_INCREMENT`.
    public var isAutoIncrement = false
    /// `VISIBLE` or `INVISIBLE`.
    public var isInvisible: Bool?
    /// A generated column's kind.
    public var generation: ColumnShape.Generation?
    /// A generated column's expression.
    public var expression: String?
    /// `AS ROW START` or `AS ROW END` of system versioning.
    public var isRowPeriod = false
    /// `COMMENT`.
    public var comment: String?
    /// The column's CHECK constraints.
    public var checks: [CheckDefinition] = []

    /// Makes a column of a name and a type.
    public init(name: String, dataType: DataType?) {
        self.name = name
        self.dataType = dataType
    }
}

/// What kind of key a statement declares.
public enum KeyKind: String, Sendable, Hashable {
    case primary, unique, plain, fulltext, spatial, vector
}

/// A key as a statement declares it.
public struct KeyDefinition: Sendable, Hashable {
    /// Its kind.
    public var kind: KeyKind
    /// Its name; `nil` when the server makes one.
    public var name: String?
    /// Its parts.
    public var parts: [KeyPart]
    /// Whether the server made it for a foreign key.
    public var isGenerated = false
}

/// A foreign key as a statement declares it.
public struct ForeignKeyDefinition: Sendable, Hashable {
    /// The constraint's name; `nil` when the server makes one.
    public var name: String?
    /// The index name of the clause.
    public var indexName: String?
    /// Columns of the child.
    public var columns: [String]
    /// The parent.
    public var parent: TableName
    /// The parent's columns; empty when not said.
    public var parentColumns: [String]
    /// `ON DELETE`.
    public var onDelete: ForeignKeyShape.Action
    /// `ON UPDATE`.
    public var onUpdate: ForeignKeyShape.Action
}

/// A CHECK constraint.
public struct CheckDefinition: Sendable, Hashable {
    /// Its name; `nil` when the server makes one.
    public var name: String?
    /// The expression, as written.
    public var expression: String
    /// False for `NOT ENFORCED`.
    public var isEnforced = true

    /// Makes an enforced constraint.
    public init(name: String?, expression: String) {
        self.name = name
        self.expression = expression
    }
}

/// A period of a table with system or application time.
public struct PeriodDefinition: Sendable, Hashable {
    /// `SYSTEM_TIME` or the application's name.
    public var name: String
    /// The column of the start.
    public var start: String
    /// The column of the end.
    public var end: String

    /// Makes a period.
    public init(name: String, start: String, end: String) {
        self.name = name
        self.start = start
        self.end = end
    }
}
