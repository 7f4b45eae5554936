internal import ArgumentParser
internal import Rules
internal import Settings

/// Flags that choose tables, and the settings file.
struct SelectionFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Tables to take: schema.table with * and ?, or a schema; repeats.",
            valueName: "pattern"), transform: parsePattern)
    var tables: [TablePattern] = []

    @Option(
        help: ArgumentHelp("Tables to leave although they match; repeats.", valueName: "pattern"),
        transform: parsePattern)
    var exclude: [TablePattern] = []

    @Option(
        help: ArgumentHelp(
            "YAML file with the same settings; flags override it.", valueName: "file"))
    var config: String?

    /// Writes the flags that were given into a draft.
    func apply(to draft: inout SettingsDraft) {
        if !tables.isEmpty { draft.tables = tables }
        if !exclude.isEmpty { draft.exclude = exclude }
    }

    /// The settings file's draft, or an empty one.
    func fileDraft() throws -> SettingsDraft {
        guard let config else { return SettingsDraft() }
        return try SettingsDraft(file: config, environment: { environmentValue($0) })
    }
}

private func parsePattern(_ text: String) throws -> TablePattern {
    guard let pattern = TablePattern(text) else {
        throw ValidationError("must look like schema.table, 'schema.*' or schema")
    }
    return pattern
}
