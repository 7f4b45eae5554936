/// A regular expression in the syntax of RE2 (which Go has, and DM's files are written for),
/// matched in time linear in the text: no expression and no text makes it slow.
///
/// The program is that of Thompson; its states run side by side over the text. Expressions are
/// limited in length, nesting, repetition and size of the program, so that one in a file can't take
/// all memory. Not known: back references and look-around (RE2 has neither), names of scripts in
/// `\p{..}`.
public struct RegularExpression: Sendable {
    /// Bytes of an expression at most.
    public static let lengthLimit = 16_384
    /// Instructions of a program at most.
    static let programLimit = 20_000
    /// Parts of an expression, repetitions counted, at most.
    static let workLimit = 100_000

    /// The expression as it was written.
    public let text: String
    /// Groups that capture, the whole match not counted.
    public let groupCount: Int
    let program: RegexProgram

    /// What is wrong with an expression.
    public struct Failure: Error, Sendable, Hashable {
        /// Where, in bytes of UTF-8.
        public var offset: Int
        /// What is wrong.
        public var reason: String
    }

    /// Reads an expression.
    ///
    /// - Parameter isCaseInsensitive: as if it began with `(?i)`.
    public init(_ text: String, isCaseInsensitive: Bool = false) throws(Failure) {
        guard text.utf8.count <= Self.lengthLimit else {
            throw Failure(
                offset: Self.lengthLimit,
                reason: "the regular expression is longer than \(Self.lengthLimit) bytes")
        }
        var parser = RegexParser(text, isCaseInsensitive: isCaseInsensitive)
        let tree = try parser.parse()
        var compiler = RegexCompiler()
        program = try compiler.compile(tree)
        groupCount = parser.groupCount
        self.text = text
    }

    /// Whether the expression matches anywhere in the text.
    public func isFound(in text: String) -> Bool {
        var scalars = text.unicodeScalars.makeIterator()
        var matcher = RegexMatcher(program)
        return matcher.isFound { scalars.next()?.value }
    }

    /// What the whole expression and each of its groups match in the leftmost match; `nil` for
    /// groups that took no part, and for the whole when there is no match. As with Perl, the
    /// first alternative that leads to a match counts.
    public func groups(in text: String) -> [String?]? {
        let scalars = Array(text.unicodeScalars)
        let slots = program.captures(in: scalars.map(\.value), groups: groupCount)
        guard let slots else { return nil }
        return stride(from: 0, to: slots.count, by: 2).map { i in
            guard slots[i] >= 0, slots[i + 1] >= slots[i] else { return nil }
            var out = ""
            out.unicodeScalars.append(contentsOf: scalars[slots[i]..<slots[i + 1]])
            return out
        }
    }
}

/// Flags of a part of an expression.
struct RegexFlags: Hashable, Sendable {
    /// `i`
    var isCaseInsensitive = false
    /// `m`: `^` and `$` match at lines' ends.
    var isMultiLine = false
    /// `s`: `.` matches a line's end.
    var dotMatchesNewline = false
    /// `U`: `*` takes as little as it can, `*?` as much.
    var isUngreedy = false
}

/// Conditions of a place in the text.
enum RegexCondition: Sendable, Hashable {
    case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary

    /// Whether it holds between two characters; `nil` for the text's ends.
    @inline(__always)
    func holds(before: UInt32?, after: UInt32?) -> Bool {
        switch self {
        case .textStart: before == nil
        case .textEnd: after == nil
        case .lineStart: before == nil || before == 10
        case .lineEnd: after == nil || after == 10
        case .wordBoundary: Self.isWord(before) != Self.isWord(after)
        case .noWordBoundary: Self.isWord(before) == Self.isWord(after)
        }
    }

    private static func isWord(_ c: UInt32?) -> Bool {
        guard let c else { return false }
        return c == 95 || 48...57 ~= c || 65...90 ~= c || 97...122 ~= c
    }
}

/// A parsed expression.
indirect enum RegexTree: Sendable {
    case empty
    case scalar(UInt32, folded: Bool)
    case any(withNewline: Bool)
    case set(ScalarSet, folded: Bool)
    case condition(RegexCondition)
    case sequence([RegexTree])
    case alternatives([RegexTree])
    case repetition(RegexTree, least: Int, most: Int?, isGreedy: Bool)
    case group(RegexTree, index: Int)
}
