internal import MySQLBinlog
internal import MySQLCore

/// Values of a row's columns.
extension RowEvaluator {
    /// Where the column's value is.
    @inline(__always)
    private func locate(
        _ index: Int, _ row: RowView
    ) throws(ExpressionFailure) -> ColumnValue {
        let column = row.columns[index].index
        guard column < row.values.count, column < row.layouts.count else { throw missing(index) }
        let place = row.values[column]
        if place.isAbsent { throw absent(index) }
        return place
    }

    @inline(never)
    private func missing(_ index: Int) -> ExpressionFailure {
        .malformed("the column '\(program.names[index])' is missing")
    }

    @inline(never)
    private func absent(_ index: Int) -> ExpressionFailure { .absentColumn(program.names[index]) }

    func isNull(column index: Int, _ row: RowView) throws(ExpressionFailure) -> Bool {
        try locate(index, row).isNull
    }

    /// A column's value.
    mutating func column(
        _ index: Int, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        let place = try locate(index, row)
        if place.isNull { return .null }
        let column = row.columns[index]
        let layout = row.layouts[column.index]
        do throws(BinlogError) {
            return try read(column, layout, place, event)
        } catch {
            throw .malformed(error.description)
        }
    }

    /// The instant that a TIMESTAMP column holds, in microseconds since 1970, when the part is such
    /// a column; `nil` for NULL and for any other part.
    func instant(
        _ index: Int, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> (microseconds: Int64, decimals: UInt8)? {
        let step = row.steps[index]
        guard step.operation == .column else { return nil }
        let column = row.columns[Int(step.index)]
        guard case .timestamp = column.reading else { return nil }
        let place = try locate(Int(step.index), row)
        if place.isNull { return nil }
        do throws(BinlogError) {
            let value = try row.layouts[column.index].timestamp(event, place)
            return (
                Int64(value.seconds) * 1_000_000 + Int64(value.microseconds), column.decimals
            )
        } catch {
            throw .malformed(error.description)
        }
    }

    private mutating func read(
        _ column: ExpressionColumn, _ layout: ColumnLayout, _ place: ColumnValue,
        _ event: RawSpan
    ) throws(BinlogError) -> ExpressionValue {
        let isUnsigned = column.isUnsigned
        switch column.reading {
        case .integer:
            let value = try layout.integer(event, place, isUnsigned: isUnsigned)
            return isUnsigned || layout.type == .year
                ? .unsigned(UInt64(bitPattern: value)) : .signed(value)
        case .bit:
            return .unsigned(
                UInt64(bitPattern: try layout.integer(event, place, isUnsigned: true)))
        case .float: return .double(Double(try layout.float(event, place)))
        case .double: return .double(try layout.double(event, place))
        case .decimal:
            let text = try rendered(layout, place, event)
            return .decimal(
                FixedDecimal(decimalDigits(text), scale: layout.decimals))
        case .temporal(let kind): return try readTemporal(kind, column, layout, place, event)
        case .timestamp:
            let decimals = column.decimals
            let value = try layout.timestamp(event, place)
            if value.seconds == 0, value.microseconds == 0 {
                return .temporal(TemporalValue(kind: .datetime, packed: 0, decimals: decimals))
            }
            let seconds = Int64(value.seconds)
            let micro =
                (seconds + program.clock.offset(at: seconds)) * 1_000_000
                + Int64(value.microseconds)
            let time = TemporalValue.datetime(epochMicroseconds: micro, decimals: decimals)
            return time.map { .temporal($0) } ?? .null
        case .plain: return .text(inEvent(place))
        case .padded(let length):
            if Int(place.length) >= length { return .text(inEvent(place)) }
            let start = buffer.count
            append(inEvent(place), event)
            for _ in Int(place.length)..<length { buffer.append(0) }
            return .text(made(from: start))
        case .latin1: return .text(latin1(inEvent(place), event))
        case .rendered: return .text(try rendered(layout, place, event))
        case .enumeration(let list):
            let members = program.members[list]
            let number = Int(try layout.integer(event, place, isUnsigned: true))
            guard 1...members.count ~= number else {
                return .member(0, TextPlace(isInEvent: false, offset: 0, length: 0))
            }
            return .member(UInt64(number), members[number - 1])
        case .set(let list):
            let members = program.members[list]
            let bits = UInt64(bitPattern: try layout.integer(event, place, isUnsigned: true))
            let start = buffer.count
            for (i, member) in members.enumerated() where bits >> UInt64(i) & 1 != 0 {
                if buffer.count > start { buffer.append(UInt8(ascii: ",")) }
                append(member, event)
            }
            return .member(bits, made(from: start))
        case .opaque: return .signed(0)
        }
    }

    /// The digits of a decimal's text as one number; nearly all fit 64 bits, which is faster.
    private func decimalDigits(_ text: TextPlace) -> Int128 {
        let bytes = buffer.bytes
        var low: UInt64 = 0
        var high: Int128 = 0
        var isNegative = false
        var count = 0
        for i in text.offset..<(text.offset + text.length) {
            let c = unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self)
            if c == UInt8(ascii: "-") {
                isNegative = true
            } else if c != UInt8(ascii: ".") {
                low = low &* 10 &+ UInt64(c &- 48)
                count += 1
            }
        }
        if count <= 18 {
            high = Int128(low)
        } else {
            for i in text.offset..<(text.offset + text.length) {
                let c = unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self)
                if 48...57 ~= c { high = high &* 10 &+ Int128(c &- 48) }
            }
        }
        return isNegative ? -high : high
    }

    /// DATE and DATETIME without a way over text; `nil` for layouts that need one.
    private func direct(
        _ kind: TemporalValue.Kind, _ layout: ColumnLayout, _ place: ColumnValue,
        _ decimals: UInt8, _ event: RawSpan
    ) -> TemporalValue? {
        let width = Int(layout.width)
        let at = Int(place.offset)
        guard width > 0, Int(place.length) == width, at >= 0, at + width <= event.byteCount else {
            return nil
        }
        func byte(_ i: Int) -> Int64 {
            Int64(unsafe event.unsafeLoad(fromByteOffset: at + i, as: UInt8.self))
        }
        switch layout.type {
        case .date, .newdate:
            let raw = byte(0) | byte(1) << 8 | byte(2) << 16
            return TemporalValue(
                .date, year: Int(raw >> 9), month: Int(raw >> 5 & 15), day: Int(raw & 31))
        case .datetime2 where width == 5 && kind == .datetime:
            // The same fields in the same bits as here, but for the sign.
            var raw: Int64 = 0
            for i in 0..<5 { raw = raw << 8 | byte(i) }
            return TemporalValue(
                kind: .datetime, packed: (raw & 0x7F_FFFF_FFFF) << 24, decimals: decimals)
        default: return nil
        }
    }

    private func inEvent(_ place: ColumnValue) -> TextPlace {
        TextPlace(isInEvent: true, offset: Int(place.offset), length: Int(place.length))
    }

    func made(from start: Int) -> TextPlace {
        TextPlace(isInEvent: false, offset: start, length: buffer.count - start)
    }

    private mutating func rendered(
        _ layout: ColumnLayout, _ place: ColumnValue, _ event: RawSpan
    ) throws(BinlogError) -> TextPlace {
        let start = buffer.count
        try layout.appendText(event, place, isUnsigned: false, into: &buffer)
        return made(from: start)
    }

    private mutating func readTemporal(
        _ kind: TemporalValue.Kind, _ column: ExpressionColumn, _ layout: ColumnLayout,
        _ place: ColumnValue, _ event: RawSpan
    ) throws(BinlogError) -> ExpressionValue {
        let decimals = column.decimals
        if let value = direct(kind, layout, place, decimals, event) { return .temporal(value) }
        let text = try rendered(layout, place, event)
        let digits = bytes(text, event)
        // Plain digits in fixed places, zero dates included, which a parser would refuse.
        var fields: [Int] = []
        fields.reserveCapacity(7)
        var value = 0
        var hasDigits = false
        var micro = 0
        var isNegative = false
        for (i, c) in digits.enumerated() {
            if c == UInt8(ascii: "."), kind != .date {
                var unit = 100_000
                for d in digits[(i + 1)...] {
                    micro += Int(d - 48) * unit
                    unit /= 10
                }
                break
            }
            if 48...57 ~= c {
                value = value * 10 + Int(c - 48)
                hasDigits = true
            } else if hasDigits {
                fields.append(value)
                value = 0
                hasDigits = false
            } else {
                isNegative = true
            }
        }
        fields.append(value)
        func field(_ i: Int) -> Int { i < fields.count ? fields[i] : 0 }
        switch kind {
        case .time:
            return .temporal(
                TemporalValue(
                    .time, hour: field(0), minute: field(1), second: field(2), microsecond: micro,
                    isNegative: isNegative, decimals: decimals))
        default:
            return .temporal(
                TemporalValue(
                    kind, year: field(0), month: field(1), day: field(2), hour: field(3),
                    minute: field(4), second: field(5), microsecond: micro, decimals: decimals))
        }
    }

    /// MySQL's latin1, which is code page 1252, as UTF-8; plain where it is ASCII.
    private mutating func latin1(_ place: TextPlace, _ event: RawSpan) -> TextPlace {
        var isASCII = true
        for i in 0..<place.length where byte(place, i, event) >= 0x80 { isASCII = false }
        if isASCII { return place }
        let start = buffer.count
        for i in 0..<place.length {
            let c = byte(place, i, event)
            append(scalar: 0x80..<0xA0 ~= c ? Self.codePage[Int(c) - 0x80] : UInt32(c))
        }
        return made(from: start)
    }

    /// What code page 1252 has between 0x80 and 0x9F; five places are themselves.
    private static let codePage: [UInt32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013,
        0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
    ]
}
