internal import Yams

/// One mapping of a settings file: typed access by key, every key known, errors with positions.
struct SettingsMapping {
    /// The file that is read.
    let reading: SettingsReading
    /// The keys that lead here, `source.`, for messages.
    let path: String
    private let node: Node
    private var values: [String: (key: Node, value: Node)] = [:]

    /// Takes a mapping whose keys are all in `known`; `nil` accepts any key.
    init(
        _ node: Node, _ reading: SettingsReading, path: String = "", known: [String]?
    ) throws(SettingsError) {
        self.reading = reading
        self.path = path
        self.node = node
        guard case .mapping(let mapping) = node else {
            let what = path.isEmpty ? "the file" : "\"\(path.dropLast())\""
            throw reading.error("\(what) holds no \"key: value\" pairs", node)
        }
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                throw reading.error("a key must be a plain word", key)
            }
            guard known?.contains(name) ?? true else {
                throw reading.error(
                    "unknown key \"\(path)\(shortened(name))\""
                        + suggestion(for: name, among: known ?? []), key)
            }
            values[name] = (key, value)
            reading.note(place: path + name, value)
        }
    }

    /// The keys, as they stand in the file.
    var names: [String] {
        node.mapping?.keys.compactMap { $0.scalar?.string } ?? []
    }

    /// An error at a key's value.
    func error(_ name: String, _ message: String) -> SettingsError {
        reading.error("\"\(path)\(shortened(name))\" \(message)", values[name]?.value)
    }

    /// An error at the block itself: what it lacks, say.
    func error(_ message: String) -> SettingsError {
        reading.error(
            path.isEmpty ? message : "\"\(path.dropLast())\" \(message)", node)
    }

    /// Warns of a key.
    func warn(_ name: String, _ message: String) {
        reading.warn("\"\(path)\(shortened(name))\" \(message)", values[name]?.key)
    }

    /// Whether the key is there without a value.
    func isNull(_ name: String) -> Bool { values[name].map { Self.isNull($0.value) } ?? false }

    private static func isNull(_ node: Node) -> Bool {
        guard let scalar = node.scalar, scalar.style == .plain else { return false }
        return ["", "~", "null"].contains(scalar.string.lowercased())
    }

    /// Whether the key is there.
    func has(_ name: String) -> Bool { values[name] != nil }

    /// The node of a key.
    func node(_ name: String) -> Node? { values[name]?.value }

    /// A text; an empty one is an error.
    func text(_ name: String) throws(SettingsError) -> String? {
        guard let value = values[name]?.value else { return nil }
        guard let scalar = value.scalar else { throw error(name, "must be one value") }
        if isNull(name) { throw error(name, "has no value") }
        let text = try reading.expanded(scalar.string, value)
        guard !text.isEmpty else { throw error(name, "is empty") }
        return text
    }

    /// A text that may be empty.
    func anyText(_ name: String) throws(SettingsError) -> String? {
        guard let value = values[name]?.value else { return nil }
        guard let scalar = value.scalar else { throw error(name, "must be one value") }
        return try reading.expanded(scalar.string, value)
    }

    /// What stands at a key, as a message may repeat it: what the environment gave is not repeated.
    func shown(_ name: String) -> String {
        "\"\(shortened(values[name]?.value.scalar?.string ?? ""))\""
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
                    + "not \(shown(name))")
        }
        return number
    }

    /// `true` or `false`.
    func flag(_ name: String) throws(SettingsError) -> Bool? {
        guard let text = try text(name) else { return nil }
        switch text.lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw error(name, "must be true or false, not \(shown(name))")
        }
    }

    /// A number of bytes.
    func size(_ name: String) throws(SettingsError) -> Int? {
        guard let text = try text(name) else { return nil }
        guard let size = ByteSize(text) else {
            throw error(name, "must be a size such as 128MiB, not \(shown(name))")
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
            throw error(name, "must be \(wanted), not \(shown(name))")
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
            guard let scalar = node.scalar else {
                throw reading.error("each of \"\(path)\(name)\" must be \(wanted)", node)
            }
            if Self.isNull(node) {
                throw reading.error(
                    "each of \"\(path)\(name)\" must be \(wanted), and one has no value; quote "
                        + "it if it is meant as a text", node)
            }
            let text = try reading.expanded(scalar.string, node)
            guard !text.isEmpty, let item = parse(text) else {
                throw reading.error(
                    "each of \"\(path)\(name)\" must be \(wanted), not "
                        + "\"\(shortened(scalar.string))\"", node)
            }
            reading.note(place: "\(path)\(name)[\(out.count)]", node)
            out.append(item)
        }
        return out
    }

    /// The blocks of a list.
    func nodes(_ name: String) throws(SettingsError) -> [Node]? {
        guard let value = values[name]?.value else { return nil }
        guard case .sequence(let sequence) = value else { throw error(name, "must be a list") }
        return Array(sequence)
    }
}
