public import Checkpoint
public import MySQLClient
public import MySQLCore

/// The last step of a migration: what must not run while rows are applied, runs from now on.
///
/// Triggers are created first, events after them and disabled: as long as no event is enabled,
/// nothing that was created has changed a row while nobody writes, and all of it can be taken back.
/// Whoever calls ``create(on:isResumed:)`` or ``enable(on:)`` holds the subtask's DDL lock on that
/// session, and has proven its run since: nobody else is in the middle of the same then.
public struct SwitchOver: Sendable {
    let meta: MetaSchema
    let key: SubtaskKey

    /// Makes the step of one subtask.
    public init(meta: MetaSchema, key: SubtaskKey) {
        self.meta = meta
        self.key = key
    }

    /// Replaces the stored definitions by those that the source has now: triggers and events may
    /// have been created, changed or dropped since the copy. What the target has already is left
    /// out, since it is somebody's own; but for an event, which is enabled where the source's is.
    ///
    /// - Parameter coordinator: that of the run that owns the subtask.
    /// - Throws: ``SnapshotError`` for a trigger of that name which is another one.
    public func refresh(
        from source: SwitchOverSource, comparing target: Connection, by coordinator: Coordinator
    ) throws {
        let stored = StoredObjects(meta: meta, key: key)
        var statements = [stored.removeStatement(.trigger), stored.removeStatement(.event)]
        for var object in source.waiting {
            if object.kind == .trigger {
                let there = try WaitingObjects.moments(object.name, target)
                guard there.isEmpty || there == object.moments else {
                    throw SnapshotError.unsupported(
                        object: "trigger \(object.name)",
                        detail:
                            "the target has one of that name, \(there[0].lowercased()), where the "
                            + "source's is another one: drop or rename one of the two")
                }
                guard there.isEmpty else { continue }
            } else if let there = try EventState(object.name, on: target) {
                guard object.isEnabled == true, !there.isEnabled else { continue }
                object.wasThere = true
            }
            statements.append(stored.storeStatement(try object.stored()))
        }
        try target.execute("COMMIT")
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

    /// Creates the stored triggers, and events that are not enabled yet. What the target refuses
    /// is thrown when all of it has been dropped again.
    ///
    /// - Parameters:
    ///   - session: with no transaction open; its settings are others afterwards.
    ///   - isResumed: whether this has been begun before: then what is there is its own work.
    /// - Throws: ``SnapshotError`` for what is refused, and nothing is left; `MySQLError` and
    ///   ``CheckpointError`` for what may be tried again, and some may be there.
    public func create(on session: TargetSession, isResumed: Bool) throws {
        let target = session.connection
        let objects = try stored(target).filter { $0.wasThere != true }
        var created = isResumed ? objects : []
        do {
            for object in objects {
                if try exists(object, target) {
                    guard !isResumed else { continue }
                    throw SnapshotError.unsupported(
                        object: "\(object.kind.rawValue) \(object.name)",
                        detail: "somebody has just created one of that name on the target")
                }
                do {
                    try object.create(on: target)
                } catch let error as MySQLError where error.retry == .no {
                    throw SnapshotError.unsupported(
                        object: "\(object.kind.rawValue) \(object.name)",
                        detail: "the target refuses its definition: \(error.message)")
                }
                created.append(object)
            }
        } catch let refusal as SnapshotError {
            for object in created where try exists(object, target) {
                let kind = object.kind == .trigger ? "TRIGGER" : "EVENT"
                try target.execute("DROP \(kind) IF EXISTS \(object.name.quoted)")
            }
            throw refusal
        }
    }

    /// Enables the events that the source has enabled. From the first one on, rows may change:
    /// there is no way back.
    ///
    /// - Parameter session: with no transaction open; its settings are others afterwards.
    public func enable(on session: TargetSession) throws {
        let target = session.connection
        for object in try stored(target) where object.kind == .event && object.isEnabled == true {
            // One that ran once and is over, or never will, is gone.
            guard let event = try EventState(object.name, on: target), !event.isEnabled else {
                continue
            }
            try target.execute("COMMIT")
            try event.enabling.create(on: target)
        }
    }

    /// Triggers before events, in the order in which they fire.
    private func stored(_ target: Connection) throws -> [SourceObject] {
        try StoredObjects(meta: meta, key: key).read(target)
            .filter { $0.kind == .trigger || $0.kind == .event }
            .map { try SourceObject($0) }
            .sorted {
                ($0.kind == .event ? 1 : 0, $0.order, $0.name)
                    < ($1.kind == .event ? 1 : 0, $1.order, $1.name)
            }
    }

    private func exists(_ object: SourceObject, _ target: Connection) throws -> Bool {
        let found =
            object.kind == .trigger
            ? try !WaitingObjects.moments(object.name, target).isEmpty
            : try EventState(object.name, on: target) != nil
        try target.execute("COMMIT")
        return found
    }
}

/// An event as a target has it.
private struct EventState {
    let isEnabled: Bool
    /// What enables it. All that it was made under is given again: `ALTER EVENT` replaces it, and
    /// the definer, by what the session has.
    let enabling: SourceObject

    /// - Returns: `nil` when there is none.
    init?(_ name: TableName, on target: Connection) throws {
        let found = try target.firstRow(
            """
            SELECT STATUS AS status, DEFINER AS definer, SQL_MODE AS sql_mode, \
            TIME_ZONE AS time_zone, COLLATION_CONNECTION AS collation_connection \
            FROM information_schema.EVENTS WHERE EVENT_SCHEMA=\(utf8Literal(name.schema)) \
            AND EVENT_NAME=\(utf8Literal(name.name))
            """)
        guard let row = found else { return nil }
        isEnabled = row["status"] == "ENABLED"
        let definer = (row["definer"] ?? nil) ?? ""
        let at = definer.lastIndex(of: "@") ?? definer.endIndex
        let user = quoteIdentifier(String(definer[..<at]))
        let host = quoteIdentifier(String(definer[at...].dropFirst()))
        enabling = SourceObject(
            .event, name, "ALTER DEFINER=\(user)@\(host) EVENT \(name.quoted) ENABLE", row: row)
    }
}
