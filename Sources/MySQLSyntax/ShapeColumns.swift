import MySQLCore

/// Settles declared columns the way the server does.
struct ColumnSettler {
    let table: TableName
    let defaults: SchemaDefaults
    let context: SyntaxContext

    /// The shape of a declared column in a table with these defaults.
    func shape(of column: ColumnDefinition) throws(ShapeError) -> ColumnShape {
        guard let dataType = column.dataType else {
            throw .notCarried(table, reason: "column \(column.name) is declared without a type")
        }
        var out = ColumnShape(name: column.name, type: dataType.type)
        settleCharset(&out, dataType)
        settleSize(&out)
        if out.type.kind == .enum || out.type.kind == .set, out.charset != "binary" {
            out.type.elements = out.type.elements.map(trimmed)
        }
        out.generation = column.generation
        out.isInvisible = column.isInvisible ?? false
        out.isAutoIncrement = column.isAutoIncrement
        out.isNullable = isNullable(column)
        if column.isRowPeriod { out.generation = .stored }
        return out
    }

    private func isNullable(_ column: ColumnDefinition) -> Bool {
        if column.isAutoIncrement || column.isRowPeriod { return false }
        if let told = column.isNullable { return told }
        let isOldTimestamp =
            column.dataType?.type.kind == .timestamp && !context.explicitDefaultsForTimestamp
            && column.generation == nil
        return !isOldTimestamp
    }

    private func settleCharset(_ out: inout ColumnShape, _ dataType: DataType) {
        let kind = dataType.type.kind
        guard out.type.isText || kind == .enum || kind == .set else { return }
        if dataType.isJSONText {
            out.charset = "utf8mb4"
            out.collation = "utf8mb4_bin"
            return
        }
        var charset = defaults.charset
        var collation = defaults.collation
        switch dataType.charset {
        case .named(let name)?:
            charset = name
            collation = Charsets.defaultCollation(of: charset, context)
        case .default?, nil: break
        }
        if dataType.isBinaryCollation { collation = Charsets.binaryCollation(of: charset) }
        if let told = dataType.collation {
            if dataType.charset == nil {
                charset = Charsets.charset(ofCollation: told) ?? charset
            }
            collation = Charsets.full(collation: told, charset: charset)
        }
        out.setCharset(charset, collation)
        out.hideBinary(context)
    }

    /// TEXT(n) and BLOB(n) become the smallest type that holds n, VARCHAR beyond 65,535 bytes a
    /// TEXT type (which only a session without strict mode lets through).
    private func settleSize(_ out: inout ColumnShape) {
        let width = out.charset.map(Charsets.longestCharacter(of:)) ?? 1
        switch out.type.kind {
        case .text, .blob:
            guard let length = out.type.length else { return }
            out.type.length = nil
            guard length > 0 else { return }
            out.type.kind = .holding(bytes: length * width, isText: out.type.isText)
        case .varchar, .varbinary:
            guard let length = out.type.length, length * width > 65_535 else { return }
            out.type.length = nil
            out.type.kind = .holding(bytes: length * width, isText: out.type.isText)
        default: return
        }
    }

    private func trimmed(_ element: String) -> String {
        guard element.utf8.last == UInt8(ascii: " ") else { return element }
        var bytes = Array(element.utf8)
        while bytes.last == UInt8(ascii: " ") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension ColumnType.Kind {
    /// The smallest TEXT or BLOB type for so many bytes.
    static func holding(bytes: Int, isText: Bool) -> ColumnType.Kind {
        switch bytes {
        case ..<256: isText ? .tinytext : .tinyblob
        case ..<65_536: isText ? .text : .blob
        case ..<16_777_216: isText ? .mediumtext : .mediumblob
        default: isText ? .longtext : .longblob
        }
    }

    /// Bytes that a TEXT type holds; `nil` for others.
    var textBytes: Int? {
        switch self {
        case .tinytext: 255
        case .text: 65_535
        case .mediumtext: 16_777_215
        case .longtext: 4_294_967_295
        default: nil
        }
    }

    /// Bytes that a BLOB or TEXT type holds; `nil` for others.
    var lobBytes: Int? {
        switch self {
        case .tinyblob: 255
        case .blob: 65_535
        case .mediumblob: 16_777_215
        case .longblob: 4_294_967_295
        default: textBytes
        }
    }

    /// The type that a text type is with the character set `binary`.
    var binaryCounterpart: ColumnType.Kind {
        switch self {
        case .char: .binary
        case .varchar: .varbinary
        case .tinytext: .tinyblob
        case .text: .blob
        case .mediumtext: .mediumblob
        case .longtext: .longblob
        default: self
        }
    }
}

extension ColumnShape {
    /// Sets charset and collation of a text column; `binary` turns it into a column of bytes.
    mutating func setCharset(_ charset: String, _ collation: String) {
        guard charset == "binary", type.isText else {
            self.charset = charset
            self.collation = collation
            return
        }
        type.kind = type.kind.binaryCounterpart
        self.charset = nil
        self.collation = nil
    }

    /// What `CONVERT TO CHARACTER SET` does to a column: TEXT types grow where as many characters
    /// need more bytes.
    mutating func convert(to charset: String, _ collation: String, _ context: SyntaxContext) {
        guard let old = self.charset, old != "binary" else { return }
        if let bytes = type.kind.textBytes, charset != "binary" {
            let characters = bytes / Charsets.longestCharacter(of: old)
            let needed = characters * Charsets.longestCharacter(of: charset)
            let kind = ColumnType.Kind.holding(bytes: needed, isText: true)
            if let size = kind.textBytes, size > bytes { type.kind = kind }
        }
        setCharset(charset, collation)
        hideBinary(context)
    }

    /// Of an ENUM or SET with the charset `binary`, MySQL says no charset.
    fileprivate mutating func hideBinary(_ context: SyntaxContext) {
        guard charset == "binary", !context.isMariaDB else { return }
        charset = nil
        collation = nil
    }

    /// Whether a key may take a prefix of the column.
    var canHavePrefix: Bool { type.isText || type.isBinary || type.isGeometry }
}
