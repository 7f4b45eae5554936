internal import ArgumentParser
internal import Glibc

/// `--output`: how a command shows what it does.
enum OutputMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// A live view on a terminal, else lines.
    case auto
    /// A view that is redrawn in place, on standard error.
    case live
    /// One line every few seconds, on standard output.
    case lines
    /// One JSON object a line, on standard output.
    case json

    /// The mode with `auto` decided.
    func resolved(_ terminal: Terminal) -> OutputMode {
        self == .auto ? (terminal.isInteractive ? .live : .lines) : self
    }

    /// Whether a command line asks for JSON; for errors that come before it is understood.
    static func isJSON(_ arguments: [String]) -> Bool {
        arguments.contains("--output=json")
            || zip(arguments, arguments.dropFirst()).contains { $0 == "--output" && $1 == "json" }
    }
}
