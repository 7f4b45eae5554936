public import MySQLCore

/// A table's columns as the source describes them ahead of its rows.
///
///     offset 19  u48     table id, which the row events of this statement use
///            25  u16     flags
///            27  u8, schema, zero byte; u8, table, zero byte
///                lenenc  number of columns; one type byte each
///                lenenc  bytes of metadata; 0 to 2 bytes for each column
///                bits    which columns may be NULL, lowest bit first
///                        optional metadata: type, lenenc length, value (`TableMetadata.swift`)
public final class TableMap: Sendable {
    /// The number that row events name the table with; it changes with every change of the table.
    public let tableID: UInt64
    /// Flags of the event.
    public let flags: UInt16
    /// The schema.
    public let schema: String
    /// The table.
    public let table: String
    /// How each column's values lie in a row.
    public let columns: [ColumnLayout]
    /// Widths of all columns as ``ColumnLayout/width`` has them, close together for skipping.
    let widths: [Int8]
    /// Number of JSON columns, which a partial update has a bit each for.
    let jsonCount: Int
    /// Which columns may be NULL.
    public let nullable: [Bool]
    /// What else the source tells of the columns.
    public let metadata: TableMetadata
    /// Sum of all widths where every column has a fixed one, else `nil`.
    let fixedRowWidth: Int?

    /// Decodes the event, without its checksum. `family` is that of the server that wrote it: the
    /// families count different columns in some of the metadata.
    public init(_ event: RawSpan, family: ServerFamily) throws(BinlogError) {
        let type = EventType.tableMap
        var cursor = try Cursor(event, type, at: EventHeader.size)
        tableID = try cursor.u48("the table id")
        flags = try cursor.u16("the flags")
        schema = try Self.name(&cursor)
        table = try Self.name(&cursor)
        let count = try cursor.count(unit: 1, "the columns")
        // What a table may have; also keeps null bitmaps and offsets small.
        guard count <= 4096 else {
            throw BinlogError(.malformed, type, at: cursor.at, "\(count) columns")
        }
        let types = try cursor.take(count, "the column types")
        let metadataLength = try cursor.lengthEncoded("the length of the metadata")
        var meta = try cursor.part(metadataLength, "the metadata")
        var columns: [ColumnLayout] = []
        columns.reserveCapacity(count)
        for i in 0..<count {
            columns.append(try Self.column(event.u8(types + i), i, &meta))
        }
        guard meta.isAtEnd else {
            throw malformed(type, at: meta.at, "bytes are left behind the columns' metadata")
        }
        let bits = try cursor.take((count + 7) / 8, "the NULL bits")
        nullable = (0..<count).map { event.u8(bits + $0 / 8) >> UInt8($0 % 8) & 1 != 0 }
        metadata = try TableMetadata(&cursor, columns, family)
        self.columns = columns
        widths = columns.map(\.width)
        jsonCount = columns.count { $0.type == .json }
        fixedRowWidth =
            columns.allSatisfy { $0.width >= 0 }
            ? columns.reduce(0) { $0 + Int($1.width) } : nil
    }

    /// Number of columns.
    public var columnCount: Int { columns.count }

    // SAFETY: the lists never change, and live as long as the map, from which their spans are
    // borrowed. A copy of a list would be retained and released for each row.

    /// ``columns``, borrowed.
    @inline(__always)
    public var layouts: Span<ColumnLayout> {
        @_lifetime(borrow self)
        get {
            let list = columns
            let span = list.span
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// ``widths``, borrowed.
    @inline(__always)
    var widthSpan: Span<Int8> {
        @_lifetime(borrow self)
        get {
            let list = widths
            let span = list.span
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    private static func name(_ cursor: inout Cursor) throws(BinlogError) -> String {
        let name = try cursor.shortText("a name")
        guard try cursor.u8("a name's end") == 0 else {
            throw malformed(.tableMap, at: cursor.at - 1, "a name does not end in a zero byte")
        }
        return name
    }

    private static func column(
        _ type: UInt8, _ index: Int, _ meta: inout Cursor
    ) throws(BinlogError) -> ColumnLayout {
        let at = meta.at
        var value: UInt16 = 0
        switch ColumnLayout.metadataSize(type) {
        case 1: value = UInt16(try meta.u8("a column's metadata"))
        case 2:
            value = try meta.u16("a column's metadata")
            // Types whose bytes are two numbers: the first one is the high byte.
            if type >= 246, type != 249, type != 250, type != 251, type != 252, type != 253 {
                value = value.byteSwapped
            }
        default: break
        }
        return try ColumnLayout.make(type, value, column: index, at: at)
    }
}
