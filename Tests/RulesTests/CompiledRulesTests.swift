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

    @Test("a table's mapping has every rule's part in it")
    func mapping() throws {
        let mapping = try TableMapping(rules)
        let table = TableName(schema: "Shop", name: "T_1")
        #expect(mapping.selects(table))
        let route = try mapping.route(of: table)
        #expect(route.target == TableName(schema: "all", name: "t"))
        #expect(route.extracted == [.init(name: "src", value: "s1")])
        #expect(
            mapping.decision(for: .delete, on: table) == EventFilter.Decision(.ignore, rule: "f"))
        #expect(mapping.decision(for: .insert, on: table).action == .do)
        #expect(mapping.leavesOutRows(of: table))
        #expect(!mapping.leavesOutRows(of: TableName(schema: "shop", name: "other")))
        #expect(!mapping.selects(TableName(schema: "other", name: "t_1")))
    }

    @Test("a filter is named that may leave out anything of a table")
    func leavesOut() throws {
        func rule(_ filter: EventFilterRule) throws -> String? {
            let mapping = try TableMapping(SourceRules(eventFilters: [filter]))
            return mapping.ruleThatLeavesOut(of: TableName(schema: "shop", name: "t"))
        }
        func filter(
            _ events: [EventSelector], _ action: EventAction, table: String = "t",
            sql: [String] = []
        ) -> EventFilterRule {
            EventFilterRule(
                name: "f", schemaPattern: "shop", tablePattern: table, events: events,
                sqlPatterns: sql, action: action)
        }
        for events in [[EventSelector.update], [.truncateTable], [.dropColumn], [.allDDL]] {
            #expect(try rule(filter(events, .ignore)) == "filters.f")
            #expect(try rule(filter(events, .ignore, table: "u")) == nil)
            // It stops the task, which leaves out nothing.
            #expect(try rule(filter(events, .error)) == nil)
        }
        #expect(try rule(filter([], .ignore, sql: ["^drop"])) == "filters.f")
        #expect(try rule(filter([.insert, .update, .delete], .do)) == "filters.f")
        #expect(try rule(filter([.all], .do)) == nil)
        // A view, a schema.
        #expect(try rule(filter([.dropView, .dropSchema], .ignore)) == nil)
        let mapping = try TableMapping(rules)
        let (named, other) = (
            TableName(schema: "shop", name: "t_1"), TableName(schema: "shop", name: "t_2")
        )
        #expect(mapping.ruleThatLeavesOut(of: named) == "expression-filter.e")
        #expect(mapping.ruleThatLeavesOut(of: other) == nil)
    }

    @Test("what other sources fill in where they may go to a table is known without their tables")
    func othersFill() throws {
        var mapping = try TableMapping(rules)
        let (merged, kept) = (
            TableName(schema: "all", name: "t"), TableName(schema: "shop", name: "own")
        )
        #expect(mapping.rowsOfOthers(target: merged).isEmpty)
        var other = rules
        other.source = "s2"
        mapping.share(with: ["s2": try TableMapping(ofOther: other)])
        #expect(
            mapping.rowsOfOthers(target: merged)
                == [RoutedRows(filled: [.init(name: "src", value: "s2")])])
        // A table of that name would go there, with nothing filled in.
        #expect(mapping.rowsOfOthers(target: kept) == [RoutedRows(filled: [])])
        #expect(mapping.rowsOfOthers(target: TableName(schema: "x", name: "y")).isEmpty)
    }

    @Test("only a rule for whole schemas that fills nothing in needs a table of the target's name")
    func othersNeedSameName() throws {
        let merged = TableName(schema: "all", name: "t")
        func needs(
            table: String = "", target: String = "", extracts: Bool = false
        ) throws -> [Bool] {
            let column = RouteRule.Extraction(pattern: "(.*)", column: "part")
            var mapping = try TableMapping(rules)
            let other = SourceRules(
                source: "s2", tables: BlockAllowList(doSchemas: ["shop"]),
                routes: [
                    RouteRule(
                        name: "r", schemaPattern: "shop", tablePattern: table, targetSchema: "all",
                        targetTable: target, extractSchema: extracts ? column : nil)
                ])
            mapping.share(with: ["s2": try TableMapping(ofOther: other)])
            let rows = mapping.rowsOfOthers(target: merged)
            #expect(rows.allSatisfy { $0.filled.isEmpty })
            return rows.map(\.needsSameName)
        }
        #expect(try needs() == [true])
        #expect(try needs(table: "x_*", target: "t") == [false])
        #expect(try needs(table: "t") == [false])
        // Where tables keep their names, only those that the pattern takes come there.
        #expect(try needs(table: "x_*") == [])
        #expect(try needs(table: "~^x") == [])
        #expect(try needs(table: "~^[a-t]$") == [false])
        // The target may write them in another case.
        #expect(try needs(table: "T") == [false])
        #expect(try needs(table: "[!t]") == [false])
        #expect(try needs(table: "~^[^t]$") == [false])
        #expect(try needs(target: "t") == [false])
        // Tables of that name in several schemas, most likely.
        #expect(try needs(extracts: true) == [false])
        // The source's table of that name goes there by itself.
        var mapping = try TableMapping(rules)
        let plain = SourceRules(source: "s3", tables: BlockAllowList(doSchemas: ["all"]))
        mapping.share(with: ["s3": try TableMapping(ofOther: plain)])
        #expect(mapping.rowsOfOthers(target: merged) == [RoutedRows(filled: [])])
    }

    @Test("rules are the same after a way through a file")
    func coding() throws {
        let data = try JSONEncoder().encode(rules)
        #expect(try JSONDecoder().decode(SourceRules.self, from: data) == rules)
    }

    @Test("case has a meaning of its own in regular expressions")
    func equalPatterns() throws {
        func displaced(_ task: String, _ source: String) throws -> Int {
            var rules = SourceRules(eventFilters: [
                EventFilterRule(name: "a", schemaPattern: task, action: .ignore)
            ])
            rules.sourceFilters = [
                EventFilterRule(name: "b", schemaPattern: source, action: .ignore)
            ]
            return try TableMapping(rules).displacedFilters.count
        }
        #expect(try displaced("shop", "SHOP") == 1)
        #expect(try displaced("~^\\d$", "~^\\D$") == 0)
        #expect(try displaced("~^\\d$", "~^\\d$") == 1)
    }

    @Test("expressions that depend on the time zone need one, and a copy reads in UTC")
    func zones() throws {
        let shape = TableShape(
            name: TableName(schema: "shop", name: "t"),
            columns: [
                ColumnShape(name: "id", type: ColumnType(.int)),
                ColumnShape(name: "ts", type: ColumnType(.timestamp)),
                ColumnShape(name: "dt", type: ColumnType(.datetime)),
            ])
        let version = ServerVersion("8.4.0")
        func mapping(_ text: String, _ offset: Int?) throws -> TableMapping {
            var rules = SourceRules(expressionFilters: [
                ExpressionFilterRule(name: "e", schema: "shop", table: "t", insertExpression: text)
            ])
            rules.timeZoneOffset = offset
            return try TableMapping(rules)
        }
        for text in [
            "ts > '2026-01-01'", "UNIX_TIMESTAMP(dt) > 1", "id = 1 OR FROM_UNIXTIME(id) > dt",
        ] {
            for offset in [nil, 0, 28_800] {
                var mapping = try mapping(text, offset)
                let filter = try #require(try mapping.expressions(for: shape, source: version))
                #expect(filter.zoned == ["expression-filter.e.insert-value-expr"])
                if offset ?? 0 == 0 || text.hasPrefix("ts") {
                    #expect(try mapping.copyCondition(of: shape, source: version) != nil)
                } else {
                    #expect {
                        try mapping.copyCondition(of: shape, source: version)
                    } throws: {
                        "\($0)".contains("rows are copied in UTC")
                    }
                }
                mapping.requireZone(insteadOf: "+08:00")
                #expect {
                    try mapping.expressions(for: shape, source: version)
                } throws: {
                    "\($0)".contains(
                        "insert-value-expr: it depends on the time zone, which is +08:00")
                }
            }
        }
        var plain = try mapping("dt > '2026-01-01'", 28_800)
        plain.requireZone(insteadOf: "+08:00")
        #expect(try plain.copyCondition(of: shape, source: version) != nil)
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
