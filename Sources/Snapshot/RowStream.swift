internal import MySQLClient
internal import MySQLCore

/// An error of the source while the target was fed from it: tells whose error a failed transfer is.
struct SourceFailure: Error {
    let error: MySQLError
}

/// The rows of one SELECT on the source, on their way to the target.
final class RowStream {
    private let cursor: ResultCursor
    private let form: TableForm
    /// The first row, read before the target's transaction begins: the target ends a session that
    /// is fed nothing for 30 s, and a source may think long before its first row.
    private var first = ByteBuffer(capacity: 1024)
    /// Rows handed out so far.
    private(set) var rows: UInt64 = 0
    /// Bytes handed out so far.
    private(set) var bytes: UInt64 = 0
    /// Whether the source has no more rows.
    private(set) var isAtEnd = false
    /// Values of ENUM's invalid member among the rows handed out, where ENUMs travel by index.
    private(set) var invalidEnums = 0
    private var firstInvalidEnums = 0
    private let asValues: Bool

    /// - Parameter asValues: rows are rendered for INSERT, else for `LOAD DATA`.
    init(_ cursor: ResultCursor, _ form: TableForm, asValues: Bool) throws {
        self.cursor = cursor
        self.form = form
        self.asValues = asValues
        try read(into: &first)
    }

    /// Whether a row is left, or, behind the first one of a LOAD, may be.
    var hasRow: Bool { first.count > 0 || (!asValues && !isAtEnd) }

    /// Moves rows to `out` until it holds `target` bytes more, or `maxRows` rows were moved.
    ///
    /// - Parameter limit: `out` never grows beyond it, except by a single row.
    /// - Returns: rows moved.
    func fill(
        _ out: inout ByteBuffer, bytes target: Int, maxRows: Int = .max, limit: Int = .max
    ) throws -> Int {
        let start = out.count
        var moved = 0
        if !asValues, first.count > 0 {
            if out.count == 0 {
                swap(&first, &out)
            } else {
                out.append(first.bytes)
            }
            first = ByteBuffer(capacity: 64)
            moved = 1
        }
        // A LOAD takes rows as they come: none is held twice, however large.
        while !asValues, out.count - start < target, try read(into: &out) { moved += 1 }
        while asValues, hasRow, moved < maxRows, out.count - start < target {
            if moved > 0, out.count + first.count + 1 > limit { break }
            if moved > 0 { out.append(UInt8(ascii: ",")) }
            out.append(first.bytes)
            invalidEnums += firstInvalidEnums
            first.removeAll()
            first.shrink(to: 1 << 16)
            moved += 1
            try read(into: &first)
        }
        rows += UInt64(moved)
        bytes += UInt64(out.count - start)
        return moved
    }

    /// The size of the row that comes next, in bytes.
    var nextRowBytes: Int { first.count }

    @discardableResult
    private func read(into out: inout ByteBuffer) throws -> Bool {
        guard !isAtEnd else { return false }
        firstInvalidEnums = 0
        do throws(MySQLError) {
            let more = try cursor.next { row in
                if asValues {
                    form.append(values: row, to: &out)
                    if form.enumsByIndex { firstInvalidEnums = form.countInvalidEnums(row) }
                } else {
                    form.append(row: row, to: &out)
                }
            }
            if !more { isAtEnd = true }
            return more
        } catch {
            throw SourceFailure(error: error)
        }
    }

    /// Drops what is left.
    func finish() { cursor.finish() }
}
