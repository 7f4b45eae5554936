// Tasks of files: `task-mode: dump` and `task-mode: load`. What of the file has a meaning for them,
// what has none and is warned of, and what contradicts them.

extension TaskFile {
    /// What the task does with files; `nil` for one that has none.
    var fileTask: FileTransfer.Kind? {
        switch mode {
        case .dump: .dump
        case .load: .load
        case .all, .full, .incremental: nil
        }
    }

    /// What a subtask does with files; `nil` in a task that has none.
    func transfer(_ part: SourcePart) -> FileTransfer? {
        guard let fileTask else { return nil }
        var out = FileTransfer(kind: fileTask, directory: directory(part))
        let most = Limits.readers.upperBound
        switch fileTask {
        case .dump:
            let dump = (try? part.dump.withArguments()) ?? part.dump
            out.connections = min(dump.threads, most)
            out.fileBytes = dump.fileBytes
            out.rowsPerFile = dump.rows > 0 ? dump.rows : nil
            out.statementBytes = dump.statementBytes > 0 ? dump.statementBytes : nil
            out.condition = dump.condition.isEmpty ? nil : dump.condition
        case .load:
            out.connections = min(part.load.connections, most)
            out.timeZone = timeZone.isEmpty ? nil : timeZone
            out.duplicates = part.load.duplicates
        }
        return out
    }

    /// Where the files of a source are: `dir` with the task's name behind it, as DM has it, and with
    /// the source's where there are several.
    private func directory(_ part: SourcePart) -> String {
        var out = part.load.folder.isEmpty ? LoadSettings().folder : part.load.folder
        while out.utf8.count > 1, out.hasSuffix("/") { out.removeLast() }
        if !out.hasSuffix(".\(name)") { out += ".\(name)" }
        return instances.count > 1 ? "\(out).\(part.source)" : out
    }

    // MARK: What contradicts them

    /// Looks for what a task of files can't have.
    func checkFileTask(_ map: SettingsMapping) throws(SettingsError) {
        guard let fileTask else { return }
        for (key, isGiven) in [
            ("until", until != nil), ("finish", finish), ("into-existing", intoExisting),
            ("take-over", takeOver != nil),
        ] where isGiven {
            throw map.error(
                key,
                "contradicts \"task-mode: \(fileTask.rawValue)\", which ends when its files are "
                    + (fileTask == .dump ? "written" : "loaded, and needs empty tables"))
        }
        for (index, instance) in instances.enumerated() {
            let part = part(instance)
            if part.load.folder.contains("\0") {
                throw map.reading.error(
                    at: loadPath(instance, index) + ".dir", "\"dir\" is no path")
            }
            guard fileTask == .dump else { continue }
            let path = dumpPath(instance, index)
            do throws(SettingsError) {
                let dump = try part.dump.withArguments()
                guard Self.fileBytes.contains(dump.fileBytes) else {
                    throw SettingsError("chunk-filesize must be from 64KiB to 1TiB")
                }
                guard dump.statementBytes == 0 || Self.statementBytes.contains(dump.statementBytes)
                else {
                    throw SettingsError("statement-size must be 0, or from 1KiB to 64MiB")
                }
            } catch {
                throw map.reading.error(at: path, "\"\(path)\": \(error.message)")
            }
        }
    }

    private static let fileBytes = (64 << 10)...(1 << 40)
    private static let statementBytes = (1 << 10)...(64 << 20)

    func dumpPath(_ instance: TaskInstance, _ index: Int) -> String {
        instance.dumpName.map { "mydumpers.\($0)" } ?? "mysql-instances[\(index)].mydumper"
    }

    func loadPath(_ instance: TaskInstance, _ index: Int) -> String {
        instance.loadName.map { "loaders.\($0)" } ?? "mysql-instances[\(index)].loader"
    }

    // MARK: What the engines can't act on

    /// What of a task of files can't be acted on: path and remedy.
    var unsupportedOfFiles: [(path: String, remedy: String)] {
        guard let fileTask else { return [] }
        var out: [(path: String, remedy: String)] = []
        for (index, instance) in instances.enumerated() {
            let part = part(instance)
            for name in instance.expressionNames where fileTask == .load {
                out.append(
                    (
                        "expression-filter.\(name)",
                        "a load takes all rows of a file: leave it out"
                    ))
            }
            if part.load.folder.contains("://") {
                out.append(
                    (
                        "\(loadPath(instance, index)).dir",
                        "name a directory on the worker that has the source"
                    ))
            }
            guard fileTask == .dump else { continue }
            let flags = (try? DumpArguments(part.dump.extraArguments))?.flags ?? []
            if flags.contains(where: { $0.name == "--no-views" && $0.value != "false" }) {
                out.append(
                    (
                        "\(dumpPath(instance, index)).extra-args",
                        "views are dumped: leave out \"--no-views\", and name views in "
                            + "\"ignore-tables\""
                    ))
            }
        }
        return out
    }

    // MARK: What has no effect

    /// Warns of keys that only tasks of files act on, in all others and in those of the other kind,
    /// and of what has no effect in a task of files.
    func warnOfFileTask(_ map: SettingsMapping) {
        var seen: Set<String> = []
        func warn(_ path: String, _ why: String) {
            guard map.reading.isGiven(path), seen.insert(path).inserted else { return }
            map.reading.warn(at: path, "\"\(shortened(path))\" has no effect: \(why)")
        }
        func warnOfUnused<Block: Sendable>(_ keys: [SettingsKey<Block>], _ path: String) {
            for key in keys where !key.fileTasks.isEmpty {
                if let fileTask, key.fileTasks.contains(fileTask) { continue }
                if let remark = key.remark { warn("\(path).\(key.name)", remark) }
            }
        }
        for (index, instance) in instances.enumerated() {
            let path = "mysql-instances[\(index)]"
            warnOfUnused(TaskInstance.keys, path)
            if fileTask != .load { warnOfUnused(DumpSettings.keys, dumpPath(instance, index)) }
            let load = loadPath(instance, index)
            warnOfUnused(LoadSettings.keys, load)
            let duplicates = "\(load).on-duplicate-logical"
            if fileTask != .load, part(instance).load.duplicates == .replace,
                seen.insert(duplicates).inserted
            {
                map.reading.warn(
                    at: duplicates,
                    "\"\(shortened(duplicates))\" does not replace rows that the target has: a "
                        + "copy that meets one with the same key stops, as with \"error\"")
            }
            guard let fileTask else { continue }
            let word = "\"task-mode: \(fileTask.rawValue)\""
            if fileTask == .load {
                let why = "with \(word) nothing is read from the source"
                warn(dumpPath(instance, index), why)
                warn("\(path).mydumper-thread", why)
            } else {
                for name in instance.routeNames {
                    warn("routes.\(name)", "files have the source's names; routes act on loading")
                }
            }
            for name in instance.filterNames {
                warn("filters.\(name)", "files have rows, and no events")
            }
            let syncs = instance.syncName.map { "syncers.\($0)" } ?? "\(path).syncer"
            for place in [syncs, "\(path).syncer-thread"] {
                warn(place, "with \(word) no changes are followed")
            }
        }
        guard let fileTask else { return }
        let word = "\"task-mode: \(fileTask.rawValue)\""
        for key in ["memory", "chunk-bytes"] {
            warn(key, "with \(word) memory is bounded by the largest rows that are in hand at once")
        }
        for key in ["ignore-checking-items", "ignore-checks"] {
            warn(key, "with \(word) the servers are looked at by the engine alone")
        }
        if fileTask == .dump {
            warn("meta-schema", "with \(word) nothing is written to the target")
        }
    }
}

extension DumpSettings {
    /// The same, with what `extra-args` says in the place of keys, as in DM.
    func withArguments() throws(SettingsError) -> DumpSettings {
        var out = self
        for flag in try DumpArguments(extraArguments).flags {
            switch flag.name {
            case "--threads": out.threads = try Self.number(flag, in: 1...1024)
            case "--rows": out.rows = try Self.number(flag, in: 0...Limits.chunkRows.upperBound)
            case "--statement-size": out.statementBytes = try Self.number(flag, in: 0...(1 << 40))
            case "--filesize":
                // A number alone counts MiB.
                let size =
                    Int(flag.value).map { (0...(1 << 20)).contains($0) ? $0 << 20 : -1 }
                    ?? ByteSize(flag.value)?.bytes
                guard let size, size >= 0 else {
                    throw SettingsError("\"\(flag.name)\" in \"extra-args\" must be a size")
                }
                out.fileBytes = size
            case "--where": out.condition = flag.value
            default: break
            }
        }
        return out
    }

    private static func number(
        _ flag: DumpArguments.Flag, in range: ClosedRange<Int>
    ) throws(SettingsError) -> Int {
        guard let number = Int(flag.value), range.contains(number) else {
            throw SettingsError(
                "\"\(flag.name)\" in \"extra-args\" must be a number from \(range.lowerBound) to "
                    + "\(range.upperBound)")
        }
        return number
    }
}

extension DumpArguments.Flag {
    /// Whether a dump acts on it.
    var isActedOn: Bool {
        [
            "--threads", "--rows", "--statement-size", "--filesize", "--no-views", "--where",
        ].contains(name)
    }
}
