internal import MySQLClient
internal import MySQLCore

/// How a table's rows are written in a dump: for sessions with `SET NAMES binary`, in which a
/// literal is bytes, and which take a column's bytes as they are.
struct RowText: Sendable {
    private enum Style: Sendable {
        /// As it is: whole and decimal numbers.
        case bare
        /// In quotes.
        case quoted
        /// In quotes, as text: columns that refuse bytes, or take them for something else.
        case introduced(StaticString)
    }

    /// The list for SELECT.
    let selected: String
    /// `INSERT INTO .. VALUES`, up to the first row.
    let head: String
    private let styles: [Style]

    init(_ shape: TableShape) {
        var selected: [String] = []
        var names: [String] = []
        var styles: [Style] = []
        for column in shape.columns where column.generation == nil {
            var form = ColumnForm(column, target: .mariadb)
            // As a text the invalid member is empty, which can be a member, too.
            let hasEmpty =
                column.type.kind == .enum
                && column.type.elements.contains { $0.allSatisfy { $0 == " " } }
            if hasEmpty { form = ColumnForm(enumIndexOf: column) }
            selected.append(form.selected)
            names.append(form.name)
            switch column.type.kind {
            case .json: styles.append(.introduced("_utf8mb4"))
            case .uuid, .inet4, .inet6: styles.append(.introduced("_latin1"))
            case .enum where hasEmpty: styles.append(.bare)
            case _ where column.type.isInteger || column.type.kind == .decimal:
                styles.append(.bare)
            default: styles.append(.quoted)
            }
        }
        self.selected = selected.joined(separator: ",")
        self.styles = styles
        head =
            "INSERT INTO \(quoteIdentifier(shape.name.name)) (\(names.joined(separator: ","))) "
            + "VALUES\n"
    }

    /// Appends a row in parentheses.
    func append(_ row: borrowing ResultRow, to out: inout ByteBuffer) {
        out.append(UInt8(ascii: "("))
        for i in styles.indices {
            if i > 0 { out.append(UInt8(ascii: ",")) }
            if row.isNull(i) {
                out.append("NULL" as StaticString)
                continue
            }
            switch styles[i] {
            case .bare: out.append(row.bytes(i))
            case .quoted: out.appendLineLiteral(row.bytes(i))
            case .introduced(let charset):
                out.append(charset)
                out.appendLineLiteral(row.bytes(i))
            }
        }
        out.append(UInt8(ascii: ")"))
    }
}

extension ByteBuffer {
    /// Appends a literal in single quotes without a line's end in it: readers of dumps go by lines.
    mutating func appendLineLiteral(_ value: RawSpan) {
        append(UInt8(ascii: "'"))
        let n = value.byteCount
        var run = 0
        for i in 0..<n {
            let c = unsafe value.unsafeLoad(fromByteOffset: i, as: UInt8.self)
            let escape: UInt8
            switch c {
            case 0: escape = UInt8(ascii: "0")
            case 0x0A: escape = UInt8(ascii: "n")
            case 0x0D: escape = UInt8(ascii: "r")
            case 0x1A: escape = UInt8(ascii: "Z")
            case 0x27, 0x5C: escape = c
            default: continue
            }
            append(value, run, i - run)
            append(0x5C)
            append(escape)
            run = i + 1
        }
        append(value, run, n - run)
        append(UInt8(ascii: "'"))
    }
}
