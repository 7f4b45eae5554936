internal import ArgumentParser
internal import Logging

/// Flags that choose what is shown.
struct OutputFlags: ParsableArguments {
    @Option(help: ArgumentHelp("How progress and results are shown.", valueName: "mode"))
    var output = OutputMode.auto

    @Option(
        help: ArgumentHelp("What is logged to standard error.", valueName: "level"))
    var logLevel = LogLevel.notice
}

/// `--log-level`.
enum LogLevel: String, ExpressibleByArgument, CaseIterable, Sendable {
    case trace, debug, info, notice, warning, error, critical

    /// The logging library's level.
    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .notice }
}
