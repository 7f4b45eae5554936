internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Relay
internal import Settings
internal import Stream

extension RelayCheckpoint {
    /// What a migration's target holds of its source, by what is durable there; blocks.
    ///
    /// - Parameter reads: whether the migration reads the log, if it follows already.
    /// - Returns: `nil` for one that has not begun, or is over.
    static func read(_ settings: MigrationSettings, reads: Bool) throws -> RelayCheckpoint? {
        let meta = MetaSchema(name: settings.metaSchema)
        let key = SubtaskKey(
            task: settings.name, source: settings.sourceID ?? settings.source.server)
        let target = try Connection(settings.target)
        let takeover = Takeover(meta: meta, key: key)
        guard try meta.exists(target), var state = try takeover.peek(target),
            state.phase != "finished"
        else { return nil }
        // Who reads says it again; its lanes may hold locks for long.
        let isReading = reads && state.phase == "follow"
        if !isReading { state = try takeover.settled(target) ?? state }
        var positions = [state.lowWater, state.consistentFrom].compactMap { $0 }
        if state.phase == "copy" {
            let ledger = CopyLedger(meta: meta, key: key)
            let used = Set(try ledger.chunks(target).map(\.snapshot))
            for snapshot in try ledger.snapshots(target) where used.contains(snapshot.id) {
                guard let high = snapshot.high else {
                    throw CheckpointError.inconsistent(
                        detail: "\(key) has rows of a snapshot whose end is not known yet")
                }
                positions.append(high)
            }
        }
        return RelayCheckpoint(
            HeldTransactions(
                task: settings.name, target: settings.target.server, positions: positions,
                others: state.carried),
            isReading: isReading)
    }
}
