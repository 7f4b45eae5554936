import Foundation
import MySQLCore
import Rules
import Testing

@Suite("A source's rules together")
struct CompiledRulesTests {
    private let rules = SourceRules(
        source: "s1", tables: BlockAllowList(doSchemas: ["shop"]),
        routes: [
            RouteRule(
                name: "r", schemaPattern: "shop", tablePattern: "t_*", targetSchema: "all",
                targetTable: "t", extractSource: .init(pattern: "(.*)", column: "src"))
        ],
        eventFilters: [
            EventFilterRule(
                name: "f", schemaPattern: "*", tablePattern: "t_1", events: [.delete],
                action: .ignore),
            EventFilterRule(
                name: "g", schemaPattern: "*", tablePattern: "log", events: [.allDML],
                action: .ignore),
        ],
        expressionFilters: [
            ExpressionFilterRule(name: "e", schema: "shop", table: "t_1", insertExpression: "a = 1")
        ])

    private func plan(_ schema: String, _ name: String) throws -> TablePlan {
        try CompiledRules(rules).plan(for: TableName(schema: schema, name: name))
    }

    @Test("a table's plan has every rule's part in it")
    func plans() throws {
        let plan = try plan("Shop", "T_1")
        #expect(plan.isMigrated && plan.reason == .unlisted && plan.kind == .real)
        #expect(plan.route.target == TableName(schema: "all", name: "t"))
        #expect(plan.route.extracted == [.init(name: "src", value: "s1")])
        #expect(plan.deletes == EventFilter.Decision(.ignore, rule: "f"))
        #expect(plan.inserts.action == .do && plan.updates.action == .do)
        #expect(try !self.plan("shop", "log").isMigrated)
        #expect(try !self.plan("other", "t_1").isMigrated)
        #expect(try !self.plan("shop", "_t_1_gho").isMigrated)
        var plain = rules
        plain.onlineSchemaChange = nil
        let table = TableName(schema: "shop", name: "_t_1_gho")
        #expect(try CompiledRules(plain).plan(for: table).isMigrated)
    }

    @Test("rules are the same after a way through a file")
    func coding() throws {
        let data = try JSONEncoder().encode(rules)
        #expect(try JSONDecoder().decode(SourceRules.self, from: data) == rules)
    }

    @Test("an entry of two kinds is refused with its name")
    func wrong() {
        var wrong = rules
        wrong.expressionFilters[0].deleteExpression = "a = 1"
        let error = #expect(throws: RuleError.self) { try CompiledRules(wrong) }
        #expect(error?.key == "expression-filter.e")
    }

    @Test("expressions are bound to the shape of their table")
    func expressions() throws {
        let compiled = try CompiledRules(rules)
        var shape = HandmadeRow.shape
        shape.name = TableName(schema: "shop", name: "T_1")
        let bound = try compiled.expressions(for: shape, context: HandmadeRow.context)
        #expect(bound.inserts.map(\.rule) == ["e"])
        shape.name = TableName(schema: "shop", name: "t_2")
        #expect(try compiled.expressions(for: shape, context: HandmadeRow.context).isEmpty)
    }
}
