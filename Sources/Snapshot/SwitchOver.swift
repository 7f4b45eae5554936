public import Checkpoint
public import MySQLClient
public import MySQLCore

/// The last step of a migration: what must not run while rows are applied, runs from now on.
public struct SwitchOver: Sendable {
    private let meta: MetaSchema
    private let key: SubtaskKey

    /// Makes the step of one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
    }

    /// Replaces the stored definitions by those that the source has now: triggers and events may
    /// have been created, changed or dropped since the copy.
    ///
    /// - Parameters:
    ///   - isSelected: whether a table (of a trigger), or an event, is migrated.
    ///   - isLeftOut: whether a trigger is not, although its table is.
    ///   - coordinator: that of the run that owns the subtask.
    public func refresh(
        from source: Connection, where isSelected: (TableName) -> Bool,
        exceptTriggers isLeftOut: (TableName) -> Bool = { _ in false },
        by coordinator: Coordinator
    ) throws {
        let stored = StoredObjects(meta: meta, key: key)
        let now = try WaitingObjects.read(
            source, where: isSelected, exceptTriggers: isLeftOut
        ).map { try $0.stored() }
        var statements = [stored.removeStatement(.trigger), stored.removeStatement(.event)]
        statements += now.map { stored.storeStatement($0) }
        try stored.write(statements, by: coordinator)
    }

    /// Views and routines that the source has and the target lacks: a statement may have been
    /// refused while it was followed.
    public func missingObjects(
        from source: Connection, on target: Connection, where isSelected: (TableName) -> Bool
    ) throws -> [TableName] {
        let query =
            "SELECT 'VIEW', TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEWS UNION ALL "
            + "SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME FROM information_schema.ROUTINES"
        let system: Set<String> = ["mysql", "sys", "information_schema", "performance_schema"]
        func read(_ connection: Connection) throws -> Set<[String]> {
            Set(try connection.rows(query).map { $0.map { $0 ?? "" } })
        }
        let lacking = try read(source).filter {
            !system.contains($0[1].lowercased())
                && isSelected(TableName(schema: $0[1], name: $0[2]))
        }.subtracting(try read(target))
        return lacking.map { TableName(schema: $0[1], name: $0[2]) }.sorted()
    }

    /// Raises the target's AUTO_INCREMENT counters to the source's: rows that were inserted and
    /// deleted again have moved the source's alone, and an id must not be given twice.
    ///
    /// - Parameter tables: of each table of the source, the target's.
    public func raiseCounters(
        from source: Connection, on target: Connection, _ tables: [TableName: TableName]
    ) throws {
        func counters(_ connection: Connection) throws -> [TableName: UInt64] {
            if connection.family == .mysql, connection.serverVersion.isAtLeast(8) {
                // Else the answer is a day old.
                try connection.execute("SET SESSION information_schema_stats_expiry=0")
            }
            var out: [TableName: UInt64] = [:]
            for row in try connection.rows(
                "SELECT TABLE_SCHEMA, TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES "
                    + "WHERE AUTO_INCREMENT IS NOT NULL")
            {
                out[TableName(schema: row[0] ?? "", name: row[1] ?? "")] =
                    row[2].flatMap { UInt64($0) }
            }
            return out
        }
        let wanted = try counters(source)
        let found = try counters(target)
        for (table, there) in tables.sorted(by: { $0.value < $1.value }) {
            guard let counter = wanted[table], let has = found[there], has < counter else {
                continue
            }
            try target.execute("ALTER TABLE \(there.quoted) AUTO_INCREMENT=\(counter)")
        }
    }

    /// Creates the stored triggers and events. Nothing may be applied any more; those that exist
    /// already are left, so that the step can be made again.
    ///
    /// - Parameter session: a session of the run that owns the subtask, with no transaction open;
    ///   its settings are others afterwards.
    /// - Returns: what was created.
    /// - Throws: `MySQLError`, ``CheckpointError``, ``SnapshotError``.
    @discardableResult
    public func run(_ session: TargetSession) throws -> [TableName] {
        let target = session.connection
        let objects = try StoredObjects(meta: meta, key: key).read(target)
            .filter { $0.kind == .trigger || $0.kind == .event }
            .map { try SourceObject($0) }
            .sorted { ($0.order, $0.name) < ($1.order, $1.name) }
        var created: [TableName] = []
        for object in objects where try !exists(object, target) {
            do {
                try object.create(on: target)
            } catch let error as MySQLError where error.retry == .no {
                throw SnapshotError.unsupported(
                    object: "\(object.kind.rawValue) \(object.name)",
                    detail: "the target refuses its definition: \(error.message)")
            }
            created.append(object.name)
        }
        return created
    }

    private func exists(_ object: SourceObject, _ target: Connection) throws -> Bool {
        let schema = utf8Literal(object.name.schema)
        let name = utf8Literal(object.name.name)
        let query =
            object.kind == .trigger
            ? "SELECT 1 FROM information_schema.TRIGGERS "
                + "WHERE TRIGGER_SCHEMA=\(schema) AND TRIGGER_NAME=\(name)"
            : "SELECT 1 FROM information_schema.EVENTS "
                + "WHERE EVENT_SCHEMA=\(schema) AND EVENT_NAME=\(name)"
        let found = try !target.rows(query).isEmpty
        try target.execute("COMMIT")
        return found
    }
}
