/// A time zone by its name, `Europe/Berlin`, with its clock.
///
/// Records keep the name alone: two zones of one name are the same, and what was read from a
/// record has no clock.
public struct NamedZone: Sendable, Hashable, Codable {
    /// The name, as the zone database spells it.
    public let name: String
    /// Its clock; `nil` where nobody has looked it up.
    public let clock: ZoneClock?

    /// Makes a zone.
    public init(name: String, clock: ZoneClock?) {
        self.name = name
        self.clock = clock
    }

    /// Reads the name.
    public init(from decoder: any Decoder) throws {
        self.init(name: try decoder.singleValueContainer().decode(String.self), clock: nil)
    }

    /// Writes the name.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }

    /// Whether both have one name.
    public static func == (a: NamedZone, b: NamedZone) -> Bool { a.name == b.name }

    /// Hashes the name.
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
