public import MySQLClient
internal import MySQLCore
public import Settings

/// Looks, before anything is touched, for what would make a migration fail or lose something.
///
/// Each check has a stable name, and can be ignored by it. `docs/pre-checks.md` describes them.
public struct Prechecks: Sendable {
    /// All checks, in the order of their results.
    static let all: [Check] =
        serverChecks + privilegeChecks + binlogChecks + sourceChecks + tableChecks
        + ruleChecks + compatibilityChecks + targetServerChecks + targetTableChecks

    /// The stable names of all checks.
    public static let names: [String] = all.map(\.name)
    /// The word that stands for all of them where they are ignored.
    public static let every = "all"
    /// Checks of what only a copy needs.
    private static let copying: Set<String> = ["read-views", "local-infile", "disk-space"]
    private let settings: MigrationSettings

    /// Makes the checks of a migration.
    public init(settings: MigrationSettings) { self.settings = settings }

    /// Runs every check, on the caller's thread. Nothing is written on either server.
    ///
    /// Both connections must have no transaction open. A check whose question a server refuses
    /// to answer is ``CheckResult/Verdict/skipped``.
    ///
    /// - Throws: ``MySQLError`` when a connection is lost or the basic facts can't be read.
    ///
    /// - Parameter only: the checks that are run; all when `nil`.
    public func run(
        source: Connection, target: Connection, only: Set<String>? = nil
    ) throws -> [CheckResult] {
        try run(try CheckContext(settings, source: source, target: target), only: only)
    }

    /// For a task that dumps or loads: sees whether its server answers, on the caller's thread. The
    /// rest is looked at by the engines, before they write anything.
    ///
    /// - Throws: ``MySQLError``.
    public func runForFiles() throws -> [CheckResult] {
        guard let files = settings.files else { return [] }
        let server = files.kind == .dump ? settings.source : settings.target
        _ = try Connection(server)
        return Self.all.map {
            CheckResult(
                name: $0.name, verdict: .skipped,
                message: "a \(files.kind.rawValue) looks at its server by itself, before it writes")
        }
    }

    /// What a first start with some of the tables would be told, but for what concerns all that are
    /// selected.
    func run(
        arriving tables: Set<TableName>, source: Connection, target: Connection
    ) throws -> [CheckResult] {
        let context = try CheckContext(
            settings, source: source, target: target, arriving: tables)
        let others: Set<String> = ["selection", "foreign-keys"]
        return try run(context, only: Set(Self.names).subtracting(others))
    }

    private func run(_ context: CheckContext, only: Set<String>?) throws -> [CheckResult] {
        try Self.all.filter { only?.contains($0.name) ?? true }
            .map {
                guard settings.mode == .incremental, Self.copying.contains($0.name) else {
                    return try $0.result(context)
                }
                return CheckResult(
                    name: $0.name, verdict: .skipped, message: "no rows are copied")
            }
    }
}
