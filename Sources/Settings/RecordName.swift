/// What sources, tasks and workers may be called: the names are parts of keys, paths and labels.
public enum RecordName {
    /// The longest name, in characters.
    public static let limit = 64
    /// What is allowed, for messages.
    public static let rule =
        "1 to \(limit) letters, digits, dots, hyphens and underscores, and begin with a letter or digit"

    /// Whether a name can be used.
    public static func isValid(_ name: String) -> Bool {
        let bytes = name.utf8
        guard (1...limit).contains(bytes.count), let first = bytes.first, isAlphanumeric(first)
        else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || "._-".utf8.contains($0) }
    }

    private static func isAlphanumeric(_ c: UInt8) -> Bool {
        switch c {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: false
        }
    }
}
