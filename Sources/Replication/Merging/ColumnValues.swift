internal import MySQLCore

extension ColumnShape {
    /// Whether every value of another column is a value of this one, and is the same there.
    func holds(_ other: ColumnShape) -> Bool {
        guard isNullable || !other.isNullable, generation == other.generation else { return false }
        return type.holds(other.type) && holdsTexts(of: other)
    }

    /// Whether both have the same values; collations, and whether it is shown, say nothing of that.
    func hasSameValues(as other: ColumnShape) -> Bool { holds(other) && other.holds(self) }

    private func holdsTexts(of other: ColumnShape) -> Bool {
        guard let theirs = other.charset, let ours = charset else { return true }
        return Self.charset(ours, holds: theirs)
    }

    /// Whether every text of another character set is the same bytes in this one.
    static func charset(_ ours: String, holds theirs: String) -> Bool {
        if plain(ours) == plain(theirs) { return true }
        switch plain(ours) {
        case "utf8mb4": return ["utf8mb3", "ascii"].contains(plain(theirs))
        case "utf8mb3": return theirs == "ascii"
        default: return false
        }
    }

    private static func plain(_ charset: String) -> String {
        charset == "utf8" ? "utf8mb3" : charset
    }
}

extension ColumnType {
    /// Whether every value of another type is one of this type, and is the same there.
    fileprivate func holds(_ other: ColumnType) -> Bool {
        if isInteger, other.isInteger { return holds(integer: other) }
        for family in [Self.texts, Self.blobs] {
            guard let mine = family.firstIndex(of: kind),
                let theirs = family.firstIndex(of: other.kind)
            else { continue }
            if kind == .varchar || kind == .varbinary {
                return other.kind == kind && (length ?? 0) >= (other.length ?? 0)
            }
            return mine >= theirs
        }
        let texts: Set<Kind> = [.json, .longtext]
        if texts.contains(kind), texts.contains(other.kind) { return kind == other.kind }
        guard kind == other.kind, isUnsigned == other.isUnsigned || !isNumber else { return false }
        switch kind {
        case .char, .bit: return (length ?? 1) >= (other.length ?? 1)
        // It is filled with zeros to another length.
        case .binary, .vector: return length == other.length
        case .decimal:
            let (mine, theirs) = (length ?? 10, other.length ?? 10)
            return decimals >= other.decimals && mine - decimals >= theirs - other.decimals
        // Others are rounded in another way.
        case .float, .double: return length == other.length && decimals == other.decimals
        case .time, .datetime, .timestamp: return decimals >= other.decimals
        // Rows name members by their numbers.
        case .enum, .set: return elements.starts(with: other.elements)
        default: return true
        }
    }

    private func holds(integer other: ColumnType) -> Bool {
        let widths: [Kind: Int] = [
            .tinyint: 8, .smallint: 16, .mediumint: 24, .int: 32, .bigint: 64,
        ]
        let (mine, theirs) = (widths[kind] ?? 0, widths[other.kind] ?? 0)
        if isUnsigned == other.isUnsigned { return mine >= theirs }
        return !isUnsigned && mine > theirs
    }

    private var isNumber: Bool {
        switch kind {
        case .decimal, .float, .double: true
        default: isInteger
        }
    }

    /// From those that hold the least.
    private static let texts: [Kind] = [.varchar, .text, .mediumtext, .longtext]
    private static let blobs: [Kind] = [.varbinary, .blob, .mediumblob, .longblob]

    /// What servers put into rows that are there when a column comes that has no default and takes
    /// no NULL, as a default value can be written; `nil` where it can't.
    var impliedDefault: String? {
        switch kind {
        case .tinyint, .smallint, .mediumint, .int, .bigint, .decimal, .float, .double, .bit, .year:
            "0"
        case .char, .varchar, .binary, .varbinary, .set: "''"
        default: nil
        }
    }
}
