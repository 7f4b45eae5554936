internal import MySQLSyntax

/// What may be in a row: literals, and what tools put around them so that servers read them as they
/// were meant.
enum RowValues {
    /// Functions that make a value of a literal, and types that CAST names with a length.
    private static let functions: Set<String> = [
        "CONVERT", "CAST", "UNHEX", "FROM_BASE64", "UUID_TO_BIN", "INET_ATON", "INET6_ATON",
        "ST_GEOMFROMWKB", "ST_GEOMFROMTEXT", "ST_GEOMETRYFROMWKB", "ST_GEOMETRYFROMTEXT",
        "GEOMFROMWKB", "GEOMFROMTEXT", "GEOMETRYFROMWKB", "GEOMETRYFROMTEXT",
        "CHAR", "NCHAR", "BINARY", "DECIMAL", "DATETIME", "TIME",
    ]
    private static let queries: Set<String> = ["SELECT", "WITH", "TABLE", "VALUES", "VALUE"]

    /// What a row with parentheses inside holds that a server would run; `nil` for nothing.
    static func code(_ row: [UInt8], _ context: SyntaxContext) -> String? {
        let words = Words(row, context)
        for i in 0..<words.count {
            switch words.kind(i) {
            case .word where queries.contains(words.word(i)): return "a query"
            case .punctuation where i > 0 && words.text(i) == "(":
                guard let name = words.name(i - 1) else { continue }
                let isKnown =
                    functions.contains(words.word(i - 1)) && (i < 2 || words.text(i - 2) != ".")
                if !isKnown { return "a call of \(name)" }
            default: continue
            }
        }
        return nil
    }
}
