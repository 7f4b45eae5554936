internal import Foundation
public import Rules
internal import Synchronization

/// The system's zone database, where zones are looked up by name: `/usr/share/zoneinfo`, which
/// Debian's package `tzdata` brings.
public final class ZoneFolder: Sendable {
    /// The system's.
    public static let system = ZoneFolder("/usr/share/zoneinfo")

    /// What a name was found to be.
    public enum Finding: Sendable, Hashable {
        /// A zone.
        case zone(NamedZone)
        /// No zone of the database.
        case unknown
        /// Nothing, since the database itself is missing.
        case noDatabase
    }

    /// Longer than any name of a zone.
    private static let nameLimit = 64
    /// Of a file; the longest of the database has 4 KB.
    private static let byteLimit = 64 << 10
    /// The machine's own zone, which is another one on another machine, and another name of one.
    private static let refused: Set<String> = ["localtime", "posixrules"]

    private let path: String
    /// Zones that were found, by their names in lower case: the same for as long as the process
    /// lives.
    private let found = Mutex<[String: NamedZone]>([:])

    /// Takes a folder.
    public init(_ path: String) { self.path = path }

    /// Looks a zone up. Case does not count in its name, as on servers.
    public func find(_ name: String) -> Finding {
        let key = name.lowercased()
        if let zone = found.withLock({ $0[key] }) { return .zone(zone) }
        guard let top = listing(of: path), !top.isEmpty else { return .noDatabase }
        guard Self.isName(name), !Self.refused.contains(key),
            let spelled = spelling(of: name),
            let bytes = try? readBounded(
                "\(path)/\(spelled)", limit: Self.byteLimit, what: "time zone"),
            let clock = ZoneClock(zoneFile: bytes)
        else { return .unknown }
        let zone = NamedZone(name: spelled, clock: clock)
        // What another thread has found meanwhile stays.
        let kept = found.withLock { zones in
            let first = zones[key] ?? zone
            zones[key] = first
            return first
        }
        return .zone(kept)
    }

    /// Parts of letters, digits, `_`, `+` and `-` between slashes: no name leads out of the folder.
    private static func isName(_ name: String) -> Bool {
        guard name.utf8.count <= nameLimit else { return false }
        return name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty
                && part.utf8.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"),
                        UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"),
                        UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
    }

    /// The name as the folder spells it.
    private func spelling(of name: String) -> String? {
        var spelled = ""
        for part in name.split(separator: "/") {
            let folder = spelled.isEmpty ? path : "\(path)/\(spelled)"
            guard let entries = listing(of: folder) else { return nil }
            let wanted = part.lowercased()
            guard
                let entry = entries.contains(String(part))
                    ? String(part) : entries.sorted().first(where: { $0.lowercased() == wanted })
            else { return nil }
            spelled = spelled.isEmpty ? entry : "\(spelled)/\(entry)"
        }
        return spelled.isEmpty ? nil : spelled
    }

    private func listing(of path: String) -> [String]? {
        try? FileManager.default.contentsOfDirectory(atPath: path)
    }
}
