/// A line of a terminal view: pieces of text with styles, fitted to a width before the styles
/// become escape sequences.
struct StyledLine: Sendable, Equatable {
    /// How a piece looks; colours are the terminal's own sixteen, so that themes hold.
    enum Style: String, Sendable {
        case plain = ""
        case strong = "1"
        case dim = "2"
        case good = "32"
        case caution = "33"
        case bad = "31"
        case accent = "36"
    }

    private(set) var pieces: [(text: String, style: Style)] = []

    /// Makes an empty line.
    init() {}

    /// Makes a line of one piece.
    init(_ text: String, _ style: Style = .plain) { add(text, style) }

    /// Adds a piece; control characters are replaced.
    mutating func add(_ text: String, _ style: Style = .plain) {
        pieces.append((TextFitting.printable(text), style))
    }

    /// Columns taken.
    var width: Int { pieces.reduce(0) { $0 + TextFitting.width($1.text) } }

    /// The line cut to a width, with escape sequences if `colors`.
    func rendered(width limit: Int, colors: Bool) -> String {
        var out = ""
        var left = limit
        for (text, style) in pieces where left > 0 {
            let shown = TextFitting.shortened(text, left)
            left -= TextFitting.width(shown)
            out +=
                colors && style != .plain ? "\u{1B}[\(style.rawValue)m\(shown)\u{1B}[0m" : shown
        }
        return out
    }

    /// Compares texts and styles.
    static func == (a: StyledLine, b: StyledLine) -> Bool {
        a.pieces.elementsEqual(b.pieces) { $0.text == $1.text && $0.style == $1.style }
    }
}

/// A bar of a fixed number of columns.
enum Bar {
    /// `━━━━━━────`, filled by a fraction of 0 to 1; full only when everything is done.
    static func text(_ fraction: Double, columns: Int) -> (done: String, open: String) {
        let clamped = min(1, max(0, fraction.isFinite ? fraction : 0))
        let filled = min(columns, Int(clamped * Double(columns)))
        return (
            String(repeating: "━", count: filled), String(repeating: "─", count: columns - filled)
        )
    }

    /// ` 42%`, four columns; 100 % only when everything is done.
    static func percent(_ fraction: Double, isDone: Bool) -> String {
        let clamped = min(1, max(0, fraction.isFinite ? fraction : 0))
        let n = isDone ? 100 : min(99, Int(clamped * 100))
        return String(repeating: " ", count: n < 10 ? 2 : n < 100 ? 1 : 0) + "\(n)%"
    }
}
