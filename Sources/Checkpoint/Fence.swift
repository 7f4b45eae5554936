public import MySQLClient
public import MySQLCore

/// The statement that proves, inside a target transaction, that the run is still the owner:
/// the first statement of every lane's transaction.
///
/// The lane never reads its row; it writes the whole new value of `done` from memory. One writer
/// per token, so no update can be lost.
public struct Fence: Sendable {
    private let head: [UInt8]
    private let value: [UInt8]
    private let tail: [UInt8]

    /// Makes the fence of one lane row.
    public init(meta: MetaSchema, key: SubtaskKey, lane: Int, token: RunToken) {
        head = Array("UPDATE \(meta.table("lane")) SET commits=commits+1".utf8)
        value = Array(",done=x'".utf8)
        tail = Array("' WHERE \(key.condition) AND lane=\(lane) AND run=\(token.literal)".utf8)
    }

    /// Appends the statement, without a semicolon.
    public func append(to sql: inout ByteBuffer, done: [UInt8]) {
        sql.append(head)
        appendRest(to: &sql, done: done)
    }

    /// Appends the statement such that, if it matches the row, the session's variable `@skein` is
    /// `proof` afterwards: a later statement of the same packet can tell. For MariaDB; MySQL warns
    /// that it will not know such assignments for ever.
    public func append(to sql: inout ByteBuffer, done: [UInt8], proof: UInt64) {
        sql.append(head)
        sql.append("+0*(@skein:=" as StaticString)
        sql.appendDecimal(proof)
        sql.append(UInt8(ascii: ")"))
        appendRest(to: &sql, done: done)
    }

    private func appendRest(to sql: inout ByteBuffer, done: [UInt8]) {
        sql.append(value)
        sql.appendHex(done.span.bytes)
        sql.append(tail)
    }

    /// Runs the fence as a statement of its own, in an open transaction.
    ///
    /// - Throws: ``CheckpointError/fenced(detail:)`` when it matches no row.
    public func run(_ connection: Connection, done: [UInt8]) throws {
        var sql = ByteBuffer(capacity: 1024)
        append(to: &sql, done: done)
        var matched: UInt64 = 0
        try connection.execute(sql) { matched = $0.affectedRows }
        try Self.require(matched)
    }

    /// - Throws: ``CheckpointError/fenced(detail:)`` unless exactly one row was matched.
    public static func require(_ matched: UInt64) throws(CheckpointError) {
        guard matched == 1 else { throw .fenced(detail: "the lane's token is gone") }
    }
}
