import MySQLBinlog
import MySQLCore
import Stream
import Testing

@testable import Relay

@Suite("The index of a relay log's file")
struct IndexTests {
    private static func gtid(_ number: UInt64) -> [UInt8] {
        var event = [UInt8](repeating: 0, count: 38)
        for n in 0..<8 { event[19 + n] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(n))) }
        return event
    }

    @Test("has an entry for every 2 MiB, with the transactions that begin there, whole ones only")
    func sparse() {
        var builder = IndexBuilder()
        let size: UInt64 = 700_000
        func start(_ number: UInt64) -> UInt64 { 4 + (number - 1) * size }
        let end = Self.gtid(0)
        for number: UInt64 in 1...10 {
            let (head, at) = (Self.gtid(number), start(number))
            builder.take(.mariadbGTID, head.span.bytes, at: at, end: at + 38)
            builder.take(.xid, end.span.bytes, at: at + 38, end: at + size)
        }
        let index = builder.current
        #expect(index.segments.map(\.offset) == [start(1), start(4), start(7), start(10)])
        #expect(
            index.segments.map { $0.identities.members.values.flatMap(\.intervals) }
                == [[1...3], [4...6], [7...9], [10...10]])
        #expect(index.end == start(11) && index.newest == start(10))
        // One that is not whole yet changes nothing, and looking ends nothing.
        let head = Self.gtid(11)
        builder.take(.mariadbGTID, head.span.bytes, at: start(11), end: start(11) + 38)
        #expect(builder.current.end == start(11) && builder.current.newest == start(10))
        #expect(builder.current.segments == index.segments)
        builder.take(.xid, end.span.bytes, at: start(11) + 38, end: start(12))
        let last = builder.finished()
        #expect(last.segments.last?.identities.members.values.flatMap(\.intervals) == [10...11])
        #expect(last.end == start(12) && last.newest == start(11))
    }

    private static func stored() throws -> FileIndex {
        var index = FileIndex()
        index.checksum = .crc32
        index.previous = .mariadb(try #require(MariaDBGTIDPosition("0-1-100,7-2-3")))
        let runs: [(UInt64, ClosedRange<UInt64>)] = [(300, 101...107), (2_500_000, 108...120)]
        for (offset, numbers) in runs {
            var identities = IdentitySet()
            identities.insert(.mariadb(domain: 0, server: 1), IntervalSet(numbers))
            index.segments.append(FileIndex.Segment(offset: offset, identities: identities))
        }
        index.end = 3_000_000
        index.newest = 2_999_000
        return index
    }

    @Test("is stored whole or not at all: any other byte, length or size of the file is none")
    func coding() throws {
        let index = try Self.stored()
        let bytes = index.encoded(fileSize: 3_000_100)
        #expect(FileIndex(encoded: bytes, fileSize: 3_000_100) == index)
        // The file was cut, or has grown, since.
        for size: UInt64 in [3_000_099, 3_000_101, 0] {
            #expect(FileIndex(encoded: bytes, fileSize: size) == nil)
        }
        for count in 0..<bytes.count {
            #expect(FileIndex(encoded: Array(bytes.prefix(count)), fileSize: 3_000_100) == nil)
        }
        for at in bytes.indices {
            var other = bytes
            other[at] ^= 0x10
            #expect(FileIndex(encoded: other, fileSize: 3_000_100) == nil, "\(at)")
        }
    }

    @Test("what a target holds of what was lost: nothing at the place itself, everything behind it")
    func held() throws {
        let server = ServerUUID(high: 0, low: 7)
        let place = WindowPlace(
            segment: 1, position: BinlogPosition(file: "bin.000002", offset: 500))
        func position(_ file: String, _ offset: UInt64, low: UInt64 = 7, _ gtids: GTIDState)
            -> HeldTransactions
        {
            HeldTransactions(
                task: "", target: "",
                positions: [
                    SourcePosition(
                        origin: Origin(server: ServerUUID(high: 0, low: low), life: 0),
                        binlog: BinlogPosition(file: file, offset: offset), gtids: gtids)
                ], others: IdentitySet())
        }
        func others(_ stream: IdentityStream, _ last: UInt64) -> HeldTransactions {
            var set = IdentitySet()
            set.insert(stream, IntervalSet(1...last))
            return HeldTransactions(task: "", target: "", positions: [], others: set)
        }
        let plain = Surplus(place: place, server: server, common: .none, all: .none)
        #expect(!plain.isHeld(position("bin.000002", 500, .none)))
        #expect(!plain.isHeld(position("bin.000001", 9000, .none)))
        #expect(plain.isHeld(position("bin.000002", 501, .none)))
        #expect(plain.isHeld(position("bin.000003", 4, .none)))
        // Of another server it can't be said.
        #expect(plain.isHeld(position("bin.000001", 4, low: 8, .none)))
        let origin = Origin(server: server, life: 0)
        #expect(!plain.isHeld(others(.file(origin, file: "bin.000002"), 499)))
        #expect(plain.isHeld(others(.file(origin, file: "bin.000002"), 500)))

        func state(_ text: String) throws -> GTIDState {
            .mariadb(try #require(MariaDBGTIDPosition(text)))
        }
        let counted = Surplus(
            place: place, server: server, common: try state("0-1-10,1-1-5"),
            all: try state("0-1-15,1-1-5"))
        // However far the position is, transactions count.
        #expect(!counted.isHeld(position("bin.000009", 4, try state("0-1-10,1-1-5"))))
        #expect(counted.isHeld(position("bin.000001", 4, try state("0-1-11,1-1-5"))))
        // Of that domain nothing is lost: it is what is still to be read.
        #expect(!counted.isHeld(position("bin.000002", 4, try state("0-1-10,1-1-9"))))
        #expect(!counted.isHeld(others(.mariadb(domain: 0, server: 1), 10)))
        #expect(counted.isHeld(others(.mariadb(domain: 0, server: 1), 11)))
    }
}
