internal import CMariaDB
public import MySQLCore

/// A row of a result, borrowed from the network buffer: valid until the next row is fetched.
@safe
public struct ResultRow: ~Copyable, ~Escapable {
    let row: MYSQL_ROW
    let lengths: UnsafeMutablePointer<UInt>
    /// The number of columns.
    public let count: Int

    @_lifetime(borrow cursor)
    init(_ cursor: borrowing ResultCursor, _ row: MYSQL_ROW, _ lengths: UnsafeMutablePointer<UInt>)
    {
        self.row = row
        self.lengths = lengths
        count = cursor.columnCount
    }

    /// Whether a column is NULL.
    @inline(__always)
    public func isNull(_ column: Int) -> Bool {
        precondition(column < count)
        return row[column] == nil
    }

    /// A column's bytes; empty for NULL.
    @inline(__always)
    @_lifetime(borrow self)
    public borrowing func bytes(_ column: Int) -> RawSpan {
        precondition(column < count)
        guard let start = row[column] else { return RawSpan() }
        let span = RawSpan(
            _unsafeStart: UnsafeRawPointer(start), byteCount: Int(lengths[column]))
        return _overrideLifetime(span, borrowing: self)
    }

    /// A column as text, `nil` for NULL.
    public func string(_ column: Int) -> String? {
        precondition(column < count)
        guard let start = row[column] else { return nil }
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(lengths[column]))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A column's bytes copied, `nil` for NULL.
    public func copy(_ column: Int) -> [UInt8]? {
        precondition(column < count)
        guard let start = row[column] else { return nil }
        return Array(UnsafeRawBufferPointer(start: start, count: Int(lengths[column])))
    }

    /// A column as a signed number, `nil` for NULL and for anything else.
    public func int(_ column: Int) -> Int? { string(column).flatMap { Int($0) } }

    /// A column as an unsigned number, `nil` for NULL and for anything else.
    public func uint64(_ column: Int) -> UInt64? { string(column).flatMap { UInt64($0) } }
}

/// A result that is read row by row as it arrives. While it lives, its connection can do nothing
/// else; ``finish()`` reads what is left.
public final class ResultCursor {
    private let connection: Connection
    private var result: UnsafeMutablePointer<MYSQL_RES>?
    /// The number of columns.
    public let columnCount: Int

    init(_ connection: Connection, _ result: UnsafeMutablePointer<MYSQL_RES>) {
        self.connection = connection
        self.result = result
        columnCount = Int(mysql_num_fields(result))
    }

    deinit { if let result { mysql_free_result(result) } }

    /// Calls `body` with the next row; false at the end of the result.
    ///
    /// - Throws: ``MySQLError`` when the connection breaks or the server stops the query.
    @inline(__always)
    public func next(_ body: (borrowing ResultRow) -> Void) throws(MySQLError) -> Bool {
        guard let result, let row = mysql_fetch_row(result) else {
            if mysql_errno(connection.mysql) != 0 { throw connection.lastError }
            return false
        }
        body(ResultRow(self, row, mysql_fetch_lengths(result)))
        return true
    }

    /// The columns' names.
    public var columnNames: [String] {
        guard let result, let fields = mysql_fetch_fields(result) else { return [] }
        return (0..<columnCount).map { i in
            String(
                decoding: UnsafeRawBufferPointer(
                    start: fields[i].name, count: Int(fields[i].name_length)),
                as: UTF8.self)
        }
    }

    /// Reads and drops the rest, so that the connection is free again.
    public func finish() {
        if let result { mysql_free_result(result) }
        result = nil
    }
}

/// What a statement of a packet answered.
public struct StatementReply: Sendable, Hashable {
    /// Affected rows (matched rows of an UPDATE on a `foundRows` connection).
    public var affectedRows: UInt64
    /// Warnings that the statement left.
    public var warnings: UInt32
}

extension Connection {
    /// Sends SQL without reading the answer.
    @inline(__always)
    func send(_ bytes: UnsafeRawBufferPointer) throws(MySQLError) {
        let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        if mysql_real_query(mysql, start, UInt(bytes.count)) != 0 { throw lastError }
    }

    func send(_ sql: String) throws(MySQLError) {
        var sql = sql
        let code = sql.withUTF8 { bytes in
            mysql_real_query(
                mysql, UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self),
                UInt(bytes.count))
        }
        if code != 0 { throw lastError }
    }

    /// Reads every answer of a packet of one or more statements; results are read and dropped.
    ///
    /// - Throws: the first statement's error; the server ran nothing behind it.
    private func readReplies(_ each: (StatementReply) -> Void) throws(MySQLError) {
        while true {
            if let result = mysql_use_result(mysql) {
                while mysql_fetch_row(result) != nil {}
                mysql_free_result(result)
            }
            if mysql_errno(mysql) != 0 { throw lastError }
            each(
                StatementReply(
                    affectedRows: UInt64(mysql_affected_rows(mysql)),
                    warnings: mysql_warning_count(mysql)))
            let more = mysql_next_result(mysql)
            if more > 0 { throw lastError }
            if more < 0 { return }
        }
    }

    /// Runs one or more statements, separated by semicolons, and drops their results.
    ///
    /// - Returns: the affected rows of the last statement.
    @discardableResult
    public func execute(_ sql: String) throws(MySQLError) -> UInt64 {
        try send(sql)
        var last: UInt64 = 0
        try readReplies { last = $0.affectedRows }
        return last
    }

    /// Runs one packet of one or more statements, and calls `each` with every reply in order,
    /// statements that return rows included.
    public func execute(
        _ sql: borrowing ByteBuffer, each: (StatementReply) -> Void
    ) throws(MySQLError) {
        try sql.withBytes { bytes throws(MySQLError) in try send(bytes) }
        try readReplies(each)
    }

    /// Runs a query and hands out its rows as they arrive.
    public func open(_ sql: String) throws(MySQLError) -> ResultCursor {
        try send(sql)
        guard let result = mysql_use_result(mysql) else {
            if mysql_errno(mysql) != 0 { throw lastError }
            throw MySQLError(
                code: 2053, sqlState: "HY000", message: "the statement returns no rows",
                server: options.server)
        }
        return ResultCursor(self, result)
    }

    /// Runs a query and calls `body` with each row.
    public func forEachRow(
        _ sql: String, _ body: (borrowing ResultRow) -> Void
    ) throws(MySQLError) {
        let cursor = try open(sql)
        while try cursor.next(body) {}
        cursor.finish()
    }

    /// Runs a query and calls `body` with each row, until it throws; the rest is then read and
    /// passed over.
    public func forEachRowThrowing(
        _ sql: String, _ body: (borrowing ResultRow) throws -> Void
    ) throws {
        var failure: (any Error)?
        try forEachRow(sql) { row in
            guard failure == nil else { return }
            do { try body(row) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Runs a query whose result is known to be small; values as text, `nil` for NULL.
    public func rows(_ sql: String) throws(MySQLError) -> [[String?]] {
        var out: [[String?]] = []
        try forEachRow(sql) { row in
            var values: [String?] = []
            for i in 0..<row.count { values.append(row.string(i)) }
            out.append(values)
        }
        return out
    }

    /// The first row of a small result by column name, `nil` when there is none. For statements
    /// such as `SHOW MASTER STATUS`, whose columns differ between versions.
    public func firstRow(_ sql: String) throws(MySQLError) -> [String: String?]? {
        let cursor = try open(sql)
        let names = cursor.columnNames
        var out: [String: String?]?
        while try cursor.next({ row in
            guard out == nil else { return }
            var values: [String: String?] = [:]
            for i in 0..<row.count { values[names[i]] = .some(row.string(i)) }
            out = values
        }) {}
        cursor.finish()
        return out
    }

    /// The first value of a result as text.
    public func value(_ sql: String) throws(MySQLError) -> String? {
        try rows(sql).first?.first ?? nil
    }
}
