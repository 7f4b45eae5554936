internal import MySQLCore

/// The values of a row's key in their common form, so that both sides' keys compare as bytes.
struct RowKey: Sendable, Hashable {
    /// One entry per key column.
    let parts: [[UInt8]]

    /// About how much memory it takes.
    var byteCount: Int { parts.reduce(64) { $0 + $1.count + 32 } }
}

/// A server answered NULL where a row's hash should be: what is hashed exceeded its
/// `max_allowed_packet`, or a column is NULL that must not be.
struct UnhashedRow: Error, CustomStringConvertible {
    var description: String {
        "the server gave no hash of a row: is its max_allowed_packet smaller than the row?"
    }
}

/// What the bytes of a row were reduced to: 128 bits of a hash.
struct RowDigest: Sendable, Hashable {
    let high: UInt64
    let low: UInt64

    /// Takes the first sixteen of at least sixteen bytes.
    ///
    /// - Throws: ``UnhashedRow`` when the server gave none.
    init(_ bytes: [UInt8]) throws(UnhashedRow) {
        guard bytes.count >= 16 else { throw UnhashedRow() }
        high = bytes[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The sixteen bytes.
    var bytes: [UInt8] {
        [high, low].flatMap { half in
            (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * UInt64($0))) }
        }
    }
}

/// Two rows of one side have the same key in its common form: texts were converted to a character
/// set in which they are the same, or are no characters at all. No literal tells them apart.
struct AmbiguousKey: Error, CustomStringConvertible {
    var description: String {
        "two rows have the same key once it is converted to the other side's character set"
    }
}

/// A range of keys in the server's own order: above `lower`, up to and including `upper`.
struct KeyRange: Sendable, Hashable {
    var lower: RowKey?
    var upper: RowKey?
}

/// The columns of the key that identifies rows on one side, and how to write conditions on them.
struct KeyColumns: Sendable {
    /// Quoted names, in the key's order.
    let names: [String]
    /// How each value is written.
    let literals: [KeyLiteral]
    /// The key's quoted name, for an index hint.
    let index: String

    /// `a`, `b`.
    var list: String { names.joined(separator: ",") }

    /// The condition for a range, or `nil` for everything.
    func condition(_ range: KeyRange) -> String? {
        var terms: [String] = []
        if let lower = range.lower { terms.append(compare(lower, ">", ">")) }
        if let upper = range.upper { terms.append(compare(upper, "<", "<=")) }
        return terms.isEmpty ? nil : terms.joined(separator: " AND ")
    }

    /// Row-wise comparison, expanded: servers don't use an index for `(a,b) > (1,2)`. The first
    /// term bounds the index scan.
    private func compare(_ key: RowKey, _ strict: String, _ last: String) -> String {
        func expand(_ i: Int) -> String {
            let literal = literals[i].sql(key.parts[i])
            if i == names.count - 1 { return "\(names[i])\(last)\(literal)" }
            return "(\(names[i])\(strict)\(literal) OR (\(names[i])=\(literal)"
                + " AND \(expand(i + 1))))"
        }
        guard names.count > 1 else { return expand(0) }
        return "\(names[0])\(strict)=\(literals[0].sql(key.parts[0])) AND \(expand(0))"
    }

    /// The condition for one row.
    func equals(_ key: RowKey) -> String {
        names.indices.map { "\(names[$0])=\(literals[$0].sql(key.parts[$0]))" }
            .joined(separator: " AND ")
    }

    /// The condition for any of some rows.
    func isOne(of keys: ArraySlice<RowKey>) -> String {
        if names.count == 1 {
            let list = keys.map { literals[0].sql($0.parts[0]) }.joined(separator: ",")
            return "\(names[0]) IN (\(list))"
        }
        return keys.map { "(\(equals($0)))" }.joined(separator: " OR ")
    }
}
