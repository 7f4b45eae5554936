import MySQLBinlog
import MySQLCore
import Testing

@testable import Replication

@Suite("The mark")
struct MarkKeeperTests {
    enum Naming: CaseIterable { case mysql, mariadb, file }

    private static let origin = Origin(server: ServerUUID(high: 1, low: 2), life: 3)
    private static let uuid = ServerUUID(high: 7, low: 8)

    private static func identity(_ naming: Naming, _ n: Int) -> TransactionIdentity {
        switch naming {
        case .mysql:
            TransactionIdentity(stream: .mysql(uuid, tag: ""), number: UInt64(n))
        case .mariadb:
            TransactionIdentity(
                stream: .mariadb(domain: UInt32(n % 2), server: 1), number: UInt64(n))
        case .file:
            TransactionIdentity(stream: .file(origin, file: "bin.000001"), number: UInt64(n * 100))
        }
    }

    private static func end(_ naming: Naming, _ n: Int) -> GroupEnd {
        GroupEnd(
            ordinal: UInt64(n), identity: identity(naming, n),
            start: BinlogPosition(file: "bin.000001", offset: UInt64(n * 100)),
            end: BinlogPosition(file: "bin.000001", offset: UInt64(n * 100 + 90)),
            digest: UInt64(n))
    }

    private static func start(_ naming: Naming) -> SourcePosition {
        SourcePosition(
            origin: origin, binlog: BinlogPosition(file: "bin.000001", offset: 4),
            gtids: naming == .mysql
                ? .mysql(MySQLGTIDSet())
                : naming == .mariadb ? .mariadb(MariaDBGTIDPosition()) : .none)
    }

    private static func table(_ n: Int) -> TableName { TableName(schema: "s", name: "t\(n)") }

    @Test(
        "it moves over the longest prefix that the target holds, and never back",
        arguments: Naming.allCases)
    func prefix(naming: Naming) {
        for seed: UInt64 in 1...150 {
            var random = SplitMix(seed)
            let count = 1 + random.below(40)
            var carried = IdentitySet()
            var held: Set<Int> = []
            var passed: Set<Int> = []
            for n in 1...count {
                if random.oneIn(6) {
                    carried.insert(Self.identity(naming, n))
                    held.insert(n)
                } else if random.oneIn(5) {
                    passed.insert(n)
                }
            }
            let all = held.reduce(UInt64.max) { $0 &+ UInt64($1) } &+ 1
            let keeper = MarkKeeper(
                mark: Self.start(naming),
                carried: AppliedSet(carried, digest: AppliedDigest(sum: all, stream: 7)), tail: nil)
            keeper.begin(origin: Self.origin, readsAgain: false, digests: 7)
            // What lanes have committed ever; statements are in no digest.
            var committed: UInt64 = 0
            var lanes = [IdentitySet](repeating: IdentitySet(), count: 3)
            var appended = 0
            var marked = 0
            var shapesSeen: [Int] = []
            var last = Self.start(naming).binlog
            while marked < count {
                switch random.below(4) {
                case 0 where appended < count:
                    appended += 1
                    keeper.append(
                        Self.end(naming, appended), isPassed: passed.contains(appended),
                        isStatement: appended % 7 == 0
                            && !carried.contains(Self.identity(naming, appended)),
                        shapes: appended % 5 == 0 ? [(Self.table(appended), nil)] : [])
                case 1 where appended > 0:
                    let n = 1 + random.below(appended)
                    guard !passed.contains(n), !held.contains(n) else { continue }
                    lanes[random.below(3)].insert(Self.identity(naming, n))
                    held.insert(n)
                    if n % 7 != 0 { committed &+= UInt64(n) }
                case 2:
                    guard let advance = keeper.advance(over: lanes) else { continue }
                    var expected = marked
                    while expected < appended,
                        held.contains(expected + 1) || passed.contains(expected + 1)
                    { expected += 1 }
                    #expect(advance.count == expected - marked, "seed \(seed)")
                    #expect(advance.mark.binlog >= last, "seed \(seed)")
                    for n in 1...count {
                        #expect(
                            advance.mark.contains(Self.identity(naming, n)) == (n <= expected)
                                || (naming == .mariadb && n > expected), "seed \(seed): \(n)")
                        #expect(
                            advance.carried.identities.contains(Self.identity(naming, n))
                                == (n > expected && carried.contains(Self.identity(naming, n))),
                            "seed \(seed): \(n)")
                    }
                    #expect(
                        advance.tail?.identity
                            == (expected > marked
                                ? Self.identity(naming, expected) : advance.tail?.identity))
                    let shapes = (marked + 1..<max(expected + 1, marked + 1)).filter { $0 % 5 == 0 }
                    #expect(advance.shapes.map(\.0) == shapes.map(Self.table), "seed \(seed)")
                    let above = held.filter { n in
                        n > expected
                            && (n % 7 != 0 || carried.contains(Self.identity(naming, n)))
                    }
                    #expect(
                        advance.carried.digest.map { $0.sum &+ committed }
                            == above.reduce(UInt64(0)) { $0 &+ UInt64($1) }, "seed \(seed)")
                    // A mark that was not written is computed again.
                    if random.oneIn(4) { continue }
                    keeper.didWrite(advance)
                    last = advance.mark.binlog
                    marked = expected
                    shapesSeen += shapes
                    for lane in 0..<3 { lanes[lane].subtract(heldBy: advance.mark) }
                default: break
                }
            }
            #expect(keeper.count == 0)
            #expect(keeper.carried.isEmpty)
            #expect(shapesSeen == Array(1...count).filter { $0 % 5 == 0 })
            #expect(keeper.advance(over: lanes) == nil)
        }
    }

    @Test("of transactions of two streams no digest is known; where there are none, it begins anew")
    func digests() throws {
        var carried = IdentitySet()
        carried.insert(Self.identity(.mysql, 1))
        func digest(_ carried: IdentitySet, _ before: AppliedDigest?) throws -> AppliedDigest? {
            let keeper = MarkKeeper(
                mark: Self.start(.mysql), carried: AppliedSet(carried, digest: before), tail: nil)
            keeper.begin(origin: Self.origin, readsAgain: false, digests: 7)
            keeper.append(Self.end(.mysql, 1), isPassed: true)
            return try #require(keeper.advance(over: [])).carried.digest
        }
        #expect(
            try digest(carried, AppliedDigest(sum: 1, stream: 7)) == AppliedDigest(stream: 7))
        // Nothing is left of what is not known.
        #expect(
            try digest(carried, AppliedDigest(sum: 1, stream: 8)) == AppliedDigest(stream: 7))
        #expect(try digest(carried, nil) == AppliedDigest(stream: 7))
        // As long as there is something, or had been of this run's own.
        carried.insert(Self.identity(.mysql, 3))
        let keeper = MarkKeeper(
            mark: Self.start(.mysql), carried: AppliedSet(carried, digest: nil), tail: nil)
        keeper.begin(origin: Self.origin, readsAgain: false, digests: 7)
        var done = IdentitySet()
        for n in 1...4 {
            keeper.append(Self.end(.mysql, n), isPassed: n % 2 == 1)
            if n % 2 == 0 { done.insert(Self.identity(.mysql, n)) }
            let advance = try #require(keeper.advance(over: [done]))
            let own: UInt64 = n < 4 ? 2 : 6
            #expect(
                advance.carried.digest
                    == (n < 3 ? nil : AppliedDigest(sum: 0 &- own, stream: 7)), "\(n)")
            keeper.didWrite(advance)
        }
        carried.remove(Self.identity(.mysql, 3))
        #expect(
            try digest(IdentitySet(), AppliedDigest(sum: 0, stream: 8)) == AppliedDigest(stream: 7))
    }

    @Test("a transaction that nobody holds stops it, whatever lies behind")
    func gap() throws {
        let keeper = MarkKeeper(mark: Self.start(.mysql), carried: AppliedSet(), tail: nil)
        var done = IdentitySet()
        for n in 1...3 { keeper.append(Self.end(.mysql, n), isPassed: false) }
        done.insert(Self.identity(.mysql, 2))
        done.insert(Self.identity(.mysql, 3))
        #expect(keeper.advance(over: [done]) == nil)
        done.insert(Self.identity(.mysql, 1))
        let advance = try #require(keeper.advance(over: [done]))
        #expect(advance.count == 3)
        #expect(advance.mark.gtids.description == "\(Self.uuid):1-3")
        #expect(advance.tail == Tail(Self.end(.mysql, 3)))
    }

    @Test("what is needed begins at the oldest XA transaction that may still be committed")
    func prepared() throws {
        let keeper = MarkKeeper(mark: Self.start(.mysql), carried: AppliedSet(), tail: nil)
        let (one, two) = (Self.xid(1), Self.xid(2))
        func pass(_ n: Int) throws {
            keeper.append(Self.end(.mysql, n), isPassed: true)
            keeper.didWrite(try #require(keeper.advance(over: [])))
        }
        try pass(1)
        keeper.note(.prepared(one, start: Self.end(.mysql, 1).start))
        try pass(2)
        keeper.note(.prepared(two, start: Self.end(.mysql, 2).start))
        try pass(3)
        #expect(keeper.needed.position == Self.end(.mysql, 1).start)
        // Decided, but the mark is not there yet: after a crash its rows are looked for again.
        keeper.append(Self.end(.mysql, 4), isPassed: false)
        keeper.note(.decided(one, end: Self.end(.mysql, 4).end))
        #expect(keeper.needed.position == Self.end(.mysql, 1).start)
        var done = IdentitySet()
        done.insert(Self.identity(.mysql, 4))
        keeper.didWrite(try #require(keeper.advance(over: [done])))
        #expect(keeper.needed.position == Self.end(.mysql, 2).start)
        try pass(5)
        keeper.note(.decided(two, end: Self.end(.mysql, 5).end))
        try pass(6)
        #expect(keeper.needed.position == Self.end(.mysql, 6).start)
    }

    private static func xid(_ n: UInt8) -> XATransactionID {
        XATransactionID(formatID: 1, globalTransaction: [n], branch: [])
    }

    @Test("with nothing above it, it goes to the end of the stream")
    func idle() throws {
        let keeper = MarkKeeper(mark: Self.start(.mariadb), carried: AppliedSet(), tail: nil)
        #expect(keeper.advance(over: []) == nil)
        let far = BinlogPosition(file: "bin.000002", offset: 300)
        keeper.streamMoved(to: far)
        let advance = try #require(keeper.advance(over: []))
        #expect(advance.mark.binlog == far && advance.count == 0)
        keeper.didWrite(advance)
        #expect(keeper.advance(over: []) == nil)
        keeper.append(Self.end(.mariadb, 1), isPassed: false)
        #expect(keeper.advance(over: [])?.mark.binlog != far || keeper.count == 1)
    }

    @Test("reading the newest transaction again does not move it back")
    func tailIsReadAgain() {
        var mark = Self.start(.mysql)
        mark.include(Self.identity(.mysql, 1))
        mark.binlog = BinlogPosition(file: "bin.000002", offset: 500)
        let keeper = MarkKeeper(
            mark: mark, carried: AppliedSet(), tail: Tail(Self.end(.mysql, 1)))
        keeper.append(Self.end(.mysql, 1), isPassed: true)
        if let advance = keeper.advance(over: []) {
            #expect(advance.mark.binlog >= mark.binlog)
            keeper.didWrite(advance)
        }
        #expect(keeper.positions.mark.binlog >= mark.binlog)
    }

    @Test("what lies between the newest transaction and the mark does not move it back")
    func restOfTheFileIsReadAgain() throws {
        var mark = Self.start(.file)
        mark.binlog = BinlogPosition(file: "bin.000002", offset: 157)
        let tail = Self.end(.file, 1)
        let keeper = MarkKeeper(mark: mark, carried: AppliedSet(), tail: Tail(tail))
        keeper.begin(origin: mark.origin, readsAgain: true)
        // The stream's first, made-up ROTATE, the transaction, the real one at the file's end.
        keeper.streamMoved(to: tail.start)
        #expect(keeper.advance(over: []) == nil)
        keeper.append(tail, isPassed: true)
        keeper.streamMoved(to: BinlogPosition(file: "bin.000001", offset: 900))
        let advance = try #require(keeper.advance(over: []))
        #expect(advance.mark == mark)
        keeper.didWrite(advance)
        let far = BinlogPosition(file: "bin.000002", offset: 200)
        keeper.streamMoved(to: far)
        #expect(keeper.advance(over: [])?.mark.binlog == far)
    }

    @Test("its tail is read as it was written")
    func tailEncoding() {
        for naming in Naming.allCases {
            var tail = Tail(Self.end(naming, 12))
            tail.digest = .max - 5
            tail.start.offset = 1 << 40
            #expect(Tail(encoded: tail.encoded) == tail)
            for length in 0..<tail.encoded.count {
                #expect(Tail(encoded: Array(tail.encoded.prefix(length))) == nil)
            }
        }
    }
}
