/// A number of bytes as people write it: `128MiB`, `8 MB`, `65536`.
public struct ByteSize: Sendable, Hashable, CustomStringConvertible {
    /// The bytes.
    public let bytes: Int

    /// Wraps a number of bytes.
    public init(bytes: Int) { self.bytes = bytes }

    /// Parses a whole number with a unit: `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024), `kB`,
    /// `MB`, `GB`, `TB` (powers of 1000), `B` or none; a lone `K`, `M`, `G`, `T` counts as the
    /// power of 1024, as servers read it. Case does not matter. `nil` for anything else, and for
    /// what doesn't fit 63 bits.
    public init?(_ text: String) {
        guard let (number, unit) = splitNumber(text) else { return nil }
        let factors: [String: Int] = [
            "": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "kb": 1000, "m": 1 << 20, "mib": 1 << 20,
            "mb": 1_000_000, "g": 1 << 30, "gib": 1 << 30, "gb": 1_000_000_000, "t": 1 << 40,
            "tib": 1 << 40, "tb": 1_000_000_000_000,
        ]
        guard let factor = factors[unit] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        if overflow { return nil }
        bytes = product
    }

    /// The shortest exact spelling: `128MiB`, `1000`.
    public var description: String {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
        where bytes != 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}

/// A time span as people write it: `30s`, `500ms`, `5m`, `1h30m`, `1d`.
public struct TimeSpan: Sendable, Hashable, CustomStringConvertible {
    /// The span, in whole milliseconds.
    public let duration: Duration

    /// A number of seconds.
    public init(seconds: Int) { duration = .seconds(seconds) }

    /// Parses whole numbers with `ms`, `s`, `m` (or `min`), `h`, `d`, one after the other; a bare
    /// number is seconds. `nil` for anything else, and for more than ten years.
    public init?(_ text: String) {
        let units = [
            "ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000,
        ]
        var total = 0
        var rest = Substring(text)
        if let (number, unit) = splitNumber(text), unit.isEmpty {
            let (product, overflow) = number.multipliedReportingOverflow(by: 1000)
            if overflow { return nil }
            total = product
            rest = ""
        } else if rest.isEmpty {
            return nil
        }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count).drop { $0 == " " }
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let number = Int(digits), let factor = units[unit.lowercased()] else {
                return nil
            }
            let (product, overflow) = number.multipliedReportingOverflow(by: factor)
            let (sum, carried) = total.addingReportingOverflow(product)
            if overflow || carried { return nil }
            total = sum
        }
        if total > 10 * 366 * 86_400_000 { return nil }
        duration = .milliseconds(total)
    }

    /// The milliseconds.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }

    /// The shortest exact spelling with one unit: `90s`, `5m`.
    public var description: String {
        for (factor, unit) in [(3_600_000, "h"), (60_000, "m"), (1000, "s")] as [(Int64, String)]
        where milliseconds != 0 && milliseconds % factor == 0 {
            return "\(milliseconds / factor)\(unit)"
        }
        return milliseconds == 0 ? "0s" : "\(milliseconds)ms"
    }
}

/// Splits `128 MiB` into 128 and `mib`.
private func splitNumber(_ text: String) -> (Int, String)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits) else { return nil }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    return (number, unit.lowercased())
}
