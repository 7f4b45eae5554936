internal import Glibc

/// How the process ends; stable, and documented in `docs/migrate.md`.
enum ExitStatus: Int32, Sendable, CaseIterable {
    /// Done, or stopped orderly after a signal.
    case ok = 0
    /// An error.
    case error = 1
    /// Wrong flags or settings; nothing was touched.
    case usage = 2
    /// The comparison found differences.
    case different = 3
    /// Another run has taken the subtask over.
    case fenced = 4
    /// A pre-check refuses.
    case refused = 5
    /// SIGINT ended it before it could save.
    case interrupted = 130
    /// SIGTERM ended it before it could save.
    case terminated = 143

    /// The status after a signal that ended it at once.
    static func interrupted(by signal: Int32) -> ExitStatus {
        signal == SIGTERM ? .terminated : .interrupted
    }
}
