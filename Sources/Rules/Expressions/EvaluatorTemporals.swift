/// Functions of dates and times.
extension RowEvaluator {
    /// The value as a date with its time of day; `nil` for what is none.
    private func toDate(_ value: ExpressionValue, _ event: RawSpan) -> TemporalValue? {
        switch value {
        case .temporal(let v): return v.kind == .time ? nil : v
        case .text(let place), .member(_, let place):
            return TemporalValue(dateText: bytes(place, event))
        case .signed, .unsigned:
            let number = toInteger(value, event)
            guard number > 0 else { return nil }
            return TemporalValue(dateText: Array(String(number).utf8))
        default: return nil
        }
    }

    /// The value as a time of day, of dates too.
    private func toTime(_ value: ExpressionValue, _ event: RawSpan) -> TemporalValue? {
        switch value {
        case .temporal(let v): return v
        case .text(let place), .member(_, let place):
            let text = bytes(place, event)
            return TemporalValue(timeText: text) ?? TemporalValue(dateText: text)
        default: return nil
        }
    }

    mutating func temporal(
        _ step: ExpressionStep, _ event: RawSpan, _ row: RowView
    ) throws(ExpressionFailure) -> ExpressionValue {
        // The servers look at the column itself: its local time may have come twice.
        if step.operation == .unixTimestamp,
            let moment = try instant(row.argument(step, 0), event, row)
        {
            return unixTimestamp(moment.microseconds, moment.decimals)
        }
        let a = try value(row.argument(step, 0), event, row)
        if a.isNull { return .null }
        switch step.operation {
        case .hour, .minute, .second, .microsecond, .time: return clock(step, a, event)
        case .fromUnixTime: return fromUnixTime(a, event)
        case .addInterval, .subtractInterval:
            let b = try value(row.argument(step, 1), event, row)
            guard !b.isNull, let date = toDate(a, event) else { return .null }
            return add(step, date, toInteger(b, event))
        case .dateDifference:
            let b = try value(row.argument(step, 1), event, row)
            guard let x = toDate(a, event), let y = toDate(b, event), !x.isIncomplete,
                !y.isIncomplete
            else { return .null }
            return .signed(Int64(x.epochDay - y.epochDay))
        default: break
        }
        guard let date = toDate(a, event) else { return .null }
        switch step.operation {
        case .date, .castDate: return .temporal(date.date)
        case .castDatetime:
            return .temporal(
                TemporalValue(
                    kind: .datetime, packed: date.packed,
                    decimals: UInt8(max(0, min(step.extra, 6)))))
        case .year: return .signed(Int64(date.year))
        case .quarter: return .signed(Int64((date.month + 2) / 3))
        case .month: return .signed(Int64(date.month))
        case .day: return .signed(Int64(date.day))
        case .unixTimestamp: return unixTimestamp(date)
        default: break
        }
        // What follows needs a day of the calendar.
        if date.isIncomplete { return .null }
        switch step.operation {
        case .lastDay:
            return .temporal(
                TemporalValue(
                    .date, year: date.year, month: date.month,
                    day: TemporalValue.daysInMonth(date.year, date.month)))
        case .toDays: return .signed(Int64(date.epochDay + 719_528))
        case .dayOfYear:
            return .signed(
                Int64(date.epochDay - TemporalValue.epochDay(date.year, 1, 1) + 1))
        // 1970-01-01 was a Thursday.
        case .dayOfWeek: return .signed(Int64((date.epochDay + 4 + 7_000_000) % 7 + 1))
        case .weekday: return .signed(Int64((date.epochDay + 3 + 7_000_000) % 7))
        default: return .null
        }
    }

    private func clock(
        _ step: ExpressionStep, _ a: ExpressionValue, _ event: RawSpan
    ) -> ExpressionValue {
        guard let time = toTime(a, event) else { return .null }
        switch step.operation {
        case .hour: return .signed(Int64(time.hour))
        case .minute: return .signed(Int64(time.minute))
        case .second: return .signed(Int64(time.second))
        case .microsecond: return .signed(Int64(time.microsecond))
        default:
            if time.kind == .time { return .temporal(time) }
            return .temporal(
                TemporalValue(
                    .time, hour: time.hour, minute: time.minute, second: time.second,
                    microsecond: time.microsecond, decimals: time.decimals))
        }
    }

    private func unixTimestamp(_ date: TemporalValue) -> ExpressionValue {
        if date.isIncomplete { return outsideOfSeconds(date.decimals) }
        let local = date.epochMicroseconds
        let seconds = local.floorDivided(by: 1_000_000)
        let fraction = local - seconds * 1_000_000
        return unixTimestamp(
            program.clock.instant(ofLocal: seconds) * 1_000_000 + fraction, date.decimals)
    }

    private func unixTimestamp(_ micro: Int64, _ decimals: UInt8) -> ExpressionValue {
        guard micro >= 0, micro.floorDivided(by: 1_000_000) <= program.seconds.last else {
            return outsideOfSeconds(decimals)
        }
        if decimals == 0 {
            return .decimal(FixedDecimal(Int128(micro / 1_000_000)))
        }
        return .decimal(
            FixedDecimal(Int128(micro), scale: 6).rounded(to: Int(decimals), .down))
    }

    /// What a date is that has no seconds since 1970.
    private func outsideOfSeconds(_ decimals: UInt8) -> ExpressionValue {
        program.seconds.isNullOutside
            ? .null : .decimal(FixedDecimal(0, scale: Int(decimals)))
    }

    private func fromUnixTime(_ a: ExpressionValue, _ event: RawSpan) -> ExpressionValue {
        var micro: Int64
        var decimals: UInt8 = 0
        switch toNumber(a, event) {
        case .decimal(let v):
            guard let scaled = v.rounded(to: 6, .half).scaled(to: 6),
                let value = Int64(exactly: scaled.unscaled)
            else { return .null }
            micro = value
            decimals = UInt8(min(v.scale, 6))
        case .double(let v):
            guard v >= 0, v < 0x1p40 else { return .null }
            micro = Int64((v * 1_000_000).rounded())
            decimals = 6
        default:
            let seconds = toInteger(a, event)
            guard seconds >= 0, seconds <= Int128(program.seconds.last) else { return .null }
            micro = Int64(seconds) * 1_000_000
        }
        guard micro >= 0, micro.floorDivided(by: 1_000_000) <= program.seconds.last else {
            return .null
        }
        micro += program.clock.offset(at: micro.floorDivided(by: 1_000_000)) * 1_000_000
        guard let value = TemporalValue.datetime(epochMicroseconds: micro, decimals: decimals)
        else { return .null }
        return .temporal(value)
    }

    /// Adds an interval; NULL outside of the calendar.
    private func add(
        _ step: ExpressionStep, _ date: TemporalValue, _ count: Int128
    ) -> ExpressionValue {
        guard count.magnitude < 1 << 60, !date.isIncomplete else { return .null }
        let n = step.operation == .addInterval ? Int64(count) : -Int64(count)
        // In the order of ``ExpressionCompiler/interval``.
        let units: [Int64] = [
            1, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000, 604_800_000_000,
        ]
        if Int(step.index) < units.count {
            let (shift, overflow) = n.multipliedReportingOverflow(by: units[Int(step.index)])
            guard !overflow, shift.magnitude < 1 << 60 else { return .null }
            let isClock = step.index < 4
            let kind = isClock ? .datetime : date.kind
            let decimals = step.index == 0 ? 6 : date.decimals
            guard
                let value = TemporalValue.datetime(
                    epochMicroseconds: date.epochMicroseconds + shift, kind: kind,
                    decimals: decimals)
            else { return .null }
            return .temporal(value)
        }
        guard n.magnitude < 200_000 else { return .null }
        let months = Int(n) * [1, 3, 12][Int(step.index) - units.count]
        let total = date.year * 12 + date.month - 1 + months
        guard 0..<120_000 ~= total else { return .null }
        let (year, month) = (total / 12, total % 12 + 1)
        return .temporal(
            TemporalValue(
                date.kind, year: year, month: month,
                day: min(date.day, TemporalValue.daysInMonth(year, month)), hour: date.hour,
                minute: date.minute, second: date.second, microsecond: date.microsecond,
                decimals: date.decimals))
    }
}
