internal import MySQLCore
internal import Rules

extension TaskFile {
    /// Every key of the file, old spellings included.
    static var allNames: [String] { keys.flatMap { [$0.name] + $0.oldNames } }

    /// What the engines are told of a source today. What they can't be told is in ``unsupported``.
    func draft(of source: SourceSettings) -> SettingsDraft {
        var draft = SettingsDraft()
        let part = part(of: source.name)
        let selection = part?.selection
        draft.name = name
        draft.tables = selection?.tables ?? [TablePattern("*.*")].compactMap { $0 }
        draft.exclude = selection?.excluded
        // Of tasks of files the rest of their settings tells more than a mode could.
        draft.mode = fileTask == nil ? MigrationSettings.Mode(rawValue: mode.rawValue) : .full
        if mode == .incremental {
            draft.startTime = startTime
            if startTime == nil, let start = part?.start {
                draft.startGTIDs = start.gtids.isEmpty ? nil : start.gtids
                if !start.file.isEmpty {
                    draft.startPosition = BinlogPosition(
                        file: start.file, offset: max(4, start.offset))
                }
            }
        }
        if adoptsDM {
            draft.adopt = name
            draft.adoptMeta = metaSchema
            draft.adoptWait = adoptWait
            // Where DM was to begin it has begun.
            draft.startTime = nil
            draft.startGTIDs = nil
            draft.startPosition = nil
        }
        draft.metaSchema = metaSchema
        draft.memoryBudget = memoryBudget
        draft.chunkBytes = chunkBytes
        draft.until = until
        draft.intoExisting = intoExisting
        draft.takeOver = takeOver
        draft.followsMergedStatements = shardMode != .none
        draft.finish = finish
        draft.ignoredChecks = checksToIgnore
        if let part {
            draft.lanes = min(part.sync.lanes, Limits.lanes.upperBound)
            draft.safeMode = part.sync.isConvergent
            if part.validation.mode != .none { draft.validation = part.validation }
            draft.readers = min(part.dump.threads, Limits.readers.upperBound)
            if part.dump.rows > 0 { draft.chunkRows = part.dump.rows }
        }
        return draft
    }

    /// The file with every default in place, and with what each source gets of the named blocks.
    var effective: TaskFile {
        var out = self
        let usual = MigrationSettings(
            source: target.options, target: target.options, selection: TableSelection(tables: []))
        if fileTask != .dump { out.metaSchema = metaSchema ?? usual.metaSchema }
        if fileTask == nil {
            out.memoryBudget = memoryBudget ?? usual.memoryBudget
            out.chunkBytes = chunkBytes ?? usual.chunkBytes
        }
        out.writtenShardMode = shardMode
        for (index, part) in parts.enumerated() {
            // Of tasks of files what they act on alone.
            out.instances[index].dump = fileTask == .load ? nil : part.dump
            if fileTask == nil, part.dump.rows == 0 {
                out.instances[index].dump?.rows = usual.chunkRows
            }
            out.instances[index].load = part.load
            out.instances[index].sync = fileTask == nil ? part.sync : nil
            out.instances[index].sync?.lanes = min(part.sync.lanes, Limits.lanes.upperBound)
            out.instances[index].dumpName = nil
            out.instances[index].loadName = nil
            out.instances[index].syncName = nil
            out.instances[index].dumpThreads = nil
            out.instances[index].loadThreads = nil
            out.instances[index].syncThreads = nil
        }
        out.dumps = [:]
        out.loads = [:]
        out.syncs = [:]
        return out
    }

    /// The pre-checks that must not stop the task, in Skein's names; `all` is every one.
    public var checksToIgnore: [String] {
        let items = ignoredItems.compactMap { CheckingItem(rawValue: $0) }
        if items.contains(.all) { return ["all"] }
        return Set(ignoredChecks + items.flatMap(\.checks)).sorted()
    }
}

extension SourceFile {
    /// The filters, with a name for messages.
    var namedFilters: [EventFilterRule] {
        filters.enumerated().map { index, filter in
            var filter = filter
            filter.name = "filters[\(index)] of the source"
            return filter
        }
    }
}
