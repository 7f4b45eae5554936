/// What pre-checks say of one task on one source.
public struct SourceCheck: Sendable, Hashable, Codable {
    /// The source.
    public var sourceName: String
    /// What each check has found; empty when a server could not be asked.
    public var results: [CheckResult]
    /// Why there are no results.
    public var error: SubtaskError?

    /// Describes the outcome of checks.
    public init(sourceName: String, results: [CheckResult], error: SubtaskError? = nil) {
        self.sourceName = sourceName
        self.results = results
        self.error = error
    }

    /// Whether nothing stands against the task on this source.
    public var isPassed: Bool { error == nil && !results.contains(where: \.refuses) }
}
