internal import MySQLCore

/// The text of SHOW CREATE TABLE, taken apart at its commas: enough to leave out keys and to
/// rename the table, without understanding what is between.
struct CreateTableText: Sendable {
    /// Column, key and constraint definitions, in order.
    var items: [String]
    /// What follows the closing parenthesis: options and partitions.
    var options: String

    /// - Returns: `nil` for a text of another form.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard let open = Self.end(bytes, 0, stopAt: UInt8(ascii: "(")) else { return nil }
        var items: [String] = []
        var at = open + 1
        while true {
            guard
                let end = Self.end(
                    bytes, at, stopAt: UInt8(ascii: ","), or: UInt8(ascii: ")"))
            else { return nil }
            items.append(Self.trimmed(bytes[at..<end]))
            at = end + 1
            if bytes[end] == UInt8(ascii: ")") { break }
        }
        self.items = items
        options = Self.trimmed(bytes[at...])
    }

    /// The statement that creates the table under a name.
    func statement(for table: TableName) -> String {
        "CREATE TABLE \(table.quoted) (\n  \(items.joined(separator: ",\n  "))\n) \(options)"
    }

    /// Gives the tables that foreign keys refer to other names.
    ///
    /// - Parameters:
    ///   - schema: that of names without one.
    ///   - target: the new name.
    mutating func renameParents(
        from schema: String, _ target: (TableName) throws -> TableName
    ) rethrows {
        for i in items.indices {
            var tokens = DefinitionToken.parse(items[i])
            guard let at = tokens.firstIndex(where: { $0.word == "REFERENCES" }),
                at + 1 < tokens.count, tokens[at + 1].kind == .identifier
            else { continue }
            var end = at + 2
            var parent = TableName(schema: schema, name: unquoted(tokens[at + 1].text))
            if end + 1 < tokens.count, tokens[end].text == ".",
                tokens[end + 1].kind == .identifier
            {
                parent = TableName(schema: parent.name, name: unquoted(tokens[end + 1].text))
                end += 2
            }
            let renamed = DefinitionToken(.identifier, try target(parent).quoted)
            tokens.replaceSubrange((at + 1)..<end, with: [renamed])
            items[i] = tokens.text
        }
        func unquoted(_ name: String) -> String {
            var out = ""
            var isSecond = false
            for c in name.dropFirst().dropLast() {
                if c == "`", !isSecond {
                    isSecond = true
                    continue
                }
                isSecond = false
                out.append(c)
            }
            return out
        }
    }

    /// Index of the next `stopAt` (or `or`) outside quotes, comments and inner parentheses.
    static func end(
        _ bytes: [UInt8], _ start: Int, stopAt: UInt8, or other: UInt8? = nil
    ) -> Int? {
        var depth = 0
        var i = start
        while i < bytes.count {
            let c = bytes[i]
            if depth == 0, c == stopAt || c == other { return i }
            switch c {
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                i += 1
                while i < bytes.count {
                    if bytes[i] == UInt8(ascii: "\\"), c != UInt8(ascii: "`") {
                        i += 2
                        continue
                    }
                    if bytes[i] == c {
                        guard i + 1 < bytes.count, bytes[i + 1] == c else { break }
                        i += 1
                    }
                    i += 1
                }
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth -= 1
            default: break
            }
            i += 1
        }
        return nil
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
        func isSpace(_ b: UInt8) -> Bool { b == 32 || b == 10 || b == 13 || b == 9 }
        var slice = bytes
        while let first = slice.first, isSpace(first) { slice.removeFirst() }
        while let last = slice.last, isSpace(last) { slice.removeLast() }
        return String(decoding: slice, as: UTF8.self)
    }
}
