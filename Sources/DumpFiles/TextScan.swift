/// Where in a text of SQL a scan is: enough to tell a semicolon or a parenthesis that means
/// something from one inside quotes or comments. It stops at the end of what is there and goes on
/// when more has come, so that no byte is looked at twice.
struct TextScan {
    private enum Place { case plain, quoted, line, block }

    /// Whether a backslash in quotes takes the next character's meaning.
    var escapes = true
    private var place = Place.plain
    private(set) var quote: UInt8 = 0
    /// How far ``step(_:_:)`` has come: a comment's beginning is more than one byte.
    var steppedTo = 0
    private var isEscaped = false
    /// Inside `/*! .. */`, whose content is code.
    private var isInExecutable = false
    private var depth = 0
    /// Whether there were parentheses in parentheses.
    private(set) var isNested = false
    /// Whether there was an executable comment.
    private(set) var hasExecutable = false

    init(escapes: Bool) { self.escapes = escapes }

    /// Whether the next byte is in quotes.
    var isQuoted: Bool { place == .quoted }

    /// What ends the scan.
    enum Stop {
        /// The delimiter outside quotes and comments; and where `endsLine`, only a line's end
        /// behind it makes it one.
        case delimiter([UInt8], endsLine: Bool)
        /// The parenthesis that closes the first one.
        case tuple
    }

    /// Moves `i` on over bytes.
    ///
    /// - Parameters:
    ///   - isEnd: whether no more bytes will come.
    ///   - steps: how often it goes on at most.
    /// - Returns: whether the end was found; `i` is behind it. Otherwise `i` is where to go on.
    mutating func run(
        _ bytes: Span<UInt8>, _ i: inout Int, isEnd: Bool, until stop: Stop, steps: Int = .max
    ) -> Bool {
        let count = bytes.count
        var left = steps
        while i < count, left > 0 {
            left -= 1
            let c = bytes[i]
            switch place {
            case .quoted:
                if isEscaped {
                    isEscaped = false
                } else if c == UInt8(ascii: "\\"), escapes, quote != UInt8(ascii: "`") {
                    isEscaped = true
                } else if c == quote {
                    // A doubled quote ends the text and begins it again: the same in effect.
                    place = .plain
                }
                i += 1
                continue
            case .line:
                if c == 0x0A { place = .plain }
                i += 1
                continue
            case .block:
                if c == UInt8(ascii: "*") {
                    guard i + 1 < count || isEnd else { return false }
                    if i + 1 < count, bytes[i + 1] == UInt8(ascii: "/") {
                        place = .plain
                        i += 1
                    }
                }
                i += 1
                continue
            case .plain: break
            }
            if case .delimiter(let delimiter, let endsLine) = stop, c == delimiter[0],
                !isInExecutable || delimiter.count > 1
            {
                // The line's end may follow.
                guard i + delimiter.count + 1 <= count || isEnd else { return false }
                if Self.isEnd(bytes, i, delimiter, endsLine: endsLine) {
                    i += delimiter.count
                    return true
                }
            }
            switch c {
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                place = .quoted
                quote = c
            case UInt8(ascii: "("):
                depth += 1
                if depth > 1 { isNested = true }
            case UInt8(ascii: ")"):
                depth -= 1
                if case .tuple = stop, depth <= 0 {
                    i += 1
                    return true
                }
            case UInt8(ascii: "#"): place = .line
            case UInt8(ascii: "-"):
                guard i + 2 < count || isEnd else { return false }
                if i + 2 < count, bytes[i + 1] == c, bytes[i + 2] <= 0x20 { place = .line }
            case UInt8(ascii: "/"):
                guard i + 3 < count || isEnd else { return false }
                if i + 1 < count, bytes[i + 1] == UInt8(ascii: "*") {
                    let third = i + 2 < count ? bytes[i + 2] : 0
                    let fourth = i + 3 < count ? bytes[i + 3] : 0
                    if third == UInt8(ascii: "!")
                        || third == UInt8(ascii: "M") && fourth == UInt8(ascii: "!")
                    {
                        isInExecutable = true
                        hasExecutable = true
                    } else {
                        place = .block
                    }
                    i += 1
                }
            case UInt8(ascii: "*"):
                guard i + 1 < count || isEnd else { return false }
                if isInExecutable, i + 1 < count, bytes[i + 1] == UInt8(ascii: "/") {
                    isInExecutable = false
                    i += 1
                }
            default: break
            }
            i += 1
        }
        return false
    }

    private static func isEnd(
        _ bytes: Span<UInt8>, _ i: Int, _ delimiter: [UInt8], endsLine: Bool
    ) -> Bool {
        let end = i + delimiter.count
        guard end <= bytes.count else { return false }
        for k in delimiter.indices where bytes[i + k] != delimiter[k] { return false }
        guard endsLine, end < bytes.count else { return true }
        // A carriage return before it is the body's own: tools write line feeds alone.
        return bytes[end] == 0x0A
    }
}
