import MySQLCore
import Testing

@testable import Snapshot

@Suite("Names of a dump")
struct LoadNameTests {
    @Test("names that differ in case alone are found, and no others")
    func alike() {
        func names(_ texts: [(String, String)]) -> [TableName] {
            texts.map { TableName(schema: $0.0, name: $0.1) }
        }
        let apart = names([("s", "a"), ("s", "b"), ("t", "a"), ("s", "a")])
        #expect(TableName.alike(apart) == [])
        let mixed = names([("s", "a"), ("s", "b"), ("S", "A"), ("s", "\u{c9}"), ("s", "\u{e9}")])
        #expect(
            TableName.alike(mixed)
                == names([("S", "A"), ("s", "a"), ("s", "\u{c9}"), ("s", "\u{e9}")]))
        // The same letter in other bytes is another name everywhere.
        #expect(TableName.alike(names([("s", "\u{e9}"), ("s", "e\u{301}")])) == [])
    }
}
