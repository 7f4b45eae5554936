/// A JSON object that keeps its keys in the order they were set, on one line.
struct JSONObject: CustomStringConvertible {
    private var members: [(key: String, text: String)] = []

    /// Makes an empty object.
    init() {}

    /// The object's keys, in order.
    var keys: [String] { members.map(\.key) }

    /// Sets a text, or null.
    mutating func set(_ key: String, _ value: String?) {
        members.append((key, value.map { Self.quoted($0) } ?? "null"))
    }

    /// Sets a whole number, or null.
    mutating func set(_ key: String, _ value: (some BinaryInteger)?) {
        members.append((key, value.map { "\($0)" } ?? "null"))
    }

    /// Sets a number with one decimal, or null.
    mutating func set(_ key: String, rate: Double?) {
        members.append((key, rate.map { Wording.fixed($0, 1) } ?? "null"))
    }

    /// Sets a truth value.
    mutating func set(_ key: String, _ value: Bool) {
        members.append((key, value ? "true" : "false"))
    }

    /// Sets a list of texts.
    mutating func set(_ key: String, _ values: [String]) {
        members.append((key, "[" + values.map { Self.quoted($0) }.joined(separator: ",") + "]"))
    }

    /// Sets a list of objects.
    mutating func set(_ key: String, _ values: [JSONObject]) {
        members.append((key, "[" + values.map(\.description).joined(separator: ",") + "]"))
    }

    /// The object on one line.
    var description: String {
        "{" + members.map { "\(Self.quoted($0.key)):\($0.text)" }.joined(separator: ",") + "}"
    }

    /// A JSON string literal.
    static func quoted(_ text: String) -> String {
        var out = "\""
        for c in text.unicodeScalars {
            switch c {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where c.value < 0x20 || c.value == 0x7F:
                let hex = String(c.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(c)
            }
        }
        return out + "\""
    }
}
