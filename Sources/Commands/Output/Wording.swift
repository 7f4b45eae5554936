internal import Glibc

/// Numbers as people read them. The decimal point is a point, groups are separated by commas,
/// in every locale: logs and screenshots must mean the same everywhere.
enum Wording {
    /// `1,234,567`.
    static func count(_ n: UInt64) -> String {
        var out: [Character] = []
        for (i, digit) in String(n).reversed().enumerated() {
            if i > 0, i % 3 == 0 { out.append(",") }
            out.append(digit)
        }
        return String(out.reversed())
    }

    /// `987`, `45.2 k`, `1.23 M`: three digits.
    static func roughCount(_ n: Double) -> String {
        scaled(n, base: 1000, units: ["", " k", " M", " G", " T"])
    }

    /// `512 B`, `23.4 MiB`.
    static func bytes(_ n: Double) -> String {
        scaled(n, base: 1024, units: [" B", " KiB", " MiB", " GiB", " TiB", " PiB"])
    }

    /// `12 ms`, `3.4 s`, `2 min 5 s`.
    static func lag(milliseconds: Int64) -> String {
        switch milliseconds {
        case ..<10_000 where milliseconds > 999 || milliseconds < -999:
            fixed(Double(milliseconds) / 1000, 1) + " s"
        case ..<10_000: "\(milliseconds) ms"
        default: span(seconds: milliseconds / 1000)
        }
    }

    /// `45 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`: two units at most.
    static func span(seconds: Int64) -> String {
        let units: [(Int64, String)] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")]
        guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0 s" }
        let large = "\(seconds / units[first].0) \(units[first].1)"
        let rest = seconds % units[first].0
        guard first + 1 < units.count, rest / units[first + 1].0 > 0 else { return large }
        return "\(large) \(rest / units[first + 1].0) \(units[first + 1].1)"
    }

    /// A span that is only guessed, rounded to what the guess can bear: `5 s`, `40 s`,
    /// `4 min`, `2 h 10 min`.
    static func roughSpan(seconds: Int64) -> String {
        let step: Int64 =
            switch seconds {
            case ..<10: 1
            case ..<120: 10
            case ..<3600: 60
            case ..<36_000: 600
            default: 3600
            }
        return span(seconds: max(1, (seconds + step / 2) / step * step))
    }

    /// `0:42`, `12:05`, `3:12:05`.
    static func clock(seconds: Int64) -> String {
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
        func two(_ n: Int64) -> String { n < 10 ? "0\(n)" : "\(n)" }
        return h > 0 ? "\(h):\(two(m)):\(two(s))" : "\(m):\(two(s))"
    }

    /// A number with a fixed number of decimals.
    static func fixed(_ n: Double, _ decimals: Int) -> String {
        var factor = 1.0
        for _ in 0..<decimals { factor *= 10 }
        let scaled = Int64((abs(n) * factor).rounded())
        let sign = n < 0 && scaled > 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % Int64(factor))
        let padded = String(repeating: "0", count: decimals - fraction.count) + fraction
        return "\(sign)\(scaled / Int64(factor)).\(padded)"
    }

    /// `2026-11-21T00:17:15Z`.
    static func utc(microseconds: Int64) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ n: Int32) -> String { n < 10 ? "0\(n)" : "\(n)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }

    private static func scaled(_ n: Double, base: Double, units: [String]) -> String {
        var value = max(0, n.isFinite ? n : 0)
        var unit = 0
        while value >= 999.5, unit + 1 < units.count {
            value /= base
            unit += 1
        }
        let decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        return fixed(value, decimals) + units[unit]
    }
}
