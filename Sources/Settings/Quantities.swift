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

/// A time span as people write it: `30s`, `500ms`, `5m`, `2h`, `1d`.
public struct TimeSpan: Sendable, Hashable {
    /// The span.
    public let duration: Duration

    /// Parses a whole number with `ms`, `s`, `m` (or `min`), `h`, `d`; a bare number is seconds.
    /// `nil` for anything else, and for more than ten years.
    public init?(_ text: String) {
        guard let (number, unit) = splitNumber(text) else { return nil }
        let milliseconds = [
            "ms": 1, "": 1000, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000,
            "d": 86_400_000,
        ]
        guard let factor = milliseconds[unit] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        if overflow || product > 10 * 366 * 86_400_000 { return nil }
        duration = .milliseconds(product)
    }
}

/// Splits `128 MiB` into 128 and `mib`.
private func splitNumber(_ text: String) -> (Int, String)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits) else { return nil }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    return (number, unit.lowercased())
}
