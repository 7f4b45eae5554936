public import Logging
internal import MySQLCore
public import Settings

/// How a migration's run ended without an error.
public enum MigrationOutcome: Sendable, Hashable {
    /// Everything up to the wanted place is applied; the position is the durable mark.
    case reached(String)
    /// It was asked to stop, has drained and saved.
    case stopped(String?)
    /// The migration is over: triggers are created, events enabled.
    case finished
}

/// One migration: what `skein migrate` runs.
public final class Migration: Sendable {
    /// What it is doing; may be read at any time from anywhere.
    public let board = StatusBoard()
    private let settings: MigrationSettings
    private let logger: Logger

    /// Makes a migration; nothing is touched before ``run()``.
    public init(settings: MigrationSettings, logger: Logger) {
        self.settings = settings
        self.logger = logger
    }

    /// Runs until the wanted place is reached, or ``stop()`` is called, or an error that no retry
    /// can help.
    public func run() async throws -> MigrationOutcome { .stopped(nil) }

    /// Asks it to drain, save and end. Returns at once.
    public func stop() {}
}
