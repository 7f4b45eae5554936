import TestServers

/// Makes random expressions over the table of ``ExpressionServerTests``.
enum ExpressionMaker {
    static func word(_ g: inout SplitMix) -> String {
        let words = [
            "", "a", "A", "ab", "Ab", "b ", " b", "abc", "ABC", "été", "Ete", "o", "ö", "Straße",
            "x_y", "x%y", "50%", "12", "12abc", "-3.5", "1e2", "Ångström", "z", "zz",
        ]
        return words[g.below(words.count)]
    }

    static func day(_ g: inout SplitMix) -> String {
        "'20\(10 + g.below(20))-\(["01", "02", "06", "12"][g.below(4)])-\(10 + g.below(19))'"
    }

    static func moment(_ g: inout SplitMix) -> String {
        String(day(&g).dropLast()) + " \(10 + g.below(14)):\(10 + g.below(50)):\(10 + g.below(50))"
            + (g.oneIn(2) ? "" : ".\(100 + g.below(900))") + "'"
    }

    private static func pick(_ g: inout SplitMix, _ all: [String]) -> String {
        all[g.below(all.count)]
    }

    static func number(_ g: inout SplitMix, _ depth: Int, _ family: TestServer.Family) -> String {
        if depth == 0 || g.oneIn(4) {
            switch g.below(8) {
            case 0...3: return pick(&g, ["a", "b", "d", "e", "y", "a", "d", "id"])
            // MySQL's IN takes -1 for the largest BIGINT UNSIGNED.
            case 4: return pick(&g, ["u", "f", "bi", family == .mysql ? "u" : "big"])
            case 5: return "\(g.below(21) - 10)"
            case 6: return pick(&g, ["0.5", "-1.25", "3.000", "1e1", "0", "2.5e-1"])
            default: return pick(&g, ["1", "2", "10", "NULL"])
            }
        }
        func n(_ g: inout SplitMix) -> String { number(&g, depth - 1, family) }
        func c(_ g: inout SplitMix) -> String { condition(&g, depth - 1, family) }
        func s(_ g: inout SplitMix) -> String { text(&g, depth - 1, family) }
        func t(_ g: inout SplitMix) -> String { date(&g, depth - 1, family) }
        switch g.below(34) {
        case 0, 1: return "(\(n(&g)) + \(n(&g)))"
        case 2: return "(\(n(&g)) - \(n(&g)))"
        case 3: return "(\(n(&g)) * \(n(&g)))"
        case 4:
            // MariaDB tells quotients that are negative but smaller than their last digit from 0.
            return "(\(n(&g)) / \(pick(&g, ["id", "d", "u", "4", "0.5", "0"])))"
        case 5: return "(\(n(&g)) DIV \(n(&g)))"
        case 6: return "(\(n(&g)) % \(n(&g)))"
        case 7: return "(- \(n(&g)))"
        case 8: return "ABS(\(n(&g)))"
        case 9: return "FLOOR(\(n(&g)))"
        case 10: return "CEILING(\(n(&g)))"
        case 11: return "ROUND(\(pick(&g, ["d", "e", "a", "b"])), \(g.below(4) - 1))"
        case 12: return "TRUNCATE(\(pick(&g, ["d", "e", "a"])), \(g.below(3)))"
        case 13: return "SIGN(\(n(&g)))"
        case 14: return "IF(\(c(&g)), \(n(&g)), \(n(&g)))"
        case 15: return "IFNULL(\(n(&g)), \(n(&g)))"
        case 16: return "COALESCE(\(n(&g)), \(n(&g)), 1)"
        case 17: return "NULLIF(\(n(&g)), \(n(&g)))"
        case 18: return "CASE WHEN \(c(&g)) THEN \(n(&g)) WHEN \(c(&g)) THEN \(n(&g)) END"
        case 19: return "CASE a WHEN \(g.below(5)) THEN \(n(&g)) ELSE \(n(&g)) END"
        case 20: return "LENGTH(\(s(&g)))"
        case 21: return "CHAR_LENGTH(\(s(&g)))"
        case 22: return "LOCATE(\(s(&g)), \(s(&g)))"
        case 23: return "INSTR(\(s(&g)), \(s(&g)))"
        case 24:
            return
                "\(pick(&g, ["YEAR", "MONTH", "DAY", "QUARTER", "DAYOFWEEK", "WEEKDAY", "DAYOFYEAR", "TO_DAYS"]))(\(t(&g)))"
        case 25:
            return
                "\(pick(&g, ["HOUR", "MINUTE", "SECOND", "MICROSECOND"]))(\(pick(&g, ["ts", "st", "ti"])))"
        case 26: return "DATEDIFF(\(t(&g)), \(t(&g)))"
        case 27: return "CAST(\(pick(&g, ["a", "d", "e", "s", "t"])) AS SIGNED)"
        case 28: return "CAST(\(pick(&g, ["a", "d", "e"])) AS DECIMAL(12,2))"
        case 29: return "UNIX_TIMESTAMP(\(pick(&g, ["st", "ts", "dt"])))"
        case 30: return "ASCII(\(s(&g)))"
        case 31: return "STRCMP(\(s(&g)), \(s(&g)))"
        case 32:
            return "(\(pick(&g, ["id", "u", "bi"])) \(pick(&g, ["&", "|", "^"])) \(g.below(9)))"
        default: return "FIELD(\(pick(&g, ["a", "d"])), 1, 2, \(n(&g)))"
        }
    }

    static func text(_ g: inout SplitMix, _ depth: Int, _ family: TestServer.Family) -> String {
        if depth == 0 || g.oneIn(3) {
            if g.oneIn(2) { return pick(&g, ["s", "s", "t", "en", "se"]) }
            // Under MySQL's collation of literals `ß` is two letters, which filters don't know.
            let word = word(&g)
            return family == .mysql && word.contains("ß") ? "'ss'" : "'\(word)'"
        }
        func s(_ g: inout SplitMix) -> String { text(&g, depth - 1, family) }
        switch g.below(17) {
        case 0, 1: return "CONCAT(\(s(&g)), \(s(&g)))"
        case 2: return "CONCAT_WS('-', \(s(&g)), \(s(&g)))"
        case 3: return "LOWER(\(s(&g)))"
        case 4: return "UPPER(\(s(&g)))"
        case 5: return "SUBSTRING(\(s(&g)), \(g.below(7) - 3), \(g.below(4)))"
        case 6: return "LEFT(\(s(&g)), \(g.below(4)))"
        case 7: return "RIGHT(\(s(&g)), \(g.below(4)))"
        case 8: return "TRIM(\(s(&g)))"
        case 9: return "TRIM(\(pick(&g, ["LEADING", "TRAILING", "BOTH"])) 'a' FROM \(s(&g)))"
        case 10: return "REPLACE(\(s(&g)), 'b', \(s(&g)))"
        case 11: return "REVERSE(\(s(&g)))"
        case 12: return "LPAD(\(s(&g)), \(g.below(6)), 'xy')"
        case 13: return "RPAD(\(s(&g)), \(g.below(6)), 'xy')"
        case 14: return "COALESCE(\(s(&g)), \(s(&g)))"
        case 15: return "IF(\(condition(&g, depth - 1, family)), \(s(&g)), \(s(&g)))"
        default: return "CAST(\(pick(&g, ["a", "d", "dt", "ts", "id"])) AS CHAR)"
        }
    }

    static func date(_ g: inout SplitMix, _ depth: Int, _ family: TestServer.Family) -> String {
        if depth == 0 || g.oneIn(2) { return pick(&g, ["dt", "ts", "st", "DATE \(day(&g))"]) }
        let unit = pick(
            &g, ["DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "HOUR", "MINUTE", "SECOND"])
        switch g.below(4) {
        case 0: return "(\(date(&g, depth - 1, family)) + INTERVAL \(g.below(40) - 20) \(unit))"
        case 1: return "DATE_SUB(\(date(&g, depth - 1, family)), INTERVAL \(g.below(40)) \(unit))"
        case 2: return "DATE(\(date(&g, depth - 1, family)))"
        default: return "LAST_DAY(\(date(&g, depth - 1, family)))"
        }
    }

    static func condition(
        _ g: inout SplitMix, _ depth: Int, _ family: TestServer.Family
    ) -> String {
        let compare = pick(&g, ["=", "<>", "<", "<=", ">", ">=", "<=>"])
        func c(_ g: inout SplitMix) -> String { condition(&g, depth - 1, family) }
        func n(_ g: inout SplitMix) -> String { number(&g, max(depth - 1, 0), family) }
        func s(_ g: inout SplitMix) -> String { text(&g, max(depth - 1, 0), family) }
        func t(_ g: inout SplitMix) -> String { date(&g, max(depth - 1, 0), family) }
        if depth > 0, g.oneIn(3) {
            switch g.below(6) {
            case 0, 1: return "(\(c(&g)) AND \(c(&g)))"
            case 2, 3: return "(\(c(&g)) OR \(c(&g)))"
            case 4: return "(\(c(&g)) XOR \(c(&g)))"
            default: return "(NOT \(c(&g)))"
            }
        }
        switch g.below(22) {
        case 0...4: return "\(n(&g)) \(compare) \(n(&g))"
        case 5...7: return "\(s(&g)) \(compare) \(s(&g))"
        case 8: return "l \(compare) '\(word(&g))'"
        case 9: return "n \(compare) '\(pick(&g, ["a", "ab", "Ab ", "x_y", "x%y", "12", "z"]))'"
        case 10: return "\(t(&g)) \(compare) \(t(&g))"
        case 11:
            return "\(pick(&g, ["dt", "ts", "st"])) \(compare) \(g.oneIn(2) ? day(&g) : moment(&g))"
        case 12: return "ti \(compare) '\(g.below(30)):30:00'"
        case 13: return "(\(n(&g))) IS \(pick(&g, ["", "NOT "]))NULL"
        case 14:
            return
                "(\(c2(&g, family))) IS \(pick(&g, ["", "NOT "]))\(pick(&g, ["TRUE", "FALSE", "UNKNOWN"]))"
        case 15: return "\(n(&g)) \(pick(&g, ["", "NOT "]))IN (1, \(n(&g)), \(n(&g)))"
        case 16: return "\(s(&g)) \(pick(&g, ["", "NOT "]))IN ('a', \(s(&g)))"
        case 17: return "\(n(&g)) \(pick(&g, ["", "NOT "]))BETWEEN \(n(&g)) AND \(n(&g))"
        case 18:
            let pattern = pick(
                &g, ["a%", "%b", "_b%", "%", "", "A_", "%\\\\%%", "x\\\\_y", "%e%", "%é%"])
            return "\(s(&g)) \(pick(&g, ["", "NOT "]))LIKE '\(pattern)'"
        case 19:
            let pattern = pick(&g, ["^a", "b$", "[0-9]+", "^(a|b)", "^.{2}$", "c?$"])
            return "\(pick(&g, ["s", "t"])) \(pick(&g, ["", "NOT "]))REGEXP '\(pattern)'"
        case 20: return "vb \(compare) \(pick(&g, ["fb", "'ab'", "'a '", "x'6162'"]))"
        default:
            return pick(
                &g,
                [
                    "s \(compare) \(g.below(15))", "a \(compare) '\(g.below(9))'",
                    "en \(compare) 2",
                    "en = 'medium'", "se & 1", "big \(compare) b", "se = 'a,c'",
                    "FIND_IN_SET('b', se)", "s", "d", "a",
                    "b \(compare) '1.5'", "bi", "y \(compare) 2000", "HEX(vb) = '6162'",
                ])
        }
    }

    private static func c2(_ g: inout SplitMix, _ family: TestServer.Family) -> String {
        condition(&g, 0, family)
    }
}
