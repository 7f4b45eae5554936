internal import MySQLCore

extension TableShape {
    /// The shape as a CREATE TABLE statement that gives the same shape when it is read again, in the
    /// default `sql_mode`. It is not the table's definition: defaults, expressions, checks, comments
    /// and partitions are not part of a shape, and `NULL` stands for expressions.
    var createStatement: String {
        var items = columns.map(\.definition)
        items += keys.map(\.definition)
        items += foreignKeys.map(\.definition)
        var options = ""
        if let engine { options += " ENGINE=\(engine)" }
        if let charset { options += " DEFAULT CHARSET=\(charset)" }
        if let collation { options += " COLLATE=\(collation)" }
        return "CREATE TABLE \(name.quoted) (\n  \(items.joined(separator: ",\n  "))\n)\(options)"
    }
}

extension ColumnShape {
    fileprivate var definition: String {
        var out = "\(quoteIdentifier(name)) \(type.definition)"
        if let charset { out += " CHARACTER SET \(charset)" }
        if let collation { out += " COLLATE \(collation)" }
        if let generation {
            out += " GENERATED ALWAYS AS (NULL) \(generation == .stored ? "STORED" : "VIRTUAL")"
        }
        out += isNullable ? " NULL" : " NOT NULL"
        if isAutoIncrement { out += " AUTO_INCREMENT" }
        if isInvisible { out += " INVISIBLE" }
        return out
    }
}

extension ColumnType {
    fileprivate var definition: String {
        var out = kind.rawValue
        switch kind {
        case .enum, .set:
            let members = elements.map { element in
                "'"
                    + element.reduce(into: "") { out, character in
                        out += character == "'" ? "''" : character == "\\" ? "\\\\" : "\(character)"
                    } + "'"
            }
            out += "(\(members.joined(separator: ",")))"
        case .decimal: out += "(\(length ?? 10),\(decimals))"
        case .float, .double: if let length { out += "(\(length),\(decimals))" }
        case .time, .datetime, .timestamp: if decimals > 0 { out += "(\(decimals))" }
        default: if let length { out += "(\(length))" }
        }
        return isUnsigned ? out + " unsigned" : out
    }
}

extension KeyShape {
    fileprivate var definition: String {
        let parts = parts.map { part in
            guard let column = part.column else { return "((NULL))" }
            return quoteIdentifier(column) + (part.prefixLength.map { "(\($0))" } ?? "")
        }.joined(separator: ",")
        if isPrimary { return "PRIMARY KEY (\(parts))" }
        return "\(isUnique ? "UNIQUE " : "")KEY \(quoteIdentifier(name)) (\(parts))"
    }
}

extension ForeignKeyShape {
    fileprivate var definition: String {
        func list(_ columns: [String]) -> String {
            columns.map(quoteIdentifier).joined(separator: ",")
        }
        return "CONSTRAINT \(quoteIdentifier(name)) FOREIGN KEY (\(list(columns))) REFERENCES "
            + "\(parent.quoted) (\(list(parentColumns))) ON DELETE \(onDelete.words) "
            + "ON UPDATE \(onUpdate.words)"
    }
}

extension ForeignKeyShape.Action {
    fileprivate var words: String {
        switch self {
        case .restrict: "RESTRICT"
        case .cascade: "CASCADE"
        case .setNull: "SET NULL"
        case .setDefault: "SET DEFAULT"
        case .noAction: "NO ACTION"
        }
    }
}
