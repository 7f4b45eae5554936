// The encoding of sets and positions in the meta schema. It is durable: a change needs a new
// format byte, and the old one stays readable.
//
//     blob      := format(1 byte = 1) body
//     applied   := format(1 byte = 2) sum(8, little-endian) stream(8, little-endian) set
//                | format(1 byte = 1) set
//     set       := varint streams { stream varint intervals { varint gap varint length-1 } }
//                  gap: distance of the lower bound from the previous upper bound (first: from 0)
//     stream    := 1 uuid(16) text(tag) | 2 varint(domain) varint(server)
//                | 3 origin text(file)
//     origin    := uuid(16) life(8, little-endian)
//     position  := origin text(file) varint(offset) gtids
//     gtids     := 0 | 1 set | 2 varint n { varint(domain) varint(server) varint(sequence) }
//     text      := varint(bytes) UTF-8
//     varint    := 7 bits a byte, lowest first, high bit set on all but the last

/// A blob of the meta schema that can't be read.
public struct MalformedEncoding: Error, Sendable, CustomStringConvertible {
    /// What was being read.
    public let description: String
}

struct Encoder {
    var bytes: [UInt8] = [1]

    mutating func varint(_ value: UInt64) {
        var v = value
        while v >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: v) | 0x80)
            v >>= 7
        }
        bytes.append(UInt8(v))
    }

    mutating func text(_ text: String) {
        varint(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func origin(_ origin: Origin) {
        bytes.append(contentsOf: origin.server.bytes)
        fixed(origin.life)
    }

    /// Eight bytes, the lowest first.
    mutating func fixed(_ value: UInt64) {
        for i in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(i)))) }
    }

    mutating func stream(_ stream: IdentityStream) {
        switch stream {
        case .mysql(let uuid, let tag):
            bytes.append(1)
            bytes.append(contentsOf: uuid.bytes)
            text(tag)
        case .mariadb(let domain, let server):
            bytes.append(2)
            varint(UInt64(domain))
            varint(UInt64(server))
        case .file(let origin, let file):
            bytes.append(3)
            self.origin(origin)
            text(file)
        }
    }

    mutating func set(_ members: [IdentityStream: IntervalSet]) {
        varint(UInt64(members.count))
        for (key, set) in members.sorted(by: { $0.key < $1.key }) {
            stream(key)
            varint(UInt64(set.intervals.count))
            var last: UInt64 = 0
            for r in set.intervals {
                varint(r.lowerBound - last)
                varint(r.upperBound - r.lowerBound)
                last = r.upperBound
            }
        }
    }
}

struct Decoder {
    let bytes: [UInt8]
    private(set) var format: UInt8 = 0
    var at = 0

    /// - Parameter newest: the highest format that may come.
    init(_ bytes: [UInt8], newest: UInt8 = 1) throws(MalformedEncoding) {
        self.bytes = bytes
        format = try byte()
        guard (1...newest).contains(format) else {
            throw MalformedEncoding(description: "unknown format \(format)")
        }
    }

    mutating func byte() throws(MalformedEncoding) -> UInt8 {
        guard at < bytes.count else { throw MalformedEncoding(description: "cut short") }
        defer { at += 1 }
        return bytes[at]
    }

    mutating func varint() throws(MalformedEncoding) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let b = try byte()
            guard shift < 63 || (shift == 63 && b <= 1) else {
                throw MalformedEncoding(description: "number beyond 64 bits")
            }
            value |= UInt64(b & 0x7F) << shift
            if b < 0x80 { return value }
            shift += 7
        }
    }

    /// A count of things that take at least one byte each: never more than there are bytes.
    mutating func count() throws(MalformedEncoding) -> Int {
        let n = try varint()
        guard n <= UInt64(bytes.count - at) else {
            throw MalformedEncoding(description: "count beyond the end")
        }
        return Int(n)
    }

    mutating func narrow() throws(MalformedEncoding) -> UInt32 {
        guard let v = UInt32(exactly: try varint()) else {
            throw MalformedEncoding(description: "number beyond 32 bits")
        }
        return v
    }

    mutating func text() throws(MalformedEncoding) -> String {
        let n = try count()
        defer { at += n }
        return String(decoding: bytes[at..<(at + n)], as: UTF8.self)
    }

    mutating func fixed(_ count: Int, bigEndian: Bool) throws(MalformedEncoding) -> UInt64 {
        var v: UInt64 = 0
        for i in 0..<count {
            let b = UInt64(try byte())
            v = bigEndian ? v << 8 | b : v | b << (8 * UInt64(i))
        }
        return v
    }

    mutating func uuid() throws(MalformedEncoding) -> ServerUUID {
        let high = try fixed(8, bigEndian: true)
        return ServerUUID(high: high, low: try fixed(8, bigEndian: true))
    }

    mutating func origin() throws(MalformedEncoding) -> Origin {
        let server = try uuid()
        return Origin(server: server, life: try fixed(8, bigEndian: false))
    }

    mutating func stream() throws(MalformedEncoding) -> IdentityStream {
        let kind = try byte()
        switch kind {
        case 1:
            let uuid = try uuid()
            return .mysql(uuid, tag: try text())
        case 2:
            let domain = try narrow()
            return .mariadb(domain: domain, server: try narrow())
        case 3:
            let origin = try origin()
            return .file(origin, file: try text())
        default: throw MalformedEncoding(description: "unknown stream \(kind)")
        }
    }

    mutating func set() throws(MalformedEncoding) -> IdentitySet {
        var out = IdentitySet()
        for _ in 0..<(try count()) {
            let key = try stream()
            var set = IntervalSet()
            var last: UInt64 = 0
            for _ in 0..<(try count()) {
                let (low, o1) = last.addingReportingOverflow(try varint())
                let (high, o2) = low.addingReportingOverflow(try varint())
                guard !o1, !o2 else { throw MalformedEncoding(description: "interval overflow") }
                set.insert(low...high)
                last = high
            }
            out.insert(key, set)
        }
        return out
    }

    func end() throws(MalformedEncoding) {
        guard at == bytes.count else { throw MalformedEncoding(description: "bytes left over") }
    }
}

extension IdentitySet {
    /// The durable encoding.
    public var encoded: [UInt8] {
        var e = Encoder()
        e.set(members)
        return e.bytes
    }

    /// Reads the durable encoding; no bytes at all are the empty set.
    public init(encoded bytes: [UInt8]) throws(MalformedEncoding) {
        guard !bytes.isEmpty else {
            self.init()
            return
        }
        var d = try Decoder(bytes)
        self = try d.set()
        try d.end()
    }
}

extension SourcePosition {
    /// The durable encoding.
    public var encoded: [UInt8] {
        var e = Encoder()
        e.origin(origin)
        e.text(binlog.file)
        e.varint(binlog.offset)
        switch gtids {
        case .none: e.bytes.append(0)
        case .mysql(let set):
            e.bytes.append(1)
            var members: [IdentityStream: IntervalSet] = [:]
            for (key, numbers) in set.members {
                members[.mysql(key.uuid, tag: key.tag)] = numbers
            }
            e.set(members)
        case .mariadb(let position):
            e.bytes.append(2)
            e.varint(UInt64(position.last.count))
            for gtid in position.last.values.sorted(by: { $0.domain < $1.domain }) {
                e.varint(UInt64(gtid.domain))
                e.varint(UInt64(gtid.server))
                e.varint(gtid.sequence)
            }
        }
        return e.bytes
    }

    /// Reads the durable encoding.
    public init(encoded bytes: [UInt8]) throws(MalformedEncoding) {
        var d = try Decoder(bytes)
        let origin = try d.origin()
        let file = try d.text()
        let binlog = BinlogPosition(file: file, offset: try d.varint())
        let gtids: GTIDState
        switch try d.byte() {
        case 0: gtids = .none
        case 1:
            var set = MySQLGTIDSet()
            for (stream, numbers) in try d.set().members {
                guard case .mysql(let uuid, let tag) = stream else {
                    throw MalformedEncoding(description: "foreign stream in a GTID set")
                }
                for r in numbers.intervals { set.insert(.init(uuid: uuid, tag: tag), r) }
            }
            gtids = .mysql(set)
        case 2:
            var position = MariaDBGTIDPosition()
            for _ in 0..<(try d.count()) {
                let domain = try d.narrow()
                let server = try d.narrow()
                position.last[domain] = MariaDBGTID(
                    domain: domain, server: server, sequence: try d.varint())
            }
            gtids = .mariadb(position)
        case let kind: throw MalformedEncoding(description: "unknown GTIDs \(kind)")
        }
        try d.end()
        self.init(origin: origin, binlog: binlog, gtids: gtids)
    }
}
