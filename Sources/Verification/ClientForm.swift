internal import MySQLCore

/// How this process brings a value's text into one form, where the servers' texts may differ for
/// equal values.
enum ClientForm: Sendable, Equatable {
    /// A DOUBLE's text: by its bits. `keepsSign`: -0 is not 0; only MySQL prints the sign, so it
    /// can be asked for only between servers of one family.
    case real(keepsSign: Bool)
    /// JSON: by value, see ``canonicalJSON(_:rounds:)``.
    case json(rounds: Bool)

    /// The form of a value read on `side`.
    func bytes(_ text: [UInt8], _ side: Side) -> [UInt8] {
        switch self {
        case .real(let keepsSign): return canonicalReal(text, keepsSign: keepsSign)
        case .json(let rounds):
            return canonicalJSON(text, rounds: rounds && side == .source) ?? [0xFF] + text
        }
    }
}

/// A DOUBLE's bits from its text; the text itself where it is none.
func canonicalReal(_ text: [UInt8], keepsSign: Bool) -> [UInt8] {
    guard let number = realNumber(text) else { return text }
    let bits = number == 0 && !keepsSign ? 0 : number.bitPattern
    return (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) }
}

/// The number of a text that ``ColumnExpression`` made: letters behind it stand for powers of 2
/// that it was multiplied by.
func realNumber(_ text: [UInt8]) -> Double? {
    let (power, length): (Double, Int) =
        switch text.last {
        case UInt8(ascii: "a"): (0x1p-100, 1)
        case UInt8(ascii: "b"): (0x1p-500, 1)
        case UInt8(ascii: "c"): (0x1p-1074, 1)
        default: (1, 0)
        }
    let digits = String(decoding: text.dropLast(length), as: UTF8.self)
    // 2^-1074 is the smallest number there is, and the product with it is exact.
    return Double(digits).map { $0 * power }
}

/// The shortest text that gives the number back. `keepsSign`: -0 is not 0, as nowhere in keys.
func realText(_ text: [UInt8], keepsSign: Bool = false) -> [UInt8] {
    realNumber(text).map { Array("\($0 == 0 && !keepsSign ? 0 : $0)".utf8) } ?? text
}

/// Joins a server's hash of a row with the values that were brought into form here.
///
/// - Throws: ``UnhashedRow`` when there is no hash.
func digest(
    _ hash: [UInt8], _ values: [[UInt8]?], _ forms: [ClientForm], _ side: Side
) throws(UnhashedRow) -> RowDigest {
    guard !forms.isEmpty else { return try RowDigest(hash) }
    guard hash.count >= 16 else { throw UnhashedRow() }
    var all = hash
    for (value, form) in zip(values, forms) {
        guard let value else {
            all.append(UInt8(ascii: "N"))
            continue
        }
        // Hashed one by one, so that no length is needed between them.
        all.append(UInt8(ascii: "V"))
        all += Digest.digest(form.bytes(value, side).span.bytes)
    }
    return try RowDigest(Digest.digest(all.span.bytes))
}
