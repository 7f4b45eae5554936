import Rules
import Testing

@Suite("Regular expressions")
struct RegularExpressionTests {
    /// An expression as a tree, matched by trying everything: where can a match of it end?
    private indirect enum Tree {
        case one(Character), any, set([Character], isNegated: Bool), start, end
        case both(Tree, Tree), either(Tree, Tree), many(Tree, Int, Int?)

        var text: String {
            switch self {
            case .one(let c): "\(c)"
            case .any: "."
            case .set(let all, let isNegated): "[\(isNegated ? "^" : "")\(String(all))]"
            case .start: "^"
            case .end: "$"
            case .both(let a, let b): a.text + b.text
            case .either(let a, let b): "(\(a.text)|\(b.text))"
            case .many(let a, 0, nil): "(?:\(a.text))*"
            case .many(let a, 1, nil): "(?:\(a.text))+?"
            case .many(let a, let least, let most):
                "(?:\(a.text)){\(least),\(most.map(String.init) ?? "")}"
            }
        }

        func ends(_ text: [Character], _ from: Int) -> Set<Int> {
            func one(_ matches: (Character) -> Bool) -> Set<Int> {
                from < text.count && matches(text[from]) ? [from + 1] : []
            }
            switch self {
            case .one(let c): return one { $0 == c }
            case .any: return one { $0 != "\n" }
            case .set(let all, let isNegated): return one { all.contains($0) != isNegated }
            case .start: return from == 0 ? [from] : []
            case .end: return from == text.count ? [from] : []
            case .both(let a, let b):
                return a.ends(text, from).reduce(into: []) { $0.formUnion(b.ends(text, $1)) }
            case .either(let a, let b): return a.ends(text, from).union(b.ends(text, from))
            case .many(let a, let least, let most):
                var out: Set<Int> = least == 0 ? [from] : []
                var last: Set<Int> = [from]
                for n in 1...(most ?? text.count + least + 1) where !last.isEmpty {
                    last = last.reduce(into: []) { $0.formUnion(a.ends(text, $1)) }
                    if n >= least { out.formUnion(last) }
                }
                return out
            }
        }
    }

    private func tree(_ g: inout Seeded, _ depth: Int) -> Tree {
        let letters: [Character] = ["a", "b", "c", "é"]
        guard depth > 0 else {
            switch g.below(8) {
            case 0: return .any
            case 1: return .set([g.pick(letters), g.pick(letters)], isNegated: g.below(2) == 0)
            case 2: return g.below(3) == 0 ? .start : .end
            default: return .one(g.pick(letters))
            }
        }
        switch g.below(4) {
        case 0: return .either(tree(&g, depth - 1), tree(&g, depth - 1))
        case 1:
            let least = g.below(3)
            let most: Int? = g.below(2) == 0 ? nil : least + g.below(2) + (least == 0 ? 1 : 0)
            return .many(tree(&g, depth - 1), least, most)
        default: return .both(tree(&g, depth - 1), tree(&g, depth - 1))
        }
    }

    @Test("a match is found where trying everything finds one")
    func agreesWithModel() throws {
        var g = Seeded(1)
        var found = 0
        for _ in 0..<6000 {
            let tree = tree(&g, 3)
            let expression = try RegularExpression(tree.text)
            for _ in 0..<5 {
                let text = g.word(["a", "b", "c", "é", "\n"], upTo: 7)
                let characters = Array(text)
                let expected = (0...characters.count).contains {
                    !tree.ends(characters, $0).isEmpty
                }
                if expected { found += 1 }
                #expect(expression.isFound(in: text) == expected, "\(tree.text) in \(text)")
                #expect((expression.groups(in: text) != nil) == expected, "\(tree.text)")
            }
        }
        #expect(found > 5000)
    }

    @Test(
        "groups are those of the leftmost match, first alternatives first",
        arguments: [
            ("t_(.*)", "t_01", ["t_01", "01"]),
            ("(a|ab)(c|bcd)(d*)", "abcd", ["abcd", "a", "bcd", ""]),
            ("(a*)(a*)", "aa", ["aa", "aa", ""]), ("(a*?)(a*)", "aa", ["aa", "", "aa"]),
            ("(?U)(a+)(a*)$", "aaa", ["aaa", "a", "aa"]), ("(x)?(b)", "ab", ["b", nil, "b"]),
            ("(?P<name>\\d+)_(?<last>[[:alpha:]]+)", "s12_ab3", ["12_ab", "12", "ab"]),
            ("^_(.+)_(?:new|gho)$", "_a_gho_new", ["_a_gho_new", "a_gho"]),
            ("(?i)STRASSE|(ſ)", "strasse", ["strasse", nil]), ("(?i)[k]", "\u{212A}", ["\u{212A}"]),
            ("(.)\\Q.*\\E", "ab.*", ["b.*", "b"]), ("\\bfoo\\b(.)", "xfoo foo!", ["foo!", "!"]),
            ("(?s)a.b", "a\nb", ["a\nb"]), ("(?m)^b$", "a\nb\nc", ["b"]),
            ("\\x41\\x{e9}\\101", "AéA", ["AéA"]),
            ("[\\d\\-x]+", "a-1x", ["-1x"]), ("[]a]+", "]a", ["]a"]), ("\\pL+\\PL", "é1", ["é1"]),
            ("a{2}{", "aa{", ["aa{"]), ("a{,2}", "a{,2}", ["a{,2}"]), ("a||b", "b", [""]),
            ("((a)|b)+", "ab", ["ab", "b", "a"]), ("\\p{Lu}[[:^digit:]]", "xAb", ["Ab"]),
        ] as [(String, String, [String?])])
    func groups(pattern: String, text: String, expected: [String?]) throws {
        #expect(try RegularExpression(pattern).groups(in: text) == expected)
    }

    @Test(
        "what RE2 does not have is refused with its place",
        arguments: [
            ("a(?=b)", 1), ("(a)\\1", 4), ("a**", 0), ("(a", 0), ("a)", 1), ("[a", 0), ("[b-a]", 2),
            ("*a", 0), ("a{2,1}", 1), ("a{1001}", 1), ("\\p{Greek}", 2), ("(?x)a", 2), ("é\\k", 3),
            ("(?<=a)b", 0), ("[[:nope:]]", 1), ("\\", 1), ("a{3}{2}", 0),
        ])
    func refused(pattern: String, offset: Int) {
        let failure = #expect(throws: RegularExpression.Failure.self) {
            try RegularExpression(pattern)
        }
        #expect(failure?.offset == offset, "\(pattern): \(failure?.reason ?? "")")
    }

    @Test("no expression takes long, none takes much memory")
    func bounded() throws {
        // With back-tracking each of these would outlive the sun.
        let text = String(repeating: "a", count: 5000)
        for pattern in ["(a*)*b", "(a|a)*b", "(a?){50}a{50}b", "(.*)(.*)(.*)(.*)x"] {
            #expect(!(try RegularExpression(pattern).isFound(in: text)), "\(pattern)")
        }
        #expect(throws: RegularExpression.Failure.self) {
            try RegularExpression("((a{100}){100}){100}")
        }
        // Repetitions of nothing make no program, and take as long.
        #expect(throws: RegularExpression.Failure.self) {
            try RegularExpression("(?:(?:(?:(?:){1000}){1000}){1000}){1000}")
        }
        #expect(throws: RegularExpression.Failure.self) {
            try RegularExpression(String(repeating: "(", count: 5000))
        }
        #expect(throws: RegularExpression.Failure.self) {
            try RegularExpression(String(repeating: "a", count: 100_000))
        }
    }
}
