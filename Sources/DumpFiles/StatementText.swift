/// Makes statements such that readers which go by lines take each for one.
public enum StatementText {
    /// The statement without a semicolon at the end of a line, which mydumper's and myloader's
    /// readers would take for its end: a space comes between, or, in a string, the line's end is
    /// written as an escape.
    ///
    /// - Parameter escapes: whether backslashes in strings are escapes.
    /// - Returns: `nil` where that can't be: in a name, or in a string without escapes.
    public static func inLines(_ statement: [UInt8], escapes: Bool) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(statement.count + 16)
        var scan = TextScan(escapes: escapes)
        var i = 0
        while i < statement.count {
            let start = i
            // Whether the byte at `i` is in quotes is what the scan knows before it.
            let quote = scan.openQuote
            i += 1
            let c = statement[start]
            if c == 0x0A, statement[..<start].last == UInt8(ascii: ";") {
                switch quote {
                case 0: out.append(0x20)
                case UInt8(ascii: "`"): return nil
                default:
                    guard escapes else { return nil }
                    out += Array("\\n".utf8)
                    scan.step(statement, start)
                    continue
                }
            }
            out.append(c)
            scan.step(statement, start)
        }
        return out
    }
}

extension TextScan {
    /// The quote that the next byte is inside of; 0 for none.
    var openQuote: UInt8 { isQuoted ? quote : 0 }

    /// Goes on by one byte of a whole text.
    mutating func step(_ bytes: [UInt8], _ i: Int) {
        guard i >= steppedTo else { return }
        var at = i
        // A delimiter that no text has: the scan looks at one token and stops behind it.
        let end = min(bytes.count, i + 4)
        let span = bytes.span.extracting(i..<end)
        var local = 0
        _ = run(
            span, &local, isEnd: true, until: .delimiter([0xFF, 0xFE], endsLine: false), steps: 1)
        at += local
        steppedTo = at
    }
}
