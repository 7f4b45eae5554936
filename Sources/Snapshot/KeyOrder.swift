internal import MySQLClient
internal import MySQLCore

/// One column of the key that a table is copied along: how its values are read and written as
/// literals that mean the same value again, and how they compare as the index does.
struct KeyColumn: Sendable {
    /// The column, quoted.
    let name: String
    /// What is selected to get a boundary's value.
    let selected: String
    private let style: Style

    private enum Style: Sendable {
        case number
        case year
        case real
        case quoted
        case bytes
        case text(charset: String, collation: String)
    }

    init(_ column: ColumnShape) {
        name = quoteIdentifier(column.name)
        switch column.type.kind {
        case .enum, .set, .bit:
            // These order by number, but compare as texts with texts.
            selected = "\(name)+0"
            style = .number
        case .float, .double:
            selected = "\(name)*1e0"
            style = .real
        case .year:
            selected = name
            style = .year
        case .date, .time, .datetime, .timestamp, .uuid, .inet4, .inet6:
            selected = name
            style = .quoted
        case _ where column.type.isText:
            selected = name
            style = .text(
                charset: column.charset ?? "utf8mb4", collation: column.collation ?? "utf8mb4_bin")
        case _ where column.type.isInteger || column.type.kind == .decimal:
            selected = name
            style = .number
        default:
            selected = name
            style = .bytes
        }
    }

    /// The value as an SQL literal.
    func literal(_ bytes: RawSpan) -> String {
        switch style {
        case .number: return text(bytes)
        case .year: return String(Int(text(bytes)) ?? 0)
        case .real:
            let text = text(bytes)
            return text.contains("e") ? text : text + "e0"
        case .quoted: return "'\(text(bytes))'"
        case .bytes: return "x'\(hex(bytes))'"
        case .text(let charset, let collation):
            return "_\(charset) x'\(hex(bytes))' COLLATE \(collation)"
        }
    }

    /// What is compared with a literal.
    func operand(for literal: String) -> String {
        // MySQL takes 0 to 99 next to a YEAR column for a year of two digits.
        if case .year = style, literal.utf8.count < 3 { return "\(name)+0" }
        return name
    }

    private func text(_ bytes: RawSpan) -> String {
        var out = ByteBuffer(capacity: bytes.byteCount)
        out.append(bytes)
        return out.string()
    }

    private func hex(_ bytes: RawSpan) -> String {
        var out = ByteBuffer(capacity: bytes.byteCount * 2)
        out.appendHex(bytes)
        return out.string()
    }
}

/// The order in which a table with a key is cut into chunks.
///
/// The source compares boundaries in the columns' own collations, so the ranges cover every row
/// exactly once whatever the collation holds equal.
struct KeyOrder: Sendable {
    let columns: [KeyColumn]
    private let table: String
    private let hint: String

    /// `nil` for a table without a usable key.
    ///
    /// - Parameter ignored: names of keys that no statement can use: rows are sorted then.
    init?(_ shape: TableShape, ignored: Set<String> = []) {
        guard let key = shape.identifyingKey else { return nil }
        var columns: [KeyColumn] = []
        for part in key.parts {
            guard let name = part.column, let index = shape.columnIndex(name) else { return nil }
            columns.append(KeyColumn(shape.columns[index]))
        }
        self.columns = columns
        table = shape.name.quoted
        // The optimizer's estimates may prefer a scan with a sort, which holds nothing of a chunk.
        let whole = key.parts.allSatisfy { $0.prefixLength == nil }
        hint =
            whole && !ignored.contains(key.name)
            ? " FORCE INDEX (\(quoteIdentifier(key.name)))" : ""
    }

    /// The table with its index hint, for `FROM`.
    var from: String { table + hint }

    /// The columns for `ORDER BY`.
    var order: String { columns.map(\.name).joined(separator: ",") }

    /// The query for the last key of a chunk of `rows` rows; no row: the rest is one chunk.
    func boundaryQuery(after lower: [String]?, rows: Int) -> String {
        let list = columns.map(\.selected).joined(separator: ",")
        let condition = condition(after: lower, upTo: nil).map { " WHERE \($0)" } ?? ""
        return "SELECT \(list) FROM \(from)\(condition) ORDER BY \(order) LIMIT \(rows - 1),1"
    }

    /// The literals of a boundary.
    func literals(_ row: borrowing ResultRow) -> [String] {
        var out: [String] = []
        for i in 0..<columns.count { out.append(columns[i].literal(row.bytes(i))) }
        return out
    }

    /// The condition for keys above `lower` and up to `upper`; `nil` when both are open.
    func condition(after lower: [String]?, upTo upper: [String]?) -> String? {
        var parts: [String] = []
        if let lower { parts.append(comparison(lower, ">", last: ">")) }
        if let upper { parts.append(comparison(upper, "<", last: "<=")) }
        return parts.isEmpty ? nil : parts.joined(separator: " AND ")
    }

    /// `a >= 1 AND (a > 1 OR (a = 1 AND (b > 2)))`: row comparison in the form from which both
    /// servers make an index range.
    private func comparison(_ bound: [String], _ strict: String, last: String) -> String {
        var inner = ""
        for i in columns.indices.reversed() {
            let operand = columns[i].operand(for: bound[i])
            if inner.isEmpty {
                inner = "\(operand) \(last) \(bound[i])"
            } else {
                inner =
                    "(\(operand) \(strict) \(bound[i]) OR (\(operand) = \(bound[i]) AND \(inner)))"
            }
        }
        guard columns.count > 1 else { return inner }
        return "\(columns[0].operand(for: bound[0])) \(strict)= \(bound[0]) AND \(inner)"
    }
}
