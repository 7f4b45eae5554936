internal import MySQLClient
internal import MySQLCore
internal import Rules

/// How the values of one column travel, so that nothing of them is lost.
///
/// The source sends raw bytes (`character_set_results=NULL`), and the target takes them as such:
/// texts are in their column's own charset on both sides, and no conversion happens.
struct ColumnForm: Sendable {
    /// How a value is written in an INSERT.
    enum Literal: Sendable {
        /// As it is: whole and decimal numbers.
        case bare
        /// In quotes: numbers of floating point and times.
        case quoted
        /// In quotes, as bytes.
        case binary
        /// In quotes, as bytes that are UTF-8 text.
        case utf8
    }

    /// The column, quoted.
    let name: String
    /// What is selected on the source.
    let selected: String
    /// How `LOAD DATA` assigns it when not directly: an expression of the variable.
    let assigned: (@Sendable (String) -> String)?
    let literal: Literal
    /// Whether values are members of an ENUM.
    let isEnum: Bool

    /// - Parameter target: the family that is written to.
    init(_ column: ColumnShape, target: ServerFamily) {
        name = quoteIdentifier(column.name)
        isEnum = column.type.kind == .enum
        switch column.type.kind {
        case .float:
            // A plain SELECT prints six digits of a FLOAT; times one, it is a DOUBLE, and the
            // sign of zero stays.
            selected = "\(name)*1e0"
            assigned = nil
            literal = .quoted
        case .double, .date, .time, .datetime, .timestamp, .year:
            selected = name
            assigned = nil
            literal = .quoted
        case .json where target == .mysql:
            // A JSON column refuses binary strings (error 3144).
            selected = "CONVERT(\(name) USING utf8mb4)"
            assigned = { "CONVERT(\($0) USING utf8mb4)" }
            literal = .utf8
        case .json:
            selected = "CONVERT(\(name) USING utf8mb4)"
            assigned = nil
            literal = .binary
        case .uuid, .inet4, .inet6:
            // Binary strings are taken for the value's bytes, texts for its text.
            selected = name
            assigned = { "CONVERT(\($0) USING latin1)" }
            literal = .quoted
        case _ where column.type.isInteger || column.type.kind == .decimal:
            selected = name
            assigned = nil
            literal = .bare
        default:
            selected = name
            assigned = nil
            literal = .binary
        }
    }

    /// The form of an ENUM column as number: the only one that can hold the invalid member 0.
    init(enumIndexOf column: ColumnShape) {
        name = quoteIdentifier(column.name)
        isEnum = true
        selected = "\(name)+0"
        assigned = nil
        literal = .bare
    }
}

/// The statements and row forms of one table's copy.
struct TableForm: Sendable {
    /// The table on the target.
    let table: TableName
    let columns: [ColumnForm]
    /// Columns that only the target has.
    let constants: [ConstantColumn]
    /// Whether ENUM values travel as numbers.
    let enumsByIndex: Bool

    /// - Parameter enumsByIndex: ENUM values travel as numbers.
    init(
        _ shape: TableShape, _ route: Route? = nil, target: ServerFamily,
        enumsByIndex: Bool = false
    ) {
        table = route?.target ?? shape.name
        constants = route?.extracted ?? []
        self.enumsByIndex = enumsByIndex
        columns = shape.columns.filter { $0.generation == nil }.map { column in
            enumsByIndex && column.type.kind == .enum
                ? ColumnForm(enumIndexOf: column) : ColumnForm(column, target: target)
        }
    }

    /// The list for SELECT.
    var selected: String { columns.map(\.selected).joined(separator: ",") }

    /// `LOAD DATA LOCAL` for rows as ``append(row:to:)`` writes them.
    func loadStatement(replaces: Bool) -> String {
        var names: [String] = []
        var assignments: [String] = []
        for (i, column) in columns.enumerated() {
            if let assigned = column.assigned {
                names.append("@v\(i)")
                assignments.append("\(column.name)=\(assigned("@v\(i)"))")
            } else {
                names.append(column.name)
            }
        }
        assignments += constants.map { "\(quoteIdentifier($0.name))=\(utf8Literal($0.value))" }
        let set = assignments.isEmpty ? "" : " SET \(assignments.joined(separator: ","))"
        return "LOAD DATA LOCAL INFILE 'rows'\(replaces ? " REPLACE" : "") INTO TABLE "
            + "\(table.quoted) CHARACTER SET binary (\(names.joined(separator: ",")))\(set)"
    }

    /// The beginning of an INSERT, up to `VALUES`.
    func insertHead(replaces: Bool) -> String {
        "\(replaces ? "REPLACE" : "INSERT") INTO \(table.quoted) "
            + "(\((columns.map(\.name) + constants.map { quoteIdentifier($0.name) }).joined(separator: ","))) VALUES "
    }

    /// How many ENUM values of a row are the invalid member, whose index is 0.
    func countInvalidEnums(_ row: borrowing ResultRow) -> Int {
        var n = 0
        for i in columns.indices where columns[i].isEnum && !row.isNull(i) {
            let bytes = row.bytes(i)
            let isZero =
                unsafe bytes.byteCount == 1
                && bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) == UInt8(ascii: "0")
            if isZero { n += 1 }
        }
        return n
    }

    /// Appends a row for `LOAD DATA`: fields end with tabs, the row with a line feed.
    func append(row: borrowing ResultRow, to out: inout ByteBuffer) {
        let n = row.count
        for i in 0..<n {
            if i > 0 { out.append(UInt8(ascii: "\t")) }
            if row.isNull(i) {
                out.append("\\N" as StaticString)
            } else {
                out.appendField(row.bytes(i))
            }
        }
        out.append(UInt8(ascii: "\n"))
    }

    /// Appends a row in parentheses for INSERT.
    func append(values row: borrowing ResultRow, to out: inout ByteBuffer) {
        out.append(UInt8(ascii: "("))
        for i in 0..<columns.count {
            if i > 0 { out.append(UInt8(ascii: ",")) }
            if row.isNull(i) {
                out.append("NULL" as StaticString)
                continue
            }
            switch columns[i].literal {
            case .bare: out.append(row.bytes(i))
            case .quoted: out.appendQuoted(row.bytes(i))
            case .binary:
                out.append("_binary" as StaticString)
                out.appendQuoted(row.bytes(i))
            case .utf8:
                out.append("_utf8mb4" as StaticString)
                out.appendQuoted(row.bytes(i))
            }
        }
        for column in constants {
            out.append(UInt8(ascii: ","))
            out.append(utf8Literal(column.value))
        }
        out.append(UInt8(ascii: ")"))
    }
}

extension ByteBuffer {
    /// Appends a field of `LOAD DATA`: tab, line feed, backslash and NUL are escaped, and nothing
    /// else needs to be, since the server reads it as bytes (`CHARACTER SET binary`).
    mutating func appendField(_ field: RawSpan) {
        let n = field.byteCount
        // Growing step by step would hold a large value twice.
        if n > 1 << 16 { reserve(n + field.countSpecials()) }
        var run = 0
        var i = 0
        while i < n {
            if i + 8 <= n {
                let word = unsafe field.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
                if !holdsSpecial(word) {
                    i += 8
                    continue
                }
            }
            let end = min(i + 8, n)
            while i < end {
                let c = unsafe field.unsafeLoad(fromByteOffset: i, as: UInt8.self)
                if c == 0x5C || c == 0x0A || c == 0x09 || c == 0 {
                    append(field, run, i - run)
                    append(UInt8(ascii: "\\"))
                    append(c == 0 ? UInt8(ascii: "0") : c)
                    run = i + 1
                }
                i += 1
            }
        }
        append(field, run, n - run)
    }
}

extension RawSpan {
    /// Bytes that `LOAD DATA` needs escaped.
    fileprivate func countSpecials() -> Int {
        var count = 0
        for i in 0..<byteCount {
            let c = unsafe unsafeLoad(fromByteOffset: i, as: UInt8.self)
            if c == 0x5C || c == 0x0A || c == 0x09 || c == 0 { count += 1 }
        }
        return count
    }
}

/// Whether one of eight bytes is NUL, tab, line feed or a backslash.
@inline(__always)
private func holdsSpecial(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    func zero(_ v: UInt64) -> UInt64 { (v &- ones) & ~v & highs }
    return zero(word) | zero(word ^ (ones &* 0x09)) | zero(word ^ (ones &* 0x0A))
        | zero(word ^ (ones &* 0x5C)) != 0
}
