internal import ArgumentParser
internal import Logging
internal import MySQLClient
internal import Runtime
internal import Settings
internal import Worker

/// `skein migrate`: copies, then follows.
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Copy tables of a live server into another, then follow every change.",
        discussion: """
            Started again with the same --name, it goes on where it stopped. SIGINT and SIGTERM \
            drain and save; a second one leaves at once.
            """)

    @OptionGroup(title: "Servers") var servers: ServerFlags
    @OptionGroup(title: "Tables") var selection: SelectionFlags
    @OptionGroup(title: "Migration") var migration: MigrationFlags
    @OptionGroup(title: "Output") var output: OutputFlags

    @Flag(help: "Print pre-checks and the plan; touch nothing.")
    var dryRun = false

    @Flag(help: "Answer questions with yes (--fresh).")
    var yes = false

    func run() async throws {
        let settings = try settings()
        let terminal = Terminal()
        let mode = output.output.resolved(terminal)
        if dryRun {
            try await DryRun(settings: settings, isJSON: mode == .json).run()
            return
        }
        try confirmFresh(settings)
        try await migrate(settings, terminal, mode)
    }

    /// File, flags, environment and prompts, together.
    func settings() throws -> MigrationSettings {
        var draft = try selection.fileDraft()
        var flags = SettingsDraft()
        try servers.apply(to: &flags)
        selection.apply(to: &flags)
        migration.apply(to: &flags)
        draft.override(with: flags)
        let settings = try draft.migrationSettings(.standard)
        try checkNames(settings.ignoredChecks)
        return settings
    }

    private func checkNames(_ ignored: Set<String>) throws {
        let known = Prechecks.names + [Prechecks.every]
        guard let name = ignored.sorted().first(where: { !known.contains($0) }) else { return }
        var hint = ""
        if let near = nearestName(to: name, among: known) { hint = "; did you mean \"\(near)\"?" }
        throw SettingsError("there is no pre-check \"\(name)\"\(hint)")
    }

    private func confirmFresh(_ settings: MigrationSettings) throws {
        guard settings.fresh, !yes else { return }
        guard Prompt.isPossible else {
            throw SettingsError("--fresh needs --yes where nobody can be asked")
        }
        let question =
            "Drop what the migration \"\(settings.name)\" has created on \(settings.target), "
            + "rows included, and start over?"
        guard Prompt.confirms(question) else { throw SettingsError("not confirmed") }
    }

    private func migrate(
        _ settings: MigrationSettings, _ terminal: Terminal, _ mode: OutputMode
    ) async throws {
        let logger = Logger.command(
            "skein", terminal, level: output.logLevel.level, isJSON: mode == .json)
        let migration = Migration(settings: settings, logger: logger)
        let progress = MigrationProgress(
            view: LiveView(
                task: settings.name, source: settings.source.description,
                target: settings.target.description), board: migration.board, mode: mode,
            terminal: terminal)
        let outcome = try await StopSignals.shared.handling { _ in
            terminal.print("stopping: applying what has begun, then saving; again to leave at once")
            migration.stop()
        } _: {
            try await progress.showing { try await migration.run() }
        }
        report(outcome, settings, mode)
    }

    private func report(
        _ outcome: MigrationOutcome, _ settings: MigrationSettings, _ mode: OutputMode
    ) {
        if mode == .json {
            let now = wallClockMicroseconds()
            printData(
                StatusRecord.end(outcome, task: settings.name, microseconds: now).description)
            return
        }
        switch outcome {
        case .reached(let position): printData("reached \(position)")
        case .stopped(let position?):
            printData("stopped at \(position); the same command goes on from there")
        case .stopped(nil):
            printData("stopped before anything was applied; the same command goes on")
        case .finished: printData("finished: triggers are created, events are enabled")
        }
    }
}
