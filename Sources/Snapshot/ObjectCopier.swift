internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules

/// A view or routine that an earlier run of the copy created. A view's name says nothing of a
/// routine with the same one.
struct OwnedObject: Hashable {
    let kind: StoredObject.Kind
    let name: TableName
}

/// Views, routines, triggers and events.
extension SchemaCopier {
    /// What the source has: objects that are created after the rows, and those that wait for the
    /// switch-over.
    func sourceObjects(
        _ plan: SnapshotPlan
    ) throws -> (created: [SourceObject], waiting: [SourceObject]) {
        let (source, _) = try connections()
        let tables = Set(plan.tables.filter { $0.target == $0.name }.map(\.name))
        var created: [SourceObject] = []
        var waiting: [SourceObject] = []
        for schema in try SchemaReader(source).schemas() {
            created += try routines(schema, source) { plan.mapping.keeps(object: $0) }
            created += try views(schema, source, plan)
            waiting += try WaitingObjects.triggers(
                schema, source, of: { tables.contains($0) },
                except: { plan.mapping.isToolTrigger($0) })
            waiting += try WaitingObjects.events(schema, source) { plan.mapping.keeps(object: $0) }
        }
        return (created, waiting)
    }

    /// Objects that are to be created: those that the target lacks, and those of earlier runs,
    /// which are created again.
    func absent(_ objects: [SourceObject], owned: Set<OwnedObject>) throws -> [SourceObject] {
        let (_, target) = try connections()
        defer { _ = try? target.execute("COMMIT") }
        return try objects.filter { object in
            if owned.contains(OwnedObject(kind: object.storedKind, name: object.name)) {
                return true
            }
            let schema = utf8Literal(object.name.schema)
            let name = utf8Literal(object.name.name)
            let query =
                object.kind == .view
                ? "SELECT 1 FROM information_schema.TABLES "
                    + "WHERE TABLE_SCHEMA=\(schema) AND TABLE_NAME=\(name)"
                : "SELECT 1 FROM information_schema.ROUTINES "
                    + "WHERE ROUTINE_SCHEMA=\(schema) AND ROUTINE_NAME=\(name) "
                    + "AND ROUTINE_TYPE='\(object.kind.rawValue.uppercased())'"
            guard try !target.rows(query).isEmpty else { return true }
            if configuration.intoExisting { return false }
            throw SnapshotError.targetExists(object.name, detail: "\(object.kind.rawValue)")
        }
    }

    /// Creates routines and views, each when what it needs is there.
    func createObjects(_ objects: [SourceObject]) throws {
        let (source, target) = try connections()
        for schema in Set(objects.map(\.name.schema)).sorted() {
            try createDatabase(schema, as: schema, source, target)
        }
        for object in objects { try drop(object, target) }
        var left = objects
        while !left.isEmpty {
            var postponed: [SourceObject] = []
            var first: MySQLError?
            for object in left {
                do {
                    try object.create(on: target)
                } catch let error as MySQLError {
                    guard Self.needsAnother.contains(error.code) else {
                        throw refused(object, error)
                    }
                    postponed.append(object)
                    if first == nil { first = error }
                }
            }
            guard postponed.count < left.count else { throw refused(postponed[0], first!) }
            left = postponed
        }
        try applyDDLSettings(target, from: source.family)
    }

    /// Missing table, database, column, routine; a view over something missing.
    private static let needsAnother: Set<UInt32> = [1146, 1049, 1054, 1305, 1356]

    private func refused(_ object: SourceObject, _ error: MySQLError) -> any Error {
        guard error.retry == .no else { return error }
        let hint =
            error.code == 1418
            ? " (set log_bin_trust_function_creators=1 on the target for the copy)" : ""
        return SnapshotError.unsupported(
            object: "\(object.kind.rawValue) \(object.name)",
            detail: "the target refuses its definition: \(error.message)\(hint)")
    }

    /// Drops what an earlier run has created of it.
    func drop(_ object: SourceObject, _ target: Connection) throws {
        try target.execute(
            "DROP \(object.kind.rawValue.uppercased()) IF EXISTS \(object.name.quoted)")
    }

    // MARK: Reading

    private func routines(
        _ schema: String, _ source: Connection, _ isWanted: (TableName) -> Bool
    ) throws -> [SourceObject] {
        let list = try source.rows(
            "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES "
                + "WHERE ROUTINE_SCHEMA=\(utf8Literal(schema)) ORDER BY ROUTINE_NAME")
        return try list.compactMap { entry -> SourceObject? in
            let name = TableName(schema: schema, name: entry[1] ?? "")
            let type = entry[0] ?? ""
            guard isWanted(name) else { return nil }
            guard type == "PROCEDURE" || type == "FUNCTION" else {
                throw SnapshotError.unsupported(
                    object: "\(type.lowercased()) \(name)",
                    detail: "packages are not migrated; leave it out and create it by hand")
            }
            guard let row = try WaitingObjects.show(type, name, source) else { return nil }
            let isProcedure = type == "PROCEDURE"
            let column = isProcedure ? "Create Procedure" : "Create Function"
            return SourceObject(
                isProcedure ? .procedure : .function, name,
                try WaitingObjects.definition(row[column], "routine", name), row: row)
        }
    }

    private func views(
        _ schema: String, _ source: Connection, _ plan: SnapshotPlan
    ) throws -> [SourceObject] {
        let list = try source.rows(
            "SELECT TABLE_NAME FROM information_schema.VIEWS "
                + "WHERE TABLE_SCHEMA=\(utf8Literal(schema)) ORDER BY TABLE_NAME")
        let names = list.map { TableName(schema: schema, name: $0[0] ?? "") }
            .filter { plan.mapping.keeps(object: $0) }
        guard !names.isEmpty else { return [] }
        // With its schema as default, a view's own tables are named without it.
        do throws(MySQLError) {
            try source.execute("USE \(quoteIdentifier(schema))")
        } catch {
            guard error.code == WaitingObjects.noSuchSchema else { throw error }
            return []
        }
        return try names.compactMap { name -> SourceObject? in
            guard let row = try WaitingObjects.show("VIEW", name, source) else { return nil }
            return SourceObject(
                .view, name, try WaitingObjects.definition(row["Create View"], "view", name),
                row: row)
        }
    }
}
