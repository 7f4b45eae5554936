internal import ArgumentParser
internal import Relay
internal import Runtime
internal import Settings

/// `skein relay purge`: removes files of a relay log.
struct RelayPurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Remove files of a relay log, oldest first.",
        discussion: "The newest file stays, and what a migration may have to read again, unless "
            + "--force is given. With --older-than alone, what was put aside longer ago goes, too. "
            + "A note that can't be read keeps everything: --forget removes it, and no file.")

    @Argument(help: "The relay log's folder.")
    var folder: String?

    @Option(help: ArgumentHelp("The cluster's source, instead of a folder.", valueName: "name"))
    var source: String?

    @Option(
        help: ArgumentHelp(
            "Remove the files before this one; its folder may stand in front of it.",
            valueName: "file"))
    var before: String?

    @Option(
        help: ArgumentHelp(
            "Only files that were last written longer ago than this.", valueName: "span"),
        transform: parseSpan)
    var olderThan: Int64?

    @Flag(help: "Also files that a migration still needs.")
    var force = false

    @Option(
        help: ArgumentHelp(
            "Forget what this migration needs, also where its note can't be read. With --force, "
                + "and nothing else: it may be all that is left of it.", valueName: "task"))
    var forget: String?

    @Flag(help: "Say what would be removed, and remove nothing.")
    var dryRun = false

    @Option(help: "How it is shown.")
    var output = RelayOutput.lines

    @OptionGroup var endpoints: EndpointFlags

    func validate() throws {
        try checkRelayPlace(folder, source)
        if source != nil, before == nil || olderThan != nil {
            throw ValidationError("a source's relay log is purged --before a file")
        }
        if source != nil, dryRun {
            throw ValidationError("--dry-run is for a folder")
        }
        if forget != nil {
            guard source == nil else { throw ValidationError("--forget is for a folder") }
            guard before == nil, olderThan == nil else {
                throw ValidationError(
                    "--forget removes no files: first --forget, then --before or --older-than")
            }
            guard force || dryRun else {
                throw ValidationError(
                    "what it needs may be all that is left of it: --forget takes --force, too")
            }
            return
        }
        if before == nil, olderThan == nil {
            throw ValidationError("say which files: --before, --older-than, or both")
        }
    }

    func run() async throws {
        if let source, let before { return try await purgeRelay(of: source, before: before) }
        guard let folder else { return }
        let now = wallClockMicroseconds()
        let archive = try RelayArchive(path: folder)
        if let forget { return try forgetNote(of: forget, archive, now) }
        let removed = try archive.purge(
            before: before, olderSeconds: olderThan, isForced: force, isDry: dryRun,
            now: now / 1_000_000)
        // With --force nobody was asked.
        let warnings = force ? [] : archive.unreadNotes
        if output == .json {
            var record = StatusRecord.begin("purge", now)
            record.set("dry_run", dryRun)
            record.set("removed", removed)
            record.set("warnings", warnings)
            printData(record.description)
            return
        }
        for file in removed { printData("\(dryRun ? "would remove" : "removed") \(file)") }
        if removed.isEmpty { printData("nothing to remove") }
        for warning in warnings { printData(TextFitting.printable("warning: \(warning)")) }
    }

    private func forgetNote(of task: String, _ archive: RelayArchive, _ now: Int64) throws {
        try archive.forget(task, isDry: dryRun)
        if output == .json {
            var record = StatusRecord.begin("purge", now)
            record.set("dry_run", dryRun)
            record.set("forgotten", [task])
            return printData(record.description)
        }
        printData(
            TextFitting.printable("\(dryRun ? "would forget" : "forgot") what \(task) needs"))
    }
}

private func parseSpan(_ text: String) throws -> Int64 {
    guard let span = TimeSpan(text) else { throw ValidationError("must be a time such as 12h") }
    return span.duration.components.seconds
}
