/// A set of Unicode scalars: ranges and general categories.
struct ScalarSet: Sendable, Hashable {
    /// Ranges of values.
    var ranges: [ClosedRange<UInt32>] = []
    /// Sets that belong to it, perhaps negated themselves.
    var parts: [ScalarSet] = []
    /// First letters, or both, of general categories.
    var categories: [String] = []
    /// Everything else instead.
    var isNegated = false

    /// Whether a scalar belongs to the set.
    func contains(_ c: UInt32) -> Bool {
        for range in ranges where range.contains(c) { return !isNegated }
        for part in parts where part.contains(c) { return !isNegated }
        if !categories.isEmpty, let scalar = Unicode.Scalar(c) {
            let found = scalar.properties.generalCategory.code
            for category in categories where found.hasPrefix(category) { return !isNegated }
        }
        return isNegated
    }

    /// The same without regard to case.
    func containsFolded(_ c: UInt32) -> Bool {
        var plain = self
        plain.isNegated = false
        let found =
            plain.contains(c)
            || caseVariants(c).contains { plain.contains($0) }
        return found != isNegated
    }

    /// `\d`, `\s`, `\w`, of ASCII as RE2 has them.
    static let digits = ScalarSet(ranges: [48...57])
    static let spaces = ScalarSet(ranges: [9...10, 12...13, 32...32])
    static let words = ScalarSet(ranges: [48...57, 65...90, 95...95, 97...122])

    /// The classes `[:name:]`.
    static func posix(_ name: String) -> ScalarSet? {
        switch name {
        case "alnum": ScalarSet(ranges: [48...57, 65...90, 97...122])
        case "alpha": ScalarSet(ranges: [65...90, 97...122])
        case "ascii": ScalarSet(ranges: [0...127])
        case "blank": ScalarSet(ranges: [9...9, 32...32])
        case "cntrl": ScalarSet(ranges: [0...31, 127...127])
        case "digit": digits
        case "graph": ScalarSet(ranges: [33...126])
        case "lower": ScalarSet(ranges: [97...122])
        case "print": ScalarSet(ranges: [32...126])
        case "punct": ScalarSet(ranges: [33...47, 58...64, 91...96, 123...126])
        case "space": ScalarSet(ranges: [9...13, 32...32])
        case "upper": ScalarSet(ranges: [65...90])
        case "word": words
        case "xdigit": ScalarSet(ranges: [48...57, 65...70, 97...102])
        default: nil
        }
    }

    /// The categories `\p{name}`; `nil` for scripts and unknown names.
    static func category(_ name: String) -> ScalarSet? {
        if name == "Any" { return ScalarSet(ranges: [0...0x10FFFF]) }
        let known = [
            "C", "Cc", "Cf", "Co", "Cs", "Cn", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me",
            "Mn", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc",
            "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
        ]
        return known.contains(name) ? ScalarSet(categories: [name]) : nil
    }
}

/// A scalar as all of its cases have it in common: the small letter of its capital one.
func foldCase(_ c: UInt32) -> UInt32 {
    if c < 128 { return c &- 65 < 26 ? c | 32 : c }
    guard let scalar = Unicode.Scalar(c) else { return c }
    let upper = single(scalar.properties.uppercaseMapping) ?? c
    guard let capital = Unicode.Scalar(upper) else { return c }
    return single(capital.properties.lowercaseMapping) ?? upper
}

/// The other cases of a scalar, itself left out.
private func caseVariants(_ c: UInt32) -> [UInt32] {
    guard let scalar = Unicode.Scalar(c) else { return [] }
    var out = [foldCase(c)]
    if let lower = single(scalar.properties.lowercaseMapping) { out.append(lower) }
    if let upper = single(scalar.properties.uppercaseMapping) { out.append(upper) }
    // The two letters outside of ASCII whose other cases are inside.
    if out[0] == 0x73 { out.append(0x17F) }
    if out[0] == 0x6B { out.append(0x212A) }
    return out
}

private func single(_ text: String) -> UInt32? {
    let scalars = text.unicodeScalars
    guard let first = scalars.first, scalars.count == 1 else { return nil }
    return first.value
}

extension Unicode.GeneralCategory {
    /// The two letters of Unicode's tables.
    fileprivate var code: String {
        switch self {
        case .uppercaseLetter: "Lu"
        case .lowercaseLetter: "Ll"
        case .titlecaseLetter: "Lt"
        case .modifierLetter: "Lm"
        case .otherLetter: "Lo"
        case .nonspacingMark: "Mn"
        case .spacingMark: "Mc"
        case .enclosingMark: "Me"
        case .decimalNumber: "Nd"
        case .letterNumber: "Nl"
        case .otherNumber: "No"
        case .connectorPunctuation: "Pc"
        case .dashPunctuation: "Pd"
        case .openPunctuation: "Ps"
        case .closePunctuation: "Pe"
        case .initialPunctuation: "Pi"
        case .finalPunctuation: "Pf"
        case .otherPunctuation: "Po"
        case .mathSymbol: "Sm"
        case .currencySymbol: "Sc"
        case .modifierSymbol: "Sk"
        case .otherSymbol: "So"
        case .spaceSeparator: "Zs"
        case .lineSeparator: "Zl"
        case .paragraphSeparator: "Zp"
        case .control: "Cc"
        case .format: "Cf"
        case .surrogate: "Cs"
        case .privateUse: "Co"
        case .unassigned: "Cn"
        @unknown default: "Cn"
        }
    }
}
