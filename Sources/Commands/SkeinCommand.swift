internal import ArgumentParser
internal import Glibc
internal import Runtime
internal import Worker

/// `skein`: the root of all commands.
struct SkeinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skein",
        abstract: "Migrate live MySQL and MariaDB databases.",
        version: "skein \(Version.text)",
        subcommands: [
            MigrateCommand.self, DumpCommand.self, LoadCommand.self, VerifyCommand.self,
            ServeCommand.self,
            ClusterCommand.self,
            WorkerCommand.self, SourceCommand.self, TaskCommand.self, RelayCommand.self,
            CertCommand.self,
        ])
}

/// The program: parses arguments, runs the command, turns errors into words and exit codes.
public enum Program {
    /// Runs and ends the process.
    public static func main() async -> Never {
        limitAllocator()
        StopSignals.shared.listen()
        exit(await run(Array(CommandLine.arguments.dropFirst())))
    }

    /// Runs one command line, and returns the exit code.
    static func run(_ arguments: [String]) async -> Int32 {
        do {
            var command = try SkeinCommand.parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            return ExitStatus.ok.rawValue
        } catch {
            return report(error, arguments).rawValue
        }
    }

    /// Says what went wrong, or prints the help or version that was asked for.
    static func report(_ error: any Error, _ arguments: [String]) -> ExitStatus {
        if let status = error as? ExitStatus { return status }
        if isFromParser(error) {
            let text = SkeinCommand.fullMessage(for: error)
            if SkeinCommand.exitCode(for: error) == .success {
                if !text.isEmpty { printData(text) }
                return .ok
            }
            writeAll(text + "\n", to: STDERR_FILENO)
            return .usage
        }
        let problem = OperatorError(error)
        let isJSON = OutputMode.isJSON(arguments)
        // A dry run has printed all checks already.
        if let failure = error as? PrecheckFailure, !arguments.contains("--dry-run") {
            CheckLines.printRefusals(failure, isJSON)
        }
        if isJSON {
            printData(problem.record(microseconds: wallClockMicroseconds()).description)
        } else {
            writeAll(problem.text(width: Terminal.errorWidth) + "\n", to: STDERR_FILENO)
        }
        return problem.status
    }

    /// Whether an error is the argument parser's own: a wrong flag, or a request for help. The
    /// parser wraps its errors in types of its own module.
    private static func isFromParser(_ error: any Error) -> Bool {
        String(reflecting: type(of: error)).hasPrefix("ArgumentParser.")
    }
}

/// A command ends with its exit status by throwing it.
extension ExitStatus: Error {}
