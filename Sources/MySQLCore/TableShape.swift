/// A column's declared type, with what is needed to decode, render and compare its values.
public struct ColumnType: Sendable, Hashable, Codable {
    /// The type's name, without parameters.
    public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
        case tinyint, smallint, mediumint, int, bigint
        case decimal, float, double, bit, year
        case date, time, datetime, timestamp
        case char, varchar, tinytext, text, mediumtext, longtext
        case binary, varbinary, tinyblob, blob, mediumblob, longblob
        case `enum`, set, json
        case geometry, point, linestring, polygon
        case multipoint, multilinestring, multipolygon, geometrycollection
        case vector, uuid, inet4, inet6
    }

    /// The type.
    public var kind: Kind
    /// `UNSIGNED` (or `ZEROFILL`, which implies it).
    public var isUnsigned: Bool
    /// Characters of CHAR and VARCHAR, bytes of BINARY and VARBINARY, bits of BIT, dimensions of
    /// VECTOR, precision of DECIMAL, digits of FLOAT(M,D) and DOUBLE(M,D); `nil` where the
    /// declaration has none.
    public var length: Int?
    /// Scale of DECIMAL, what FLOAT(M,D) and DOUBLE(M,D) round to, fractional digits (0 to 6) of time types.
    public var decimals: Int
    /// Members of ENUM and SET, in order.
    public var elements: [String]

    /// Makes a type.
    public init(
        _ kind: Kind, isUnsigned: Bool = false, length: Int? = nil, decimals: Int = 0,
        elements: [String] = []
    ) {
        self.kind = kind
        self.isUnsigned = isUnsigned
        self.length = length
        self.decimals = decimals
        self.elements = elements
    }

    /// Whether values are whole numbers.
    public var isInteger: Bool {
        switch kind {
        case .tinyint, .smallint, .mediumint, .int, .bigint: true
        default: false
        }
    }

    /// Whether values are texts with a character set and a collation.
    public var isText: Bool {
        switch kind {
        case .char, .varchar, .tinytext, .text, .mediumtext, .longtext: true
        default: false
        }
    }

    /// Whether values are plain bytes.
    public var isBinary: Bool {
        switch kind {
        case .binary, .varbinary, .tinyblob, .blob, .mediumblob, .longblob: true
        default: false
        }
    }

    /// Whether values are geometries.
    public var isGeometry: Bool {
        switch kind {
        case .geometry, .point, .linestring, .polygon, .multipoint, .multilinestring,
            .multipolygon, .geometrycollection:
            true
        default: false
        }
    }
}

/// A column of a table shape.
public struct ColumnShape: Sendable, Hashable, Codable {
    /// How a generated column gets its value.
    public enum Generation: String, Sendable, Hashable, Codable {
        case virtual, stored
    }

    /// The column's name.
    public var name: String
    /// Its type.
    public var type: ColumnType
    /// Whether NULL is allowed.
    public var isNullable: Bool
    /// Character set of text, ENUM and SET columns, lower case.
    public var charset: String?
    /// Collation of those, lower case.
    public var collation: String?
    /// `nil` for base columns. Generated columns are never in column lists or WHERE.
    public var generation: Generation?
    /// Whether `SELECT *` leaves it out.
    public var isInvisible: Bool
    /// Whether it is the AUTO_INCREMENT column.
    public var isAutoIncrement: Bool

    /// Makes a column.
    public init(
        name: String, type: ColumnType, isNullable: Bool = true, charset: String? = nil,
        collation: String? = nil, generation: Generation? = nil, isInvisible: Bool = false,
        isAutoIncrement: Bool = false
    ) {
        self.name = name
        self.type = type
        self.isNullable = isNullable
        self.charset = charset
        self.collation = collation
        self.generation = generation
        self.isInvisible = isInvisible
        self.isAutoIncrement = isAutoIncrement
    }
}

/// One part of a key.
public struct KeyPart: Sendable, Hashable, Codable {
    /// The column's name; `nil` for an expression (MySQL's functional key parts).
    public var column: String?
    /// Prefix length in characters (bytes for binary columns); `nil` for the whole value.
    public var prefixLength: Int?

    /// Makes a part.
    public init(column: String?, prefixLength: Int? = nil) {
        self.column = column
        self.prefixLength = prefixLength
    }
}

/// A key (index) of a table shape.
public struct KeyShape: Sendable, Hashable, Codable {
    /// The key's name; `PRIMARY` for the primary key.
    public var name: String
    /// Its parts, in order.
    public var parts: [KeyPart]
    /// Whether it forbids equal values.
    public var isUnique: Bool

    /// Whether it is the primary key.
    public var isPrimary: Bool { name == "PRIMARY" }

    /// Makes a key.
    public init(name: String, parts: [KeyPart], isUnique: Bool) {
        self.name = name
        self.parts = parts
        self.isUnique = isUnique
    }
}

/// A foreign key of a table shape.
public struct ForeignKeyShape: Sendable, Hashable, Codable {
    /// What happens to children when a parent row changes.
    public enum Action: String, Sendable, Hashable, Codable {
        case restrict, cascade, setNull, setDefault, noAction

        /// Whether the action changes child rows.
        public var changesChildren: Bool { self == .cascade || self == .setNull }
    }

    /// The constraint's name.
    public var name: String
    /// Columns of this (child) table.
    public var columns: [String]
    /// The parent table.
    public var parent: TableName
    /// The parent's columns, in the order of ``columns``.
    public var parentColumns: [String]
    /// Action when a parent row goes.
    public var onDelete: Action
    /// Action when a parent's key changes.
    public var onUpdate: Action

    /// Makes a foreign key.
    public init(
        name: String, columns: [String], parent: TableName, parentColumns: [String],
        onDelete: Action = .restrict, onUpdate: Action = .restrict
    ) {
        self.name = name
        self.columns = columns
        self.parent = parent
        self.parentColumns = parentColumns
        self.onDelete = onDelete
        self.onUpdate = onUpdate
    }
}

extension ForeignKeyShape {
    /// Whether a parent has what the foreign key refers to: a key that begins with its columns, of the
    /// types of the child's. Servers refuse it without, whether they check foreign keys or not.
    public func isMet(by parent: TableShape, from child: TableShape) -> Bool {
        let wanted = parentColumns.map { $0.lowercased() }
        let hasKey = parent.keys.contains { key in
            let parts = key.parts.prefix(wanted.count)
            return parts.allSatisfy { $0.prefixLength == nil }
                && parts.map { $0.column?.lowercased() ?? "" } == wanted
        }
        guard hasKey, columns.count == parentColumns.count else { return false }
        return zip(columns, parentColumns).allSatisfy { mine, theirs in
            guard let own = child.columnIndex(mine), let other = parent.columnIndex(theirs) else {
                return false
            }
            let (a, b) = (child.columns[own], parent.columns[other])
            return a.type.kind == b.type.kind && a.type.isUnsigned == b.type.isUnsigned
                && (a.type.kind != .decimal || a.type == b.type)
                && Self.family(a.collation) == Self.family(b.collation)
        }
    }

    /// A collation by one of the two names that its character set has.
    private static func family(_ collation: String?) -> String? {
        guard let collation, collation.hasPrefix("utf8_") else { return collation }
        return "utf8mb3\(collation.dropFirst(4))"
    }
}

/// A schema's defaults for new tables.
public struct SchemaDefaults: Sendable, Hashable, Codable {
    /// Character set.
    public var charset: String
    /// Collation.
    public var collation: String

    /// Makes defaults.
    public init(charset: String, collation: String) {
        self.charset = charset
        self.collation = collation
    }
}

/// What must be known of a table to decode its row events and to write its rows.
public struct TableShape: Sendable, Hashable, Codable {
    /// Schema and name.
    public var name: TableName
    /// Columns in the order of the table (and of row events), generated and invisible included.
    public var columns: [ColumnShape]
    /// Keys; the primary key, if any, is first.
    public var keys: [KeyShape]
    /// Foreign keys of this table as child.
    public var foreignKeys: [ForeignKeyShape]
    /// Storage engine, as the server spells it.
    public var engine: String?
    /// The table's default character set, for columns that later DDL adds.
    public var charset: String?
    /// The table's default collation.
    public var collation: String?

    /// Makes a shape.
    public init(
        name: TableName, columns: [ColumnShape], keys: [KeyShape] = [],
        foreignKeys: [ForeignKeyShape] = [], engine: String? = nil, charset: String? = nil,
        collation: String? = nil
    ) {
        self.name = name
        self.columns = columns
        self.keys = keys
        self.foreignKeys = foreignKeys
        self.engine = engine
        self.charset = charset
        self.collation = collation
    }

    /// Index of a column by name; names are case-insensitive, as the server compares them.
    public func columnIndex(_ name: String) -> Int? {
        columns.firstIndex { $0.name == name }
            ?? columns.firstIndex { $0.name.lowercased() == name.lowercased() }
    }

    /// The same with foreign keys that have no names: servers give some, and no two tables of a
    /// schema have the same ones.
    public var withNamelessForeignKeys: TableShape {
        var shape = self
        for i in shape.foreignKeys.indices { shape.foreignKeys[i].name = "" }
        return shape
    }

    /// The key that identifies rows: the primary key, else the first unique key whose parts are
    /// all whole, base, NOT NULL columns; `nil` for a keyless table.
    public var identifyingKey: KeyShape? {
        let unique = keys.filter(\.isUnique)
        if let primary = unique.first(where: \.isPrimary) { return primary }
        return unique.first { key in
            key.parts.allSatisfy { part in
                guard let name = part.column, part.prefixLength == nil,
                    let index = columnIndex(name)
                else { return false }
                return !columns[index].isNullable && columns[index].generation == nil
            }
        }
    }

    /// How many unique keys MariaDB may keep as an index of hashes, each with a hidden column
    /// behind the table's own, which rows in the binlog hold too: those over a TEXT, a BLOB, or
    /// more bytes than an index takes.
    public var hashableKeys: Int {
        keys.count { key in
            guard key.isUnique, !key.isPrimary else { return false }
            return key.parts.contains { part in
                guard part.prefixLength == nil, let name = part.column,
                    let index = columnIndex(name)
                else { return false }
                return columns[index].mayExceedIndex
            } || key.parts.count > 3
        }
    }
}

extension ColumnShape {
    /// Whether a value may have more bytes than a part of an index in InnoDB's smallest form (767).
    fileprivate var mayExceedIndex: Bool {
        switch type.kind {
        case .char, .varchar: (type.length ?? 0) * 4 > 767
        case .binary, .varbinary: (type.length ?? 0) > 767
        default: type.isText || type.isBinary
        }
    }
}
