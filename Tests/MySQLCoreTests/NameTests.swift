import MySQLCore
import Testing

@Suite struct NameTests {
    @Test func namesAreTheirBytes() {
        let one = TableName(schema: "s", name: "caf\u{e9}")
        let two = TableName(schema: "s", name: "cafe\u{301}")
        #expect(one.name == two.name)
        #expect(one != two)
        #expect(Set([one, two]).count == 2)
        #expect((one < two) != (two < one))
        let other = TableName(schema: "caf\u{e9}", name: "a")
        #expect(other != TableName(schema: "cafe\u{301}", name: "a"))
        #expect([one, other].sorted() == [other, one])
    }
}
