/// How a target table's shape keeps a source table's rows from being written unchanged.
public enum ShapeDifference {
    /// The same where routes fill columns of the target, which may be part of its keys.
    public static func first(
        _ source: TableShape, _ target: TableShape, filled: [String]
    ) -> String? {
        let filled = Set(filled.map { $0.lowercased() })
        let more = target.columns.filter { filled.contains($0.name.lowercased()) }
        guard !more.isEmpty else { return first(source, target) }
        var source = source
        source.columns += more
        source.keys = target.keys
        return first(source, target)
    }

    /// The first difference in words, `nil` when there is none. Names compare without case; JSON
    /// and LONGTEXT count as the same, since families map one to the other.
    public static func first(_ source: TableShape, _ target: TableShape) -> String? {
        if let why = ofColumns(source, target) { return why }
        // Other keys can be built later; those that forbid rows must be the same from the start.
        let (ours, theirs) = (uniqueKeys(source), uniqueKeys(target))
        return ours == theirs ? nil : "other unique keys"
    }

    /// The first difference of columns.
    ///
    /// - Parameter mayBeWider: the target's texts may be longer, and NULL where the source has none.
    public static func ofColumns(
        _ source: TableShape, _ target: TableShape, mayBeWider: Bool = false
    ) -> String? {
        for column in source.columns {
            guard let index = target.columnIndex(column.name) else {
                return "no column \(column.name)"
            }
            var column = column
            if mayBeWider { widen(&column, target.columns[index]) }
            if let why = first(column, target.columns[index]) { return "\(column.name): \(why)" }
        }
        if let extra = target.columns.first(where: { source.columnIndex($0.name) == nil }) {
            return "further column \(extra.name)"
        }
        return nil
    }

    private static func widen(_ source: inout ColumnShape, _ target: ColumnShape) {
        let kinds: Set<ColumnType.Kind> = [.varchar, .varbinary]
        if kinds.contains(source.type.kind), source.type.kind == target.type.kind,
            let length = target.type.length, source.type.length ?? .max <= length
        {
            source.type.length = length
        }
        if target.isNullable { source.isNullable = true }
    }

    private static func first(_ source: ColumnShape, _ target: ColumnShape) -> String? {
        let texts: Set<ColumnType.Kind> = [.json, .longtext]
        if texts.contains(source.type.kind), texts.contains(target.type.kind) {
            return otherCharset(source, target)
        }
        var (a, b) = (source.type, target.type)
        // Display widths of whole numbers say nothing about values.
        if a.isInteger { (a.length, b.length) = (nil, nil) }
        if a != b {
            // Of another M or D values are rounded otherwise, or don't fit.
            let digits = { (type: ColumnType) in
                let isApproximate = type.kind == .float || type.kind == .double
                guard isApproximate || a.kind == b.kind, let length = type.length else { return "" }
                return isApproximate || type.kind == .decimal
                    ? "(\(length),\(type.decimals))" : "(\(length))"
            }
            return "\(b.kind.rawValue)\(digits(b)) in place of \(a.kind.rawValue)\(digits(a))"
        }
        if source.isNullable != target.isNullable { return "NULL is allowed on one side only" }
        if source.generation != target.generation { return "generated on one side only" }
        return otherCharset(source, target)
    }

    /// Texts are copied as the bytes that they are.
    private static func otherCharset(_ source: ColumnShape, _ target: ColumnShape) -> String? {
        func charset(_ column: ColumnShape) -> String? {
            column.type.kind == .json ? "utf8mb4" : column.charset
        }
        guard let one = charset(source), let other = charset(target), plain(one) != plain(other)
        else { return nil }
        return "character set \(other) in place of \(one)"
    }

    private static func plain(_ charset: String) -> String {
        charset == "utf8" ? "utf8mb3" : charset
    }

    private static func uniqueKeys(_ shape: TableShape) -> Set<[String]> {
        Set(
            shape.keys.filter(\.isUnique).map { key in
                key.parts.map { "\($0.column?.lowercased() ?? "?")/\($0.prefixLength ?? 0)" }
            })
    }
}
