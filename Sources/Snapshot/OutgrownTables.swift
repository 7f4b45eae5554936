internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules

extension SnapshotPlan {
    /// Tables of the target that this subtask has created, as far as it is recorded.
    func targets(recordedIn objects: [StoredObject]) throws -> Set<TableName> {
        var out: Set<TableName> = []
        for name in objects.created where isSelected(name) {
            out.insert(try mapping.target(of: name))
        }
        return out
    }

    /// Tables that foreign keys tie to another one, by now or as of the mark.
    func tied(by mark: [TableShape]) -> Set<TableName> {
        var out: Set<TableName> = []
        for table in tables.map(\.shape) + mark {
            for key in table.foreignKeys where key.parent != table.name {
                out.formUnion([key.parent, table.name])
            }
        }
        return out
    }

    /// Why outgrown tables can't start over: one of them can't be made anew, or what is copied again
    /// with it can't be emptied; `nil` when all can.
    ///
    /// - Parameters:
    ///   - followed: tables that are followed, these among them.
    ///   - mark: tables as they are at the mark.
    ///   - ownTargets: tables of the target without rows that were there before; `nil` for all.
    func refusal(
        _ outgrown: [TableName], startOverWith followed: Set<TableName>, at mark: [TableShape],
        ownTargets: Set<TableName>?
    ) throws -> SnapshotError? {
        let groups = tied(besides: followed.subtracting(outgrown), at: mark).exactGroups
        for table in outgrown {
            let route = try mapping.route(of: table)
            guard route.extracted.isEmpty, !mapping.mayBeShared(target: route.target) else {
                return try refusal(of: table, with: table)
            }
            guard let ownTargets else { continue }
            let group = groups.first { $0.contains(table) } ?? []
            for name in [table] + group.intersection(followed).subtracting([table]).sorted()
            where !ownTargets.contains(try mapping.target(of: name)) {
                return try refusal(of: table, with: name)
            }
        }
        return nil
    }

    private func refusal(of table: TableName, with kept: TableName) throws -> SnapshotError {
        let others = kept == table ? "" : " with \(kept)"
        return .targetExists(
            try mapping.target(of: kept),
            detail: "a table that comes can't be created beside it before changes of \(table) have "
                + "been followed, and \(table) can't be copied again\(others): take the table that "
                + "comes out again, and in when they have been")
    }
}

extension SchemaCopier {
    /// Those of some tables of the target that are there.
    func present(_ tables: [TableName]) throws -> Set<TableName> {
        let (_, target) = try connections()
        let there = try SchemaReader(target).shapes(of: tables)
        try target.execute("COMMIT")
        return Set(there.keys)
    }
}
