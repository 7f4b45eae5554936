internal import MySQLCore

/// The type byte of a column in a table map, real types resolved: CHAR, ENUM and SET come as one
/// type on the wire.
///
/// ``timestamp``, ``time`` and ``datetime`` are those of MySQL 5.5, without fractions. MariaDB logs
/// columns with fractions that were made with `mysql56_temporal_format = OFF` as the same types, in
/// other widths, and nothing in the event tells: whoever knows the table's shape must refuse them.
public enum WireType: UInt8, Sendable, Hashable, CaseIterable {
    case tiny = 1
    case short = 2
    case long = 3
    case float = 4
    case double = 5
    case null = 6
    case timestamp = 7
    case longlong = 8
    case int24 = 9
    case date = 10
    case time = 11
    case datetime = 12
    case year = 13
    case newdate = 14
    case varchar = 15
    case bit = 16
    case timestamp2 = 17
    case datetime2 = 18
    case time2 = 19
    case blobCompressed = 140
    case varcharCompressed = 141
    case vector = 242
    case json = 245
    case newdecimal = 246
    case `enum` = 247
    case set = 248
    case tinyBlob = 249
    case mediumBlob = 250
    case longBlob = 251
    case blob = 252
    case varString = 253
    case string = 254
    case geometry = 255

    /// Whether signedness metadata has a bit for such columns. YEAR has one on both families
    /// (MySQL sets it or not, depending on the version; nobody should read it).
    var isNumeric: Bool {
        switch self {
        case .tiny, .short, .int24, .long, .longlong, .float, .double, .newdecimal, .year: true
        default: false
        }
    }

    /// Whether character set metadata counts such columns. MySQL counts VECTOR but not GEOMETRY,
    /// MariaDB counts GEOMETRY and sends vectors as VARBINARY.
    func isCharacter(_ family: ServerFamily) -> Bool {
        switch self {
        case .varchar, .varString, .string, .tinyBlob, .mediumBlob, .longBlob, .blob,
            .blobCompressed, .varcharCompressed, .vector:
            true
        case .geometry: family == .mariadb
        default: false
        }
    }
}

/// How one column's values lie in a row image, and how they are read.
public struct ColumnLayout: Sendable, Hashable {
    /// The type, with CHAR, ENUM and SET told apart.
    public var type: WireType
    /// Bytes of every value, or minus the number of length bytes in front of it.
    public var width: Int8
    /// Type, low and high byte as the table map has them: precision and scale of decimals
    /// (high, low), fractional digits of times, length of strings and bits (see ``length``).
    public var metadata: UInt16
    /// Declared bytes of CHAR, BINARY, VARCHAR and VARBINARY, bits of BIT; else 0.
    public var length: UInt16

    /// Fractional digits, 0 to 6, of time types; scale of decimals.
    @inline(__always)
    public var decimals: Int { Int(metadata & 0xFF) }

    /// Bytes of the length in front of values; 0 for values of fixed width.
    @inline(__always)
    public var lengthBytes: Int { width < 0 ? -Int(width) : 0 }

    /// The layout of a column of a type that has no parameters, for tests and literals.
    public init?(type: WireType, metadata: UInt16 = 0) {
        guard let made = try? Self.make(type.rawValue, metadata, column: 0, at: 0) else {
            return nil
        }
        self = made
    }

    init(_ type: WireType, width: Int, metadata: UInt16, length: Int = 0) {
        self.type = type
        self.width = Int8(truncatingIfNeeded: width)
        self.metadata = metadata
        self.length = UInt16(truncatingIfNeeded: length)
    }

    /// Bytes of metadata that a table map holds for a type; `nil` for unknown types.
    static func metadataSize(_ type: UInt8) -> Int? {
        guard let type = WireType(rawValue: type) else { return nil }
        switch type {
        case .float, .double, .timestamp2, .datetime2, .time2, .blobCompressed, .vector, .json,
            .tinyBlob, .mediumBlob, .longBlob, .blob, .geometry:
            return 1
        case .varchar, .bit, .newdecimal, .enum, .set, .varString, .string, .varcharCompressed:
            return 2
        default:
            return 0
        }
    }

    /// Resolves type and metadata. `metadata` holds the bytes little-endian, but for decimals and
    /// the STRING family with the first byte high, which is how they are documented.
    static func make(
        _ raw: UInt8, _ metadata: UInt16, column: Int, at offset: Int
    ) throws(BinlogError) -> ColumnLayout {
        let low = Int(metadata & 0xFF)
        let high = Int(metadata >> 8)
        guard let type = WireType(rawValue: raw) else {
            let what = raw == 0 ? "DECIMAL of MySQL 4" : "an unknown type (\(raw))"
            throw BinlogError(
                .unsupportedType, .tableMap, at: offset, "column \(column + 1) is \(what)")
        }
        let layout: ColumnLayout?
        switch type {
        case .null: layout = .init(type, width: 0, metadata: metadata)
        case .tiny, .year: layout = .init(type, width: 1, metadata: metadata)
        case .short: layout = .init(type, width: 2, metadata: metadata)
        case .int24, .date, .newdate, .time: layout = .init(type, width: 3, metadata: metadata)
        case .long, .timestamp: layout = .init(type, width: 4, metadata: metadata)
        case .longlong, .datetime: layout = .init(type, width: 8, metadata: metadata)
        case .float: layout = low == 4 ? .init(type, width: 4, metadata: metadata) : nil
        case .double: layout = low == 8 ? .init(type, width: 8, metadata: metadata) : nil
        case .timestamp2: layout = .fractional(type, 4, metadata)
        case .datetime2: layout = .fractional(type, 5, metadata)
        case .time2: layout = .fractional(type, 3, metadata)
        case .newdecimal: layout = .decimal(precision: high, scale: low, metadata)
        case .bit:
            let bits = high * 8 + low
            layout =
                low < 8 && bits > 0 && bits <= 64
                ? .init(type, width: (bits + 7) / 8, metadata: metadata, length: bits) : nil
        case .varchar, .varString, .varcharCompressed:
            layout = .init(
                type, width: metadata > 255 ? -2 : -1, metadata: metadata, length: Int(metadata))
        case .blob, .tinyBlob, .mediumBlob, .longBlob, .blobCompressed, .json, .geometry, .vector:
            layout = (1...4).contains(low) ? .init(type, width: -low, metadata: metadata) : nil
        case .enum: layout = .ordinal(type, low, most: 2)
        case .set: layout = .ordinal(type, low, most: 8)
        case .string: layout = .string(high: high, low: low)
        }
        guard let layout else {
            throw BinlogError(
                .malformed, .tableMap, at: offset,
                "the metadata of column \(column + 1) (type \(raw)) is out of range")
        }
        return layout
    }

    private static func fractional(
        _ type: WireType, _ whole: Int, _ metadata: UInt16
    ) -> ColumnLayout? {
        let digits = Int(metadata & 0xFF)
        guard digits <= 6 else { return nil }
        return .init(type, width: whole + (digits + 1) / 2, metadata: metadata)
    }

    private static func ordinal(_ type: WireType, _ bytes: Int, most: Int) -> ColumnLayout? {
        guard bytes > 0, bytes <= most else { return nil }
        return .init(type, width: bytes, metadata: UInt16(bytes))
    }

    private static func decimal(
        precision: Int, scale: Int, _ metadata: UInt16
    ) -> ColumnLayout? {
        guard precision > 0, precision <= 65, scale <= 38, scale <= precision else { return nil }
        return .init(
            .newdecimal, width: decimalSize(precision: precision, scale: scale),
            metadata: metadata)
    }

    /// CHAR, BINARY, ENUM and SET are one type on the wire. The first byte is the real type; two of
    /// its bits are inverted bits 8 and 9 of a CHAR's length.
    private static func string(high: Int, low: Int) -> ColumnLayout? {
        if high == Int(WireType.enum.rawValue) { return .ordinal(.enum, low, most: 2) }
        if high == Int(WireType.set.rawValue) { return .ordinal(.set, low, most: 8) }
        guard high | 0x30 == Int(WireType.string.rawValue) else { return nil }
        let length = low | (high & 0x30 ^ 0x30) << 4
        return .init(
            .string, width: length > 255 ? -2 : -1, metadata: UInt16(high << 8 | low),
            length: length)
    }
}

/// Bytes of a decimal: four for each nine digits, fewer for the rest, on each side of the point.
func decimalSize(precision: Int, scale: Int) -> Int {
    func side(_ digits: Int) -> Int { digits / 9 * 4 + (digits % 9 + 1) / 2 }
    return side(precision - scale) + side(scale)
}
