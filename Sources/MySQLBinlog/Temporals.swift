public import MySQLCore

/// A point in time of a TIMESTAMP column, which has no time zone but UTC.
public struct TimestampValue: Sendable, Hashable {
    /// Seconds since 1970; 0 is the "zero" timestamp. Up to 2106 (MariaDB 11.5 and later).
    public var seconds: UInt32
    /// Microseconds.
    public var microseconds: UInt32
}

extension ColumnLayout {
    /// A TIMESTAMP column's value.
    public func timestamp(
        _ event: RawSpan, _ value: ColumnValue
    ) throws(BinlogError) -> TimestampValue {
        let o = try check(event, value)
        switch type {
        case .timestamp: return TimestampValue(seconds: event.u32(o), microseconds: 0)
        case .timestamp2:
            return TimestampValue(
                seconds: UInt32(truncatingIfNeeded: event.big(o, 4)),
                microseconds: try fraction(event, o + 4))
        default: throw malformed(nil, at: o, "not a TIMESTAMP column")
        }
    }

    /// Microseconds from the 0 to 3 bytes of a fraction, which count in 1/100, 1/10^4 or 1/10^6.
    @inline(__always)
    private func fraction(_ event: RawSpan, _ o: Int) throws(BinlogError) -> UInt32 {
        let bytes = (decimals + 1) / 2
        return try Self.microseconds(event.big(o, bytes), bytes: bytes, at: o)
    }

    @inline(__always)
    private static func microseconds(
        _ raw: UInt64, bytes: Int, at o: Int
    ) throws(BinlogError) -> UInt32 {
        let unit: UInt64 = bytes == 1 ? 10_000 : bytes == 2 ? 100 : 1
        guard raw * unit < 1_000_000 else {
            throw malformed(nil, at: o, "a fraction of a second exceeds a second")
        }
        return UInt32(truncatingIfNeeded: raw * unit)
    }

    /// Appends a value of any DATE, TIME, DATETIME, TIMESTAMP or YEAR column; the value's place has
    /// been checked.
    @inline(__always)
    func appendTemporal(
        _ event: RawSpan, _ o: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        switch type {
        case .date, .newdate:
            let raw = UInt64(event.u24(o))
            out.appendDate(year: raw >> 9, month: raw >> 5 & 15, day: raw & 31)
        case .year:
            let year = event.u8(o)
            out.appendPadded(year == 0 ? 0 : 1900 + UInt64(year), width: 4)
        case .time:
            let raw = Int32(bitPattern: event.u24(o) << 8) >> 8
            let v = UInt64(raw.magnitude)
            out.appendTime(
                isNegative: raw < 0, hour: v / 10_000, minute: v / 100 % 100, second: v % 100)
        case .datetime: try appendOldDatetime(event.u64(o), at: o, into: &out)
        case .timestamp, .timestamp2:
            let place = ColumnValue(
                offset: Int32(truncatingIfNeeded: o), length: Int32(width))
            let value = try timestamp(event, place)
            out.appendTimestamp(value, decimals: type == .timestamp ? 0 : decimals)
        case .datetime2:
            // 1 bit sign (always 1), 17 bits year * 13 + month, 5 day, 5 hour, 6 minute, 6 second.
            let raw = event.big(o, 5) & 0x7F_FFFF_FFFF
            out.appendDateTime(packed: raw)
            out.appendFraction(try fraction(event, o + 5), decimals: decimals)
        case .time2: try appendTime2(event, o, into: &out)
        default: throw malformed(nil, at: o, "not a column of a time type")
        }
    }

    private func appendOldDatetime(
        _ raw: UInt64, at o: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        let date = raw / 1_000_000
        guard date <= 99_991_231 else { throw malformed(nil, at: o, "a DATETIME is out of range") }
        out.appendDate(year: date / 10_000, month: date / 100 % 100, day: date % 100)
        out.append(UInt8(ascii: " "))
        out.appendTime(
            isNegative: false, hour: raw / 10_000 % 100, minute: raw / 100 % 100,
            second: raw % 100)
    }

    /// The number is stored with an offset that makes it positive. In negative times with a
    /// fraction, whole and fraction are one negative number.
    private func appendTime2(
        _ event: RawSpan, _ o: Int, into out: inout ByteBuffer
    ) throws(BinlogError) {
        let bytes = (decimals + 1) / 2
        let shift = UInt64(8 * bytes)
        let raw = Int64(event.big(o, 3 + bytes)) - 0x800000 << Int64(shift)
        let magnitude = raw.magnitude
        let whole = magnitude >> shift
        let rest = magnitude & (1 << shift - 1)
        out.appendTime(
            isNegative: raw < 0, hour: whole >> 12 & 0x3FF, minute: whole >> 6 & 63,
            second: whole & 63)
        out.appendFraction(
            try Self.microseconds(rest, bytes: bytes, at: o), decimals: decimals)
    }
}

extension ByteBuffer {
    /// Appends `2026-01-31`.
    @inline(__always)
    mutating func appendDate(year: UInt64, month: UInt64, day: UInt64) {
        appendPadded(year, width: 4)
        append(UInt8(ascii: "-"))
        appendPadded(month, width: 2)
        append(UInt8(ascii: "-"))
        appendPadded(day, width: 2)
    }

    /// Appends `-838:59:59`.
    @inline(__always)
    mutating func appendTime(isNegative: Bool, hour: UInt64, minute: UInt64, second: UInt64) {
        if isNegative { append(UInt8(ascii: "-")) }
        appendPadded(hour, width: 2)
        append(UInt8(ascii: ":"))
        appendPadded(minute, width: 2)
        append(UInt8(ascii: ":"))
        appendPadded(second, width: 2)
    }

    /// Appends date and time of the packed form that DATETIME columns and JSON share.
    @inline(__always)
    mutating func appendDateTime(packed raw: UInt64) {
        let yearMonth = raw >> 22
        appendDate(year: yearMonth / 13, month: yearMonth % 13, day: raw >> 17 & 31)
        append(UInt8(ascii: " "))
        appendTime(
            isNegative: false, hour: raw >> 12 & 31, minute: raw >> 6 & 63, second: raw & 63)
    }

    /// Appends the first `decimals` of six digits behind a point; nothing for 0.
    @inline(__always)
    mutating func appendFraction(_ microseconds: UInt32, decimals: Int) {
        guard decimals > 0 else { return }
        append(UInt8(ascii: "."))
        var value = UInt64(microseconds)
        for _ in decimals..<6 { value /= 10 }
        appendPadded(value, width: decimals)
    }

    /// Appends a TIMESTAMP in UTC as `2026-01-31 12:34:56.000000`, with `decimals` digits behind
    /// the point; the zero timestamp as the server does, with zeros for the date.
    public mutating func appendTimestamp(_ value: TimestampValue, decimals: Int) {
        if value.seconds == 0, value.microseconds == 0 {
            append("0000-00-00 00:00:00")
            return appendFraction(0, decimals: decimals)
        }
        let seconds = UInt64(value.seconds)
        // Days since 0000-03-01, in eras of 400 years; years start in March, so that the leap day
        // is their last.
        let days = seconds / 86_400 + 719_468
        let dayOfEra = days % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + days / 146_097 * 400 + (month <= 2 ? 1 : 0)
        appendDate(year: year, month: month, day: dayOfYear - (153 * shifted + 2) / 5 + 1)
        append(UInt8(ascii: " "))
        let time = seconds % 86_400
        appendTime(
            isNegative: false, hour: time / 3600, minute: time / 60 % 60, second: time % 60)
        appendFraction(value.microseconds, decimals: decimals)
    }
}
