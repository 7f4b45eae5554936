internal import MySQLBinlog
internal import MySQLCore
internal import MySQLSyntax

/// What the optional part of a table map says of a table. A shape that says otherwise is not the
/// one that the rows were written by: with another sign or character set their bytes are other
/// values, and with another primary key they identify other rows.
///
/// MySQL 8 and later tell signs and character sets by default (binlog_row_metadata=MINIMAL);
/// MariaDB tells nothing unless it is asked to.
struct TableMapClaims {
    private let map: TableMap
    /// The source's names of collations by their numbers; what it does not name is not compared.
    private let collations: [UInt16: String]

    init(_ map: TableMap, collations: [UInt16: String]) {
        self.map = map
        self.collations = collations
    }

    /// The first difference in words; `nil` when there is none, or nothing is told.
    func difference(from shape: TableShape) -> String? {
        let metadata = map.metadata
        for (i, column) in shape.columns.enumerated() where i < map.columns.count {
            if let isUnsigned = metadata.isUnsigned?[i], column.type.hasSign,
                map.columns[i].type.hasSign, isUnsigned != column.type.isUnsigned
            {
                let words = { (isUnsigned: Bool) in isUnsigned ? "unsigned" : "signed" }
                return "column \(column.name) is \(words(isUnsigned)) in the binlog, and "
                    + "\(words(column.type.isUnsigned)) is known"
            }
            guard let known = column.rowCharset, let told = charset(i, column.type.kind),
                told != known
            else { continue }
            return "column \(column.name) is in character set \(told) in the binlog, and "
                + "\(known) is known"
        }
        return keyDifference(from: shape)
    }

    /// The character set that is told of a column.
    private func charset(_ index: Int, _ kind: ColumnType.Kind) -> String? {
        let isMember = kind == .enum || kind == .set
        let ids = isMember ? map.metadata.memberCollations : map.metadata.collations
        guard let id = ids?[index], let key = UInt16(exactly: id),
            let collation = collations[key]
        else { return nil }
        return Charsets.charset(ofCollation: Charsets.canonical(collation: collation))
    }

    private func keyDifference(from shape: TableShape) -> String? {
        guard var told = map.metadata.primaryKey else { return nil }
        // MariaDB's keys of tables with system versioning end with a column that it shows nobody.
        if let last = told.last, shape.columns.indices.contains(last.column),
            shape.columns[last.column].isEndOfSystemTime,
            shape.keys.first(where: \.isPrimary)?.parts.count == told.count - 1
        {
            told.removeLast()
        }
        func parts(_ key: KeyShape) -> [TableMetadata.KeyPart?] {
            key.parts.map { part in
                part.column.flatMap(shape.columnIndex).map {
                    TableMetadata.KeyPart(column: $0, prefixLength: part.prefixLength ?? 0)
                }
            }
        }
        let known = shape.keys.first(where: \.isPrimary).map(parts)
        // Without a primary key servers tell the unique one that they take for it; which of several
        // is theirs to choose.
        let others = known == nil ? shape.keys.filter(\.isUnique).map(parts) : []
        guard known != told.map(Optional.some), !others.contains(told.map(Optional.some)) else {
            return nil
        }
        func names(_ parts: [TableMetadata.KeyPart?]) -> String {
            parts.map { part in
                guard let part, shape.columns.indices.contains(part.column) else { return "?" }
                let prefix = part.prefixLength == 0 ? "" : "(\(part.prefixLength))"
                return shape.columns[part.column].name + prefix
            }.joined(separator: ",")
        }
        return "the primary key is (\(names(told))) in the binlog, and "
            + "\(known.map { "(\(names($0)))" } ?? "none") is known"
    }
}

extension ColumnType {
    /// Whether the column can be UNSIGNED; YEAR, which always is, is told as if it were not.
    fileprivate var hasSign: Bool {
        isInteger || kind == .decimal || kind == .float || kind == .double
    }
}

extension WireType {
    fileprivate var hasSign: Bool {
        switch self {
        case .tiny, .short, .int24, .long, .longlong, .newdecimal, .float, .double: true
        default: false
        }
    }
}

extension ColumnShape {
    fileprivate var isEndOfSystemTime: Bool {
        isInvisible && generation == .stored && type.kind == .timestamp
    }

    /// The character set of the column's bytes in rows; `nil` for types whose rows hold no text or
    /// plain bytes, and where the shape does not say it.
    fileprivate var rowCharset: String? {
        if type.isBinary { return "binary" }
        guard type.isText || type.kind == .enum || type.kind == .set else { return nil }
        return charset.map(Charsets.canonical(charset:))
    }
}
