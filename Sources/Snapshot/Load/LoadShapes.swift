internal import Checkpoint
internal import MySQLClient
internal import MySQLCore

extension LoadSchema {
    /// The shapes of tables that are there, by the names that the dump has for them.
    func shapes() throws -> [TableName: TableShape] {
        // A server with thousands of tables may read their definitions for longer than it keeps a
        // session of which nothing comes.
        try idle.during { try readShapes() }
    }

    private func readShapes() throws -> [TableName: TableShape] {
        let reader = SchemaReader(target)
        let names = plan.tables.map(\.name)
        var found = try reader.shapes(of: names)
        let missing = names.filter { found[$0] == nil }
        // A server that does not tell case apart may keep names otherwise than the dump has them.
        if !missing.isEmpty, try target.value("SELECT @@lower_case_table_names") != "0" {
            var kept: [TableName: TableName] = [:]
            for schema in Set(missing.map { $0.schema.lowercased() }).sorted() {
                let rows = try target.rows(
                    "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES "
                        + "WHERE LOWER(TABLE_SCHEMA)=\(utf8Literal(schema))")
                for row in rows {
                    let name = TableName(schema: row[0] ?? "", name: row[1] ?? "")
                    kept[name.folded] = name
                }
            }
            let shapes = try reader.shapes(of: missing.compactMap { kept[$0.folded] })
            for name in missing {
                guard let other = kept[name.folded], let shape = shapes[other] else { continue }
                var renamed = shape
                renamed.name = name
                found[name] = renamed
            }
        }
        try target.execute("COMMIT")
        return found
    }

    /// Waits until no definition is under way of another load, from which tables were taken.
    func awaitDefinitions(of other: SubtaskKey) throws {
        let lock = DDLLock(session: ddl, meta: meta, key: other)
        try lock.awaitEndedRuns {
            progress.update {
                $0.waiting =
                    "a definition of the load \(other), which had tables of this one before, has "
                    + "not ended yet"
            }
            try coordinator.beat()
        }
        progress.update { $0.waiting = nil }
    }
}
