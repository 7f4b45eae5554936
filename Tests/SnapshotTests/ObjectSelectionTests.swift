import MySQLCore
import Rules
import Testing

@testable import Snapshot

@Suite("What is chosen of a directory by rules of which nobody says whether case counts")
struct ObjectSelectionTests {
    private static func selection(_ list: BlockAllowList) throws -> ObjectSelection {
        let rules = SourceRules(tables: list)
        return ObjectSelection(
            try TableMapping(rules.comparing(lowerCaseTableNames: 0)),
            folded: try TableMapping(rules))
    }

    @Test("names that only case leaves out are told from all others")
    func open() throws {
        let chosen = try Self.selection(BlockAllowList(doSchemas: ["Shop", "crm"]))
        #expect(chosen.isOpen(TableName(schema: "shop", name: "t")))
        #expect(chosen.isOpen(schema: "shop"))
        for schema in ["Shop", "crm", "other"] {
            #expect(!chosen.isOpen(TableName(schema: schema, name: "t")), "\(schema)")
            #expect(!chosen.isOpen(schema: schema), "\(schema)")
        }
        #expect(chosen.selects(TableName(schema: "crm", name: "t")))
        #expect(!chosen.selects(TableName(schema: "other", name: "t")))
    }

    @Test("where somebody says it, nothing is open")
    func said() throws {
        let rules = SourceRules(tables: BlockAllowList(doSchemas: ["Shop"]))
        let exact = ObjectSelection(try TableMapping(rules.comparing(lowerCaseTableNames: 0)))
        #expect(!exact.isOpen(TableName(schema: "shop", name: "t")))
        #expect(!exact.isOpen(schema: "shop"))
        #expect(!exact.selects(TableName(schema: "shop", name: "t")))
    }
}
