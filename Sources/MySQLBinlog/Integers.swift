extension ColumnLayout {
    /// A whole number of a TINY, SHORT, INT24, LONG, LONGLONG, YEAR, ENUM, SET or BIT column.
    /// Unsigned values of 64 bits come as their bit pattern.
    @inline(__always)
    public func integer(
        _ event: RawSpan, _ value: ColumnValue, isUnsigned: Bool
    ) throws(BinlogError) -> Int64 {
        let o = try check(event, value)
        switch type {
        case .tiny:
            return isUnsigned ? Int64(event.u8(o)) : Int64(Int8(bitPattern: event.u8(o)))
        case .short:
            return isUnsigned ? Int64(event.u16(o)) : Int64(Int16(bitPattern: event.u16(o)))
        case .int24:
            let raw = event.u24(o)
            return isUnsigned ? Int64(raw) : Int64(Int32(bitPattern: raw << 8) >> 8)
        case .long:
            return isUnsigned ? Int64(event.u32(o)) : Int64(Int32(bitPattern: event.u32(o)))
        case .longlong:
            return Int64(bitPattern: event.u64(o))
        case .year:
            let year = event.u8(o)
            return year == 0 ? 0 : 1900 + Int64(year)
        case .enum, .set:
            return Int64(bitPattern: event.little(o, Int(value.length)))
        case .bit:
            return Int64(bitPattern: event.big(o, Int(value.length)))
        default:
            throw malformed(nil, at: o, "a column that is not whole-numbered was read as integer")
        }
    }

    /// A FLOAT column's value.
    public func float(_ event: RawSpan, _ value: ColumnValue) throws(BinlogError) -> Float {
        let o = try check(event, value)
        guard type == .float else { throw malformed(nil, at: o, "not a FLOAT column") }
        return Float(bitPattern: event.u32(o))
    }

    /// A DOUBLE column's value.
    public func double(_ event: RawSpan, _ value: ColumnValue) throws(BinlogError) -> Double {
        let o = try check(event, value)
        guard type == .double else { throw malformed(nil, at: o, "not a DOUBLE column") }
        return Double(bitPattern: event.u64(o))
    }

    /// Checks that a value is inside the event and as long as its type says; returns its start.
    @inline(__always)
    func check(_ event: RawSpan, _ value: ColumnValue) throws(BinlogError) -> Int {
        let length = Int(value.length)
        guard event.has(Int(value.offset), length), width < 0 || length == Int(width) else {
            throw malformed(nil, at: Int(value.offset), "a value is not where its row says")
        }
        return Int(value.offset)
    }
}
