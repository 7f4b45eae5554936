import MySQLCore

/// Where a column of a table that is altered comes from.
struct ColumnSource {
    /// The name that it had before, or has when it is new, in lower case.
    var name: String
    /// Whether the statement adds it.
    var isNew: Bool
}

/// Which keys ALTER TABLE leaves, and which it adds.
extension Alteration {
    /// An old key over the new columns; `nil` when none of its columns is left.
    ///
    /// The server looks for each part among the new columns in their order, by the names that they
    /// had before, or have when they are new: a column that is dropped and added again stays in its
    /// keys, and one that takes the name of a renamed column takes its place if it comes first.
    func carried(_ key: KeyShape, _ before: TableShape) throws(ShapeError) -> KeyShape? {
        var out = key
        out.parts = []
        for part in key.parts {
            guard let name = part.column else {
                out.parts.append(part)
                continue
            }
            guard let index = sources.firstIndex(where: { $0.name == name.lowercased() }) else {
                continue
            }
            let column = shape.columns[index]
            var kept = part
            kept.column = column.name
            if let old = before.columnIndex(name), before.columns[old] != column {
                kept.prefixLength = prefix(
                    of: part, before.columns[old], column, isNew: sources[index].isNew)
            }
            out.parts.append(kept)
        }
        return out.parts.isEmpty ? nil : out
    }

    /// The prefix of a key's part over another column than before.
    private func prefix(
        of part: KeyPart, _ old: ColumnShape, _ new: ColumnShape, isNew: Bool
    ) -> Int? {
        guard new.canHavePrefix else { return nil }
        guard isNew else {
            // It goes when the column is now shorter.
            guard let prefix = part.prefixLength else { return nil }
            return new.type.length.map { $0 <= prefix } ?? false ? nil : prefix
        }
        // A new column has as much in the key as there was of the old one.
        let length =
            part.prefixLength ?? (old.canHavePrefix ? old.type.length : nil)
            ?? old.keyBytes / (old.charset.map(Charsets.longestCharacter(of:)) ?? 1)
        return length == 0 || length == new.type.length ? nil : length
    }

    /// The keys that are added. `IF NOT EXISTS`, which MariaDB knows, leaves out one whose name
    /// (or, without one, whose first column) names a key that was there before the statement, even
    /// if that is dropped or renamed, or one of its kind that the statement has added already.
    func newKeys(_ actions: [AlterAction], _ before: TableShape) -> [KeyDefinition] {
        var out: [KeyDefinition] = []
        for case .addKey(let key, let ifNotExists) in actions {
            let name = Self.guardedName(key)
            if ifNotExists, let name {
                if key.isGenerated {
                    // It comes with its foreign key, or not.
                    if before.foreignKeys.contains(where: { $0.name.lowercased() == name }) {
                        continue
                    }
                } else {
                    if before.keys.contains(where: { $0.name.lowercased() == name })
                        || out.contains(where: {
                            $0.kind == key.kind && Self.guardedName($0) == name
                        })
                    {
                        continue
                    }
                }
            }
            out.append(key)
        }
        return out
    }

    private static func guardedName(_ key: KeyDefinition) -> String? {
        (key.name ?? key.parts.first?.column)?.lowercased()
    }
}

extension ColumnShape {
    /// Bytes of a value in a key, for types that have no prefix.
    fileprivate var keyBytes: Int {
        switch type.kind {
        case .tinyint, .year: 1
        case .smallint: 2
        case .mediumint, .date: 3
        case .int, .float, .inet4: 4
        case .bigint, .double: 8
        case .time: 3 + (type.decimals + 1) / 2
        case .timestamp: 4 + (type.decimals + 1) / 2
        case .datetime: 5 + (type.decimals + 1) / 2
        case .decimal:
            Self.digitBytes((type.length ?? 10) - type.decimals)
                + Self.digitBytes(type.decimals)
        case .bit: ((type.length ?? 1) + 7) / 8
        case .enum: type.elements.count < 256 ? 1 : 2
        case .set: type.elements.count > 32 ? 8 : [1, 1, 2, 3, 4][(type.elements.count + 7) / 8]
        case .uuid, .inet6: 16
        default: 0
        }
    }

    /// Bytes of so many of a DECIMAL's digits, nine of which have four bytes.
    private static func digitBytes(_ digits: Int) -> Int {
        digits / 9 * 4 + (digits % 9 + 1) / 2
    }
}
