internal import Worker

/// An error as an operator needs it: what, where, whether it goes away, what to do.
struct OperatorError: Error, Sendable, Equatable {
    /// Whether waiting helps.
    enum Recovery: String, Sendable {
        /// It stays until somebody acts.
        case never = "no"
        /// Trying again later can succeed without any change.
        case later = "possibly, later"
        /// The same command, started again, goes on where it stopped.
        case restart = "start the same command again"
    }

    /// A stable short code, documented in `docs/errors.md`.
    var code: String
    /// One sentence of what happened.
    var message: String
    /// Server, file, position or table; `nil` when the message says it.
    var place: String?
    /// Whether it goes away by itself.
    var recovery: Recovery
    /// What to do.
    var action: String
    /// How the process ends.
    var status: ExitStatus = .error
}

extension OperatorError {
    /// The lines for people, broken to a width if there is one.
    func text(width: Int? = nil) -> String {
        var parts = [(head: "error: ", text: "\(message) [\(code)]")]
        if let place { parts.append(("  where: ", place)) }
        parts.append(("  goes away by itself: ", recovery.rawValue))
        if !action.isEmpty { parts.append(("  what to do: ", action)) }
        return parts.flatMap { head, text in
            let text = head + TextFitting.printable(text)
            guard let width, TextFitting.width(text) > width else { return [text] }
            let lines = TextFitting.wrapped(text, max(20, width - 4))
            return zip(0..., lines).map { index, line in
                (index > 0 ? "    " : head.hasPrefix(" ") ? "  " : "") + line
            }
        }.joined(separator: "\n")
    }

    /// The line of `--output json`, of type `error`.
    func record(microseconds: Int64) -> JSONObject {
        var out = StatusRecord.begin("error", microseconds)
        out.set("code", code)
        out.set("message", message)
        out.set("where", place)
        out.set("recovery", recovery.rawValue)
        out.set("action", action.isEmpty ? nil : action)
        out.set("exit_status", status.rawValue)
        return out
    }
}
