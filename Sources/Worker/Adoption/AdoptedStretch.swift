internal import MySQLClient
internal import MySQLCore
internal import Replication
internal import Rules
internal import Stream

/// Where a task of DM's is gone on with, and up to where DM may have applied changes already.
///
/// DM writes its checkpoint beside the rows, not with them: behind its global place any part of what
/// it has read may be on the target. How far it has read its checkpoint says only after an error.
/// Everybody else is held to have read all that the source had when it was stopped.
struct AdoptedStretch {
    /// Everything up to it is on the target.
    let start: SourcePosition
    /// Nothing behind it is.
    let end: SourcePosition

    /// Whether changes from the start on have never been applied.
    var isEmpty: Bool { start.gtids == end.gtids && start.continues(end) }

    /// Finds where the task is gone on with.
    ///
    /// - Throws: `StreamError` when the source has no such place (any more).
    static func start(
        of checkpoint: DMCheckpoint, _ task: DMTask, _ search: StartSearch
    ) throws -> SourcePosition {
        let global = checkpoint.global
        switch (global.position, global.gtids.isEmpty) {
        case (let position?, true): return try search.find(.position(position))
        case (let position?, false):
            return try search.find(.either(gtids: global.gtids, position: position))
        case (nil, false): return try search.find(.gtids(global.gtids))
        case (nil, true):
            throw task.refused(
                "its checkpoint \(global.text) is a place in the relay log of a server that took "
                    + "over from another one, and has no GTIDs")
        }
    }

    /// Finds up to where DM may have applied changes, as DM's checkpoint says it. DM must have been
    /// stopped.
    ///
    /// - Parameter isAnew: somebody else has gone on from there meanwhile, who wrote nothing of it
    ///   into DM's checkpoint.
    /// - Returns: `nil` when it does not say.
    static func noted(
        in checkpoint: DMCheckpoint, _ search: StartSearch, isAnew: Bool
    ) throws -> SourcePosition? {
        // DM gives its place up in the checkpoint before it applies anything behind it. But GTIDs
        // that it has kept from a time when it used them say nothing; they show by another place.
        // And one that the checkpoint has passed is left from an earlier error.
        guard !isAnew, let exit = checkpoint.exit,
            try confirmed(checkpoint.global, search) != nil,
            (checkpoint.tables + [checkpoint.global]).allSatisfy({ !isBehind($0, exit) })
        else { return nil }
        return try confirmed(exit, search)
    }

    /// The end of all that DM can have read, where its checkpoint does not say how far it was. DM
    /// must have been stopped, and a source that is a replica must have everything that the server
    /// had which DM read.
    static func end(
        _ search: StartSearch, _ source: ConnectionOptions
    ) throws -> SourcePosition {
        var end = try search.find(.now)
        // A replica may have read what is not committed yet, like a transaction that waits for
        // another replica.
        let session = SourceSession(try Connection(source))
        if try session.serverName() == end.origin.server {
            end.binlog = max(end.binlog, try session.currentPosition())
        }
        return end
    }

    /// The place that file and offset and GTIDs name alike; `nil` where they contradict each other,
    /// or can't be compared.
    private static func confirmed(
        _ place: DMPlace, _ search: StartSearch
    ) throws -> SourcePosition? {
        guard let position = place.position else { return nil }
        do {
            let found = try search.find(.position(position))
            guard !place.gtids.isEmpty, found.gtids != .none else { return found }
            let named = try search.find(.gtids(place.gtids))
            return named.gtids == found.gtids ? named : nil
        } catch is StreamError {
            return nil
        }
    }

    private static func isBehind(_ place: DMPlace, _ other: DMPlace) -> Bool {
        guard let a = place.position, let b = other.position else { return true }
        return a > b
    }

    /// What is said of a source that may lack what DM has read from another server. It is told from
    /// no checkpoint: rows of what comes later would be there already, those without a key twice.
    static func lagging(_ doubt: String) -> String {
        "the source is a replica, and may lack what DM has read from the server that it follows: "
            + doubt
    }

    /// What is said of a source that does not tell whether it is a replica.
    static let unknownReplica =
        "the source does not tell whether it is a replica, which may lack what DM has read from the "
        + "server that it follows: GRANT REPLICA MONITOR (on MySQL REPLICATION CLIENT) to its user"

    /// What to do about such a source.
    static let replicaRemedy =
        "let it catch up with the server that DM read, or name that one as the source; RESET REPLICA "
        + "ALL, where it is to follow nobody any more"

    /// What is said of tables whose changes can't be repeated.
    ///
    /// - Parameter isAnew: Skein has gone on since DM.
    static func refusal(
        of tables: [TableName], _ stretch: AdoptedStretch, isAnew: Bool
    ) -> String {
        let refusal =
            "changes from \(stretch.start) up to \(stretch.end) may be on the target already, and "
            + "those of tables without a key, or where foreign keys act on rows or filters leave "
            + "some out, can't be repeated without harm: \(someNames(tables)). Copy these under "
            + "another name and exclude them here"
        if isAnew {
            return
                "Skein has gone on with the task since DM, whose checkpoint tells nothing of it: "
                + refusal
        }
        return refusal
            + "; or, where DM was stopped orderly while its target answered, ignore the check "
            + "adopt-tables: then their changes are applied exactly from DM's checkpoint on"
    }

    /// Tables whose changes can't be repeated: without a key a row would be there twice, where
    /// foreign keys act on rows no binlog tells what became of them, and where rules leave rows out
    /// nothing tells whether one that is missing was left out, or was about to be written.
    static func unrepeatable(
        _ shapes: some Collection<TableShape>, _ mapping: TableMapping
    ) -> [TableName] {
        let shapes = shapes.sorted { $0.name < $1.name }
        let odd = shapes.filter { $0.identifyingKey == nil || mapping.leavesOutRows(of: $0.name) }
        return ForeignKeys.cascadeGroups(shapes).union(odd.map(\.name)).sorted()
    }
}
