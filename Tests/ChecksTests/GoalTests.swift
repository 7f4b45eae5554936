import MySQLCore
import Testing

@testable import Worker

@Suite("Goals") struct GoalTests {
    private static func place(
        _ server: UInt64, _ file: String, _ offset: UInt64, _ gtids: String? = nil
    ) throws -> SourcePosition {
        SourcePosition(
            origin: Origin(server: ServerUUID(high: 0, low: server), life: 0),
            binlog: BinlogPosition(file: file, offset: offset),
            gtids: try gtids.map { .mariadb(try #require(MariaDBGTIDPosition($0))) } ?? .none)
    }

    @Test("a mark reaches a place by position on its own server, elsewhere by GTIDs")
    func reaches() throws {
        let mark = try Self.place(1, "bin.000500", 900)
        #expect(mark.reaches(try Self.place(1, "bin.000500", 900)))
        #expect(!mark.reaches(try Self.place(1, "bin.000500", 901)))
        // Another server's files have other numbers.
        #expect(!mark.reaches(try Self.place(2, "bin.000007", 4)))
        let carried = try Self.place(1, "bin.000500", 900, "0-1-80")
        #expect(!carried.reaches(try Self.place(2, "bin.000007", 4, "0-2-81")))
        #expect(carried.reaches(try Self.place(2, "bin.000600", 4, "0-1-80")))
    }
}
