internal import MySQLCore

/// What a statement must report, in the order of the packet's replies.
struct Expectation: Sendable {
    /// Affected rows that prove the statement did what the source's events say; `nil` where
    /// nothing can be expected (converging statements).
    var count: UInt64?
    /// The table, for messages; `nil` for statements of our own.
    var plan: TablePlan?
    /// What the statement is, for messages.
    var kind: StaticString
    /// Whether it writes rows over those that have their keys: it reports two for each, one where
    /// the row was the same already, and one, too, where there was none.
    var isUpsert = false
    /// Warnings that it must leave; `nil` where they are not counted.
    var warnings: UInt32?
}

extension BatchRenderer {
    /// Appends a statement that fails (error 1690), and so ends its packet, unless the statement
    /// before it affected `count` rows: it adds to the largest number that there is. A division by
    /// zero or a DO would not stop MariaDB, and a SELECT costs more.
    ///
    /// - Parameters:
    ///   - count: `nil` when only the fence is to be checked.
    ///   - proof: what the fence has left in `@skein` if it matched; `nil` when that is known.
    static func appendGuard(_ count: UInt64?, proof: UInt64?, _ sql: inout ByteBuffer) {
        sql.append("SET @skein_guard=9223372036854775807+(")
        if let count {
            sql.append("ROW_COUNT()<>")
            sql.appendDecimal(count)
        }
        if let proof {
            if count != nil { sql.append(" OR ") }
            sql.append("(@skein<=>")
            sql.appendDecimal(proof)
            sql.append(")=0")
        }
        sql.append(");")
    }
}
