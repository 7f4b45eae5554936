/// A file of the zone database (TZif, RFC 8536, version 2 or later):
///
///     header, lists with numbers of 32 bits     for old readers: passed over
///     header                                    "TZif", version, 15 bytes, 6 lengths
///     instants of 64 bits, the type from each on, types (seconds, is summer, name), names,
///     leap seconds, two lists of flags
///     "\n", the rule behind the last instant, "\n"
struct ZoneFile {
    /// Lengths of a header's lists.
    private struct Lengths {
        var universalFlags = 0
        var standardFlags = 0
        var leaps = 0
        var instants = 0
        var types = 0
        var names = 0

        /// Bytes of the lists, with instants of so many bytes.
        func size(_ width: Int) -> Int {
            instants * (width + 1) + types * 6 + names + leaps * (width + 4) + standardFlags
                + universalFlags
        }
    }

    /// No list is longer than the longest file.
    private static let lengthLimit: Int64 = 1 << 20
    /// Nor is anything told of later times; the first may be that of the universe.
    private static let instantLimit: Int64 = 1 << 40

    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The clock; `nil` for what is no such file, and for zones that count leap seconds, which
    /// servers' clocks don't.
    mutating func clock() -> ZoneClock? {
        guard let old = header(), take(old.size(4)) != nil, let lengths = header(),
            lengths.leaps == 0, lengths.types > 0
        else { return nil }
        var instants: [Int64] = []
        for _ in 0..<lengths.instants {
            guard let instant = number(8), instant < Self.instantLimit,
                instants.last.map({ $0 < instant }) ?? true
            else { return nil }
            instants.append(instant)
        }
        guard let kinds = take(lengths.instants).map({ Array($0) }) else { return nil }
        var offsets: [Int64] = []
        for _ in 0..<lengths.types {
            guard let offset = number(4), abs(offset) <= ZoneClock.farthest, take(2) != nil
            else { return nil }
            offsets.append(offset)
        }
        guard take(lengths.names + lengths.standardFlags + lengths.universalFlags) != nil,
            let text = footer()
        else { return nil }
        var clock = ZoneClock(offset: Int(offsets[0]))
        for (instant, kind) in zip(instants, kinds) {
            guard Int(kind) < offsets.count else { return nil }
            clock.change(at: instant, to: offsets[Int(kind)])
        }
        guard !text.isEmpty else { return clock }
        guard let rule = ZoneRule(text) else { return nil }
        rule.extend(&clock, after: instants.last)
        return clock
    }

    private mutating func header() -> Lengths? {
        guard let magic = take(5), magic.starts(with: Array("TZif".utf8)),
            magic.last ?? 0 >= UInt8(ascii: "2"), take(15) != nil
        else { return nil }
        var all: [Int] = []
        for _ in 0..<6 {
            guard let length = number(4), 0...Self.lengthLimit ~= length else { return nil }
            all.append(Int(length))
        }
        return Lengths(
            universalFlags: all[0], standardFlags: all[1], leaps: all[2], instants: all[3],
            types: all[4], names: all[5])
    }

    /// The text between the last two ends of lines.
    private mutating func footer() -> [UInt8]? {
        let end = UInt8(ascii: "\n")
        guard take(1)?.first == end, bytes.last == end, at < bytes.count else { return nil }
        return take(bytes.count - at - 1).map { Array($0) }
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard bytes.count - at >= count else { return nil }
        defer { at += count }
        return bytes[at..<(at + count)]
    }

    /// A signed number, its highest byte first.
    private mutating func number(_ width: Int) -> Int64? {
        guard let part = take(width) else { return nil }
        let unused = 64 - 8 * width
        let bits = part.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int64(bitPattern: bits << UInt64(unused)) >> Int64(unused)
    }
}

extension ZoneClock {
    /// Reads a file of the zone database; `nil` for what is none.
    public init?(zoneFile bytes: [UInt8]) {
        var file = ZoneFile(bytes)
        guard let clock = file.clock() else { return nil }
        self = clock
    }
}
