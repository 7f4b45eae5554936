public import Checkpoint
internal import MySQLClient
public import MySQLCore
internal import Rules
internal import Runtime

/// Starts a migration over: what it has left on the target is dropped, and its checkpoint is as
/// on the first day.
///
/// Only for a subtask that is alone on its tables; where another source merges into them, they
/// are emptied row by row instead.
public struct FreshStart: Sendable {
    private let configuration: SnapshotConfiguration

    /// Makes the step; nothing is touched.
    public init(configuration: SnapshotConfiguration) {
        self.configuration = configuration
    }

    /// Takes over, drops, and clears the checkpoint. The subtask's row must exist.
    ///
    /// - Parameter plan: tables of the selection; of what is on the target only these, and what the
    ///   subtask has created, are dropped.
    /// - Returns: what was dropped, by its names on the target.
    @discardableResult
    public func run(
        epoch: EpochPolicy, token: RunToken, plan: SnapshotPlan
    ) async throws -> [TableName] {
        let interrupts = Interrupts()
        return try await withTaskCancellationHandler {
            try await attempt(epoch, token, plan, interrupts)
        } onCancel: {
            interrupts.fire()
        }
    }

    private func attempt(
        _ epoch: EpochPolicy, _ token: RunToken, _ plan: SnapshotPlan, _ interrupts: Interrupts
    ) async throws -> [TableName] {
        var alone = configuration
        alone.pairs = 0
        let control = CopyControl(alone, interrupts)
        let schema = SchemaCopier(alone, interrupts, lane: 0)
        let barrier = RunBarrier(lanes: 1)
        async let joined: Void = schema.join(barrier)
        _ = try await control.takeOver(
            barrier, token: token, epoch: epoch, lanes: 1, progress: SnapshotProgress())
        try await joined
        try await schema.lock()
        let (_, _, objects) = try await control.ledger()
        let owned = try objects.created.map { try plan.mapping.target(of: $0) }
        let views = objects.filter { $0.kind == .view }.map(\.name)
        let routines = try objects.filter { $0.kind == .procedure || $0.kind == .function }.map {
            try SourceObject($0)
        }
        let dropped = Set(owned).union(plan.tables.map(\.target)).sorted()
        // Whatever ends this in the middle: what was copied counts for nothing from now on.
        try await control.forgetCopy(objects)
        try await schema.dropObjects(views: views, routines: routines)
        try await schema.drop(dropped)
        try await control.clear(objects)
        return dropped
    }
}

extension SchemaCopier {
    /// Drops views and routines that this subtask created.
    func dropObjects(views: [TableName], routines: [SourceObject]) throws {
        let (_, target) = try connections()
        for view in views { try target.execute("DROP VIEW IF EXISTS \(view.quoted)") }
        for routine in routines { try drop(routine, target) }
    }
}

extension CopyControl {
    /// Forgets what was copied and followed, but not which tables and objects are the subtask's:
    /// those that are still there start over.
    func forgetCopy(_ objects: [StoredObject]) throws {
        let meta = configuration.meta
        let key = configuration.key
        let stored = StoredObjects(meta: meta, key: key)
        let kept: Set<StoredObject.Kind> = [.table, .view, .procedure, .function, .adopted]
        try transaction(Self.asOnTheFirstDay) {
            ["chunk", "snapshot", "shape", "ddl"].map {
                "DELETE FROM \(meta.table($0)) WHERE \(key.condition)"
            }
                + objects.filter { !kept.contains($0.kind) }.map {
                    stored.removeStatement($0.kind, $0.name)
                }
                + objects.filter { $0.kind == .table }.map {
                    stored.storeStatement(
                        StoredObject(kind: .restart, name: $0.name, definition: []))
                }
        }
    }

    private static let asOnTheFirstDay =
        "phase='copy', low_water=NULL, consistent_from=NULL, carried='', tail=''"

    /// Forgets everything but the subtask's row, which is as if the copy had never begun.
    ///
    /// - Parameter objects: what is forgotten; another tool's task stays known as one that Skein
    ///   has gone on with.
    func clear(_ objects: [StoredObject]) throws {
        let meta = configuration.meta
        let key = configuration.key
        let adopted = try Adoption.read(objects).map {
            AdoptedTask($0.task, source: key.source, meta: meta)
        }
        try transaction(Self.asOnTheFirstDay) {
            var statements = ["chunk", "snapshot", "object", "shape", "ddl"].map {
                "DELETE FROM \(meta.table($0)) WHERE \(key.condition)"
            }
            if let adopted { statements.append(adopted.noteStatement) }
            return statements
        }
    }
}
