/// What one pre-check found.
public struct CheckResult: Sendable, Hashable, Codable {
    /// How bad it is.
    public enum Verdict: String, Sendable, Hashable, Codable {
        /// Nothing to say, or something good to know.
        case ok
        /// It works, with a consequence that the message names.
        case warning
        /// It would fail or lose something: the migration is refused unless the check is ignored.
        case error
        /// It could not be looked at; the message says why.
        case skipped
    }

    /// The check's stable name, for `--ignore-check`.
    public var name: String
    /// How bad it is.
    public var verdict: Verdict
    /// What was found, one or two sentences; tables by name, at most a few.
    public var message: String
    /// What to do about it, empty when there is nothing to do.
    public var remedy: String
    /// Whether the user has said that it must not stop the run.
    public var isIgnored = false

    /// Makes a result.
    public init(name: String, verdict: Verdict, message: String, remedy: String = "") {
        self.name = name
        self.verdict = verdict
        self.message = message
        self.remedy = remedy
    }

    /// Whether it refuses the migration.
    public var refuses: Bool { verdict == .error && !isIgnored }
}

/// A migration that pre-checks refuse.
public struct PrecheckFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The results of all checks, refusing ones among them.
    public let results: [CheckResult]

    /// Makes the error. At least one result must refuse.
    public init(results: [CheckResult]) {
        precondition(results.contains(where: \.refuses))
        self.results = results
    }

    /// Names the checks that refuse.
    public var description: String {
        let names = results.filter(\.refuses).map(\.name).joined(separator: ", ")
        return "refused by pre-check: \(names)"
    }
}
