internal import Checkpoint
internal import MySQLClient
internal import MySQLCore

// A read view sees rows, not names: a table that is renamed to another one's name is read in its
// place, with those rows only that it had when the view was opened. An online schema change's copy
// of a table has few by then, and neither its columns nor an error need tell. So each table that is
// copied must be the same one from before the first view to behind the last row.

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

    /// Keeps what is true of some tables only.
    mutating func keep(where isKept: (TableName) -> Bool, of tables: [PlannedTable]) {
        let names = Set(tables.map(\.name).filter(isKept).map(\.quoted))
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
        var out = TableIdentities()
        for schema in Set(plan.tables.map(\.name.schema)).sorted() {
            let rows = try source.rows(
                "SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES "
                    + "WHERE TABLE_SCHEMA=\(utf8Literal(schema)) AND TABLE_TYPE='BASE TABLE'")
            for row in rows {
                let name = TableName(schema: schema, name: row[0] ?? "")
                out.made[name.quoted] = row[1] ?? ""
            }
        }
        out.keep(where: { _ in true }, of: plan.tables)
        return out
    }
}
