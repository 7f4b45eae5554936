internal import Checkpoint
internal import MySQLClient
internal import MySQLCore

// A read view sees rows, not names: a table that is renamed to another one's name is read in its
// place, with those rows only that it had when the view was opened. An online schema change's copy
// of a table has few by then, and neither its columns nor an error need tell. So each table that is
// copied must be the same one from before the first view to behind its last row.
//
// Each chunk is looked at by itself, before it commits: its rows are read, and the view's transaction
// holds the table, so that whatever has the name now is what they were read from. A chunk that is
// durable has thereby proved it, and a table whose chunks are complete may become another one: what
// is done to it then the stream brings. Of an interrupted copy the identities are kept, so that the
// next run goes on with the same tables, or begins with those that are others anew.
//
// A server tells when a table was made (`CREATE_TIME`), in seconds. Measured on MariaDB 10.11.19 and
// MySQL 9.7.4: every ALTER and OPTIMIZE changes it, also those that only touch the dictionary, and
// on MariaDB RENAME does; TRUNCATE, ANALYZE, triggers and rows don't. MySQL's view of it is that of
// the transaction that asks, so another connection than the view's does.

/// What tells the tables of a copy from others that take their names.
struct TableIdentities: Codable, Sendable {
    /// Tables, as `schema.table` quoted, and when the server says that they were made: MariaDB
    /// tells of the last renaming too.
    var made: [String: String] = [:]

    /// Where they are stored: one record of the subtask.
    private static let place = TableName(schema: "", name: "")

    subscript(table: TableName) -> String? { made[table.quoted] }

    init() {}

    /// Reads what earlier runs of the copy have stored.
    init(_ objects: [StoredObject]) throws {
        guard let object = objects.first(where: { $0.kind == .identity }) else { return }
        self = try object.decoded(as: TableIdentities.self)
    }

    var stored: StoredObject {
        get throws { try StoredObject(kind: .identity, name: Self.place, encoding: self) }
    }

    /// What has rows to be copied.
    static let kinds = "TABLE_TYPE IN ('BASE TABLE','SYSTEM VERSIONED')"

    /// Leaves out all other tables.
    mutating func keep(only tables: [PlannedTable]) {
        let names = Set(tables.map(\.name.quoted))
        made = made.filter { names.contains($0.key) }
    }

    /// Tables that are others now, sorted. Those that are gone are none: what becomes of their rows
    /// the statement says that the stream brings.
    func differing(from now: TableIdentities, among tables: [PlannedTable]) -> [TableName] {
        tables.map(\.name).filter { table in
            guard let then = self[table], let now = now[table] else { return false }
            return then != now
        }.sorted()
    }
}

extension SchemaCopier {
    /// The tables that have these names on the source now.
    func identities(_ plan: SnapshotPlan) throws -> TableIdentities {
        let (source, _) = try connections()
        let kinds = TableIdentities.kinds
        var out = TableIdentities()
        for schema in Set(plan.tables.map(\.name.schema)).sorted() {
            let rows = try source.rows(
                "SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES "
                    + "WHERE TABLE_SCHEMA=\(utf8Literal(schema)) AND \(kinds)")
            for row in rows {
                let name = TableName(schema: schema, name: row[0] ?? "")
                out.made[name.quoted] = row[1] ?? ""
            }
        }
        out.keep(only: plan.tables)
        return out
    }

    /// To be called while a table is held by a transaction that has read of it.
    ///
    /// - Throws: ``SnapshotError/startsOver(_:detail:)`` when it is not the one that it was.
    func requireSame(_ table: TableName, as then: TableIdentities) throws {
        let (source, _) = try connections()
        let now = try source.value(
            "SELECT CREATE_TIME FROM information_schema.TABLES "
                + "WHERE TABLE_SCHEMA=\(utf8Literal(table.schema)) "
                + "AND TABLE_NAME=\(utf8Literal(table.name)) AND \(TableIdentities.kinds)")
        guard let then = then[table], let now, now != then else { return }
        throw SnapshotError.startsOver(
            [table], detail: "it was altered or replaced while it was copied")
    }
}
