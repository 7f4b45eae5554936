/// How a collation compares texts, as far as filters know collations.
///
/// Exact for binary collations, for ASCII under all known ones, and for the letters of Western and
/// Central European languages under `general_ci` and `latin1_swedish_ci`. Other letters count as
/// equal when they differ in case alone; letters that a Unicode collation takes for two (`ß`, `æ`)
/// count as themselves.
struct TextOrder: Sendable, Hashable {
    enum Folding: UInt8, Sendable {
        /// Bytes are compared; characters are bytes.
        case bytes
        /// Code points are compared: the `_bin` collations.
        case codePoints
        /// `general_ci`: capital letters without accents.
        case general
        /// `latin1_swedish_ci`.
        case swedish
        /// Unicode's order, by letters alone (`ai_ci`).
        case unicode
        /// The same with accents (`as_ci`).
        case unicodeAccents
        /// The same with accents and case (`as_cs`).
        case unicodeExact
    }

    var folding: Folding
    /// Whether spaces at the end don't count.
    var ignoresTrailingSpaces: Bool

    static let binary = TextOrder(folding: .bytes, ignoresTrailingSpaces: false)

    init(folding: Folding, ignoresTrailingSpaces: Bool) {
        self.folding = folding
        self.ignoresTrailingSpaces = ignoresTrailingSpaces
    }

    /// The order of a collation; `nil` for those that are not known here.
    init?(collation: String) {
        var name = collation
        ignoresTrailingSpaces = !name.contains("_0900_") && !name.contains("_nopad_")
        if name == "binary" {
            self = .binary
            return
        }
        name = name.replacing("_nopad_", with: "_")
        guard let mark = name.firstIndex(of: "_") else { return nil }
        let charset = name[..<mark]
        let rest = name[name.index(after: mark)...]
        switch rest {
        case "bin", "0900_bin": folding = .codePoints
        case "general_ci": folding = charset == "latin1" ? .bytes : .general
        case "general_mysql500_ci": folding = .general
        case "swedish_ci" where charset == "latin1": folding = .swedish
        case "unicode_ci", "unicode_520_ci", "0900_ai_ci", "uca1400_ai_ci": folding = .unicode
        case "0900_as_ci", "uca1400_as_ci": folding = .unicodeAccents
        case "0900_as_cs", "uca1400_as_cs": folding = .unicodeExact
        default: return nil
        }
        // latin1_general_ci has an order of its own.
        if charset == "latin1", rest == "general_ci" { return nil }
    }

    /// Whether equal texts have equal bytes, but for spaces at the end.
    var isExact: Bool { folding == .bytes || folding == .codePoints }

    /// What is compared first of a character; 0 for one that does not count at all.
    @inline(__always)
    func weight(_ c: UInt32) -> UInt32 {
        switch folding {
        case .bytes, .codePoints: return c + 1
        case .general:
            if c < 128 { return (c &- 97 < 26 ? c - 32 : c) + 1 }
            return Self.generalWeight(c) + 1
        case .swedish:
            if c < 128 { return (c &- 97 < 26 ? c - 32 : c) + 1 }
            return Self.swedishWeight(c) + 1
        case .unicode, .unicodeAccents, .unicodeExact:
            return c < 128 ? UInt32(Self.asciiWeights[Int(c)]) : Self.unicodeWeight(c)
        }
    }

    @inline(never)
    private static func generalWeight(_ c: UInt32) -> UInt32 {
        if 0xC0...0x17F ~= c { return letters[Int(c) - 0xC0] }
        if c == 0xB5 { return 0x39C }
        return upper(c)
    }

    @inline(never)
    private static func unicodeWeight(_ c: UInt32) -> UInt32 {
        if 0xC0...0x17F ~= c, c != 0xDF {
            let base = letters[Int(c) - 0xC0]
            if base < 128 { return UInt32(asciiWeights[Int(base)]) }
        }
        return 0x1000 + foldCase(c)
    }

    @inline(never)
    private static func swedishWeight(_ c: UInt32) -> UInt32 {
        0xC0...0xFF ~= c ? UInt32(swedish[Int(c) - 0xC0]) : c
    }

    private static func upper(_ c: UInt32) -> UInt32 {
        guard let scalar = Unicode.Scalar(c) else { return c }
        let mapped = scalar.properties.uppercaseMapping.unicodeScalars
        return mapped.count == 1 ? mapped.first?.value ?? c : c
    }

    /// U+00C0 to U+017F as capital letters without accents; letters that are no others with an
    /// accent are their own capitals.
    private static let letters: [UInt32] = Array(
        ("AAAAAAÆCEEEEIIIIÐNOOOOO×ØUUUUYÞSAAAAAAÆCEEEEIIIIÐNOOOOO÷ØUUUUYÞY"
            + "AAAAAACCCCCCCCDDĐĐEEEEEEEEEEGGGGGGGGHHĦĦIIIIIIIIIIĲĲJJKKĸ"
            + "LLLLLLĿĿŁŁNNNNNNŉŊŊOOOOOOŒŒRRRRRRSSSSSSSSTTTTŦŦUUUUUUUUUUUU"
            + "WWYYYZZZZZZS").unicodeScalars.map(\.value))

    /// latin1_swedish_ci's places of U+00C0 to U+00FF.
    private static let swedish: [UInt8] = [
        0x41, 0x41, 0x41, 0x41, 0x5C, 0x5B, 0x5C, 0x43, 0x45, 0x45, 0x45, 0x45, 0x49, 0x49, 0x49,
        0x49, 0x44, 0x4E, 0x4F, 0x4F, 0x4F, 0x4F, 0x5D, 0xD7, 0xD8, 0x55, 0x55, 0x55, 0x59, 0x59,
        0xDE, 0xDF, 0x41, 0x41, 0x41, 0x41, 0x5C, 0x5B, 0x5C, 0x43, 0x45, 0x45, 0x45, 0x45, 0x49,
        0x49, 0x49, 0x49, 0x44, 0x4E, 0x4F, 0x4F, 0x4F, 0x4F, 0x5D, 0xF7, 0xD8, 0x55, 0x55, 0x55,
        0x59, 0x59, 0xDE, 0xFF,
    ]

    /// Unicode's order of ASCII, letters without case; control characters don't count.
    private static let asciiWeights: [UInt8] = {
        var out = [UInt8](repeating: 0, count: 128)
        let order = "\t\n\u{B}\u{C}\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
        var next: UInt8 = 1
        for c in order.utf8 {
            out[Int(c)] = next
            next += 1
        }
        for i in 0..<26 {
            out[97 + i] = next
            out[65 + i] = next
            next += 1
        }
        return out
    }()
}
