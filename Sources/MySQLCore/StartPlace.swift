/// A moment as people write it: with a zone, or on the clock of whoever it is told to.
public enum StartTime: Sendable, Hashable, CustomStringConvertible {
    /// Seconds since 1970.
    case instant(Int64)
    /// `2026-05-01 10:00:00`, on the server's clock.
    case local(String)

    /// Parses `2026-05-01 10:00:00` or `2026-05-01T10:00:00`, with `Z`, `+02:00` or no zone behind;
    /// `nil` for anything else, days that no calendar has included.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 19, bytes[4] == 0x2D, bytes[7] == 0x2D,
            bytes[10] == 0x20 || bytes[10] == 0x54, bytes[13] == 0x3A, bytes[16] == 0x3A
        else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var out: Int64 = 0
            for byte in bytes[range] {
                guard (48...57).contains(byte) else { return nil }
                out = out * 10 + Int64(byte - 48)
            }
            return out
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1970...9999).contains(year), (1...12).contains(month), hour < 24, minute < 60,
            second < 60, day >= 1, day <= Self.days(month, year)
        else { return nil }
        let zone = bytes[19...]
        if zone.isEmpty {
            self = .local(
                String(decoding: bytes[..<10], as: UTF8.self) + " "
                    + String(decoding: bytes[11...], as: UTF8.self))
            return
        }
        var offset: Int64 = 0
        if zone.elementsEqual([0x5A]) {
            offset = 0
        } else if zone.count == 6, zone.first == 0x2B || zone.first == 0x2D,
            zone[zone.startIndex + 3] == 0x3A, let hours = number(20..<22),
            let minutes = number(23..<25), hours <= 14, minutes < 60
        {
            offset = (hours * 3600 + minutes * 60) * (zone.first == 0x2D ? -1 : 1)
        } else {
            return nil
        }
        let clock = hour * 3600 + minute * 60 + second
        self = .instant(Self.daysSince1970(year, month, day) * 86_400 + clock - offset)
    }

    private static func days(_ month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        var out = day - 1
        for m in 1..<month { out += days(m, year) }
        let before = year - 1
        // Leap years up to 1969: 477.
        return out + (year - 1970) * 365 + before / 4 - before / 100 + before / 400 - 477
    }

    /// As it can be written.
    public var description: String {
        guard case .instant(let seconds) = self else {
            if case .local(let text) = self { return text }
            return ""
        }
        var day = seconds / 86_400
        let clock = seconds % 86_400
        var year: Int64 = 1970
        var month: Int64 = 1
        while day >= 365 + (Self.days(2, year) - 28) {
            day -= 365 + (Self.days(2, year) - 28)
            year += 1
        }
        while day >= Self.days(month, year) {
            day -= Self.days(month, year)
            month += 1
        }
        func two(_ n: Int64) -> String { n < 10 ? "0\(n)" : "\(n)" }
        return "\(year)-\(two(month))-\(two(day + 1))T\(two(clock / 3600)):"
            + "\(two(clock / 60 % 60)):\(two(clock % 60))Z"
    }
}

/// Where a migration of changes alone begins.
public enum StartPlace: Sendable, Hashable, CustomStringConvertible {
    /// Where the source's binlog ends when the migration is started for the first time.
    case now
    /// Between two transactions of a binlog file.
    case position(BinlogPosition)
    /// Behind the transactions of a GTID set, as text: what it means depends on the server.
    case gtids(String)
    /// Behind a GTID set where the source has GTIDs, else at a position.
    case either(gtids: String, position: BinlogPosition)
    /// With the first transaction that was committed then or later.
    case time(StartTime)

    /// For people.
    public var description: String {
        switch self {
        case .now: "now"
        case .position(let position): position.description
        case .gtids(let set): set
        case .either(let set, let position): "\(set) or \(position)"
        case .time(let time): time.description
        }
    }
}
