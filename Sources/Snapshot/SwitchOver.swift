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
    ///   - target: where those that are there already are left out, since they are somebody's own.
    ///   - coordinator: that of the run that owns the subtask.
    public func refresh(
        from source: SwitchOverSource, leavingThoseOn target: Connection,
        by coordinator: Coordinator
    ) throws {
        let stored = StoredObjects(meta: meta, key: key)
        var statements = [stored.removeStatement(.trigger), stored.removeStatement(.event)]
        for object in source.waiting {
            if try exists(object, target) { continue }
            statements.append(stored.storeStatement(try object.stored()))
        }
        try stored.write(statements, by: coordinator)
    }

    /// Views and routines that the source has and the target lacks: a statement may have been
    /// refused while it was followed.
    public func missingObjects(
        from source: SwitchOverSource, on target: Connection
    ) throws -> [TableName] {
        source.objects.subtracting(try SwitchOverSource.objects(target)).map {
            TableName(schema: $0[1], name: $0[2])
        }.sorted()
    }

    /// Raises the target's AUTO_INCREMENT counters to the source's: rows that were inserted and
    /// deleted again have moved the source's alone, and an id must not be given twice.
    ///
    /// - Parameter tables: of each table of the source, the target's.
    public func raiseCounters(
        from source: SwitchOverSource, on target: Connection, _ tables: [TableName: TableName]
    ) throws {
        let found = try SwitchOverSource.counters(target)
        for (table, there) in tables.sorted(by: { $0.value < $1.value }) {
            guard let counter = source.counters[table], let has = found[there], has < counter else {
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

    /// Drops what ``run(_:)`` has created: afterwards rows can be applied again.
    ///
    /// - Parameter session: a session of the run that owns the subtask, with no transaction open.
    public func undo(_ session: TargetSession) throws {
        let target = session.connection
        for stored in try StoredObjects(meta: meta, key: key).read(target)
        where stored.kind == .trigger || stored.kind == .event {
            let object = try SourceObject(stored)
            guard try exists(object, target) else { continue }
            let kind = object.kind == .trigger ? "TRIGGER" : "EVENT"
            try target.execute("DROP \(kind) IF EXISTS \(object.name.quoted)")
        }
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
