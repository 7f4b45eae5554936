internal import Settings

/// The description of the API in OpenAPI 3: made from the table of routes, so that it can't leave one
/// out. docs/openapi.json is its output; a test compares them.
struct OpenAPIDocument {
    let routes: [Route]

    /// The document.
    var bytes: [UInt8] { Array(value.document.utf8) }

    private var value: JSONValue {
        .object([
            "openapi": "3.0.3",
            "info": .object([
                "title": "Skein", "version": "1",
                "description": "Moves live MySQL and MariaDB databases. Every worker serves it.",
            ]),
            "servers": .list([.object(["url": "/"])]),
            "paths": paths,
            "components": .object([
                "schemas": .object(APISchemas.all),
                "securitySchemes": .object([
                    "token": .object(["type": "http", "scheme": "bearer"])
                ]),
                "responses": .object([
                    "Problem": .object([
                        "description": "The request was not done.",
                        "content": content(["application/json"], "Problem"),
                    ])
                ]),
            ]),
        ])
    }

    private var paths: JSONValue {
        var paths: [String: [String: JSONValue]] = [:]
        for route in routes {
            paths[route.path, default: [:]][route.method.lowercased()] = operation(route)
        }
        return .object(paths.mapValues { .object($0) })
    }

    private func operation(_ route: Route) -> JSONValue {
        var out: [String: JSONValue] = [
            "operationId": .text(route.id), "summary": .text(route.summary),
            "tags": .list([.text(tag(route))]), "responses": responses(route),
            "security": .list(route.access == .anybody ? [] : [.object(["token": .list([])])]),
        ]
        var parameters: [JSONValue] = route.names.map { name in
            parameter(
                name, in: "path", "A name.", isRequired: true,
                ["type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"])
        }
        parameters += route.parameters.map { it in
            parameter(
                it.name, in: "query", it.summary, isRequired: false,
                ["type": it.isFlag ? "boolean" : "string"])
        }
        if route.isConditional {
            parameters.append(
                parameter(
                    "If-Match", in: "header",
                    "The revision that the change is made to; refused with 412 when it is another.",
                    isRequired: false, ["type": "string"]))
        }
        if !parameters.isEmpty { out["parameters"] = .list(parameters) }
        switch route.body {
        case .none: break
        case .json(let schema, let isRequired):
            out["requestBody"] = .object([
                "required": .flag(isRequired), "content": content(["application/json"], schema),
            ])
        case .settings(let schema):
            out["requestBody"] = .object([
                "required": .flag(true),
                "content": content(["application/json", "application/yaml"], schema),
            ])
        }
        return .object(out)
    }

    private func parameter(
        _ name: String, in place: String, _ summary: String, isRequired: Bool,
        _ schema: [String: JSONValue]
    ) -> JSONValue {
        .object([
            "name": .text(name), "in": .text(place), "description": .text(summary),
            "required": .flag(isRequired), "schema": .object(schema),
        ])
    }

    private func responses(_ route: Route) -> JSONValue {
        var answer: [String: JSONValue] = ["description": "It was done."]
        if let schema = route.answer {
            answer["content"] = content(["application/json"], schema)
        } else {
            answer["content"] = .object(["text/plain": .object([:])])
        }
        return .object([
            "\(route.status)": .object(answer),
            "default": .object(["$ref": "#/components/responses/Problem"]),
        ])
    }

    private func content(_ types: [String], _ schema: String) -> JSONValue {
        let reference = APISchemas.reference(schema)
        return .object(
            Dictionary(uniqueKeysWithValues: types.map { ($0, .object(["schema": reference])) }))
    }

    private func tag(_ route: Route) -> String {
        let parts = route.path.split(separator: "/")
        return parts.count > 2 && parts[0] == "api"
            ? String(parts[2].prefix { $0 != "." }) : "worker"
    }
}
