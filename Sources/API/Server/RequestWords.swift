internal import Settings

// Words of a request that its route does not have. They are refused: one that is passed over leaves
// a request that asks for more than was meant, and the answer would say that it was done.

extension Route {
    /// The query's parameters, by their names.
    ///
    /// - Throws: for one that the route does not have, and for one that is given twice: a list is
    ///   one text, with commas.
    func parameters(of query: [(name: String, value: String)]) throws(APIProblem)
        -> [String: String]
    {
        // Whoever probes /healthz or /metrics may add what keeps caches away.
        guard isOfAPI else { return [:] }
        let known = parameters.map(\.name)
        var out: [String: String] = [:]
        for (name, value) in query {
            guard known.contains(name) else {
                throw APIProblem(
                    .malformed, "\(TextForm.shown(name)) is no parameter of this request",
                    remedy: Self.remedy(name, known, "it takes no parameters"))
            }
            guard out.updateValue(value, forKey: name) == nil else {
                throw APIProblem(
                    .malformed, "\"\(name)\" is given twice",
                    remedy: "give it once; names in a list are separated by commas")
            }
        }
        return out
    }

    /// Refuses a body that says what the route does not read. What its values are is looked at
    /// when it is read.
    func checkWords(of body: [UInt8]) throws(APIProblem) {
        let known: [String]
        switch self.body {
        case .settings: return
        case .json(let schema, _): known = APISchemas.properties(schema)
        case .none:
            guard method != "GET" else { return }
            known = []
        }
        guard isOfAPI, body.contains(where: { !" \t\r\n".utf8.contains($0) }) else { return }
        guard let value = JSONValue(bytes: body) else {
            throw APIProblem(.malformed, "the body is not readable as JSON")
        }
        guard case .object(let object) = value else {
            throw APIProblem(.malformed, "the body must be a JSON object")
        }
        for name in object.keys.sorted() where !known.contains(name) {
            throw APIProblem(
                .malformed, "\(TextForm.shown(name)) is no key of this request's body",
                remedy: Self.remedy(name, known, "it takes no body"))
        }
    }

    private var isOfAPI: Bool { path.hasPrefix("/api/") }

    private static func remedy(_ name: String, _ known: [String], _ none: String) -> String {
        if known.isEmpty { return "\(none); nothing was changed" }
        let all = "it takes \(known.sorted().joined(separator: ", ")); nothing was changed"
        return nearestName(to: name, among: known).map { "did you mean \"\($0)\"? \(all)" } ?? all
    }
}
