internal import ArgumentParser
internal import Glibc
internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Settings
internal import Verification
internal import Worker

/// `skein verify`: compares the tables of two servers exactly.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compare tables of two servers row by row, also while a migration runs.",
        discussion: "Ends with 0 when all is equal, 3 when something differs, 1 when it could "
            + "not be found out.")

    @Option(
        help: ArgumentHelp(
            "File of one of a task's sources: --config is the task's file then, and its rules count.",
            valueName: "file"))
    var sourceFile: String?

    @OptionGroup(title: "Servers") var servers: ServerFlags
    @OptionGroup(title: "Tables") var selection: SelectionFlags
    @OptionGroup(title: "Verification") var verification: VerificationFlags
    @OptionGroup(title: "Output") var output: OutputFlags

    func validate() throws {
        guard sourceFile != nil else { return }
        guard selection.config != nil else {
            throw ValidationError("--source-file needs --config with the task's file")
        }
        guard servers.source == nil, servers.target == nil, selection.tables.isEmpty,
            selection.exclude.isEmpty
        else {
            throw ValidationError(
                "with --source-file, the files say which servers and tables are compared")
        }
    }

    /// What is compared.
    private struct Work {
        var settings: MigrationSettings
        var options: VerificationOptions
        /// What is not, in sentences.
        var leftOut: [String] = []
    }

    private func work(_ terminal: Terminal) async throws -> Work {
        if let sourceFile, let file = selection.config {
            let task = try VerifiedTask(file: file, sourceFile: sourceFile)
            let found = try await task.tables()
            return Work(
                settings: task.settings, options: found.options(task.settings),
                leftOut: found.leftOut.map(\.description))
        }
        let settings = try servers.settings(selection)
        let tables = try await TableList(settings: settings).read()
        for extra in tables.onlyOnTarget {
            terminal.print("warning: the target has \(extra), the source has not")
        }
        return Work(settings: settings, options: VerificationOptions(tables: tables.pairs))
    }

    func run() async throws {
        let terminal = Terminal()
        let mode = output.output.resolved(terminal)
        let work = try await self.work(terminal)
        let settings = work.settings
        let fixes = try verification.fixSql.map { try FixFile(path: $0) }
        var options = work.options
        if let fixes { options.fixSQL = { try fixes.append($0) } }
        options.parallelism = verification.parallelism
        options.settle = verification.settle ?? options.settle
        let board = VerificationBoard()
        let verifier = Verifier(
            source: settings.source, target: settings.target, options: options,
            progress: { board.set($0) })
        let view = VerificationView(board: board, mode: mode, terminal: terminal)
        let report = try await interruptible(terminal) {
            try await view.showing { try await verifier.run() }
        }
        ReportLines.print(report, leftOut: work.leftOut, isJSON: mode == .json)
        switch report.verdict {
        case .equal: return
        case .different: throw ExitStatus.different
        case .undecided: throw ExitStatus.error
        }
    }

    /// Runs `body`; a signal cancels it. Nothing is saved, so the signal decides the exit code.
    private func interruptible<R: Sendable>(
        _ terminal: Terminal, _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        let stop = Latch()
        let result: R? = try await StopSignals.shared.handling { _ in
            terminal.print("stopping")
            stop.set()
        } _: {
            try await withThrowingTaskGroup(of: R?.self) { group in
                group.addTask { try await body() }
                group.addTask {
                    await stop.wait()
                    return nil
                }
                defer { group.cancelAll() }
                return try await group.next() ?? nil
            }
        }
        guard let result else {
            throw ExitStatus.interrupted(by: StopSignals.shared.received ?? SIGINT)
        }
        return result
    }
}
