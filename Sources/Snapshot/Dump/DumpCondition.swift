/// What is known of a condition that a person has written for the rows of a dump.
enum DumpCondition {
    /// Whether nothing but a row decides if it meets the condition: no other table, no clock, no
    /// variable, and no function, since any may be a routine of the source's.
    ///
    /// Only then is a table whole for good that was dumped by it and has not changed since.
    static func isOfTheRow(_ condition: String) -> Bool {
        var words: [String] = []
        var word = ""
        // Of texts and names in quotes nothing counts, but that they end.
        var quote: Character?
        for c in condition + " " {
            if let open = quote {
                if c == open { quote = nil }
                continue
            }
            if c.isLetter || c.isNumber || c == "_" || c == "$" {
                word.append(c)
                continue
            }
            if !word.isEmpty { words.append(word.uppercased()) }
            word = ""
            switch c {
            case "'", "\"", "`":
                quote = c
                words.append("")
            case "@", "\\", "#", "/": return false
            case "(":
                if let before = words.last, !operators.contains(before) { return false }
                words.append("(")
            case " ", "\t", "\n", "\r": continue
            default: words.append("(")
            }
        }
        return quote == nil && !words.contains { clocks.contains($0) }
    }

    /// What may stand before a parenthesis and is no function's name.
    private static let operators: Set<String> = [
        "(", "IN", "AND", "OR", "NOT", "XOR", "BETWEEN", "LIKE", "REGEXP", "RLIKE", "DIV", "MOD",
        "IS",
    ]
    /// What reads a clock without parentheses, or another table.
    private static let clocks: Set<String> = [
        "SELECT", "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_USER", "LOCALTIME",
        "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "SYSDATE", "TABLE", "VALUES",
        "NEXT", "PREVIOUS",
    ]
}
