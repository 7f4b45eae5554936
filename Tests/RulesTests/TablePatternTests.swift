import MySQLCore
import Rules
import Testing

@Suite("Table patterns")
struct TablePatternTests {
    /// The obvious matcher: tries every length for every star.
    private func slowMatches(_ pattern: [Character], _ text: [Character]) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        let rest = Array(pattern.dropFirst())
        switch first {
        case "*": return (0...text.count).contains { slowMatches(rest, Array(text[$0...])) }
        case "?": return !text.isEmpty && slowMatches(rest, Array(text.dropFirst()))
        default: return text.first == first && slowMatches(rest, Array(text.dropFirst()))
        }
    }

    @Test("patterns match as trying everything does")
    func agreesWithSlowModel() throws {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("ab*?")
        for _ in 0..<20_000 {
            let pattern = (0..<Int.random(in: 1...7, using: &random))
                .map { _ in alphabet.randomElement(using: &random)! }
            let text = (0..<Int.random(in: 0...8, using: &random))
                .map { _ in Bool.random(using: &random) ? Character("a") : Character("b") }
            let parsed = try #require(TablePattern("s." + String(pattern)))
            let matches = parsed.matches(TableName(schema: "s", name: String(text)))
            #expect(matches == slowMatches(pattern, text), "\(String(pattern)) \(String(text))")
        }
    }

    @Test("many stars take no exponential time")
    func manyStars() throws {
        let pattern = try #require(TablePattern("s." + String(repeating: "*a", count: 200) + "b"))
        let began = ContinuousClock.now
        #expect(!pattern.matches(TableName(schema: "s", name: String(repeating: "a", count: 5000))))
        #expect(ContinuousClock.now - began < .seconds(5))
    }

    @Test("a schema alone means all its tables")
    func schemaAlone() throws {
        let pattern = try #require(TablePattern("shop"))
        #expect(pattern.matches(TableName(schema: "shop", name: "anything.at all")))
        #expect(!pattern.matches(TableName(schema: "shop2", name: "t")))
        #expect(pattern.description == "shop")
    }

    @Test("inside backticks wildcards and dots are plain characters")
    func quoted() throws {
        let pattern = try #require(TablePattern("`a.b`.`c*``d`*"))
        #expect(pattern.matches(TableName(schema: "a.b", name: "c*`d")))
        #expect(pattern.matches(TableName(schema: "a.b", name: "c*`d and more")))
        #expect(!pattern.matches(TableName(schema: "a.b", name: "cx`d")))
    }

    @Test("any name matches its own quoted pattern, and no other name does")
    func ownPattern() throws {
        let names = ["t", "a`b", "*", "?", "Straße", "日本", "a b", "T", "a.b", "`"]
        for name in names {
            let table = TableName(schema: name, name: name)
            let pattern = try #require(TablePattern(table.quoted))
            for other in names {
                #expect(pattern.matches(TableName(schema: other, name: name)) == (other == name))
                #expect(pattern.matches(TableName(schema: name, name: other)) == (other == name))
            }
        }
    }

    @Test(
        "malformed patterns are refused", arguments: ["", ".", "a.", ".b", "a.b.c", "`a", "a.`b"])
    func malformed(_ text: String) { #expect(TablePattern(text) == nil) }

    @Test("a table is selected when a pattern takes it and none leaves it")
    func selection() throws {
        let selection = TableSelection(
            tables: [try #require(TablePattern("shop.*")), try #require(TablePattern("c?m.x"))],
            excluded: [try #require(TablePattern("shop.tmp_*"))])
        #expect(selection.selects(TableName(schema: "shop", name: "orders")))
        #expect(!selection.selects(TableName(schema: "shop", name: "tmp_1")))
        #expect(selection.selects(TableName(schema: "crm", name: "x")))
        #expect(!selection.selects(TableName(schema: "crm", name: "y")))
        let all = TableFilter(TableSelection(tables: [try #require(TablePattern("*"))]))
        for schema in ["mysql", "SYS", "information_schema", "ndbinfo", "dm_heartbeat"] {
            let table = TableName(schema: schema, name: "t")
            #expect(!all.selects(table) && !all.mayHold(schema: schema), "\(schema)")
        }
        #expect(all.selects(TableName(schema: "shop", name: "user")))
        #expect(selection.mayHold(schema: "crm") && !selection.mayHold(schema: "other"))
    }
}
