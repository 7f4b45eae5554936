import MySQLClient
import MySQLCore
import Settings
import Testing

@Suite("What a task's rules do to a table")
struct TableExplanationTests {
    private func task(_ text: String) throws -> TaskSettings {
        try TaskFileTests.report(text).value
    }

    private func lines(_ task: TaskSettings, _ table: String, _ source: String = "one") throws
        -> [String]
    {
        let parts = table.split(separator: ".").map { String($0) }
        return try task.explanation(
            of: TableName(schema: parts[0], name: parts[1]),
            SourceSettings(name: source, server: ConnectionOptions(user: "u"))
        ).lines.map { "\($0.subject) | \($0.verdict) | \($0.reason)" }
    }

    @Test("each decision is told with the rule that makes it")
    func decisions() throws {
        let task = try task(TaskFileTests.full)
        let found = try lines(task, "shop_1.order_7")
        #expect(found.first == "taken | yes | block-allow-list.main.do-tables[0]")
        for line in [
            "target | shop.orders | routes.orders", "column part | '7' | routes.orders",
            "column shard | '1' | routes.orders", "column origin | 'one' | routes.orders",
            "insert | Ignore | filters.no-drop", "drop table | Ignore | filters.no-drop",
            "add column | Do | ",
            "DDL like ^DROP\\s+PROCEDURE | Ignore | filters.no-drop, where its pattern is found",
        ] { #expect(found.contains(line), "\(line) in \(found)") }
        #expect(
            try lines(task, "shop_1.tmp") == [
                "taken | no | block-allow-list.main.ignore-tables[0]"
            ])
        #expect(
            try lines(task, "shop_1.other") == [
                "taken | no | no entry of block-allow-list.main.do-tables has it"
            ])
        #expect(
            try lines(task, "other.t") == [
                "taken | no | no entry of block-allow-list.main.do-dbs has the schema"
            ])
        #expect(try lines(task, "mysql.user") == ["taken | no | the schema is the server's own"])
        let shadow = try lines(task, "shop_1._order_7_gho")
        #expect(shadow[0] == "kind | shadow table of shop_1.order_7 | shadow-table-rules")
        #expect(try lines(task, "shop_1.order_7", "two").contains("target | shop_1.order_7 | "))
    }

    @Test("case counts, and where that makes a difference it is said")
    func letterCase() throws {
        let text = TaskFileTests.full.replacing(
            "case-sensitive: true", with: "clean-dump-file: true")
        let found = try lines(task(text), "SHOP_1.order_7")
        #expect(found.first?.hasPrefix("taken | no | ") == true)
        #expect(
            found.last
                == "in any case | other decisions | where the source has lower_case_table_names 1 or 2"
        )
        #expect(try lines(task(text), "shop_1.order_7").allSatisfy { !$0.contains("in any case") })
        #expect(try lines(task(TaskFileTests.full), "SHOP_1.order_7").count == 1)
    }

    @Test("expressions, routes that contradict each other and short files are told too")
    func others() throws {
        let text = TaskFileTests.full.replacing("table: orders,", with: "table: order_7,")
            .replacing(
                "schema: {schema-pattern: shop_*,",
                with:
                    "schema: {schema-pattern: shop_*, table-pattern: order_7,")
        let found = try lines(task(text), "shop_1.order_7")
        #expect(
            found.contains(
                "row inserted | Ignore where id % 2 = 1 | expression-filter.odd"), "\(found)")
        #expect(
            found.contains(
                "target | error: more than one route matches | routes.orders, routes.schema"),
            "\(found)")
        let short = try task(
            "name: t\ntarget: mysql://u@h\nsources: [one]\ntables: [shop.*]\nexclude: [shop.x]")
        #expect(try lines(short, "shop.a") == ["taken | yes | \"tables\" and \"exclude\""])
        #expect(try lines(short, "shop.x") == ["taken | no | \"tables\" and \"exclude\""])
    }

    @Test(
        "a pattern or an expression that can't be read is a mistake with its place",
        arguments: [
            (
                ("~^crm[0-9]+$", "~^crm[0-9+$"),
                "task.yaml:35:24: \"block-allow-list.main.do-dbs[1]\": "
            ),
            (("order_(.*)", "order_(.*"), "\"routes.orders.extract-table.table-regexp\": "),
            (("^DROP", "^DROP("), "task.yaml:56:19: \"filters.no-drop.sql-pattern[0]\": "),
            (("id % 2 = 1", "id % = 1"), "\"expression-filter.odd.insert-value-expr\": "),
            (
                ("online-ddl: true", "shadow-table-rules: ['^_x$']"),
                "task.yaml:7:22: \"shadow-table-rules[0]\": exactly one group"
            ),
        ] as [((String, String), String)])
    func mistakes(_ change: (String, String), _ message: String) throws {
        let text = TaskFileTests.full.replacing(change.0, with: change.1)
        #expect(text != TaskFileTests.full)
        #expect {
            _ = try task(text)
        } throws: {
            let error = $0 as? SettingsError
            return error?.line != nil && "\($0)".contains(message)
        }
    }

    @Test("a source's filters are read with it")
    func sourceFilters() throws {
        let text =
            "source-id: s\nfrom: {host: h, user: u}\nfilters:\n  - schema-pattern: a\n"
            + "    action: Do\n    sql-pattern: ['(']\n"
        #expect {
            _ = try SourceSettings(Array(text.utf8), .yaml, file: "s.yaml")
        } throws: {
            "\($0)".hasPrefix("s.yaml:6:19: \"filters[0].sql-pattern[0]\": ")
        }
    }
}
