internal import ArgumentParser
internal import MySQLCore
internal import Settings

/// Flags of `skein migrate` that end up in its settings.
struct MigrationFlags: ParsableArguments {
    @Option(help: ArgumentHelp("The task's name (default: migrate).", valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp(
            "The source's name in the checkpoint (default: host:port).", valueName: "name"))
    var sourceId: String?

    @Option(
        help: ArgumentHelp(
            "What is migrated: all, full (rows only) or incremental (changes only).",
            valueName: "mode"), transform: parseMode)
    var mode: MigrationSettings.Mode?

    @Option(
        help: ArgumentHelp(
            "Incremental: where changes are followed from (default: now).",
            valueName: "file:offset"), transform: parsePosition)
    var startPosition: BinlogPosition?

    @Option(
        help: ArgumentHelp(
            "Incremental: the transactions that the target holds already.", valueName: "gtid-set"),
        transform: parseSet)
    var startGtid: String?

    @Option(
        help: ArgumentHelp(
            "Incremental: from the first transaction that was committed then or later, on the "
                + "source's clock unless a zone is given.", valueName: "time"),
        transform: parseStartTime)
    var startTime: StartTime?

    @Option(
        help: ArgumentHelp(
            "Go on with this task of DM's, from its checkpoint; DM must be stopped.",
            valueName: "task"))
    var adopt: String?

    @Option(
        help: ArgumentHelp("The schema of DM's checkpoint (default: dm_meta).", valueName: "schema")
    )
    var adoptMeta: String?

    @Option(
        help: ArgumentHelp(
            "For how long DM's checkpoint must rest (default: 35s).", valueName: "time"),
        transform: parseTime)
    var adoptWait: TimeSpan?

    @Option(
        help: ArgumentHelp("Target connections that apply changes (default: 4).", valueName: "n"))
    var lanes: Int?

    @Option(
        help: ArgumentHelp(
            "Pairs of connections that copy rows (default: by the machine).", valueName: "n"))
    var readers: Int?

    @Option(
        help: ArgumentHelp(
            "Memory for rows and transactions in flight (default: 128MiB).", valueName: "size"),
        transform: parseSize)
    var memory: Int?

    @Option(help: ArgumentHelp("Rows of a chunk (default: 20000).", valueName: "n"))
    var chunkRows: Int?

    @Option(
        help: ArgumentHelp("Bytes of a chunk (default: 8MiB).", valueName: "size"),
        transform: parseSize)
    var chunkBytes: Int?

    @Option(
        help: ArgumentHelp(
            "The target's schema for checkpoints (default: skein_meta).", valueName: "schema"))
    var metaSchema: String?

    @Option(
        help: ArgumentHelp(
            "End at: caught-up, a position (file:offset) or a GTID set (default: never).",
            valueName: "place"), transform: parseUntil)
    var until: MigrationSettings.Until?

    @Flag(help: "Use target tables that exist and are not empty.")
    var intoExisting = false

    @Flag(
        help: ArgumentHelp(
            "Make rows what changes say, whatever the target has, instead of stopping."))
    var safeMode = false

    @Flag(help: "Drop what an earlier run of this name left, and start over; asks first.")
    var fresh = false

    @Flag(
        help: ArgumentHelp(
            "Take other tables and rules than it was begun with; rows of tables that come are copied."
        ))
    var changeRules = false

    @Option(
        help: ArgumentHelp(
            "With --change-rules: take over the tables of this task, which rests, as they are.",
            valueName: "task"))
    var takeOver: String?

    @Flag(help: "Create triggers and enable events on the target, and end the migration.")
    var finish = false

    @Flag(
        help: ArgumentHelp(
            "Follow gh-ost and pt-online-schema-change: change a table when its copy is swapped in."
        ))
    var onlineDdl = false

    @Option(help: ArgumentHelp("Folder for local state.", valueName: "folder"))
    var stateDir: String?

    @Flag(help: "Keep no relay log: trust the source to keep its binlog long enough.")
    var noRelay = false

    @Option(
        help: ArgumentHelp(
            "Folder of the relay log (default: relay, in the folder for local state).",
            valueName: "folder"))
    var relayDir: String?

    @Option(
        help: ArgumentHelp(
            "Disk that the relay log may take (default: half of what is free).",
            valueName: "size"), transform: parseSize)
    var relayLimit: Int?

    @Option(
        name: .customLong("ignore-check"),
        help: ArgumentHelp("A pre-check that must not stop the run; repeats.", valueName: "name"))
    var ignoredChecks: [String] = []

    @Option(
        help: ArgumentHelp(
            "The binlog reader's id among the source's replicas (default: random).",
            valueName: "n"))
    var serverId: UInt32?

    /// Writes the flags that were given into a draft.
    func apply(to draft: inout SettingsDraft) {
        draft.name = name
        draft.sourceID = sourceId
        draft.mode = mode
        draft.startPosition = startPosition
        draft.startGTIDs = startGtid
        draft.startTime = startTime
        draft.adopt = adopt
        draft.adoptMeta = adoptMeta
        draft.adoptWait = adoptWait
        draft.lanes = lanes
        draft.readers = readers
        draft.memoryBudget = memory
        draft.chunkRows = chunkRows
        draft.chunkBytes = chunkBytes
        draft.metaSchema = metaSchema
        draft.until = until
        draft.intoExisting = intoExisting ? true : nil
        draft.safeMode = safeMode ? true : nil
        draft.fresh = fresh ? true : nil
        draft.changesRules = changeRules ? true : nil
        draft.takeOver = takeOver
        draft.finish = finish ? true : nil
        draft.onlineDDL = onlineDdl ? true : nil
        draft.stateFolder = stateDir
        draft.ignoredChecks = ignoredChecks.isEmpty ? nil : ignoredChecks
        draft.relay = noRelay ? false : nil
        draft.relayFolder = relayDir
        draft.relayLimit = relayLimit
        draft.serverID = serverId
    }
}

private func parseSize(_ text: String) throws -> Int {
    guard let size = ByteSize(text) else { throw ValidationError("must be a size such as 128MiB") }
    return size.bytes
}

private func parseTime(_ text: String) throws -> TimeSpan {
    guard let time = TimeSpan(text) else { throw ValidationError("must be a time such as 35s") }
    return time
}

private func parseUntil(_ text: String) throws -> MigrationSettings.Until {
    guard let until = MigrationSettings.Until(text) else {
        throw ValidationError("must be \(MigrationSettings.Until.forms)")
    }
    return until
}

private func parseMode(_ text: String) throws -> MigrationSettings.Mode {
    guard let mode = MigrationSettings.Mode(rawValue: text) else {
        throw ValidationError("must be \(MigrationSettings.Mode.forms)")
    }
    return mode
}

private func parsePosition(_ text: String) throws -> BinlogPosition {
    guard let position = BinlogPosition(startAt: text) else {
        throw ValidationError("must be a position such as mysql-bin.000003:154")
    }
    return position
}

private func parseSet(_ text: String) throws -> String {
    guard isGTIDSet(text) else { throw ValidationError("must be a GTID set") }
    return text
}

func parseStartTime(_ text: String) throws -> StartTime {
    guard let time = StartTime(text) else {
        throw ValidationError("must be \(StartTime.forms)")
    }
    return time
}
