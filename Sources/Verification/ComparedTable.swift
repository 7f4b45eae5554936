public import MySQLCore

/// A column of the target that the source does not have, and that has one value in all rows of a
/// table of the source.
public struct FilledColumn: Sendable, Hashable {
    /// The column.
    public var name: String
    /// Its value.
    public var value: String

    /// Makes a column.
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// A table that is compared.
public struct ComparedTable: Sendable, Hashable {
    /// As the source calls it.
    public var source: TableName
    /// As the target calls it.
    public var target: TableName
    /// What tells its rows on the target from those of other tables there.
    public var filled: [FilledColumn]

    /// Names a table.
    public init(source: TableName, target: TableName, filled: [FilledColumn] = []) {
        self.source = source
        self.target = target
        self.filled = filled
    }
}

/// Rows that a table of the target is to have, by what is filled in.
public struct TablePart: Sendable, Hashable {
    /// The source's table that they come from; `nil` for rows of another source.
    public var table: TableName?
    /// The values of its filled columns, as far as they are known.
    public var filled: [FilledColumn]
    /// Whether it has rows only where the other source has a table with the name of the target's.
    public var needsSameName: Bool

    /// Makes a part.
    public init(table: TableName?, filled: [FilledColumn], needsSameName: Bool = false) {
        self.table = table
        self.filled = filled
        self.needsSameName = needsSameName
    }
}

extension [FilledColumn] {
    /// The condition that finds the rows on the target, written as they are written there; `nil`
    /// when nothing is filled in.
    ///
    /// The column decides what is equal: its index finds the rows.
    ///
    /// - Parameter target: the table's shape there.
    func condition(in target: TableShape) -> String? {
        guard !isEmpty else { return nil }
        let parts = map { filled in
            let column = target.columnIndex(filled.name).map { target.columns[$0] }
            return "\(quoteIdentifier(filled.name))=\(searchLiteral(filled.value, in: column))"
        }
        return parts.joined(separator: " AND ")
    }

    /// Whether a column is one of these.
    func holds(_ column: String) -> Bool {
        contains { $0.name.lowercased() == column.lowercased() }
    }
}
