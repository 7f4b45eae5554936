internal import Checkpoint
internal import MySQLClient
internal import MySQLCore
internal import Rules
internal import Settings
internal import Stream

extension Prechecks {
    /// Whether DM's checkpoint can be gone on from. Whether DM rests is seen when it begins.
    static func adopt(_ context: CheckContext) throws -> Check.Finding {
        guard let task = task(context) else { return notAdopted(context) }
        do {
            let target = context.target.connection
            try task.requireSilence(target)
            let checkpoint = try task.checkpoint(target)
            try task.requireNothingOpen(target)
            let start = try AdoptedStretch.start(of: checkpoint, task, search(context))
            let isAnew = try isAnew(task, context)
            if try AdoptedStretch.noted(in: checkpoint, search(context), isAnew: isAnew) == nil,
                let finding = try lag(context)
            {
                return finding
            }
            return .ok("DM's task \(task.name) is gone on with from \(start)")
        } catch let error as MigrationError {
            return .error("\(error)", remedy: "let DM go on until there is nothing like it")
        } catch let error as StreamError {
            return .error(
                "DM's checkpoint: \(error)", remedy: "copy the rows that are there, with mode all")
        }
    }

    /// Whether the source is a replica that may lack what DM has read elsewhere. One that is only
    /// some moments behind need not be so when it matters: then it is waited for.
    private static func lag(_ context: CheckContext) throws -> Check.Finding? {
        guard let status = try SourceSession(context.source.connection).replicaStatus() else {
            return .error(AdoptedStretch.unknownReplica, remedy: AdoptedStretch.replicaRemedy)
        }
        guard let doubt = status.doubt(since: status) else { return nil }
        let message = AdoptedStretch.lagging(doubt)
        return status.isRunning
            ? .warning(message, remedy: "if it does not catch up by itself, it is refused")
            : .error(message, remedy: AdoptedStretch.replicaRemedy)
    }

    /// Tables that can't take changes twice.
    static func adoptTables(_ context: CheckContext) throws -> Check.Finding {
        guard let task = task(context) else { return notAdopted(context) }
        let tables = AdoptedStretch.unrepeatable(
            context.sourceTables.shapes.values, context.settings.mapping)
        guard !tables.isEmpty else { return .ok("changes of every table can be repeated") }
        do {
            let checkpoint = try task.checkpoint(context.target.connection)
            let isAnew = try Self.isAnew(task, context)
            let stretch = AdoptedStretch(
                start: try AdoptedStretch.start(of: checkpoint, task, search(context)),
                end: try AdoptedStretch.noted(in: checkpoint, search(context), isAnew: isAnew)
                    ?? AdoptedStretch.end(search(context), context.settings.source))
            return stretch.isEmpty
                ? .ok("nothing behind DM's checkpoint was applied")
                : .error(
                    AdoptedStretch.refusal(of: tables, stretch, isAnew: isAnew),
                    remedy: "as said, table by table")
        } catch let error as MigrationError {
            return .skipped("\(error)")
        } catch let error as StreamError {
            return .skipped("\(error)")
        }
    }

    /// Whether Skein has gone on with the task before, or the user says so.
    private static func isAnew(_ task: DMTask, _ context: CheckContext) throws -> Bool {
        if context.settings.fresh { return true }
        let meta = MetaSchema(name: context.settings.metaSchema)
        return try AdoptedTask(task.name, source: task.source, meta: meta)
            .isTaken(context.target.connection)
    }

    private static func task(_ context: CheckContext) -> DMTask? {
        guard !context.isResuming, let adoption = context.settings.adoption else { return nil }
        let settings = context.settings
        return adoption.dmTask(
            SubtaskKey(
                task: settings.name, source: settings.sourceID ?? settings.source.server))
    }

    private static func notAdopted(_ context: CheckContext) -> Check.Finding {
        context.isResuming && context.settings.adoption != nil
            ? .warning(
                "an earlier run is continued from its own checkpoint, DM's is not looked at",
                remedy: "leave adopt out")
            : .ok("no task of DM's is gone on with")
    }

    private static func search(_ context: CheckContext) -> StartSearch {
        StartSearch(
            context.settings.source, serverID: UInt32.random(in: 0x4000_0000...0x7FFF_FFFF))
    }
}
