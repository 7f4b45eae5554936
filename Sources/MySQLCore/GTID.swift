/// The 128 bits of a MySQL server UUID.
public struct ServerUUID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The first eight bytes, big-endian.
    public var high: UInt64
    /// The last eight bytes, big-endian.
    public var low: UInt64

    /// Makes a UUID of its two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Parses 32 hexadecimal digits; dashes are ignored. `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        var digits = 0
        var high: UInt64 = 0
        var low: UInt64 = 0
        for c in text.utf8 where c != UInt8(ascii: "-") {
            guard let v = hexValue(c), digits < 32 else { return nil }
            if digits < 16 { high = high << 4 | UInt64(v) } else { low = low << 4 | UInt64(v) }
            digits += 1
        }
        guard digits == 32 else { return nil }
        self.init(high: high, low: low)
    }

    /// The sixteen bytes in text order.
    public var bytes: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * $0)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * $0)) }
    }

    /// The usual form with dashes, lower case.
    public var description: String {
        var out: [UInt8] = []
        for (i, b) in bytes.enumerated() {
            if i == 4 || i == 6 || i == 8 || i == 10 { out.append(UInt8(ascii: "-")) }
            out.append(hexDigits[Int(b >> 4)] | (b >> 4 > 9 ? 0x20 : 0))
            out.append(hexDigits[Int(b & 15)] | (b & 15 > 9 ? 0x20 : 0))
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Orders as the bytes do.
    public static func < (a: ServerUUID, b: ServerUUID) -> Bool {
        (a.high, a.low) < (b.high, b.low)
    }
}

func hexValue(_ c: UInt8) -> UInt8? {
    switch c {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): c - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): c - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): c - UInt8(ascii: "A") + 10
    default: nil
    }
}

/// What numbers the transactions of one origin count up in: the part of a transaction's identity
/// that many transactions share.
public enum IdentityStream: Sendable, Hashable, Comparable {
    /// MySQL GTIDs: a server's UUID and a tag (empty before 8.3, lower case).
    case mysql(ServerUUID, tag: String)
    /// MariaDB GTIDs: replication domain and server id.
    case mariadb(domain: UInt32, server: UInt32)
    /// No GTIDs: an origin (see ``Origin``) and a binlog file; the number is the offset of the
    /// transaction's first event.
    case file(Origin, file: String)
}

/// What names one source transaction (`protocol.md` calls it identity).
public struct TransactionIdentity: Sendable, Hashable, CustomStringConvertible {
    /// What the number counts in.
    public var stream: IdentityStream
    /// GTID number, MariaDB sequence, or offset of the first event.
    public var number: UInt64

    /// Makes an identity.
    public init(stream: IdentityStream, number: UInt64) {
        self.stream = stream
        self.number = number
    }

    /// The server's own notation, or `file:offset`.
    public var description: String {
        switch stream {
        case .mysql(let uuid, ""): "\(uuid):\(number)"
        case .mysql(let uuid, let tag): "\(uuid):\(tag):\(number)"
        case .mariadb(let domain, let server): "\(domain)-\(server)-\(number)"
        case .file(_, let file): "\(file):\(number)"
        }
    }
}

/// Which server, and which life of its binlog, positions without GTIDs belong to: the server's
/// UUID (MySQL) or id (MariaDB) and a digest over server version and creation time of a file's
/// format event. Positions of different origins are never compared.
public struct Origin: Sendable, Hashable, Comparable {
    /// Identity of the server.
    public var server: ServerUUID
    /// Digest of the binlog's life.
    public var life: UInt64

    /// Makes an origin.
    public init(server: ServerUUID, life: UInt64) {
        self.server = server
        self.life = life
    }

    /// An arbitrary, stable order.
    public static func < (a: Origin, b: Origin) -> Bool { (a.server, a.life) < (b.server, b.life) }
}

/// A MySQL GTID set, tags of 8.3 and later included.
public struct MySQLGTIDSet: Sendable, Hashable, CustomStringConvertible {
    /// Members by UUID and tag.
    public struct Key: Sendable, Hashable, Comparable {
        /// The server's UUID.
        public var uuid: ServerUUID
        /// The tag, empty for none.
        public var tag: String

        /// Makes a key.
        public init(uuid: ServerUUID, tag: String) {
            self.uuid = uuid
            self.tag = tag
        }

        /// Orders by UUID, then tag.
        public static func < (a: Key, b: Key) -> Bool { (a.uuid, a.tag) < (b.uuid, b.tag) }
    }

    /// The numbers of each UUID and tag; no entry is empty.
    public private(set) var members: [Key: IntervalSet] = [:]

    /// The empty set.
    public init() {}

    /// Parses the server's notation (`uuid:1-5:7,uuid:tag:1-3`), white space ignored.
    /// `nil` when it is malformed.
    public init?(_ text: String) {
        for part in text.split(separator: ",") {
            let fields = part.split(separator: ":").map { field in
                String(field.filter { !$0.isWhitespace })
            }
            if fields.allSatisfy(\.isEmpty) { continue }
            guard let uuid = ServerUUID(fields[0]), fields.count > 1 else { return nil }
            var tag = ""
            for field in fields.dropFirst() {
                guard let first = field.utf8.first else { return nil }
                guard first >= UInt8(ascii: "0"), first <= UInt8(ascii: "9") else {
                    tag = field.lowercased()
                    continue
                }
                let ends = field.split(separator: "-", omittingEmptySubsequences: false)
                guard ends.count <= 2, let low = UInt64(ends[0]),
                    let high = UInt64(ends[ends.count - 1])
                else { return nil }
                if low <= high, low > 0 { insert(Key(uuid: uuid, tag: tag), low...high) }
            }
        }
    }

    /// Whether there is no member.
    public var isEmpty: Bool { members.isEmpty }

    /// Adds a range of one key.
    public mutating func insert(_ key: Key, _ range: ClosedRange<UInt64>) {
        members[key, default: IntervalSet()].insert(range)
    }

    /// Whether the set holds this GTID.
    public func contains(_ key: Key, _ number: UInt64) -> Bool {
        members[key]?.contains(number) ?? false
    }

    /// Whether every member of `other` is a member here.
    public func isSuperset(of other: MySQLGTIDSet) -> Bool {
        other.members.allSatisfy { members[$0.key]?.isSuperset(of: $0.value) ?? false }
    }

    /// Adds all members of another set.
    public mutating func formUnion(_ other: MySQLGTIDSet) {
        for (key, set) in other.members { members[key, default: IntervalSet()].formUnion(set) }
    }

    /// The members of both sets.
    public func intersection(_ other: MySQLGTIDSet) -> MySQLGTIDSet {
        var out = MySQLGTIDSet()
        for (key, set) in members {
            if let both = other.members[key].map(set.intersection), !both.isEmpty {
                out.members[key] = both
            }
        }
        return out
    }

    /// Removes all members of another set.
    public mutating func subtract(_ other: MySQLGTIDSet) {
        for (key, set) in other.members {
            guard var mine = members[key] else { continue }
            mine.subtract(set)
            members[key] = mine.isEmpty ? nil : mine
        }
    }

    /// The server's notation, sorted.
    public var description: String {
        members.sorted { $0.key < $1.key }.map { key, set in
            let ranges = set.intervals.map { r in
                r.lowerBound == r.upperBound
                    ? "\(r.lowerBound)" : "\(r.lowerBound)-\(r.upperBound)"
            }
            let tag = key.tag.isEmpty ? "" : "\(key.tag):"
            return "\(key.uuid):\(tag)\(ranges.joined(separator: ":"))"
        }.joined(separator: ",")
    }
}

/// A MariaDB GTID: domain, server, sequence.
public struct MariaDBGTID: Sendable, Hashable, CustomStringConvertible {
    /// Replication domain.
    public var domain: UInt32
    /// Id of the server that wrote the transaction first.
    public var server: UInt32
    /// Sequence number, growing within its domain.
    public var sequence: UInt64

    /// Makes a GTID.
    public init(domain: UInt32, server: UInt32, sequence: UInt64) {
        self.domain = domain
        self.server = server
        self.sequence = sequence
    }

    /// Parses `domain-server-sequence`.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let d = UInt32(parts[0]), let s = UInt32(parts[1]),
            let n = UInt64(parts[2])
        else { return nil }
        self.init(domain: d, server: s, sequence: n)
    }

    /// The server's notation.
    public var description: String { "\(domain)-\(server)-\(sequence)" }
}

/// A MariaDB position: the last GTID of each domain.
public struct MariaDBGTIDPosition: Sendable, Hashable, CustomStringConvertible {
    /// The last GTID by domain.
    public var last: [UInt32: MariaDBGTID] = [:]

    /// The position before everything.
    public init() {}

    /// Parses `0-1-5,1-2-7`; of two GTIDs of one domain the higher sequence counts. `nil` when
    /// malformed.
    public init?(_ text: String) {
        for part in text.split(separator: ",") {
            guard let gtid = MariaDBGTID(part.filter { !$0.isWhitespace }) else { return nil }
            if last[gtid.domain].map({ $0.sequence < gtid.sequence }) ?? true {
                last[gtid.domain] = gtid
            }
        }
    }

    /// Whether the position includes this GTID: the domain's last sequence is at least as high.
    public func contains(_ gtid: MariaDBGTID) -> Bool {
        (last[gtid.domain]?.sequence ?? 0) >= gtid.sequence
    }

    /// Whether every transaction that `other` includes is included here.
    public func holds(_ other: MariaDBGTIDPosition) -> Bool {
        other.last.values.allSatisfy { contains($0) }
    }

    /// The server's notation, sorted by domain.
    public var description: String {
        last.values.sorted { $0.domain < $1.domain }.map(\.description).joined(separator: ",")
    }
}
