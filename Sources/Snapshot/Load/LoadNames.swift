internal import MySQLClient
internal import MySQLCore

extension TableName {
    /// The name as a server compares it that does not tell case apart.
    var folded: TableName { TableName(schema: schema.lowercased(), name: name.lowercased()) }

    /// Names of which others differ in case alone, sorted.
    static func alike(_ names: [TableName]) -> [TableName] {
        Dictionary(grouping: Set(names), by: \.folded).values
            .filter { $0.count > 1 }.flatMap { $0 }.sorted()
    }
}

extension LoadPlan {
    /// Makes sure that no two names of the dump are one on the target. The second of two tables
    /// would be found there, empty and with the right columns, as one that may be loaded into: the
    /// rows of both would come to one.
    ///
    /// - Throws: ``SnapshotError/unsupported(object:detail:)``, before anything is touched.
    func requireApart(on target: Connection) throws {
        let setting = try target.value("SELECT @@lower_case_table_names") ?? "0"
        try target.execute("COMMIT")
        guard setting != "0" else { return }
        // Views share their names with tables.
        let names = tables.map(\.name) + objects.filter { $0.kind == .view }.map(\.name)
        let databases = TableName.alike(
            (names + objects.map(\.name)).map { TableName(schema: $0.schema, name: "") })
        let what = databases.isEmpty ? "tables" : "databases"
        let alike =
            databases.isEmpty
            ? TableName.alike(names).map(\.description) : databases.map(\.schema)
        guard !alike.isEmpty else { return }
        let shown = alike.prefix(10).joined(separator: ", ")
        throw SnapshotError.unsupported(
            object: "\(what) \(shown)\(alike.count > 10 ? " and \(alike.count - 10) more" : "")",
            detail: "their names differ in case alone, and on the target, which does not tell case "
                + "apart (lower_case_table_names=\(setting)), they would be one; leave all but one "
                + "out (--exclude), or load into a server with lower_case_table_names=0")
    }
}
