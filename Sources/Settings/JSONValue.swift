internal import Foundation
internal import Yams

/// A JSON value, for settings that programs write: they come as objects, not as YAML text.
public enum JSONValue: Sendable, Hashable, Codable, ExpressibleByStringLiteral {
    case null
    case flag(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    /// Reads a value of any kind.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let integer = try? container.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let list = try? container.decode([JSONValue].self) {
            self = .list(list)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    /// Writes the value.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .flag(let flag): try container.encode(flag)
        case .integer(let integer): try container.encode(integer)
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        case .list(let list): try container.encode(list)
        case .object(let object): try container.encode(object)
        }
    }

    /// A text.
    public init(stringLiteral text: String) { self = .text(text) }

    /// Parses a document; `nil` when it is not one.
    public init?(bytes: [UInt8]) {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes)) else {
            return nil
        }
        self = value
    }

    /// The document on one line, keys in the order of the alphabet.
    public var document: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Only numbers that JSON has no word for can fail, and no parser makes them.
        guard let data = try? encoder.encode(self) else { return "null" }
        return String(decoding: data, as: UTF8.self)
    }

    /// The document in YAML, line by line.
    public var yamlLines: [String] {
        let text = try? Yams.serialize(node: yamlNode, allowUnicode: true)
        return (text ?? document).split(separator: "\n").map { String($0) }
    }

    /// As people write it: quotes only where they are needed.
    private var yamlNode: Node {
        switch self {
        case .text(let text):
            // A reader of the file would take `${` for a variable of the environment.
            .scalar(
                Node.Scalar(
                    text.replacing("${", with: "$${"), .implicit,
                    Self.isPlain(text) ? .plain : .doubleQuoted))
        case .list(let list): .sequence(Node.Sequence(list.map(\.yamlNode)))
        case .object(let object):
            .mapping(
                Node.Mapping(
                    object.sorted { $0.key < $1.key }.map { (Node($0.key), $0.value.yamlNode) }))
        default: node
        }
    }

    /// Whether a text needs no quotes; one that could be read as something else does.
    private static func isPlain(_ text: String) -> Bool {
        let words: Set = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        guard text.first?.isLetter == true, !words.contains(text.lowercased()) else { return false }
        return text.utf8.allSatisfy { c in
            switch c {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"):
                true
            default: "._-/".utf8.contains(c)
            }
        }
    }

    /// The value at a key of an object.
    public subscript(_ key: String) -> JSONValue? {
        guard case .object(let object) = self else { return nil }
        return object[key]
    }

    /// As settings are read. A key whose value is null counts as left out.
    var node: Node {
        switch self {
        case .null: Node("null")
        case .flag(let flag): Node(flag ? "true" : "false")
        case .integer(let integer): Node(String(integer))
        case .number(let number): Node(String(number))
        case .text(let text): .scalar(Node.Scalar(text, .implicit, .doubleQuoted))
        case .list(let list): .sequence(Node.Sequence(list.map(\.node)))
        case .object(let object):
            .mapping(
                Node.Mapping(
                    object.sorted { $0.key < $1.key }.filter { $0.value != .null }
                        .map { (Node($0.key), $0.value.node) }))
        }
    }
}
