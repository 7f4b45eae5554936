/// How a zone's clocks change in each year, as a file of the zone database ends with it (POSIX's
/// `TZ`, with RFC 8536's hours): `CET-1CEST,M3.5.0,M10.5.0/3`, `EST5`, `<+03>-3`.
struct ZoneRule {
    /// A moment of each year, on the clocks that it changes.
    private struct Moment {
        enum Day {
            /// The n-th weekday of a month, from Sunday on; the fifth is the last.
            case month(Int, week: Int, weekday: Int)
            /// The n-th day of a year, in which no 29th of February is counted.
            case unleaped(Int)
            /// Days behind the 1st of January.
            case counted(Int)
        }

        var day: Day
        /// Seconds behind midnight.
        var time: Int64 = 7200

        /// Seconds since 1970 on these clocks.
        func seconds(_ year: Int) -> Int64 {
            let days: Int
            switch day {
            case .month(let month, let week, let weekday):
                let first = TemporalValue.epochDay(year, month, 1)
                // 1970-01-01 was a Thursday.
                let begin = ((first + 4) % 7 + 7) % 7
                var n = (weekday - begin + 7) % 7 + (week - 1) * 7
                if n >= TemporalValue.daysInMonth(year, month) { n -= 7 }
                days = first + n
            case .unleaped(let n):
                let isLeap = TemporalValue.daysInMonth(year, 2) == 29
                days = TemporalValue.epochDay(year, 1, 1) + n - 1 + (isLeap && n >= 60 ? 1 : 0)
            case .counted(let n): days = TemporalValue.epochDay(year, 1, 1) + n
            }
            return Int64(days) * 86_400 + time
        }
    }

    /// Years that changes are told for. FROM_UNIXTIME() of MySQL ends with it.
    private static let lastYear = 3000

    private var standard: Int64 = 0
    private var summer: (offset: Int64, begin: Moment, end: Moment)?

    private let text: [UInt8]
    private var at = 0

    /// Reads it; `nil` for what is none.
    init?(_ text: [UInt8]) {
        self.text = text
        guard skipName(), let offset = clock(hours: 24) else { return nil }
        // Written to the west.
        standard = -offset
        if at == text.count { return }
        guard skipName() else { return nil }
        var other = standard + 3600
        if !take(",") {
            guard let offset = clock(hours: 24), take(",") else { return nil }
            other = -offset
        }
        guard let begin = moment(), take(","), let end = moment(), at == text.count else {
            return nil
        }
        summer = (other, begin, end)
    }

    /// Adds the changes that follow the last one that is told.
    func extend(_ clock: inout ZoneClock, after last: Int64?) {
        guard let summer else {
            // Without a change there is no other clock than this one.
            if last == nil { clock.change(at: .min, to: standard) }
            return
        }
        let last = last ?? .min
        // The year on the zone's own clocks may be the one before.
        let known = TemporalValue.datetime(epochMicroseconds: max(last, 0) * 1_000_000)?.year
        let begin = min(known ?? Self.lastYear, Self.lastYear) - 1
        for year in begin...Self.lastYear {
            let changes = [
                (at: summer.begin.seconds(year) - standard, to: summer.offset),
                (at: summer.end.seconds(year) - summer.offset, to: standard),
            ].sorted { $0.at < $1.at }
            for change in changes where change.at > last {
                clock.change(at: change.at, to: change.to)
            }
        }
    }

    // MARK: Reading

    private var next: UInt8 { at < text.count ? text[at] : 0 }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    /// A name of the clocks: `CET`, `<+03>`.
    private mutating func skipName() -> Bool {
        let begin = at
        if take("<") {
            while at < text.count, next != UInt8(ascii: ">") { at += 1 }
            return take(">")
        }
        while (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(next | 32) { at += 1 }
        return at > begin
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int? {
        var value = 0
        let begin = at
        while at - begin < 3, (48...57).contains(next) {
            value = value * 10 + Int(next - 48)
            at += 1
        }
        return at > begin && range.contains(value) ? value : nil
    }

    /// Seconds: `[+-]h[:mm[:ss]]`.
    private mutating func clock(hours: Int) -> Int64? {
        let isNegative = take("-")
        if !isNegative { _ = take("+") }
        guard let hours = number(0...hours) else { return nil }
        var seconds = hours * 3600
        if take(":") {
            guard let minutes = number(0...59) else { return nil }
            seconds += minutes * 60
            if take(":") {
                guard let rest = number(0...59) else { return nil }
                seconds += rest
            }
        }
        return Int64(isNegative ? -seconds : seconds)
    }

    private mutating func moment() -> Moment? {
        var moment: Moment
        if take("M") {
            guard let month = number(1...12), take("."), let week = number(1...5), take("."),
                let weekday = number(0...6)
            else { return nil }
            moment = Moment(day: .month(month, week: week, weekday: weekday))
        } else if take("J") {
            guard let day = number(1...365) else { return nil }
            moment = Moment(day: .unleaped(day))
        } else {
            guard let day = number(0...365) else { return nil }
            moment = Moment(day: .counted(day))
        }
        if take("/") {
            guard let time = clock(hours: 167) else { return nil }
            moment.time = time
        }
        return moment
    }
}
