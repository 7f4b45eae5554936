import Testing

/// Compares answers with the document's schemas: which keys there are, and of which kind.
struct SchemaCheck {
    let document: [String: Any]

    /// What is wrong with the answer of an operation that was done.
    func problems(of value: Any, _ method: String, _ path: String) throws -> [String] {
        let paths = document["paths"] as? [String: [String: [String: Any]]]
        let operation = try #require(paths?[path]?[method])
        let responses = try #require(operation["responses"] as? [String: [String: Any]])
        let done = try #require(responses.first { $0.key.hasPrefix("2") }?.value)
        let content = try #require(done["content"] as? [String: [String: Any]])
        let schema = try #require(content["application/json"]?["schema"] as? [String: Any])
        return problems(value, schema, "answer")
    }

    private func problems(_ value: Any, _ given: [String: Any], _ place: String) -> [String] {
        let schema = resolved(given)
        if let choices = schema["oneOf"] as? [[String: Any]] {
            let all = choices.map { problems(value, $0, place) }
            return all.contains([]) ? [] : all.flatMap { $0 }
        }
        switch schema["type"] as? String {
        case "object":
            guard let object = value as? [String: Any] else { return ["\(place) is no object"] }
            guard let properties = schema["properties"] as? [String: [String: Any]] else {
                return []
            }
            let required = schema["required"] as? [String] ?? []
            return required.filter { object[$0] == nil }.map { "\(place).\($0) is missing" }
                + object.flatMap { key, value in
                    guard let property = properties[key] else {
                        return ["\(place).\(key) is not described"]
                    }
                    return problems(value, property, "\(place).\(key)")
                }
        case "array":
            guard let list = value as? [Any], let items = schema["items"] as? [String: Any] else {
                return ["\(place) is no list"]
            }
            return list.flatMap { problems($0, items, "\(place)[]") }
        case "string":
            guard let text = value as? String else { return ["\(place) is no text"] }
            let words = schema["enum"] as? [String]
            return words?.contains(text) ?? true ? [] : ["\(place) may not be \(text)"]
        case "boolean": return value is Bool ? [] : ["\(place) is no flag"]
        case "integer": return value is Int ? [] : ["\(place) is no whole number"]
        case "number": return value is Double || value is Int ? [] : ["\(place) is no number"]
        default: return []
        }
    }

    private func resolved(_ schema: [String: Any]) -> [String: Any] {
        guard let reference = schema["$ref"] as? String,
            let name = reference.split(separator: "/").last,
            let components = document["components"] as? [String: Any],
            let schemas = components["schemas"] as? [String: [String: Any]]
        else { return schema }
        return schemas[String(name)] ?? [:]
    }
}
