internal import MySQLClient

/// A lane's session while its thread reads a file: the target ends sessions of which nothing came
/// for 30 s, and what lies before the place where a load goes on can be hundreds of gigabytes.
final class ReadingSession {
    private let connection: Connection
    private let pause: Duration
    private var shown = ContinuousClock.now

    /// - Parameter pause: how long nothing comes over the session.
    init(_ connection: Connection, pause: Duration) {
        self.connection = connection
        self.pause = pause
    }

    /// Called before each piece of the file, of at most some hundred kilobytes: shows the target
    /// that the session lives, when it has not been shown for a while.
    ///
    /// - Throws: `MySQLError`, `CancellationError`.
    func keepOpen() throws {
        try Task.checkCancellation()
        guard shown.duration(to: .now) >= pause else { return }
        try connection.ping()
        shown = .now
    }
}
