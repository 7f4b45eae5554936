internal import Glibc
internal import Yams

/// A settings file's text as a tree, with every limit kept: a file is small, is UTF-8, has one
/// document, and nests only a little. Anchors and aliases are refused, since a few of them can
/// stand for more than any memory holds.
struct SettingsText {
    /// The longest file that is read.
    static let byteLimit = 256 << 10
    /// The file's name, for messages.
    let file: String
    private let text: String

    /// Reads a file.
    init(file: String) throws(SettingsError) {
        let bytes = try readBounded(file, limit: Self.byteLimit, what: "settings file")
        try self.init(bytes: bytes, file: file)
    }

    /// Takes a file's bytes.
    init(bytes: [UInt8], file: String) throws(SettingsError) {
        self.file = file
        var bytes = bytes[...]
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF])
            || bytes.contains(0)
        {
            throw SettingsError("the file is not UTF-8 (UTF-16?); save it as UTF-8", file: file)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw notUTF8(bytes, file)
        }
        self.text = text
    }

    /// The document's root; `nil` for an empty file.
    func root() throws(SettingsError) -> Node? {
        try refuseAnchors()
        do {
            return try compose(yaml: text)
        } catch let error as YamlError {
            throw translate(error)
        } catch {
            throw SettingsError(oneLine("not readable as YAML: \(error)"), file: file)
        }
    }

    /// Refuses a text in which an anchor `&name` could have an alias `*name`: where both are
    /// written, with the same name, anywhere. What is in quotes, in a comment or in the middle of a
    /// word is not told apart: to do that exactly as the parser does would be to parse. An anchor
    /// without an alias stands for no more than itself.
    ///
    /// It is done before parsing, because already the parser's check for duplicate keys walks what
    /// aliases stand for.
    private func refuseAnchors() throws(SettingsError) {
        var aliases: Set<Substring> = []
        var anchors: [(name: Substring, place: String.Index)] = []
        let bytes = text.utf8
        var i = bytes.startIndex
        while let sign = bytes[i...].firstIndex(where: { $0 == Self.anchor || $0 == Self.alias }) {
            let start = bytes.index(after: sign)
            let end = bytes[start...].firstIndex { !Self.isNameByte($0) } ?? bytes.endIndex
            i = end
            guard start < end else { continue }
            let name = text[start..<end]
            if bytes[sign] == Self.alias {
                aliases.insert(name)
            } else {
                anchors.append((name, sign))
            }
        }
        guard let found = anchors.first(where: { aliases.contains($0.name) }) else { return }
        let before = text[..<found.place].unicodeScalars
        let lineStart = before.lastIndex(of: "\n").map { before.index(after: $0) }
        throw SettingsError(
            "anchors (\"&\(shortened(String(found.name)))\") and their aliases are not supported "
                + "here: repeat the value; where none is meant, write a space behind \"&\"",
            file: file, line: before.count { $0 == "\n" } + 1,
            column: before[(lineStart ?? before.startIndex)...].count + 1)
    }

    private static let anchor = UInt8(ascii: "&")
    private static let alias = UInt8(ascii: "*")

    /// Whether a byte can be in an anchor's name, as libyaml has it.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private func translate(_ error: YamlError) -> SettingsError {
        func at(_ mark: Mark, _ message: String) -> SettingsError {
            SettingsError(oneLine(message), file: file, line: mark.line, column: mark.column)
        }
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            if problem.contains("alias") || context?.text.contains("alias") == true {
                return at(
                    mark, "a value that begins with \"*\" must be quoted, as in '*.orders'")
            }
            let where_ = context.map { " (\($0.text), line \($0.mark.line))" } ?? ""
            return at(mark, "not readable as YAML: \(problem)\(where_)")
        case .duplicatedKeysInMapping(let names, let context):
            let list = names.sorted().prefix(3).map { "\"\(shortened($0))\"" }.joined(
                separator: ", ")
            return at(context.mark, "duplicate key \(list) in the block that begins here")
        case .reader(let problem, _, _, _):
            return SettingsError(oneLine("not readable as YAML: \(problem)"), file: file)
        default:
            return SettingsError(oneLine("not readable as YAML: \(error)"), file: file)
        }
    }
}

private func notUTF8(_ bytes: ArraySlice<UInt8>, _ file: String) -> SettingsError {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (i, line) in lines.enumerated() where String(validating: line, as: UTF8.self) == nil {
        return SettingsError(
            "the file is not UTF-8 (Latin-1?); save it as UTF-8", file: file, line: i + 1)
    }
    return SettingsError("the file is not UTF-8; save it as UTF-8", file: file)
}

/// A file's bytes, at most `limit`; anything that is no regular file, pipe or device is refused.
func readBounded(_ path: String, limit: Int, what: String) throws(SettingsError) -> [UInt8] {
    let fd = open(path, O_RDONLY | O_CLOEXEC)
    guard fd >= 0 else {
        throw SettingsError("the \(what) can't be opened: \(errorText(errno))", file: path)
    }
    defer { close(fd) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while true {
        let n = read(fd, &buffer, buffer.count)
        if n < 0, errno == EINTR { continue }
        guard n >= 0 else {
            throw SettingsError("the \(what) can't be read: \(errorText(errno))", file: path)
        }
        if n == 0 { return bytes }
        bytes += buffer[..<n]
        guard bytes.count <= limit else {
            throw SettingsError("the \(what) is longer than \(limit >> 10) KiB", file: path)
        }
    }
}

private func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }
