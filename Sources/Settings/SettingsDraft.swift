public import MySQLClient
public import MySQLCore
public import Rules

/// Settings as far as one place says them: a file, or flags. `nil` leaves a setting to the next
/// place, and at last to its default.
public struct SettingsDraft: Sendable, Hashable {
    /// The source server.
    public var source = EndpointDraft()
    /// The target server.
    public var target = EndpointDraft()
    /// Patterns of tables to take.
    public var tables: [TablePattern]?
    /// Patterns of tables to leave.
    public var exclude: [TablePattern]?
    /// The task's name.
    public var name: String?
    /// The source's name in the checkpoint.
    public var sourceID: String?
    /// The meta schema's name.
    public var metaSchema: String?
    /// What is migrated.
    public var mode: MigrationSettings.Mode?
    /// Where changes are followed from: a position.
    public var startPosition: BinlogPosition?
    /// Where changes are followed from: behind a GTID set.
    public var startGTIDs: String?
    /// When changes are followed from.
    public var startTime: StartTime?
    /// DM's task that is gone on with.
    public var adopt: String?
    /// DM's meta schema.
    public var adoptMeta: String?
    /// For how long DM's checkpoint must rest.
    public var adoptWait: TimeSpan?
    /// Target connections that apply transactions.
    public var lanes: Int?
    /// Pairs of connections that copy.
    public var readers: Int?
    /// Memory budget in bytes.
    public var memoryBudget: Int?
    /// Rows a chunk aims at.
    public var chunkRows: Int?
    /// Bytes a chunk aims at.
    public var chunkBytes: Int?
    /// When the run ends.
    public var until: MigrationSettings.Until?
    /// Uses target tables that are not empty.
    public var intoExisting: Bool?
    /// Writes changes so that rows become what they say, whatever the target has.
    public var safeMode: Bool?
    /// Follows statements on tables that are merged into one; from task files alone.
    public var followsMergedStatements: Bool?
    /// How rows are compared while changes are followed; from task files alone.
    public var validation: ValidationSettings?
    /// Starts over; never from a file.
    public var fresh: Bool?
    /// Takes other tables and rules than those that the migration was begun with.
    public var changesRules: Bool?
    /// Another task whose tables are taken over.
    public var takeOver: String?
    /// Creates triggers, enables events, ends the migration.
    public var finish: Bool?
    /// Pre-checks that must not stop the run.
    public var ignoredChecks: [String]?
    /// Folder for local state.
    public var stateFolder: String?
    /// Whether a relay log is kept.
    public var relay: Bool?
    /// Folder of the relay log.
    public var relayFolder: String?
    /// Bytes that the relay log may take.
    public var relayLimit: Int?
    /// Whether tables of online schema change tools are told by their names; never from a file.
    public var onlineDDL: Bool?
    /// The binlog reader's server id.
    public var serverID: UInt32?

    /// Makes an empty draft.
    public init() {}

    /// Takes over what `other` says.
    public mutating func override(with other: SettingsDraft) {
        source.override(with: other.source)
        target.override(with: other.target)
        tables = other.tables ?? tables
        exclude = other.exclude ?? exclude
        name = other.name ?? name
        sourceID = other.sourceID ?? sourceID
        metaSchema = other.metaSchema ?? metaSchema
        mode = other.mode ?? mode
        if other.hasStart {
            startPosition = other.startPosition
            startGTIDs = other.startGTIDs
            startTime = other.startTime
        }
        adopt = other.adopt ?? adopt
        adoptMeta = other.adoptMeta ?? adoptMeta
        adoptWait = other.adoptWait ?? adoptWait
        lanes = other.lanes ?? lanes
        readers = other.readers ?? readers
        memoryBudget = other.memoryBudget ?? memoryBudget
        chunkRows = other.chunkRows ?? chunkRows
        chunkBytes = other.chunkBytes ?? chunkBytes
        until = other.until ?? until
        intoExisting = other.intoExisting ?? intoExisting
        safeMode = other.safeMode ?? safeMode
        followsMergedStatements = other.followsMergedStatements ?? followsMergedStatements
        validation = other.validation ?? validation
        fresh = other.fresh ?? fresh
        changesRules = other.changesRules ?? changesRules
        takeOver = other.takeOver ?? takeOver
        finish = other.finish ?? finish
        ignoredChecks = other.ignoredChecks ?? ignoredChecks
        stateFolder = other.stateFolder ?? stateFolder
        relay = other.relay ?? relay
        relayFolder = other.relayFolder ?? relayFolder
        relayLimit = other.relayLimit ?? relayLimit
        onlineDDL = other.onlineDDL ?? onlineDDL
        serverID = other.serverID ?? serverID
    }

    /// How to reach the target, for a command that needs nothing else.
    public func targetOptions(
        _ passwords: PasswordSource
    ) throws(SettingsError) -> ConnectionOptions {
        var options = try target.options("target")
        options.password = try passwords.password(.target, options, target.passwordFile)
        return options
    }

    /// The source alone, for commands that need nothing but it.
    public func sourceOptions(
        _ passwords: PasswordSource
    ) throws(SettingsError) -> ConnectionOptions {
        var options = try source.options("source")
        options.password = try passwords.password(.source, options, source.passwordFile)
        return options
    }

    /// Whether it says where changes are followed from.
    var hasStart: Bool { startPosition != nil || startGTIDs != nil || startTime != nil }

    /// Where changes are followed from.
    private func start() throws(SettingsError) -> StartPlace {
        let place: StartPlace
        switch (startPosition, startGTIDs, startTime) {
        case (nil, nil, nil): return .now
        case (let position?, nil, nil): place = .position(position)
        case (nil, let set?, nil): place = .gtids(set)
        case (let position?, let set?, nil): place = .either(gtids: set, position: position)
        case (nil, nil, let time?): place = .time(time)
        default:
            throw SettingsError(
                "start-time contradicts start-position and start-gtid: a migration begins at one "
                    + "place")
        }
        guard mode == .incremental else {
            throw SettingsError(
                "start-position, start-gtid and start-time need the mode incremental: with the rows "
                    + "that are there, changes are followed from where they were read")
        }
        return place
    }

    /// DM's task that is gone on with; `nil` for none.
    private func adoption(
        _ mode: MigrationSettings.Mode
    ) throws(SettingsError) -> MigrationSettings.Adoption? {
        guard let adopt else {
            guard adoptMeta == nil, adoptWait == nil else {
                throw SettingsError("adopt-meta and adopt-wait need adopt: the name of DM's task")
            }
            return nil
        }
        guard sourceID != nil else {
            throw SettingsError("adopt needs source-id: what DM calls the source")
        }
        guard !hasStart else {
            throw SettingsError(
                "adopt contradicts start-position, start-gtid and start-time: DM's checkpoint says "
                    + "where changes are followed from")
        }
        guard mode != .full else {
            throw SettingsError("adopt contradicts the mode full: DM has copied the rows")
        }
        var adoption = MigrationSettings.Adoption(
            task: try checkedName(adopt, "adopt", limit: 64))
        adoption.mode = mode
        if let adoptMeta {
            adoption.metaSchema = try checkedName(adoptMeta, "adopt-meta", limit: 64)
        }
        if let adoptWait { adoption.wait = adoptWait.duration }
        return adoption
    }

    /// Names the task whose tables are taken over.
    private func settleTakeOver(in settings: inout MigrationSettings) throws(SettingsError) {
        guard let takeOver else { return }
        settings.takeOver = try checkedName(takeOver, "take-over", limit: 255)
        guard takeOver != settings.name else {
            throw SettingsError("take-over names the task itself")
        }
        guard settings.mode != .full else {
            throw SettingsError("take-over contradicts the mode full, which ends with the copy")
        }
        guard !settings.fresh else {
            throw SettingsError(
                "take-over contradicts --fresh: tables come to a task that follows changes")
        }
    }

    /// The finished settings, defaults filled in and every limit checked.
    ///
    /// - Parameter passwords: asked for each server that has its options.
    public func migrationSettings(
        _ passwords: PasswordSource
    ) throws(SettingsError) -> MigrationSettings {
        var sourceOptions = try source.options("source")
        var targetOptions = try target.options("target")
        guard let tables, !tables.isEmpty else {
            throw SettingsError(
                "no tables are chosen: --tables 'schema.*', or \"tables\" in the settings file")
        }
        sourceOptions.password = try passwords.password(.source, sourceOptions, source.passwordFile)
        targetOptions.password = try passwords.password(.target, targetOptions, target.passwordFile)
        var settings = MigrationSettings(
            source: sourceOptions, target: targetOptions,
            selection: TableSelection(tables: tables, excluded: exclude ?? []))
        if let name { settings.name = try checkedName(name, "name", limit: 255) }
        if let sourceID { settings.sourceID = try checkedName(sourceID, "source-id", limit: 255) }
        if let metaSchema {
            settings.metaSchema = try checkedName(metaSchema, "meta-schema", limit: 64)
            guard !SystemSchemas.contains(metaSchema) else {
                throw SettingsError(
                    "meta-schema can't be \"\(metaSchema)\": it is the server's own")
            }
        }
        settings.mode = mode ?? .all
        settings.start = try start()
        if let adoption = try adoption(settings.mode) {
            settings.adoption = adoption
            settings.mode = .incremental
        }
        if settings.mode == .full, let until, until != .caughtUp {
            throw SettingsError(
                "until contradicts the mode full, which ends where the copy is whole")
        }
        if let lanes { settings.lanes = try checked(lanes, "lanes", Limits.lanes) }
        if let readers { settings.readers = try checked(readers, "readers", Limits.readers) }
        if let memoryBudget {
            settings.memoryBudget = try checkedSize(memoryBudget, "memory", Limits.memory)
        }
        if let chunkRows {
            settings.chunkRows = try checked(chunkRows, "chunk-rows", Limits.chunkRows)
        }
        if let chunkBytes {
            settings.chunkBytes = try checkedSize(chunkBytes, "chunk-bytes", Limits.chunkBytes)
        }
        if let until { settings.until = until }
        settings.intoExisting = intoExisting ?? false
        settings.safeMode = safeMode ?? false
        settings.followsMergedStatements = followsMergedStatements ?? false
        settings.validation = validation
        settings.fresh = fresh ?? false
        settings.changesRules = changesRules ?? false
        try settleTakeOver(in: &settings)
        settings.finish = finish ?? false
        settings.ignoredChecks = Set(ignoredChecks ?? [])
        settings.stateFolder = stateFolder
        settings.keepsRelay = relay ?? true
        settings.relayFolder = relayFolder
        if let relayLimit {
            settings.relayLimitBytes = try checkedSize(
                relayLimit, "relay-limit", Limits.relayLimit)
        }
        settings.followsOnlineDDL = onlineDDL ?? false
        if let serverID { settings.serverID = serverID }
        return settings
    }
}

/// The smallest and largest values of settings.
enum Limits {
    static let lanes = 1...256
    static let readers = 1...64
    static let memory = (16 << 20)...(1 << 40)
    static let chunkRows = 1...100_000_000
    static let chunkBytes = (64 << 10)...(1 << 30)
    static let relayLimit = (1 << 20)...(1 << 60)
}

private func checked(
    _ value: Int, _ name: String, _ range: ClosedRange<Int>
) throws(SettingsError) -> Int {
    guard range.contains(value) else {
        throw SettingsError(
            "\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(value)")
    }
    return value
}

private func checkedSize(
    _ value: Int, _ name: String, _ range: ClosedRange<Int>
) throws(SettingsError) -> Int {
    guard range.contains(value) else {
        throw SettingsError(
            "\(name) must be from \(ByteSize(bytes: range.lowerBound)) to "
                + "\(ByteSize(bytes: range.upperBound)), not \(ByteSize(bytes: value))")
    }
    return value
}

private func checkedName(
    _ value: String, _ name: String, limit: Int
) throws(SettingsError) -> String {
    guard !value.isEmpty, value.unicodeScalars.count <= limit,
        !value.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
    else {
        throw SettingsError("\(name) must have 1 to \(limit) printable characters")
    }
    return value
}
