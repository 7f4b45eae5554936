import MySQLBinlog
import MySQLCore
import MySQLSyntax
import Rules

/// A row of `t (a BIGINT, b BIGINT, u BIGINT UNSIGNED, s VARCHAR(100), x VARCHAR(100) binary)` as
/// a binary log has it.
struct HandmadeRow {
    static let context = SyntaxContext(version: ServerVersion("10.11.6-MariaDB"))

    static let shape = TableShape(
        name: TableName(schema: "db", name: "t"),
        columns: [
            ColumnShape(name: "a", type: ColumnType(.bigint)),
            ColumnShape(name: "b", type: ColumnType(.bigint)),
            ColumnShape(name: "u", type: ColumnType(.bigint, isUnsigned: true)),
            ColumnShape(
                name: "s", type: ColumnType(.varchar, length: 100), charset: "utf8mb4",
                collation: "utf8mb4_general_ci"),
            ColumnShape(
                name: "x", type: ColumnType(.varchar, length: 100), charset: "utf8mb4",
                collation: "utf8mb4_bin"),
        ])

    static let map: TableMap? = {
        var event = [UInt8](repeating: 0, count: 19)
        event += [1, 0, 0, 0, 0, 0, 0, 0, 2] + Array("db".utf8) + [0, 1] + Array("t".utf8) + [0]
        event += [5, 8, 8, 8, 15, 15, 4, 0x90, 1, 0x90, 1, 31]
        return try? TableMap(event.span.bytes, family: .mariadb)
    }()

    var event: [UInt8] = []
    var places: [ColumnValue] = []

    init(a: Int64? = nil, b: Int64? = nil, u: UInt64? = nil, s: String? = nil, x: String? = nil) {
        add(a.map { UInt64(bitPattern: $0) })
        add(b.map { UInt64(bitPattern: $0) })
        add(u)
        add(s)
        add(x)
    }

    private mutating func add(_ bytes: [UInt8]?) {
        places.append(
            ColumnValue(offset: Int32(event.count), length: bytes.map { Int32($0.count) } ?? -1))
        event += bytes ?? []
    }

    private mutating func add(_ number: UInt64?) {
        add(number.map { n in (0..<8).map { UInt8(truncatingIfNeeded: n >> UInt64(8 * $0)) } })
    }

    private mutating func add(_ text: String?) { add(text.map { Array($0.utf8) }) }

    /// The expression's value for the row.
    func text(_ expression: String) throws -> String? {
        var evaluator = RowEvaluator(
            try RowExpression(expression, shape: Self.shape, context: Self.context))
        guard let map = Self.map else { return "no table map" }
        return try evaluator.text(event.span.bytes, places, map)
    }

    func isTrue(_ expression: RowExpression) throws -> Bool {
        var evaluator = RowEvaluator(expression)
        guard let map = Self.map else { return false }
        return try evaluator.isTrue(event.span.bytes, places, map)
    }
}
