import Checkpoint
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@testable import Replication

/// Which changes another tool may have applied before the subtask began.
@Suite("What another tool may have applied")
struct AdoptedStretchTests {
    private static let server = ServerUUID(high: 1, low: 1)
    private static let other = ServerUUID(high: 2, low: 2)

    private static func end(_ gtids: GTIDState, server: ServerUUID = server) -> SourcePosition {
        SourcePosition(
            origin: Origin(server: server, life: 1),
            binlog: BinlogPosition(file: "bin.000007", offset: 1000), gtids: gtids)
    }

    private static func catalog(_ end: SourcePosition?, isSafe: Bool = false) throws -> TableCatalog
    {
        TableCatalog(
            sourceVersion: ServerVersion("10.11.6-MariaDB"),
            mapping: try TableMapping(SourceRules()), state: SchemaState(), windows: [:],
            consistentFrom: nil, isSafe: isSafe, adoptedUntil: end)
    }

    private static func place(_ file: Int, _ offset: UInt64) -> BinlogPosition {
        BinlogPosition(file: "bin.00000\(file)", offset: offset)
    }

    @Test("it is told by each transaction's own place, in whatever order they come")
    func mysql() throws {
        let set = try #require(MySQLGTIDSet("11111111-2222-3333-4444-555555555555:1-9:12"))
        let stream = IdentityStream.mysql(
            try #require(ServerUUID("11111111-2222-3333-4444-555555555555")), tag: "")
        let end = Self.end(.mysql(set))
        let catalog = try Self.catalog(end)
        func isSafe(_ number: UInt64, _ place: BinlogPosition, _ server: ServerUUID) -> Bool {
            catalog.beginTransaction(
                TransactionIdentity(stream: stream, number: number), at: place, of: server)
            return catalog.isSafe
        }
        // After a failover numbers alone count, and files say nothing.
        #expect(isSafe(9, Self.place(1, 4), Self.other))
        #expect(!isSafe(10, Self.place(1, 4), Self.other))
        #expect(isSafe(12, Self.place(9, 4), Self.other))
        #expect(!isSafe(13, Self.place(9, 4), Self.other))
        // On its own server a place is enough: a replica may read what is not committed yet.
        #expect(isSafe(13, Self.place(7, 999), Self.server))
        #expect(!isSafe(13, Self.place(7, 1000), Self.server))
        // Passed, it costs nothing; only a mark that holds all of it passes it.
        var mark = end
        mark.binlog = Self.place(8, 4)
        mark.gtids = .mysql(try #require(MySQLGTIDSet("11111111-2222-3333-4444-555555555555:1-9")))
        catalog.forgetWindows(passedBy: mark)
        #expect(catalog.hasWindows && isSafe(12, Self.place(8, 4), Self.server))
        mark.gtids = .mysql(try #require(MySQLGTIDSet("11111111-2222-3333-4444-555555555555:1-12")))
        catalog.forgetWindows(passedBy: mark)
        #expect(!catalog.hasWindows)
    }

    @Test("numbers that do not rise, and places without numbers")
    func mariadb() throws {
        let end = Self.end(.mariadb(try #require(MariaDBGTIDPosition("0-1-50"))))
        let catalog = try Self.catalog(end)
        let stream = IdentityStream.mariadb(domain: 0, server: 1)
        for (number, offset, isSafe) in [
            (UInt64(50), UInt64(2000), true), (70, 900, true), (51, 1000, false), (40, 3000, true),
        ] {
            catalog.beginTransaction(
                TransactionIdentity(stream: stream, number: number),
                at: Self.place(7, offset), of: Self.server)
            #expect(catalog.isSafe == isSafe, "\(number) at \(offset)")
        }
        let plain = try Self.catalog(Self.end(.none))
        let origin = Origin(server: Self.server, life: 3)
        for (offset, isSafe) in [(UInt64(999), true), (1000, false)] {
            plain.beginTransaction(
                TransactionIdentity(stream: .file(origin, file: "bin.000007"), number: offset),
                at: Self.place(7, offset), of: Self.server)
            #expect(plain.isSafe == isSafe)
        }
    }

    @Test("without it, only what the user asks for counts")
    func none() throws {
        let identity = TransactionIdentity(
            stream: .mariadb(domain: 0, server: 1), number: 1)
        for isSafe in [true, false] {
            let catalog = try Self.catalog(nil, isSafe: isSafe)
            catalog.beginTransaction(identity, at: Self.place(1, 4), of: Self.server)
            #expect(catalog.isSafe == isSafe && !catalog.hasWindows)
        }
    }
}
