import MySQLCore
import Rules
import Testing

@Suite("Routes")
struct RouterTests {
    private func router(_ rules: [RouteRule], isCaseSensitive: Bool = false) throws -> Router {
        try Router(rules, source: "mysql-01", isCaseSensitive: isCaseSensitive)
    }

    @Test("tables' rules come before schemas', names stay where no rule matches")
    func levels() throws {
        let router = try router([
            RouteRule(name: "all", schemaPattern: "shop_*", targetSchema: "shop"),
            RouteRule(
                name: "orders", schemaPattern: "shop_*", tablePattern: "~^orders_[0-9]+$",
                targetSchema: "shop", targetTable: "Orders"),
        ])
        func route(_ schema: String, _ name: String) throws -> Route {
            try router.route(TableName(schema: schema, name: name))
        }
        #expect(
            try route("Shop_1", "ORDERS_7")
                == Route(target: TableName(schema: "shop", name: "Orders"), rule: "orders"))
        #expect(
            try route("shop_1", "Users")
                == Route(target: TableName(schema: "shop", name: "Users"), rule: "all"))
        #expect(try route("x", "y") == Route(target: TableName(schema: "x", name: "y")))
        #expect(try router.route(schema: "SHOP_1") == "shop")
        #expect(try router.route(schema: "other") == "other")
    }

    @Test("a rule of tables says nothing about the schema itself")
    func schemas() throws {
        let router = try router([
            RouteRule(name: "t", schemaPattern: "*", tablePattern: "*", targetSchema: "all")
        ])
        #expect(try router.route(schema: "a") == "a")
        #expect(try router.route(TableName(schema: "a", name: "b")).target.schema == "all")
    }

    @Test("two rules of a level are a conflict that names them")
    func conflicts() throws {
        let router = try router([
            RouteRule(name: "one", schemaPattern: "a*", tablePattern: "t*", targetSchema: "x"),
            RouteRule(name: "two", schemaPattern: "ab", tablePattern: "*", targetSchema: "y"),
            RouteRule(name: "three", schemaPattern: "c*", targetSchema: "x"),
            RouteRule(name: "four", schemaPattern: "cd", targetSchema: "y"),
        ])
        let table = #expect(throws: RouteConflict.self) {
            try router.route(TableName(schema: "ab", name: "t1"))
        }
        #expect(table?.rules == ["one", "two"])
        #expect(try router.route(TableName(schema: "ab", name: "u")).rule == "two")
        let schema = #expect(throws: RouteConflict.self) { try router.route(schema: "cd") }
        #expect(schema?.rules == ["three", "four"])
        #expect(schema?.description.contains("schema cd") == true)
    }

    @Test("columns are extracted from table, schema and source, groups joined")
    func extraction() throws {
        let router = try router([
            RouteRule(
                name: "r", schemaPattern: "s_*", tablePattern: "t_*", targetSchema: "s",
                targetTable: "t",
                extractTable: .init(pattern: "^t_(\\d+)_(\\w)", column: "c_table"),
                extractSchema: .init(pattern: "s_(.*)", column: "c_schema"),
                extractSource: .init(pattern: "oracle-(.*)|mysql-(.*)", column: "c_source"))
        ])
        let route = try router.route(TableName(schema: "s_A", name: "t_12_xy"))
        #expect(
            route.extracted == [
                .init(name: "c_table", value: "12x"), .init(name: "c_schema", value: "A"),
                .init(name: "c_source", value: "01"),
            ])
        // No match is an empty value, not a missing column.
        let other = try router.route(TableName(schema: "s_", name: "t_x"))
        #expect(other.extracted.map(\.value) == ["", "", "01"])
    }

    @Test("what is missing or wrong in a rule is told by its key")
    func errors() {
        func key(_ rule: RouteRule) -> String? {
            #expect(throws: RuleError.self) { try Router([rule]) }?.key
        }
        #expect(
            key(RouteRule(name: "r", schemaPattern: "", targetSchema: "x"))
                == "routes.r.schema-pattern")
        #expect(
            key(RouteRule(name: "r", schemaPattern: "a", targetSchema: ""))
                == "routes.r.target-schema")
        #expect(
            key(
                RouteRule(
                    name: "r", schemaPattern: "a", targetSchema: "b",
                    extractTable: .init(pattern: "a", column: "")))
                == "routes.r.extract-table.target-column")
        #expect(
            key(
                RouteRule(
                    name: "r", schemaPattern: "a", targetSchema: "b",
                    extractSource: .init(pattern: "(", column: "c")))
                == "routes.r.extract-source.source-regexp")
    }

    /// What DM does, said plainly.
    @Test("random rules route as the model does")
    func agreesWithModel() throws {
        var g = Seeded(4)
        var conflicts = 0
        for _ in 0..<5000 {
            let rules = (0..<g.below(4)).map { i in
                RouteRule(
                    name: "r\(i)", schemaPattern: g.pick(["a", "b", "*"]),
                    tablePattern: g.pick(["", "a", "b", "?"]), targetSchema: "s\(i)",
                    targetTable: g.pick(["", "t"]))
            }
            let table = TableName(schema: g.pick(["a", "b"]), name: g.pick(["a", "b", "cc"]))
            func hits(_ pattern: String, _ name: String) -> Bool {
                pattern == name || pattern == "*" || pattern == "?" && name.count == 1
            }
            let inSchema = rules.filter { hits($0.schemaPattern, table.schema) }
            var found = inSchema.filter {
                !$0.tablePattern.isEmpty && hits($0.tablePattern, table.name)
            }
            if found.isEmpty { found = inSchema.filter(\.tablePattern.isEmpty) }
            let router = try router(rules)
            if found.count > 1 {
                conflicts += 1
                #expect(throws: RouteConflict.self) { try router.route(table) }
                continue
            }
            let rule = found.first
            let name = rule.map { $0.targetTable.isEmpty ? table.name : $0.targetTable }
            #expect(
                try router.route(table).target
                    == TableName(
                        schema: rule?.targetSchema ?? table.schema, name: name ?? table.name))
        }
        #expect(conflicts > 100)
    }
}
