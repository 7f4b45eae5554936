internal import MySQLCore

/// The optional part of a table map. How much of it is there is up to the source's
/// `binlog_row_metadata`: MINIMAL gives signedness, character sets and geometry types, FULL all,
/// MariaDB's NO_LOG nothing.
public struct TableMetadata: Sendable, Hashable {
    /// A part of the primary key.
    public struct KeyPart: Sendable, Hashable {
        /// Index of the column.
        public var column: Int
        /// Length of the prefix in characters, 0 for the whole value.
        public var prefixLength: Int

        /// Makes a part.
        public init(column: Int, prefixLength: Int) {
            self.column = column
            self.prefixLength = prefixLength
        }
    }

    /// For each column whether it is UNSIGNED (false for types that have no sign, YEAR included);
    /// `nil` when the source does not tell.
    public var isUnsigned: [Bool]?
    /// For each column the id of its collation: 63 for bytes, 0 for types without; `nil` when the
    /// source does not tell. ENUM and SET are in ``memberCollations``.
    public var collations: [Int]?
    /// For each column the id of its collation where it is ENUM or SET, else 0.
    public var memberCollations: [Int]?
    /// The columns' names.
    public var columnNames: [String]?
    /// The members of each SET column, in the order of the columns, in their character set.
    public var setMembers: [[[UInt8]]]?
    /// The members of each ENUM column, in the order of the columns, in their character set.
    public var enumMembers: [[[UInt8]]]?
    /// The type of each geometry column, in the order of the columns: 0 geometry, 1 point,
    /// 2 linestring, 3 polygon, 4 multipoint, 5 multilinestring, 6 multipolygon, 7 collection.
    public var geometryTypes: [Int]?
    /// The primary key; `nil` when the table has none or the source does not tell.
    public var primaryKey: [KeyPart]?
    /// For each column whether it is visible; `nil` when the source does not tell.
    public var isVisible: [Bool]?
    /// The dimensions of each VECTOR column, in the order of the columns.
    public var vectorDimensions: [Int]?
    /// Fields that this version does not know; they were skipped.
    public var unknownFields: [UInt8] = []

    /// Nothing known.
    public init() {}

    /// Reads the fields up to the end of the event.
    init(
        _ cursor: inout Cursor, _ columns: [ColumnLayout], _ family: ServerFamily
    ) throws(BinlogError) {
        while !cursor.isAtEnd {
            let field = try cursor.u8("a metadata field")
            let length = try cursor.lengthEncoded("a metadata field's length")
            var value = try cursor.part(length, "a metadata field")
            try read(field, &value, columns, family)
        }
    }

    private mutating func read(
        _ field: UInt8, _ value: inout Cursor, _ columns: [ColumnLayout], _ family: ServerFamily
    ) throws(BinlogError) {
        switch field {
        case 1: isUnsigned = try Self.signs(&value, columns)
        case 2: collations = try Self.defaults(&value, columns) { $0.isCharacter(family) }
        case 3: collations = try Self.each(&value, columns) { $0.isCharacter(family) }
        case 4: columnNames = try Self.names(&value, columns.count)
        case 5: setMembers = try Self.members(&value, columns, .set)
        case 6: enumMembers = try Self.members(&value, columns, .enum)
        case 7: geometryTypes = try Self.numbers(&value)
        case 8:
            primaryKey = try Self.numbers(&value).map { KeyPart(column: $0, prefixLength: 0) }
            try checkKey(value, columns)
        case 9:
            let flat = try Self.numbers(&value)
            primaryKey = stride(from: 0, to: flat.count - 1, by: 2).map {
                KeyPart(column: flat[$0], prefixLength: flat[$0 + 1])
            }
            try checkKey(value, columns)
        case 10: memberCollations = try Self.defaults(&value, columns, \.isMember)
        case 11: memberCollations = try Self.each(&value, columns, \.isMember)
        case 12: isVisible = try Self.bits(&value, columns.count)
        case 13: vectorDimensions = try Self.numbers(&value)
        default: unknownFields.append(field)
        }
    }

    private func checkKey(
        _ cursor: borrowing Cursor, _ columns: [ColumnLayout]
    ) throws(BinlogError) {
        guard primaryKey?.allSatisfy({ columns.indices.contains($0.column) }) ?? true else {
            throw malformed(.tableMap, at: cursor.at, "the primary key names a column too many")
        }
    }

    /// One bit for each numeric column, highest first.
    private static func signs(
        _ cursor: inout Cursor, _ columns: [ColumnLayout]
    ) throws(BinlogError) -> [Bool] {
        let numeric = columns.count(where: \.type.isNumeric)
        let bits = try bits(&cursor, numeric)
        var next = 0
        return columns.map { column in
            guard column.type.isNumeric else { return false }
            defer { next += 1 }
            return bits[next] && column.type != .year
        }
    }

    /// `count` bits, highest first.
    private static func bits(_ cursor: inout Cursor, _ count: Int) throws(BinlogError) -> [Bool] {
        let start = try cursor.take((count + 7) / 8, "the bits of a metadata field")
        let span = cursor.span
        var out: [Bool] = []
        out.reserveCapacity(count)
        for i in 0..<count { out.append(span.u8(start + i / 8) >> UInt8(7 - i % 8) & 1 != 0) }
        return out
    }

    /// Numbers up to the end of the field.
    private static func numbers(_ cursor: inout Cursor) throws(BinlogError) -> [Int] {
        var out: [Int] = []
        while !cursor.isAtEnd { out.append(try number(&cursor)) }
        return out
    }

    private static func number(_ cursor: inout Cursor) throws(BinlogError) -> Int {
        let value = try cursor.lengthEncoded("a number of a metadata field")
        guard value <= UInt64(UInt32.max) else {
            throw malformed(.tableMap, at: cursor.at, "a number in the metadata is too large")
        }
        return Int(value)
    }

    /// A default, then pairs of an index among the chosen columns and what it has instead.
    private static func defaults(
        _ cursor: inout Cursor, _ columns: [ColumnLayout], _ chosen: (WireType) -> Bool
    ) throws(BinlogError) -> [Int] {
        let indices = columns.indices.filter { chosen(columns[$0].type) }
        let common = try number(&cursor)
        var out = [Int](repeating: 0, count: columns.count)
        for i in indices { out[i] = common }
        while !cursor.isAtEnd {
            let index = try number(&cursor)
            guard index < indices.count else {
                throw malformed(.tableMap, at: cursor.at, "a collation is for no column")
            }
            out[indices[index]] = try number(&cursor)
        }
        return out
    }

    /// A number for each of the chosen columns.
    private static func each(
        _ cursor: inout Cursor, _ columns: [ColumnLayout], _ chosen: (WireType) -> Bool
    ) throws(BinlogError) -> [Int] {
        var out = [Int](repeating: 0, count: columns.count)
        for i in columns.indices where chosen(columns[i].type) { out[i] = try number(&cursor) }
        return out
    }

    private static func names(
        _ cursor: inout Cursor, _ count: Int
    ) throws(BinlogError) -> [String] {
        var out: [String] = []
        out.reserveCapacity(count)
        for _ in 0..<count {
            let range = try cursor.lengthEncodedRange("a column's name")
            out.append(cursor.span.text(range.lowerBound, range.count))
        }
        return out
    }

    private static func members(
        _ cursor: inout Cursor, _ columns: [ColumnLayout], _ type: WireType
    ) throws(BinlogError) -> [[[UInt8]]] {
        var out: [[[UInt8]]] = []
        for _ in 0..<columns.count(where: { $0.type == type }) {
            var members: [[UInt8]] = []
            for _ in 0..<(try cursor.count(unit: 1, "the members of a column")) {
                let range = try cursor.lengthEncodedRange("a member")
                members.append(cursor.span.array(range.lowerBound, range.count))
            }
            out.append(members)
        }
        return out
    }
}

extension WireType {
    fileprivate var isMember: Bool { self == .enum || self == .set }
}
