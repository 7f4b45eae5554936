internal import MySQLCore

/// Tables that statements of a binlog are asked about: whether one may change what the tables' names
/// stand for.
///
/// A renamed table keeps its rows and its definition, and no view notices that its name is another
/// table's now. Whatever does that has to name it, which is looked for without understanding the
/// statement: what is not surely of no account counts.
struct NamedTables: Sendable {
    /// A name as it is found in a text.
    private struct Name: Sendable {
        /// Its words, in small letters: quotes and escapes come only between them.
        let words: [[UInt8]]
        /// A name with other letters is in the text in a charset that is not looked at.
        let isPlain: Bool

        init(_ name: String) {
            let bytes = Array(name.utf8)
            isPlain = bytes.allSatisfy { $0 < 0x80 }
            words = isPlain ? Array(Text(bytes).words) : []
        }

        func isIn(_ text: Text) -> Bool {
            isPlain ? words.allSatisfy { text.words.contains($0) } : !text.isPlain
        }
    }

    /// The words of a statement.
    private struct Text {
        var words: Set<[UInt8]> = []
        var isPlain = true

        init(_ bytes: [UInt8]) {
            var word: [UInt8] = []
            for c in bytes {
                if c >= 0x80 { isPlain = false }
                if NamedTables.isInWords(c) {
                    word.append(NamedTables.small(c))
                } else if !word.isEmpty {
                    words.insert(word)
                    word = []
                }
            }
            if !word.isEmpty { words.insert(word) }
        }
    }

    private let tables: [(table: TableName, schema: Name, name: Name)]

    init(_ tables: [TableName]) {
        self.tables = tables.sorted().map { ($0, Name($0.schema), Name($0.name)) }
    }

    /// Whether there is nothing to ask about.
    var isEmpty: Bool { tables.isEmpty }

    /// A table that a statement may have given another meaning; `nil` for statements about other
    /// tables, and for those that change rows at most.
    ///
    /// - Parameter schema: the statement's default schema.
    func first(in sql: [UInt8], schema: [UInt8]) -> TableName? {
        if Self.leavesNames(sql) { return nil }
        let text = Text(sql)
        let home = Text(schema)
        return tables.first { entry in
            entry.name.isIn(text) && (entry.schema.isIn(text) || entry.schema.isIn(home))
        }?.table
    }

    /// Statements after which no name means another table. SET is none of them: MariaDB's SET
    /// STATEMENT .. FOR has any statement behind it.
    private static let harmless: Set<String> = [
        "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "SELECT", "DO", "WITH", "SAVEPOINT",
        "RELEASE", "XA", "GRANT", "REVOKE", "ANALYZE", "FLUSH",
    ]

    private static func leavesNames(_ sql: [UInt8]) -> Bool {
        var at = 0
        let first = word(sql, &at)
        if harmless.contains(first) { return true }
        guard first == "CREATE" || first == "DROP" else { return false }
        return word(sql, &at) == "TEMPORARY"
    }

    /// The next word in capitals, behind spaces and comments; empty for anything else, which
    /// executable comments are, too.
    private static func word(_ sql: [UInt8], _ at: inout Int) -> String {
        func byte(_ i: Int) -> UInt8 { i < sql.count ? sql[i] : 0 }
        while at < sql.count {
            let c = sql[at]
            if c == 0x20 || (0x09...0x0D).contains(c) {
                at += 1
            } else if c == UInt8(ascii: "/"), byte(at + 1) == UInt8(ascii: "*"),
                byte(at + 2) != UInt8(ascii: "!"), byte(at + 2) != UInt8(ascii: "M")
            {
                at += 2
                while at < sql.count,
                    byte(at) != UInt8(ascii: "*") || byte(at + 1) != UInt8(ascii: "/")
                {
                    at += 1
                }
                at += 2
            } else {
                break
            }
        }
        let start = min(at, sql.count)
        at = start
        while at < sql.count, isInWords(sql[at]) { at += 1 }
        return String(decoding: sql[start..<at], as: UTF8.self).uppercased()
    }

    private static func isInWords(_ c: UInt8) -> Bool {
        switch c {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...:
            true
        default: false
        }
    }

    private static func small(_ c: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(c) ? c | 0x20 : c
    }
}
