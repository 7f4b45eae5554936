internal import ArgumentParser
internal import Glibc
internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Settings
internal import Verification

/// `skein verify`: compares the tables of two servers exactly.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compare tables of two servers row by row, also while a migration runs.",
        discussion: "Ends with 0 when all is equal, 3 when something differs, 1 when it could "
            + "not be found out.")

    @OptionGroup(title: "Servers") var servers: ServerFlags
    @OptionGroup(title: "Tables") var selection: SelectionFlags
    @OptionGroup(title: "Verification") var verification: VerificationFlags
    @OptionGroup(title: "Output") var output: OutputFlags

    func run() async throws {
        let settings = try servers.settings(selection)
        let terminal = Terminal()
        let mode = output.output.resolved(terminal)
        let tables = try await TableList(settings: settings).read()
        for extra in tables.onlyOnTarget {
            terminal.print("warning: the target has \(extra), the source has not")
        }
        let fixes = try verification.fixSql.map { try FixFile(path: $0) }
        var options = VerificationOptions(tables: tables.pairs, fixSQL: nil)
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
        ReportLines.print(report, isJSON: mode == .json)
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
