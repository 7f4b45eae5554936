internal import ArgumentParser

/// `skein relay`: a look at relay logs.
struct RelayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Look at, read and clean up the relay log in a folder.",
        subcommands: [
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
