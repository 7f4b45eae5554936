internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules

/// Tells whether tables of the target hold rows of other sources of the task.
struct SharedTarget {
    let meta: MetaSchema
    let key: SubtaskKey
    let mapping: TableMapping

    /// Whether another source has finished a chunk of it, or follows a table that goes there.
    ///
    /// - Parameter isCurrent: as it is committed now, whatever the transaction has seen before.
    func isWritten(
        _ target: TableName, _ connection: Connection, isCurrent: Bool = false
    ) throws -> Bool {
        let condition =
            "WHERE task=\(utf8Literal(key.task)) AND source<>\(utf8Literal(key.source))"
            + (isCurrent ? " LOCK IN SHARE MODE" : "")
        for name in ["chunk", "shape"] {
            let table = TableName(schema: meta.name, name: name).quoted
            let rows = try connection.rows(
                "SELECT DISTINCT source, schema_name, table_name FROM \(table) \(condition)")
            for row in rows {
                let other = TableName(schema: row[1] ?? "", name: row[2] ?? "")
                // A source that the task does not have any more: nobody knows where it wrote.
                let place = mapping.target(of: other, source: row[0] ?? "")
                if place == nil || place == target { return true }
            }
        }
        return false
    }

    /// Why a copy into such a table can't go on by itself.
    static func refusal(_ target: TableName, _ what: String, meta: MetaSchema) -> SnapshotError {
        .targetExists(
            target,
            detail: "its copy \(what), which would delete rows of other sources: delete the rows "
                + "that came from this source by hand, and what \(meta.name) says of them, or "
                + "start the whole task over")
    }
}
