/// Reads RE2's syntax.
struct RegexParser {
    private static let depthLimit = 200
    private static let repeatLimit = 1000

    private let scalars: [Unicode.Scalar]
    private var at = 0
    private var flags: RegexFlags
    private var depth = 0
    /// Groups that capture, so far.
    private(set) var groupCount = 0

    init(_ text: String, isCaseInsensitive: Bool) {
        scalars = Array(text.unicodeScalars)
        flags = RegexFlags(isCaseInsensitive: isCaseInsensitive)
    }

    /// Reads all of it.
    mutating func parse() throws(RegularExpression.Failure) -> RegexTree {
        let tree = try alternatives()
        if at < scalars.count { throw fail("a ')' without its '('") }
        return tree
    }

    private func fail(_ reason: String, at place: Int? = nil) -> RegularExpression.Failure {
        let end = min(place ?? at, scalars.count)
        let offset = scalars[..<end].reduce(0) { $0 + UTF8.width($1) }
        return .init(offset: offset, reason: reason)
    }

    private var next: Unicode.Scalar? { at < scalars.count ? scalars[at] : nil }

    private mutating func take(_ c: Unicode.Scalar) -> Bool {
        guard next == c else { return false }
        at += 1
        return true
    }

    private mutating func alternatives() throws(RegularExpression.Failure) -> RegexTree {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw fail("parentheses are nested too deeply") }
        var all = [try sequence()]
        while take("|") { all.append(try sequence()) }
        return all.count == 1 ? all[0] : .alternatives(all)
    }

    private mutating func sequence() throws(RegularExpression.Failure) -> RegexTree {
        var parts: [RegexTree] = []
        while let c = next, c != "|", c != ")" {
            let start = at
            guard var part = try atom() else { continue }
            var repeated = false
            while let (least, most) = try repetition() {
                // As in RE2, `**` and `a{2}{3}` are refused.
                if repeated { throw fail("a repetition of a repetition", at: start) }
                repeated = true
                let isGreedy = take("?") == flags.isUngreedy
                part = .repetition(part, least: least, most: most, isGreedy: isGreedy)
            }
            parts.append(part)
        }
        return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
    }

    /// `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`; anything else in braces stands for itself.
    private mutating func repetition() throws(RegularExpression.Failure) -> (Int, Int?)? {
        switch next {
        case "*":
            at += 1
            return (0, nil)
        case "+":
            at += 1
            return (1, nil)
        case "?":
            at += 1
            return (0, 1)
        case "{":
            let start = at
            at += 1
            guard let least = number() else { return back(start) }
            var most: Int? = least
            if take(",") { most = next == "}" ? nil : number() ?? -1 }
            guard most != -1, take("}") else { return back(start) }
            guard least <= Self.repeatLimit, most ?? 0 <= Self.repeatLimit else {
                throw fail("a repetition of more than \(Self.repeatLimit)", at: start)
            }
            guard least <= most ?? least else {
                throw fail("a repetition from \(least) down to \(most ?? 0)", at: start)
            }
            return (least, most)
        default: return nil
        }
    }

    private mutating func back(_ start: Int) -> (Int, Int?)? {
        at = start
        return nil
    }

    private mutating func number() -> Int? {
        let start = at
        var value = 0
        while let c = next, "0"..."9" ~= c {
            value = min(value * 10 + Int(c.value - 48), 1_000_000)
            at += 1
        }
        return at == start ? nil : value
    }

    /// One thing that can be repeated; `nil` for flags alone.
    private mutating func atom() throws(RegularExpression.Failure) -> RegexTree? {
        guard let c = next else { return nil }
        let start = at
        at += 1
        switch c {
        case "(": return try group()
        case "[": return .set(try set(), folded: flags.isCaseInsensitive)
        case ".": return .any(withNewline: flags.dotMatchesNewline)
        case "^": return .condition(flags.isMultiLine ? .lineStart : .textStart)
        case "$": return .condition(flags.isMultiLine ? .lineEnd : .textEnd)
        case "*", "+", "?": throw fail("'\(c)' has nothing to repeat", at: start)
        case "{":
            at = start
            if try repetition() != nil { throw fail("a repetition of nothing", at: start) }
            at = start + 1
            return literal(c)
        case "\\": return try escape()
        default: return literal(c)
        }
    }

    private func literal(_ c: Unicode.Scalar) -> RegexTree {
        let fold = flags.isCaseInsensitive
        return .scalar(fold ? foldCase(c.value) : c.value, folded: fold)
    }

    private mutating func group() throws(RegularExpression.Failure) -> RegexTree? {
        let start = at - 1
        let outer = flags
        var index: Int?
        if take("?") {
            if take("P") || next == "<" {
                guard take("<") else { throw fail("'(?P' needs '<'") }
                if next == "=" || next == "!" {
                    throw fail("look-behind is not supported", at: start)
                }
                let nameStart = at
                while let c = next, c != ">" {
                    guard c == "_" || c.isASCII && ScalarSet.words.contains(c.value) else {
                        throw fail("a group's name has letters, digits and '_' only")
                    }
                    at += 1
                }
                guard at > nameStart, take(">") else { throw fail("a group's name does not end") }
                groupCount += 1
                index = groupCount
            } else {
                if next == "=" || next == "!" {
                    throw fail("look-ahead is not supported", at: start)
                }
                if try readFlags() {
                    // `(?i)`: for the rest of the group around it.
                    return nil
                }
            }
        } else {
            groupCount += 1
            index = groupCount
        }
        let inner = try alternatives()
        guard take(")") else { throw fail("a '(' without its ')'", at: start) }
        flags = outer
        return index.map { .group(inner, index: $0) } ?? .sequence([inner])
    }

    /// Reads flags to `:` (false) or `)` (true).
    private mutating func readFlags() throws(RegularExpression.Failure) -> Bool {
        var value = true
        while let c = next {
            at += 1
            switch c {
            case ":": return false
            case ")": return true
            case "-": value = false
            case "i": flags.isCaseInsensitive = value
            case "m": flags.isMultiLine = value
            case "s": flags.dotMatchesNewline = value
            case "U": flags.isUngreedy = value
            default: throw fail("'\(c)' is no flag", at: at - 1)
            }
        }
        throw fail("a '(' without its ')'")
    }

    private mutating func escape() throws(RegularExpression.Failure) -> RegexTree? {
        guard let c = next else { throw fail("a '\\' at the end") }
        switch c {
        case "A": return condition(.textStart)
        case "z": return condition(.textEnd)
        case "b": return condition(.wordBoundary)
        case "B": return condition(.noWordBoundary)
        case "Q":
            at += 1
            var parts: [RegexTree] = []
            while let c = next {
                if c == "\\", at + 1 < scalars.count, scalars[at + 1] == "E" {
                    at += 2
                    break
                }
                parts.append(literal(c))
                at += 1
            }
            return .sequence(parts)
        case "E":
            at += 1
            return nil
        default: break
        }
        if let set = try classEscape() { return .set(set, folded: flags.isCaseInsensitive) }
        return literal(try characterEscape())
    }

    private mutating func condition(_ condition: RegexCondition) -> RegexTree {
        at += 1
        return .condition(condition)
    }

    /// `\d`, `\pL`, `\P{Lu}` and the like, behind the backslash.
    private mutating func classEscape() throws(RegularExpression.Failure) -> ScalarSet? {
        guard let c = next else { return nil }
        var set: ScalarSet
        switch c {
        case "d", "D": set = .digits
        case "s", "S": set = .spaces
        case "w", "W": set = .words
        case "p", "P":
            at += 1
            var name = ""
            var isNegated = c == "P"
            let start = at
            if take("{") {
                if take("^") { isNegated.toggle() }
                while let c = next, c != "}" {
                    name.unicodeScalars.append(c)
                    at += 1
                }
                guard take("}") else { throw fail("'{' without '}'", at: start) }
            } else if let c = next {
                name.unicodeScalars.append(c)
                at += 1
            }
            guard var found = ScalarSet.category(name) else {
                throw fail("'\(name)' is no category of characters known here", at: start)
            }
            found.isNegated = isNegated
            return found
        default: return nil
        }
        at += 1
        set.isNegated = ("A"..."Z").contains(c)
        return set
    }

    /// One character behind a backslash.
    private mutating func characterEscape() throws(RegularExpression.Failure) -> Unicode.Scalar {
        guard let c = next else { throw fail("a '\\' at the end") }
        let start = at
        at += 1
        switch c {
        case "a": return "\u{7}"
        case "f": return "\u{c}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "v": return "\u{b}"
        case "x": return try hexadecimal()
        case "0"..."7":
            // RE2: one digit from 1 to 7 alone would be a back reference.
            var value = c.value - 48
            var digits = 1
            while digits < 3, let d = next, "0"..."7" ~= d {
                value = value * 8 + d.value - 48
                at += 1
                digits += 1
            }
            guard c == "0" || digits > 1 else {
                throw fail("back references are not supported", at: start)
            }
            return Unicode.Scalar(value) ?? c
        default:
            if !c.isASCII || ScalarSet.words.contains(c.value) && c != "_" {
                throw fail("'\\\(c)' means nothing", at: start)
            }
            return c
        }
    }

    private mutating func hexadecimal() throws(RegularExpression.Failure) -> Unicode.Scalar {
        let start = at
        let isBraced = take("{")
        var value: UInt32 = 0
        var digits = 0
        while digits < (isBraced ? 6 : 2), let c = next, let digit = Character(c).hexDigitValue {
            value = value * 16 + UInt32(digit)
            at += 1
            digits += 1
        }
        guard digits > 0, isBraced ? take("}") : digits == 2, let c = Unicode.Scalar(value) else {
            throw fail("'\\x' needs two hexadecimal digits, or some in braces", at: start)
        }
        return c
    }

    /// A set behind `[`.
    private mutating func set() throws(RegularExpression.Failure) -> ScalarSet {
        let start = at - 1
        var set = ScalarSet()
        set.isNegated = take("^")
        var isFirst = true
        while true {
            guard let c = next else { throw fail("a '[' without its ']'", at: start) }
            if c == "]", !isFirst {
                at += 1
                return set
            }
            isFirst = false
            if c == "[", at + 1 < scalars.count, scalars[at + 1] == ":", let part = try named() {
                set.parts.append(part)
                continue
            }
            if c == "\\" {
                at += 1
                if let part = try classEscape() {
                    set.parts.append(part)
                    continue
                }
                at -= 1
            }
            let low = try member()
            guard next == "-", at + 1 < scalars.count, scalars[at + 1] != "]" else {
                set.ranges.append(low.value...low.value)
                continue
            }
            let dash = at
            at += 1
            let high = try member()
            guard low <= high else { throw fail("a range that goes backwards", at: dash) }
            set.ranges.append(low.value...high.value)
        }
    }

    private mutating func member() throws(RegularExpression.Failure) -> Unicode.Scalar {
        guard let c = next else { throw fail("a '[' without its ']'") }
        at += 1
        return c == "\\" ? try characterEscape() : c
    }

    /// `[:alpha:]`, `[:^alpha:]` inside a set; `nil` when it is something else.
    private mutating func named() throws(RegularExpression.Failure) -> ScalarSet? {
        var end = at + 2
        while end + 1 < scalars.count, scalars[end] != ":" || scalars[end + 1] != "]" { end += 1 }
        guard end + 1 < scalars.count else { return nil }
        var name = ""
        name.unicodeScalars.append(contentsOf: scalars[(at + 2)..<end])
        let isNegated = name.hasPrefix("^")
        if isNegated { name.removeFirst() }
        guard var found = ScalarSet.posix(name) else {
            throw fail("'[:\(name):]' is no class of characters")
        }
        found.isNegated = isNegated
        at = end + 2
        return found
    }
}
