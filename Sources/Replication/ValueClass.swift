internal import MySQLBinlog
internal import MySQLCore

/// What the bytes of a value in the binlog are. Read as one of another class they make a value that
/// nobody wrote, and that the target may take: shapes are not always read from a server.
enum ValueClass: Sendable {
    /// Numbers of any kind, years, and the numbers of members.
    case number
    case bits
    /// Dates and times.
    case time
    /// Texts, bytes, and all that is logged as such.
    case bytes
    /// MySQL's JSON.
    case document

    /// That of a column of a shape.
    init(_ kind: ColumnType.Kind) {
        switch kind {
        case .tinyint, .smallint, .mediumint, .int, .bigint, .decimal, .float, .double, .year,
            .enum, .set:
            self = .number
        case .bit: self = .bits
        case .date, .time, .datetime, .timestamp: self = .time
        case .char, .varchar, .tinytext, .text, .mediumtext, .longtext, .binary, .varbinary,
            .tinyblob, .blob, .mediumblob, .longblob, .geometry, .point, .linestring, .polygon,
            .multipoint, .multilinestring, .multipolygon, .geometrycollection, .vector, .uuid,
            .inet4, .inet6:
            self = .bytes
        case .json: self = .document
        }
    }

    /// That of a column of rows; `nil` for one that is always NULL.
    init?(_ type: WireType) {
        switch type {
        case .null: return nil
        case .tiny, .short, .int24, .long, .longlong, .float, .double, .newdecimal, .year, .enum,
            .set:
            self = .number
        case .bit: self = .bits
        case .date, .newdate, .time, .time2, .datetime, .datetime2, .timestamp, .timestamp2:
            self = .time
        case .varchar, .varString, .string, .tinyBlob, .blob, .mediumBlob, .longBlob, .geometry,
            .vector, .blobCompressed, .varcharCompressed:
            self = .bytes
        case .json: self = .document
        }
    }
}
