import MySQLCore

extension Lexer {
    /// Skips white space and comments, and enters executable comments; false when a comment does
    /// not end.
    mutating func skipSpace() -> Bool {
        while at < source.count {
            let c = source[at]
            switch c {
            case 0x09...0x0D, 0x20, 0x00:
                at += 1
            case UInt8(ascii: "#"):
                skipLine()
            case UInt8(ascii: "-")
            where byte(at + 1) == c && (at + 2 >= source.count || byte(at + 2) <= 0x20):
                skipLine()
            case UInt8(ascii: "/") where byte(at + 1) == UInt8(ascii: "*"):
                if !enterOrSkipComment() { return false }
            case UInt8(ascii: "*")
            where isInExecutableComment && byte(at + 1) == UInt8(ascii: "/"):
                isInExecutableComment = false
                at += 2
            default:
                return true
            }
        }
        return true
    }

    private mutating func skipLine() {
        while at < source.count, source[at] != 0x0A { at += 1 }
    }

    /// At `/*`: enters an executable comment whose version fits, skips any other.
    private mutating func enterOrSkipComment() -> Bool {
        var start = at + 2
        let isMariaDBOnly = byte(start) == UInt8(ascii: "M") && byte(start + 1) == UInt8(ascii: "!")
        if isMariaDBOnly { start += 1 }
        guard byte(start) == UInt8(ascii: "!"), !isMariaDBOnly || context.isMariaDB,
            !isInExecutableComment
        else { return skipComment(nested: false) }
        start += 1
        var digits = 0
        var number = 0
        while digits < 6, isDigit(byte(start + digits)) {
            number = number * 10 + Int(source[start + digits] - UInt8(ascii: "0"))
            digits += 1
        }
        if digits < 5 {
            number = 0
            digits = 0
        }
        guard runs(number, isMariaDBOnly: isMariaDBOnly) else { return skipComment(nested: true) }
        isInExecutableComment = true
        at = start + digits
        return true
    }

    /// Whether the server runs what a comment with this version number holds.
    private func runs(_ number: Int, isMariaDBOnly: Bool) -> Bool {
        guard number > 0 else { return true }
        let version = context.version
        // MariaDB leaves out what MySQL 5.7 and later mark as theirs.
        if context.isMariaDB, !isMariaDBOnly, number >= 50_700, number <= 99_999 { return false }
        return number <= version.major * 10_000 + version.minor * 100 + version.patch
    }

    /// Skips to `*/`. A skipped executable comment may hold one level of ordinary comments.
    private mutating func skipComment(nested: Bool) -> Bool {
        let start = at
        at += 2
        var depth = 1
        while at + 1 < source.count {
            if source[at] == UInt8(ascii: "*"), source[at + 1] == UInt8(ascii: "/") {
                at += 2
                depth -= 1
                if depth == 0 { return true }
            } else if nested, depth == 1, source[at] == UInt8(ascii: "/"),
                source[at + 1] == UInt8(ascii: "*")
            {
                at += 2
                depth += 1
            } else {
                at += 1
            }
        }
        at = start
        return false
    }
}
