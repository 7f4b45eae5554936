import MySQLCore

/// The keys of a table while a statement changes them.
struct KeyBuilder {
    let table: TableName
    var columns: [ColumnShape]
    /// Periods that keys WITHOUT OVERLAPS may name.
    var periods: [PeriodDefinition] = []
    /// The end of the system time, which MariaDB adds to unique keys when it is a declared column.
    var rowEnd: String?
    /// Keys so far, in the order in which the server sees them.
    var keys: [Entry] = []

    /// A key with what its shape does not say.
    struct Entry {
        var key: KeyShape
        var isGenerated: Bool
        var kind: KeyKind
    }

    init(table: TableName, columns: [ColumnShape]) {
        self.table = table
        self.columns = columns
    }

    func index(of name: String) -> Int? {
        keys.firstIndex { $0.key.name.lowercased() == name.lowercased() }
    }

    /// Adds a declared key. A key that was generated for a foreign key gives way to one that
    /// begins with the same columns.
    mutating func add(_ definition: KeyDefinition) throws(ShapeError) {
        var parts: [KeyPart] = []
        for part in try expanded(definition.parts) {
            parts.append(try settled(part, definition.kind))
        }
        let isUnique = definition.kind == .primary || definition.kind == .unique
        if isUnique, let rowEnd, !parts.contains(where: { $0.column == rowEnd }) {
            parts.append(KeyPart(column: rowEnd))
        }
        let entry = Entry(
            key: KeyShape(name: definition.name ?? "", parts: parts, isUnique: isUnique),
            isGenerated: definition.isGenerated, kind: definition.kind)
        guard makeRoom(for: entry) else { return }
        var named = entry
        if let name = definition.name {
            guard index(of: name) == nil else { throw .keyExists(table, name) }
        } else {
            named.key.name = freeName(for: parts)
        }
        keys.append(named)
    }

    /// Removes the generated key that a new one makes superfluous; false when it is the new one.
    private mutating func makeRoom(for new: Entry) -> Bool {
        for (i, old) in keys.enumerated() where old.isGenerated || new.isGenerated {
            let newGivesWay =
                new.isGenerated && (!old.isGenerated || new.key.parts.count < old.key.parts.count)
            let short = newGivesWay ? new : old
            let long = newGivesWay ? old : new
            guard newGivesWay || old.isGenerated, isPrefix(short.key.parts, of: long.key.parts)
            else { continue }
            if newGivesWay { return false }
            keys.remove(at: i)
            return true
        }
        return true
    }

    private func isPrefix(_ short: [KeyPart], of long: [KeyPart]) -> Bool {
        guard short.count <= long.count else { return false }
        return zip(short, long).allSatisfy { a, b in
            a.prefixLength == b.prefixLength && a.column != nil
                && a.column?.lowercased() == b.column?.lowercased()
        }
    }

    /// A period WITHOUT OVERLAPS stands for its two columns, the end first.
    private func expanded(_ parts: [KeyPart]) throws(ShapeError) -> [KeyPart] {
        guard let name = parts.last?.column, name.hasPrefix(periodMark) else { return parts }
        let period = periods.first { $0.name.lowercased() == name.dropFirst().lowercased() }
        guard let period else {
            throw .notCarried(table, reason: "a key WITHOUT OVERLAPS over an unknown period")
        }
        return parts.dropLast() + [KeyPart(column: period.end), KeyPart(column: period.start)]
    }

    private func settled(_ part: KeyPart, _ kind: KeyKind) throws(ShapeError) -> KeyPart {
        guard let name = part.column else { return part }
        guard let column = columns.first(where: { $0.name.lowercased() == name.lowercased() })
        else { throw .unknownColumn(table, name) }
        var out = KeyPart(column: column.name, prefixLength: part.prefixLength)
        switch kind {
        case .fulltext, .vector: out.prefixLength = nil
        case .spatial: out.prefixLength = 32  // what servers say of every spatial key
        default:
            if !column.canHavePrefix || out.prefixLength == column.type.length {
                out.prefixLength = nil
            }
            if kind == .plain { shorten(&out, column) }
        }
        return out
    }

    /// InnoDB's key parts have at most 3,072 bytes; what is longer in a key that is not unique is
    /// cut, with a warning.
    private func shorten(_ part: inout KeyPart, _ column: ColumnShape) {
        let width = column.charset.map(Charsets.longestCharacter(of:)) ?? 1
        guard column.canHavePrefix else { return }
        if let bytes = column.type.kind.lobBytes, part.prefixLength == nil {
            part.prefixLength = min(bytes, 3_072) / width
        } else if (part.prefixLength ?? column.type.length ?? 0) * width > 3_072 {
            part.prefixLength = 3_072 / width
        }
    }

    /// The first column's name, with `_2`, `_3` .. when it is taken.
    private func freeName(for parts: [KeyPart]) -> String {
        let base = parts.first?.column ?? "functional_index"
        let isTaken = { (name: String) in
            name.uppercased() == "PRIMARY" || self.index(of: name) != nil
        }
        if !isTaken(base) { return base }
        var number = 2
        while isTaken("\(base)_\(number)") { number += 1 }
        return "\(base)_\(number)"
    }

    /// Keys in the server's order: primary, then unique ones without NULL, then other unique
    /// ones, then the rest.
    func sorted() -> [KeyShape] {
        let ranked = keys.map(\.key).enumerated().map { (rank($1), $0, $1) }
        return ranked.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2)
    }

    private func rank(_ key: KeyShape) -> Int {
        if key.isPrimary { return 0 }
        guard key.isUnique else { return 5 }
        var rank = 1
        for part in key.parts {
            let column = columns.first { $0.name == part.column }
            if column?.isNullable ?? true { rank |= 2 }
        }
        let isPartial = key.parts.contains { $0.prefixLength != nil }
        return rank + (isPartial ? 1 : 0)
    }
}

extension ForeignKeyDefinition {
    /// The foreign key's shape, with the name that InnoDB makes when there is none.
    func shape(
        of table: TableName, after existing: [ForeignKeyShape], _ parent: TableShape?,
        _ context: SyntaxContext
    ) -> ForeignKeyShape {
        var columns = parentColumns
        if columns.isEmpty {
            columns = parent?.keys.first { $0.isPrimary }?.parts.compactMap(\.column) ?? []
        }
        let made = ForeignKeyShape.madeName(table, after: existing, context)
        // MySQL 8.0.16 and later do not take the index's name for the constraint.
        let takesIndexName = context.isMariaDB || !context.version.isAtLeast(8, 0, 16)
        return ForeignKeyShape(
            name: name ?? (takesIndexName ? indexName : nil) ?? made, columns: self.columns,
            parent: self.parent,
            parentColumns: columns, onDelete: onDelete, onUpdate: onUpdate)
    }
}

extension ForeignKeyShape {
    /// `<table>_ibfk_<n>`, one above the highest; MariaDB 12.1 and later leave out the table.
    static func madeName(
        _ table: TableName, after existing: [ForeignKeyShape], _ context: SyntaxContext
    ) -> String {
        let isBare = context.isMariaDB && context.version.isAtLeast(12, 1)
        let prefix = isBare ? "" : "\(table.name)_ibfk_"
        let highest =
            existing.map { key in
                key.name.hasPrefix(prefix) ? Int(key.name.dropFirst(prefix.count)) ?? 0 : 0
            }.max() ?? 0
        return "\(prefix)\(highest &+ 1)"
    }
}
