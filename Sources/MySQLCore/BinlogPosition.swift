/// A place in one server's binlog: a file and a byte offset, always 64 bits.
public struct BinlogPosition: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The file's name without folder, for example `mysql-bin.000007`.
    public var file: String
    /// Offset in bytes from the start of the file; the first event is at 4.
    public var offset: UInt64

    /// Makes a position.
    public init(file: String, offset: UInt64) {
        self.file = file
        self.offset = offset
    }

    /// Parses `file:offset`.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let offset = UInt64(text[text.index(after: colon)...]), colon != text.startIndex
        else { return nil }
        self.init(file: String(text[..<colon]), offset: offset)
    }

    /// The number behind the file name's last dot; servers count it up, and it may grow beyond
    /// six digits, so names must not be compared as texts.
    public var fileNumber: UInt64 {
        // Readers compare places at every chunk: no substrings, and no characters.
        var number: UInt64 = 0
        var isNumber = false
        for byte in file.utf8 {
            if byte == UInt8(ascii: ".") {
                (number, isNumber) = (0, true)
                continue
            }
            guard isNumber else { continue }
            let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isTooLargeByIt) = product.addingReportingOverflow(
                UInt64(byte &- UInt8(ascii: "0")))
            number = sum
            isNumber =
                byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") && !isTooLarge
                && !isTooLargeByIt
        }
        return isNumber ? number : 0
    }

    /// `file:offset`.
    public var description: String { "\(file):\(offset)" }

    /// Orders by file number, then offset.
    public static func < (a: BinlogPosition, b: BinlogPosition) -> Bool {
        if a.file == b.file { return a.offset < b.offset }
        return (a.fileNumber, a.offset) < (b.fileNumber, b.offset)
    }
}

/// What a source has written, or a target holds, in GTIDs.
public enum GTIDState: Sendable, Hashable, CustomStringConvertible {
    /// The source numbers no transactions (or not all: `ON_PERMISSIVE`).
    case none
    /// A MySQL set.
    case mysql(MySQLGTIDSet)
    /// A MariaDB position, one GTID per domain.
    case mariadb(MariaDBGTIDPosition)

    /// The server's notation, empty for none.
    public var description: String {
        switch self {
        case .none: ""
        case .mysql(let set): set.description
        case .mariadb(let position): position.description
        }
    }

    /// Whether every transaction that `other` includes is included here. Without GTIDs on both
    /// sides that says nothing, and is true; GTIDs on one side can't be compared.
    public func holds(_ other: GTIDState) -> Bool {
        switch (self, other) {
        case (.none, .none): true
        case (.mysql(let a), .mysql(let b)): a.isSuperset(of: b)
        case (.mariadb(let a), .mariadb(let b)): a.holds(b)
        default: false
        }
    }
}

/// A position in a source's stream: GTIDs where the source has them, **and** file and offset on
/// the server that they were read from.
public struct SourcePosition: Sendable, Hashable, CustomStringConvertible {
    /// The server that file and offset belong to.
    public var origin: Origin
    /// File and offset on that server: where reading on starts.
    public var binlog: BinlogPosition
    /// The same place as GTIDs.
    public var gtids: GTIDState

    /// Makes a position.
    public init(origin: Origin, binlog: BinlogPosition, gtids: GTIDState) {
        self.origin = origin
        self.binlog = binlog
        self.gtids = gtids
    }

    /// GTIDs when there are any, else file and offset.
    public var description: String {
        gtids == .none ? binlog.description : "\(binlog) (\(gtids))"
    }

    /// Whether the transaction is at or before this position. Membership, never order, where
    /// there are GTIDs.
    public func contains(_ identity: TransactionIdentity) -> Bool {
        switch (identity.stream, gtids) {
        case (.mysql(let uuid, let tag), .mysql(let set)):
            return set.contains(.init(uuid: uuid, tag: tag), identity.number)
        case (.mariadb(let domain, let server), .mariadb(let position)):
            return position.contains(
                MariaDBGTID(domain: domain, server: server, sequence: identity.number))
        case (.file(let origin, let file), _):
            // The life is that of one file: it differs along the binlog of one server.
            return origin.server == self.origin.server
                && BinlogPosition(file: file, offset: identity.number) < binlog
        default:
            return false
        }
    }

    /// Whether the server has everything that it had at `earlier`: false when it is another one,
    /// or began its binlog anew (RESET), or when only one of the places has GTIDs.
    public func continues(_ earlier: SourcePosition) -> Bool {
        guard origin.server == earlier.origin.server, binlog >= earlier.binlog else { return false }
        return gtids.holds(earlier.gtids)
    }

    /// Whether a mark has everything that a source had at a place. File and offset tell it on one
    /// server only; after a failover it is the GTIDs that count.
    public func reaches(_ place: SourcePosition) -> Bool {
        origin.server == place.origin.server && binlog >= place.binlog
            || place.gtids != .none && gtids.holds(place.gtids)
    }

    /// Whether no transaction can lie between two positions, and none is in one that the other one
    /// lacks. On one server file and offset tell the first: transactions without a GTID may stand
    /// beside others. Elsewhere only GTIDs tell it, and not by how high they are: numbers of MariaDB
    /// need not rise.
    ///
    /// Where two hold other GTIDs at one offset, what one of them has more may lie before it (who has
    /// begun at a position need not hold all of before) or behind it: it came from another server,
    /// which had it earlier in its binlog. Only what the source itself had there tells the two apart.
    ///
    /// - Parameter reference: what the source had at some offset; `nil` where that is not known.
    public func isSamePlace(
        as other: SourcePosition, knowing reference: SourcePosition? = nil
    ) -> Bool {
        guard origin.server == other.origin.server else {
            return gtids != .none && gtids == other.gtids
        }
        guard binlog == other.binlog else { return false }
        if gtids == .none || other.gtids == .none || gtids == other.gtids { return true }
        guard let reference, reference.origin.server == origin.server, reference.binlog == binlog
        else { return false }
        return reference.gtids.holds(gtids) && reference.gtids.holds(other.gtids)
    }

    /// Whether a mark that reads on is at this place, or behind it, when it is where the source is
    /// now: errant transactions of a server that is not the source any more never come.
    public func isHeld(by now: SourcePosition) -> Bool {
        origin.server == now.origin.server
            ? binlog <= now.binlog : gtids != .none && now.gtids.holds(gtids)
    }

    /// Moves the GTIDs over one transaction; file and offset are the caller's.
    public mutating func include(_ identity: TransactionIdentity) {
        switch (identity.stream, gtids) {
        case (.mysql(let uuid, let tag), .mysql(var set)):
            gtids = .none  // keeps the set uniquely referenced while it grows
            set.insert(.init(uuid: uuid, tag: tag), identity.number...identity.number)
            gtids = .mysql(set)
        case (.mariadb(let domain, let server), .mariadb(var position)):
            gtids = .none
            position.last[domain] = MariaDBGTID(
                domain: domain, server: server, sequence: identity.number)
            gtids = .mariadb(position)
        default:
            break
        }
    }
}
