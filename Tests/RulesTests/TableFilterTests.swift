import MySQLCore
import Rules
import Testing

@Suite("Names and block-allow lists")
struct TableFilterTests {
    private func matches(_ pattern: String, _ name: String, _ isCaseSensitive: Bool = true) throws
        -> Bool
    {
        try NamePattern(pattern, isCaseSensitive: isCaseSensitive).matches(name)
    }

    /// The obvious matcher: tries every length for every star.
    private func slow(_ pattern: [Character], _ text: [Character]) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        let rest = Array(pattern.dropFirst())
        switch first {
        case "*": return (0...text.count).contains { slow(rest, Array(text[$0...])) }
        case "?": return !text.isEmpty && slow(rest, Array(text.dropFirst()))
        case "[":
            guard let close = rest.firstIndex(of: "]"), close > 0 else { fallthrough }
            guard let c = text.first else { return false }
            var members = Array(rest[..<close])
            var isNegated = false
            if members.first == "!", members.count > 1 {
                isNegated = true
                members.removeFirst()
            }
            var isIn = false
            var i = 0
            while i < members.count {
                if i + 2 < members.count, members[i + 1] == "-" {
                    isIn = isIn || (members[i] <= c && c <= members[i + 2])
                    i += 3
                } else {
                    isIn = isIn || members[i] == c
                    i += 1
                }
            }
            return isIn != isNegated && slow(Array(rest[(close + 1)...]), Array(text.dropFirst()))
        default: return text.first == first && slow(rest, Array(text.dropFirst()))
        }
    }

    @Test("patterns match as trying everything does")
    func agreesWithModel() throws {
        var g = Seeded(2)
        var hits = 0
        for _ in 0..<20_000 {
            let pattern = g.word(
                ["a", "b", "c", "*", "?", "[a-b]", "[!a]", "[", "]", "[!]", "!"], upTo: 5)
            let text = g.word(["a", "b", "c", "!", "[", "]"], upTo: 6)
            guard !pattern.isEmpty else { continue }
            let expected = slow(Array(pattern), Array(text))
            if expected { hits += 1 }
            #expect(try matches(pattern, text) == expected, "\(pattern) \(text)")
        }
        #expect(hits > 500)
    }

    @Test("case counts only where it is asked for, in names, sets and expressions")
    func letterCase() throws {
        for pattern in ["Shop_É", "shop_?", "SHOP*", "shop_[à-é]", "~^SHOP_.$", "~[S]hop"] {
            #expect(try matches(pattern, "sHop_é", false), "\(pattern)")
        }
        for pattern in ["Shop", "SHOP*", "[S]hop", "~^SHOP$"] {
            #expect(try !matches(pattern, "shop"), "\(pattern)")
        }
        // DM turns the expression itself into small letters, and `\D` into `\d`.
        #expect(try matches("~^\\D+$", "Shop", false))
        // An expression matches anywhere.
        #expect(try matches("~ho", "shop"))
    }

    /// DM's rules, said as plainly as can be.
    private func model(_ list: BlockAllowList, _ table: TableName) -> Bool {
        func hits(_ p: String, _ s: String) -> Bool { slow(Array(p), Array(s)) }
        func hits(_ t: BlockAllowList.Table) -> Bool {
            hits(t.schema, table.schema) && hits(t.name, table.name)
        }
        if ["mysql", "sys"].contains(table.schema) { return false }
        let isDo = list.doSchemas.contains { hits($0, table.schema) }
        let isIgnored = list.ignoreSchemas.contains { hits($0, table.schema) }
        if !list.doSchemas.isEmpty, !isDo { return false }
        if list.doSchemas.isEmpty, isIgnored { return false }
        if list.doTables.contains(where: hits) { return true }
        if list.ignoreTables.contains(where: hits) { return false }
        return list.doTables.isEmpty
    }

    @Test("a list decides as DM's does")
    func lists() throws {
        var g = Seeded(3)
        let patterns = ["a", "b", "a*", "?", "*", "[!a]", "mysql"]
        let names = ["a", "b", "ab", "mysql", "sys"]
        var counts = [false: 0, true: 0]
        for _ in 0..<8000 {
            func some() -> [String] { (0..<g.below(3)).map { _ in g.pick(patterns) } }
            func tables() -> [BlockAllowList.Table] {
                (0..<g.below(3)).map { _ in
                    .init(schema: g.pick(patterns), name: g.pick(patterns))
                }
            }
            let list = BlockAllowList(
                doSchemas: some(), doTables: tables(), ignoreSchemas: some(), ignoreTables: tables()
            )
            let filter = try TableFilter(list, isCaseSensitive: true)
            let table = TableName(schema: g.pick(names), name: g.pick(names))
            let expected = model(list, table)
            counts[expected, default: 0] += 1
            #expect(filter.selects(table) == expected, "\(list) \(table)")
            // A selected table's schema holds something, and its own statements run.
            if expected {
                #expect(filter.mayHold(schema: table.schema))
                #expect(filter.selects(schema: table.schema))
            }
        }
        #expect(counts.values.allSatisfy { $0 > 1000 })
    }

    @Test("a decision says which pattern it was")
    func reasons() throws {
        let filter = try TableFilter(
            BlockAllowList(
                doSchemas: ["~^shop"], doTables: [.init(schema: "shop", name: "o*")],
                ignoreTables: [.init(schema: "*", name: "x")]), isCaseSensitive: false)
        func reason(_ schema: String, _ name: String) -> TableFilter.Reason {
            filter.decision(for: TableName(schema: schema, name: name)).reason
        }
        #expect(reason("SHOP", "Orders") == .doTables(0))
        #expect(reason("shop2", "x") == .ignoreTables(0))
        #expect(reason("shop2", "y") == .notInDoTables)
        #expect(reason("other", "x") == .notInDoSchemas)
        #expect(reason("Performance_Schema", "x") == .systemSchema)
        let ignoring = try TableFilter(
            BlockAllowList(ignoreSchemas: ["tmp?"]), isCaseSensitive: true)
        #expect(
            ignoring.decision(for: TableName(schema: "tmp1", name: "t")) == (
                false, .ignoreSchemas(0)
            ))
        #expect(
            ignoring.decision(for: TableName(schema: "tmp", name: "t")) == (true, .unlisted))
        #expect(!ignoring.selects(schema: "tmp1"))
    }

    @Test("a wrong pattern is an error with its key and place")
    func errors() {
        let wrong = BlockAllowList(doTables: [
            .init(schema: "a", name: "b"), .init(schema: "a", name: "~b("),
        ])
        let error = #expect(throws: RuleError.self) {
            try TableFilter(wrong, isCaseSensitive: true)
        }
        #expect(error?.key == "do-tables[1].tbl-name")
        #expect(error?.offset == 2)
        let empty = #expect(throws: RuleError.self) {
            try TableFilter(BlockAllowList(doSchemas: [""]), isCaseSensitive: true)
        }
        #expect(empty?.key == "do-dbs[0]")
    }
}
