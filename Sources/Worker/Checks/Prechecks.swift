public import MySQLClient
public import Settings

/// Looks, before anything is touched, for what would make a migration fail or lose something.
public struct Prechecks: Sendable {
    /// The stable names of all checks.
    public static let names: [String] = []
    private let settings: MigrationSettings

    /// Makes the checks of a migration.
    public init(settings: MigrationSettings) { self.settings = settings }

    /// Runs every check, on the caller's thread.
    public func run(source: Connection, target: Connection) throws -> [CheckResult] { [] }
}
