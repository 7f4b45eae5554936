/// Texts made to fit a terminal. Widths count characters, and wide ones (East Asian, emoji)
/// twice, as terminals draw them.
enum TextFitting {
    /// The columns that a text takes.
    static func width(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }

    /// The text cut to a width, with `…` where something was cut.
    static func shortened(_ text: String, _ limit: Int) -> String {
        guard limit > 0 else { return "" }
        if width(text) <= limit { return text }
        var out = ""
        var used = 1
        for c in text {
            used += width(c)
            if used > limit { break }
            out.append(c)
        }
        return out + "…"
    }

    /// The text cut in its middle: of positions and table names, the end tells the most.
    static func middleShortened(_ text: String, _ limit: Int) -> String {
        if width(text) <= limit { return text }
        guard limit > 8 else { return shortened(text, limit) }
        let head = limit / 3
        let characters = Array(text)
        var tail = ""
        var used = head + 1
        for c in characters.reversed() {
            used += width(c)
            if used > limit { break }
            tail.append(c)
        }
        return String(shortened(text, head + 1).dropLast()) + "…" + String(tail.reversed())
    }

    /// The text with blanks behind it, cut where it is too long.
    static func padded(_ text: String, _ columns: Int) -> String {
        let text = shortened(text, columns)
        return text + String(repeating: " ", count: max(0, columns - width(text)))
    }

    /// Words broken into lines of at most `limit` columns.
    static func wrapped(_ text: String, _ limit: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if line.isEmpty {
                line = String(word)
            } else if width(line) + 1 + width(String(word)) <= limit {
                line += " " + word
            } else {
                lines.append(line)
                line = String(word)
            }
        }
        if !line.isEmpty { lines.append(line) }
        return lines
    }

    /// The text with control characters replaced, so that a name can't move the cursor.
    static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var out = ""
        for c in text.unicodeScalars { out.unicodeScalars.append(isControl(c) ? "\u{FFFD}" : c) }
        return out
    }

    private static func isControl(_ c: Unicode.Scalar) -> Bool {
        c.value < 0x20 || (0x7F...0x9F).contains(c.value)
    }

    private static func width(_ c: Character) -> Int {
        guard let first = c.unicodeScalars.first else { return 0 }
        switch first.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF,
            0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
