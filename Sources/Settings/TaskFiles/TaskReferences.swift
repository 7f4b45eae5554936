public import Rules

extension TaskFile {
    /// Every name that an instance uses must be there, and every block must be used.
    func checkReferences(_ reading: SettingsReading) throws(SettingsError) {
        var seen: [String: Int] = [:]
        for (index, instance) in instances.enumerated() {
            let path = "mysql-instances[\(index)]"
            if let first = seen.updateValue(index, forKey: instance.source) {
                throw reading.error(
                    at: "\(path).source-id",
                    "the source \"\(reading.shown(instance.source))\" is in the task already: "
                        + "mysql-instances[\(first)]")
            }
        }
        try checkUse("routes", routes.keys, "route-rules", reading) { $0.routeNames }
        try checkUse("filters", filters.keys, "filter-rules", reading) { $0.filterNames }
        try checkUse(
            "expression-filter", expressionFilters.keys, "expression-filters", reading
        ) { $0.expressionNames }
        try checkUse("block-allow-list", lists.keys, "block-allow-list", reading) {
            $0.listName.map { [$0] } ?? []
        }
        try checkUse("mydumpers", dumps.keys, "mydumper-config-name", reading) {
            $0.dumpName.map { [$0] } ?? []
        }
        try checkUse("loaders", loads.keys, "loader-config-name", reading) {
            $0.loadName.map { [$0] } ?? []
        }
        try checkUse("syncers", syncs.keys, "syncer-config-name", reading) {
            $0.syncName.map { [$0] } ?? []
        }
        try checkUse("validators", validations.keys, "validator-config-name", reading) {
            $0.validationName.map { [$0] } ?? []
        }
    }

    private func checkUse(
        _ block: String, _ names: some Collection<String>, _ key: String,
        _ reading: SettingsReading, _ used: (TaskInstance) -> [String]
    ) throws(SettingsError) {
        let known = Set(names)
        var unused = known
        for (index, instance) in instances.enumerated() {
            for (position, name) in used(instance).enumerated() {
                guard known.contains(name) else {
                    throw reading.error(
                        at: "mysql-instances[\(index)].\(key)[\(position)]",
                        "there is no \"\(block).\(reading.shown(name))\""
                            + suggestion(for: name, among: known.sorted()))
                }
                unused.remove(name)
            }
        }
        // The first in the file, so that the same file always gives the same error.
        let errors = unused.map {
            reading.error(
                at: "\(block).\($0)",
                "\"\(block).\(shortened($0))\" is used by no source: name it by \"\(key)\" in "
                    + "\"mysql-instances\", or remove it")
        }
        if let first = errors.min(by: {
            ($0.line ?? 0, $0.column ?? 0, $0.message) < ($1.line ?? 0, $1.column ?? 0, $1.message)
        }) {
            throw first
        }
    }

    private func checkAdoption(_ map: SettingsMapping) throws(SettingsError) {
        guard adoptsDM else {
            guard adoptWait == nil else {
                throw map.error("adopt-wait", "needs \"adopt: true\"")
            }
            return
        }
        guard mode == .all || mode == .incremental else {
            throw map.error("adopt", "needs \"task-mode: all\" or \"task-mode: incremental\"")
        }
        guard startTime == nil else {
            throw map.error(
                "start-time",
                "contradicts \"adopt\": DM's checkpoint says where changes are followed from")
        }
    }

    /// What only the whole file can tell.
    func checkMeaning(_ map: SettingsMapping) throws(SettingsError) {
        try checkRules(map.reading)
        try checkFileTask(map)
        warnOfFileTask(map)
        if !timeZone.isEmpty, mode != .load {
            map.warn(
                "timezone",
                "does not change rows: instants stay instants, and DDL runs in the zone that it "
                    + "had on the source; only expressions see TIMESTAMP in it")
        }
        warnOfNames(map)
        warnOfCopiedExpressions(map)
        if startTime != nil, mode != .incremental {
            throw map.error(
                "start-time",
                "needs \"task-mode: incremental\": with the rows that are there, "
                    + "changes are followed from where they were read")
        }
        try checkAdoption(map)
        let checksForeignKeys = ["1", "on", "true"]
            .contains(target.session["foreign_key_checks"]?.lowercased() ?? "")
        for (index, instance) in instances.enumerated() {
            let path = "mysql-instances[\(index)]"
            if instance.start != nil, mode != .incremental {
                map.reading.warn(
                    at: "\(path).meta",
                    "\"\(path).meta\" has no effect: only with \"task-mode: incremental\" does a "
                        + "task begin at a place that is given")
            }
            if instance.start != nil, startTime != nil {
                map.reading.warn(
                    at: "\(path).meta",
                    "\"\(path).meta\" has no effect beside \"start-time\"")
            }
            let part = part(instance)
            if mode != .load { warnOfDump(part.dump, dumpPath(instance, index), map) }
            warnOfLoad(part.load, loadPath(instance, index), map)
            warnOfValidation(part.validation, map)
            let sync = part.sync
            if sync.lanes > Limits.lanes.upperBound {
                map.reading.warn(
                    at: instance.syncName.map { "syncers.\($0).worker-count" } ?? path,
                    "\(sync.lanes) lanes are more than Skein has: it takes "
                        + "\(Limits.lanes.upperBound)")
            }
            if checksForeignKeys, sync.mergesChanges || sync.joinsRows {
                let name = sync.mergesChanges ? "compact" : "multiple-rows"
                throw map.reading.error(
                    at: instance.syncName.map { "syncers.\($0).\(name)" }
                        ?? "\(path).syncer.\(name)",
                    "\"\(name)\" contradicts \"foreign_key_checks\" of the target's session")
            }
        }
    }

    private func warnOfNames(_ map: SettingsMapping) {
        guard isCaseSensitive == false else { return }
        map.warn(
            "case-sensitive",
            "is false without effect where the source's server tells case apart "
                + "(lower_case_table_names 0): there case counts in rules, as in DM")
    }

    private func warnOfCopiedExpressions(_ map: SettingsMapping) {
        guard mode == .all || mode == .full || mode == .dump else { return }
        let rows = mode == .dump ? "dump" : "copy"
        for rule in expressionFilters.values.sorted(by: { $0.name < $1.name }) {
            guard rule.insertExpression != nil else { continue }
            map.reading.warn(
                at: "expression-filter.\(rule.name).insert-value-expr",
                "\"expression-filter.\(shortened(rule.name))\" leaves rows out of the \(rows), too; "
                    + "DM copies every row that is there, and filters what follows")
        }
    }

    private func warnOfDump(_ dump: DumpSettings, _ path: String, _ map: SettingsMapping) {
        if mode == .incremental, !dump.condition.isEmpty {
            map.reading.warn(
                at: "\(path).where",
                "\"\(path).where\" has no effect: with \"task-mode: incremental\" no rows are read")
        }
        guard let arguments = try? DumpArguments(dump.extraArguments) else { return }
        for flag in arguments.flags
        where !(flag.changesRows && mode != .incremental) && !(mode == .dump && flag.isActedOn) {
            let why =
                flag.changesRows
                ? "with \"task-mode: incremental\" no rows are read"
                : "how rows are read is chosen by what the source and its privileges allow"
            map.reading.warn(
                at: "\(path).extra-args",
                "\"\(flag.name)\" in \"\(path).extra-args\" has no effect: \(why)")
        }
    }

    private func warnOfValidation(_ validation: ValidationSettings, _ map: SettingsMapping) {
        guard validation.mode != .none, mode != .all, mode != .incremental else { return }
        let path = "validators.\(validation.name).mode"
        map.reading.warn(
            at: path,
            "\"\(path)\" has no effect: rows are compared while their changes are followed, and "
                + "\"task-mode: \(mode.rawValue)\" follows none; \"skein verify\" compares them")
    }

    private func warnOfLoad(_ load: LoadSettings, _ path: String, _ map: SettingsMapping) {
        let what: String
        switch load.mode {
        case .logical: return
        case .sql, .loader: what = "is the old name of the import mode \"logical\""
        case .physical, .importInto:
            what =
                "has no effect: rows are written by statements, at the pace of the target's own LOAD "
                + "DATA, and the target stays in use meanwhile"
        }
        map.reading.warn(
            at: "\(path).import-mode", "\"\(load.mode.rawValue)\" \(what)")
    }

    /// What one source gets of a task, references replaced by what they name.
    public struct SourcePart: Sendable, Hashable {
        /// The source's name.
        public var source: String
        /// Where an incremental task begins; `nil`: now.
        public var start: TaskInstance.Start?
        /// The rules that the task has for the source.
        public var rules: SourceRules
        /// How existing rows are read.
        public var dump: DumpSettings
        /// How existing rows are written.
        public var load: LoadSettings
        /// How changes are applied.
        public var sync: SyncSettings
        /// How rows are compared meanwhile.
        public var validation: ValidationSettings
    }

    /// What each source gets, in the order of the file.
    public var parts: [SourcePart] { instances.map { part($0) } }

    /// What a source gets; `nil` for one that the task does not have.
    public func part(of source: String) -> SourcePart? {
        instances.first { $0.source == source }.map { part($0) }
    }

    func part(_ instance: TaskInstance) -> SourcePart {
        var dump = instance.dump ?? instance.dumpName.flatMap { dumps[$0] } ?? DumpSettings()
        if let threads = instance.dumpThreads { dump.threads = threads }
        var load = instance.load ?? instance.loadName.flatMap { loads[$0] } ?? LoadSettings()
        if let threads = instance.loadThreads { load.connections = threads }
        var sync = instance.sync ?? instance.syncName.flatMap { syncs[$0] } ?? SyncSettings()
        if let threads = instance.syncThreads { sync.lanes = threads }
        var rules = SourceRules(
            source: instance.source, isCaseSensitive: isCaseSensitive ?? false,
            tables: instance.listName.flatMap { lists[$0]?.list } ?? BlockAllowList(),
            routes: instance.routeNames.compactMap { routes[$0] },
            eventFilters: instance.filterNames.compactMap { filters[$0] },
            expressionFilters: instance.expressionNames.compactMap { expressionFilters[$0] },
            onlineSchemaChange: onlineDDL == false
                ? nil
                : OnlineSchemaChangeRules(shadowPatterns: shadowRules, trashPatterns: trashRules))
        if !rules.expressionFilters.isEmpty, !timeZone.isEmpty {
            if let fixed = FixedZone(timeZone) {
                rules.timeZoneOffset = fixed.offset
            } else if case .zone(let zone) = ZoneFolder.system.find(timeZone) {
                rules.timeZone = zone
            } else {
                // No subtask begins with it, see ``unsupported``; expressions know no clock then.
                rules.timeZone = NamedZone(name: timeZone, clock: nil)
            }
        }
        return SourcePart(
            source: instance.source, start: instance.start, rules: rules, dump: dump, load: load,
            sync: sync,
            validation: instance.validationName.flatMap { validations[$0] } ?? ValidationSettings())
    }
}
