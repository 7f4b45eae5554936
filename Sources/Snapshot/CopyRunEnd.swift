internal import Checkpoint
internal import MySQLCore
internal import Rules

// What is done when all rows are there: views and routines, and the hand-over to the stream.

extension CopyRun {
    /// Tables whose chunks are all there.
    static func whole(_ chunks: [ChunkRecord]) -> Set<TableName> {
        Set(Dictionary(grouping: chunks, by: \.table).filter { isComplete($0.value) }.keys)
    }

    private static func isComplete(_ chunks: [ChunkRecord]) -> Bool {
        var end: [String]?
        for chunk in chunks.sorted(by: { $0.chunk < $1.chunk }) {
            guard chunk.from == end else { return false }
            end = chunk.to
            if end == nil { return true }
        }
        return false
    }

    /// Creates routines and views, and keeps triggers and events for the switch-over.
    func copyObjects(_ recorded: [StoredObject]) async throws {
        let found = try await schema.sourceObjects(plan)
        let stored = StoredObjects(meta: configuration.meta, key: configuration.key)
        let owned = Set(
            recorded.filter { [.view, .procedure, .function].contains($0.kind) }
                .map { OwnedObject(kind: $0.kind, name: $0.name) })
        let created = try await schema.absent(found.created, owned: owned)
        let objects = try (created + found.waiting).map { try $0.stored() }
        try await control.write(objects.map { stored.storeStatement($0) })
        try await schema.createObjects(created)
    }

    /// - Parameter seen: the views of this run, whether rows were read in them or not.
    func finish(
        _ state: SubtaskState, followed: Set<TableName>, _ earlier: TableIdentities,
        seen: [SnapshotRecord]
    ) async throws -> SnapshotResult {
        let (snapshots, chunks, _) = try await control.ledger()
        let ranges = try CopyLedger.ranges(snapshots: snapshots, chunks: chunks)
        // What is recorded decides, not what this run remembers: no event may be applied before.
        let whole = Self.whole(chunks)
        for table in plan.tables where !whole.contains(table.name) {
            throw CheckpointError.inconsistent(
                detail: "chunks of \(table.name) are missing at the end of its copy")
        }
        guard let first = ranges.values.first else {
            throw SnapshotError.unsupported(
                object: "the selection", detail: "it matches no table of the source")
        }
        var all = first
        for range in ranges.values { all = try all.union(range) }
        // A table without rows here was gone when the views were opened: what came before is not
        // for it. That must not be forgotten because nothing was left to be read.
        for later in seen.map(\.high) + [state.consistentFrom] {
            guard let later, later.origin.server == all.high.origin.server else { continue }
            all = try all.union(CopyRange(low: all.low, high: later))
        }
        var shapes = Dictionary(uniqueKeysWithValues: plan.tables.map { ($0.name, $0.shape) })
        // Of what the source has dropped since, the stream has rows before that.
        for table in whole where shapes[table] == nil { shapes[table] = earlier[table]?.shape }
        // Where replication was under way already, its mark and the shapes at it stay; only
        // tables that were copied again get other ones, whichever run has done it.
        let again = Set(chunks.map(\.table)).subtracting(followed)
        try await control.beginFollowing(
            from: all.low, consistentFrom: all.high, shapes: Array(shapes.values),
            replacing: state.lowWater == nil ? nil : again)
        progress.set(.done)
        let totals = progress.current
        return SnapshotResult(
            state: state, ranges: ranges, start: all.low, consistentFrom: all.high, shapes: shapes,
            rows: totals.rows, bytes: totals.bytes)
    }
}
