internal import Worker

/// When a comparison that somebody waits for is over, and what has come out.
struct VerificationWait {
    /// How long a worker may say nothing of its subtask. It may be busy, or be started again; the
    /// source may get another one, which knows of no comparison.
    static let patience = Duration.seconds(30)

    private var silentSince: [String: ContinuousClock.Instant] = [:]

    /// Whether nothing more comes for any of the subtasks.
    ///
    /// - Parameter words: what each source's worker says; `nil`: nothing.
    mutating func isOver(
        _ words: [(source: String, status: SubtaskStatus?)], now: ContinuousClock.Instant
    ) -> Bool {
        var isOver = true
        for (source, status) in words {
            guard let status else {
                let since = silentSince[source] ?? now
                silentSince[source] = since
                if since.duration(to: now) < Self.patience { isOver = false }
                continue
            }
            silentSince[source] = nil
            // Without a comparison: the source has another worker now.
            if !(status.verification?.state.isOver ?? true) { isOver = false }
        }
        return isOver
    }

    /// How the process ends; `nil` when all is equal.
    static func end(_ states: [SubtaskVerification.State?]) -> ExitStatus? {
        if states.contains(.different) { return .different }
        return !states.isEmpty && states.allSatisfy { $0 == .equal } ? nil : .error
    }
}
