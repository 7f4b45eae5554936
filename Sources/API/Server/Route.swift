/// One operation of the API: where it is, who may ask for it, what the document says of it, and who
/// answers.
struct Route: Sendable {
    enum Access: Sendable {
        /// Anybody: it tells nothing.
        case anybody
        /// Whoever may look.
        case read
        /// Whoever may change.
        case admin
    }
    /// A parameter of the query.
    struct Parameter: Sendable {
        let name: String
        let summary: String
        var isFlag = true
    }
    /// What a body is.
    enum Body: Sendable {
        case none
        /// A schema of the document, in JSON.
        case json(String, isRequired: Bool)
        /// A schema of the document, in JSON or YAML.
        case settings(String)
    }

    let method: String
    /// With names of its variable parts in braces.
    let path: String
    let access: Access
    /// The operation's name in the document.
    let id: String
    let summary: String
    var parameters: [Parameter] = []
    var body = Body.none
    /// The schema of the answer; `nil`: text.
    var answer: String?
    var status = 200
    /// Whether it takes `If-Match`.
    var isConditional = false
    var handler: @Sendable (APIRequest) async throws -> APIReply = { _ in APIReply() }

    /// The names of the path's variable parts.
    var names: [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
            String($0.dropFirst().dropLast())
        }
    }

    /// The variable parts of a path that the route is for; `nil`: it is for another one.
    func match(_ parts: [Substring]) -> [String: Substring]? {
        let pattern = path.split(separator: "/")
        guard pattern.count == parts.count else { return nil }
        var names: [String: Substring] = [:]
        for (expected, part) in zip(pattern, parts) {
            if expected.hasPrefix("{") {
                names[String(expected.dropFirst().dropLast())] = part
            } else if expected != part {
                return nil
            }
        }
        return names
    }
}
