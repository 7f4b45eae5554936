import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules
import Testing

@Suite("Expressions over rows")
struct ExpressionTests {
    /// A condition with its value by the obvious rules of three-valued logic.
    private indirect enum Condition {
        case isSmall(String, Int64), isNull(String), both(Condition, Condition)
        case either(Condition, Condition), not(Condition), isTrue(Condition)

        var text: String {
            switch self {
            case .isSmall(let c, let n): "\(c) < \(n)"
            case .isNull(let c): "\(c) IS NULL"
            case .both(let a, let b): "(\(a.text) AND \(b.text))"
            case .either(let a, let b): "(\(a.text) || \(b.text))"
            case .not(let a): "NOT (\(a.text))"
            case .isTrue(let a): "(\(a.text)) IS NOT FALSE"
            }
        }

        func value(_ row: [String: Int64]) -> Bool? {
            switch self {
            case .isSmall(let c, let n): return row[c].map { $0 < n }
            case .isNull(let c): return row[c] == nil
            case .both(let a, let b):
                let values = [a.value(row), b.value(row)]
                return values.contains(false) ? false : values.contains(nil) ? nil : true
            case .either(let a, let b):
                let values = [a.value(row), b.value(row)]
                return values.contains(true) ? true : values.contains(nil) ? nil : false
            case .not(let a): return a.value(row).map { !$0 }
            case .isTrue(let a): return a.value(row) != false
            }
        }
    }

    private func condition(_ g: inout Seeded, _ depth: Int) -> Condition {
        if depth == 0 {
            let column = g.pick(["a", "b"])
            return g.below(4) == 0 ? .isNull(column) : .isSmall(column, Int64(g.below(5)))
        }
        switch g.below(4) {
        case 0: return .not(condition(&g, depth - 1))
        case 1: return .isTrue(condition(&g, depth - 1))
        case 2: return .both(condition(&g, depth - 1), condition(&g, depth - 1))
        default: return .either(condition(&g, depth - 1), condition(&g, depth - 1))
        }
    }

    @Test("logic has three values")
    func logic() throws {
        var g = Seeded(7)
        for _ in 0..<3000 {
            let condition = condition(&g, 4)
            var row: [String: Int64] = [:]
            for name in ["a", "b"] where g.below(3) > 0 { row[name] = Int64(g.below(5)) }
            let given = try HandmadeRow(a: row["a"], b: row["b"]).text(condition.text)
            let expected = condition.value(row).map { $0 ? "1" : "0" }
            #expect(given == expected, "\(condition.text) \(row)")
        }
    }

    @Test("whole numbers are exact up to their limits, and refused beyond")
    func wholeNumbers() throws {
        var g = Seeded(8)
        var refused = 0
        let edges: [Int64] = [.min, .min + 1, -7, -1, 0, 1, 3, 1 << 40, .max - 1, .max]
        for _ in 0..<4000 {
            let a = g.pick(edges)
            let b = g.pick(edges)
            let row = HandmadeRow(a: a, b: b)
            let (x, y) = (Int128(a), Int128(b))
            let (sign, expected): (String, Int128?) =
                switch g.below(5) {
                case 0: ("+", x + y)
                case 1: ("-", x - y)
                case 2: ("*", x * y)
                case 3: ("DIV", y == 0 ? nil : x / y)
                default: ("%", y == 0 ? nil : x % y)
                }
            if let expected, Int64(exactly: expected) == nil {
                refused += 1
                #expect(throws: ExpressionFailure.self) { try row.text("a \(sign) b") }
            } else {
                #expect(try row.text("a \(sign) b") == expected.map { String($0) })
            }
            #expect(try row.text("a < b") == (a < b ? "1" : "0"))
            let u = UInt64(bitPattern: a)
            let mixed = try HandmadeRow(b: b, u: u).text("u >= b")
            #expect(mixed == (Int128(u) >= y ? "1" : "0"))
        }
        #expect(refused > 300)
    }

    /// LIKE by trying everything.
    private func like(_ text: [Character], _ pattern: [Character], _ isCaseless: Bool) -> Bool {
        guard var c = pattern.first else { return text.isEmpty }
        var rest = Array(pattern.dropFirst())
        if c == "%" {
            return (0...text.count).contains { like(Array(text[$0...]), rest, isCaseless) }
        }
        guard let t = text.first else { return false }
        let behind = Array(text.dropFirst())
        if c == "_" { return like(behind, rest, isCaseless) }
        if c == "|", !rest.isEmpty { c = rest.removeFirst() }
        let same = isCaseless ? c.lowercased() == t.lowercased() : c == t
        return same && like(behind, rest, isCaseless)
    }

    @Test("LIKE matches as trying everything does, by the column's collation")
    func patterns() throws {
        var g = Seeded(9)
        var hits = 0
        for _ in 0..<8000 {
            let pattern = g.word(["a", "A", "ö", "%", "_", "||", "|%", "|_"], upTo: 5)
            let text = g.word(["a", "A", "ö", "%", "_", "|"], upTo: 5)
            let row = HandmadeRow(s: text, x: text)
            for (column, isCaseless) in [("s", true), ("x", false)] {
                let expected = like(Array(text), Array(pattern), isCaseless)
                if expected { hits += 1 }
                let given = try row.text("\(column) LIKE '\(pattern)' ESCAPE '|'")
                #expect(given == (expected ? "1" : "0"), "\(column) \(text) \(pattern)")
            }
        }
        #expect(hits > 1000)
    }

    @Test(
        "precedence is the servers'",
        arguments: [
            ("1 + 2 * 3", "7"), ("NOT 1 = 2", "1"), ("1 OR 0 AND 0", "1"), ("2 * 3 % 4", "2"),
            ("-2 + 3", "1"), ("1 | 2 & 0", "1"), ("1 = 1 = 0", "0"), ("1 XOR 1 OR 1", "1"),
            ("NOT a IS NULL", "0"),
            ("2 BETWEEN 1 AND 3 AND 0", "0"), ("1 IN (2, 1) = 1", "1"), ("! 0 + 1", "2"),
            ("5 - 2 - 1", "2"),
            ("s LIKE 'a%' = 0", "1"), ("CASE 3 WHEN 2 THEN 'x' WHEN 3 THEN 'y' END", "y"),
            ("8 / 2", "4.000000000"), ("'a' 'b'", "ab"), ("'it''s \\'q\\''", "it's 'q'"),
            ("x'4142'", "AB"),
            ("DATE '2026-01-31' + INTERVAL 1 MONTH", "2026-02-28"),
            ("EXTRACT(YEAR FROM '2026-05-01')", "2026"),
            ("POSITION('b' IN 'abc')", "2"), ("SUBSTRING('abcdef' FROM 2 FOR 3)", "bcd"),
            ("`a` + db.t.a", nil),
            ("TRIM(BOTH 'x' FROM 'xxaxx')", "a"), ("0.1 + 0.2 = 0.3", "1"), ("1e0 / 3 < 0.4", "1"),
        ] as [(String, String?)])
    func precedence(text: String, expected: String?) throws {
        #expect(try HandmadeRow(s: "b").text(text) == expected)
    }

    @Test(
        "what is not known is refused by name and place",
        arguments: [
            ("a = NOW()", 4, "NOW"), ("SOUNDEX(s) = 'x'", 0, "SOUNDEX"),
            ("a = (SELECT 1)", 5, "SELECT"),
            ("a = @v", 4, "@v"), ("s COLLATE utf8mb4_klingon_ci = 'a'", 2, "utf8mb4_klingon_ci"),
            ("(a, b) = (1, 2)", 0, "rows"), ("a = 1e", 4, ""), ("a == 1", 3, ""), ("a = 'x", 4, ""),
            ("nope = 1", 0, "nope"), ("a BETWEEN 1", 11, ""), ("IF(a, 1) = 1", 0, "IF"),
            ("", 0, ""),
            ("a = 1; DROP TABLE t", 5, ""), ("CAST(a AS JSON)", 10, "JSON"), ("a = ?", 4, ""),
        ])
    func refused(text: String, offset: Int, word: String) {
        let error = #expect(throws: ExpressionError.self) {
            try RowExpression(text, shape: HandmadeRow.shape, context: HandmadeRow.context)
        }
        #expect(error?.offset == offset, "\(error?.reason ?? "")")
        #expect(error?.reason.contains(word) == true, "\(error?.reason ?? "")")
    }

    @Test("no text takes the stack or all memory")
    func bounded() {
        for text in [
            String(repeating: "(", count: 10_000), String(repeating: "NOT ", count: 10_000) + "1",
            String(repeating: "-", count: 3) + String(repeating: "- ", count: 10_000) + "1",
            String(repeating: "1 + ", count: 5000) + "1", String(repeating: "a", count: 70_000),
        ] {
            #expect(throws: ExpressionError.self) {
                try RowExpression(text, shape: HandmadeRow.shape, context: HandmadeRow.context)
            }
        }
    }

    @Test("a column that the row image does not have stops, NULL does not")
    func absent() throws {
        var row = HandmadeRow(a: 1)
        #expect(try row.text("b + 1") == nil)
        row.places[1] = .absent
        #expect(throws: ExpressionFailure.absentColumn("b")) { try row.text("b IS NULL") }
        #expect(try row.text("a = 1 OR b = 1") == "1")
    }

    @Test(
        "an expression needs the columns up to the last that it names",
        arguments: [
            ("1 = 2", 0), ("a = 1", 1), ("b > 0 AND a < 1", 2), ("u IS NULL", 3),
            ("a = 1 OR x = 'x' OR b = 1", 5),
        ])
    func columnLimit(text: String, limit: Int) throws {
        let expression = try RowExpression(
            text, shape: HandmadeRow.shape, context: HandmadeRow.context)
        #expect(expression.columnLimit == limit)
    }

    @Test("of many rows one evaluator says what a new one says, and needs the first columns alone")
    func manyRows() throws {
        let map = try #require(HandmadeRow.map)
        var g = Seeded(10)
        for text in [
            "a > 1", "a < b", "b IN (1, a)", "CONCAT(a, b) LIKE '1%'", "2 <= u", "a <=> u",
            "s = 'B' OR a = 1",
        ] {
            let expression = try RowExpression(
                text, shape: HandmadeRow.shape, context: HandmadeRow.context)
            var evaluator = RowEvaluator(expression)
            var count = 0
            for _ in 0..<500 {
                var numbers: [Int64?] = []
                for _ in 0..<3 { numbers.append(g.below(4) == 0 ? nil : Int64(g.below(4))) }
                var row = HandmadeRow(
                    a: numbers[0], b: numbers[1], u: numbers[2].map { UInt64($0) },
                    s: g.word(["a", "b"], upTo: 2), x: "x")
                let expected = try row.isTrue(expression)
                for i in expression.columnLimit..<row.places.count { row.places[i] = .absent }
                let given = try evaluator.isTrue(row.event.span.bytes, row.places, map)
                #expect(given == expected, "\(text) \(numbers)")
                if given { count += 1 }
            }
            #expect(20..<480 ~= count, "\(text)")
        }
    }

    @Test("comparisons of whole columns with constants mean the same by their short way")
    func wholeComparisons() throws {
        var g = Seeded(0x5eed_0c0d)
        let edges: [Int64] = [.min, .min + 1, -256, -1, 0, 1, 7, 255, .max - 1, .max]
        let constants =
            edges.map { "\($0)" } + ["9223372036854775808", "18446744073709551615", "65536"]
        let operators = ["=", "<>", "<", "<=", ">", ">=", "<=>"]
        func one() -> String {
            let column = ["a", "b", "u"].randomElement(using: &g) ?? "a"
            let other = constants.randomElement(using: &g) ?? "0"
            let sign = operators.randomElement(using: &g) ?? "="
            return Bool.random(using: &g)
                ? "\(column) \(sign) \(other)" : "\(other) \(sign) \(column)"
        }
        func number() -> Int64? {
            Int.random(in: 0..<6, using: &g) == 0 ? nil : edges.randomElement(using: &g)
        }
        var trues = 0
        for _ in 0..<3000 {
            let text = (0..<Int.random(in: 1...3, using: &g)).map { _ in one() }
                .joined(separator: " AND ")
            let row = HandmadeRow(
                a: number(), b: number(), u: number().map { UInt64(bitPattern: $0) })
            let expression = try RowExpression(
                text, shape: HandmadeRow.shape, context: HandmadeRow.context)
            let isTrue = try row.isTrue(expression)
            #expect(isTrue == (try row.text(text) == "1"), "\(text): \(row)")
            trues += isTrue ? 1 : 0
        }
        #expect(trues > 200)
        // What the short way can't say is left to the other one.
        var absent = HandmadeRow(a: 1)
        absent.places[1] = .absent
        let asks = try RowExpression(
            "a > 0 AND b > 0", shape: HandmadeRow.shape, context: HandmadeRow.context)
        #expect(throws: ExpressionFailure.absentColumn("b")) { try absent.isTrue(asks) }
    }

    @Test("rules are bound by table; unknown columns sleep")
    func filters() throws {
        let rules = [
            ExpressionFilterRule(name: "i", schema: "DB", table: "t", insertExpression: "a > 1"),
            ExpressionFilterRule(
                name: "u", schema: "db", table: "T", updateOldExpression: "a = 1",
                updateNewExpression: "gone = 2"),
            ExpressionFilterRule(
                name: "n", schema: "db", table: "t", updateNewExpression: "s = 'X'"),
            ExpressionFilterRule(name: "o", schema: "db", table: "other", deleteExpression: "("),
        ]
        let filter = try ExpressionFilter(
            rules, shape: HandmadeRow.shape, context: HandmadeRow.context)
        #expect(filter.inserts.map(\.rule) == ["i"])
        #expect(filter.updates.map(\.rule) == ["n"])
        #expect(filter.deletes.isEmpty && !filter.isEmpty)
        #expect(filter.dormant.map(\.key) == ["expression-filter.u.update-new-value-expr"])
        let insert = try #require(filter.inserts.first)
        #expect(try HandmadeRow(a: 2).isTrue(insert.expression))
        #expect(try !HandmadeRow(a: 1).isTrue(insert.expression))
        #expect(try !HandmadeRow().isTrue(insert.expression))
        let new = try #require(filter.updates.first?.new)
        #expect(try HandmadeRow(s: "x").isTrue(new))
        let exact = try ExpressionFilter(
            rules, shape: HandmadeRow.shape, context: HandmadeRow.context, isCaseSensitive: true)
        #expect(exact.inserts.isEmpty)
        let wrong = ExpressionFilterRule(
            name: "w", schema: "db", table: "t", deleteExpression: "a +")
        let error = #expect(throws: RuleError.self) {
            try ExpressionFilter([wrong], shape: HandmadeRow.shape, context: HandmadeRow.context)
        }
        #expect(error?.key == "expression-filter.w.delete-value-expr")
        #expect(error?.offset == 3)
        #expect(
            try filter.copyCondition() == "(a > 1) IS NOT TRUE")
        let remark = ExpressionFilterRule(
            name: "r", schema: "db", table: "t", insertExpression: "a > 1 -- those")
        let remarked = try ExpressionFilter(
            [remark], shape: HandmadeRow.shape, context: HandmadeRow.context)
        #expect(try remarked.copyCondition() == "(a > 1 -- those\n) IS NOT TRUE")
        // A copy with an unknown column in its condition would be refused for ever.
        let lacking = ExpressionFilterRule(
            name: "l", schema: "db", table: "t", insertExpression: "nothing > 1")
        let dormant = try ExpressionFilter(
            [lacking], shape: HandmadeRow.shape, context: HandmadeRow.context)
        #expect(try dormant.copyCondition() == nil && dormant.dormant.count == 1)
    }

    @Test(
        "numbers at the ends of their types are values or errors, never traps",
        arguments: [
            "-(-9223372036854775808) = 0", "18446744073709551615 * 18446744073709551615",
            "-9223372036854775808 * 18446744073709551616",
            "-(-9223372036854775808 * 18446744073709551616.0)",
            "ROUND(99999999999999999999999999999999999999, -38)",
            "ROUND(99999999999999999999999999999999999999 * 1.5 + 1, -38)",
            "CEILING(99999999999999999999999999999999999999 * 1.5)",
            "-9223372036854775808 DIV -1", "-9223372036854775808 % -1", "ABS(-9223372036854775808)",
            "CAST(1e300 AS DECIMAL(38,0)) + CAST(1e300 AS DECIMAL(38,0))",
            "99999999999999999999999999999999999999 / 0.0000000000000000000000000000000000001",
        ])
    func extremes(text: String) throws {
        do {
            _ = try HandmadeRow(a: .min, b: .max, u: .max).text(text)
        } catch is ExpressionFailure {
        } catch is ExpressionError {
        }
    }

    @Test("no arithmetic of large numbers traps")
    func fuzzedNumbers() throws {
        var g = Seeded(11)
        let leaves = [
            "a", "b", "u", "0", "-1", "-9223372036854775808", "18446744073709551615", "1e308",
            "99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001",
            "-0.5", "5e-324", "s", "NULL", "17014118346046923173168730371588410572.8",
        ]
        func expression(_ depth: Int) -> String {
            guard depth > 0 else { return g.pick(leaves) }
            let x = expression(depth - 1)
            switch g.below(6) {
            case 0: return "\(g.pick(["-", "~", "NOT ", "+"]))(\(x))"
            case 1:
                let name = g.pick(["ABS", "FLOOR", "CEILING", "ROUND", "SIGN", "SQRT", "HEX"])
                return "\(name)(\(x))"
            case 2:
                let name = g.pick(["ROUND", "TRUNCATE", "LEFT", "REPEAT", "NULLIF", "GREATEST"])
                return "\(name)(\(x), \(expression(depth - 1)))"
            case 3:
                let type = g.pick([
                    "SIGNED", "UNSIGNED", "DECIMAL(38,0)", "DECIMAL(38,30)", "DOUBLE",
                ])
                return "CAST(\(x) AS \(type))"
            case 4: return "FROM_UNIXTIME(\(x)) + INTERVAL \(expression(depth - 1)) SECOND"
            default:
                let sign = g.pick(["+", "-", "*", "/", "DIV", "%", "<<", "&", "=", "<"])
                return "(\(x)) \(sign) (\(expression(depth - 1)))"
            }
        }
        var values = 0
        for _ in 0..<6000 {
            let text = expression(3)
            let row = HandmadeRow(
                a: g.pick([.min, .max, 0, -1]), b: g.pick([.min, .max, nil]),
                u: g.pick([.max, 0, 1 << 63]), s: g.pick(["-1e400", "9999999999999999999999", ""]))
            do {
                if try row.text(text) != nil { values += 1 }
            } catch is ExpressionFailure {
            } catch is ExpressionError {
            }
        }
        #expect(values > 300)
    }

    @Test("an entry has one kind of expression")
    func kinds() throws {
        func check(_ rule: ExpressionFilterRule) -> Bool { (try? rule.check()) != nil }
        #expect(
            check(ExpressionFilterRule(name: "r", schema: "a", table: "b", insertExpression: "1")))
        #expect(
            check(
                ExpressionFilterRule(
                    name: "r", schema: "a", table: "b", updateOldExpression: "1",
                    updateNewExpression: "1")))
        #expect(
            !check(
                ExpressionFilterRule(
                    name: "r", schema: "a", table: "b", insertExpression: "1", deleteExpression: "1"
                )))
        #expect(!check(ExpressionFilterRule(name: "r", schema: "a", table: "b")))
        #expect(
            !check(ExpressionFilterRule(name: "r", schema: "", table: "b", insertExpression: "1")))
    }
}
