/// A table's schema (database) and name, exactly as the server spells them.
public struct TableName: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
    /// The schema, which MySQL also calls database.
    public var schema: String
    /// The table's name inside its schema.
    public var name: String

    /// Makes a name; nothing is normalised.
    public init(schema: String, name: String) {
        self.schema = schema
        self.name = name
    }

    /// Both parts quoted for SQL: `` `shop`.`orders` ``.
    public var quoted: String { "\(quoteIdentifier(schema)).\(quoteIdentifier(name))" }

    /// For people: `shop.orders`, unquoted.
    public var description: String { "\(schema).\(name)" }

    /// Orders by schema, then by name, by the bytes of their UTF-8.
    public static func < (a: TableName, b: TableName) -> Bool {
        if !Self.isSame(a.schema, b.schema) {
            return a.schema.utf8.lexicographicallyPrecedes(b.schema.utf8)
        }
        return a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }

    /// Whether both have the same bytes: servers tell an `é` of one scalar from one of two, which
    /// Swift's strings do not.
    public static func == (a: TableName, b: TableName) -> Bool {
        isSame(a.name, b.name) && isSame(a.schema, b.schema)
    }

    private static func isSame(_ a: String, _ b: String) -> Bool {
        // Strings that differ as text differ in their bytes, and are told apart quickly.
        a == b && a.utf8.elementsEqual(b.utf8)
    }
}

/// An identifier in backticks, with backticks inside doubled. Valid in every `sql_mode`.
public func quoteIdentifier(_ name: String) -> String {
    guard name.utf8.contains(UInt8(ascii: "`")) else { return "`\(name)`" }
    var out = "`"
    for c in name.unicodeScalars {
        if c == "`" { out += "``" } else { out.unicodeScalars.append(c) }
    }
    return out + "`"
}

/// A text as SQL hexadecimal literal with a `_utf8mb4` introducer: no `sql_mode` changes its
/// meaning, and nothing in it can end the literal.
public func utf8Literal(_ text: String) -> String { "_utf8mb4 \(hexLiteral(Array(text.utf8)))" }

/// A text as the SQL literal that a column is compared with to find where it was written.
///
/// BINARY keeps it with zero bytes behind it, which the server adds to no literal that it compares.
///
/// - Parameter column: the column; `nil` where it is not known.
public func searchLiteral(_ text: String, in column: ColumnShape?) -> String {
    guard let column, column.type.kind == .binary else { return utf8Literal(text) }
    var bytes = Array(text.utf8)
    let missing = (column.type.length ?? 1) - bytes.count
    if missing > 0 { bytes += [UInt8](repeating: 0, count: missing) }
    return hexLiteral(bytes)
}

/// Bytes as SQL hexadecimal literal `x'..'`.
public func hexLiteral(_ bytes: some Sequence<UInt8>) -> String {
    var out: [UInt8] = [UInt8(ascii: "x"), UInt8(ascii: "'")]
    for b in bytes {
        out.append(hexDigits[Int(b >> 4)])
        out.append(hexDigits[Int(b & 15)])
    }
    out.append(UInt8(ascii: "'"))
    return String(decoding: out, as: UTF8.self)
}

let hexDigits: [UInt8] = Array("0123456789ABCDEF".utf8)
