internal import MySQLClient
internal import Settings

/// One pre-check: a name that never changes, and how to find out.
struct Check: Sendable {
    /// What a check found.
    enum Finding {
        case ok(String)
        case warning(String, remedy: String)
        case error(String, remedy: String)
        case skipped(String)
    }

    /// The name.
    let name: String
    /// Looks. A server's refusal to answer makes the check skipped, a lost connection ends all.
    let look: @Sendable (CheckContext) throws -> Finding

    init(_ name: String, _ look: @escaping @Sendable (CheckContext) throws -> Finding) {
        self.name = name
        self.look = look
    }

    /// The result in a context.
    func result(_ context: CheckContext) throws -> CheckResult {
        let finding: Finding
        do {
            finding = try look(context)
        } catch let error as MySQLError where !error.isConnectionLost {
            finding = .skipped("could not be looked at: \(error)")
        }
        var result =
            switch finding {
            case .ok(let message): CheckResult(name: name, verdict: .ok, message: message)
            case .warning(let message, let remedy):
                CheckResult(name: name, verdict: .warning, message: message, remedy: remedy)
            case .error(let message, let remedy):
                CheckResult(name: name, verdict: .error, message: message, remedy: remedy)
            case .skipped(let message):
                CheckResult(name: name, verdict: .skipped, message: message)
            }
        let ignored = context.settings.ignoredChecks
        result.isIgnored =
            (ignored.contains(name) || ignored.contains(Prechecks.every)) && result.verdict != .ok
        return result
    }
}
