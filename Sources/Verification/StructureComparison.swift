internal import MySQLCore

/// Compares the shapes of two tables. What keeps the target from holding the source's rows, or
/// from refusing rows that the source refuses, is a difference; the rest is a note.
struct StructureComparison {
    let source: TableShape
    let sourceFamily: ServerFamily
    let target: TableShape
    let targetFamily: ServerFamily
    /// Columns of the target that the source is not to have.
    var filled: [FilledColumn] = []
    /// Whether rows of other tables may be in the target's.
    var isMerged = false

    private var isSameFamily: Bool { sourceFamily == targetFamily }
    private var name: String { "\(source.name)" }

    /// Everything that differs.
    func findings() -> [StructureFinding] {
        columnFindings() + keyFindings() + foreignKeyFindings() + tableFindings()
    }

    private func columnFindings() -> [StructureFinding] {
        var out: [StructureFinding] = []
        for column in source.columns {
            guard let at = target.columnIndex(column.name) else {
                out.append(
                    StructureFinding(
                        .columnMissing, true,
                        "\(name): column \(column.name) is missing on the target"))
                continue
            }
            compare(column, target.columns[at], &out)
        }
        for column in target.columns
        where source.columnIndex(column.name) == nil && !filled.holds(column.name) {
            out.append(
                StructureFinding(
                    .columnExtra, false,
                    "\(name): column \(column.name) is on the target only"))
        }
        let common = source.columns.compactMap { target.columnIndex($0.name) }
        if common != common.sorted() {
            out.append(
                StructureFinding(
                    .columnOrderDiffers, false, "\(name): the columns' order differs"))
        }
        return out
    }

    private func compare(
        _ a: ColumnShape, _ b: ColumnShape, _ out: inout [StructureFinding]
    ) {
        func find(_ kind: StructureFinding.Kind, _ isDifference: Bool, _ what: String) {
            out.append(StructureFinding(kind, isDifference, "\(name).\(a.name): \(what)"))
        }
        if !sameType(a, b) {
            find(
                .typeDiffers, !isMapped(a, b),
                "type \(spelling(a.type)) on the source, \(spelling(b.type)) on the target")
        }
        let isText = a.charset != nil && b.charset != nil
        if isText, charsetName(a.charset) != charsetName(b.charset) {
            find(
                .charsetDiffers, isSameFamily,
                "charset \(a.charset ?? "") on the source, \(b.charset ?? "") on the target")
        } else if isText, collation(a.collation) != collation(b.collation) {
            find(
                .collationDiffers, isSameFamily,
                "collation \(a.collation ?? "") on the source, "
                    + "\(b.collation ?? "") on the target")
        }
        if a.isNullable != b.isNullable {
            find(
                .nullabilityDiffers, true,
                a.isNullable
                    ? "NULL is allowed on the source only" : "NULL is allowed on the target only")
        }
        if a.generation != b.generation {
            find(
                .generationDiffers, (a.generation == nil) != (b.generation == nil),
                "\(a.generation.map { "generated (\($0.rawValue))" } ?? "a base column")"
                    + " on the source, "
                    + "\(b.generation.map { "generated (\($0.rawValue))" } ?? "a base column")"
                    + " on the target")
        }
        if a.isInvisible != b.isInvisible {
            find(
                .attributeDiffers, false,
                "invisible on the \(a.isInvisible ? "source" : "target") only")
        }
        if a.isAutoIncrement != b.isAutoIncrement {
            // Where rows come from several tables, the target must not number them.
            find(
                .attributeDiffers, !(isMerged && a.isAutoIncrement),
                "AUTO_INCREMENT on the \(a.isAutoIncrement ? "source" : "target") only")
        }
    }

    private func sameType(_ a: ColumnShape, _ b: ColumnShape) -> Bool {
        // Members by bytes: Swift's == takes composed and decomposed letters for the same.
        let members = { (type: ColumnType) in type.elements.map { Array($0.utf8) } }
        return a.type == b.type && members(a.type) == members(b.type)
    }

    /// Types that one family has and the other keeps as something else.
    private func isMapped(_ a: ColumnShape, _ b: ColumnShape) -> Bool {
        guard !isSameFamily else { return false }
        if a.type.kind == .json { return b.type.isText }
        if b.type.kind == .json { return a.type.isText }
        let strings = { (type: ColumnType) in type.isText || type.isBinary }
        if a.type.isAddress { return strings(b.type) }
        if b.type.isAddress { return strings(a.type) }
        return (a.type.kind == .vector && b.type.isBinary)
            || (b.type.kind == .vector && a.type.isBinary)
    }

    /// Collations under one name for both spellings of utf8mb3.
    private func collation(_ name: String?) -> String {
        let name = name ?? ""
        return name.hasPrefix("utf8_") ? "utf8mb3_\(name.dropFirst(5))" : name
    }

    private func spelling(_ type: ColumnType) -> String {
        var out = type.kind.rawValue
        if !type.elements.isEmpty {
            let members = type.elements.prefix(20).map { "'\($0)'" }.joined(separator: ",")
            out += "(\(shortened(members, 100)))"
        } else if type.kind == .decimal {
            out += "(\(type.length ?? 10),\(type.decimals))"
        } else if type.isReal, let length = type.length {
            out += "(\(length),\(type.decimals))"
        } else if let length = type.length {
            out += "(\(length))"
        } else if type.decimals > 0 {
            out += "(\(type.decimals))"
        }
        return out + (type.isUnsigned ? " unsigned" : "")
    }

    private func keyFindings() -> [StructureFinding] {
        var out: [StructureFinding] = []
        // Rows of several tables may differ by what is filled in alone: their keys have it.
        let theirs = target.keys.map { key in
            let rest = key.without(filled)
            return rest.parts.isEmpty ? key : rest
        }
        func isSame(_ a: KeyShape, _ b: KeyShape) -> Bool {
            a.isUnique == b.isUnique && a.isPrimary == b.isPrimary
                && a.parts.map { $0.column?.lowercased() }
                    == b.parts.map { $0.column?.lowercased() }
                && a.parts.map(\.prefixLength) == b.parts.map(\.prefixLength)
        }
        for key in source.keys {
            let named = theirs.first { $0.name.lowercased() == key.name.lowercased() }
            if let named, isSame(key, named) { continue }
            if theirs.contains(where: { isSame(key, $0) }) {
                out.append(
                    StructureFinding(
                        .keyDiffers, false, "\(name): key \(key.name) has another name"))
            } else if named != nil {
                out.append(
                    StructureFinding(
                        .keyDiffers, true, "\(name): key \(key.name) has other columns"))
            } else {
                out.append(
                    StructureFinding(
                        .keyMissing, true, "\(name): key \(key.name) is missing on the target"))
            }
        }
        for key in theirs {
            let isKnown = source.keys.contains {
                $0.name.lowercased() == key.name.lowercased() || isSame($0, key)
            }
            if isKnown { continue }
            out.append(
                StructureFinding(
                    .keyExtra, key.isUnique, "\(name): key \(key.name) is on the target only"))
        }
        return out
    }

    private func foreignKeyFindings() -> [StructureFinding] {
        func text(_ key: ForeignKeyShape) -> String {
            "\(key.columns)\(key.parent.name)\(key.parentColumns)\(key.onDelete)\(key.onUpdate)"
                .lowercased().replacing("noaction", with: "restrict")
        }
        let (a, b) = (Set(source.foreignKeys.map(text)), Set(target.foreignKeys.map(text)))
        // Parents are merged as well, under another name and with more columns in their keys.
        let isDifference = !isMerged
        return source.foreignKeys.filter { !b.contains(text($0)) }.map {
            StructureFinding(
                .foreignKeyDiffers, isDifference,
                "\(name): foreign key \($0.name) is not on the target")
        }
            + target.foreignKeys.filter { !a.contains(text($0)) }.map {
                StructureFinding(
                    .foreignKeyDiffers, isDifference,
                    "\(name): foreign key \($0.name) is on the target only")
            }
    }

    private func tableFindings() -> [StructureFinding] {
        guard source.engine?.lowercased() != target.engine?.lowercased() else { return [] }
        return [
            StructureFinding(
                .engineDiffers, false,
                "\(name): engine \(source.engine ?? "?") on the source, "
                    + "\(target.engine ?? "?") on the target")
        ]
    }
}
