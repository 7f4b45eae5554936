@testable import Relay

/// A binlog file as MariaDB writes it, made here: for what no server has to be asked.
struct MadeFile {
    private(set) var bytes = RelayDirectory.magic
    private let hasChecksums: Bool
    /// Where transactions start.
    private(set) var starts: [UInt64] = []
    /// Where they end.
    private(set) var ends: [UInt64] = []

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - before: number of the newest transaction before it; `nil` leaves the list out.
    ///   - created: when the server began it; tells one life of its binlog from another.
    init(hasChecksums: Bool = true, before: UInt64? = 0, created: UInt64 = 1) {
        self.hasChecksums = hasChecksums
        let version = Array("10.11.6-MariaDB".utf8)
        var body = Self.little(4, 2) + version
        body += [UInt8](repeating: 0, count: 50 - version.count)
        body += Self.little(created, 4) + [19]
        body += [UInt8](repeating: 0, count: 165)
        body.append(hasChecksums ? 1 : 0)
        add(15, body, isSummed: true)
        guard let before else { return }
        var list = Self.little(before == 0 ? 0 : 1, 4)
        if before != 0 { list += Self.little(0, 4) + Self.little(1, 4) + Self.little(before, 8) }
        add(163, list, isSummed: hasChecksums)
    }

    /// Adds transactions of domain 0 and server 1.
    mutating func add(_ numbers: ClosedRange<UInt64>) {
        for number in numbers {
            starts.append(UInt64(bytes.count))
            let head = Self.little(number, 8) + [UInt8](repeating: 0, count: 11)
            add(162, head, isSummed: hasChecksums)
            add(16, Self.little(number, 8), isSummed: hasChecksums)
            ends.append(UInt64(bytes.count))
        }
    }

    /// Ends it in order.
    mutating func rotate(to next: String) {
        add(4, Self.little(4, 8) + Array(next.utf8), isSummed: hasChecksums)
    }

    private mutating func add(_ type: UInt8, _ body: [UInt8], isSummed: Bool) {
        let size = UInt64(19 + body.count + (isSummed ? 4 : 0))
        var event = Self.little(1_700_000_000, 4) + [type] + Self.little(1, 4)
        event += Self.little(size, 4) + Self.little(UInt64(bytes.count) + size, 4)
        event += Self.little(0, 2) + body
        if isSummed { event += Self.little(UInt64(Self.crc32(event)), 4) }
        bytes += event
    }

    private static func little(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    /// As servers and this program end events: CRC32 of all before.
    static func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var sum: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
        }
        return ~sum
    }
}
