internal import MySQLBinlog
internal import MySQLCore

/// How values of a column become SQL literals that mean exactly the same on the target.
enum LiteralForm: UInt8, Sendable {
    /// Decimal digits: whole numbers, decimals, ordinals of ENUM, bits of SET.
    case plain
    /// Digits in E notation: without it the literal would be a DECIMAL.
    case floating
    /// A quoted text: dates and times.
    case quoted
    /// A number of up to 64 bits, stored big-endian.
    case bits
    /// `_charset'..'` with backslash escapes.
    case text
    /// `_charset x'..'`, for character sets whose bytes can look like quotes and backslashes.
    case textHex
    /// `_binary'..'`, padded with zero bytes to the column's length.
    case binary
    /// `x'..'`: geometries and vectors.
    case hex
    /// The text of MariaDB's types that are logged as BINARY, zero bytes at the end left out.
    case uuid, inet4, inet6
    /// The text of a JSON value.
    case json
}

/// What a lane needs to know of one column.
struct ColumnPlan: Sendable {
    let name: [UInt8]
    let form: LiteralForm
    let isUnsigned: Bool
    /// Whether it is written: generated columns are not.
    let isWritten: Bool
    /// Whether a value is the number of a member, 0 for the invalid one.
    let isEnum: Bool
    /// Whether the server may set it to now in an UPDATE that does not name it.
    let mayFollowClock: Bool
    /// `_utf8mb4` and so on, for texts.
    let introducer: [UInt8]
    /// Bytes that BINARY(n) is padded to; the binlog leaves zero bytes at the end out.
    let padding: Int
    /// How the column is compared by value, exactly, where no key identifies rows: what stands
    /// before and behind its name.
    let comparedHead: [UInt8]
    let comparedTail: [UInt8]
    /// The literal's form there.
    let comparedForm: LiteralForm

    init(_ column: ColumnShape) {
        let type = column.type
        name = Array(quoteIdentifier(column.name).utf8)
        isUnsigned = type.isUnsigned
        isWritten = column.generation == nil
        isEnum = type.kind == .enum
        mayFollowClock =
            column.generation == nil && (type.kind == .timestamp || type.kind == .datetime)
        var introducer = ""
        var padding = 0
        var compared: LiteralForm?
        var head = ""
        var tail = " <=> "
        switch type.kind {
        case .tinyint, .smallint, .mediumint, .int, .bigint, .decimal, .year: form = .plain
        case .enum, .set:
            form = .plain
            // A sum would be a DOUBLE, which has not room for 64 members.
            head = "CAST("
            tail = " AS UNSIGNED) <=> "
        case .float, .double: form = .floating
        case .bit:
            form = .bits
            tail = "+0 <=> "
        case .date, .time, .datetime, .timestamp: form = .quoted
        case .char, .varchar, .tinytext, .text, .mediumtext, .longtext:
            let charset = column.charset ?? "utf8mb4"
            // The session speaks utf8mb4.
            introducer = charset == "utf8mb4" ? "" : "_\(charset) "
            form = Self.isSafeInQuotes(charset) ? .text : .textHex
            // Compared as bytes: a case-insensitive comparison would take the wrong twin.
            compared = .binary
            head = "CAST("
            tail = " AS BINARY) <=> "
        case .binary:
            form = .binary
            padding = type.length ?? 1
        case .varbinary, .tinyblob, .blob, .mediumblob, .longblob: form = .binary
        case .json:
            form = .json
            head = "CAST(CAST("
            tail = " AS CHAR) AS BINARY) <=> "
        case .geometry, .point, .linestring, .polygon, .multipoint, .multilinestring,
            .multipolygon, .geometrycollection, .vector:
            form = .hex
            head = "CAST("
            tail = " AS BINARY) <=> "
        case .uuid: form = .uuid
        case .inet4: form = .inet4
        case .inet6: form = .inet6
        }
        self.introducer = Array(introducer.utf8)
        self.padding = padding
        comparedHead = Array(head.utf8)
        comparedTail = Array(tail.utf8)
        comparedForm = compared ?? form
    }

    /// Whether no character has a byte that the server's lexer would take for a quote or
    /// backslash, and one-byte characters are ASCII.
    private static func isSafeInQuotes(_ charset: String) -> Bool {
        switch charset {
        case "utf8mb4", "utf8mb3", "utf8", "latin1", "ascii", "latin2", "latin5", "latin7",
            "cp1250", "cp1251", "cp1256", "cp1257", "koi8r", "koi8u", "greek", "hebrew":
            true
        default: false
        }
    }

    /// Appends a value as a literal.
    @inline(__always)
    func append(
        _ event: RawSpan, _ value: ColumnValue, _ layout: ColumnLayout, to sql: inout ByteBuffer
    ) throws(BinlogError) {
        try append(event, value, layout, form, to: &sql)
    }

    /// Appends `column <=> value`, comparing exactly and never by a collation.
    func appendComparison(
        _ event: RawSpan, _ value: ColumnValue, _ layout: ColumnLayout, to sql: inout ByteBuffer
    ) throws(BinlogError) {
        sql.append(comparedHead)
        sql.append(name)
        sql.append(comparedTail)
        try append(event, value, layout, comparedForm, to: &sql)
    }

    /// Appends a JSON value after an update that was logged as differences.
    ///
    /// - Parameter differences: an empty one leaves the value as it is.
    func appendUpdated(
        _ event: RawSpan, _ before: ColumnValue, by differences: ColumnValue,
        _ layout: ColumnLayout, to sql: inout ByteBuffer
    ) throws(BinlogError) {
        guard differences.length > 0 else {
            return try append(event, before, layout, form, to: &sql)
        }
        guard !before.isAbsent, !before.isNull else {
            throw BinlogError(
                .malformed, .partialUpdateRows, at: Int(differences.offset),
                "differences of a JSON value that is not logged")
        }
        var text = ByteBuffer(capacity: Int(before.length) + Int(differences.length) + 64)
        try layout.appendUpdatedJSON(event, before: before, differences: differences, into: &text)
        sql.append("_utf8mb4")
        sql.appendQuoted(text.bytes)
    }

    @inline(__always)
    private func append(
        _ event: RawSpan, _ value: ColumnValue, _ layout: ColumnLayout, _ form: LiteralForm,
        to sql: inout ByteBuffer
    ) throws(BinlogError) {
        if value.isNull {
            sql.append("NULL")
            return
        }
        guard !value.isAbsent else {
            throw BinlogError(.malformed, nil, at: 0, "a column that is needed is not logged")
        }
        switch form {
        case .plain:
            try layout.appendText(event, value, isUnsigned: isUnsigned, into: &sql)
        case .text:
            sql.append(introducer)
            sql.append(UInt8(ascii: "'"))
            try appendBytes(event, value, layout, to: &sql)
            sql.append(UInt8(ascii: "'"))
        case .binary:
            sql.append("_binary'")
            try appendBytes(event, value, layout, to: &sql)
            for _ in 0..<max(0, padding - Int(value.length)) { sql.append("\\0") }
            sql.append(UInt8(ascii: "'"))
        case .quoted:
            sql.append(UInt8(ascii: "'"))
            try layout.appendText(event, value, isUnsigned: isUnsigned, into: &sql)
            sql.append(UInt8(ascii: "'"))
        default:
            try appendRare(event, value, layout, to: &sql)
        }
    }

    private func appendRare(
        _ event: RawSpan, _ value: ColumnValue, _ layout: ColumnLayout, to sql: inout ByteBuffer
    ) throws(BinlogError) {
        switch form {
        case .floating:
            let start = sql.count
            if layout.type == .float {
                // All digits that the FLOAT has as a DOUBLE, which is what the server reads and
                // compares: fewer are another number, and beyond the largest FLOAT at its end.
                let bits = unsafe event.unsafeLoadUnaligned(
                    fromByteOffset: Int(value.offset), as: UInt32.self)
                sql.appendDouble(Double(Float(bitPattern: bits)))
            } else {
                try layout.appendText(event, value, isUnsigned: isUnsigned, into: &sql)
            }
            if !Self.hasExponent(sql.bytes, from: start) { sql.append("e0") }
        case .bits:
            var number: UInt64 = 0
            for i in 0..<min(8, Int(value.length)) {
                let byte = unsafe event.unsafeLoad(
                    fromByteOffset: Int(value.offset) + i, as: UInt8.self)
                number = number << 8 | UInt64(byte)
            }
            sql.appendDecimal(number)
        case .textHex:
            sql.append(introducer)
            sql.append("x'")
            sql.appendHex(Self.slice(event, value))
            sql.append(UInt8(ascii: "'"))
        case .hex:
            sql.append("x'")
            sql.appendHex(Self.slice(event, value))
            sql.append(UInt8(ascii: "'"))
        case .json:
            var text = ByteBuffer(capacity: Int(value.length) + 64)
            try layout.appendText(event, value, isUnsigned: false, into: &text)
            sql.append("_utf8mb4")
            sql.appendQuoted(text.bytes)
        case .uuid, .inet4, .inet6:
            sql.append(UInt8(ascii: "'"))
            switch form {
            case .uuid: sql.appendUUID(Self.slice(event, value))
            case .inet4: sql.appendINET4(Self.slice(event, value))
            default: sql.appendINET6(Self.slice(event, value))
            }
            sql.append(UInt8(ascii: "'"))
        case .plain, .text, .binary, .quoted:
            break
        }
    }

    /// The bytes of a text or binary value, escaped; MariaDB's compressed columns are inflated.
    @inline(__always)
    private func appendBytes(
        _ event: RawSpan, _ value: ColumnValue, _ layout: ColumnLayout, to sql: inout ByteBuffer
    ) throws(BinlogError) {
        if layout.type == .blobCompressed || layout.type == .varcharCompressed {
            var plain = ByteBuffer(capacity: Int(value.length) * 4)
            try layout.appendText(event, value, isUnsigned: false, into: &plain)
            sql.appendEscaped(plain.bytes)
        } else {
            sql.appendEscaped(Self.slice(event, value))
        }
    }

    @inline(__always)
    @_lifetime(copy event)
    static func slice(_ event: RawSpan, _ value: ColumnValue) -> RawSpan {
        event.extracting(Int(value.offset)..<(Int(value.offset) + Int(value.length)))
    }

    private static func hasExponent(_ bytes: RawSpan, from start: Int) -> Bool {
        for i in start..<bytes.byteCount
        where unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self) | 0x20
            == UInt8(ascii: "e")
        {
            return true
        }
        return false
    }
}
