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

    /// Orders by schema, then by name, by Unicode scalars.
    public static func < (a: TableName, b: TableName) -> Bool {
        (a.schema, a.name) < (b.schema, b.name)
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
