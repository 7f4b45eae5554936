/// Where one column's value is in an event. Eight bytes; arrays of them are reused row after row.
public struct ColumnValue: Sendable, Hashable {
    /// Where the value starts, behind its length bytes, from the start of the event.
    public var offset: Int32
    /// Its bytes; -1 for NULL, -2 where the image does not have the column.
    public var length: Int32

    /// Makes a place.
    @inlinable public init(offset: Int32, length: Int32) {
        self.offset = offset
        self.length = length
    }

    /// A column that the image does not have.
    public static let absent = ColumnValue(offset: 0, length: -2)

    /// Whether the value is NULL.
    @inlinable public var isNull: Bool { length == -1 }
    /// Whether the image does not have the column.
    @inlinable public var isAbsent: Bool { length == -2 }
    /// Whether there are bytes, though perhaps none.
    @inlinable public var hasValue: Bool { length >= 0 }
}

extension TableMap {
    /// Where an image that starts at `at` ends.
    @inline(__always)
    func skipImage(
        _ columns: RowsEvent.Columns, _ type: EventType, in event: RawSpan, at: Int
    ) throws(BinlogError) -> Int {
        let end = event.byteCount
        let nullBytes = (columns.presentCount + 7) / 8
        guard nullBytes <= end - at else { throw truncated(type, at: at, "the NULL bits of a row") }
        var o = at + nullBytes
        let widths = widthSpan
        var seen = 0
        for i in 0..<widths.count {
            guard columns.isFull || columns.contains(i, in: event) else { continue }
            let isNull = event.u8(at + seen >> 3) & (1 << UInt8(seen & 7)) != 0
            seen += 1
            if isNull { continue }
            let width = Int(widths[i])
            if width >= 0 {
                o += width
            } else {
                guard -width <= end - o else { throw truncated(type, at: o, "a value's length") }
                o += Self.prefix(event, o, width) - width
            }
        }
        guard o <= end else { throw truncated(type, at: end, "a row") }
        return o
    }

    /// The length in front of a value; `width` is minus its bytes, which are known to be there.
    @inline(__always)
    static func prefix(_ event: RawSpan, _ o: Int, _ width: Int) -> Int {
        switch width {
        case -1: Int(event.u8(o))
        case -2: Int(event.u16(o))
        case -3: Int(event.u24(o))
        default: Int(event.u32(o))
        }
    }

    /// Fills in where each column's value is, one entry per column of the table. The array's room
    /// is reused; it allocates only when it is too small.
    ///
    /// - Parameters:
    ///   - offset: where the image starts, as ``RowsEvent/next(in:map:)`` returned it.
    ///   - columns: ``RowsEvent/before`` or ``RowsEvent/after``, whichever the image is.
    ///   - limit: how many of the table's columns are wanted, from the first on; the entries of
    ///     the others stay as they are, with whatever an earlier row has left there.
    @inline(__always)
    public func locate(
        imageAt offset: Int32, columns: RowsEvent.Columns, in event: RawSpan,
        into values: inout [ColumnValue], upTo limit: Int = .max
    ) throws(BinlogError) {
        let count = widths.count
        if values.count != count {
            values = [ColumnValue](repeating: .absent, count: count)
        }
        let at = Int(offset)
        let end = event.byteCount
        let nullBytes = (columns.presentCount + 7) / 8
        guard columns.count == count, at >= 0, end <= Int(Int32.max), nullBytes <= end - at,
            columns.isFull || columns.bitsOffset + (count + 7) / 8 <= end
        else { throw malformed(nil, at: at, "the table map does not fit the row") }
        var o = at + nullBytes
        let widths = widthSpan
        var out = values.mutableSpan
        var seen = 0
        for i in 0..<min(count, limit) {
            guard columns.isFull || columns.contains(i, in: event) else {
                out[i] = .absent
                continue
            }
            let isNull = event.u8(at + seen >> 3) & (1 << UInt8(seen & 7)) != 0
            seen += 1
            if isNull {
                out[i] = ColumnValue(offset: Int32(truncatingIfNeeded: o), length: -1)
                continue
            }
            var length = Int(widths[i])
            if length < 0 {
                guard -length <= end - o else { throw truncated(nil, at: o, "a value's length") }
                let found = Self.prefix(event, o, length)
                o -= length
                length = found
            }
            guard length <= end - o else { throw truncated(nil, at: o, "a value") }
            out[i] = ColumnValue(
                offset: Int32(truncatingIfNeeded: o), length: Int32(truncatingIfNeeded: length))
            o += length
        }
    }
}
