/// Where one row's images are in its event. Offsets count from the start of the event; an image
/// starts with its NULL bits.
public struct RowImages: Sendable, Hashable {
    /// Start of the before image; -1 for inserts.
    public var beforeOffset: Int32 = -1
    /// Its length in bytes, NULL bits included.
    public var beforeLength: Int32 = 0
    /// Start of the after image; -1 for deletes.
    public var afterOffset: Int32 = -1
    /// Its length in bytes, NULL bits included.
    public var afterLength: Int32 = 0
    /// Start of the bits that tell which JSON columns of the after image are differences (one per
    /// JSON column of the table, lowest first); -1 when none is.
    public var partialBits: Int32 = -1

    /// Whether the `index`-th JSON column of the table is a difference in the after image.
    @inline(__always)
    public func isDifference(jsonColumn index: Int, in event: RawSpan) -> Bool {
        guard partialBits >= 0, event.has(Int(partialBits) + index >> 3, 1) else { return false }
        return event.u8(Int(partialBits) + index >> 3) >> UInt8(index & 7) & 1 != 0
    }
}

/// Rows of one table that one statement changed.
///
///     offset 19  u48     table id
///            25  u16     flags
///            27  u16     version 2: length of extra data, these two bytes included; the data
///                lenenc  number of columns
///                bits    columns in before images (deletes, updates) or after images (inserts)
///                bits    updates: columns in after images
///                        rows: one or two images each. An image is one NULL bit for each column
///                        that is in it, then the values that are not NULL.
///
/// In partial updates (type 39) an after image has in front: lenenc options, and where these have
/// bit 0, a bit for each JSON column of the table.
public struct RowsEvent: Sendable {
    /// What happened to the rows.
    public enum Kind: UInt8, Sendable, Hashable {
        case insert, update, delete
        /// An update whose after images may hold differences of JSON values.
        case partialUpdate

        /// Whether rows have an image of how they were.
        @inlinable public var hasBefore: Bool { self != .insert }
        /// Whether rows have an image of how they are.
        @inlinable public var hasAfter: Bool { self != .delete }
    }

    /// The flags of row events.
    public struct Flags: OptionSet, Sendable, Hashable {
        /// The bits.
        public var rawValue: UInt16
        /// Makes flags of their bits.
        @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
        /// The last row event of its statement: table ids are void from here on.
        public static let statementEnd = Flags(rawValue: 1)
        /// `foreign_key_checks = 0`.
        public static let noForeignKeyChecks = Flags(rawValue: 2)
        /// `unique_checks = 0`.
        public static let relaxedUniqueChecks = Flags(rawValue: 4)
        /// All columns are in the images.
        public static let completeRows = Flags(rawValue: 8)
        /// MySQL 9.6 and later: the actions of foreign keys ran in the SQL layer, and what they
        /// changed is logged. Whoever applies the event must not let the engine act again: a
        /// REPLACE of a parent is logged as delete and insert although no action has fired.
        public static let sqlForeignKeys = Flags(rawValue: 16)
    }

    /// Which columns an image has.
    public struct Columns: Sendable, Hashable {
        /// Where the bits are in the event, lowest bit first.
        public let bitsOffset: Int
        /// Number of the table's columns.
        public let count: Int
        /// Number of columns that are there.
        public let presentCount: Int
        /// Whether all are.
        public let isFull: Bool

        /// Whether a column is there.
        @inline(__always)
        public func contains(_ column: Int, in event: RawSpan) -> Bool {
            isFull || event.u8(bitsOffset + column >> 3) >> UInt8(column & 7) & 1 != 0
        }
    }

    /// The table map that the rows belong to.
    public let tableID: UInt64
    /// Flags.
    public let flags: Flags
    /// What happened.
    public let kind: Kind
    /// Number of the table's columns.
    public let columnCount: Int
    /// Columns of before images; those of after images for inserts.
    public let before: Columns
    /// Columns of after images; those of before images for deletes.
    public let after: Columns
    /// Where the first row starts in the event.
    public let rowsOffset: Int
    /// Where the last row ends: the length of the event without its checksum.
    public let end: Int
    let type: EventType
    private var at: Int

    /// Whether the event has no rows and only ends a statement.
    public var isDummy: Bool { tableID == 0x00FF_FFFF && rowsOffset == end }

    /// Decodes everything in front of the rows, without the checksum. Compressed events have to go
    /// through ``decompressed(_:limit:)`` first.
    public init(_ event: RawSpan) throws(BinlogError) {
        try self.init(event, as: try EventHeader(event).type)
    }

    /// Decodes the event as one of a given type, whatever its header says.
    init(_ event: RawSpan, as type: EventType) throws(BinlogError) {
        self.type = type
        kind = try Self.kind(type)
        // Offsets of rows are 32 bits; servers do not send events of more than 1 GiB either.
        guard event.byteCount <= Int(Int32.max) else {
            throw BinlogError(.limit, type, at: 9, "a row event of more than 2 GiB")
        }
        var cursor = try Cursor(event, type, at: EventHeader.size)
        tableID = try cursor.u48("the table id")
        flags = Flags(rawValue: try cursor.u16("the flags"))
        if type.rawValue >= 30 {
            let extra = Int(try cursor.u16("the length of the extra data"))
            guard extra >= 2 else {
                throw malformed(type, at: cursor.at - 2, "the extra data is shorter than 2 bytes")
            }
            _ = try cursor.take(extra - 2, "the extra data")
        }
        let count = try cursor.lengthEncoded("the number of columns")
        guard count <= 4096 else {
            throw malformed(type, at: cursor.at, "the number of columns is out of range")
        }
        columnCount = Int(count)
        before = try Self.columns(&cursor, columnCount)
        switch kind {
        case .update, .partialUpdate: after = try Self.columns(&cursor, columnCount)
        case .insert, .delete: after = before
        }
        rowsOffset = cursor.at
        at = cursor.at
        end = cursor.end
    }

    private static func kind(_ type: EventType) throws(BinlogError) -> Kind {
        switch type {
        case .writeRowsV1, .writeRows: return .insert
        case .updateRowsV1, .updateRows: return .update
        case .deleteRowsV1, .deleteRows: return .delete
        case .partialUpdateRows: return .partialUpdate
        default: throw malformed(type, at: 4, "an uncompressed row event was expected")
        }
    }

    private static func columns(
        _ cursor: inout Cursor, _ count: Int
    ) throws(BinlogError) -> Columns {
        let start = try cursor.take((count + 7) / 8, "the columns of the images")
        var present = 0
        for i in 0..<(count / 8) { present += cursor.span.u8(start + i).nonzeroBitCount }
        if count % 8 != 0 {
            let mask = UInt8(truncatingIfNeeded: 1 << (count % 8) - 1)
            present += (cursor.span.u8(start + count / 8) & mask).nonzeroBitCount
        }
        return Columns(
            bitsOffset: start, count: count, presentCount: present, isFull: present == count)
    }

    /// The next row's images, `nil` behind the last. `event` and `map` must be the same in all
    /// calls; the map is that of ``tableID``.
    public mutating func next(
        in event: RawSpan, map: borrowing TableMap
    ) throws(BinlogError) -> RowImages? {
        guard at < end else { return nil }
        guard map.columnCount == columnCount, event.byteCount == end else {
            throw malformed(type, at: at, "the table map does not fit the row event")
        }
        let start = at
        var images = RowImages()
        var o = start
        if kind.hasBefore {
            images.beforeOffset = Int32(truncatingIfNeeded: o)
            o = try map.skipImage(before, type, in: event, at: o)
            images.beforeLength = Int32(truncatingIfNeeded: o - start)
        }
        if kind.hasAfter {
            if kind == .partialUpdate { o = try partialHead(event, map, o, &images) }
            images.afterOffset = Int32(truncatingIfNeeded: o)
            let afterStart = o
            o = try map.skipImage(after, type, in: event, at: o)
            images.afterLength = Int32(truncatingIfNeeded: o - afterStart)
        }
        guard o > start else { throw malformed(type, at: o, "a row without any bytes") }
        at = o
        return images
    }

    /// Reads what is in front of the after image of a partial update; returns where it ends.
    private func partialHead(
        _ event: RawSpan, _ map: borrowing TableMap, _ offset: Int, _ images: inout RowImages
    ) throws(BinlogError) -> Int {
        var cursor = try Cursor(event, type, at: offset)
        let options = try cursor.lengthEncoded("the options of an image")
        guard options <= 1 else {
            throw BinlogError(.unsupportedEvent, type, at: offset, "options \(options) of a row")
        }
        if options == 1 {
            let bits = try cursor.take((map.jsonCount + 7) / 8, "the bits of JSON columns")
            images.partialBits = Int32(truncatingIfNeeded: bits)
        }
        return cursor.at
    }
}
