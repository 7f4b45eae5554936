internal import MySQLCore
internal import Rules

/// A setting that is understood and kept, and that the engines can't act on yet.
///
/// This file is the only place that knows: a task with such a setting is refused before it begins,
/// so that nothing that somebody wrote is passed over in silence. Whoever teaches an engine a
/// setting removes its line here.
public struct UnsupportedSetting: Sendable, Hashable, CustomStringConvertible {
    /// Where it stands: `routes.shop`.
    public let path: String
    /// What to do meanwhile.
    public let remedy: String

    /// One sentence.
    public var description: String { "\"\(path)\" can't be acted on yet: \(remedy)" }
}

extension TaskFile {
    /// What of the file the engines can't act on, in the order of the file's documentation.
    public var unsupported: [UnsupportedSetting] {
        var out: [UnsupportedSetting] = []
        var seen: Set<UnsupportedSetting> = []
        func add(_ path: String, _ remedy: String, if isGiven: Bool = true) {
            let setting = UnsupportedSetting(path: path, remedy: remedy)
            if isGiven, seen.insert(setting).inserted { out.append(setting) }
        }
        if !expressionFilters.isEmpty, let remedy = zoneRemedy { add("timezone", remedy) }
        for name in SessionVariables.refused(target.session) {
            add("target-database.session", SessionVariables.remedy(name))
        }
        add(
            "target-database.security.cert-allowed-cn", "\"tls: verify-identity\" checks the host",
            if: !target.security.allowedNames.isEmpty)
        for (index, instance) in instances.enumerated() {
            let part = part(instance)
            let dump = dumpPath(instance, index)
            // What is left out of a copy would be missing when its changes are followed.
            let copiesRows = mode == .all || mode == .full
            let rows =
                "\"expression-filter\" leaves rows out of a copy and of what follows; a condition "
                + "is for \"task-mode: dump\""
            add("\(dump).where", rows, if: copiesRows && !part.dump.condition.isEmpty)
            let arguments = try? DumpArguments(part.dump.extraArguments)
            for flag in arguments?.flags ?? [] where flag.changesRows {
                if flag.name == "--where" {
                    add("\(dump).extra-args", "leave out \"--where\": \(rows)", if: copiesRows)
                } else if copiesRows || mode == .dump {
                    let other =
                        flag.name == "--snapshot" ? "" : ": \"block-allow-list\" chooses tables"
                    add("\(dump).extra-args", "leave out \"\(flag.name)\"\(other)")
                }
            }
            let load = loadPath(instance, index)
            add(
                "\(load).on-duplicate-logical",
                "rows of the target are never kept in the copy's "
                    + "place: leave it out", if: mode != .load && part.load.duplicates == .ignore)
        }
        for it in unsupportedOfFiles { add(it.path, it.remedy) }
        return out
    }
}

extension SourceFile {
    /// What of the file the engines can't act on.
    public var unsupported: [UnsupportedSetting] {
        var out: [UnsupportedSetting] = []
        for name in SessionVariables.refused(server.session) {
            out.append(
                UnsupportedSetting(path: "from.session", remedy: SessionVariables.remedy(name)))
        }
        if !server.security.allowedNames.isEmpty {
            out.append(
                UnsupportedSetting(
                    path: "from.security.cert-allowed-cn",
                    remedy: "\"tls: verify-identity\" checks the host"))
        }
        return out
    }
}

extension TaskFile {
    /// What to do about a `timezone` whose clocks are not known; `nil` where they are.
    private var zoneRemedy: String? {
        guard !timeZone.isEmpty, FixedZone(timeZone) == nil else { return nil }
        if timeZone.lowercased() == "system" {
            return "the zone of a server's machine is not known to expressions: write its name "
                + "('Europe/Berlin'), or how far it is from UTC ('+08:00')"
        }
        switch ZoneFolder.system.find(timeZone) {
        case .zone: return nil
        case .unknown:
            return "expressions know no such time zone: write a name of the zone database "
                + "('Europe/Berlin'), or how far the zone is from UTC ('+08:00')"
        case .noDatabase:
            return "there is no zone database (/usr/share/zoneinfo) on this machine: install its "
                + "package tzdata here and on every worker, or write how far the zone is from UTC "
                + "('+08:00')"
        }
    }
}

extension TaskFile.SourcePart {
    /// The allow list as the engines take it today; `nil` where they can't.
    var selection: TableSelection? {
        let list = rules.tables
        // Both levels together mean the tables that are in both.
        guard list.doSchemas.isEmpty || list.doTables.isEmpty else { return nil }
        func schema(_ text: String) -> TablePattern? { pattern(text, "*") }
        func table(_ it: BlockAllowList.Table) -> TablePattern? { pattern(it.schema, it.name) }
        var wanted = list.doSchemas.map(schema) + list.doTables.map(table)
        if wanted.isEmpty { wanted = [TablePattern("*.*")] }
        var excluded: [TablePattern?] = []
        if list.doSchemas.isEmpty { excluded += list.ignoreSchemas.map(schema) }
        // What is named as wanted stays, whatever is named as not wanted.
        if list.doTables.isEmpty { excluded += list.ignoreTables.map(table) }
        guard (wanted + excluded).allSatisfy({ $0 != nil }) else { return nil }
        // Schemas that no rule can name.
        excluded += SystemSchemas.names.sorted().map { TablePattern("`\($0)`.*") }
        return TableSelection(
            tables: wanted.compactMap { $0 }, excluded: excluded.compactMap { $0 },
            isCaseSensitive: rules.isCaseSensitive)
    }

    private func pattern(_ schema: String, _ table: String) -> TablePattern? {
        guard let schema = part(schema), let table = part(table) else { return nil }
        return TablePattern("\(schema).\(table)")
    }

    /// A name with wildcards, everything else quoted.
    private func part(_ text: String) -> String? {
        guard !text.isEmpty, !text.hasPrefix("~"), !text.contains(where: { "[]\\!".contains($0) })
        else { return nil }
        var out = ""
        var run = ""
        func close() {
            if !run.isEmpty { out += "`\(run)`" }
            run = ""
        }
        for c in text {
            if c == "*" || c == "?" {
                close()
                out.append(c)
            } else {
                run += c == "`" ? "``" : String(c)
            }
        }
        close()
        return out
    }
}
