public import Checkpoint
public import MySQLClient

/// What a switch-over has made of the views and routines of which the target has refused a
/// statement.
public struct ObjectRepair: Sendable {
    /// What is known of them now, to be recorded.
    public internal(set) var effects: [ObjectEffect] = []
    /// Those that still are not what the source has, and why.
    public internal(set) var refused: [(id: StaleObject.ID, reason: String)] = []

    /// Nothing was to be done.
    public init() {}

    /// The error that ends the switch-over; `nil` when all are what the source has.
    public var refusal: SnapshotError? {
        guard let first = refused.first else { return nil }
        var detail = first.reason
        if refused.count > 1 {
            let names = refused.prefix(20).map(\.id.description).joined(separator: ", ")
            detail += " (\(refused.count) in all: \(names)\(refused.count > 20 ? ", .." : ""))"
        }
        return SnapshotError.otherObject(object: first.id.description, detail: detail)
    }
}

extension SwitchOver {
    /// Makes views and routines what they are on the source, of which the target has refused a
    /// statement while it was followed. Nothing of it can't be undone, and done again it changes
    /// nothing: it is no part of what makes the way back impossible.
    ///
    /// Each is replaced in one statement where the target has such a statement; else what is
    /// dropped is recorded before, and comes back, also from a later call, when the source's is
    /// refused. What was granted on it is granted on the new one.
    ///
    /// - Parameters:
    ///   - source: read with all objects in `stale`.
    ///   - session: holds the subtask's DDL lock, has proven its run behind it, and has no
    ///     transaction open; its settings are others afterwards.
    ///   - coordinator: that of the run, on that session.
    /// - Throws: `MySQLError` for what may be tried again, and ``CheckpointError``.
    public func repair(
        _ stale: [StaleObject], from source: SwitchOverSource, on session: TargetSession,
        by coordinator: Coordinator
    ) throws -> ObjectRepair {
        let target = session.connection
        var replacement = try ObjectReplacement(
            StoredObjects(meta: meta, key: key), target, by: coordinator)
        var repair = ObjectRepair()
        let known = try StaleObjects(meta: meta, key: key).read(target)
        repair.refused = try replacement.settle(except: Set(stale.map(\.id)), known)
        var left = stale
        var reasons: [StaleObject.ID: String] = [:]
        // One may need another one.
        while true {
            var next: [StaleObject] = []
            for object in left {
                if let reason = try replacement.make(object, as: source.definitions[object.id]) {
                    reasons[object.id] = reason
                    next.append(object)
                } else {
                    repair.effects.append(.settled(object.id))
                }
            }
            let isStuck = next.count == left.count
            left = next
            if isStuck || left.isEmpty { break }
        }
        for var object in left {
            let there = try ObjectDefinition(object.id, on: target)
            object.asked = there.asked(on: target)
            repair.effects.append(.stale(object))
            repair.refused.append((object.id, reasons[object.id] ?? object.reason))
        }
        try target.execute("COMMIT")
        return repair
    }

    /// Whether a call of ``repair(_:from:on:by:)`` has dropped something, or made something to try
    /// whether it could come back, and was ended before that was made good.
    public func isReplacing(on target: Connection) throws -> Bool {
        try !ReplacedObject.read(StoredObjects(meta: meta, key: key), target).isEmpty
    }
}
