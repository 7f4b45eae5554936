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
    ///   - coordinator: that of the run that owns the subtask.
    public func refresh(
        from source: Connection, where isSelected: (TableName) -> Bool, by coordinator: Coordinator
    ) throws {
        let stored = StoredObjects(meta: meta, key: key)
        let now = try WaitingObjects.read(source, where: isSelected).map { try $0.stored() }
        var statements = [stored.removeStatement(.trigger), stored.removeStatement(.event)]
        statements += now.map { stored.storeStatement($0) }
        try stored.write(statements, by: coordinator)
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
