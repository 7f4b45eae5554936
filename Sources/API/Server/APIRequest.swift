internal import Foundation
internal import Settings

/// A request after it has been let in.
struct APIRequest: Sendable {
    /// Parts of the path by the names that the route gives them.
    var names: [String: String] = [:]
    /// The query's parameters.
    var query: [String: String] = [:]
    var body: [UInt8] = []
    var contentType: String?
    /// The revision in `If-Match`.
    var seen: Int64?
    /// Whether the caller may change things.
    var isAdmin = false

    /// A name in the path; the router has made sure that it is there and is a name.
    func name(_ key: String) -> String { names[key] ?? "" }

    /// A parameter that is true or false.
    func flag(_ key: String) throws(APIProblem) -> Bool {
        switch query[key] {
        case nil, "false": return false
        case "true", "": return true
        case let other?:
            throw APIProblem(.malformed, "\"\(key)\" must be true or false, not \"\(other)\"")
        }
    }

    /// Names in a parameter, separated by commas.
    func list(_ key: String) -> [String]? {
        query[key].map { $0.split(separator: ",").map(String.init) }
    }

    /// The body as JSON; an empty one counts as an object without keys.
    func json<Value: Decodable>(_ type: Value.Type) throws(APIProblem) -> Value {
        let bytes = body.isEmpty ? Array("{}".utf8) : body
        do {
            return try APICoding.value(type, bytes)
        } catch DecodingError.keyNotFound(let key, _) {
            throw APIProblem(.malformed, "\"\(snakeCase(key.stringValue))\" is missing in the body")
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(
            _, let context)
        {
            let path = context.codingPath.map { snakeCase($0.stringValue) }
            throw APIProblem(
                .malformed,
                path.isEmpty
                    ? "the body must be a JSON object"
                    : "\"\(path.joined(separator: "."))\" in the body has the wrong type")
        } catch {
            throw APIProblem(.malformed, "the body is not readable as JSON")
        }
    }

    /// Whether settings in the body are YAML or JSON.
    func format() throws(APIProblem) -> SettingsFormat {
        let type = contentType?.prefix { $0 != ";" }.lowercased()
            .trimmingCharacters(in: .whitespaces)
        switch type {
        case "application/json": return .json
        case "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml": return .yaml
        case nil, "application/octet-stream", "application/x-www-form-urlencoded", "text/plain":
            // What clients say that do not know.
            return body.first { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: "{") ? .json : .yaml
        case let other?:
            throw APIProblem(
                .malformed, "settings must be JSON or YAML, not \"\(other)\"",
                remedy: "send them with Content-Type application/json or application/yaml")
        }
    }

    private func snakeCase(_ key: String) -> String {
        key.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : String($1) }
    }
}

/// What a request is answered with.
struct APIReply: Sendable {
    var status = 200
    var body: [UInt8] = []
    var contentType = "application/json"
    var revision: Int64?
    /// Whether the connection ends with it.
    var isLast = false
    /// The methods that the path knows, for an answer with status 405.
    var allowed: String?

    static func json(
        _ value: some Encodable, status: Int = 200, revision: Int64? = nil
    ) throws -> APIReply {
        APIReply(status: status, body: try APICoding.bytes(value), revision: revision)
    }

    static func done(_ message: String, status: Int = 200) throws -> APIReply {
        try json(DoneAnswer(message), status: status)
    }

    /// The problem in JSON; it always can be written.
    static func problem(_ problem: APIProblem) -> APIReply {
        let body = try? APICoding.bytes(problem)
        return APIReply(status: problem.status, body: body ?? Array("{}".utf8))
    }
}
