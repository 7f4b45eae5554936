public import MySQLCore

extension ColumnLayout {
    /// Appends a value's plain text, as a SELECT in UTC prints it, without quotes or escapes.
    ///
    /// * FLOAT and DOUBLE have the fewest digits that read back as the same number.
    /// * ENUM and SET are their ordinal and their bits: the members' names are in the table's
    ///   shape.
    /// * Texts, bytes, BIT, geometries and vectors are their bytes as they are. BINARY(n) comes
    ///   without the zero bytes at its end, as the source logs it; ``length`` says how many there
    ///   should be.
    /// * JSON is the text that MySQL prints; MariaDB's JSON columns are texts anyway.
    ///
    /// - Parameters:
    ///   - value: a place that ``TableMap/locate(imageAt:columns:in:into:upTo:)`` found, with a
    ///     value.
    ///   - isUnsigned: what the table's shape says of the column; rows do not tell.
    @inline(__always)
    public func appendText(
        _ event: RawSpan, _ value: ColumnValue, isUnsigned: Bool, into out: inout ByteBuffer
    ) throws(BinlogError) {
        let o = try check(event, value)
        switch type {
        case .tiny, .short, .int24, .long, .longlong, .enum, .set:
            let number = try integer(event, value, isUnsigned: isUnsigned)
            if isUnsigned || type == .enum || type == .set {
                out.appendDecimal(UInt64(bitPattern: number))
            } else {
                out.appendDecimal(number)
            }
        case .float: out.appendFloat(Float(bitPattern: event.u32(o)))
        case .double: out.appendDouble(Double(bitPattern: event.u64(o)))
        case .newdecimal:
            try MySQLBinlog.appendDecimal(
                event, o, precision: Int(metadata >> 8), scale: decimals, into: &out)
        case .timestamp, .date, .time, .datetime, .year, .newdate, .timestamp2, .datetime2, .time2:
            try appendTemporal(event, o, into: &out)
        case .json: try appendJSON(event, o, Int(value.length), into: &out)
        case .blobCompressed, .varcharCompressed:
            try appendDecompressed(event, o, Int(value.length), into: &out)
        case .varchar, .varString, .string, .tinyBlob, .mediumBlob, .longBlob, .blob, .bit,
            .geometry, .vector:
            out.append(event, o, Int(value.length))
        case .null:
            break
        }
    }
}
