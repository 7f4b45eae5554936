internal import Yams

/// Something in a file that works, but not as its writer may believe.
public struct SettingsWarning: Sendable, Hashable, CustomStringConvertible {
    /// The file.
    public var file: String
    /// The line in the file, from 1, where it is known.
    public var line: Int?
    /// The column in the line, in characters from 1.
    public var column: Int?
    /// One sentence of what is different, and why.
    public var message: String

    /// `task.yaml:3:5: warning: ..`.
    public var description: String {
        let place = ([file] + [line, column].compactMap { $0.map { String($0) } })
            .joined(separator: ":")
        return "\(place): warning: \(message)"
    }
}

/// One reading of one file: where its values may come from, and what was noticed on the way.
///
/// It lives as long as the reading, on the reader's thread.
final class SettingsReading {
    /// The file's name, for messages.
    let file: String
    /// In which form passwords stand in it.
    let form: PasswordForm
    /// Gives the value of an environment variable; `nil` where a text means itself: requests and
    /// the store must not see the environment of the worker that reads them.
    private let environment: ((String) -> String?)?
    /// What was noticed.
    private(set) var warnings: [SettingsWarning] = []
    /// Where the value of each key stands, by path: `routes.shop.schema-pattern`.
    private var places: [String: Mark] = [:]

    /// What stands in the file for texts that the environment has a part in.
    private var written: [String: String] = [:]

    /// Paths that a file spells in an old way.
    private var oldPaths: [String: String] = [:]

    /// Begins to read a file.
    init(
        file: String, form: PasswordForm = .plain, environment: ((String) -> String?)? = nil
    ) {
        self.file = file
        self.form = form
        self.environment = environment
    }

    /// Begins to read a person's file.
    convenience init(person passwords: PasswordSource, _ role: PasswordSource.Role, file: String) {
        self.init(
            file: file, form: .local(passwords, role), environment: passwords.environment)
    }

    /// Remembers where a value stands.
    func note(place path: String, _ node: Node) { places[path] = node.mark }

    /// Whether the file has a value at a path.
    func isGiven(_ path: String) -> Bool { places[path] != nil }

    /// Remembers that a file has an old spelling of a path.
    func note(path: String, isWritten written: String) { oldPaths[path] = written }

    /// A text as a message may repeat it: what the environment gave is not repeated.
    func shown(_ text: String) -> String { shortened(written[text] ?? text) }

    /// An error at a node.
    func error(_ message: String, _ node: Node?) -> SettingsError {
        SettingsError(
            oneLine(message), file: file, line: node?.mark?.line, column: node?.mark?.column)
    }

    /// An error at the value of a path, or of the nearest path above that was read.
    func error(at path: String, _ message: String) -> SettingsError {
        let mark = mark(of: path)
        return SettingsError(
            oneLine(message), file: file, line: mark?.line, column: mark?.column)
    }

    /// Warns of a node.
    func warn(_ message: String, _ node: Node?) {
        warnings.append(
            SettingsWarning(
                file: file, line: node?.mark?.line, column: node?.mark?.column,
                message: oneLine(message)))
    }

    /// Warns of a path.
    func warn(at path: String, _ message: String) {
        let mark = mark(of: path)
        warnings.append(
            SettingsWarning(
                file: file, line: mark?.line, column: mark?.column,
                message: oneLine(message)))
    }

    private func mark(of path: String) -> Mark? {
        var head = Substring(path)
        // A path has a few steps; what has more comes from a name that is full of dots.
        for _ in 0..<16 {
            let found = String(head)
            if let mark = places[found] { return mark }
            if let written = oldPaths[found] {
                return places[written + path.dropFirst(found.count)] ?? places[written]
            }
            guard let end = head.lastIndex(where: { $0 == "." || $0 == "[" }) else { return nil }
            head = head[..<end]
        }
        return nil
    }

    /// A text with `${NAME}` replaced by the environment's value; `$${` stands for `${`.
    ///
    /// What the environment gives is never looked at again, so that it can hold any characters.
    func expanded(_ text: String, _ node: Node) throws(SettingsError) -> String {
        guard let environment, text.contains("${") else { return text }
        var out = ""
        var rest = Substring(text)
        while let mark = rest.firstRange(of: "${") {
            if rest[..<mark.lowerBound].hasSuffix("$") {
                out += rest[..<mark.lowerBound] + "{"
                rest = rest[mark.upperBound...]
                continue
            }
            out += rest[..<mark.lowerBound]
            guard let end = rest[mark.upperBound...].firstIndex(of: "}") else {
                throw error(
                    "\"${\" has no \"}\"; write \"$${\" for the characters themselves", node)
            }
            let name = String(rest[mark.upperBound..<end])
            guard isVariableName(name) else {
                throw error(
                    "\"${\(shortened(name))}\" is no name of an environment variable; write "
                        + "\"$${\" for the characters themselves", node)
            }
            guard let value = environment(name) else {
                throw error("the environment variable \(name) is not set", node)
            }
            out += value
            rest = rest[rest.index(after: end)...]
        }
        out += rest
        written[out] = text
        return out
    }
}

private func isVariableName(_ name: String) -> Bool {
    guard let first = name.utf8.first, name.utf8.count <= 255 else { return false }
    func isWord(_ c: UInt8) -> Bool {
        c == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(c | 0x20)
    }
    return isWord(first)
        && name.utf8.allSatisfy {
            isWord($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        }
}

/// A text of a file as a message may repeat it: on one line, and not longer than 64 characters.
func shortened(_ text: String) -> String { oneLine(text, limit: 64) }

/// A message on one line, and of a length that people read, whatever names it repeats.
func oneLine(_ text: String, limit: Int = 600) -> String {
    var out = ""
    for (index, c) in text.unicodeScalars.enumerated() {
        if index == limit { return out + "…" }
        switch c.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .format, .surrogate:
            out += "\\u{\(String(c.value, radix: 16))}"
        default: out.unicodeScalars.append(c)
        }
    }
    return out
}

extension Collection where Element: Hashable {
    /// The first element that was there before.
    var firstRepeated: Element? {
        var seen: Set<Element> = []
        return first { !seen.insert($0).inserted }
    }
}
