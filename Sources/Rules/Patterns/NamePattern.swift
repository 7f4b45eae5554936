/// A pattern of a schema's or table's name: a name in which `*` stands for any characters, `?` for
/// one, `[a-z]` for one of a set and `[!a-z]` for one outside of it; or a regular expression behind
/// `~`, which may match anywhere in the name.
///
/// As in DM, a `[` that no `]` follows stands for itself, and `[!]` is an exclamation mark. DM
/// allows `*` at the end only; here it may be anywhere.
public struct NamePattern: Sendable {
    private enum Element: Sendable {
        case scalar(UInt32)
        case set(ScalarSet)
        case one
        case any
    }

    private enum Form: Sendable {
        case wildcards([Element])
        case expression(RegularExpression)
    }

    /// The pattern as it was written.
    public let text: String
    /// Whether capitals and small letters are different.
    public let isCaseSensitive: Bool
    private let form: Form

    /// Reads a pattern; fails for regular expressions that can't be read.
    public init(_ text: String, isCaseSensitive: Bool) throws(RegularExpression.Failure) {
        self.text = text
        self.isCaseSensitive = isCaseSensitive
        if text.utf8.first == UInt8(ascii: "~") {
            do throws(RegularExpression.Failure) {
                form = .expression(
                    try RegularExpression(
                        String(text.dropFirst()), isCaseInsensitive: !isCaseSensitive))
            } catch {
                throw .init(offset: error.offset + 1, reason: error.reason)
            }
        } else {
            form = .wildcards(Self.elements(text, isCaseSensitive: isCaseSensitive))
        }
    }

    /// Whether the pattern is a plain name, without wildcards.
    public var isPlain: Bool {
        guard case .wildcards(let elements) = form else { return false }
        return elements.allSatisfy { if case .scalar = $0 { true } else { false } }
    }

    /// Whether a name matches.
    public func matches(_ name: String) -> Bool {
        switch form {
        case .expression(let expression): expression.isFound(in: name)
        case .wildcards(let elements): Self.matches(elements, name, isCaseSensitive)
        }
    }

    private static func elements(_ text: String, isCaseSensitive: Bool) -> [Element] {
        let scalars = text.unicodeScalars.map(\.value)
        func fold(_ c: UInt32) -> UInt32 { isCaseSensitive ? c : foldCase(c) }
        var out: [Element] = []
        var i = 0
        while i < scalars.count {
            switch Unicode.Scalar(scalars[i]) {
            case "*": out.append(.any)
            case "?": out.append(.one)
            case "[":
                guard let close = scalars[i...].firstIndex(of: 93), close > i + 1 else {
                    out.append(.scalar(91))
                    break
                }
                out.append(.set(set(Array(scalars[(i + 1)..<close]))))
                i = close
            default: out.append(.scalar(fold(scalars[i])))
            }
            i += 1
        }
        return out
    }

    /// What is between the brackets.
    private static func set(_ members: [UInt32]) -> ScalarSet {
        if members == [33] { return ScalarSet(ranges: [33...33]) }
        var set = ScalarSet()
        var i = 0
        if members[0] == 33 {
            set.isNegated = true
            i = 1
        }
        while i < members.count {
            if i + 2 < members.count, members[i + 1] == 45 {
                // DM takes ranges that go backwards, as empty.
                if members[i] <= members[i + 2] { set.ranges.append(members[i]...members[i + 2]) }
                i += 3
            } else {
                set.ranges.append(members[i]...members[i])
                i += 1
            }
        }
        return set
    }

    private static func matches(
        _ elements: [Element], _ name: String, _ isCaseSensitive: Bool
    ) -> Bool {
        matchesWildcards(
            elements, name.unicodeScalars.map(\.value),
            isAny: { if case .any = $0 { true } else { false } },
            accepts: { element, c in
                switch element {
                case .scalar(let value): (isCaseSensitive ? c : foldCase(c)) == value
                case .set(let set): isCaseSensitive ? set.contains(c) : set.containsFolded(c)
                case .one: true
                case .any: false
                }
            })
    }
}
