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

/// What tells a table of a copy from another one that takes its name.
struct TableIdentity: Codable, Sendable, Equatable {
    /// When the server says that it was made: MariaDB tells of the last renaming too. `nil` where
    /// it does not tell.
    var made: String?
    /// What it was when its rows were read.
    var shape: TableShape
}

/// The identities of a copy's tables; one record of the subtask each, until the copy ends.
struct TableIdentities: Sendable {
    private(set) var tables: [TableName: TableIdentity] = [:]

    subscript(table: TableName) -> TableIdentity? { tables[table] }

    /// - Parameter made: when tables were made, by the source.
    init(_ plan: SnapshotPlan, made: [TableName: String]) {
        for table in plan.tables {
            tables[table.name] = TableIdentity(made: made[table.name], shape: table.shape)
        }
    }

    /// Reads what earlier runs of the copy have stored.
    init(_ objects: [StoredObject]) throws {
        for object in objects where object.kind == .identity && !object.name.name.isEmpty {
            tables[object.name] = try object.decoded(as: TableIdentity.self)
        }
    }

    /// What has rows to be copied.
    static let kinds = "TABLE_TYPE IN ('BASE TABLE','SYSTEM VERSIONED')"

    /// Tables that are others now. Those that are gone are none: what becomes of their rows the
    /// statement says that the stream brings.
    func differing(from now: TableIdentities) -> Set<TableName> {
        Set(tables.filter { now[$0.key].map { [then = $0.value] in then != $0 } ?? false }.keys)
    }

    /// Tables of which the target has something by now.
    func begun(_ chunks: [ChunkRecord], _ owned: [TableName: String]) -> Set<TableName> {
        Set(tables.keys).intersection(Set(chunks.map(\.table)).union(owned.keys))
    }

    /// What is not stored yet of tables whose rows are to be read, sorted.
    ///
    /// - Parameter whole: tables whose rows are all there.
    func changes(
        since earlier: TableIdentities, but whole: Set<TableName>
    ) throws -> [StoredObject] {
        try tables.filter { !whole.contains($0.key) && earlier[$0.key] != $0.value }
            .sorted { $0.key < $1.key }
            .map { try StoredObject(kind: .identity, name: $0.key, encoding: $0.value) }
    }
}

extension SnapshotPlan {
    /// The same with the shapes that tables had when their rows were read; what a statement has
    /// changed since, the stream brings.
    func keeping(_ identities: TableIdentities, of whole: Set<TableName>) -> SnapshotPlan {
        with(
            tables.map { table in
                guard whole.contains(table.name), let then = identities[table.name] else {
                    return table
                }
                var table = table
                table.shape = then.shape
                return table
            })
    }
}

extension SchemaCopier {
    /// The tables that have these names on the source now.
    func identities(_ plan: SnapshotPlan) throws -> TableIdentities {
        let (source, _) = try connections()
        let kinds = TableIdentities.kinds
        var made: [TableName: String] = [:]
        for schema in Set(plan.tables.map(\.name.schema)).sorted() {
            let rows = try source.rows(
                "SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES "
                    + "WHERE TABLE_SCHEMA=\(utf8Literal(schema)) AND \(kinds)")
            for row in rows {
                let name = TableName(schema: schema, name: row[0] ?? "")
                made[name] = row[1]
            }
        }
        return TableIdentities(plan, made: made)
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
        guard let made = then[table]?.made, let now, now != made else { return }
        throw SnapshotError.startsOver(
            [table], detail: "it was altered or replaced while it was copied")
    }
}
