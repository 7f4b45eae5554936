public import Checkpoint
internal import MySQLClient
internal import MySQLCore

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
    /// dropped comes back when the source's is refused.
    ///
    /// - Parameters:
    ///   - source: read with all objects in `stale`.
    ///   - session: holds the subtask's DDL lock, has proven its run behind it, and has no
    ///     transaction open; its settings are others afterwards.
    /// - Throws: `MySQLError` for what may be tried again.
    public func repair(
        _ stale: [StaleObject], from source: SwitchOverSource, on session: TargetSession
    ) throws -> ObjectRepair {
        var repair = ObjectRepair()
        var left = stale
        var reasons: [StaleObject.ID: String] = [:]
        // One may need another one.
        while true {
            var next: [StaleObject] = []
            for object in left {
                if let reason = try refusal(
                    object, source.definitions[object.id], session.connection)
                {
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
            let there = try ObjectDefinition(object.id, on: session.connection)
            object.asked = there.asked(on: session.connection)
            repair.effects.append(.stale(object))
            repair.refused.append((object.id, reasons[object.id] ?? object.reason))
        }
        try session.connection.execute("COMMIT")
        return repair
    }

    /// Makes one what the source has.
    ///
    /// - Returns: why the target refuses it; `nil` when it is done.
    private func refusal(
        _ object: StaleObject, _ wanted: SourceObject?, _ target: Connection
    ) throws -> String? {
        let there = try ObjectDefinition(object.id, on: target)
        try target.execute("COMMIT")
        let drop = "DROP \(object.id.kind.rawValue.uppercased()) IF EXISTS \(object.id.name.quoted)"
        guard let wanted else {
            guard case .absent = there else {
                return try Self.tell("the source has dropped it, and the target does not") {
                    try target.execute(drop)
                }
            }
            return nil
        }
        if case .shown(let now) = there {
            if wanted.isSame(as: now) { return nil }
            // Somebody was asked to do something about it, and did.
            let asked = there.asked(on: target)
            if let before = object.asked, before.version == asked.version, before != asked {
                return nil
            }
        }
        let what = "the target refuses the source's definition"
        if case .absent = there { return try Self.tell(what) { try wanted.create(on: target) } }
        if let replacing = wanted.replacing(on: target) {
            return try Self.tell(what) { try replacing.create(on: target) }
        }
        guard case .shown(let now) = there else {
            return "the target has another one, and does not show its user what it is: grant it "
                + "SHOW_ROUTINE, or drop the \(object.id.kind.rawValue) there"
        }
        if let reason = try Self.tell(
            "the target does not let the one go that it has", { try target.execute(drop) })
        {
            return reason
        }
        let refused: String?
        do {
            refused = try Self.tell(what) { try wanted.create(on: target) }
        } catch {
            // It is tried again; meanwhile the target has what it had.
            try? now.create(on: target)
            throw error
        }
        guard let reason = refused else { return nil }
        let lost = try Self.tell("and what the target had can't be created again") {
            try now.create(on: target)
        }
        return [reason, lost].compactMap { $0 }.joined(separator: "; ")
    }

    /// Does something, and says why it is refused for good.
    private static func tell(_ what: String, _ body: () throws -> Void) throws -> String? {
        do {
            try body()
            return nil
        } catch let error as MySQLError where error.retry == .no {
            return "\(what): \(error.message)"
        } catch let SnapshotError.unsupported(_, detail) {
            return "\(what): \(detail)"
        }
    }
}
