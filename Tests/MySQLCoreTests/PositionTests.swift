import MySQLCore
import Testing

@Suite struct PositionTests {
    static let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"

    @Test func gtidSetsRoundTripThroughTheServersNotation() throws {
        let text = "\(Self.uuid):1-5:7:11-18,\(Self.uuid):backup:1-3"
        let set = try #require(MySQLGTIDSet(text))
        #expect(set.description == text)
        #expect(MySQLGTIDSet(" \(Self.uuid) : 1-5:7 : 11-18 ,\n\(Self.uuid):BACKUP:1-3") == set)
        #expect(MySQLGTIDSet("") == MySQLGTIDSet())
        #expect(MySQLGTIDSet("nonsense:1") == nil)
        #expect(MySQLGTIDSet("\(Self.uuid):1-2-3") == nil)
    }

    @Test func gtidSetsFollowSetAlgebra() throws {
        let a = try #require(MySQLGTIDSet("\(Self.uuid):1-10"))
        let b = try #require(MySQLGTIDSet("\(Self.uuid):4-5:12"))
        var c = a
        c.subtract(b)
        #expect(c.description == "\(Self.uuid):1-3:6-10")
        c.formUnion(b)
        #expect(c.description == "\(Self.uuid):1-10:12")
        #expect(a.intersection(b).description == "\(Self.uuid):4-5")
        #expect(c.isSuperset(of: a) && !a.isSuperset(of: c))
    }

    @Test func binlogFilesCompareByNumberNotByText() throws {
        let a = BinlogPosition(file: "bin.999999", offset: 900)
        let b = BinlogPosition(file: "bin.1000000", offset: 4)
        #expect(a < b)
        #expect(BinlogPosition("bin.000001:4294967300")?.offset == 4_294_967_300)
        #expect(BinlogPosition(":4") == nil)
    }

    @Test(arguments: 0..<3)
    func positionsRoundTripThroughTheirEncoding(kind: Int) throws {
        let origin = Origin(server: ServerUUID(high: 1, low: .max), life: 77)
        let gtids: GTIDState =
            switch kind {
            case 0: .none
            case 1: .mysql(try #require(MySQLGTIDSet("\(Self.uuid):1-5:9,\(Self.uuid):t:2")))
            default: .mariadb(try #require(MariaDBGTIDPosition("0-1-5,7-2-18446744073709551615")))
            }
        let position = SourcePosition(
            origin: origin, binlog: .init(file: "b.000001", offset: 1 << 40), gtids: gtids)
        let bytes = position.encoded
        #expect(try SourcePosition(encoded: bytes) == position)
        for length in 0..<bytes.count {
            #expect(throws: MalformedEncoding.self) {
                try SourcePosition(encoded: Array(bytes.prefix(length)))
            }
        }
    }

    @Test func aPlaceContinuesAnEarlierOneOfTheSameBinlogOnly() throws {
        func place(
            _ server: UInt64, _ file: Int, _ offset: UInt64, _ gtids: GTIDState = .none
        ) -> SourcePosition {
            SourcePosition(
                origin: Origin(server: ServerUUID(high: 0, low: server), life: UInt64(file)),
                binlog: BinlogPosition(file: "b.00000\(file)", offset: offset), gtids: gtids)
        }
        func set(_ text: String) throws -> GTIDState {
            .mysql(try #require(MySQLGTIDSet("\(Self.uuid):\(text)")))
        }
        func position(_ text: String) throws -> GTIDState {
            .mariadb(try #require(MariaDBGTIDPosition(text)))
        }
        let old = place(1, 3, 500)
        #expect(old.continues(old))
        #expect(place(1, 4, 4).continues(old))
        #expect(!place(1, 1, 900).continues(old))
        #expect(!place(2, 4, 4).continues(old))
        let gtids = place(1, 3, 500, try set("1-9"))
        #expect(place(1, 4, 4, try set("1-12")).continues(gtids))
        // Files have grown beyond it again, with other transactions.
        #expect(!place(1, 4, 4, try set("1-5")).continues(gtids))
        #expect(!place(1, 1, 900, try set("1-12")).continues(gtids))
        #expect(!place(1, 4, 4).continues(gtids))
        #expect(!gtids.continues(old))
        let maria = place(1, 3, 500, try position("0-1-9,5-1-2"))
        #expect(place(1, 3, 900, try position("0-2-10,5-1-2")).continues(maria))
        #expect(!place(1, 3, 900, try position("0-1-10")).continues(maria))
    }

    private func place(
        _ server: UInt64, _ file: Int, _ offset: UInt64, _ gtids: GTIDState = .none,
        life: UInt64 = 1
    ) -> SourcePosition {
        SourcePosition(
            origin: Origin(server: ServerUUID(high: 0, low: server), life: life),
            binlog: BinlogPosition(file: "b.00000\(file)", offset: offset), gtids: gtids)
    }

    @Test func placesAreTheSameWhereNoTransactionCanLieBetween() throws {
        func set(_ text: String) throws -> GTIDState {
            .mysql(try #require(MySQLGTIDSet("\(Self.uuid):\(text)")))
        }
        func position(_ text: String) throws -> GTIDState {
            .mariadb(try #require(MariaDBGTIDPosition(text)))
        }
        let cases: [(SourcePosition, SourcePosition, Bool)] = [
            (place(1, 3, 500), place(1, 3, 500), true),
            (place(1, 3, 500), place(1, 3, 501), false),
            (place(1, 3, 500), place(1, 4, 500), false),
            // Files of one server have lives of their own.
            (place(1, 3, 500, life: 1), place(1, 3, 500, life: 2), true),
            // Without GTIDs nothing tells it across servers.
            (place(1, 3, 500), place(2, 3, 500), false),
            // One has begun at a position, and does not hold what was before; or the other one has
            // got from another server what comes behind it.
            (place(1, 3, 500, try set("1-9")), place(1, 3, 500, try set("5-9")), false),
            (
                place(1, 3, 500, try position("0-1-9,1-1-6")),
                place(1, 3, 500, try position("0-1-8,1-1-6")), false
            ),
            (place(1, 3, 500, try set("1-9")), place(1, 3, 500), true),
            // The binlog has begun anew, and the file has got its name again.
            (place(1, 3, 500, try set("1-9")), place(1, 3, 500, try set("5-12")), false),
            (place(1, 3, 500, try position("0-1-9")), place(1, 3, 500, try set("1-9")), false),
            // Transactions without a GTID may lie between.
            (place(1, 3, 500, try set("1-9")), place(1, 3, 900, try set("1-9")), false),
            (place(1, 3, 500, try set("1-9")), place(2, 7, 4, try set("1-9")), true),
            (place(1, 3, 500, try set("1-9")), place(2, 3, 500, try set("1-8")), false),
            (place(1, 3, 500, try set("1-9")), place(2, 3, 500), false),
            (
                place(1, 3, 500, try position("0-1-9,5-1-2")),
                place(2, 7, 4, try position("5-1-2,0-1-9")), true
            ),
            (
                place(1, 3, 500, try position("0-1-9,5-1-2")),
                place(2, 7, 4, try position("0-1-9")), false
            ),
            // Two servers may have given one number: then one of them lies behind the other.
            (place(1, 3, 500, try position("0-1-9")), place(2, 7, 4, try position("0-2-9")), false),
            (place(1, 3, 500, try position("0-1-9")), place(2, 7, 4, try set("1-9")), false),
        ]
        for (a, b, isSame) in cases {
            #expect(a.isSamePlace(as: b) == isSame, "\(a), \(b)")
            #expect(b.isSamePlace(as: a) == isSame, "\(b), \(a)")
        }
    }

    @Test func whatTheSourceHadTellsWhereGTIDsLie() throws {
        func set(_ numbers: String) throws -> GTIDState {
            .mysql(
                try #require(MySQLGTIDSet("3e11fa47-71ca-11e1-9e33-c80aa9429562:\(numbers)")))
        }
        let (a, b) = (place(1, 3, 500, try set("1-4")), place(1, 3, 500, try set("1-3")))
        let cases: [(SourcePosition, Bool)] = [
            (place(1, 3, 500, try set("1-4")), true), (place(1, 3, 500, try set("1-9")), true),
            // There the fourth lies behind it.
            (place(1, 3, 500, try set("1-3")), false),
            // Of another offset, or server, it says nothing.
            (place(1, 3, 600, try set("1-4")), false), (place(2, 3, 500, try set("1-4")), false),
            (place(1, 3, 500), false),
        ]
        for (reference, isSame) in cases {
            #expect(a.isSamePlace(as: b, knowing: reference) == isSame, "\(reference)")
            #expect(b.isSamePlace(as: a, knowing: reference) == isSame, "\(reference)")
        }
        // It adds nothing where offsets differ.
        let later = place(1, 3, 600, try set("1-3"))
        #expect(!a.isSamePlace(as: later, knowing: place(1, 3, 600, try set("1-9"))))
    }

    @Test func placesAreHeldByTheSourceWhereItHasAllOfThem() throws {
        func place(
            _ server: UInt64, _ offset: UInt64, _ gtids: String? = nil
        ) throws -> SourcePosition {
            SourcePosition(
                origin: Origin(server: ServerUUID(high: 0, low: server), life: 1),
                binlog: BinlogPosition(file: "b.000003", offset: offset),
                gtids: try gtids.map {
                    .mysql(try #require(MySQLGTIDSet("\(Self.uuid):\($0)")))
                } ?? .none)
        }
        #expect(try place(1, 500).isHeld(by: place(1, 500)))
        #expect(try !place(1, 501).isHeld(by: place(1, 500)))
        // On one server file and offset decide, also where the mark lacks old GTIDs.
        #expect(try place(1, 500, "1-9").isHeld(by: place(1, 500, "5-9")))
        #expect(try place(1, 900, "1-9").isHeld(by: place(2, 500, "1-12")))
        // Errant transactions of another server never come.
        #expect(try !place(1, 4, "1-9:20").isHeld(by: place(2, 500, "1-12")))
        #expect(try !place(1, 4).isHeld(by: place(2, 500)))
    }

    @Test func positionsWithoutGTIDsCompareAlongTheFilesOfOneServer() {
        let server = ServerUUID(high: 0, low: 1)
        let first = Origin(server: server, life: 1)
        // The first file after a start has another life than those that follow it.
        let place = SourcePosition(
            origin: Origin(server: server, life: 2),
            binlog: BinlogPosition(file: "b.000002", offset: 500), gtids: .none)
        func identity(_ origin: Origin, _ file: String, _ offset: UInt64) -> TransactionIdentity {
            TransactionIdentity(stream: .file(origin, file: file), number: offset)
        }
        #expect(place.contains(identity(first, "b.000001", 900)))
        #expect(place.contains(identity(first, "b.000002", 499)))
        #expect(!place.contains(identity(first, "b.000002", 500)))
        let other = Origin(server: ServerUUID(high: 0, low: 2), life: 2)
        #expect(!place.contains(identity(other, "b.000001", 900)))
    }

    @Test func identitySetsRoundTripAndHoldWhatWasAdded() throws {
        var set = IdentitySet()
        let file = IdentityStream.file(
            Origin(server: ServerUUID(high: 0, low: 1), life: 2), file: "b.000002")
        for n: UInt64 in [4, 300, 70_000, 1 << 50] { set.insert(.init(stream: file, number: n)) }
        let maria = IdentityStream.mariadb(domain: 0, server: 9)
        for n: UInt64 in 100...200 { set.insert(.init(stream: maria, number: n)) }
        #expect(try IdentitySet(encoded: set.encoded) == set)
        #expect(set.count == 105)
        #expect(set.contains(.init(stream: maria, number: 150)))
        #expect(!set.contains(.init(stream: maria, number: 201)))
        #expect(try IdentitySet(encoded: []).isEmpty)
    }

    @Test func appliedSetsRoundTripWithTheirDigestAndWithout() throws {
        var set = AppliedSet()
        let maria = IdentityStream.mariadb(domain: 0, server: 9)
        for n: UInt64 in 100...102 { set.identities.insert(.init(stream: maria, number: n)) }
        // What earlier versions wrote has none.
        #expect(set.encoded == set.identities.encoded)
        #expect(try AppliedSet(encoded: set.encoded) == set)
        set.digest = AppliedDigest(sum: 0x0102, stream: .max)
        #expect(
            set.encoded == [2, 2, 1, 0, 0, 0, 0, 0, 0] + Array(repeating: 255, count: 8)
                + set.identities.encoded.dropFirst())
        #expect(try AppliedSet(encoded: set.encoded) == set)
        #expect(try AppliedSet(encoded: []) == AppliedSet(digest: AppliedDigest()))
        for length in 1..<set.encoded.count {
            #expect(throws: MalformedEncoding.self) {
                try AppliedSet(encoded: Array(set.encoded.prefix(length)))
            }
        }
        #expect(throws: MalformedEncoding.self) { try AppliedSet(encoded: [3, 0]) }
        #expect(throws: MalformedEncoding.self) { try IdentitySet(encoded: set.encoded) }
    }

    @Test func digestsAddUpInAnyOrderAndOnlyWithinAStream() {
        let (a, b) = (AppliedDigest(sum: .max, stream: 5), AppliedDigest(sum: 3, stream: 5))
        #expect(a.adding(b) == AppliedDigest(sum: 2, stream: 5))
        #expect(AppliedDigest().adding(b) == b)
        #expect(b.adding(AppliedDigest()) == b)
        #expect(a.adding(AppliedDigest(sum: 3, stream: 6)) == nil)
    }

    @Test func mariadbPositionsHoldEverySequenceUpToTheLastOfTheDomain() throws {
        let origin = Origin(server: ServerUUID(high: 0, low: 1), life: 2)
        let position = SourcePosition(
            origin: origin, binlog: .init(file: "b.1", offset: 4),
            gtids: .mariadb(try #require(MariaDBGTIDPosition("0-1-5"))))
        func id(_ d: UInt32, _ n: UInt64) -> TransactionIdentity {
            .init(stream: .mariadb(domain: d, server: 3), number: n)
        }
        #expect(position.contains(id(0, 5)))
        #expect(!position.contains(id(0, 6)))
        #expect(!position.contains(id(1, 1)))
    }
}
