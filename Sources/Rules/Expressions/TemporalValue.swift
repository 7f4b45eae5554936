/// A DATE, DATETIME (or TIMESTAMP in the session's time zone) or TIME.
struct TemporalValue: Sendable, Hashable {
    enum Kind: UInt8, Sendable { case date, datetime, time }

    var kind: Kind
    /// Digits behind the second that its type has.
    var decimals: UInt8 = 0
    /// Fields, each in bits above the next one's: year and month (13 to the year), day, hour,
    /// minute, second, microsecond. Comparing numbers compares times; negative for negative TIMEs.
    var packed: Int64

    init(kind: Kind, packed: Int64, decimals: UInt8 = 0) {
        self.kind = kind
        self.packed = packed
        self.decimals = decimals
    }

    init(
        _ kind: Kind, year: Int = 0, month: Int = 0, day: Int = 0, hour: Int = 0, minute: Int = 0,
        second: Int = 0, microsecond: Int = 0, isNegative: Bool = false, decimals: UInt8 = 0
    ) {
        let days = (Int64(year) * 13 + Int64(month)) << 5 | Int64(day)
        let clock = Int64(hour) << 12 | Int64(minute) << 6 | Int64(second)
        let all = (days << 17 + clock) << 24 + Int64(microsecond)
        self.init(kind: kind, packed: isNegative ? -all : all, decimals: decimals)
    }

    private var bits: Int64 { packed < 0 ? -packed : packed }
    var isNegative: Bool { packed < 0 }
    var year: Int { kind == .time ? 0 : Int((bits >> 46) / 13) }
    var month: Int { kind == .time ? 0 : Int((bits >> 46) % 13) }
    var day: Int { kind == .time ? 0 : Int(bits >> 41 & 31) }
    var hour: Int { Int(bits >> 36 & (kind == .time ? 0x3FF : 31)) }
    var minute: Int { Int(bits >> 30 & 63) }
    var second: Int { Int(bits >> 24 & 63) }
    var microsecond: Int { Int(bits & 0xFF_FFFF) }

    /// The day alone.
    var date: TemporalValue {
        TemporalValue(kind: .date, packed: (packed >> 41) << 41)
    }

    /// As a number: `20260131`, `20260131123456`, `123456`, without the fraction.
    var number: Int64 {
        let days = Int64(year * 10_000 + month * 100 + day)
        let clock = Int64(hour * 10_000 + minute * 100 + second)
        let all = kind == .date ? days : days * 1_000_000 + clock
        return isNegative ? -all : all
    }

    /// Whether no day of a calendar is meant: a month or day of zero.
    var isIncomplete: Bool { kind != .time && (month == 0 || day == 0) }

    /// Days since 1970-01-01, for complete dates.
    var epochDay: Int { Self.epochDay(year, month, day) }

    /// Microseconds since 1970-01-01 00:00, for complete dates.
    var epochMicroseconds: Int64 {
        (Int64(epochDay) * 86_400 + Int64(hour * 3600 + minute * 60 + second)) * 1_000_000
            + Int64(microsecond)
    }

    /// Years begin in March here, so that the leap day is their last.
    static func epochDay(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// The date and time of a number of microseconds since 1970; `nil` outside of years 0 to 9999.
    static func datetime(
        epochMicroseconds: Int64, kind: Kind = .datetime, decimals: UInt8 = 0
    ) -> TemporalValue? {
        let seconds = epochMicroseconds.floorDivided(by: 1_000_000)
        let days = seconds.floorDivided(by: 86_400)
        let clock = Int(seconds - days * 86_400)
        let z = Int(days) + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        guard 0...9999 ~= year else { return nil }
        return TemporalValue(
            kind, year: year, month: month, day: dayOfYear - (153 * shifted + 2) / 5 + 1,
            hour: clock / 3600, minute: clock / 60 % 60, second: clock % 60,
            microsecond: Int(epochMicroseconds - seconds * 1_000_000), decimals: decimals)
    }

    static func daysInMonth(_ year: Int, _ month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Reads a date or date with time as the servers do: numbers with any punctuation between
    /// them, or digits alone. `nil` for what they would refuse or warn about.
    init?(dateText text: [UInt8]) {
        let parts = Self.numbers(text)
        guard let parts else { return nil }
        var fields = parts.fields
        if fields.count == 1 {
            let digits = parts.widths[0]
            let value = fields[0]
            switch digits {
            case 8: fields = [value / 10_000, value / 100 % 100, value % 100]
            case 14:
                fields = [
                    value / 10_000_000_000, value / 100_000_000 % 100, value / 1_000_000 % 100,
                    value / 10_000 % 100, value / 100 % 100, value % 100,
                ]
            default: return nil
            }
        } else if parts.widths[0] <= 2 {
            fields[0] += fields[0] < 70 ? 2000 : 1900
        }
        guard fields.count == 3 || fields.count >= 5, fields.count <= 6 else { return nil }
        while fields.count < 6 { fields.append(0) }
        guard fields[0] <= 9999, fields[1] <= 12, fields[3] < 24, fields[4] < 60, fields[5] < 60,
            fields[2] <= (fields[1] == 0 ? 31 : Self.daysInMonth(fields[0], fields[1]))
        else { return nil }
        let isDate = parts.fields.count == 3 || parts.fields.count == 1 && parts.widths[0] == 8
        if isDate, parts.decimals > 0 { return nil }
        self.init(
            isDate ? .date : .datetime, year: fields[0], month: fields[1], day: fields[2],
            hour: fields[3], minute: fields[4], second: fields[5],
            microsecond: parts.microseconds, decimals: UInt8(parts.decimals))
    }

    /// Reads `[-]h:mm[:ss[.ffffff]]`.
    init?(timeText text: [UInt8]) {
        var text = text[...]
        let isNegative = text.first == UInt8(ascii: "-")
        if isNegative { text = text.dropFirst() }
        guard text.contains(UInt8(ascii: ":")), let parts = Self.numbers(Array(text)),
            2...3 ~= parts.fields.count
        else { return nil }
        let fields = parts.fields + [0]
        guard fields[0] <= 838, fields[1] < 60, fields[2] < 60 else { return nil }
        self.init(
            .time, hour: fields[0], minute: fields[1], second: fields[2],
            microsecond: parts.microseconds, isNegative: isNegative,
            decimals: UInt8(parts.decimals))
    }

    /// Digits between punctuation, with the fraction behind the sixth (or third, of a time).
    private static func numbers(
        _ text: [UInt8]
    ) -> (fields: [Int], widths: [Int], microseconds: Int, decimals: Int)? {
        var fields: [Int] = []
        var widths: [Int] = []
        var micro = 0
        var decimals = 0
        var i = 0
        while i < text.count, text[i] == 32 { i += 1 }
        var end = text.count
        while end > i, text[end - 1] == 32 { end -= 1 }
        var isFraction = false
        while i < end {
            var value = 0
            var width = 0
            while i < end, 48...57 ~= text[i] {
                guard width < 14 else { return nil }
                value = value * 10 + Int(text[i] - 48)
                width += 1
                i += 1
            }
            guard width > 0 else { return nil }
            if isFraction {
                guard width <= 6, i == end else { return nil }
                for _ in width..<6 { value *= 10 }
                micro = value
                decimals = width
                break
            }
            fields.append(value)
            widths.append(width)
            if i == end { break }
            let c = text[i]
            guard c == 32 || c == 84 || 33...47 ~= c || 58...64 ~= c else { return nil }
            let isDot = c == UInt8(ascii: ".")
            isFraction = isDot && (fields.count == 6 || fields.count == 1 && widths[0] == 14)
            if isDot, fields.count == 3, text.contains(UInt8(ascii: ":")),
                !text.contains(UInt8(ascii: "-"))
            {
                isFraction = true
            }
            i += 1
            while i < end, text[i] == 32 { i += 1 }
            guard i < end else { return nil }
        }
        return fields.isEmpty ? nil : (fields, widths, micro, decimals)
    }

    /// As the server prints it.
    var description: String {
        func two(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
        let clock = "\(two(hour)):\(two(minute)):\(two(second))"
        let y = String(year)
        let day =
            String(repeating: "0", count: max(0, 4 - y.count)) + y + "-\(two(month))-\(two(day))"
        var out = kind == .date ? day : kind == .time ? clock : day + " " + clock
        if isNegative { out = "-" + out }
        if kind != .date, decimals > 0 {
            let micro = String(microsecond)
            let full = String(repeating: "0", count: 6 - micro.count) + micro
            out += "." + full.prefix(Int(decimals))
        }
        return out
    }
}

extension Int64 {
    /// Quotient, rounded towards minus infinity.
    func floorDivided(by divisor: Int64) -> Int64 {
        let (q, r) = quotientAndRemainder(dividingBy: divisor)
        return r < 0 ? q - 1 : q
    }
}
