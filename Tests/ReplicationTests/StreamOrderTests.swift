import MySQLCore
import Testing

@testable import Replication

@Suite("The order of a stream")
struct StreamOrderTests {
    private static let origin = Origin(server: ServerUUID(high: 1, low: 2), life: 3)
    private static let position = SourcePosition(
        origin: origin, binlog: BinlogPosition(file: "bin.000001", offset: 4), gtids: .none)

    private static func mariadb(_ n: UInt64, server: UInt32 = 1, domain: UInt32 = 0)
        -> TransactionIdentity
    {
        TransactionIdentity(stream: .mariadb(domain: domain, server: server), number: n)
    }

    private static func file(_ n: UInt64, _ file: String = "bin.000001") -> TransactionIdentity {
        TransactionIdentity(stream: .file(origin, file: file), number: n)
    }

    private static func mysql(_ n: UInt64) -> TransactionIdentity {
        TransactionIdentity(stream: .mysql(ServerUUID(high: 1, low: 2), tag: ""), number: n)
    }

    private static func pass(
        _ stream: [TransactionIdentity], carrying: [TransactionIdentity],
        after gtids: String? = nil, tail: TransactionIdentity? = nil
    ) throws {
        var mark = position
        if let gtids { mark.gtids = .mariadb(try #require(MariaDBGTIDPosition(gtids))) }
        var carried = IdentitySet()
        for identity in carrying { carried.insert(identity) }
        var order = StreamOrder(carried: AppliedSet(carried), after: mark, tail: tail)
        for identity in stream { try order.pass(identity, at: position) }
    }

    @Test("what the target holds above the mark has to come")
    func met() throws {
        try Self.pass(
            [1, 2, 3, 5].map { Self.mariadb($0) }, carrying: [2, 3].map { Self.mariadb($0) })
        try Self.pass([4, 90, 200].map { Self.file($0) }, carrying: [90].map { Self.file($0) })
        // Other domains have an order of their own; a MySQL stream has none.
        try Self.pass(
            [Self.mariadb(7, domain: 1), Self.mariadb(2)], carrying: [Self.mariadb(2)])
        try Self.pass([Self.mysql(9), Self.mysql(4)], carrying: [Self.mysql(4)])
    }

    @Test("transactions that come by the names of applied ones have to be those, to the byte")
    func digests() throws {
        func pass(_ events: [UInt64?], carrying sum: UInt64?) throws {
            var carried = AppliedSet()
            for n: UInt64 in [2, 3, 5] { carried.identities.insert(Self.mysql(n)) }
            carried.digest = sum.map { AppliedDigest(sum: $0, stream: 1) }
            var order = StreamOrder(carried: carried, after: Self.position, tail: nil)
            // The first and the fourth are not among them.
            for (n, digest) in zip([1, 5, 2, 4, 3, 6] as [UInt64], events) {
                try order.pass(Self.mysql(n), at: Self.position, events: digest)
            }
        }
        let all: UInt64 = 10 &+ (UInt64.max - 4) &+ 30
        try pass([99, 10, UInt64.max - 4, 99, 30, 99], carrying: all)
        try pass([99, 10, 0, 99, 30, 99], carrying: nil)
        // One of them is a statement.
        try pass([99, 10, nil, 99, 30, 99], carrying: 40)
        for events: [UInt64?] in [
            [99, 10, UInt64.max - 4, 99, 31, 99], [99, nil, UInt64.max - 4, 99, 30, 99],
        ] {
            #expect(throws: ReplicationError.otherTransactions(upTo: Self.position)) {
                try pass(events, carrying: all)
            }
        }
    }

    @Test("a transaction that the source has lost stops it before anything behind it is applied")
    func lost() {
        func expectLost(_ stream: [TransactionIdentity], _ carried: TransactionIdentity) {
            #expect(throws: ReplicationError.lostTransaction(carried)) {
                try Self.pass(stream, carrying: [carried])
            }
        }
        expectLost([Self.mariadb(1), Self.mariadb(3)], Self.mariadb(2))
        // The same number by another server: it was written after a failover that lost ours.
        expectLost([Self.mariadb(1), Self.mariadb(2, server: 9)], Self.mariadb(2))
        expectLost([Self.file(4), Self.file(200)], Self.file(90))
        expectLost([Self.file(4), Self.file(4, "bin.000002")], Self.file(90))
    }

    @Test("a sequence number that does not grow within its domain stops it")
    func growing() throws {
        try Self.pass([Self.mariadb(5), Self.mariadb(6), Self.mariadb(2, domain: 3)], carrying: [])
        for second in [Self.mariadb(5), Self.mariadb(4, server: 2)] {
            #expect(throws: ReplicationError.self) {
                try Self.pass([Self.mariadb(5), second], carrying: [])
            }
        }
    }

    @Test("a number that the mark has passed is not taken for applied, only the newest one is met")
    func behindTheMark() throws {
        let newest = Self.mariadb(101, server: 2)
        try Self.pass([newest, Self.mariadb(102)], carrying: [], after: "0-2-101", tail: newest)
        try Self.pass(
            [Self.mariadb(102), Self.mariadb(3, domain: 1)], carrying: [], after: "0-2-101")
        for stream in [
            [Self.mariadb(101)], [newest, Self.mariadb(101)], [newest, newest],
        ] {
            #expect(throws: ReplicationError.self) {
                try Self.pass(stream, carrying: [], after: "0-2-101", tail: newest)
            }
        }
        #expect(throws: ReplicationError.self) {
            try Self.pass([newest], carrying: [], after: "0-2-101")
        }
    }
}
