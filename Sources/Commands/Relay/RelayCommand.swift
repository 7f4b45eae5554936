internal import ArgumentParser

/// `skein relay`: a look at relay logs.
struct RelayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Keep, look at, read and clean up relay logs.",
        discussion: """
            With a folder as the argument, status, purge and read look at its files; with --source \
            NAME, status and purge ask the cluster.
            """,
        subcommands: [
            RelayStartCommand.self, RelayStopCommand.self,
            RelayStatusCommand.self, RelayReadCommand.self, RelayPurgeCommand.self,
            RelayPullCommand.self,
        ])
}

/// How the relay commands print.
enum RelayOutput: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// Lines for people.
    case lines
    /// One JSON object a line.
    case json
}
