internal import Yams

/// One mapping of a settings file: typed access by key, every key known, errors with positions.
struct SettingsMapping {
    private let file: String
    private let path: String
    private var values: [String: (key: Node, value: Node)] = [:]

    /// Takes a mapping whose keys are all in `known`.
    ///
    /// - Parameter path: the keys that lead here, `source.`, for messages.
    init(
        _ node: Node, file: String, path: String = "", known: [String]
    ) throws(SettingsError) {
        self.file = file
        self.path = path
        guard case .mapping(let mapping) = node else {
            let what = path.isEmpty ? "the file" : "\"\(path.dropLast())\""
            throw settingsError("\(what) holds no \"key: value\" pairs", file, node)
        }
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                throw settingsError("a key must be a plain word", file, key)
            }
            guard known.contains(name) else {
                throw settingsError(
                    "unknown key \"\(path)\(name)\"\(suggestion(for: name, among: known))", file,
                    key)
            }
            values[name] = (key, value)
        }
    }

    /// An error at a key's value.
    func error(_ name: String, _ message: String) -> SettingsError {
        settingsError("\"\(path)\(name)\" \(message)", file, values[name]?.value)
    }

    /// Whether the key is there.
    func has(_ name: String) -> Bool { values[name] != nil }

    /// The node of a key.
    func node(_ name: String) -> Node? { values[name]?.value }

    /// A text; an empty one is an error.
    func text(_ name: String) throws(SettingsError) -> String? {
        guard let value = values[name]?.value else { return nil }
        guard let scalar = value.scalar else { throw error(name, "must be one value") }
        if scalar.style == .plain, ["", "~", "null"].contains(scalar.string.lowercased()) {
            throw error(name, "has no value")
        }
        guard !scalar.string.isEmpty else { throw error(name, "is empty") }
        return scalar.string
    }

    /// A whole number inside a range.
    func number<N: FixedWidthInteger>(
        _ name: String, _ range: ClosedRange<N>
    ) throws(SettingsError) -> N? {
        guard let text = try text(name) else { return nil }
        guard let number = N(text.filter { $0 != "_" }), range.contains(number) else {
            throw error(
                name,
                "must be a whole number from \(range.lowerBound) to \(range.upperBound), "
                    + "not \"\(text)\"")
        }
        return number
    }

    /// `true` or `false`.
    func flag(_ name: String) throws(SettingsError) -> Bool? {
        guard let text = try text(name) else { return nil }
        switch text.lowercased() {
        case "true": return true
        case "false": return false
        default: throw error(name, "must be true or false, not \"\(text)\"")
        }
    }

    /// A number of bytes.
    func size(_ name: String) throws(SettingsError) -> Int? {
        guard let text = try text(name) else { return nil }
        guard let size = ByteSize(text) else {
            throw error(name, "must be a size such as 128MiB, not \"\(text)\"")
        }
        return size.bytes
    }

    /// A number of bytes inside a range.
    func size(_ name: String, _ range: ClosedRange<Int>) throws(SettingsError) -> Int? {
        guard let bytes = try size(name) else { return nil }
        guard range.contains(bytes) else {
            throw error(
                name,
                "must be from \(ByteSize(bytes: range.lowerBound)) to "
                    + "\(ByteSize(bytes: range.upperBound)), not \(ByteSize(bytes: bytes))")
        }
        return bytes
    }

    /// A value that `parse` understands.
    func parsed<T>(
        _ name: String, _ wanted: String, _ parse: (String) -> T?
    ) throws(SettingsError) -> T? {
        guard let text = try text(name) else { return nil }
        guard let value = parse(text) else {
            throw error(name, "must be \(wanted), not \"\(text)\"")
        }
        return value
    }

    /// A list of values, or one value alone, each understood by `parse`.
    func list<T>(
        _ name: String, _ wanted: String, _ parse: (String) -> T?
    ) throws(SettingsError) -> [T]? {
        guard let value = values[name]?.value else { return nil }
        let nodes: [Node]
        switch value {
        case .scalar: nodes = [value]
        case .sequence(let sequence): nodes = Array(sequence)
        default: throw error(name, "must be a list")
        }
        var out: [T] = []
        for node in nodes {
            guard let text = node.scalar?.string, !text.isEmpty, let item = parse(text) else {
                throw settingsError(
                    "each of \"\(path)\(name)\" must be \(wanted)"
                        + (node.scalar.map { ", not \"\($0.string)\"" } ?? ""), file, node)
            }
            out.append(item)
        }
        return out
    }
}

/// An error at a node.
func settingsError(_ message: String, _ file: String, _ node: Node?) -> SettingsError {
    SettingsError(message, file: file, line: node?.mark?.line, column: node?.mark?.column)
}
