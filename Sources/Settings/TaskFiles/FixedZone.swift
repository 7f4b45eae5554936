/// A time zone whose clocks are always as far from UTC.
public struct FixedZone: Sendable, Hashable {
    /// Seconds that its clocks are ahead of UTC.
    public let offset: Int

    /// UTC's own names, as servers and zone tables have them.
    private static let universal: Set<String> = [
        "utc", "gmt", "uct", "zulu", "etc/utc", "etc/gmt", "etc/uct", "etc/zulu",
    ]

    /// Reads `+08:00`, or a name of UTC; `nil` for zones whose clocks may change, and what is none.
    public init?(_ text: String) {
        if Self.universal.contains(text.lowercased()) {
            offset = 0
            return
        }
        let parts = text.dropFirst().split(separator: ":", omittingEmptySubsequences: false)
        guard let sign = text.first, sign == "+" || sign == "-", parts.count == 2,
            (1...2).contains(parts[0].utf8.count), parts[1].utf8.count == 2,
            parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let hours = Int(parts[0]), let minutes = Int(parts[1]), minutes < 60,
            // As far as servers go.
            hours * 60 + minutes <= 14 * 60
        else { return nil }
        offset = (sign == "-" ? -1 : 1) * (hours * 60 + minutes) * 60
    }
}
